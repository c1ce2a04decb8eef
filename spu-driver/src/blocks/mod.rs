//! Inverts matrices of any size by block elimination with leaves that fit a board.
//!
//! With `A = [[P, Q], [Qᵀ, S]]`, `B = P⁻¹`, `W = B Q` and the Schur complement `C = (S − Qᵀ W)⁻¹`
//!
//! ```text
//! A⁻¹ = [[B + W C Wᵀ, −W C], [−C Wᵀ, C]]
//! ```
//!
//! (Golub and Van Loan, *Matrix Computations*, 4.2), and P and the Schur complement are inverted
//! in the same way until they have no more rows than the board has cells. These leaves are read from
//! boards, by whichever [route](crate::route) suits each; the products between them are digital and
//! counted. Leaves follow from each other, so they are read in turn, each by all copies at once.
//!
//! **Errors.** What a leaf's error does is exact: every formula uses B in place of P⁻¹, so the result
//! is the inverse of `A + Δ` with Δ block diagonal and `Δ_k = B_k⁻¹ − S_k` on leaf k, `S_k` the Schur
//! complement that the leaf was given. To first order the error is `−X Δ X`, X the result. Its parts
//! are told apart: leaves have independent noise, so the squares of what each leaf's batches give add up;
//! what a calibration leaves open about a board is the same in all leaves, so its draws are carried through
//! all of them, one by one; quantisation of the banks is known. Intervals come from all three.
//!
//! **Checks.** Every read is checked before it counts, and a copy that fails is left out from there on
//! ([`BlockInversion::left_out`] says which, since when and why), or the run ends with an error that says how
//! far it came. Nothing of a bad copy is averaged in.
//!
//! - no signal, or a link that is gone;
//! - the two halves of each read: one inverse?
//! - the copies' reads of each block: do they agree, as in [`ensemble`](crate::ensemble)?
//! - after the last block each copy reads the first one again with an eighth of the samples (a 256th of the
//!   whole for a 256 × 256 matrix on 8 cells): the same inverse as before? A copy for which this fails is in
//!   every block, so then the run fails.

mod boards;
mod error;
mod plan;
mod propagate;
mod recheck;
mod run;
mod schur;

use std::time::{Duration, Instant};

use ndarray::{Array2, ArrayView1};
use serde::Serialize;
use spu_protocol::code::Ticks;

use crate::device::{BoardInfo, Phases};
use crate::invert::Progress;
use crate::linalg::flops::counted;
use crate::linalg::frobenius;
use crate::matrix::SpdMatrix;
use crate::route::Route;
use crate::systematic::Widths;
use crate::timing::TimeLedger;

pub use boards::Boards;
pub use error::{BlockError, LeftOut, Reached, Trouble};
pub use plan::{BlockPlan, LeafPlan, plan_blocks};
pub(crate) use propagate::LeafScatter;
pub(crate) use schur::invert as eliminate;

/// A block that was read from boards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeafReport {
    /// Its first row, from 0.
    pub first: usize,
    /// Its rows.
    pub rows: usize,
    /// Copies whose reads are in its inverse.
    pub copies: usize,
    /// Route of the first copy.
    pub route: Route,
    /// Condition number.
    pub condition: f64,
    /// Effective independent samples of all copies together, by plan.
    pub effective: f64,
    /// Relative Frobenius error of its inverse by quantisation of the banks, by the values of the boards
    /// that were used.
    pub quantisation_error: f64,
    /// Relative Frobenius error of its inverse by the scatter of the batches.
    pub statistical_error: f64,
    /// Relative Frobenius error of its inverse by what the calibrations leave open; `None` without.
    pub calibration_error: Option<f64>,
}

/// The first block, read again at the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recheck {
    /// The copy, from 0.
    pub copy: usize,
    /// Affine distance of both reads.
    pub distance: f64,
    /// What noise explains, but for one pair of reads in 10⁷.
    pub limit: f64,
}

/// Digital work in floating-point operations, by what it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BlockFlops {
    /// Products between leaves.
    pub elimination: u64,
    /// Planning the leaves: spectra, routes, scalings, codes, sampling, predicted errors; all copies.
    pub planning: u64,
    /// Transformations of leaves there and back.
    pub transforms: u64,
    /// From moments to the inverses of leaves and of their batches.
    pub read_out: u64,
    /// Comparing halves of reads, copies, and the first block with its second read.
    pub checks: u64,
    /// Error bars of the whole.
    pub error_bars: u64,
}

