use std::sync::Arc;

use super::*;
use crate::invert::Quiet;
use crate::linalg::{from_eigen, symmetric_eigen};
use crate::open;
use crate::stats::student_quantile;
use crate::testing::{calibrated, median, true_model};

fn matrix() -> SpdMatrix {
    let a = Array2::from_shape_fn((5, 5), |(i, j)| match i.abs_diff(j) {
        0 => 2.0 + 0.3 * i as f64,
        1 => -0.8,
        _ => 0.0,
    });
    SpdMatrix::new(&a, 0.0).unwrap()
}

fn options(samples: u64, seed: u64) -> InvertOptions {
    let budget = Budget { samples: Some(samples), ..Budget::default() };
    InvertOptions { budget, seed, ..InvertOptions::default() }
}

/// Every entry against the sampled law; false-alarm rate 1e-6 over all of them (Bonferroni).
#[test]
fn the_ideal_board_propagates_by_its_law() {
    let a = matrix();
    let lags = [3, 6, 12, 24, 48];
    let limit = student_quantile(63, 1.0 - 1e-6 / (25.0 * 5.0));
    for seed in [1, 2] {
        let mut device = open("sim:profile=ideal").unwrap();
        let found =
            propagator(device.as_mut(), &a, &lags, &options(200_000, seed), &Quiet).unwrap();
        assert_eq!(found.batches, 64);
        for lag in &found.lags {
            println!(
                "{} ticks: largest z {:.2}, error {:.2e} of {:.3}, overdamped {:.2}",
                lag.ticks,
                lag.largest_z,
                relative_error(&lag.propagator, &lag.reference),
                crate::linalg::frobenius(&lag.reference),
                lag.overdamped_distance
            );
            assert!(lag.largest_z < limit, "{} ticks: {}", lag.ticks, lag.largest_z);
            // Sharp enough to tell one lag from the next.
            let width = lag.half_widths.iter().fold(0.0, |most: f64, x| x.max(most));
            assert!(width < 0.05, "{width}");
        }
        let step = &found.lags[1].reference - &found.lags[0].reference;
        assert!(crate::linalg::frobenius(&step) > 0.3);
    }
}

/// The reference is the matrix function that the documentation says.
#[test]
fn equal_cells_propagate_by_damped_cosines() {
    let a = matrix();
    let info = open("sim:profile=ideal").unwrap().info().clone();
    let mut model = BoardModel::nominal(&info);
    // Nearly continuous noise.
    model.period_s *= 1e-3;
    let plan = InversionPlan::unscaled(&a, &info, &model, &Budget::default()).unwrap();
    let view = View::new(&plan, &info, &model, GainCode(4096));
    let (values, vectors) = symmetric_eigen(&plan.capacitance);
    let cell = view.cell;
    for ticks in [1000, 20_000] {
        let tau = f64::from(ticks) * model.period_s;
        let function = values.mapv(|c| {
            let alpha = 1.0 / (2.0 * cell.r_ohm * c);
            let omega = (1.0 / (cell.l_henry * c) - alpha * alpha).sqrt();
            (-alpha * tau).exp() * ((omega * tau).cos() - alpha / omega * (omega * tau).sin())
        });
        let expected = from_eigen(&function, &vectors);
        let error = relative_error(&view.reference(ticks), &expected);
        assert!(error < 1e-5, "{ticks}: {error}");
    }
}

#[test]
fn lags_are_checked() {
    let mut device = open("sim:profile=ideal").unwrap();
    let a = matrix();
    let mut refused = |lags: &[u32], decimation| {
        let budget = Budget { decimation, ..Budget::default() };
        let options = InvertOptions { budget, ..InvertOptions::default() };
        propagator(device.as_mut(), &a, lags, &options, &Quiet).unwrap_err().to_string()
    };
    assert!(refused(&[], None).contains("0 lags"));
    assert!(refused(&[4, 0], None).contains("lag of 0"));
    assert!(refused(&[4, 6], Some(4)).contains("common divisor is 2"));
    assert!(refused(&[1, 70_000], None).contains("more than 65536 frames"));
    let skew = SpdMatrix::new(&ndarray::array![[1.0, -1.1], [-1.1, 4.0]], 0.0).unwrap();
    let error = propagator(device.as_mut(), &skew, &[4], &options(1000, 1), &Quiet).unwrap_err();
    assert!(error.to_string().contains("row 0 is not diagonally dominant"), "{error}");
}

/// Six boards, each calibrated and not, against the propagator that the true parts have with the codes that
/// were set. Calibrated, every entry is off by no more than statistics and calibration say, and the law by
/// the calibration is the true one (false-alarm rate 1e-6 over all entries, Bonferroni). Taken for nominal,
/// the parts put the law off. Fixed seeds.
#[test]
fn calibration_takes_off_what_the_board_adds() {
    let a = matrix();
    let (mut known, mut plain) = (Vec::new(), Vec::new());
    for (profile, seed) in
        (1..=3).flat_map(|seed| ["rev-a", "rev-b"].map(|profile| (profile, seed)))
    {
        let uri = format!("sim:profile={profile},seed={seed}");
        let measured = calibrated(&uri);
        for (measured, errors) in [(measured, &mut known), (Arc::default(), &mut plain)] {
            let calibrated = !measured.is_empty();
            let options = InvertOptions { measured, ..options(100_000, seed) };
            let found =
                propagator(open(&uri).unwrap().as_mut(), &a, &[6, 30], &options, &Quiet).unwrap();
            let model = true_model(profile, seed, &found.board);
            let truth = View::new(&found.plan, &found.board, &model, found.gain);
            let entries = 2.0 * 6.0 * (a.n() * a.n()) as f64;
            let limit = student_quantile(found.batches - 1, 1.0 - 1e-6 / entries);
            for lag in &found.lags {
                let expected = truth.reference(lag.ticks);
                errors.push(relative_error(&lag.reference, &expected));
                assert_eq!(lag.calibration.is_some(), calibrated);
                let Some(sigma) = &lag.calibration else { continue };
                let statistical = lag.replicates.variance().mapv(f64::sqrt);
                for (at, expected) in expected.indexed_iter() {
                    let off = (lag.propagator[at] - expected).abs();
                    let sigma = sigma[at].hypot(statistical[at]);
                    assert!(off < limit * sigma, "{uri} {} {at:?}: {off}, {sigma}", lag.ticks);
                }
                assert!(lag.largest_z < limit, "{uri}: {}", lag.largest_z);
            }
        }
    }
    let [known, plain] = [known, plain].map(median);
    println!("median error of the law: calibrated {known:.1e}, uncalibrated {plain:.1e}");
    assert!(known < 0.1 * plain, "{known} {plain}");
}
