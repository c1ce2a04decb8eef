//! The tridiagonal form of a matrix that suits a board best.

use ndarray::Array2;

use crate::linalg::tridiagonal::tridiagonalise;
use crate::matrix::{MatrixError, SpdMatrix};
use crate::scaling::scaling_cost;

/// T and Q with `A = Q T Qᵀ`. The reduction leaves the first coordinate alone, and what banks of few
/// bits make of T depends on which one that is: all are tried.
pub(super) fn best(a: &SpdMatrix) -> Result<(SpdMatrix, Array2<f64>), MatrixError> {
    let n = a.n();
    let mut found: Option<(f64, SpdMatrix, Array2<f64>)> = None;
    for first in 0..n {
        let order = |i: usize| (first + i) % n;
        let turned = Array2::from_shape_fn((n, n), |(i, j)| a.entries()[[order(i), order(j)]]);
        let reduced = tridiagonalise(&turned);
        let t = SpdMatrix::new(&reduced.matrix(), 0.0)?;
        let cost = scaling_cost(&t);
        if found.as_ref().is_none_or(|(least, ..)| cost < *least) {
            let basis =
                Array2::from_shape_fn((n, n), |(i, j)| reduced.basis[[(i + n - first) % n, j]]);
            found = Some((cost, t, basis));
        }
    }
    // A matrix has a row.
    found.map(|(_, t, basis)| (t, basis)).ok_or(MatrixError::Empty)
}