impl BlockFlops {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.elimination
            + self.planning
            + self.transforms
            + self.read_out
            + self.checks
            + self.error_bars
    }
}

/// An inverse put together from boards' read-outs.
#[derive(Debug, Clone)]
pub struct BlockInversion {
    /// The estimate of A⁻¹, `n × n`.
    pub inverse: Array2<f64>,
    /// Half widths of its 95 % intervals, entry by entry: the noise of all leaves, carried to the
    /// whole to first order. Statistical only: see [`intervals`](Self::intervals).
    pub half_widths: Array2<f64>,
    /// What quantising the banks adds to each entry, by the values of the boards that were used, to first
    /// order. It is in the result and not taken out.
    pub quantisation: Array2<f64>,
    /// Standard deviation that the uncertainty of the calibrations leaves in each entry, to first order.
    /// `None` where a copy is not calibrated: then deviations of the board from its profile are in no part
    /// of the error.
    pub calibration_sd: Option<Array2<f64>>,
    /// Relative Frobenius error that the samples leave, by the scatter of the batches.
    pub statistical_error: f64,
    /// Relative Frobenius error that quantising the banks leaves, by the values of the boards that were
    /// used.
    pub quantisation_error: f64,
    /// Relative Frobenius error that the calibrations leave; `None` without.
    pub calibration_error: Option<f64>,
    /// The leaves, in the order in which they were read.
    pub leaves: Vec<LeafReport>,
    /// Copies that there are, those that were left out too.
    pub copies: usize,
    /// Copies that the run went on without.
    pub left_out: Vec<LeftOut>,
    /// The first block, read again after the last one, copy by copy. Empty for a single block, and where
    /// there are too few samples to tell.
    pub rechecks: Vec<Recheck>,
    /// The first board.
    pub board: BoardInfo,
    /// Content hash of the calibration behind the result; `None`: one of the boards has none.
    pub calibration: Option<u64>,
    /// Kept samples of all copies that are in the result.
    pub kept: u64,
    /// Kept samples of each cell at the end of the converter's range, all copies.
    pub saturated: Vec<u64>,
    /// Ticks run by the busiest copy, checks included: sampled time.
    pub ticks: Ticks,
    /// Where each copy's time went: all its reads, checks too.
    pub times: Vec<TimeLedger>,
    /// Wall time by phase, all copies together.
    pub phases: Phases,
    /// Wall time in which boards were at work.
    pub board_wall: Duration,
    /// Wall time of planning the leaves: routes, codes, sampling. Digital.
    pub planning_wall: Duration,
    /// Wall time of digital work between them and after.
    pub digital_wall: Duration,
    /// Digital work.
    pub flops: BlockFlops,
    /// Noise of each leaf.
    pub(crate) scatter: Vec<LeafScatter>,
}

impl BlockInversion {
    /// Relative Frobenius error, expected: quantisation, samples, and what the calibrations leave open.
    pub fn stated_error(&self) -> f64 {
        let random = self.statistical_error.hypot(self.calibration_error.unwrap_or(0.0));
        self.quantisation_error.hypot(random)
    }

    /// Half widths of 95 % intervals around each entry, `n × n`, that hold the noise of all leaves, what the
    /// calibrations leave open, and the known error of quantisation, as those of one board do
    /// ([`Inversion::intervals`](crate::invert::Inversion::intervals)).
    pub fn intervals(&self) -> Array2<f64> {
        let freedom = propagate::freedom(&self.scatter);
        let (widths, t) = (Widths::new(freedom), propagate::quantile(&self.scatter));
        Array2::from_shape_fn(self.inverse.dim(), |at| {
            let calibration = self.calibration_sd.as_ref().map_or(0.0, |sd| sd[at]);
            widths.of(self.quantisation[at], calibration.hypot(self.half_widths[at] / t))
        })
    }

