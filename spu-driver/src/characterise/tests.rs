//! Whole runs on simulated boards, at fixed seeds.

use super::theory::{Theory, identity, solve};
use super::*;
use crate::board_model::MeasuredBoard;
use crate::device::{AcquirePlan, Deadline};
use crate::invert::Quiet;
use crate::testing::hooked::{AnyDevice, Hook, Hooked};
use crate::{CancelHandle, Sink, open};

fn run(uri: &str, samples: u64) -> Characterisation {
    let mut device = open(uri).unwrap();
    let options = CharacteriseOptions { samples, seed: 5, ..CharacteriseOptions::default() };
    characterise(device.as_mut(), &lively(8), &options, &Quiet).unwrap()
}

/// Every threshold is one of [`ALARM`] standard errors or a p-value of 1e-6.
#[test]
fn an_ideal_board_follows_its_law() {
    let found = run("sim:profile=ideal,seed=3", 400_000);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.moments_agree, Some(true));
    assert_eq!(found.spectra.pairs.len(), 28);
    for cell in &found.spectra.cells {
        assert!(cell.chi_squared_z.abs() < ALARM, "{} {}", cell.cell, cell.chi_squared);
        assert!((cell.chi_squared - 1.0).abs() < 0.6, "{} {}", cell.cell, cell.chi_squared);
        let drive = cell.drive.unwrap();
        assert!((drive.value - 1.0).abs() < ALARM * drive.error, "{drive:?}");
        assert!(drive.error < 0.01, "{drive:?}");
        // The χ² bands hold 95 % of bands that are nearly independent.
        let outside = (0..cell.density.len())
            .filter(|k| !(cell.low[*k]..=cell.high[*k]).contains(&cell.expected[*k]))
            .count();
        assert!(outside < cell.density.len() / 4, "{outside}");
    }
    for pair in &found.spectra.pairs {
        assert!(pair.chi_squared_z.abs() < ALARM, "{pair:?}");
    }
    let slope = found.allan.slope.unwrap();
    assert!((slope.value + 0.5).abs() < ALARM * slope.error && slope.error < 0.1, "{slope:?}");
    let ratio = found.allan.ticks_per_sample / found.allan.expected_ticks_per_sample;
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    for point in &found.allan.points {
        let off = (point.deviation / point.expected - 1.0) / point.relative_error;
        assert!(off.abs() < ALARM, "{point:?}");
    }
    assert_eq!(found.fourth.moments.len(), 330);
    let floor = found.floor.unwrap();
    assert!(floor.floor_squared.value.abs() < ALARM * floor.floor_squared.error, "{floor:?}");
    assert!(floor.floor < 0.02, "{floor:?}");
    let largest = found.current.correlation.iter().flatten().map(|c| c.value.abs());
    assert!(largest.fold(0.0, f64::max) < 0.1);
}

#[test]
fn a_weak_drive_shows_in_its_cell() {
    let found = run("sim:profile=ideal,seed=3,fault=drive-gain.3.0.5", 200_000);
    let worst =
        found.spectra.cells.iter().max_by(|a, b| a.chi_squared.total_cmp(&b.chi_squared)).unwrap();
    assert_eq!(worst.cell, 3);
    assert!(worst.deviates && worst.chi_squared > 3.0, "{}", worst.chi_squared);
    for cell in &found.spectra.cells {
        let drive = cell.drive.unwrap();
        let planted = if cell.cell == 3 { 0.5 } else { 1.0 };
        assert!((drive.value - planted).abs() < ALARM * drive.error, "{} {drive:?}", cell.cell);
    }
    assert!(found.findings.iter().any(|f| f.check == "spectrum" && f.cells == [3]));
    // Time has a direction where cells are driven unequally.
    assert!(found.current.worst_antisymmetric.alarm, "{:?}", found.current.worst_antisymmetric);
    assert!(!found.null.worst_correlation.alarm);
}

