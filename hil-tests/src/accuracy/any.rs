//! Any symmetric positive definite matrix, any size, refinement.
//!
//! Matrices come from one generator, *haar-log*: eigenvalues from 1 to κ with evenly spaced logarithms,
//! eigenvectors uniform over the orthogonal group. Boards have no spread of parts: what is measured
//! is routes, quantisation, statistics and digital work, not calibration.

use std::time::Instant;

use anyhow::{Context, Result};
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use spu_driver::blocks::{Boards, invert_blocks};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::linalg::large::multiply;
use spu_driver::linalg::relative_error;
use spu_driver::matrix::SpdMatrix;
use spu_driver::plan::Budget;
use spu_driver::refine::{RefineError, RefineMethod, refine};
use spu_driver::route::{RouteChoice, invert_any};
use spu_driver::{open, open_copies};

use super::bound;
use crate::median;

/// `rev-a` with banks of 8 bits, unipolar, without spread.
pub const UNIPOLAR_8_BIT: &str = concat!(
    "sim:profile=",
    env!("CARGO_MANIFEST_DIR"),
    "/src/accuracy/rev-a-8bit.toml,\
     without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+adc_gain"
);
/// `rev-a`, four bits, without spread.
pub const UNIPOLAR_4_BIT: &str = "sim:profile=rev-a,\
     without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+adc_gain";
/// `rev-b` without spread.
pub const SIGNED_8_BIT: &str = "sim:profile=rev-b,\
     without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+adc_gain+stray";

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) * UNIT;
    let radius = (-2.0 * uniform().ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * uniform()).cos()
}

/// A uniform number between 0 and 1.
fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

/// The generator *haar-log*: an `n × n` matrix of condition κ.
///
/// # Errors
/// Never for κ below 1e12.
pub fn haar_log(n: usize, condition: f64, seed: u64) -> Result<SpdMatrix> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut rows: Vec<Vec<f64>> =
        (0..n).map(|_| (0..n).map(|_| normal(&mut rng)).collect()).collect();
    // Gram–Schmidt, each row twice: uniform, since the rows are normal.
    for k in 0..n {
        let (done, rest) = rows.split_at_mut(k);
        let row = &mut rest[0];
        for _ in 0..2 {
            for other in &*done {
                let dot: f64 = row.iter().zip(other).map(|(x, y)| x * y).sum();
                for (x, y) in row.iter_mut().zip(other) {
                    *x -= dot * y;
                }
            }
        }
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        for x in row.iter_mut() {
            *x /= norm;
        }
    }
    let last = (n.max(2) - 1) as f64;
    let basis = Array2::from_shape_fn((n, n), |(i, j)| rows[i][j]);
    let scaled =
        Array2::from_shape_fn((n, n), |(i, j)| rows[i][j] * condition.powf(i as f64 / last));
    Ok(SpdMatrix::new(&multiply(&basis.t(), &scaled), 0.0)?)
}

fn options(samples: u64, seed: u64) -> InvertOptions {
    let budget = Budget { effective: Some(samples), ..Budget::default() };
    InvertOptions { budget, seed, ..InvertOptions::default() }
}

/// Errors of the inverses of random matrices.
#[derive(Debug, Serialize)]
pub struct AnySpd {
    /// The board.
    pub board: String,
    /// Matrices, κ log-uniform from 1 to 30.
    pub matrices: usize,
    /// Effective independent samples of each.
    pub effective: u64,
    /// Median relative Frobenius error.
    pub median_error: f64,
    /// Median of the statistical bound.
    pub median_bound: f64,
    /// Median of the error that quantisation leaves, by nominal values.
    pub median_quantisation: f64,
    /// Median of the error less the bound.
    pub median_excess: f64,
    /// Largest error.
    pub largest_error: f64,
    /// Matrices that the board could not take.
    pub refused: usize,
}

