//! Coordinates in which a board holds a matrix, and the way back.

use ndarray::Array2;

use crate::invert::Inversion;
use crate::linalg::large::symmetrised;
use crate::linalg::product;

/// Coordinates of the matrix on a board.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Basis(Option<Array2<f64>>);

impl Basis {
    /// The coordinates that the orthogonal `q` leads back from.
    pub(super) fn of(q: Array2<f64>) -> Self {
        Self(Some(q))
    }

    /// The orthogonal Q, `n × n`, of a transformed matrix; `None` for A's own coordinates.
    pub fn matrix(&self) -> Option<&Array2<f64>> {
        self.0.as_ref()
    }

    /// True if they are not A's own.
    pub fn is_turned(&self) -> bool {
        self.0.is_some()
    }

    /// `Q X Qᵀ`, exactly symmetric; X itself in A's own coordinates.
    pub fn restore(&self, x: &Array2<f64>) -> Array2<f64> {
        match &self.0 {
            None => x.clone(),
            Some(q) => symmetrised(&product(&product(q, x), &q.t())),
        }
    }

    /// Turns a result back, its batches too: the intervals of its entries follow from them.
    pub(crate) fn turn(&self, result: &mut Inversion) {
        if !self.is_turned() {
            return;
        }
        result.inverse = self.restore(&result.inverse);
        result.replicates = result.replicates.map(|x| self.restore(x));
        result.half_widths = result.replicates.half_widths();
        for part in &mut result.convergence {
            part.inverse = self.restore(&part.inverse);
        }
    }
}

/// Floating-point operations of [`Basis::restore`], to leading order.
pub(super) fn restore_flops(n: usize) -> u64 {
    4 * (n as u64).pow(3)
}
