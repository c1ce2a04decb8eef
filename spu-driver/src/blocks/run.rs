//! One run over all blocks: every copy reads each of them, in a thread of its own, and every read is
//! checked before it counts.
//!
//! - A copy that gives no read (no signal, link gone) is left out from there on.
//! - The two halves of each read are compared: a board that changed in between is left out.
//! - The copies' reads of each block are compared, as those of a matrix that fits a board
//!   ([`ensemble`](crate::ensemble)): an outlier is left out.
//! - After the last block each copy reads the first one again, with an eighth of its samples: what the
//!   other checks do not see, a single board that changed between blocks or one that drifts within the
//!   spread of uncalibrated copies, is found here.
//!
//! The limits of noise are exceeded by chance in fewer than one comparison of 10⁷.

use std::thread;
use std::time::{Duration, Instant};

use ndarray::Array2;

use super::boards::share;
use super::error::{LeftOut, Reached, Trouble};
use super::recheck::Opening;
use super::{BlockError, Boards, LeafReport, LeafScatter};
use crate::agreement::halves;
use crate::device::{Device, Outcome};
use crate::ensemble::{Verdict, compare};
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress};
use crate::linalg::flops::counted;
use crate::linalg::{frobenius, mean, relative_error};
use crate::matrix::SpdMatrix;
use crate::plan::Budget;
use crate::route::{RouteChoice, choose_route, exact_inverse, invert_by};
use crate::seeds::seed_of_read;
use crate::timing::TimeLedger;

/// What the leaves gave.
#[derive(Default)]
pub(super) struct Done {
    pub(super) leaves: Vec<LeafReport>,
    pub(super) scatter: Vec<LeafScatter>,
    pub(super) kept: u64,
    pub(super) saturated: Vec<u64>,
    /// Of each copy.
    pub(super) times: Vec<TimeLedger>,
    /// Of the first copy that reads, if all have one.
    pub(super) calibration: Option<u64>,
    /// Wall time in which boards were at work.
    pub(super) wall: Duration,
    /// Wall time of planning leaves.
    pub(super) planning: Duration,
    pub(super) transform_flops: u64,
    pub(super) planning_flops: u64,
    pub(super) read_out_flops: u64,
    pub(super) check_flops: u64,
}

/// One read of all leaves.
pub(super) struct BlockRun<'b, 'a> {
    pub(super) boards: &'b mut Boards<'a>,
    planned: usize,
    /// Samples of the first leaf: what one leaf counts in the progress.
    unit: u64,
    progress: &'b dyn Progress,
    pub(super) opening: Option<Opening>,
    pub(super) done: Done,
}

/// A leaf as one copy read it.
pub(super) struct Read {
    copy: usize,
    pub(super) inversion: Inversion,
    /// Wall time of its planning.
    planning: Duration,
    /// What its codes would give without noise.
    nominal: Array2<f64>,
}

/// A copy, and its read or why there is none.
pub(super) type Tried = (usize, Result<Read, OperationError>);

impl<'b, 'a> BlockRun<'b, 'a> {
    pub(super) fn new(
        boards: &'b mut Boards<'a>,
        planned: usize,
        progress: &'b dyn Progress,
    ) -> Self {
        let done = Done { times: vec![TimeLedger::default(); boards.copies()], ..Done::default() };
        Self { boards, planned, unit: 0, progress, opening: None, done }
    }

    /// Reads the inverse of a block whose first row is row `first` of the whole.
    pub(super) fn leaf(
        &mut self,
        first: usize,
        block: &Array2<f64>,
    ) -> Result<Array2<f64>, BlockError> {
        let last = first + block.nrows() - 1;
        let (a, spectrum_flops) = counted(|| SpdMatrix::new(block, 0.0));
        self.done.planning_flops += spectrum_flops;
        let a = a.map_err(|source| BlockError::NotDefinite { first, last, source })?;
        let started = Instant::now();
        let progress = Part {
            whole: self.progress,
            before: self.done.leaves.len() as u64,
            of: self.planned as u64,
            unit: self.unit,
        };
        let budget = share(&self.boards.options.budget, self.boards.active());
        let tried = self.read(&a, budget, &progress);
        let planning = tried.iter().flat_map(|(_, read)| read).map(|read| read.planning).max();
        let planning = planning.unwrap_or_default();
        self.done.planning += planning;
        self.done.wall += started.elapsed().saturating_sub(planning);
        let reads = self.sound(first, last, tried)?;
        let reads = self.agreeing(first, &a, reads)?;
        if self.unit == 0 {
            self.unit = reads[0].inversion.plan.samples;
        }
        let inverse = mean(reads.iter().map(|read| &read.inversion.inverse));
        self.account(first, &a, &reads, &inverse);
        if self.opening.is_none() && self.planned > 1 {
            let reads = reads.into_iter().map(|read| (read.copy, read.inversion)).collect();
            self.opening = Some(Opening { a, reads });
        }
        Ok(inverse)
    }