    /// Half widths of the 95 % intervals of `X b`, `n`: the noise of all leaves, to first order.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn product_half_widths(&self, b: &[f64]) -> Vec<f64> {
        let t = propagate::quantile(&self.scatter);
        let errors = propagate::product_errors(&self.inverse, &self.scatter, b);
        errors.noise.into_iter().map(|v| t * v.sqrt()).collect()
    }

    /// The same with what the calibrations leave open and the error of quantisation, as
    /// [`intervals`](Self::intervals).
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn product_intervals(&self, b: &[f64]) -> Vec<f64> {
        let widths = Widths::new(propagate::freedom(&self.scatter));
        let errors = propagate::product_errors(&self.inverse, &self.scatter, b);
        let random = errors.noise.iter().zip(&errors.calibration).map(|(x, y)| (x + y).sqrt());
        random.zip(&errors.quantisation).map(|(random, known)| widths.of(*known, random)).collect()
    }

    /// Standard error of `X b` that the samples leave, over the size of `X b`, both by the Euclidean norm; 0
    /// for `b = 0`.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn product_error(&self, b: &[f64]) -> f64 {
        let noise = propagate::product_errors(&self.inverse, &self.scatter, b).noise;
        let size = self.inverse.dot(&ArrayView1::from(b)).mapv(|x| x * x).sum();
        if size > 0.0 { (noise.iter().sum::<f64>() / size).sqrt() } else { 0.0 }
    }
}

/// Number of leaves of an `n × n` matrix on boards of `cells` cells.
pub fn leaf_count(n: usize, cells: usize) -> usize {
    n.div_ceil(cells.max(1))
}

/// Inverts `a`, of whatever size, on `boards`.
///
/// A copy that fails is left out, and the run goes on with the others; without others it ends. A run
/// that ends early has no result, cancelled or not: [`BlockError`] says why, and how far it came.
///
/// # Errors
/// [`BlockError`].
///
/// # Examples
/// ```
/// use ndarray::Array2;
/// use spu_driver::blocks::{Boards, invert_blocks};
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::{matrix::SpdMatrix, open_copies};
///
/// let a = Array2::from_shape_fn((12, 12), |(i, j)| match i.abs_diff(j) {
///     0 => 3.0,
///     1 => 1.0,
///     _ => 0.0,
/// });
/// let a = SpdMatrix::new(&a, 0.0)?;
/// let mut devices = open_copies("sim:profile=rev-b", 2)?;
/// let mut boards = Boards::new(&mut devices, InvertOptions::default());
/// let result = invert_blocks(&mut boards, &a, &Quiet)?;
/// assert_eq!(result.leaves.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert_blocks(
    boards: &mut Boards<'_>,
    a: &SpdMatrix,
    progress: &dyn Progress,
) -> Result<BlockInversion, BlockError> {
    let started = Instant::now();
    let cells = boards.cells()?;
    let copies = boards.copies();
    let board = boards.infos().next().cloned().ok_or(BlockError::NoBoards)?;
    if boards.active() == 0 {
        return Err(BlockError::NoBoards);
    }
    let mut run = boards.run(leaf_count(a.n(), cells), progress);
    let mut flops = BlockFlops::default();
    let inverse =
        schur::invert(a.entries(), cells, 0, &mut flops.elimination, &mut |first, block| {
            run.leaf(first, block)
        })?;
    let rechecks = run.close(a.n())?;
    let left_out = run.left_out();
    let done = run.done;
    let mut phases = Phases::default();
    done.times.iter().for_each(|time| phases.add(&time.phases));
    flops.planning = done.planning_flops;
    flops.transforms = done.transform_flops;
    flops.read_out = done.read_out_flops;
    flops.checks = done.check_flops;
    let (noise, noise_flops) = propagate::variance(&inverse, &done.scatter);
    let (systematic, more) = counted(|| {
        let calibration = propagate::calibration(&inverse, &done.scatter);
        (propagate::quantisation(&inverse, &done.scatter), calibration)
    });
    let (quantisation, calibration) = systematic;
    flops.error_bars = noise_flops + more;
    let size = frobenius(&inverse);
    let t = propagate::quantile(&done.scatter);
    Ok(BlockInversion {
        half_widths: noise.mapv(|v| t * v.sqrt()),
        statistical_error: noise.sum().sqrt() / size,
        quantisation_error: frobenius(&quantisation) / size,
        quantisation,
        calibration_error: calibration.as_ref().map(|variance| variance.sum().sqrt() / size),
        calibration_sd: calibration.map(|variance| variance.mapv(f64::sqrt)),
        leaves: done.leaves,
        copies,
        left_out,
        rechecks,
        calibration: done.calibration,
        board,
        kept: done.kept,
        saturated: done.saturated,
        ticks: Ticks(done.times.iter().map(|time| time.ticks).max().unwrap_or(0)),
        phases,
        times: done.times,
        board_wall: done.wall,
        planning_wall: done.planning,
        digital_wall: started.elapsed().saturating_sub(done.wall + done.planning),
        flops,
        scatter: done.scatter,
        inverse,
    })
}

#[cfg(all(test, feature = "sim"))]
mod tests;
