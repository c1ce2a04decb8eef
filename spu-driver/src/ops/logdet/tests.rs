use super::*;
use crate::invert::Quiet;
use crate::open;
use crate::plan::Budget;
use crate::testing::{calibrated, median};

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

/// Formulas of small cases: one dimension, ψ(N/2) − ln(N/2); and the first order.
#[test]
fn the_bias_of_a_wishart_matrix() {
    // ψ(1) = −γ.
    assert!((wishart_bias(1, 2.0) + 0.577_215_664_901_532_9).abs() < 1e-12);
    for (n, samples) in [(1, 1e4), (8, 1e5)] {
        let first = -((n * (n + 1)) as f64) / (2.0 * samples);
        assert!((wishart_bias(n, samples) / first - 1.0).abs() < 1e-3);
    }
}

/// Short runs: each is biased by about its own standard error, their mean by six of its own. The
/// jackknife takes the bias off, and the formula predicts it. False-alarm rate of each comparison 1e-6.
#[test]
fn the_bias_of_a_short_run_goes_off() {
    const RUNS: u64 = 64;
    let a = laplacian(8);
    // Without deviations, and banks of 8 bits, which are planned sooner than those of `ideal`.
    let exact = "sim:profile=rev-b,without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+stray\
                 +adc_gain+adc_offset";
    let mut device = open(exact).unwrap();
    let found: Vec<LogDet> = (0..RUNS)
        .map(|run| {
            let budget = Budget { effective: Some(140), ..Budget::default() };
            let options = InvertOptions { budget, seed: 100 + run, ..InvertOptions::default() };
            logdet(device.as_mut(), &a, LogDetMethod::Covariance, &options, &Quiet).unwrap()
        })
        .collect();
    let statistics = |of: &dyn Fn(&LogDet) -> f64| {
        let values: Vec<f64> = found.iter().map(of).collect();
        let (mean, variance) = mean_and_variance(&values);
        (mean, variance.sqrt())
    };
    let limit = student_quantile(RUNS as usize - 1, 1.0 - FALSE_ALARM);
    let (off, error) = statistics(&|one| one.value - one.digital - one.quantisation);
    let (raw, _) = statistics(&|one| one.value + one.bias - one.digital - one.quantisation);
    let planned = found[0].bias_planned;
    println!("raw {raw:.4}, planned {planned:.4}, jackknifed {off:.4}, ± {error:.4}");
    assert!(off.abs() < limit * error);
    assert!(raw > limit * error, "there is a bias to take off");
    assert!((raw - planned).abs() < limit * error);
    // The error bars are those that the runs show: a ratio of variances with about 63 and many degrees
    // of freedom.
    let (square, _) = statistics(&|one| one.standard_error.powi(2));
    let ratio = square.sqrt() / (error * (RUNS as f64).sqrt());
    assert!((0.65..1.5).contains(&ratio), "{ratio}");
}

/// Boards whose cells are driven unequally by 22 % (1σ) and whose parts have tolerances: the
/// identity's read takes most of the error off. Twelve boards, medians; fixed seeds.
#[test]
fn the_reference_makes_up_for_unequal_drives() {
    let a = laplacian(8);
    let mut medians = Vec::new();
    for method in [LogDetMethod::Covariance, LogDetMethod::Reference] {
        let mut errors: Vec<f64> = (1..=12)
            .map(|board| {
                let uri = format!("sim:profile=rev-a,seed={board}");
                let found = read(&uri, &a, method, &options(60_000, board));
                (found.value - found.digital - found.quantisation).abs()
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        medians.push(errors[6]);
    }
    println!("median error: covariance {:.3}, reference {:.3}", medians[0], medians[1]);
    assert!(medians[1] < 0.5 * medians[0], "{medians:?}");
}

#[test]
fn a_quadrature_without_points_is_refused() {
    let mut device = open("sim:profile=ideal").unwrap();
    for nodes in [0, MAX_NODES + 1] {
        let method = LogDetMethod::Integration { nodes };
        let error = logdet(device.as_mut(), &laplacian(2), method, &options(9, 1), &Quiet);
        assert!(error.unwrap_err().to_string().contains("points of a quadrature"));
    }
}

/// Eight boards, each calibrated and not, by every method. With a calibration the result is off by no
/// more than its errors say (false-alarm rate 1e-6 over all of a method), most intervals of 95 % hold the
/// digital value (6 or more of 8 miss by chance with a probability of 4e-7), and the error is a fraction of
/// that of a board taken for nominal. Fixed seeds.
#[test]
fn calibration_takes_off_what_the_board_adds() {
    let a = laplacian(5);
    let methods =
        [LogDetMethod::Covariance, LogDetMethod::Reference, LogDetMethod::Integration { nodes: 3 }];
    let (mut errors, mut plain) = (vec![Vec::new(); 3], Vec::new());
    let mut misses = [0; 3];
    for seed in 1..=4 {
        for profile in ["rev-a", "rev-b"] {
            let uri = format!("sim:profile={profile},seed={seed}");
            let measured = calibrated(&uri);
            let budget = options(30_000, seed);
            let known = InvertOptions { measured, ..budget.clone() };
            for (k, method) in methods.into_iter().enumerate() {
                let found = read(&uri, &a, method, &known);
                let off = found.value - found.digital;
                let systematic = found.calibration_error.unwrap();
                let sigma = found.standard_error.hypot(systematic);
                let known = found.quantisation + found.quadrature;
                let limit = student_quantile(63, 1.0 - FALSE_ALARM / 8.0);
                assert!(
                    (off - known).abs() < limit * sigma,
                    "{uri} {method:?}: {off}, {known}, {sigma}"
                );
                assert!(systematic > 0.0 && systematic < found.standard_error, "{systematic}");
                assert!(found.interval >= found.half_width);
                misses[k] += i32::from(off.abs() > found.interval);
                errors[k].push((off - known).abs());
            }
            let found = read(&uri, &a, LogDetMethod::Covariance, &budget);
            assert_eq!(found.calibration_error, None);
            plain.push((found.value - found.digital - found.quantisation).abs());
        }
    }
    let calibrated: Vec<f64> = errors.into_iter().map(median).collect();
    let plain = median(plain);
    println!(
        "median error: calibrated {calibrated:?}, uncalibrated {plain:.3}; misses {misses:?} of 8"
    );
    assert!(misses.iter().all(|count| *count < 6), "{misses:?}");
    assert!(calibrated.iter().all(|error| *error < 0.4 * plain), "{calibrated:?} {plain}");
}
