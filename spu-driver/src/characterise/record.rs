//! Raw records: ADC codes of the cells in use, tick by tick.

use crate::device::{FrameBlock, Sink};
use crate::invert::Progress;

/// Samples of each cell in use, in bursts of consecutive ones.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Samples of a burst; the last may be shorter. Between two bursts, time is missing.
    pub(crate) burst: usize,
    /// Codes, cell by cell.
    pub(crate) codes: Vec<Vec<i16>>,
    /// Mean code of each cell.
    pub(crate) means: Vec<f64>,
    /// Volts per code of each cell.
    pub(crate) volts: Vec<f64>,
}

impl Record {
    pub(crate) fn new(codes: Vec<Vec<i16>>, volts: Vec<f64>, burst: usize) -> Self {
        let mean = |column: &Vec<i16>| {
            let sum: i64 = column.iter().map(|code| i64::from(*code)).sum();
            sum as f64 / column.len().max(1) as f64
        };
        let means = codes.iter().map(mean).collect();
        Self { burst: burst.max(1), codes, means, volts }
    }

    /// Number of cells.
    pub(crate) fn n(&self) -> usize {
        self.codes.len()
    }

    /// Number of samples of each.
    pub(crate) fn len(&self) -> usize {
        self.codes.first().map_or(0, Vec::len)
    }

    /// Voltage of a cell less its mean, in V.
    pub(crate) fn volt(&self, cell: usize, tick: usize) -> f64 {
        (f64::from(self.codes[cell][tick]) - self.means[cell]) * self.volts[cell]
    }

    /// All voltages of a tick.
    pub(crate) fn frame(&self, tick: usize, out: &mut [f64]) {
        for (cell, value) in out.iter_mut().enumerate() {
            *value = self.volt(cell, tick);
        }
    }

    /// Variance of each cell, in codes².
    pub(crate) fn code_variances(&self) -> Vec<f64> {
        let variance = |(column, mean): (&Vec<i16>, &f64)| {
            let sum: f64 = column.iter().map(|code| (f64::from(*code) - mean).powi(2)).sum();
            sum / column.len().max(1) as f64
        };
        self.codes.iter().zip(&self.means).map(variance).collect()
    }

    /// The record whose channels are shifted against each other, each by another part of its length,
    /// around its end: equal spectra, no common time.
    pub(crate) fn shifted(&self) -> Self {
        let mut shifted = self.clone();
        let (n, len) = (self.n(), self.len());
        for (cell, column) in shifted.codes.iter_mut().enumerate() {
            let shift = cell * len / n;
            // Bursts stay whole; the end of one is then that of another.
            let shift = if self.burst < len { shift / self.burst * self.burst } else { shift };
            column.rotate_left(shift);
        }
        shifted
    }

    /// True if two samples are of one burst.
    pub(crate) fn together(&self, tick: usize, later: usize) -> bool {
        tick / self.burst == later / self.burst
    }

    /// `count` parts of equal length, as ranges of ticks; a rest is left out.
    pub(crate) fn parts(&self, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let length = self.len() / count;
        (0..count).map(move |part| part * length..(part + 1) * length)
    }
}

/// Keeps the codes of the first cells.
pub(crate) struct Keep<'a> {
    pub(crate) cells: usize,
    pub(crate) codes: Vec<Vec<i16>>,
    pub(crate) progress: &'a dyn Progress,
}

impl Sink for Keep<'_> {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        if block.lost_before > 0 {
            return Err(std::io::Error::other("frames were lost; a spectrum needs all of them"));
        }
        for frame in block.codes.chunks_exact(self.cells) {
            for (column, code) in self.codes.iter_mut().zip(frame) {
                column.push(code.0);
            }
        }
        Ok(())
    }

    fn progress(&mut self, kept: u64, total: u64) {
        self.progress.update(0, kept, total);
    }
}