/// 8×8 matrices of mixed signs, κ ≤ 30.
///
/// # Errors
/// What keeps a board from running.
pub fn any_spd(uri: &str, matrices: usize, effective: u64, seed: u64) -> Result<AnySpd> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut errors, mut bounds, mut excess, mut quantisation) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut refused = 0;
    for index in 0..matrices as u64 {
        let a = haar_log(8, 30.0_f64.powf(uniform(&mut rng)), seed + index)?;
        let mut device = open(uri)?;
        let options = options(effective, seed + index);
        match invert_any(device.as_mut(), &a, &options, RouteChoice::Auto, &Quiet) {
            Ok(result) => {
                let reference = a.digital_inverse();
                errors.push(relative_error(&result.inverse, &reference));
                bounds.push(bound(&reference, effective as f64));
                excess.push(errors[errors.len() - 1] - bounds[bounds.len() - 1]);
                quantisation.push(result.route.quantisation_error);
            }
            Err(_) => refused += 1,
        }
    }
    anyhow::ensure!(!errors.is_empty(), "every matrix was refused");
    Ok(AnySpd {
        board: uri.into(),
        matrices,
        effective,
        largest_error: errors.iter().copied().fold(0.0, f64::max),
        median_error: median(errors),
        median_bound: median(bounds),
        median_quantisation: median(quantisation),
        median_excess: median(excess),
        refused,
    })
}

/// A large matrix, inverted in blocks and refined.
#[derive(Debug, Serialize)]
pub struct Large {
    /// The board.
    pub board: String,
    /// Rows.
    pub n: usize,
    /// Condition number.
    pub condition: f64,
    /// Effective independent samples of each leaf.
    pub effective: u64,
    /// Boards.
    pub copies: usize,
    /// Leaves.
    pub leaves: usize,
    /// Relative Frobenius error before refinement.
    pub error: f64,
    /// The part of samples, as the result itself says.
    pub statistical_error: f64,
    /// The part of quantisation, as the result itself says.
    pub quantisation_error: f64,
    /// Relative Frobenius error after refinement.
    pub refined_error: f64,
    /// Steps of Newton–Schulz.
    pub refine_steps: usize,
    /// Operations of them.
    pub refine_flops: u64,
    /// Steps from the digital start.
    pub digital_steps: Option<usize>,
    /// Operations of them.
    pub digital_flops: Option<u64>,
    /// Operations between leaves, transformations and error bars.
    pub block_flops: u64,
    /// Operations of a digital inverse.
    pub cholesky_flops: u64,
    /// Ticks of the busiest copy.
    pub ticks: u64,
    /// Wall time in which boards were at work, in seconds.
    pub board_wall_s: f64,
    /// Wall time of planning the leaves, in seconds.
    pub planning_wall_s: f64,
    /// Wall time of digital work of the blocks, in seconds.
    pub digital_wall_s: f64,
    /// Wall time of the refinement with its comparison, in seconds.
    pub refine_wall_s: f64,
}

/// An `n × n` matrix on `copies` boards.
///
/// # Errors
/// What keeps a board from running; a refinement that fails.
pub fn large(
    uri: &str,
    n: usize,
    condition: f64,
    effective: u64,
    copies: usize,
    seed: u64,
) -> Result<Large> {
    let a = haar_log(n, condition, seed)?;
    let mut devices = open_copies(uri, copies)?;
    let mut boards = Boards::new(&mut devices, options(effective, seed));
    let result = invert_blocks(&mut boards, &a, &Quiet)?;
    let reference = a.digital_inverse();
    let started = Instant::now();
    let refined =
        refine(&mut boards, &a, &result.inverse, 1e-6, RefineMethod::NewtonSchulz, &Quiet)
            .context("refinement")?;
    Ok(Large {
        board: uri.into(),
        n,
        condition,
        effective,
        copies,
        leaves: result.leaves.len(),
        error: relative_error(&result.inverse, &reference),
        statistical_error: result.statistical_error,
        quantisation_error: result.quantisation_error,
        refined_error: relative_error(&refined.inverse, &reference),
        refine_steps: refined.work.steps,
        refine_flops: refined.work.flops,
        digital_steps: refined.from_digital_start.map(|work| work.steps),
        digital_flops: refined.from_digital_start.map(|work| work.flops),
        block_flops: result.flops.total(),
        cholesky_flops: refined.cholesky_flops,
        ticks: result.ticks.0,
        board_wall_s: result.board_wall.as_secs_f64(),
        planning_wall_s: result.planning_wall.as_secs_f64(),
        digital_wall_s: result.digital_wall.as_secs_f64(),
        refine_wall_s: started.elapsed().as_secs_f64(),
    })
}

