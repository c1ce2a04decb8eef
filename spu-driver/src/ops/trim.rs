//! Drives of a board set by what its cells show alone.
//!
//! The identity puts every cell by itself: its read-out `X_ii` is the square of cell i's gain, that of its
//! drive times that of its converter, over what the board's model says. Taking all of it for the drive's,
//! the drives are set to make up for it and the read-outs go by it. This is no calibration: it knows
//! nothing of banks, R and L, and a cell's converter is taken for a part of its drive. It takes one
//! read, and off the spread of the drives, which is what makes a board without calibration wrong.

use std::sync::Arc;

use ndarray::Array2;

use super::logdet::jackknife;
use crate::board_model::{BoardModel, MeasuredBoard, MeasuredBoards};
use crate::device::{Device, Outcome};
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress, invert};
use crate::matrix::SpdMatrix;

/// Gains of a board's cells, from the identity's read.
#[derive(Debug, Clone)]
pub struct Trim {
    /// Squares of the gains of the cells in use, over those of the board's model.
    pub squares: Vec<f64>,
    /// Variance of the sum of their natural logarithms.
    pub variance: f64,
    /// Bias of that sum, by the jackknife.
    pub bias: f64,
    /// The identity's inverse, as read.
    pub read: Inversion,
    /// The board with these gains in its drives, and each of its draws with the gains that it would have
    /// shown.
    board: Arc<MeasuredBoard>,
    serial: u64,
}

impl Trim {
    /// Reads the gains of the first `n` cells of a board.
    ///
    /// # Errors
    /// [`OperationError`]; [`Error::Cancelled`] if it was.
    ///
    /// # Examples
    /// ```
    /// use spu_driver::invert::{InvertOptions, Quiet};
    /// use spu_driver::open;
    /// use spu_driver::ops::trim::Trim;
    ///
    /// let mut device = open("sim:profile=rev-a,seed=3")?;
    /// let options = InvertOptions::default();
    /// let trim = Trim::read(device.as_mut(), 4, &options, &Quiet)?;
    /// // Drives of `rev-a` differ by 22 % (1 sigma).
    /// assert!(trim.squares.iter().any(|square| (square.sqrt() - 1.0).abs() > 0.05));
    /// let options = trim.apply(&options);
    /// # let _ = options;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(
        device: &mut dyn Device,
        n: usize,
        options: &InvertOptions,
        progress: &dyn Progress,
    ) -> Result<Self, OperationError> {
        let info = device.info().clone();
        let known = options.board(&info)?;
        let model = known.map_or_else(|| BoardModel::nominal(&info), |board| board.model.clone());
        let identity = SpdMatrix::new(&Array2::eye(n), 0.0)?;
        let read = invert(device, &identity, options, progress)?;
        if read.outcome == Outcome::Cancelled {
            return Err(Error::Cancelled.into());
        }
        // What the banks hold instead of the identity is known.
        let off = &read.systematic.quantisation;
        let squares = |x: &Array2<f64>| (x - off).diag().to_vec();
        let sum = |x: &Array2<f64>| -> Option<f64> {
            squares(x).iter().map(|square| (*square > 0.0).then(|| libm::log(*square))).sum()
        };
        let raw = sum(&read.inverse).ok_or(OperationError::Inconsistent)?;
        let (value, variance) =
            jackknife(&read.inverse, &read.replicates, sum).ok_or(OperationError::Inconsistent)?;
        let squares = squares(&read.inverse);
        let trimmed = |model: &BoardModel, squares: &[f64]| {
            let mut model = model.clone();
            for (cell, square) in model.cells.iter_mut().zip(squares) {
                cell.drive_ampere *= square.max(0.0).sqrt();
            }
            model
        };
        let draws = known.map_or(&[][..], |board| &board.draws).iter().zip(&read.systematic.shifts);
        let draws = draws
            .map(|(draw, change)| trimmed(draw, &(&read.inverse - off + change).diag().to_vec()));
        let board = Arc::new(MeasuredBoard {
            id: known.map_or(0, |board| board.id),
            model: trimmed(&model, &squares),
            draws: draws.collect(),
        });
        Ok(Self { squares, variance, bias: raw - value, read, board, serial: info.serial })
    }

    /// Options whose operations go by these gains. Their results name a calibration of id 0 where there
    /// was none.
    #[must_use]
    pub fn apply(&self, options: &InvertOptions) -> InvertOptions {
        let mut boards = MeasuredBoards::clone(&options.measured);
        boards.insert(self.serial, self.board.clone());
        InvertOptions { measured: Arc::new(boards), ..options.clone() }
    }
}
