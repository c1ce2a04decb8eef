//! What each mitigation of errors gains, and what it costs.
//!
//! Boards of [`programmings`] are calibrated ones with the spread of their profile. All others have no
//! spread and a known program, so that what is left is what the samples and the start of a run leave.

mod timing;

use std::num::NonZeroU32;

use anyhow::{Context, Result};
use ndarray::Array2;
use serde::Serialize;
use spu_driver::ensemble::invert_copies;
use spu_driver::invert::{Inversion, InvertOptions, Quiet, invert};
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::matrix::SpdMatrix;
use spu_driver::ops::logdet::{LogDetMethod, logdet};
use spu_driver::plan::{Budget, Settle};
use spu_driver::route::{Route, RoutePlan, invert_by, plan_route};
use spu_driver::{Device, open};

use super::boards::{REV_A_8_BIT, calibrated, effective as samples, without_spread};
use super::matrices::programmable;
use crate::median;

pub use timing::{Decimation, Start, decimations, starts};

/// Dithered programmings of one matrix.
#[derive(Debug, Serialize)]
pub struct Programmings {
    /// Boards, a matrix each.
    pub boards: usize,
    /// How often the matrix is programmed.
    pub programmings: u32,
    /// Effective samples, all programmings together.
    pub effective: u64,
    /// Median relative Frobenius error.
    pub error: f64,
    /// The same with fewer samples, so that the board is busy for as long as with one programming.
    pub error_at_equal_time: f64,
    /// Median of the known error of quantisation.
    pub quantisation: f64,
    /// Median of the ticks on the board.
    pub ticks: u64,
    /// Programs that were loaded, the one that sets the gain among them.
    pub programs: u32,
    /// Median wall time of the host: planning, read-out, error bars.
    pub host_ms: f64,
}

/// Median errors of calibrated `rev-a` boards, for each number of programmings.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn programmings(boards: u64, effective: u64, seed: u64) -> Result<Vec<Programmings>> {
    const NUMBERS: [u32; 4] = [1, 4, 16, 64];
    let mut rows: Vec<[Vec<f64>; 5]> = vec![<[Vec<f64>; 5]>::default(); NUMBERS.len()];
    for seed in seed..seed + boards {
        let mut board = calibrated("rev-a", seed)?;
        let (device, mut options) = (&mut board.devices[0], board.options);
        let a = programmable(seed)?;
        let truth = a.digital_inverse();
        let mut first_ticks = 0.0;
        for (row, number) in rows.iter_mut().zip(NUMBERS) {
            options.programmings = NonZeroU32::new(number).context("not zero")?;
            let mut read = |effective: u64| {
                options.budget = samples(effective);
                invert(device.as_mut(), &a, &options, &Quiet)
            };
            let result = read(effective)?;
            let ticks = result.ticks.0 as f64;
            if number == 1 {
                first_ticks = ticks;
            }
            let beside = (result.gain_ticks.0 + result.settle_ticks.0) as f64;
            let left = (first_ticks - beside) / (ticks - beside);
            let same_time = read((effective as f64 * left) as u64)?;
            for (values, value) in row.iter_mut().zip([
                relative_error(&result.inverse, &truth),
                relative_error(&same_time.inverse, &truth),
                frobenius(&result.systematic.quantisation) / frobenius(&truth),
                ticks,
                result.host.as_secs_f64() * 1e3,
            ]) {
                values.push(value);
            }
        }
    }
    Ok(rows
        .into_iter()
        .zip(NUMBERS)
        .map(|(row, programmings)| {
            let boards = row[0].len();
            let [error, error_at_equal_time, quantisation, ticks, host_ms] = row.map(median);
            Programmings {
                boards,
                programmings,
                effective,
                error,
                error_at_equal_time,
                quantisation,
                ticks: ticks as u64,
                programs: programmings + 1,
                host_ms,
            }
        })
        .collect())
}

