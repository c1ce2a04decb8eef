//! Boards in the loop; rung: sim.

use std::{num::NonZeroU64, sync::Arc};

use ndarray::Array2;
use spu_driver::{
    calibrate::{CalibrateOptions, calibrate},
    invert::{InvertOptions, Quiet},
    matrix::SpdMatrix,
    rc::RcCalibrateOptions,
};

use super::*;

/// A sum of squares of normal deviates exceeds its mean by more than this factor squared with a chance of
/// 10⁻⁷ at most, whatever the weights: a single one is the worst (Székely & Bakirov, "Extremal
/// probabilities for Gaussian quadratic forms", 2003).
const FAR: f64 = 5.4;

fn rc_board(uri: &str) -> RcBoard {
    RcBoard::calibrate(spu_driver::open(uri).unwrap(), &RcCalibrateOptions::default()).unwrap()
}

/// An RLC board, calibrated by measurements alone.
fn rlc_board(uri: &str) -> RlcBoard {
    let mut device = spu_driver::open(uri).unwrap();
    let options = CalibrateOptions::at(1_700_000_000);
    let calibration = calibrate(device.as_mut(), &options, &Quiet).unwrap();
    let measured = Arc::new(calibration.measured(0));
    let measured = Arc::new([(device.info().serial, measured)].into());
    RlcBoard::new(device, &InvertOptions { measured, ..InvertOptions::default() }).unwrap()
}

fn uncalibrated(uri: &str) -> RlcBoard {
    RlcBoard::new(spu_driver::open(uri).unwrap(), &InvertOptions::default()).unwrap()
}

fn krylov(relaxer: impl Relaxer + 'static) -> Krylov {
    let cells = relaxer.cells();
    Krylov::new(Box::new(relaxer), cells).unwrap()
}

/// Means at t = 0, 0.3, 1, 4 and ∞, means and covariances of noisy runs at 0.3 and ∞, refusals. A
/// board that obeys the law fails with a chance of [`conformance::FALSE_ALARM`], 10⁻⁶. What is
/// allowed beside the noise is what eight bits of banks and converters hold: 1.5 % in means, 2 % in variances.
#[test]
fn a_board_of_rc_cells_conforms() {
    let settings = conformance::Settings {
        damping: 1.0,
        noise: 0.1,
        samples: 300,
        mean: 0.015,
        variance: 0.02,
        ..Default::default()
    };
    let mut backend = krylov(rc_board("sim:profile=rc-8,seed=11"));
    assert!(backend.is_device());
    conforms(&mut backend, &settings);
}

/// The mean in the limit. Three problems: a chance of 3 · 10⁻⁷ to fail for a board that obeys the law.
fn conforms_in_the_limit(profile: &str) {
    let samples = NonZeroU64::new(50_000).unwrap();
    // Of 6 cells, √(7/N); and 2 % for what the codes hold the matrix to.
    let mean = FAR * (7.0 / samples.get() as f64).sqrt() + 0.02;
    let settings = conformance::Settings { damping: 1.0, mean, ..Default::default() };
    let uri = format!("sim:profile={profile},seed=3");
    conforms(&mut krylov(rlc_board(&uri).effective(samples)), &settings);
    // The suite tells: without a calibration the board is off by more.
    if profile == "rev-a" {
        let backend = &mut krylov(uncalibrated(&uri).effective(samples));
        let checks = conformance::run(backend, &settings).unwrap();
        assert!(checks.iter().any(|check| !check.passed()), "{checks:?}");
    }
}

#[test]
fn rev_a_boards_conform_in_the_limit() {
    conforms_in_the_limit("rev-a");
}

#[test]
fn rev_b_boards_conform_in_the_limit() {
    conforms_in_the_limit("rev-b");
}

#[test]
fn an_rlc_board_states_the_error_of_its_samples_and_repeats_them() {
    let (curvature, gradient) = (Dense::new(vec![2.0, -0.5, -0.5, 1.0], 2).unwrap(), [1.0, 2.0]);
    let at = Evolution { damping: 0.5, time: f64::INFINITY, noise: 0.0, seed: 5 };
    let run = |samples, seed| {
        let board = uncalibrated("sim:profile=ideal").effective(NonZeroU64::new(samples).unwrap());
        let mut state = [0.0; 2];
        let at = Evolution { seed, ..at };
        let report = krylov(board).evolve(&curvature, &gradient, &at, &mut state).unwrap();
        (state, report.statistical_error.unwrap())
    };
    let ((first, few), (_, many)) = (run(5_000, 5), run(80_000, 5));
    // √16, by batches whose scatter is known to some tenths.
    assert!(few / many > 2.0 && few / many < 8.0, "{few} {many}");
    assert_eq!(run(5_000, 5).0, first);
    assert_ne!(run(5_000, 6).0, first);
    let exact = evolved(&mut Cholesky::default(), &curvature, &gradient, &[0.0; 2], &at);
    assert!(error(&run(80_000, 5).0, &exact) < FAR * many + 0.01);
}

