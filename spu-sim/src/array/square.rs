//! Square matrices with rows padded to whole vectors, by fixed-order kernels.

use crate::dispatch::Dispatch;

use super::kernel::{AddProduct, WIDTH};

/// n × n, row-major; rows are padded with zeros to a multiple of [`WIDTH`].
#[derive(Debug, Clone)]
pub(super) struct Square {
    n: usize,
    pub(super) entries: Vec<f64>,
}

/// Entries of a padded row.
pub(super) const fn padded(n: usize) -> usize {
    n.next_multiple_of(WIDTH)
}

impl Square {
    pub(super) fn zero(n: usize) -> Self {
        Self { n, entries: vec![0.0; n * padded(n)] }
    }

    /// From n × n entries without padding.
    pub(super) fn of(n: usize, dense: &[f64]) -> Self {
        let mut square = Self::zero(n);
        for (to, from) in square.rows_mut().zip(dense.chunks_exact(n.max(1))) {
            to[..n].copy_from_slice(from);
        }
        square
    }

    fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f64> {
        self.entries.chunks_exact_mut(padded(self.n).max(1))
    }

    fn transposed(&self) -> Self {
        let (n, stride) = (self.n, padded(self.n));
        let mut out = Self::zero(n);
        for i in 0..n {
            for j in 0..n {
                out.entries[j * stride + i] = self.entries[i * stride + j];
            }
        }
        out
    }

    /// self · other.
    pub(super) fn times(&self, other: &Self, dispatch: Dispatch) -> Self {
        let n = self.n;
        let mut dense = vec![0.0; n * n];
        let b = other.transposed();
        let (a, b) = (&self.entries, &b.entries);
        dispatch.run(AddProduct { a, b, len: padded(n), out: &mut dense });
        Self::of(n, &dense)
    }

    /// self · x, for a padded x.
    pub(super) fn apply(&self, x: &[f64], dispatch: Dispatch) -> Vec<f64> {
        let mut out = vec![0.0; self.n];
        dispatch.run(AddProduct { a: &self.entries, b: x, len: padded(self.n), out: &mut out });
        out.resize(padded(self.n), 0.0);
        out
    }

    /// self += factor other.
    pub(super) fn add(&mut self, factor: f64, other: &Self) {
        for (to, x) in self.entries.iter_mut().zip(&other.entries) {
            *to = libm::fma(factor, *x, *to);
        }
    }

    /// self + diagonal I.
    pub(super) fn add_diagonal(&mut self, diagonal: f64) {
        let n = self.n;
        for (i, row) in self.rows_mut().enumerate().take(n) {
            row[i] += diagonal;
        }
    }

    /// self · factor.
    #[must_use]
    pub(super) fn scaled(mut self, factor: f64) -> Self {
        self.entries.iter_mut().for_each(|x| *x *= factor);
        self
    }

    /// Largest sum of magnitudes of a row.
    pub(super) fn norm(&self) -> f64 {
        let sum = |row: &[f64]| row.iter().map(|x| x.abs()).sum::<f64>();
        self.entries.chunks_exact(padded(self.n).max(1)).map(sum).fold(0.0, f64::max)
    }
}