    /// Every copy that takes part reads `a`.
    pub(super) fn read(
        &mut self,
        a: &SpdMatrix,
        budget: Budget,
        progress: &dyn Progress,
    ) -> Vec<Tried> {
        let boards = &mut *self.boards;
        let seed = seed_of_read(boards.options.seed, boards.reads);
        boards.reads += 1;
        let takes_part: Vec<bool> =
            (0..boards.devices.len()).map(|copy| boards.takes_part(copy)).collect();
        let (options, choice) = (&boards.options, boards.choice);
        thread::scope(|scope| {
            let running: Vec<_> = boards
                .devices
                .iter_mut()
                .enumerate()
                .filter(|(copy, _)| takes_part[*copy])
                .map(|(copy, device)| {
                    let options = InvertOptions {
                        seed,
                        copy: options.copy + copy as u32,
                        budget,
                        ..options.clone()
                    };
                    let read =
                        move || read_one(device.as_mut(), copy, a, &options, choice, progress);
                    (copy, scope.spawn(read))
                })
                .collect();
            running
                .into_iter()
                .map(|(copy, thread)| {
                    let read = thread.join();
                    (copy, read.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                })
                .collect()
        })
    }

    /// The reads that there are and that are of one inverse each. Copies without one are left out; the run
    /// ends if none is left, if it was cancelled, or by what is no failure of a board.
    fn sound(
        &mut self,
        first: usize,
        last: usize,
        tried: Vec<Tried>,
    ) -> Result<Vec<Read>, BlockError> {
        let mut reads = Vec::new();
        let mut troubles = Vec::new();
        let mut cancelled = false;
        for (copy, read) in tried {
            match read {
                Ok(read) => {
                    self.book(&read);
                    cancelled |= read.inversion.outcome == Outcome::Cancelled;
                    let (apart, check_flops) = counted(|| halves(&read.inversion));
                    self.done.check_flops += check_flops;
                    match apart.filter(|apart| apart.is_more_than_noise()) {
                        Some(apart) => {
                            let (distance, limit) = (apart.distance, apart.limit);
                            troubles.push((copy, Trouble::Unsteady { distance, limit }));
                        }
                        None => reads.push(read),
                    }
                }
                Err(OperationError::Device(Error::Cancelled)) => cancelled = true,
                Err(error) => troubles.push((copy, error.into())),
            }
        }
        if cancelled {
            return Err(BlockError::Cancelled(self.reached().into()));
        }
        let fatal = troubles.iter().position(|(_, trouble)| !is_of_the_board(trouble));
        if reads.is_empty() || fatal.is_some() {
            // A copy took part, so one of them failed.
            let (_, source) = troubles.swap_remove(fatal.unwrap_or(0));
            if fatal.is_none() {
                for (other, trouble) in troubles {
                    self.leave_out(other, first, &trouble);
                }
            }
            return Err(BlockError::Leaf { first, last, source, reached: self.reached().into() });
        }
        for (copy, trouble) in troubles {
            self.leave_out(copy, first, &trouble);
        }
        Ok(reads)
    }

    /// The reads that agree; copies apart from the majority are left out.
    fn agreeing(
        &mut self,
        first: usize,
        a: &SpdMatrix,
        mut reads: Vec<Read>,
    ) -> Result<Vec<Read>, BlockError> {
        if reads.len() < 2 {
            return Ok(reads);
        }
        let copies = reads.iter().map(|read| Ok(read.inversion.clone())).collect();
        let (compared, check_flops) = counted(|| compare(copies, a));
        self.done.check_flops += check_flops;
        match compared?.verdict {
            Some(Verdict::Outlier { copies }) => {
                for at in copies.into_iter().rev() {
                    let read = reads.remove(at);
                    self.leave_out(read.copy, first, &Trouble::Outlier);
                }
                Ok(reads)
            }
            Some(verdict) if !verdict.is_success() => Err(BlockError::Copies {
                first,
                last: first + a.n() - 1,
                verdict,
                serials: reads.iter().map(|read| read.inversion.board.serial).collect(),
                reached: self.reached().into(),
            }),
            _ => Ok(reads),
        }
    }

    pub(super) fn leave_out(&mut self, copy: usize, first: usize, trouble: &Trouble) {
        let device = &self.boards.devices[copy];
        let (serial, uri) = (device.info().serial, device.uri().to_owned());
        let left_out = LeftOut { copy, serial, uri, first, why: trouble.to_string() };
        tracing::warn!("left out: {left_out}");
        self.boards.left_out.push(left_out);
    }

    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        self.boards.left_out.clone()
    }

