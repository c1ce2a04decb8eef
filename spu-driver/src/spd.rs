//! Symmetric positive definite systems of a few hundred unknowns, in plain loops of fixed order:
//! the bits do not depend on the CPU.

/// The Cholesky factor of a symmetric positive definite matrix, row-major, lower.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    n: usize,
    lower: Vec<f64>,
    /// What each row and column was multiplied by, so that the diagonal was 1.
    scale: Vec<f64>,
}

impl Cholesky {
    /// Factor of the lower triangle of `a`, `n × n` row-major, brought to a diagonal of ones
    /// first. `None` if it is not positive definite to rounding error.
    pub(crate) fn new(a: &[f64], n: usize) -> Option<Self> {
        let scale: Vec<f64> = (0..n).map(|i| 1.0 / a[i * n + i].sqrt()).collect();
        if !scale.iter().all(|s| s.is_finite()) {
            return None;
        }
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum = a[i * n + j] * scale[i] * scale[j]
                    - dot(&lower[i * n..i * n + j], &lower[j * n..j * n + j]);
                if i == j {
                    if sum.is_nan() || sum < 1e-14 {
                        return None;
                    }
                    lower[i * n + i] = sum.sqrt();
                } else {
                    lower[i * n + j] = sum / lower[j * n + j];
                }
            }
        }
        Some(Self { n, lower, scale })
    }

    /// The root of A times `z`: of independent deviates, some with covariance A.
    pub(crate) fn times(&self, z: &[f64]) -> Vec<f64> {
        let row = |i: usize| &self.lower[i * self.n..=i * self.n + i];
        (0..self.n).map(|i| dot(row(i), &z[..=i]) / self.scale[i]).collect()
    }

    /// The solution of `A x = b`, in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let (n, lower) = (self.n, &self.lower);
        for i in 0..n {
            let sum = b[i] * self.scale[i] - dot(&lower[i * n..i * n + i], &b[..i]);
            b[i] = sum / lower[i * n + i];
        }
        for i in (0..n).rev() {
            b[i] /= lower[i * n + i];
            let x = b[i];
            for j in 0..i {
                b[j] -= lower[i * n + j] * x;
            }
            b[i] = x * self.scale[i];
        }
    }

    /// `A⁻¹`, row-major.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        // Column j of the factor's inverse, kept as row j.
        let mut columns = vec![0.0; n * n];
        for j in 0..n {
            let (row, factor) = (&mut columns[j * n..(j + 1) * n], &self.lower);
            row[j] = 1.0 / factor[j * n + j];
            for i in j + 1..n {
                row[i] = -dot(&factor[i * n + j..i * n + i], &row[j..i]) / factor[i * n + i];
            }
        }
        let mut inverse = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum = dot(&columns[i * n + i..(i + 1) * n], &columns[j * n + i..(j + 1) * n]);
                let value = sum * self.scale[i] * self.scale[j];
                inverse[i * n + j] = value;
                inverse[j * n + i] = value;
            }
        }
        inverse
    }
}

/// `aᵀ b`, in four partial sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    for (a, b) in a4.iter().zip(b4) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(i, j) ↦ 1 / (i + j + 1)` plus a tenth of the identity, rows far apart in size.
    fn matrix(n: usize) -> Vec<f64> {
        let size = |i: usize| 10_f64.powi(i as i32 % 5 - 2);
        (0..n * n)
            .map(|k| {
                let (i, j) = (k / n, k % n);
                let value = 1.0 / (i + j + 1) as f64 + if i == j { 0.1 } else { 0.0 };
                value * size(i) * size(j)
            })
            .collect()
    }

    #[test]
    fn solutions_and_inverses_solve() {
        for n in [1, 2, 5, 13] {
            let a = matrix(n);
            let factor = Cholesky::new(&a, n).unwrap();
            let x: Vec<f64> = (0..n).map(|i| i as f64 - 1.5).collect();
            let mut b: Vec<f64> = (0..n).map(|i| dot(&a[i * n..(i + 1) * n], &x)).collect();
            factor.solve(&mut b);
            for (found, x) in b.iter().zip(&x) {
                assert!((found - x).abs() < 1e-9, "{n}: {found} {x}");
            }
            let inverse = factor.inverse();
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..n).map(|k| inverse[i * n + k] * a[k * n + j]).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    let size = 10_f64.powi((j % 5) as i32 - (i % 5) as i32);
                    assert!((sum - expected).abs() < 1e-10 * size, "{n} {i} {j}: {sum}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[0.0], 1).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
        assert!(Cholesky::new(&[1.0, 1.0, 1.0, 1.0], 2).is_none());
    }
}
