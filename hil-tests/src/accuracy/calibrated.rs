//! How good the inverses of calibrated boards are.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Result;
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use spu_driver::calibrate::{CalibrateOptions, calibrate};
use spu_driver::invert::{Inversion, InvertOptions, Quiet, invert};
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::matrix::SpdMatrix;
use spu_driver::plan::Budget;
use spu_driver::{Device, open};

use super::bound;
use crate::median;

/// Draws by which a calibration's uncertainty is propagated.
const DRAWS: usize = 8;

/// A random matrix that couplings of one sign hold as it is: off-diagonals from -1/2 to 0, row sums from
/// 1 to 2; condition 2 to 6.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn programmable(seed: u64) -> Result<SpdMatrix> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut uniform = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let mut a = Array2::zeros((8, 8));
    for i in 0..8 {
        a[[i, i]] += 1.0 + uniform();
        for j in i + 1..8 {
            let coupling = 0.5 * uniform();
            a[[i, j]] = -coupling;
            a[[j, i]] = -coupling;
            a[[i, i]] += coupling;
            a[[j, j]] += coupling;
        }
    }
    Ok(SpdMatrix::new(&a, 0.0)?)
}

/// A simulated board of this profile, and options that know its calibration.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn calibrated(profile: &str, seed: u64) -> Result<(Box<dyn Device>, InvertOptions)> {
    let mut device = open(&format!("sim:profile={profile},seed={seed}"))?;
    let calibration = calibrate(device.as_mut(), &CalibrateOptions::at(0), &Quiet)?;
    let serial = device.info().serial;
    let measured = Arc::new([(serial, Arc::new(calibration.measured(DRAWS)))].into());
    Ok((device, InvertOptions { seed, measured, ..InvertOptions::default() }))
}

/// Errors of calibrated boards, one matrix each.
#[derive(Debug, Serialize)]
pub struct Medians {
    /// Profile of the boards.
    pub profile: String,
    /// Boards.
    pub boards: usize,
    /// Effective samples.
    pub effective: u64,
    /// Programmings that were averaged.
    pub programmings: u32,
    /// Median relative Frobenius error.
    pub error: f64,
    /// Median of what the samples leave.
    pub bound: f64,
    /// Median of the known error of quantisation.
    pub quantisation: f64,
    /// Median of the error without calibration, same boards and matrices.
    pub uncalibrated: f64,
}

/// Median errors of `boards` boards from `seed` on.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn medians(
    profile: &str,
    boards: u64,
    effective: u64,
    programmings: u32,
    seed: u64,
) -> Result<Medians> {
    let (mut errors, mut bounds) = (Vec::new(), Vec::new());
    let (mut quantisations, mut raw) = (Vec::new(), Vec::new());
    for seed in seed..seed + boards {
        let (mut device, mut options) = calibrated(profile, seed)?;
        options.budget = Budget { effective: Some(effective), ..Budget::default() };
        options.programmings = NonZeroU32::new(programmings).unwrap_or(NonZeroU32::MIN);
        let a = programmable(seed)?;
        let truth = a.digital_inverse();
        let result = invert(device.as_mut(), &a, &options, &Quiet)?;
        let uncalibrated = InvertOptions { measured: Arc::default(), ..options.clone() };
        let other = invert(device.as_mut(), &a, &uncalibrated, &Quiet)?;
        errors.push(relative_error(&result.inverse, &truth));
        bounds.push(bound(&truth, result.effective_planned));
        quantisations.push(frobenius(&result.systematic.quantisation) / frobenius(&truth));
        raw.push(relative_error(&other.inverse, &truth));
    }
    Ok(Medians {
        profile: profile.into(),
        boards: errors.len(),
        effective,
        programmings,
        error: median(errors),
        bound: median(bounds),
        quantisation: median(quantisations),
        uncalibrated: median(raw),
    })
}

/// Coverage of the 95 % intervals.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// Profile of the boards.
    pub profile: String,
    /// Boards, and matrices on each.
    pub boards: usize,
    /// Matrices on each.
    pub matrices: u64,
    /// Part of the entries whose interval holds the truth.
    pub coverage: f64,
    /// Its 99.9 % interval, by a bootstrap over boards.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Mean width over that of an ideal board with the same samples.
    pub width_ratio: f64,
}

/// Counts entries inside their intervals, board by board.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn coverage(profile: &str, boards: u64, matrices: u64, seed: u64) -> Result<Coverage> {
    let mut by_board = Vec::new();
    let mut ratios = Vec::new();
    for seed in seed..seed + boards {
        let (mut device, mut options) = calibrated(profile, seed)?;
        options.budget = Budget { effective: Some(12_000), ..Budget::default() };
        let mut inside = 0;
        for k in 0..matrices {
            let a = programmable(seed * 1_000 + k)?;
            options.seed = seed * 1_000 + k;
            let result = invert(device.as_mut(), &a, &options, &Quiet)?;
            inside += count_inside(&result, &a.digital_inverse(), &mut ratios);
        }
        by_board.push(f64::from(inside) / (36 * matrices) as f64);
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let count = by_board.len();
    let mut means: Vec<f64> = (0..20_000)
        .map(|_| {
            let draws = (0..count).map(|_| by_board[(rng.next_u64() % count as u64) as usize]);
            draws.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Ok(Coverage {
        profile: profile.into(),
        boards: count,
        matrices,
        coverage: by_board.iter().sum::<f64>() / count as f64,
        low: means[10],
        high: means[means.len() - 11],
        width_ratio: ratios.iter().sum::<f64>() / ratios.len() as f64,
    })
}

fn count_inside(result: &Inversion, truth: &Array2<f64>, ratios: &mut Vec<f64>) -> u32 {
    let intervals = result.intervals();
    let mut inside = 0;
    for i in 0..8 {
        for j in i..8 {
            let off = (result.inverse[[i, j]] - truth[[i, j]]).abs();
            inside += u32::from(off <= intervals[[i, j]]);
            // Isserlis: the variance of an entry of a covariance of N independent samples.
            let variance = truth[[i, i]] * truth[[j, j]] + truth[[i, j]].powi(2);
            let ideal = 1.959_964 * (variance / result.effective_planned).sqrt();
            ratios.push(intervals[[i, j]] / ideal);
        }
    }
    inside
}
