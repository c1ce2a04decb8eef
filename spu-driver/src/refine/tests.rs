use ndarray::array;

use super::*;
use crate::invert::{InvertOptions, Quiet};
use crate::open_copies;
use crate::plan::Budget;
use crate::route::exact_inverse;

fn spd() -> SpdMatrix {
    let a = array![
        [2.0, 0.5, -0.3, 0.0],
        [0.5, 1.5, 0.4, 0.1],
        [-0.3, 0.4, 1.0, 0.2],
        [0.0, 0.1, 0.2, 3.0]
    ];
    SpdMatrix::new(&a, 0.0).unwrap()
}

fn with_boards<T>(uri: &str, run: impl FnOnce(&mut Boards<'_>) -> T) -> T {
    let mut devices = open_copies(uri, 1).unwrap();
    let budget = Budget { effective: Some(2000), ..Budget::default() };
    let options = InvertOptions { budget, ..InvertOptions::default() };
    run(&mut Boards::new(&mut devices, options))
}

#[test]
fn newton_schulz_squares_the_residual_and_beats_the_digital_start() {
    let a = spd();
    with_boards("sim:profile=rev-b,without=drive_mismatch", |boards| {
        let start = invert_blocks(boards, &a, &Quiet).unwrap();
        let found =
            refine(boards, &a, &start.inverse, 1e-10, RefineMethod::NewtonSchulz, &Quiet).unwrap();
        assert!(found.residual() <= 1e-10);
        assert!(found.reads.is_empty());
        for pair in found.residuals.windows(2) {
            assert!(pair[1] <= 1.01 * pair[0] * pair[0] + 1e-14, "{:?}", found.residuals);
        }
        let digital = found.from_digital_start.unwrap();
        assert!(found.work.steps < digital.steps && found.work.flops < digital.flops);
        let error = crate::linalg::relative_error(&found.inverse, &exact_inverse(&a));
        assert!(error <= found.residual(), "{error}");
    });
}

#[test]
fn fresh_reads_take_the_error_down_round_by_round() {
    let a = spd();
    with_boards("sim:profile=rev-b,without=drive_mismatch", |boards| {
        let start = invert_blocks(boards, &a, &Quiet).unwrap();
        let found =
            refine(boards, &a, &start.inverse, 1e-8, RefineMethod::FreshReads, &Quiet).unwrap();
        assert!(found.residual() <= 1e-8 && found.reads.len() == found.work.steps);
        // Each read has noise of its own.
        assert_ne!(found.reads[0].inverse, start.inverse);
        assert_ne!(found.reads[0].inverse, found.reads[1].inverse);
    });
}

#[test]
fn a_start_that_is_too_far_off_is_refused_with_its_radius() {
    let a = spd();
    let far = exact_inverse(&a) * 2.5;
    with_boards("sim", |boards| {
        for method in [RefineMethod::NewtonSchulz, RefineMethod::FreshReads] {
            let error = refine(boards, &a, &far, 1e-6, method, &Quiet).unwrap_err();
            let RefineError::CannotConverge { radius, .. } = &error else { panic!("{error}") };
            assert!((radius - 1.5).abs() < 1e-12);
            assert!(error.to_string().contains("add --damping"), "{error}");
        }
    });
    let b = [1.0, 2.0, 3.0, 4.0];
    let method = VectorMethod::IterativeRefinement;
    let error = refine_vector(&a, &b, &far, 1e-6, method).unwrap_err();
    assert!(matches!(error, RefineError::CannotConverge { .. }), "{error}");
    // Conjugate gradients do not mind the scale.
    refine_vector(&a, &b, &far, 1e-6, VectorMethod::ConjugateGradient).unwrap();
}

#[test]
fn what_rounding_forbids_ends_with_the_floor() {
    // Hilbert's matrix, of condition 4.8e5.
    let a = Array2::from_shape_fn((5, 5), |(i, j)| 1.0 / (i + j + 1) as f64);
    let a = SpdMatrix::new(&a, 0.0).unwrap();
    let start = exact_inverse(&a) * 1.1;
    with_boards("sim", |boards| {
        let method = RefineMethod::NewtonSchulz;
        let error = refine(boards, &a, &start, 1e-15, method, &Quiet).unwrap_err();
        let RefineError::Stalled { reached, .. } = error else { panic!("{error}") };
        assert!(reached > 1e-15 && reached < 1e-6, "{reached}");
    });
    let method = VectorMethod::ConjugateGradient;
    let error = refine_vector(&a, &[1.0, 0.3, -0.7, 2.0, 0.1], &start, 1e-17, method).unwrap_err();
    assert!(matches!(error, RefineError::Stalled { .. }), "{error}");
}

#[test]
fn tolerances_and_vectors_are_checked() {
    let a = spd();
    let inverse = exact_inverse(&a);
    with_boards("sim", |boards| {
        for bad in [0.0, -1.0, 1.0, f64::NAN] {
            let method = RefineMethod::NewtonSchulz;
            let error = refine(boards, &a, &inverse, bad, method, &Quiet).unwrap_err();
            assert!(matches!(error, RefineError::BadTolerance(_)), "{error}");
        }
    });
    let solve = |b: &[f64]| refine_vector(&a, b, &inverse, 1e-6, VectorMethod::default());
    let error = solve(&[1.0, 2.0]).unwrap_err().to_string();
    assert!(error.contains("b has 2 entries") && error.contains("4 rows"), "{error}");
    let error = solve(&[1.0, f64::NAN, 0.0, 0.0]).unwrap_err().to_string();
    assert!(error.contains("entry 1 of b is NaN"), "{error}");
    assert_eq!(solve(&[0.0; 4]).unwrap().x, [0.0; 4]);
}

#[test]
fn a_good_preconditioner_saves_steps() {
    let n = 60;
    let a = Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
        0 => 2.001,
        1 => -1.0,
        _ => 0.0,
    });
    let a = SpdMatrix::new(&a, 0.0).unwrap();
    let b: Vec<f64> = (0..n).map(|i| ((7 * i) % 5) as f64 - 2.0).collect();
    let plain = conjugate_gradient(&a, &b, 1e-10).unwrap();
    let mut near = exact_inverse(&a);
    // Two per cent off, entry by entry.
    for (index, x) in near.iter_mut().enumerate() {
        *x *= 1.0 + 0.02 * ((index % 7) as f64 / 3.0 - 1.0);
    }
    let near = symmetrised(&near);
    let found = refine_vector(&a, &b, &near, 1e-10, VectorMethod::ConjugateGradient).unwrap();
    assert!(found.residual() <= 1e-10 && plain.residual() <= 1e-10);
    assert!(found.work.steps < plain.work.steps, "{} {}", found.work.steps, plain.work.steps);
    for (x, y) in found.x.iter().zip(&plain.x) {
        assert!((x - y).abs() < 1e-6, "{x} {y}");
    }
}
