//! Small dense algebra whose bits do not depend on the CPU.
//!
//! What is planned here reaches bank codes, so it may not pass through kernels that pick their
//! instructions at run time: plain loops, fused multiply-add, square roots, nothing else.

use ndarray::{Array1, Array2, ArrayRef2};

use flops::count;

pub mod flops;
pub mod large;
pub mod tridiagonal;

/// Eigenvalues (ascending) and orthonormal eigenvectors (columns) of a symmetric matrix, by the
/// cyclic Jacobi method (Golub and Van Loan, *Matrix Computations*, 8.5).
///
/// Only the symmetric part of `a` counts. `a` must be square and finite.
pub fn symmetric_eigen(a: &ArrayRef2<f64>) -> (Array1<f64>, Array2<f64>) {
    const MAX_SWEEPS: usize = 64;
    let n = a.nrows();
    let mut m = Array2::from_shape_fn((n, n), |(i, j)| 0.5 * (a[[i, j]] + a[[j, i]]));
    let mut v = Array2::eye(n);
    for _ in 0..MAX_SWEEPS {
        let scale: f64 = (0..n).map(|i| m[[i, i]].abs()).fold(0.0, f64::max);
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                if m[[p, q]].abs() <= scale * f64::EPSILON * 0.01 {
                    m[[p, q]] = 0.0;
                    m[[q, p]] = 0.0;
                } else {
                    rotate(&mut m, &mut v, p, q);
                    rotated = true;
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| m[[i, i]].total_cmp(&m[[j, j]]));
    let values = order.iter().map(|&k| m[[k, k]]).collect();
    let vectors = Array2::from_shape_fn((n, n), |(i, k)| v[[i, order[k]]]);
    (values, vectors)
}

/// One Jacobi rotation that makes `m[p, q]` zero, accumulated in `v`.
fn rotate(m: &mut Array2<f64>, v: &mut Array2<f64>, p: usize, q: usize) {
    let n = m.nrows();
    count(18 * n);
    let theta = (m[[q, q]] - m[[p, p]]) / (2.0 * m[[p, q]]);
    let t = theta.signum() / (theta.abs() + theta.mul_add(theta, 1.0).sqrt());
    let c = 1.0 / t.mul_add(t, 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (kp, kq) = (m[[k, p]], m[[k, q]]);
        m[[k, p]] = c.mul_add(kp, -(s * kq));
        m[[k, q]] = s.mul_add(kp, c * kq);
    }
    for k in 0..n {
        let (pk, qk) = (m[[p, k]], m[[q, k]]);
        m[[p, k]] = c.mul_add(pk, -(s * qk));
        m[[q, k]] = s.mul_add(pk, c * qk);
        let (kp, kq) = (v[[k, p]], v[[k, q]]);
        v[[k, p]] = c.mul_add(kp, -(s * kq));
        v[[k, q]] = s.mul_add(kp, c * kq);
    }
    m[[p, q]] = 0.0;
    m[[q, p]] = 0.0;
}

/// `vectors · diag(values) · vectorsᵀ`.
pub fn from_eigen(values: &Array1<f64>, vectors: &Array2<f64>) -> Array2<f64> {
    let n = vectors.nrows();
    count(3 * n * n * values.len());
    Array2::from_shape_fn((n, n), |(i, j)| {
        (0..values.len())
            .fold(0.0, |sum, k| (vectors[[i, k]] * values[k]).mul_add(vectors[[j, k]], sum))
    })
}

/// Frobenius norm.
pub fn frobenius(a: &ArrayRef2<f64>) -> f64 {
    count(2 * a.len());
    a.iter().fold(0.0, |sum: f64, x| x.mul_add(*x, sum)).sqrt()
}

/// Mean of matrices of one shape, of which there is at least one.
pub(crate) fn mean<'m>(matrices: impl IntoIterator<Item = &'m Array2<f64>>) -> Array2<f64> {
    let all: Vec<&Array2<f64>> = matrices.into_iter().collect();
    all[1..].iter().fold(all[0].clone(), |sum, matrix| sum + *matrix) / all.len() as f64
}