#[test]
fn a_stuck_converter_is_named_and_left_out() {
    let found = run("sim:profile=ideal,seed=3,fault=stuck-adc.5.100", 100_000);
    assert_eq!(found.silent, [5]);
    assert_eq!(found.converters[5].range, (100, 100));
    assert!(found.findings.iter().any(|f| f.check == "converter" && f.cells == [5]));
    let worst = found.spectra.cells.iter().map(|c| c.chi_squared).fold(0.0, f64::max);
    assert!((found.spectra.cells[5].chi_squared - worst).abs() < 1e-12);
    assert_eq!(found.spectra.pairs.len(), 21);
    assert!(found.spectra.pairs.iter().all(|pair| pair.strongest.is_finite()));
    assert!(found.fourth.moments.iter().all(|m| !m.cells.contains(&5) && m.z.is_finite()));
    assert!(found.floor.is_none() && found.floor_missing.unwrap().contains("cell 5"));
}

#[test]
fn an_uncalibrated_board_has_a_floor() {
    let found = run("sim:profile=rev-a,seed=4", 200_000);
    let floor = found.floor.unwrap();
    assert!(floor.floor > 0.1 && floor.floor < 1.0, "{floor:?}");
    assert!(floor.floor_squared.value > ALARM * floor.floor_squared.error);
    assert!(found.findings.iter().any(|f| f.check == "floor"));
    // Its samples are Gaussian and its channels in step all the same.
    assert!(!found.fourth.worst.alarm && !found.null.worst_correlation.alarm);
}

/// The same weak drive, known: the gain codes make up for it and the law has it.
#[test]
fn a_calibrated_board_follows_the_law_of_its_values() {
    let mut device = open("sim:profile=ideal,seed=3,fault=drive-gain.3.0.5").unwrap();
    let mut model = BoardModel::nominal(device.info());
    model.cells[3].drive_ampere *= 0.5;
    let board = MeasuredBoard { id: 77, model, draws: Vec::new() };
    let measured = Arc::new([(device.info().serial, Arc::new(board))].into());
    let options = CharacteriseOptions { samples: 200_000, seed: 6, measured, ..Default::default() };
    let found = characterise(device.as_mut(), &lively(8), &options, &Quiet).unwrap();
    assert_eq!(found.calibration, Some(77));
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert!(found.floor.unwrap().floor < 0.02);
}

/// Presses stop once so many ticks are measured.
struct StopAt(u64, CancelHandle);

impl Progress for StopAt {
    fn update(&self, _copy: usize, kept: u64, _total: u64) {
        if kept >= self.0 {
            self.1.cancel();
        }
    }
}

#[test]
fn a_cancelled_run_keeps_its_record() {
    let run = |stop: u64, samples: u64| {
        let mut device = open("sim:profile=ideal,seed=3").unwrap();
        let stop = StopAt(stop, device.cancel_handle());
        let options = CharacteriseOptions { samples, ..CharacteriseOptions::default() };
        characterise(device.as_mut(), &lively(8), &options, &stop)
    };
    // Progress is told now and then: the rest would take seconds.
    let whole = 8_000_000;
    let found = run(200_000, whole).unwrap();
    assert_eq!(found.outcome, Outcome::Cancelled);
    assert!((200_000..whole).contains(&found.samples), "{}", found.samples);
    assert!(found.floor.is_none() && found.moments_agree.is_none());
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    // In the inverse: the record is whole.
    let found = run(450_000, 400_000).unwrap();
    assert_eq!((found.outcome, found.samples), (Outcome::Cancelled, 400_000));
    assert_eq!(found.moments_agree, Some(true));
    // Before there is a record: nothing.
    let mut device = open("sim:profile=ideal,seed=3").unwrap();
    device.cancel_handle().cancel();
    let options = CharacteriseOptions::default();
    let error = characterise(device.as_mut(), &lively(8), &options, &Quiet).unwrap_err();
    assert!(matches!(error, OperationError::Device(Error::Cancelled)), "{error}");
}

