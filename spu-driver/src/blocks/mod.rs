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
//! complement that the leaf was given. To first order the error is `−X Δ X`, X the result; leaves
//! have independent noise, so the squares of what each leaf's batches give add up. Intervals come
//! from that, and so does the error that quantising the banks leaves.

mod boards;
mod plan;
mod propagate;
mod schur;

use std::time::{Duration, Instant};

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::Ticks;

use crate::device::{BoardInfo, Phases};
use crate::ensemble::Verdict;
use crate::error::Error;
use crate::invert::{OperationError, Progress};
use crate::linalg::frobenius;
use crate::matrix::{MatrixError, SpdMatrix};
use crate::route::Route;

pub use boards::Boards;
pub use plan::{BlockPlan, LeafPlan, plan_blocks};
pub(crate) use propagate::LeafScatter;

/// Why a matrix could not be inverted in blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The boards, or what they cannot do.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// As many boards as there are: none.
    #[error("no board was given")]
    NoBoards,
    /// A leaf on a board failed.
    #[error("rows {first} to {last}: {source}")]
    Leaf {
        /// First row of the leaf, from 0.
        first: usize,
        /// Last row.
        last: usize,
        /// Why.
        source: OperationError,
    },
    /// The errors of earlier leaves leave a Schur complement that is not positive definite.
    #[error(
        "rows {first} to {last}: errors of the blocks before leave no positive definite Schur \
         complement ({source}); take more samples (--effective), more copies, or add --damping"
    )]
    NotDefinite {
        /// First row of the leaf, from 0.
        first: usize,
        /// Last row.
        last: usize,
        /// What is wrong with it.
        source: MatrixError,
    },
    /// The copies do not read the same inverse, so their mean would hide a fault.
    #[error(
        "the copies do not agree on the first block ({0:?}); run `spu selftest` on each, or leave the \
         outlier out"
    )]
    Copies(Verdict),
}

impl From<Error> for BlockError {
    fn from(error: Error) -> Self {
        Self::Operation(error.into())
    }
}

/// A block that was read from boards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeafReport {
    /// Its first row, from 0.
    pub first: usize,
    /// Its rows.
    pub rows: usize,
    /// Route of the first copy.
    pub route: Route,
    /// Condition number.
    pub condition: f64,
    /// Effective independent samples of all copies together, by plan.
    pub effective: f64,
    /// Relative Frobenius error of its inverse by quantisation of the banks, by nominal values.
    pub quantisation_error: f64,
    /// Relative Frobenius error of its inverse by the scatter of the batches.
    pub statistical_error: f64,
}

/// Digital work in floating-point operations, by what it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BlockFlops {
    /// Products between leaves.
    pub elimination: u64,
    /// Transformations of leaves there and back.
    pub transforms: u64,
    /// Error bars of the whole.
    pub error_bars: u64,
}

impl BlockFlops {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.elimination + self.transforms + self.error_bars
    }
}

/// An inverse put together from boards' read-outs.
#[derive(Debug, Clone)]
pub struct BlockInversion {
    /// The estimate of A⁻¹, `n × n`.
    pub inverse: Array2<f64>,
    /// Half widths of its 95 % intervals, entry by entry: the noise of all leaves, carried to the
    /// whole to first order. Statistical only, as those of one board.
    pub half_widths: Array2<f64>,
    /// Relative Frobenius error that the samples leave, by the scatter of the batches.
    pub statistical_error: f64,
    /// Relative Frobenius error that quantising the banks leaves, by nominal values.
    pub quantisation_error: f64,
    /// The leaves, in the order in which they were read.
    pub leaves: Vec<LeafReport>,
    /// Copies that read each leaf.
    pub copies: usize,
    /// The first board.
    pub board: BoardInfo,
    /// Content hash of the calibration behind the result; `None`: one of the boards has none.
    pub calibration: Option<u64>,
    /// Kept samples of all copies.
    pub kept: u64,
    /// Kept samples of each cell at the end of the converter's range, all copies.
    pub saturated: Vec<u64>,
    /// Ticks run by the busiest copy: sampled time.
    pub ticks: Ticks,
    /// Wall time by phase, all copies together.
    pub phases: Phases,
    /// Wall time in which boards were at work.
    pub board_wall: Duration,
    /// Wall time of planning the leaves: routes, codes, sampling. Digital, and not in
    /// [`flops`](Self::flops).
    pub planning_wall: Duration,
    /// Wall time of digital work between them and after.
    pub digital_wall: Duration,
    /// Digital work.
    pub flops: BlockFlops,
    /// Noise of each leaf.
    pub(crate) scatter: Vec<LeafScatter>,
}

impl BlockInversion {
    /// Half widths of the 95 % intervals of `X b`, `n`: the noise of all leaves, to first order.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn product_half_widths(&self, b: &[f64]) -> Vec<f64> {
        propagate::product_half_widths(&self.inverse, &self.scatter, b)
    }
}

/// Number of leaves of an `n × n` matrix on boards of `cells` cells.
pub fn leaf_count(n: usize, cells: usize) -> usize {
    n.div_ceil(cells.max(1))
}

/// Inverts `a`, of whatever size, on `boards`.
///
/// A cancelled run has no result: what is missing cannot be made up.
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
    let mut run = boards.run(leaf_count(a.n(), cells), progress);
    let mut flops = BlockFlops::default();
    let inverse =
        schur::invert(a.entries(), cells, 0, &mut flops.elimination, &mut |first, block| {
            run.leaf(first, block)
        })?;
    let done = run.done;
    flops.transforms = done.transform_flops;
    let (variance, work) = propagate::variance(&inverse, &done.scatter);
    let (shift, more) = propagate::quantisation(&inverse, &done.scatter);
    flops.error_bars = work + more;
    let size = frobenius(&inverse);
    let t = propagate::quantile(&done.scatter);
    Ok(BlockInversion {
        half_widths: variance.mapv(|v| t * v.sqrt()),
        statistical_error: variance.sum().sqrt() / size,
        quantisation_error: shift / size,
        leaves: done.leaves,
        copies,
        calibration: done.calibration,
        board,
        kept: done.kept,
        saturated: done.saturated,
        ticks: Ticks(done.ticks.iter().copied().max().unwrap_or(0)),
        phases: done.phases,
        board_wall: done.wall,
        planning_wall: done.planning,
        digital_wall: started.elapsed().saturating_sub(done.wall + done.planning),
        flops,
        scatter: done.scatter,
        inverse,
    })
}

#[cfg(test)]
mod tests;
