//! Why a run in blocks ended, how far it came, and which copies it left out.

use std::fmt;

use serde::Serialize;

use crate::ensemble::Verdict;
use crate::error::Error;
use crate::invert::OperationError;
use crate::matrix::MatrixError;

/// Why a matrix could not be inverted in blocks.
///
/// There is no partial result: every entry of an inverse depends on every block, and the blocks that
/// were read are inverses of Schur complements, none of them a part of A⁻¹ but the last.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The boards, or what they cannot do.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// As many boards as take part: none.
    #[error("no board is left: none was given, or all of them were left out")]
    NoBoards,
    /// Cancelled from another thread or by Ctrl-C.
    #[error(
        "cancelled {0}; an inverse cannot be put together from a part of its blocks, so none is given"
    )]
    Cancelled(Box<Reached>),
    /// A block was read by no copy: there was one copy, or the others had been left out.
    #[error("rows {first} to {last}: {source} ({reached})")]
    Leaf {
        /// First row of the block, from 0.
        first: usize,
        /// Last row.
        last: usize,
        /// Why the last copy did not read it.
        source: Trouble,
        /// How far the run came.
        reached: Box<Reached>,
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
    /// The copies do not read the same inverse, and no majority tells which are wrong: their mean would
    /// hide a fault.
    #[error(
        "rows {first} to {last}: the copies do not agree ({verdict:?}; serial numbers {}), by more than noise \
         and the stated spread explain; run `spu selftest` on each, or leave one out ({reached})",
        hexadecimal(serials)
    )]
    Copies {
        /// First row of the block, from 0.
        first: usize,
        /// Last row.
        last: usize,
        /// What the comparison says.
        verdict: Verdict,
        /// Serial numbers of the copies that were compared.
        serials: Vec<u64>,
        /// How far the run came.
        reached: Box<Reached>,
    },
    /// A copy reads another inverse of the first block at the end than at the start. Its reads are in
    /// every block, so there is nothing left to give.
    #[error(
        "copy {copy} (serial number {serial:016x}) changed during the run: {what}; run `spu selftest` \
         on it, and again without it ({reached})"
    )]
    Changed {
        /// The copy, from 0.
        copy: usize,
        /// Its serial number.
        serial: u64,
        /// How it was seen.
        what: String,
        /// How far the run came.
        reached: Box<Reached>,
    },
}

impl From<Error> for BlockError {
    fn from(error: Error) -> Self {
        Self::Operation(error.into())
    }
}

fn hexadecimal(serials: &[u64]) -> String {
    serials.iter().map(|serial| format!("{serial:016x}")).collect::<Vec<_>>().join(", ")
}

/// Why a copy's read of a block does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// It gave none.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// Its two halves are not of the same inverse.
    #[error(
        "the board changed while it was read: the two halves of the samples are {distance:.2} apart \
         (affine distance) where noise explains {limit:.2}; run `spu selftest --level 2`"
    )]
    Unsteady {
        /// Affine distance of the halves.
        distance: f64,
        /// What noise explains, but for one read in 10⁷.
        limit: f64,
    },
    /// It is apart from the majority of the copies.
    #[error(
        "it is apart from the other copies by more than noise and the stated spread explain; run \
         `spu selftest` on it"
    )]
    Outlier,
}

/// A copy that a run went on without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The copy, from 0.
    pub copy: usize,
    /// Its serial number.
    pub serial: u64,
    /// Its URI.
    pub uri: String,
    /// First row of the block whose read is the first that is not in the result, from 0. The number of rows
    /// of the matrix: all blocks are in it, but the copy could not be checked again after the last one.
    pub first: usize,
    /// Why.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copy, serial, first, why, .. } = self;
        write!(f, "copy {copy} (serial number {serial:016x}) from row {first} on: {why}")
    }
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reached {
    /// Blocks that were read.
    pub blocks: usize,
    /// Blocks that there are.
    pub of: usize,
    /// Device time of the busiest copy, in seconds of sampled time, without reads that gave nothing.
    pub board_s: f64,
    /// Copies that had been left out by then.
    pub left_out: Vec<LeftOut>,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} of {} blocks and {:.3} s of device time",
            self.blocks, self.of, self.board_s
        )?;
        for left_out in &self.left_out {
            write!(f, "; left out: {left_out}")?;
        }
        Ok(())
    }
}