#[test]
fn what_a_board_cannot_do_is_refused_and_nothing_changes() {
    let refused = |backend: &mut dyn NaturalGradient, curvature: &dyn Curvature, at| {
        let start = random(2, curvature.len());
        let mut state = start.clone();
        let gradient = random(1, curvature.len());
        let error = backend.evolve(curvature, &gradient, &at, &mut state).unwrap_err();
        assert_eq!(state, start, "{error}");
        error
    };
    let infinite = Evolution { time: f64::INFINITY, ..AT };
    let rlc = &mut krylov(uncalibrated("sim:profile=rev-b"));
    let error = refused(rlc, &Scaled(3, 1.0), AT);
    assert!(matches!(error, BackendError::EquilibriumOnly { time: 1.0, .. }));
    assert!(error.to_string().contains("t = inf"), "{error}");
    let noisy = Evolution { noise: 0.1, ..infinite };
    assert!(matches!(refused(rlc, &Scaled(3, 1.0), noisy), BackendError::Noiseless { .. }));

    let mut rc = krylov(rc_board("sim:profile=rc-4"));
    let rc = &mut rc as &mut dyn NaturalGradient;
    for (backend, at) in [(rlc as &mut dyn NaturalGradient, infinite), (rc, AT)] {
        let error = refused(backend, &Scaled(3, f32::NAN), at);
        assert!(matches!(error, BackendError::NotFinite(_)), "{error}");
        let error = refused(backend, &Scaled(3, -1.0), at);
        assert!(matches!(error, BackendError::NotPositiveDefinite { .. }), "{error}");
        for damping in [0.0, -1.0, f64::NAN] {
            let error = refused(backend, &Scaled(3, 1.0), Evolution { damping, ..at });
            assert!(matches!(error, BackendError::Damping(_)), "{error}");
        }
        let error = refused(backend, &Scaled(3, 1.0), Evolution { time: -1.0, ..at });
        assert!(matches!(error, BackendError::Time(-1.0)), "{error}");
    }
    let few = Krylov::new(Box::new(uncalibrated("sim:profile=rev-a")), 9).map(|_| ());
    assert!(matches!(few, Err(BackendError::TooFewCells { cells: 9, available: 8, .. })));

    // A board of the other kind.
    let rc = spu_driver::open("sim:profile=rc-8").unwrap();
    let error = RlcBoard::new(rc, &InvertOptions::default()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("use RcBoard"), "{error}");
}

/// Boards whose microcontroller restarts while they run.
#[test]
fn a_board_that_vanishes_leaves_the_state_as_it_was() {
    let lost = |backend: &mut dyn NaturalGradient, time| {
        network_problem(|curvature, gradient, start| {
            let at = Evolution { time, ..AT };
            let (mut state, memory) = (start.to_vec(), backend.memory());
            for _ in 0..40 {
                let before = state.clone();
                if let Err(error) = backend.evolve(curvature, gradient, &at, &mut state) {
                    assert!(matches!(error, BackendError::Device { .. }), "{error}");
                    assert_eq!((&state, &backend.memory()), (&before, &memory));
                    return;
                }
            }
            panic!("{} is still there", backend.label());
        });
    };
    // The calibration takes 2,191,752 ticks.
    let rc = || rc_board("sim:profile=rc-8,seed=5,fault=restart.ticks.2191780");
    let rlc = || uncalibrated("sim:profile=rev-b,fault=restart.ticks.40000");
    lost(&mut krylov(rc()), 1.0);
    lost(&mut krylov(rlc()), f64::INFINITY);
    lost(&mut Kfac::new(Box::new(rc()), KfacSettings::default()).unwrap(), f64::INFINITY);
    lost(&mut Kfac::new(Box::new(rlc()), KfacSettings::default()).unwrap(), f64::INFINITY);
}

/// A factor of 13 rows, which takes two tiles of a board.
fn factor() -> SpdMatrix {
    let mut found = None;
    network_problem(|curvature, _, _| {
        let factors = curvature.kronecker();
        let factor = factors.iter().find(|factor| factor.width == 13).unwrap();
        let a = Array2::from_shape_fn((13, 13), |(i, j)| f64::from(factor.a[i * 13 + j]));
        found = Some(SpdMatrix::new(&((&a + &a.t()) * 0.5), 0.3).unwrap());
    });
    found.unwrap()
}

fn off(inverter: &mut dyn Inverter) -> (f64, Option<f64>) {
    let a = factor();
    let given = inverter.invert(&a, 3).unwrap();
    let exact = a.digital_inverse();
    let norm = |m: &Array2<f64>| m.iter().map(|x| x * x).sum::<f64>().sqrt();
    (norm(&(&given.inverse - &exact)) / norm(&exact), given.spent.statistical_error)
}

/// A false alarm has a chance of 10⁻⁷.
#[test]
fn inverses_of_boards_agree_with_the_digital_ones_within_the_stated_error() {
    let samples = NonZeroU64::new(50_000).unwrap();
    let board = &mut rlc_board("sim:profile=rev-b,seed=4").effective(samples);
    let (error, stated) = off(board);
    let stated = stated.unwrap();
    // One per cent for what codes and a quick calibration leave.
    assert!(stated < 0.05 && error < FAR * stated + 0.01, "{error}, stated {stated}");
    assert!(board.work().1 == 2);
    // Means: no samples, the residual of 0.1 % times the condition number.
    let (error, stated) = off(&mut rc_board("sim:profile=rc-8,seed=4"));
    assert!(stated.is_none() && error < 2e-3, "{error}");
    assert_eq!(off(&mut DigitalInverter).0, 0.0);
}

#[test]
fn kfac_on_a_board_steps_as_the_digital_oracle() {
    network_problem(|curvature, gradient, start| {
        let at = Evolution { time: f64::INFINITY, damping: 0.3, ..AT };
        let kfac = |inverter| Kfac::new(inverter, KfacSettings::default()).unwrap();
        let oracle = &mut kfac(Box::new(DigitalInverter));
        let expected = evolved(oracle, curvature, gradient, start, &at);
        let mut board = kfac(Box::new(rc_board("sim:profile=rc-8,seed=6")));
        let got = evolved(&mut board, curvature, gradient, start, &at);
        assert!(board.is_device() && error(&got, &expected) < 5e-3, "{}", error(&got, &expected));
        assert!(!oracle.is_device() && oracle.label().contains("digital"));
    });
}
