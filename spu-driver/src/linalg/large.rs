//! Algebra of matrices larger than a board: products that compilers vectorise and threads share,
//! Cholesky's factor. Same bits on every CPU and for every number of threads: each entry is one
//! sum in a fixed order, without fused multiply-add.

use std::thread;

use ndarray::{Array2, ArrayRef2};

use super::flops::count;
use super::tridiagonal::symmetric_eigenvalues;

/// Operations below which a product stays on one thread.
const THREADED: usize = 1 << 22;

/// `a · b`.
///
/// # Panics
/// If `a` does not have as many columns as `b` has rows.
pub fn multiply(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> Array2<f64> {
    let (rows, inner) = a.dim();
    let columns = b.ncols();
    assert_eq!(inner, b.nrows(), "inner dimensions");
    count(2 * rows * inner * columns);
    // Row by row, whatever the order in memory was.
    let left: Vec<f64> = a.iter().copied().collect();
    let right: Vec<f64> = b.iter().copied().collect();
    let mut out = vec![0.0; rows * columns];
    if out.is_empty() || inner == 0 {
        return Array2::zeros((rows, columns));
    }
    let fill = |part: &mut [f64], left: &[f64]| {
        for (row, coefficients) in part.chunks_exact_mut(columns).zip(left.chunks_exact(inner)) {
            for (coefficient, terms) in coefficients.iter().zip(right.chunks_exact(columns)) {
                for (sum, term) in row.iter_mut().zip(terms) {
                    *sum += coefficient * term;
                }
            }
        }
    };
    let threads = if rows * inner * columns < THREADED {
        1
    } else {
        thread::available_parallelism().map_or(1, usize::from).min(rows)
    };
    let share = rows.div_ceil(threads);
    thread::scope(|scope| {
        let mut parts =
            out.chunks_mut(share * columns).zip(left.chunks(share * inner)).collect::<Vec<_>>();
        // The last part is for this thread.
        let own = parts.pop();
        for (part, left) in parts {
            scope.spawn(move || fill(part, left));
        }
        if let Some((part, left)) = own {
            fill(part, left);
        }
    });
    Array2::from_shape_fn((rows, columns), |(i, j)| out[i * columns + j])
}

/// Floating-point operations of [`multiply`].
pub fn multiply_flops(rows: usize, inner: usize, columns: usize) -> u64 {
    2 * rows as u64 * inner as u64 * columns as u64
}

/// The lower triangular L with `A = L Lᵀ` (Golub and Van Loan, *Matrix Computations*, 4.2); `None` if
/// A is not positive definite beyond rounding. Only the lower triangle of `a` counts.
pub fn cholesky(a: &ArrayRef2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    for i in 0..n {
        let mut row: Vec<f64> = Vec::with_capacity(i + 1);
        count((i + 1) * (i + 2));
        for j in 0..=i {
            let known: &[f64] = if j < i { &rows[j] } else { &row };
            let dot = row[..j].iter().zip(known).fold(0.0, |sum, (x, y)| sum + x * y);
            let rest = a[[i, j]] - dot;
            if j < i {
                row.push(rest / rows[j][j]);
            } else if rest > 0.0 && rest.is_finite() {
                row.push(rest.sqrt());
            } else {
                return None;
            }
        }
        rows.push(row);
    }
    Some(Array2::from_shape_fn((n, n), |(i, j)| if j <= i { rows[i][j] } else { 0.0 }))
}

/// Spectral radius of `I − B A` for a symmetric positive definite A and a symmetric B, by the
/// eigenvalues of `Lᵀ B L`, `A = L Lᵀ`. Infinite if A has no factor.
pub fn contraction(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> f64 {
    let Some(factor) = cholesky(a) else { return f64::INFINITY };
    let values = symmetric_eigenvalues(&multiply(&multiply(&factor.t(), b), &factor));
    values.iter().fold(0.0, |most: f64, value| most.max((1.0 - value).abs()))
}

/// `½ (A + Aᵀ)`.
pub fn symmetrised(a: &ArrayRef2<f64>) -> Array2<f64> {
    count(2 * a.len());
    Array2::from_shape_fn(a.dim(), |(i, j)| 0.5 * (a[[i, j]] + a[[j, i]]))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::linalg::{frobenius, product};

    fn wave(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((7 * i + 3 * j) % 11) as f64 - 5.3)
    }

    #[test]
    fn products_agree_with_the_plain_loop_in_any_memory_order() {
        for (rows, inner, columns) in [(1, 1, 1), (3, 5, 2), (200, 150, 170)] {
            let (a, b) = (wave(rows, inner), wave(inner, columns));
            let expected = product(&a, &b);
            let found = multiply(&a, &b);
            assert!(frobenius(&(&found - &expected)) <= 1e-13 * frobenius(&expected));
            let turned = multiply(&b.t(), &a.t());
            assert!(frobenius(&(&turned.t() - &expected)) <= 1e-13 * frobenius(&expected));
        }
        assert_eq!(multiply(&wave(2, 0), &wave(0, 3)), Array2::<f64>::zeros((2, 3)));
    }

    #[test]
    fn contraction_is_the_spectral_radius() {
        let a = array![[2.0, 1.0], [1.0, 2.0]];
        assert!((contraction(&a, &(Array2::eye(2) * 0.5)) - 0.5).abs() < 1e-14);
        let inverse = array![[2.0, -1.0], [-1.0, 2.0]] / 3.0;
        assert!(contraction(&a, &inverse) < 1e-14);
        assert!(contraction(&array![[1.0, 2.0], [2.0, 1.0]], &inverse).is_infinite());
    }

    #[test]
    fn cholesky_gives_the_factor_or_none() {
        let l = array![[2.0, 0.0, 0.0], [-1.0, 3.0, 0.0], [0.5, 0.25, 1.0]];
        let found = cholesky(&product(&l, &l.t())).expect("positive definite");
        assert!(frobenius(&(&found - &l)) < 1e-15);
        assert!(cholesky(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(cholesky(&array![[f64::NAN]]).is_none());
    }
}
