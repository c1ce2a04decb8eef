//! Lagged products of ADC codes, batch by batch, from a stream of frames.

use ndarray::Array2;

use crate::device::{FrameBlock, Sink};
use crate::invert::Progress;

/// Sums over the pairs of frames that are one lag apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LagSums {
    pub(super) count: u64,
    /// Of the earlier frames.
    early: Vec<i64>,
    /// Of the later frames.
    late: Vec<i64>,
    /// Of later times earlier codes, `n × n`, row-major. Codes have 16 bits and counts 32: no overflow.
    products: Vec<i64>,
}

impl LagSums {
    fn empty(n: usize) -> Self {
        Self { count: 0, early: vec![0; n], late: vec![0; n], products: vec![0; n * n] }
    }

    fn push(&mut self, late: &[i64], early: &[i64]) {
        self.count += 1;
        for (sum, code) in self.early.iter_mut().zip(early) {
            *sum += code;
        }
        for (sum, code) in self.late.iter_mut().zip(late) {
            *sum += code;
        }
        for (row, code) in self.products.chunks_exact_mut(early.len()).zip(late) {
            for (sum, earlier) in row.iter_mut().zip(early) {
                *sum += code * earlier;
            }
        }
    }

    fn zip(&mut self, other: &Self, f: impl Fn(i64, i64) -> i64) {
        let pairs = [
            (&mut self.early, &other.early),
            (&mut self.late, &other.late),
            (&mut self.products, &other.products),
        ];
        for (own, other) in pairs {
            for (a, b) in own.iter_mut().zip(other) {
                *a = f(*a, *b);
            }
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.zip(other, |a, b| a + b);
    }

    pub(super) fn without(&self, part: &Self) -> Self {
        let mut rest = self.clone();
        rest.count -= part.count;
        rest.zip(part, |a, b| a - b);
        rest
    }

    /// Covariance of later with earlier codes, `n × n`.
    pub(super) fn covariance(&self) -> Array2<f64> {
        let n = self.early.len();
        let count = i128::from(self.count);
        let square = (self.count as f64).powi(2);
        Array2::from_shape_fn((n, n), |(i, j)| {
            // Exact in integers: the mean may be far larger than the fluctuation.
            let centred = count * i128::from(self.products[i * n + j])
                - i128::from(self.late[i]) * i128::from(self.early[j]);
            centred as f64 / square
        })
    }
}

/// Takes frames and keeps sums of products at lags that are given in frames.
pub(super) struct Correlator<'a> {
    cells: usize,
    n: usize,
    lags: Vec<usize>,
    /// The last frames, as many as the longest lag and one.
    window: Vec<Vec<i64>>,
    seen: u64,
    /// Frames of one batch.
    batch: u64,
    /// One entry a batch, one a lag in it.
    pub(super) batches: Vec<Vec<LagSums>>,
    progress: &'a dyn Progress,
    copy: usize,
}

impl<'a> Correlator<'a> {
    /// For the first `n` of `cells` cells, `batches` of `frames` in all.
    pub(super) fn new(
        cells: usize,
        n: usize,
        lags: Vec<usize>,
        frames: u64,
        batches: u64,
        progress: &'a dyn Progress,
        copy: usize,
    ) -> Self {
        let longest = lags.iter().copied().max().unwrap_or(0);
        Self {
            cells,
            n,
            lags,
            window: vec![vec![0; n]; longest + 1],
            seen: 0,
            batch: frames.div_ceil(batches).max(1),
            batches: Vec::new(),
            progress,
            copy,
        }
    }

    fn push(&mut self, frame: impl Iterator<Item = i64>) {
        let size = self.window.len() as u64;
        let slot = (self.seen % size) as usize;
        for (own, code) in self.window[slot].iter_mut().zip(frame) {
            *own = code;
        }
        if self.seen.is_multiple_of(self.batch) {
            self.batches.push(vec![LagSums::empty(self.n); self.lags.len()]);
        }
        // A pair counts in the batch of its later frame.
        if let Some(batch) = self.batches.last_mut() {
            for (lag, sums) in self.lags.iter().zip(batch) {
                let lag = *lag as u64;
                if lag <= self.seen {
                    let early = ((self.seen - lag) % size) as usize;
                    sums.push(&self.window[slot], &self.window[early]);
                }
            }
        }
        self.seen += 1;
    }

    /// A last batch that was cut short is dropped.
    pub(super) fn finish(mut self) -> Vec<Vec<LagSums>> {
        let rest = self.seen % self.batch;
        if rest != 0 && rest < self.batch / 2 {
            self.batches.pop();
        }
        self.batches
    }
}

impl Sink for Correlator<'_> {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        if block.lost_before > 0 {
            return Err(std::io::Error::other("frames were lost: lags would be wrong"));
        }
        for frame in block.codes.chunks_exact(self.cells) {
            let n = self.n;
            self.push(frame[..n].iter().map(|code| i64::from(code.0)));
        }
        Ok(())
    }

    fn progress(&mut self, kept: u64, total: u64) {
        self.progress.update(self.copy, kept, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::Quiet;

    /// Against sums over the whole record, written out.
    #[test]
    fn sums_are_those_of_the_record() {
        let code = |t: i64, i: i64| (t * t * (7 + i) + 13 * t * (1 - i)) % 101 - 40;
        let mut correlator = Correlator::new(3, 2, vec![0, 1, 5], 100, 4, &Quiet, 0);
        for t in 0..100 {
            correlator.push((0..2).map(|i| code(t, i)));
        }
        let batches = correlator.finish();
        assert_eq!(batches.len(), 4);
        for (index, lag) in [0, 1, 5].into_iter().enumerate() {
            let mut whole = batches[0][index].clone();
            for batch in &batches[1..] {
                whole.add(&batch[index]);
            }
            assert_eq!(whole.count, 100 - lag as u64);
            let sum = |f: &dyn Fn(i64) -> i64| (lag..100).map(f).sum::<i64>();
            let product = sum(&|t| code(t, 1) * code(t - lag, 0)) as f64;
            let (late, early) = (sum(&|t| code(t, 1)) as f64, sum(&|t| code(t - lag, 0)) as f64);
            let count = whole.count as f64;
            let expected = product / count - late * early / (count * count);
            assert!((whole.covariance()[[1, 0]] - expected).abs() < 1e-9);
            let mut again = whole.without(&batches[2][index]);
            again.add(&batches[2][index]);
            assert_eq!(again, whole);
        }
    }
}
