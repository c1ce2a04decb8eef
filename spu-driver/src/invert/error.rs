//! Why an operation gave no result.

use crate::error::Error;
use crate::matrix::MatrixError;
use crate::readout::Unreadable;

/// Why an operation gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The matrix itself.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The device, or what it cannot do.
    #[error(transparent)]
    Device(#[from] Error),
    /// Too few samples for an error bar.
    #[error(
        "{samples} samples are about {effective:.0} independent ones, too few for an error bar; \
         keep at least {needed}"
    )]
    TooFewSamples {
        /// Samples that were to be kept.
        samples: u64,
        /// Effective ones among them.
        effective: f64,
        /// Samples that suffice.
        needed: u64,
    },
    /// A converter shows nothing, or two show the same.
    #[error(
        "no independent signal from cell {}: the converter is stuck or the cell is dead; run \
         `spu selftest --level 2`",
        list(cells)
    )]
    NoSignal {
        /// Cells, from 0.
        cells: Vec<usize>,
    },
    /// The covariance is none that the board's cells can have.
    #[error(
        "the measured covariance is none that cells with these R, L and drive can have; run `spu selftest \
         --level 2`, and `spu calibrate` if it passes"
    )]
    Inconsistent,
}

impl From<Unreadable> for OperationError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NoSignal { cells } => Self::NoSignal { cells },
            Unreadable::Inconsistent => Self::Inconsistent,
        }
    }
}

fn list(cells: &[usize]) -> String {
    cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