    pub(super) fn reached(&self) -> Reached {
        let devices = self.boards.devices.iter().zip(&self.done.times);
        Reached {
            blocks: self.done.leaves.len(),
            of: self.planned,
            board_s: devices
                .map(|(device, time)| time.ticks as f64 * device.info().sample_period_s())
                .fold(0.0, f64::max),
            left_out: self.left_out(),
        }
    }

    fn account(&mut self, first: usize, a: &SpdMatrix, reads: &[Read], inverse: &Array2<f64>) {
        let copies = reads.len() as f64;
        let nominal = mean(reads.iter().map(|read| &read.nominal));
        let deviations: Vec<Array2<f64>> = reads
            .iter()
            .flat_map(|read| read.inversion.replicates.deviations())
            .map(|deviation| deviation / copies)
            .collect();
        let squared: f64 = deviations.iter().flatten().map(|d| d * d).sum();
        let freedom = deviations.len() - reads.len();
        let shifts: Vec<(usize, Vec<Array2<f64>>)> = reads
            .iter()
            .map(|read| {
                let shifts = &read.inversion.systematic.shifts;
                (read.copy, shifts.iter().map(|shift| shift / copies).collect())
            })
            .collect();
        let mean_square = |draws: &Vec<Array2<f64>>| {
            let sum: f64 = draws.iter().flatten().map(|d| d * d).sum();
            (!draws.is_empty()).then(|| sum / draws.len() as f64)
        };
        let uncertain: Option<f64> = shifts.iter().map(|(_, draws)| mean_square(draws)).sum();
        let calibrations: Option<Vec<u64>> =
            reads.iter().map(|read| read.inversion.calibration).collect();
        self.done.calibration = calibrations.and_then(|ids| ids.first().copied());
        let scatter =
            LeafScatter::new(first, a.entries(), inverse, &deviations, freedom, &nominal, &shifts);
        self.done.leaves.push(LeafReport {
            first,
            rows: a.n(),
            copies: reads.len(),
            route: reads[0].inversion.route.route,
            condition: a.condition(),
            effective: reads.iter().map(|read| read.inversion.effective_planned).sum(),
            quantisation_error: relative_error(&nominal, &exact_inverse(a)),
            statistical_error: squared.sqrt() / frobenius(inverse),
            calibration_error: uncertain.map(|square| square.sqrt() / frobenius(inverse)),
        });
        self.done.scatter.push(scatter);
        for read in reads {
            let inversion = &read.inversion;
            self.done.kept += inversion.kept;
            self.done.saturated.resize(inversion.saturated.len().max(self.done.saturated.len()), 0);
            for (sum, count) in self.done.saturated.iter_mut().zip(&inversion.saturated) {
                *sum += count;
            }
        }
    }

    /// What a read cost, whether it is in the result or not.
    pub(super) fn book(&mut self, read: &Read) {
        let inversion = &read.inversion;
        self.done.times[read.copy].add(&inversion.time());
        self.done.transform_flops += inversion.route.flops;
        self.done.planning_flops += inversion.route.planning_flops;
        self.done.read_out_flops += inversion.route.read_out_flops;
    }
}

/// One copy reads `a`.
fn read_one(
    device: &mut dyn Device,
    copy: usize,
    a: &SpdMatrix,
    options: &InvertOptions,
    choice: RouteChoice,
    progress: &dyn Progress,
) -> Result<Read, OperationError> {
    let started = Instant::now();
    let chosen = choose_route(a, device.info(), options, choice)?;
    let planning = started.elapsed();
    let inversion = invert_by(device, a, &chosen, options, progress)?;
    Ok(Read { copy, inversion, planning, nominal: chosen.programmed_inverse() })
}

/// True for what another copy may not have: faults of board and link. What was asked for wrongly fails on
/// every one.
fn is_of_the_board(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Unsteady { .. }
        | Trouble::Outlier
        | Trouble::Operation(OperationError::NoSignal { .. } | OperationError::Inconsistent) => {
            true
        }
        Trouble::Operation(OperationError::Device(error)) => matches!(
            error,
            Error::Disconnected { .. }
                | Error::Timeout { .. }
                | Error::Device { .. }
                | Error::Corrupt { .. }
                | Error::Lost { .. }
        ),
        Trouble::Operation(_) => false,
    }
}

/// Progress of one leaf as a part of the whole.
struct Part<'p> {
    whole: &'p dyn Progress,
    before: u64,
    of: u64,
    unit: u64,
}

impl Progress for Part<'_> {
    fn update(&self, copy: usize, kept: u64, total: u64) {
        let unit = if self.unit == 0 { total } else { self.unit };
        let part = (u128::from(kept) * u128::from(unit) / u128::from(total.max(1))) as u64;
        self.whole.update(copy, self.before * unit + part, self.of * unit);
    }
}