/// Means of several copies.
#[derive(Debug, Serialize)]
pub struct Copies {
    /// Matrices.
    pub matrices: usize,
    /// Copies.
    pub copies: usize,
    /// True if the first copy has four times the resistance, and so a quarter of the independent samples.
    pub one_noisier: bool,
    /// Effective samples of a good copy where each takes as long as one alone.
    pub effective: u64,
    /// Median error of the mean by weights, each copy as long as one alone.
    pub weighted_at_equal_time: f64,
    /// The same of the plain mean.
    pub plain_at_equal_time: f64,
    /// Median error of the mean by weights, all copies with the samples of one together.
    pub weighted_at_equal_samples: f64,
    /// The same of the plain mean.
    pub plain_at_equal_samples: f64,
}

/// Median errors of the mean of copies.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn copies(count: usize, noisier: bool, matrices: u64, seed: u64) -> Result<Copies> {
    const EFFECTIVE: u64 = 12_000;
    let folder = tempfile::tempdir()?;
    let slow = folder.path().join("slow.toml");
    let profile = std::fs::read_to_string(REV_A_8_BIT)?;
    std::fs::write(&slow, profile.replacen("r = { value = 1200.0", "r = { value = 4800.0", 1))?;
    let slow = without_spread(&slow.display().to_string());
    let good = without_spread(REV_A_8_BIT);
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    for copy in 0..count {
        devices.push(open(if noisier && copy == 0 { &slow } else { &good })?);
    }
    let mut errors = <[Vec<f64>; 4]>::default();
    for seed in seed..seed + matrices {
        let a = programmable(seed)?;
        let board = open(&good)?;
        let ask = options(EFFECTIVE, seed);
        let plan = plan_route(Route::Direct, &a, board.info(), &ask)?.plans.swap_remove(0);
        for (at, parts) in [(0, 1), (2, count as u64)] {
            let budget = Budget {
                samples: Some(plan.samples.div_ceil(parts)),
                decimation: Some(plan.decimation),
                effective: None,
            };
            let options = InvertOptions { budget, seed, ..InvertOptions::default() };
            let result = invert_copies(&mut devices, &a, &options, &Quiet)?;
            let mut plain = Array2::zeros(result.mean.dim());
            for copy in &result.copies {
                plain += &copy.as_ref().ok().context("a copy failed")?.inverse;
            }
            plain /= count as f64;
            errors[at].push(result.mean_error);
            errors[at + 1].push(relative_error(&plain, &result.reference));
        }
    }
    let [weighted, plain, weighted_shared, plain_shared] = errors.map(median);
    Ok(Copies {
        matrices: matrices as usize,
        copies: count,
        one_noisier: noisier,
        effective: EFFECTIVE,
        weighted_at_equal_time: weighted,
        plain_at_equal_time: plain,
        weighted_at_equal_samples: weighted_shared,
        plain_at_equal_samples: plain_shared,
    })
}

/// Mean squared errors and biases of the same runs, done in two ways.
#[derive(Debug, Serialize)]
pub struct Extrapolation {
    /// `log det` or `inverse`.
    pub quantity: &'static str,
    /// Runs.
    pub runs: usize,
    /// Programmings of each.
    pub programmings: u32,
    /// Effective samples of a run.
    pub effective: u64,
    /// Mean error without extrapolation: of log det as it is, of an inverse relative, along the inverse.
    pub bias_off: f64,
    /// With it.
    pub bias_on: f64,
    /// Standard error of both.
    pub bias_error: f64,
    /// Root mean square error without extrapolation: of an inverse relative Frobenius.
    pub rms_off: f64,
    /// With it.
    pub rms_on: f64,
    /// Median wall time that it adds on the host.
    pub host_ms: f64,
}

/// Extrapolation in time of log-determinants and inverses, with no wait after the start.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn log_determinants(effective: u64, runs: u64, seed: u64) -> Result<Extrapolation> {
    let mut device = open(&without_spread(REV_A_8_BIT))?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for seed in seed..seed + runs {
        let a = programmable(seed % 20)?;
        let ask = options(effective, seed);
        let found = logdet(device.as_mut(), &a, LogDetMethod::Covariance, &ask, &Quiet)?;
        let error = found.value - found.digital - found.quantisation;
        on.push((error, error * error, 0.0));
        let raw = error + found.bias;
        off.push((raw, raw * raw, 0.0));
    }
    Ok(extrapolation("log det", 1, effective, &off, &on))
}