/// Refinements of random matrices.
#[derive(Debug, Serialize)]
pub struct Refined {
    /// The board.
    pub board: String,
    /// How they were refined.
    pub method: RefineMethod,
    /// Matrices, 8×8, κ log-uniform from 1 to 100.
    pub matrices: usize,
    /// Effective independent samples of each read.
    pub effective: u64,
    /// Residual that was asked for.
    pub tolerance: f64,
    /// Those that reached it; checked against the digital inverse.
    pub reached: usize,
    /// Those whose start was too far off.
    pub cannot_converge: usize,
    /// Those that stalled.
    pub stalled: usize,
    /// Those that the board could not take.
    pub refused: usize,
    /// Median steps.
    pub median_steps: f64,
    /// Median operations.
    pub median_flops: f64,
    /// Median steps of Newton–Schulz from the digital start.
    pub median_digital_steps: f64,
    /// Median operations of it.
    pub median_digital_flops: f64,
}

/// 8×8 matrices with κ ≤ 100, refined to 1e-6.
///
/// # Errors
/// What keeps a board from running.
pub fn refined(
    uri: &str,
    method: RefineMethod,
    matrices: usize,
    effective: u64,
    seed: u64,
) -> Result<Refined> {
    const TOLERANCE: f64 = 1e-6;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut found = Refined {
        board: uri.into(),
        method,
        matrices,
        effective,
        tolerance: TOLERANCE,
        reached: 0,
        cannot_converge: 0,
        stalled: 0,
        refused: 0,
        median_steps: f64::NAN,
        median_flops: f64::NAN,
        median_digital_steps: f64::NAN,
        median_digital_flops: f64::NAN,
    };
    let mut work: [Vec<f64>; 4] = Default::default();
    for index in 0..matrices as u64 {
        let a = haar_log(8, 100.0_f64.powf(uniform(&mut rng)), seed + index)?;
        let mut devices = open_copies(uri, 1)?;
        let mut boards =
            Boards::new(&mut devices, options(effective, seed + index)).by(RouteChoice::Refined);
        let Ok(start) = invert_blocks(&mut boards, &a, &Quiet) else {
            found.refused += 1;
            continue;
        };
        match refine(&mut boards, &a, &start.inverse, TOLERANCE, method, &Quiet) {
            Ok(refined) => {
                let error = relative_error(&refined.inverse, &a.digital_inverse());
                found.reached += usize::from(error <= TOLERANCE);
                work[0].push(refined.work.steps as f64);
                work[1].push(refined.work.flops as f64);
                if let Some(digital) = refined.from_digital_start {
                    work[2].push(digital.steps as f64);
                    work[3].push(digital.flops as f64);
                }
            }
            Err(RefineError::CannotConverge { .. }) => found.cannot_converge += 1,
            Err(RefineError::Stalled { .. }) => found.stalled += 1,
            Err(error) => return Err(error.into()),
        }
    }
    if !work[0].is_empty() {
        let [steps, flops, digital_steps, digital_flops] = work;
        found.median_steps = median(steps);
        found.median_flops = median(flops);
        found.median_digital_steps = median(digital_steps);
        found.median_digital_flops = median(digital_flops);
    }
    Ok(found)
}
