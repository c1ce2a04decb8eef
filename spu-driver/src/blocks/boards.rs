//! Copies of a board that read the blocks of a matrix.

use super::BlockError;
use super::error::LeftOut;
use super::run::BlockRun;
use crate::device::{BoardInfo, Device};
use crate::invert::{InvertOptions, Progress};
use crate::plan::{Budget, DEFAULT_SAMPLES};
use crate::route::RouteChoice;

/// Copies of a board that read inverses together, and how.
pub struct Boards<'a> {
    pub(super) devices: &'a mut [Box<dyn Device>],
    pub(super) options: InvertOptions,
    pub(super) choice: RouteChoice,
    /// Leaves that were read so far: each gets noise of its own.
    pub(super) reads: u64,
    /// Copies that take no part any more, in the order in which they were left out.
    pub(super) left_out: Vec<LeftOut>,
}

impl<'a> Boards<'a> {
    /// These devices. The budget is the one of a leaf; copies share it.
    pub fn new(devices: &'a mut [Box<dyn Device>], options: InvertOptions) -> Self {
        Self { devices, options, choice: RouteChoice::Auto, reads: 0, left_out: Vec::new() }
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

    /// Number of copies, those that were left out too.
    pub fn copies(&self) -> usize {
        self.devices.len()
    }

    /// The boards, those that were left out too.
    pub fn infos(&self) -> impl Iterator<Item = &BoardInfo> {
        self.devices.iter().map(|device| device.info())
    }

    /// Copies that take no part any more: a run goes on without a copy that failed, and so do those that
    /// follow.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    pub(super) fn takes_part(&self, copy: usize) -> bool {
        self.left_out.iter().all(|left_out| left_out.copy != copy)
    }

    /// Copies that take part.
    pub(super) fn active(&self) -> usize {
        self.devices.len() - self.left_out.len()
    }

    /// A run of so many leaves.
    pub(super) fn run<'b>(
        &'b mut self,
        leaves: usize,
        progress: &'b dyn Progress,
    ) -> BlockRun<'b, 'a> {
        BlockRun::new(self, leaves, progress)
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