/// The same of inverses.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn inverses(programmings: u32, effective: u64, runs: u64, seed: u64) -> Result<Extrapolation> {
    let mut device = open(&without_spread(REV_A_8_BIT))?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    let mut matrix = Planned::new(device.as_ref(), programmings, effective, 0)?;
    for (run, seed) in (seed..seed + runs).enumerate() {
        if run % 50 == 49 {
            matrix = Planned::new(device.as_ref(), programmings, effective, run as u64)?;
        }
        for (values, extrapolate) in [(&mut off, false), (&mut on, true)] {
            let options = InvertOptions { extrapolate, ..options(effective, seed) };
            let result = matrix.read(device.as_mut(), Settle::Ticks(0), 1.0, &options)?;
            values.push(matrix.errors(&result));
        }
    }
    Ok(extrapolation("inverse", programmings, effective, &off, &on))
}

fn extrapolation(
    quantity: &'static str,
    programmings: u32,
    effective: u64,
    off: &[(f64, f64, f64)],
    on: &[(f64, f64, f64)],
) -> Extrapolation {
    let column = |all: &[(f64, f64, f64)], of: fn(&(f64, f64, f64)) -> f64| -> Vec<f64> {
        all.iter().map(of).collect()
    };
    let (bias_off, bias_error) = mean(&column(off, |one| one.0));
    let added = off.iter().zip(on).map(|(off, on)| on.2 - off.2).collect();
    Extrapolation {
        quantity,
        runs: off.len(),
        programmings,
        effective,
        bias_off,
        bias_on: mean(&column(on, |one| one.0)).0,
        bias_error,
        rms_off: mean(&column(off, |one| one.1)).0.sqrt(),
        rms_on: mean(&column(on, |one| one.1)).0.sqrt(),
        host_ms: median(added),
    }
}

/// A matrix that was planned once, for many runs.
struct Planned {
    a: SpdMatrix,
    route: RoutePlan,
    /// What its programs give without noise.
    truth: Array2<f64>,
}

impl Planned {
    fn new(device: &dyn Device, programmings: u32, effective: u64, seed: u64) -> Result<Self> {
        let a = programmable(seed)?;
        let programmings = NonZeroU32::new(programmings).context("not zero")?;
        let options = InvertOptions { programmings, ..options(effective, 0) };
        let route = plan_route(Route::Direct, &a, device.info(), &options)?;
        Ok(Self::of(a, route))
    }

    fn of(a: SpdMatrix, route: RoutePlan) -> Self {
        Self { truth: route.programmed_inverse(), a, route }
    }

    /// Reads it from this start, with a part of the planned samples.
    fn read(
        &self,
        device: &mut dyn Device,
        start: Settle,
        part: f64,
        options: &InvertOptions,
    ) -> Result<Inversion> {
        let mut route = self.route.clone();
        for plan in &mut route.plans {
            plan.settling = start;
            plan.samples = (plan.samples as f64 * part).round() as u64;
            plan.effective *= part;
        }
        Ok(invert_by(device, &self.a, &route, options, &Quiet)?)
    }

    /// Relative error along the inverse, squared relative Frobenius error, and host time in ms.
    fn errors(&self, result: &Inversion) -> (f64, f64, f64) {
        let square = frobenius(&self.truth).powi(2);
        let error = &result.inverse - &self.truth;
        let along = (&error * &self.truth).sum() / square;
        (along, frobenius(&error).powi(2) / square, result.host.as_secs_f64() * 1e3)
    }
}

fn options(effective: u64, seed: u64) -> InvertOptions {
    InvertOptions { budget: samples(effective), seed, ..InvertOptions::default() }
}

/// Mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (square / (count * (count - 1.0))).sqrt())
}