/// Counts the bursts of a board whose link carries a thirtieth of its samples.
struct Narrow {
    /// Frames of the capture memory.
    frames: u32,
    bursts: usize,
}

impl Hook<AnyDevice> for Narrow {
    fn acquire(
        &mut self,
        device: &mut AnyDevice,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        if plan.stream {
            assert!(plan.count.get() <= self.frames, "{plan:?}");
            self.bursts += 1;
        }
        device.acquire(plan, sink, deadline)
    }
}

#[test]
fn a_narrow_link_delivers_bursts() {
    let inner = open("sim:profile=ideal,seed=3").unwrap();
    let frames = inner.info().raw.capture_frames;
    let mut device = Hooked::new(inner, Narrow { frames, bursts: 0 });
    device.info.raw.stream_frames_per_s = 400_000;
    let options = CharacteriseOptions { samples: 200_000, seed: 8, ..Default::default() };
    let found = characterise(&mut device, &lively(8), &options, &Quiet).unwrap();
    // One without drive, the others of capture memory's 4,096 frames.
    assert_eq!(device.hook.bursts, 1 + 49);
    assert_eq!((found.samples, found.moments_agree), (200_000, Some(true)));
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert!(found.spectra.segment <= 4096 && found.spectra.averages > 100);
    assert!(found.stages[2].settle_ticks >= 49 * found.programming.settle_ticks);
}

#[test]
fn too_few_samples_are_refused_before_anything_is_set() {
    let mut device = open("sim").unwrap();
    let before = device.link_stats();
    let options = CharacteriseOptions { samples: 1000, ..CharacteriseOptions::default() };
    let error = characterise(device.as_mut(), &lively(8), &options, &Quiet).unwrap_err();
    assert!(matches!(error, OperationError::TooFewSamples { samples: 1000, .. }), "{error}");
    let wide = characterise(device.as_mut(), &lively(9), &options, &Quiet).unwrap_err();
    assert!(wide.to_string().contains("9 × 9"), "{wide}");
    assert_eq!(device.link_stats(), before);
}

/// A small board's law by both formulas: the spectrum from H(z), and the Fourier sum of the lagged
/// covariance.
#[test]
fn the_spectrum_is_that_of_the_lagged_covariance() {
    let mut device = open("sim:profile=rev-a").unwrap();
    let info = device.info().clone();
    drop(device.reset(crate::ResetLevel::Session, Deadline::after_secs(5)));
    let model = BoardModel::nominal(&info);
    let plan = InversionPlan::with_model(&lively(3), &info, &model, &Budget::default()).unwrap();
    let theory = Theory::new(&plan, &info, &model, GainCode(4096));
    let lags = theory.lagged(1 << 14);
    for frequency_hz in [0.0, 1e4, 1.3e5, 2e5, 1e6, 5.9e6] {
        let angle = 2.0 * std::f64::consts::PI * frequency_hz * theory.period_s;
        for (cell, density) in theory.density(frequency_hz).into_iter().enumerate() {
            let sum: f64 = lags
                .iter()
                .enumerate()
                .map(|(lag, k)| {
                    let sides = if lag == 0 { 1.0 } else { 2.0 };
                    sides * k[[cell, cell]] * (angle * lag as f64).cos()
                })
                .sum();
            let other = 2.0 * theory.period_s * (sum + theory.rounding[cell]);
            let size = 2.0 * theory.period_s * lags[0][[cell, cell]];
            assert!((density - other).abs() < 1e-6 * size.max(density), "{density} {other}");
        }
        if frequency_hz > 0.0 {
            let response = theory.transfer(frequency_hz);
            let one = solve(solve(response.clone(), identity(3)), identity(3));
            for (a, b) in one.iter().flatten().zip(response.iter().flatten()) {
                assert!((a - b).norm() < 1e-9 * response[0][0].norm());
            }
        }
    }
}
