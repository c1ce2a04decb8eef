//! Operations beyond the inverse and its samples, over any `dyn Device`.
//!
//! Every number that a board gives comes from ADC codes, with an interval from batches of its own
//! record. Results that the host computes for comparison are named *digital* and never mixed in.

pub mod logdet;
pub mod lyapunov;
pub mod normality;
pub mod propagator;
pub mod trim;

use crate::board_model::BoardModel;
use crate::invert::{InvertOptions, Progress};
use crate::model::CellModel;
use crate::seeds::seed_of_read;

/// The options of the k-th read of an operation: noise of its own.
fn fork(options: &InvertOptions, read: u64) -> InvertOptions {
    InvertOptions { seed: seed_of_read(options.seed, read), ..options.clone() }
}

/// The board with the mean R and L in every cell.
fn equal_cells(model: &BoardModel) -> BoardModel {
    let cell = CellModel::mean(model);
    let mut equal = model.clone();
    for own in &mut equal.cells {
        own.r_ohm = cell.r_ohm;
        own.l_henry = cell.l_henry;
    }
    equal
}

/// Progress of one of several reads that follow each other.
struct Part<'a> {
    progress: &'a dyn Progress,
    number: u64,
    of: u64,
}

impl Progress for Part<'_> {
    fn update(&self, copy: usize, kept: u64, total: u64) {
        self.progress.update(copy, self.number * total + kept, self.of * total);
    }
}
