//! Counts the floating-point operations that this thread does in the algebra of the host.
//!
//! Additions, multiplications, divisions and square roots count one each, a fused multiply-add two.
//! Iterations count the steps that they took. Elementary functions (logarithms, exponentials), copies
//! and comparisons do not count.

use std::cell::Cell;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Adds operations that were just done.
pub(crate) fn count(operations: usize) {
    DONE.set(DONE.get().wrapping_add(operations as u64));
}

/// What `work` returns, and the operations that it took on this thread.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = DONE.get();
    let value = work();
    (value, DONE.get().wrapping_sub(before))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::linalg::large::{cholesky, multiply};
    use crate::linalg::tridiagonal::{tridiagonalise, tridiagonalise_flops};
    use crate::linalg::{product, solve, symmetric_eigen};

    /// Leading orders as in Golub and Van Loan, *Matrix Computations*; the reduction updates whole squares.
    #[test]
    fn counts_are_those_of_the_textbook() {
        let n = 40;
        let a = Array2::from_shape_fn((n, n), |(i, j)| {
            if i == j { 50.0 } else { ((i * j + i + j) % 7) as f64 - 3.0 }
        });
        let cube = (n as f64).powi(3);
        let near = |count: u64, cubes: f64| {
            let ratio = count as f64 / (cubes * cube);
            assert!((0.95..1.15).contains(&ratio), "{ratio}");
        };
        near(counted(|| product(&a, &a)).1, 2.0);
        near(counted(|| multiply(&a, &a)).1, 2.0);
        near(counted(|| solve(&a, &Array2::eye(n))).1, 2.0 / 3.0 + 2.0);
        near(counted(|| cholesky(&a)).1, 1.0 / 3.0);
        near(counted(|| tridiagonalise(&a)).1, 10.0 / 3.0);
        near(tridiagonalise_flops(n), 10.0 / 3.0);
        // Some sweeps of n² / 2 rotations of 18 n each.
        let sweeps = counted(|| symmetric_eigen(&a)).1 as f64 / (9.0 * cube);
        assert!((2.0..12.0).contains(&sweeps), "{sweeps}");
        assert_eq!(counted(|| ()).1, 0);
    }
}
