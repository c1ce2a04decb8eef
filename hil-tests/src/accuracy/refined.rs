//! Refinement of boards' inverses to a tolerance.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use spu_driver::blocks::{Boards, invert_blocks};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::linalg::relative_error;
use spu_driver::refine::{RefineError, RefineMethod, refine};
use spu_driver::route::RouteChoice;

use super::boards::{calibrated, effective};
use super::matrices;
use super::work::Workers;
use crate::median;

/// What is asked for.
pub const TOLERANCE: f64 = 1e-6;
/// Effective samples of each read.
const EFFECTIVE: u64 = 12_000;
/// Largest condition.
const CONDITION: f64 = 100.0;
/// Matrices that a board is given, one after the other.
const PER_BOARD: usize = 5;

/// How a refinement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The error against the digital inverse is within the tolerance.
    Reached,
    /// It ended, but the error is not.
    Missed,
    /// The board could not take the matrix.
    Refused,
    /// The board's inverse was too far off to start from.
    CannotConverge,
    /// It got no further.
    Stalled,
}

/// One matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Condition number.
    pub condition: f64,
    /// How it ended.
    pub end: End,
    /// Steps, and floating-point operations.
    pub work: Option<(usize, u64)>,
    /// The same from the digital start `Aᵀ/(‖A‖₁ ‖A‖∞)`.
    pub digital: Option<(usize, u64)>,
}

/// Refinements of *haar-log* matrices, κ log-uniform from 1 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refined {
    /// Profile of the boards, all calibrated.
    pub profile: String,
    /// Method, as the driver names it.
    pub method: String,
    /// What the results may be called.
    pub label: String,
    /// Tolerance.
    pub tolerance: f64,
    /// Generator of the matrices.
    pub generator: String,
    /// Effective independent samples of each read.
    pub effective: u64,
    /// Seed of the first board and matrix.
    pub seed: u64,
    /// Part of all matrices, refused ones included, whose error is within the tolerance.
    pub reached: f64,
    /// Matrices that were refused.
    pub refused: usize,
    /// Medians of steps and operations.
    pub work: (f64, f64),
    /// The same from the digital start.
    pub digital: (f64, f64),
    /// Operations of a digital inverse by Cholesky factorisation.
    pub cholesky_flops: u64,
    /// All matrices.
    pub trials: Vec<Trial>,
}

/// Refines the inverses of `count` 8×8 matrices to [`TOLERANCE`].
///
/// # Errors
/// What keeps a board from running.
pub fn refined(
    profile: &str,
    method: RefineMethod,
    count: usize,
    seed: u64,
    workers: &Workers,
) -> Result<Refined> {
    let what = format!("refinement on {profile}, {}", method.label());
    let trials = workers.each(&what, count.div_ceil(PER_BOARD), |index| {
        let mut board = calibrated(profile, seed + index as u64)?;
        let options = InvertOptions { budget: effective(EFFECTIVE), ..board.options.clone() };
        let here = PER_BOARD.min(count - index * PER_BOARD);
        (0..here)
            .map(|k| {
                let seed = seed + (index * PER_BOARD + k) as u64;
                let a = matrices::haar_log_up_to(8, CONDITION, seed)?;
                let options = InvertOptions { seed, ..options.clone() };
                let mut boards = Boards::new(&mut board.devices, options).by(RouteChoice::Refined);
                let mut trial = Trial {
                    condition: a.condition(),
                    end: End::Refused,
                    work: None,
                    digital: None,
                };
                let Ok(start) = invert_blocks(&mut boards, &a, &Quiet) else { return Ok(trial) };
                match refine(&mut boards, &a, &start.inverse, TOLERANCE, method, &Quiet) {
                    Ok(refined) => {
                        let error = relative_error(&refined.inverse, &a.digital_inverse());
                        trial.end = if error <= TOLERANCE { End::Reached } else { End::Missed };
                        trial.work = Some((refined.work.steps, refined.work.flops));
                        let digital = refined.from_digital_start;
                        trial.digital = digital.map(|work| (work.steps, work.flops));
                    }
                    Err(RefineError::CannotConverge { .. }) => trial.end = End::CannotConverge,
                    Err(RefineError::Stalled { .. }) => trial.end = End::Stalled,
                    Err(error) => return Err(error.into()),
                }
                Ok(trial)
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    let ends = |end| trials.iter().filter(|trial| trial.end == end).count();
    let medians = |of: fn(&Trial) -> Option<(usize, u64)>| {
        let all: Vec<(usize, u64)> = trials.iter().filter_map(of).collect();
        if all.is_empty() {
            return (f64::NAN, f64::NAN);
        }
        let steps = all.iter().map(|work| work.0 as f64).collect();
        (median(steps), median(all.iter().map(|work| work.1 as f64).collect()))
    };
    Ok(Refined {
        profile: profile.into(),
        method: serde_json::to_value(method)?.as_str().unwrap_or_default().into(),
        label: method.label().into(),
        tolerance: TOLERANCE,
        generator: "haar-log".into(),
        effective: EFFECTIVE,
        seed,
        reached: ends(End::Reached) as f64 / trials.len() as f64,
        refused: ends(End::Refused),
        work: medians(|trial| trial.work),
        digital: medians(|trial| trial.digital),
        cholesky_flops: 8 * 8 * 8,
        trials,
    })
}
