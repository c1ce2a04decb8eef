//! The first block, read again after the last one.

use std::time::Instant;

use super::run::BlockRun;
use super::{BlockError, Recheck};
use crate::agreement::repeats;
use crate::device::Outcome;
use crate::error::Error;
use crate::invert::{Inversion, OperationError, Quiet};
use crate::linalg::flops::counted;
use crate::matrix::SpdMatrix;
use crate::plan::Budget;

/// One in this many of the first block's samples is read again at the end.
pub(super) const RECHECK_PART: f64 = 8.0;
/// Fewest effective samples of a programming that is read again.
const RECHECK_LEAST: f64 = 256.0;

/// The first block, to be read again.
pub(super) struct Opening {
    pub(super) a: SpdMatrix,
    pub(super) reads: Vec<(usize, Inversion)>,
}

impl BlockRun<'_, '_> {
    /// Reads the first of several blocks again.
    pub(super) fn close(&mut self, rows: usize) -> Result<Vec<Recheck>, BlockError> {
        let Some(opening) = self.opening.take() else { return Ok(Vec::new()) };
        let effective = opening.reads.iter().map(|(_, read)| read.effective_planned);
        let effective = effective.fold(f64::INFINITY, f64::min);
        let least = RECHECK_LEAST * f64::from(self.boards.options.programmings.get());
        let budget = Budget {
            samples: None,
            effective: Some((effective / RECHECK_PART).max(least).min(effective) as u64),
            decimation: self.boards.options.budget.decimation,
        };
        let started = Instant::now();
        let tried = self.read(&opening.a, budget, &Quiet);
        self.done.wall += started.elapsed();
        let mut checks = Vec::new();
        for (copy, read) in tried {
            let changed = |run: &Self, what: String| BlockError::Changed {
                copy,
                serial: run.boards.devices[copy].info().serial,
                what,
                reached: run.reached().into(),
            };
            match read {
                Ok(read) if read.inversion.outcome == Outcome::Cancelled => {
                    return Err(BlockError::Cancelled(self.reached().into()));
                }
                Err(OperationError::Device(Error::Cancelled)) => {
                    return Err(BlockError::Cancelled(self.reached().into()));
                }
                Ok(read) => {
                    self.book(&read);
                    let Some((_, before)) = opening.reads.iter().find(|(of, _)| *of == copy) else {
                        continue;
                    };
                    let (apart, check_flops) = counted(|| repeats(before, &read.inversion));
                    self.done.check_flops += check_flops;
                    let Some(apart) = apart else { continue };
                    if apart.is_more_than_noise() {
                        let what = format!(
                            "it reads the first block's inverse {:.2} apart from before (affine distance) \
                             where noise explains {:.2}",
                            apart.distance, apart.limit
                        );
                        return Err(changed(self, what));
                    }
                    checks.push(Recheck { copy, distance: apart.distance, limit: apart.limit });
                }
                // A link that is gone says nothing about the reads before.
                Err(OperationError::Device(error)) => {
                    self.leave_out(copy, rows, &OperationError::from(error).into());
                }
                Err(error) => return Err(changed(self, error.to_string())),
            }
        }
        Ok(checks)
    }
}
