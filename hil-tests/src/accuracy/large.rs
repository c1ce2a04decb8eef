//! Matrices larger than a board.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use spu_driver::blocks::{Boards, invert_blocks};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::linalg::relative_error;
use spu_driver::refine::{RefineMethod, refine};

use super::boards::{calibrated_copies, effective};
use super::matrices;

/// Effective samples of each leaf, all copies together.
const EFFECTIVE: u64 = 100_000;
/// Boards that read each leaf together.
const COPIES: u32 = 2;
/// Tolerance of the refinement.
const TOLERANCE: f64 = 1e-6;

/// A large *haar-log* matrix, inverted in blocks on calibrated `rev-b` boards, and refined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Large {
    /// Profile of the boards.
    pub profile: String,
    /// Generator of the matrix.
    pub generator: String,
    /// Seed of boards and matrix.
    pub seed: u64,
    /// Rows.
    pub n: usize,
    /// Condition number.
    pub condition: f64,
    /// Effective independent samples of each leaf.
    pub effective: u64,
    /// Boards that read each leaf together.
    pub copies: u32,
    /// Leaves: tiles that fit a board.
    pub leaves: usize,
    /// Relative Frobenius error before refinement.
    pub error: f64,
    /// The part of samples, as the result itself states it.
    pub statistical_error: f64,
    /// The part of quantisation, as the result itself states it.
    pub quantisation_error: f64,
    /// Relative Frobenius error after refinement.
    pub refined_error: f64,
    /// Steps and operations of the refinement.
    pub refine: (usize, u64),
    /// The same from the digital start.
    pub digital: Option<(usize, u64)>,
    /// What the refined result may be called.
    pub label: String,
    /// Operations between leaves, transformations and error bars.
    pub block_flops: u64,
    /// Operations of a digital inverse by Cholesky factorisation.
    pub cholesky_flops: u64,
    /// Time that the busiest board samples and settles, at its own clock.
    pub board_s: f64,
    /// Wall time by phase.
    pub wall: Wall,
}

/// Wall time by phase, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wall {
    /// Boards at work: simulated here.
    pub boards: f64,
    /// Planning the leaves: digital.
    pub planning: f64,
    /// Products between leaves and error bars: digital.
    pub blocks: f64,
    /// Refinement: digital.
    pub refinement: f64,
}

impl Wall {
    /// Part of the time that is digital work.
    pub fn digital_share(&self) -> f64 {
        let digital = self.planning + self.blocks + self.refinement;
        digital / (digital + self.boards)
    }
}

/// An `n × n` matrix of this condition.
///
/// # Errors
/// What keeps a board from running; a refinement that fails.
pub fn large(n: usize, condition: f64, seed: u64) -> Result<Large> {
    let profile = "rev-b";
    let a = matrices::haar_log(n, condition, seed)?;
    let mut boards = calibrated_copies(profile, seed, COPIES)?;
    let period_s = boards.devices[0].info().sample_period_s();
    let options = InvertOptions { budget: effective(EFFECTIVE), ..boards.options.clone() };
    let mut boards = Boards::new(&mut boards.devices, options);
    let result = invert_blocks(&mut boards, &a, &Quiet)?;
    let reference = a.digital_inverse();
    let method = RefineMethod::NewtonSchulz;
    let refined = refine(&mut boards, &a, &result.inverse, TOLERANCE, method, &Quiet)
        .context("refinement")?;
    Ok(Large {
        profile: profile.into(),
        generator: "haar-log".into(),
        seed,
        n,
        condition,
        effective: EFFECTIVE,
        copies: COPIES,
        leaves: result.leaves.len(),
        error: relative_error(&result.inverse, &reference),
        statistical_error: result.statistical_error,
        quantisation_error: result.quantisation_error,
        refined_error: relative_error(&refined.inverse, &reference),
        refine: (refined.work.steps, refined.work.flops),
        digital: refined.from_digital_start.map(|work| (work.steps, work.flops)),
        label: method.label().into(),
        block_flops: result.flops.total(),
        cholesky_flops: refined.cholesky_flops,
        board_s: result.ticks.0 as f64 * period_s,
        wall: Wall {
            boards: result.board_wall.as_secs_f64(),
            planning: result.planning_wall.as_secs_f64(),
            blocks: result.digital_wall.as_secs_f64(),
            refinement: refined.digital_wall.as_secs_f64(),
        },
    })
}
