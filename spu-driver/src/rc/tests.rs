//! Relaxations on simulated RC boards, against the exact law on the host.

use ndarray::{Array2, array};

use super::*;
use crate::device::Deadline;
use crate::linalg::{exponential, solve};
use crate::matrix::SpdMatrix;
use crate::open;

/// `(1 − e^{−T t}) T⁻¹ b`.
fn law(t: &Array2<f64>, b: &[f64], time: f64) -> Vec<f64> {
    let n = t.nrows();
    let limit = solve(t, &Array2::from_shape_fn((n, 1), |(i, _)| b[i]));
    let decay = exponential(&(t * -time));
    (&limit - &decay.dot(&limit)).iter().copied().collect()
}

fn chain(n: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
        0 => 0.6 + 0.05 * i as f64,
        1 => -0.2 - 0.02 * i.min(j) as f64,
        _ => 0.0,
    })
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let off: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (off / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

#[test]
fn an_exact_board_runs_the_law_as_held() {
    let without =
        "bank_tolerance+drive_mismatch+r_tolerance+stray+adc_gain+adc_offset+adc_quantisation";
    let mut device = open(&format!("sim:profile=rc-8,without={without}")).unwrap();
    let model = RcModel::nominal(device.as_mut(), Deadline::after_secs(5)).unwrap();
    let relaxer = Relaxer::new(device.info(), model).unwrap();
    let t = chain(8);
    let plan = relaxer.plan(&t).unwrap();
    assert!((plan.held() - &t).iter().all(|off| off.abs() < 0.01));
    let mut b = vec![0.0; 8];
    b[0] = 1.7;
    for time in [0.3, 2.0, 15.0] {
        let options = RelaxOptions::default();
        let read = relaxer.relax(device.as_mut(), &plan, &b, time, &options).unwrap();
        let expected = law(plan.held(), &b, read.time);
        for i in 0..8 {
            let off = (read.x[i] - expected[i]).abs();
            assert!(off < 0.51 * read.steps[i] + 1e-9, "{time}, {i}: {off} {read:?} {expected:?}");
        }
    }
    let read = relaxer.solve(device.as_mut(), &plan, &b, &RelaxOptions::default()).unwrap();
    assert!(relative(&read.x, &law(plan.held(), &b, 1e3)) < 1e-4, "{read:?}");
}

#[test]
fn a_calibrated_board_runs_the_law_as_held() {
    for seed in 1..3 {
        let mut device = open(&format!("sim:profile=rc-8,seed={seed}")).unwrap();
        let calibrated = calibrate(device.as_mut(), &RcCalibrateOptions::default()).unwrap();
        let profile = spu_sim::Profile::named("rc-8").unwrap();
        let parts = spu_sim::analog::Parts::draw(&profile, seed, 0);
        let model = &calibrated.model;
        // Up to the common scale of currents, which no voltage shows.
        let scale: f64 =
            (0..8).map(|i| (model.cells[i].drive_ampere / parts.drive_ampere[i]).ln()).sum::<f64>()
                / 8.0;
        let scale = scale.exp();
        let close = |found: f64, part: f64, full: f64, what: &str| {
            let off = (found / scale - part).abs() / full;
            assert!(off < 4e-3, "{what}: {off} of full scale");
        };
        for i in 0..8 {
            for bit in 0..8 {
                let full = 255.0 * profile.banks.self_lsb.value;
                close(model.selves[i][bit], parts.self_elements[i][bit], full, "self");
                let full = 255.0 * profile.banks.storage.as_ref().unwrap().lsb.value;
                close(model.storage[i][bit], parts.storage_elements[i][bit], full, "storage");
            }
            let gain = model.cells[i].adc_gain / parts.adc_gain[i];
            let mean: f64 =
                (0..8).map(|i| (model.cells[i].adc_gain / parts.adc_gain[i]).ln()).sum();
            assert!((gain / (mean / 8.0).exp() - 1.0).abs() < 4e-3, "gain {gain}");
            assert!((model.cells[i].adc_offset - parts.adc_offset[i]).abs() < 0.1);
        }
        for pair in 0..28 {
            for bit in 0..8 {
                let full = 255.0 * profile.banks.coupling_lsb.value;
                close(
                    model.couplings[pair][bit],
                    parts.coupling_elements[pair][bit],
                    full,
                    "coupling",
                );
            }
        }
        assert!(calibrated.residual < 5e-3, "{}", calibrated.residual);
    }
}

#[test]
fn what_a_board_cannot_hold_is_refused_with_the_reason() {
    let mut device = open("sim:profile=rc-4").unwrap();
    let model = RcModel::nominal(device.as_mut(), Deadline::after_secs(5)).unwrap();
    let relaxer = Relaxer::new(device.info(), model).unwrap();
    let refusal = |t: &Array2<f64>| relaxer.plan(t).unwrap_err().to_string();
    assert!(refusal(&chain(5)).contains("5 rows"));
    assert!(refusal(&Array2::zeros((2, 3))).contains("square"));
    assert!(refusal(&array![[1.0, f64::NAN], [0.0, 1.0]]).contains("NaN"));
    assert!(refusal(&array![[1.0, -0.5], [-0.4, 1.0]]).contains("symmetric"));
    assert!(refusal(&array![[1.0, 0.5], [0.5, 1.0]]).contains("no sign"));
    assert!(refusal(&array![[1.0, -2.0], [-2.0, 1.0]]).contains("positive definite"));
    assert!(refusal(&array![[0.0]]).contains("positive definite"));
    let rlc = open("sim").unwrap();
    let error = Relaxer::new(rlc.info(), relaxer.model().clone()).unwrap_err().to_string();
    assert!(error.contains("rev-a") && error.contains("rc-8"), "{error}");
}

#[test]
fn any_matrix_is_solved_by_the_mean_and_refined() {
    let mut device = open("sim:profile=rc-8,seed=4").unwrap();
    let calibrated = calibrate(device.as_mut(), &RcCalibrateOptions::default()).unwrap();
    let relaxer = Relaxer::new(device.info(), calibrated.model).unwrap();
    // Entries of either sign: B Bᵀ + I of a fixed B.
    let b = Array2::from_shape_fn((8, 8), |(i, j)| {
        ((3 * i * i + 7 * j + 5 * i * j) % 11) as f64 / 5.0 - 1.0
    });
    let mixed = SpdMatrix::new(&(b.dot(&b.t()) + Array2::<f64>::eye(8)), 0.0).unwrap();
    let small = SpdMatrix::new(&chain(3), 0.0).unwrap();
    for (a, tridiagonalised) in [(&mixed, true), (&small, false)] {
        let n = a.n();
        let right: Vec<f64> = (0..n).map(|i| 1.0 - 0.4 * i as f64).collect();
        let mut solve = |tolerance| {
            let options = RelaxOptions::default();
            solve_by_mean(device.as_mut(), &relaxer, a, &right, tolerance, &options)
        };
        let truth = a.digital_inverse().dot(&ndarray::Array1::from(right.clone())).to_vec();
        let once = solve(None).unwrap();
        assert_eq!(once.tridiagonalised, tridiagonalised);
        assert_eq!(once.residuals.len(), 1);
        let off = relative(&once.x, &truth);
        assert!(off < 0.05 && off <= once.error_bound, "{off}: {once:?}");
        let refined = solve(Some(1e-9)).unwrap();
        assert!(refined.residuals.len() > 1 && relative(&refined.x, &truth) < 1e-7, "{refined:?}");
        assert!(refined.flops > 0 && refined.runs > once.runs);
        assert_eq!(solve(None).unwrap().x.len(), n);
    }
    let options = RelaxOptions::default();
    let mut refusal = |b: &[f64], tolerance| {
        solve_by_mean(device.as_mut(), &relaxer, &small, b, tolerance, &options)
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&[1.0], None).contains("3 finite numbers"));
    assert!(refusal(&[1.0, f64::NAN, 0.0], None).contains("finite"));
    assert!(refusal(&[1.0, 2.0, 3.0], Some(1e-30)).contains("end at a residual"));
    let zero = solve_by_mean(device.as_mut(), &relaxer, &small, &[0.0; 3], None, &options);
    assert_eq!(zero.unwrap().x, [0.0; 3]);
}
