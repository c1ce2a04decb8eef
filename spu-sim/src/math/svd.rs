//! Singular values by one-sided Jacobi rotations.

use super::Matrix;

/// Factors of a = U diag(σ) Vᵀ.
pub(crate) struct Svd {
    pub(crate) u: Matrix,
    pub(crate) sigma: Vec<f64>,
    pub(crate) v: Matrix,
}

/// Singular value decomposition of a square matrix of full rank, by one-sided Jacobi rotations
/// (Hestenes; Golub and Van Loan, Matrix Computations, 8.6.3). U and V are orthogonal to rounding,
/// however far apart the singular values are.
pub(crate) fn svd(a: &Matrix) -> Svd {
    const SWEEPS: usize = 40;
    let n = a.cols();
    let mut w = a.clone();
    let mut v = Matrix::identity(n);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (mut alpha, mut beta, mut gamma) = (0.0, 0.0, 0.0);
                for i in 0..w.rows() {
                    alpha += w[(i, p)] * w[(i, p)];
                    beta += w[(i, q)] * w[(i, q)];
                    gamma += w[(i, p)] * w[(i, q)];
                }
                if gamma.abs() <= 1e-15 * (alpha * beta).sqrt() {
                    continue;
                }
                rotated = true;
                let zeta = (beta - alpha) / (2.0 * gamma);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                rotate_columns(&mut w, p, q, c, c * t);
                rotate_columns(&mut v, p, q, c, c * t);
            }
        }
        if !rotated {
            break;
        }
    }
    let sigma: Vec<f64> =
        (0..n).map(|j| (0..w.rows()).map(|i| w[(i, j)] * w[(i, j)]).sum::<f64>().sqrt()).collect();
    let u = Matrix::from_fn(w.rows(), n, |i, j| w[(i, j)] / sigma[j]);
    Svd { u, sigma, v }
}

fn rotate_columns(m: &mut Matrix, p: usize, q: usize, c: f64, s: f64) {
    for i in 0..m.rows() {
        let (x, y) = (m[(i, p)], m[(i, q)]);
        m[(i, p)] = c * x - s * y;
        m[(i, q)] = s * x + c * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_orthogonal_and_multiply_back() {
        let a = Matrix::from_fn(6, 6, |i, j| {
            f64::from(u8::from(i == j)) * 10.0_f64.powi(i as i32)
                + ((i * 5 + j * 11) % 7) as f64 * 0.1
        });
        let Svd { u, sigma, v } = svd(&a);
        let eye = Matrix::identity(6);
        assert!(u.transpose().times(&u).plus(-1.0, &eye).max_abs() < 1e-13);
        assert!(v.transpose().times(&v).plus(-1.0, &eye).max_abs() < 1e-13);
        let s = Matrix::from_fn(6, 6, |i, j| if i == j { sigma[i] } else { 0.0 });
        let back = u.times(&s).times(&v.transpose());
        assert!(back.plus(-1.0, &a).max_abs() < 1e-12 * a.max_abs());
    }
}