/// Relative Frobenius distance `‖a − b‖ / ‖b‖`.
pub fn relative_error(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> f64 {
    count(a.len());
    frobenius(&(a - b)) / frobenius(b)
}

/// Distance of two symmetric positive definite matrices that no change of basis or unit alters:
/// `√Σ ln² λ`, λ the eigenvalues of `a⁻¹ b` (Förstner and Moonen 1999). Infinite if one of them is
/// not positive definite.
pub fn affine_distance(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> f64 {
    let (values, vectors) = symmetric_eigen(a);
    if values.iter().any(|l| l.is_nan() || *l <= 0.0) {
        return f64::INFINITY;
    }
    let whiten = from_eigen(&values.mapv(|l| 1.0 / l.sqrt()), &vectors);
    count(4 * a.nrows().pow(3));
    let (ratios, _) = symmetric_eigen(&whiten.dot(b).dot(&whiten));
    if ratios.iter().any(|l| l.is_nan() || *l <= 0.0) {
        return f64::INFINITY;
    }
    ratios.iter().map(|l| libm::log(*l).powi(2)).sum::<f64>().sqrt()
}

/// `a · b`. Every entry is one chain of fused multiply-adds in the order of the inner index, so its bits are the
/// same on every CPU; instructions for it are picked at run time.
pub fn product(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> Array2<f64> {
    let (rows, inner, columns) = (a.nrows(), a.ncols(), b.ncols());
    count(2 * rows * inner * columns);
    let mut out = Array2::zeros((rows, columns));
    let (a, b) = (a.as_standard_layout(), b.as_standard_layout());
    let (Some(x), Some(y), Some(sums)) = (a.as_slice(), b.as_slice(), out.as_slice_mut()) else {
        return out;
    };
    if inner > 0 && columns > 0 {
        pulp::Arch::new().dispatch(|| {
            for (row, sums) in x.chunks_exact(inner).zip(sums.chunks_exact_mut(columns)) {
                for (factor, values) in row.iter().zip(y.chunks_exact(columns)) {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = factor.mul_add(*value, *sum);
                    }
                }
            }
        });
    }
    out
}

/// The solution X of `A X = B` by Gaussian elimination with partial pivoting. Not finite where A is
/// singular.
pub fn solve(a: &ArrayRef2<f64>, b: &ArrayRef2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let (mut a, mut x) = (a.to_owned(), b.to_owned());
    let columns = x.ncols();
    // Below each pivot a row of the rest and of the right side; then back.
    count((0..n).map(|k| (n - 1 - k) * (1 + 2 * (n - k + columns))).sum::<usize>());
    count(n * n * columns);
    for k in 0..n {
        let pivot =
            (k..n).max_by(|&i, &j| a[[i, k]].abs().total_cmp(&a[[j, k]].abs())).unwrap_or(k);
        if pivot != k {
            for j in 0..n {
                a.swap([k, j], [pivot, j]);
            }
            for j in 0..x.ncols() {
                x.swap([k, j], [pivot, j]);
            }
        }
        for i in k + 1..n {
            let factor = a[[i, k]] / a[[k, k]];
            for j in k..n {
                a[[i, j]] = factor.mul_add(-a[[k, j]], a[[i, j]]);
            }
            for j in 0..x.ncols() {
                x[[i, j]] = factor.mul_add(-x[[k, j]], x[[i, j]]);
            }
        }
    }
    for i in (0..n).rev() {
        for j in 0..x.ncols() {
            let sum = (i + 1..n).fold(x[[i, j]], |sum, k| a[[i, k]].mul_add(-x[[k, j]], sum));
            x[[i, j]] = sum / a[[i, i]];
        }
    }
    x
}

/// The matrix exponential, by Taylor's series of a 2⁻ˢ-th of the matrix, squared s times (Higham,
/// *Functions of Matrices*, 10.3).
pub fn exponential(a: &ArrayRef2<f64>) -> Array2<f64> {
    const TERMS: u32 = 14;
    let n = a.nrows();
    let norm = (0..n).map(|i| (0..n).map(|j| a[[i, j]].abs()).sum::<f64>()).fold(0.0, f64::max);
    let mut squarings = 0;
    let mut scale = 1.0;
    while norm * scale > 0.25 && squarings < 64 {
        scale *= 0.5;
        squarings += 1;
    }
    let small = a.mapv(|x| x * scale);
    let mut term = Array2::eye(n);
    let mut sum: Array2<f64> = Array2::eye(n);
    for k in 1..=TERMS {
        term = product(&term, &small) / f64::from(k);
        sum += &term;
    }
    for _ in 0..squarings {
        sum = product(&sum, &sum);
    }
    sum
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn eigen_of_a_known_matrix() {
        let (values, vectors) =
            symmetric_eigen(&array![[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]);
        let root = 2.0_f64.sqrt();
        for (found, known) in values.iter().zip([2.0 - root, 2.0, 2.0 + root]) {
            assert!((found - known).abs() < 1e-14, "{found} {known}");
        }
        let back = from_eigen(&values, &vectors);
        assert!((back[[0, 1]] + 1.0).abs() < 1e-14 && (back[[2, 2]] - 2.0).abs() < 1e-14);
    }

    #[test]
    fn eigen_keeps_a_diagonal_matrix_exactly() {
        let (values, vectors) = symmetric_eigen(&array![[3.0, 0.0], [0.0, 1.0]]);
        assert_eq!(values, array![1.0, 3.0]);
        assert_eq!(vectors, array![[0.0, 1.0], [1.0, 0.0]]);
    }

    #[test]
    fn solve_needs_its_pivots() {
        let a = array![[0.0, 2.0, 1.0], [1.0, 1e-17, 3.0], [4.0, -1.0, 2.0]];
        let x = array![[1.0, 2.0], [-3.0, 0.5], [0.25, 4.0]];
        let found = solve(&a, &product(&a, &x));
        assert!(frobenius(&(&found - &x)) < 1e-14, "{found}");
        assert!(!solve(&array![[1.0, 1.0], [1.0, 1.0]], &array![[1.0], [2.0]])[[0, 0]].is_finite());
    }

    #[test]
    fn exponential_of_rotations_and_decays() {
        let angle = 20.0;
        let turned = exponential(&array![[0.0, -angle], [angle, 0.0]]);
        assert!((turned[[0, 0]] - angle.cos()).abs() < 1e-13);
        assert!((turned[[1, 0]] - angle.sin()).abs() < 1e-13);
        let decayed = exponential(&array![[-3.0, 0.0], [0.0, 0.1]]);
        assert!((decayed[[0, 0]] / (-3.0_f64).exp() - 1.0).abs() < 1e-14);
        assert!((decayed[[1, 1]] / 0.1_f64.exp() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn affine_distance_sees_scale_alike_in_both_directions() {
        let a: Array2<f64> = Array2::eye(2);
        let b = array![[4.0, 0.0], [0.0, 1.0]];
        let expected = 4.0_f64.ln();
        assert!((affine_distance(&a, &b) - expected).abs() < 1e-12);
        assert!((affine_distance(&b, &a) - expected).abs() < 1e-12);
        let singular = array![[1.0, 1.0], [1.0, 1.0]];
        assert!(affine_distance(&singular, &b).is_infinite());
    }
}
