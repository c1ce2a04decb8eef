//! Curvature of a loss as an operator: never an N × N matrix, N the number of parameters.

mod damping;
mod dense;
mod kronecker;
mod outputs;

pub use damping::{Damping, DampingError};
pub use dense::{Dense, DenseError};
pub use kronecker::KroneckerFactor;
pub use outputs::{Kind, OutputCurvature};

/// A symmetric positive semi-definite N × N matrix G: the generalized Gauss–Newton matrix or the
/// empirical Fisher matrix, averaged over a batch.
///
/// Only [`len`](Self::len) and [`product`](Self::product) must be written.
pub trait Curvature {
    /// Number of parameters N.
    fn len(&self) -> usize;

    /// Writes G v to `out`. Both have [`len`](Self::len) entries; `out` is overwritten.
    fn product(&self, v: &[f32], out: &mut [f32]);

    /// G = Bᵀ B with few rows in B, if that is known. Backends are faster with it where the rank
    /// is small.
    fn low_rank(&self) -> Option<&dyn LowRank> {
        None
    }

    /// Kronecker factors of its diagonal blocks, layer by layer, if there are such.
    fn kronecker(&self) -> Vec<KroneckerFactor> {
        Vec::new()
    }

    /// Whether there are no parameters.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The factor B of a [`Curvature`] G = Bᵀ B, of shape [`rank`](Self::rank) × N.
pub trait LowRank {
    /// Rows of B: an upper bound of G's rank.
    fn rank(&self) -> usize;

    /// Writes B v to `out`: N entries to rank entries.
    fn b_product(&self, v: &[f32], out: &mut [f32]);

    /// Writes Bᵀ w to `out`: rank entries to N entries.
    fn bt_product(&self, w: &[f32], out: &mut [f32]);

    /// B Bᵀ: rank × rank, row-major, symmetric.
    fn gram(&self) -> Vec<f32>;
}

#[cfg(test)]
mod tests;
