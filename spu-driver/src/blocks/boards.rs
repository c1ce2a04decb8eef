//! Leaves on boards: every copy reads each leaf, in a thread of its own.

use std::thread;
use std::time::{Duration, Instant};

use ndarray::Array2;

use super::{BlockError, LeafReport, LeafScatter};
use crate::device::{BoardInfo, Device, Outcome, Phases};
use crate::ensemble::compare;
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress};
use crate::linalg::{frobenius, relative_error};
use crate::matrix::SpdMatrix;
use crate::plan::{Budget, DEFAULT_SAMPLES};
use crate::route::{RouteChoice, choose_route, invert_by};

/// Odd and irrational-looking: steps of it visit every seed.
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Copies of a board that read inverses together, and how.
pub struct Boards<'a> {
    devices: &'a mut [Box<dyn Device>],
    options: InvertOptions,
    choice: RouteChoice,
    /// Leaves that were read so far: each gets noise of its own.
    reads: u64,
    /// True once the copies were compared.
    compared: bool,
}

impl<'a> Boards<'a> {
    /// These devices. The budget is the one of a leaf; copies share it.
    pub fn new(devices: &'a mut [Box<dyn Device>], options: InvertOptions) -> Self {
        Self { devices, options, choice: RouteChoice::Auto, reads: 0, compared: false }
    }

    /// The same by another choice of routes.
    #[must_use]
    pub fn by(mut self, choice: RouteChoice) -> Self {
        self.choice = choice;
        self
    }

    /// The same after so many reads of leaves with these options: noise goes on from there.
    #[must_use]
    pub fn after(mut self, reads: u64) -> Self {
        self.reads = reads;
        self
    }

    /// Rows that fit the smallest of them.
    ///
    /// # Errors
    /// [`BlockError::NoBoards`].
    pub fn cells(&self) -> Result<usize, BlockError> {
        let cells = self.devices.iter().map(|device| device.info().cells).min();
        cells.ok_or(BlockError::NoBoards)
    }

    /// Number of copies.
    pub fn copies(&self) -> usize {
        self.devices.len()
    }

    /// The boards.
    pub fn infos(&self) -> impl Iterator<Item = &BoardInfo> {
        self.devices.iter().map(|device| device.info())
    }

    /// A run of so many leaves.
    pub(super) fn run<'b>(&'b mut self, leaves: usize, progress: &'b dyn Progress) -> BlockRun<'b> {
        let copies = self.devices.len();
        let budget = share(&self.options.budget, copies);
        BlockRun {
            options: InvertOptions { budget, ..self.options.clone() },
            devices: self.devices,
            choice: self.choice,
            reads: &mut self.reads,
            compared: &mut self.compared,
            planned: leaves,
            unit: 0,
            progress,
            done: Done { ticks: vec![0; copies], ..Done::default() },
        }
    }
}

/// The budget of one of several copies.
pub(super) fn share(budget: &Budget, copies: usize) -> Budget {
    let part = |whole: u64| whole.div_ceil(copies.max(1) as u64);
    let default = budget.effective.is_none().then_some(DEFAULT_SAMPLES);
    Budget {
        samples: budget.samples.or(default).map(part),
        effective: budget.effective.map(part),
        decimation: budget.decimation,
    }
}

/// What the leaves gave.
#[derive(Default)]
pub(super) struct Done {
    pub(super) leaves: Vec<LeafReport>,
    pub(super) scatter: Vec<LeafScatter>,
    pub(super) kept: u64,
    pub(super) saturated: Vec<u64>,
    /// Of each copy.
    pub(super) ticks: Vec<u64>,
    pub(super) phases: Phases,
    /// Of the first copy, if all have one.
    pub(super) calibration: Option<u64>,
    /// Wall time in which boards were at work.
    pub(super) wall: Duration,
    /// Wall time of planning leaves.
    pub(super) planning: Duration,
    pub(super) transform_flops: u64,
}

/// One read of all leaves.
pub(super) struct BlockRun<'b> {
    devices: &'b mut [Box<dyn Device>],
    options: InvertOptions,
    choice: RouteChoice,
    reads: &'b mut u64,
    compared: &'b mut bool,
    planned: usize,
    /// Samples of the first leaf: what one leaf counts in the progress.
    unit: u64,
    progress: &'b dyn Progress,
    pub(super) done: Done,
}

/// A leaf as one copy read it.
struct Read {
    inversion: Inversion,
    /// Wall time of its planning.
    planning: Duration,
    /// What its codes would give without noise.
    nominal: Array2<f64>,
}

