//! Real matrices.

use std::ops::{Index, IndexMut};

/// A real matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, values: vec![0.0; rows * cols] }
    }

    pub(crate) fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * cols).map(|k| f(k / cols, k % cols)).collect();
        Self { rows, cols, values }
    }

    pub(crate) fn identity(n: usize) -> Self {
        Self::from_fn(n, n, |i, j| f64::from(u8::from(i == j)))
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) const fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn transpose(&self) -> Self {
        Self::from_fn(self.cols, self.rows, |i, j| self[(j, i)])
    }

    pub(crate) fn scale(&self, factor: f64) -> Self {
        Self::from_fn(self.rows, self.cols, |i, j| self[(i, j)] * factor)
    }

    /// Sum with `factor · other`.
    pub(crate) fn plus(&self, factor: f64, other: &Self) -> Self {
        Self::from_fn(self.rows, self.cols, |i, j| self[(i, j)] + factor * other[(i, j)])
    }

    /// Matrix product.
    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut out = Self::zeros(self.rows, other.cols);
        for i in 0..self.rows {
            for k in 0..self.cols {
                let factor = self[(i, k)];
                for j in 0..other.cols {
                    out[(i, j)] += factor * other[(k, j)];
                }
            }
        }
        out
    }

    /// Product with a vector.
    pub(crate) fn apply(&self, x: &[f64]) -> Vec<f64> {
        (0..self.rows).map(|i| (0..self.cols).map(|j| self[(i, j)] * x[j]).sum()).collect()
    }

    /// Largest absolute row sum.
    pub(crate) fn norm_inf(&self) -> f64 {
        (0..self.rows).map(|i| (0..self.cols).map(|j| self[(i, j)].abs()).sum()).fold(0.0, f64::max)
    }

    /// Largest absolute element.
    pub(crate) fn max_abs(&self) -> f64 {
        self.values.iter().fold(0.0, |most, value| value.abs().max(most))
    }

    /// Lower Cholesky factor K of a symmetric matrix, K Kᵀ = self; `None` if it is not positive
    /// definite.
    pub(crate) fn cholesky(&self) -> Option<Self> {
        let n = self.rows;
        let mut k = Self::zeros(n, n);
        for j in 0..n {
            let mut pivot = self[(j, j)];
            for m in 0..j {
                pivot -= k[(j, m)] * k[(j, m)];
            }
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            let root = pivot.sqrt();
            k[(j, j)] = root;
            for i in j + 1..n {
                let mut sum = self[(i, j)];
                for m in 0..j {
                    sum -= k[(i, m)] * k[(j, m)];
                }
                k[(i, j)] = sum / root;
            }
        }
        Some(k)
    }

    /// Inverse of a lower triangular matrix without zeros on its diagonal.
    pub(crate) fn lower_inverse(&self) -> Self {
        let n = self.rows;
        let mut out = Self::zeros(n, n);
        for j in 0..n {
            out[(j, j)] = 1.0 / self[(j, j)];
            for i in j + 1..n {
                let mut sum = 0.0;
                for m in j..i {
                    sum -= self[(i, m)] * out[(m, j)];
                }
                out[(i, j)] = sum / self[(i, i)];
            }
        }
        out
    }

    /// The X of self · X = `right`, by elimination with partial pivoting.
    pub(crate) fn solve(&self, right: &Self) -> Self {
        let n = self.rows;
        let (mut a, mut x) = (self.clone(), right.clone());
        for k in 0..n {
            let mut pivot = k;
            for i in k + 1..n {
                if a[(i, k)].abs() > a[(pivot, k)].abs() {
                    pivot = i;
                }
            }
            a.swap_rows(k, pivot);
            x.swap_rows(k, pivot);
            for i in k + 1..n {
                let factor = a[(i, k)] / a[(k, k)];
                for j in k..n {
                    a[(i, j)] -= factor * a[(k, j)];
                }
                for j in 0..x.cols {
                    x[(i, j)] -= factor * x[(k, j)];
                }
            }
        }
        for k in (0..n).rev() {
            for j in 0..x.cols {
                let mut sum = x[(k, j)];
                for m in k + 1..n {
                    sum -= a[(k, m)] * x[(m, j)];
                }
                x[(k, j)] = sum / a[(k, k)];
            }
        }
        x
    }

    fn swap_rows(&mut self, i: usize, j: usize) {
        if i != j {
            for k in 0..self.cols {
                self.values.swap(i * self.cols + k, j * self.cols + k);
            }
        }
    }

    /// Matrix exponential by scaling, diagonal Padé approximation of order 6 and squaring
    /// (Moler and Van Loan, SIAM Review 45, 3, 2003, method 3). With the scaled norm below 1/2 the
    /// approximation's own error is about 1e-16.
    pub(crate) fn exp(&self) -> Self {
        const ORDER: u32 = 6;
        let n = self.rows;
        let mut squarings = 0;
        let mut scale = 1.0;
        while self.norm_inf() * scale > 0.5 {
            scale *= 0.5;
            squarings += 1;
        }
        let a = self.scale(scale);
        let mut coefficient = 1.0;
        let mut power = Self::identity(n);
        let (mut upper, mut lower) = (Self::identity(n), Self::identity(n));
        for k in 1..=ORDER {
            coefficient *= f64::from(ORDER - k + 1) / f64::from(k * (2 * ORDER - k + 1));
            power = a.times(&power);
            upper = upper.plus(coefficient, &power);
            lower = lower.plus(if k % 2 == 0 { coefficient } else { -coefficient }, &power);
        }
        let mut out = lower.solve(&upper);
        for _ in 0..squarings {
            out = out.times(&out);
        }
        out
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[i * self.cols + j]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[i * self.cols + j]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize) -> Matrix {
        Matrix::from_fn(n, n, |i, j| {
            f64::from(u8::from(i == j)) * 3.0 + ((i * 7 + j * 3) % 5) as f64 / 7.0
        })
    }

    #[test]
    fn cholesky_multiplies_back_and_refuses_indefinite() {
        let a = sample(6);
        let spd = a.times(&a.transpose());
        let k = spd.cholesky().unwrap();
        assert!(k.times(&k.transpose()).plus(-1.0, &spd).max_abs() < 1e-13);
        assert!(k.times(&k.lower_inverse()).plus(-1.0, &Matrix::identity(6)).max_abs() < 1e-14);
        assert!(spd.scale(-1.0).cholesky().is_none());
    }

    #[test]
    fn exponential_of_known_matrices() {
        // A rotation, a nilpotent matrix, and a stiff diagonal.
        let turn = Matrix::from_fn(2, 2, |i, j| [[0.0, -2.5], [2.5, 0.0]][i][j]).exp();
        let (sin, cos) = 2.5_f64.sin_cos();
        let expected = Matrix::from_fn(2, 2, |i, j| [[cos, -sin], [sin, cos]][i][j]);
        assert!(turn.plus(-1.0, &expected).max_abs() < 1e-15);
        let shear = Matrix::from_fn(2, 2, |i, j| [[0.0, 8.0], [0.0, 0.0]][i][j]).exp();
        assert!((shear[(0, 1)] - 8.0).abs() < 1e-14 && (shear[(0, 0)] - 1.0).abs() < 1e-15);
        let decay = Matrix::from_fn(2, 2, |i, j| [[-70.0, 0.0], [0.0, -0.01]][i][j]).exp();
        assert!((decay[(1, 1)] - (-0.01_f64).exp()).abs() < 1e-13);
        assert!(decay[(0, 0)] > 0.0 && decay[(0, 0)] < 1e-29);
    }

    #[test]
    fn exponential_adds_for_commuting_matrices() {
        let a = sample(5).scale(0.3);
        let twice = a.scale(2.0).exp();
        let once = a.exp();
        assert!(once.times(&once).plus(-1.0, &twice).max_abs() < 1e-13 * twice.max_abs());
    }
}
