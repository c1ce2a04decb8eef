use super::*;
use crate::invert::Quiet;
use crate::open;
use crate::plan::Budget;

/// False-alarm rate of each comparison below.
const FALSE_ALARM: f64 = 1e-6;

fn laplacian(n: usize) -> SpdMatrix {
    let a = Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
        0 => 2.5,
        1 => -1.0,
        _ => 0.0,
    });
    SpdMatrix::new(&a, 0.0).unwrap()
}

fn options(samples: u64, seed: u64) -> InvertOptions {
    let budget = Budget { samples: Some(samples), ..Budget::default() };
    InvertOptions { budget, seed, ..InvertOptions::default() }
}

fn read(uri: &str, a: &SpdMatrix, method: LogDetMethod, options: &InvertOptions) -> LogDet {
    logdet(open(uri).unwrap().as_mut(), a, method, options, &Quiet).unwrap()
}

const METHODS: [LogDetMethod; 3] =
    [LogDetMethod::Covariance, LogDetMethod::Reference, LogDetMethod::Integration { nodes: 8 }];

#[test]
fn the_ideal_board_gives_the_digital_value() {
    let a = laplacian(8);
    for method in METHODS {
        for seed in [3, 4] {
            let found = read("sim:profile=ideal", &a, method, &options(200_000, seed));
            let off = found.value - found.digital - found.quantisation - found.quadrature;
            println!("{method:?} {seed}: {} ± {}, off {off}", found.value, found.standard_error);
            assert!(off.abs() < student_quantile(63, 1.0 - FALSE_ALARM) * found.standard_error);
            assert!(found.standard_error < 0.1);
        }
    }
}