impl BlockRun<'_> {
    /// Reads the inverse of a block whose first row is row `first` of the whole.
    pub(super) fn leaf(
        &mut self,
        first: usize,
        block: &Array2<f64>,
    ) -> Result<Array2<f64>, BlockError> {
        let last = first + block.nrows() - 1;
        let a = SpdMatrix::new(block, 0.0).map_err(|source| BlockError::NotDefinite {
            first,
            last,
            source,
        })?;
        let started = Instant::now();
        let reads = self.read(&a).map_err(|source| match source {
            OperationError::Device(Error::Cancelled) => BlockError::from(Error::Cancelled),
            source => BlockError::Leaf { first, last, source },
        })?;
        let planning = reads.iter().map(|read| read.planning).max().unwrap_or_default();
        self.done.planning += planning;
        self.done.wall += started.elapsed().saturating_sub(planning);
        self.check(&a, &reads)?;
        let inverse = mean(reads.iter().map(|read| &read.inversion.inverse));
        self.account(first, &a, &reads, &inverse);
        Ok(inverse)
    }

    /// Every copy reads `a`.
    fn read(&mut self, a: &SpdMatrix) -> Result<Vec<Read>, OperationError> {
        let seed = self.options.seed.wrapping_add(self.reads.wrapping_mul(SEED_STEP));
        *self.reads += 1;
        let (options, choice) = (&self.options, self.choice);
        let progress = Part {
            whole: self.progress,
            before: self.done.leaves.len() as u64,
            of: self.planned as u64,
            unit: self.unit,
        };
        let reads: Vec<Result<Read, OperationError>> = thread::scope(|scope| {
            let running: Vec<_> = self
                .devices
                .iter_mut()
                .enumerate()
                .map(|(copy, device)| {
                    let copy = options.copy + copy as u32;
                    let options = InvertOptions { seed, copy, ..options.clone() };
                    let progress = &progress;
                    scope.spawn(move || {
                        let started = Instant::now();
                        let chosen = choose_route(a, device.info(), &options, choice)?;
                        let planning = started.elapsed();
                        let inversion = invert_by(device.as_mut(), a, &chosen, &options, progress)?;
                        Ok(Read { inversion, planning, nominal: chosen.programmed_inverse() })
                    })
                })
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(join).collect()
        });
        let reads = reads.into_iter().collect::<Result<Vec<_>, _>>()?;
        if reads.iter().any(|read| read.inversion.outcome == Outcome::Cancelled) {
            return Err(Error::Cancelled.into());
        }
        if self.unit == 0 {
            self.unit = reads[0].inversion.plan.samples;
        }
        Ok(reads)
    }

    /// Compares the copies on the first leaf that they read: a faulty one is found there.
    fn check(&mut self, a: &SpdMatrix, reads: &[Read]) -> Result<(), BlockError> {
        if reads.len() < 2 || std::mem::replace(self.compared, true) {
            return Ok(());
        }
        let copies = reads.iter().map(|read| Ok(read.inversion.clone())).collect();
        match compare(copies, a)?.verdict {
            Some(verdict) if !verdict.is_success() => Err(BlockError::Copies(verdict)),
            _ => Ok(()),
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
        let calibrations: Option<Vec<u64>> =
            reads.iter().map(|read| read.inversion.calibration).collect();
        self.done.calibration = calibrations.and_then(|ids| ids.first().copied());
        self.done.leaves.push(LeafReport {
            first,
            rows: a.n(),
            route: reads[0].inversion.route.route,
            condition: a.condition(),
            effective: reads.iter().map(|read| read.inversion.effective_planned).sum(),
            quantisation_error: relative_error(&nominal, &crate::route::exact_inverse(a)),
            statistical_error: squared.sqrt() / frobenius(inverse),
        });
        self.done.scatter.push(LeafScatter::new(
            first,
            a.entries(),
            inverse,
            &deviations,
            freedom,
            &nominal,
        ));
        for (read, ticks) in reads.iter().zip(&mut self.done.ticks) {
            let inversion = &read.inversion;
            *ticks += inversion.ticks.0;
            self.done.kept += inversion.kept;
            self.done.saturated.resize(inversion.saturated.len().max(self.done.saturated.len()), 0);
            for (sum, count) in self.done.saturated.iter_mut().zip(&inversion.saturated) {
                *sum += count;
            }
            self.done.transform_flops += inversion.route.flops;
            self.done.phases.add(&inversion.phases);
        }
    }
}

fn mean<'m>(matrices: impl Iterator<Item = &'m Array2<f64>>) -> Array2<f64> {
    let all: Vec<&Array2<f64>> = matrices.collect();
    let mut sum = Array2::zeros(all[0].dim());
    for matrix in &all {
        sum += *matrix;
    }
    sum / all.len() as f64
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
