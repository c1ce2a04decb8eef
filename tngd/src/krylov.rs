//! Lanczos tridiagonalisation of symmetric operators, and functions of them applied to a vector.

use std::mem;

use nalgebra::{DMatrix, SymmetricEigen};

use crate::{
    curvature::Curvature,
    linalg::{axpy, dot, norm},
};

/// A residual below this fraction of ‖T‖ is rounding of f32 products: the space is invariant.
const BREAKDOWN: f64 = 1e-6;

/// A symmetric tridiagonal matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tridiagonal {
    /// Diagonal, k entries.
    pub diagonal: Vec<f64>,
    /// First off-diagonal, k − 1 entries.
    pub off_diagonal: Vec<f64>,
}

impl Tridiagonal {
    /// Rows.
    pub fn len(&self) -> usize {
        self.diagonal.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.diagonal.is_empty()
    }

    /// Entry (i, j).
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.off_diagonal[i.min(j)],
            _ => 0.0,
        }
    }

    /// Largest sum of magnitudes of a row; no eigenvalue is larger.
    pub fn norm_inf(&self) -> f64 {
        let row = |i: usize| {
            let left = if i > 0 { self.off_diagonal[i - 1].abs() } else { 0.0 };
            self.diagonal[i].abs() + left + self.off_diagonal.get(i).map_or(0.0, |b| b.abs())
        };
        (0..self.len()).map(row).fold(0.0, f64::max)
    }

    /// All entries multiplied.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        let scale = |v: &[f64]| v.iter().map(|x| x * by).collect();
        Self { diagonal: scale(&self.diagonal), off_diagonal: scale(&self.off_diagonal) }
    }

    /// Eigenvalues and eigenvectors.
    pub fn eigen(&self) -> Eigen {
        let n = self.len();
        let eigen = SymmetricEigen::new(DMatrix::from_fn(n, n, |i, j| self.entry(i, j)));
        Eigen { values: eigen.eigenvalues.as_slice().to_vec(), vectors: eigen.eigenvectors }
    }
}

/// Eigendecomposition of a [`Tridiagonal`].
#[derive(Debug, Clone)]
pub struct Eigen {
    /// Eigenvalues, in no order.
    pub values: Vec<f64>,
    vectors: DMatrix<f64>,
}

impl Eigen {
    /// Component `i` of the eigenvector of `values[j]`.
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        self.vectors[(i, j)]
    }

    /// f(T) e₁.
    pub fn function(&self, f: impl Fn(f64) -> f64) -> Vec<f64> {
        let n = self.values.len();
        let weights: Vec<f64> = (0..n).map(|j| f(self.values[j]) * self.vectors[(0, j)]).collect();
        (0..n)
            .map(|i| weights.iter().enumerate().map(|(j, w)| self.vectors[(i, j)] * w).sum())
            .collect()
    }
}

/// Lanczos process A Q = Q T + (residual) on a symmetric operator A, with full
/// reorthogonalisation: vectors in f32, inner products in f64.
///
/// Signs of the vectors are such that T's off-diagonals are ≤ 0, as cells that are coupled by
/// conductances need it.
#[derive(Debug, Clone)]
pub struct Lanczos {
    n: usize,
    norm: f64,
    /// Rows are the vectors: one more than the matrix has rows, unless the space is invariant or no
    /// vector is to follow.
    basis: Vec<f32>,
    matrix: Tridiagonal,
    /// Length of the next vector before it was scaled.
    residual: f64,
}

impl Lanczos {
    /// Starts from a vector; `None` if that is zero.
    pub fn new(start: &[f32]) -> Option<Self> {
        let norm = norm(start);
        (norm > 0.0).then(|| Self {
            n: start.len(),
            norm,
            basis: start.iter().map(|x| (1.0 / norm) as f32 * x).collect(),
            matrix: Tridiagonal::default(),
            residual: norm,
        })
    }

    /// k steps on G + λI from `start`, fewer where the space becomes invariant; `None` if `start`
    /// is zero.
    pub fn of_curvature(
        curvature: &dyn Curvature,
        damping: f64,
        start: &[f32],
        k: usize,
    ) -> Option<Self> {
        let mut lanczos = Self::new(start)?;
        while lanczos.len() + 1 < k && lanczos.step(|v, out| curvature.product(v, out)) {}
        if lanczos.len() < k && !lanczos.is_invariant() {
            lanczos.close(curvature);
        }
        // The shift moves the eigenvalues and leaves the vectors.
        lanczos.matrix.diagonal.iter_mut().for_each(|a| *a += damping);
        Some(lanczos)
    }

    fn len(&self) -> usize {
        self.matrix.len()
    }

    fn is_invariant(&self) -> bool {
        self.basis.len() == self.len() * self.n
    }

    /// The last row of T, after which no vector follows: qᵀ G q = ‖B q‖² takes half a product.
    fn close(&mut self, curvature: &dyn Curvature) {
        let q = &self.basis[self.len() * self.n..];
        let alpha = if let Some(factor) = curvature.low_rank() {
            let mut bq = vec![0.0; factor.rank()];
            factor.b_product(q, &mut bq);
            dot(&bq, &bq)
        } else {
            let mut gq = vec![0.0; self.n];
            curvature.product(q, &mut gq);
            dot(q, &gq)
        };
        if !self.matrix.is_empty() {
            self.matrix.off_diagonal.push(-self.residual);
        }
        self.matrix.diagonal.push(alpha);
    }

    /// One more row of T; `product` writes A v. False once the space is invariant: nothing is left
    /// to be done.
    pub fn step(&mut self, product: impl FnOnce(&[f32], &mut [f32])) -> bool {
        if self.is_invariant() {
            return false;
        }
        let k = self.len();
        let mut w = vec![0.0; self.n];
        product(&self.basis[k * self.n..], &mut w);
        let alpha = dot(&self.basis[k * self.n..], &w);
        if let Some(j) = k.checked_sub(1) {
            self.matrix.off_diagonal.push(-self.residual);
            axpy(self.residual, self.vector(j), &mut w);
        }
        self.matrix.diagonal.push(alpha);
        axpy(-alpha, self.vector(k), &mut w);
        self.residual = norm(&w);
        // A second time only if much cancelled, and twice is enough (Parlett, The Symmetric
        // Eigenvalue Problem, section 6.9).
        for _ in 0..2 {
            for j in 0..=k {
                let q = self.vector(j);
                axpy(-dot(q, &w), q, &mut w);
            }
            let before = mem::replace(&mut self.residual, norm(&w));
            if self.residual > 0.7 * before {
                break;
            }
        }
        if k + 1 < self.n && self.residual > BREAKDOWN * self.matrix.norm_inf() {
            let scale = (-1.0 / self.residual) as f32;
            self.basis.extend(w.iter().map(|x| scale * x));
        }
        true
    }

    /// ‖start‖.
    pub fn start_norm(&self) -> f64 {
        self.norm
    }

    /// T = Qᵀ A Q.
    pub fn matrix(&self) -> &Tridiagonal {
        &self.matrix
    }

    /// Vector j, of unit length.
    pub fn vector(&self, j: usize) -> &[f32] {
        &self.basis[j * self.n..][..self.n]
    }

    /// out += Q y.
    pub fn add_combination(&self, y: &[f64], out: &mut [f32]) {
        for (j, &y) in y.iter().enumerate() {
            axpy(y, self.vector(j), out);
        }
    }
}

/// f(A) v, applied by [`apply`].
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The vector.
    pub value: Vec<f32>,
    /// Lanczos steps: products with A.
    pub steps: usize,
    /// Change at the last check, relative to the value's norm; 0 once the space is all of it.
    pub change: f64,
    /// Whether the change is within the tolerance.
    pub converged: bool,
}

/// f(A) `start` by Lanczos: ‖start‖ Q f(T) e₁, until the value changes by less than `tolerance`
/// relative to its norm between two checks, the space is invariant, or after `most` steps.
///
/// Eigenvalues of T below 0, which only rounding gives a semi-definite A, count as 0.
pub fn apply(
    mut product: impl FnMut(&[f32], &mut [f32]),
    start: &[f32],
    f: impl Fn(f64) -> f64,
    tolerance: f64,
    most: usize,
) -> Applied {
    let Some(mut lanczos) = Lanczos::new(start) else {
        return Applied { value: vec![0.0; start.len()], steps: 0, change: 0.0, converged: true };
    };
    let mut y: Vec<f64> = Vec::new();
    let mut check = 4;
    loop {
        while lanczos.len() < check.min(most) && lanczos.step(&mut product) {}
        let steps = lanczos.len();
        let next = lanczos.matrix.eigen().function(|a| f(a.max(0.0)));
        let square = |y: &[f64]| y.iter().map(|y| y * y).sum::<f64>();
        let differences: Vec<f64> =
            next.iter().enumerate().map(|(i, x)| x - y.get(i).unwrap_or(&0.0)).collect();
        let change = if lanczos.is_invariant() {
            0.0
        } else {
            (square(&differences) / square(&next).max(f64::MIN_POSITIVE)).sqrt()
        };
        y = next;
        if change <= tolerance || steps >= most || !change.is_finite() {
            let y: Vec<f64> = y.iter().map(|y| y * lanczos.norm).collect();
            let mut value = vec![0.0; start.len()];
            lanczos.add_combination(&y, &mut value);
            return Applied { value, steps, change, converged: change <= tolerance };
        }
        // Eigenvalues cost O(k³): rarer as the space grows.
        check = (steps + 4).max(steps * 5 / 4);
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;
    use crate::{curvature::Dense, random::normals};

    fn random(seed: u64, n: usize) -> Vec<f32> {
        normals(seed, n).map(|z| z as f32).collect()
    }

    /// Mᵀ M of rows of M, in n dimensions.
    fn semidefinite(seed: u64, rows: usize, n: usize) -> Dense {
        let m = random(seed, rows * n);
        let entry = |i: usize, j: usize| {
            m.chunks_exact(n).map(|row| f64::from(row[i]) * f64::from(row[j])).sum::<f64>() as f32
        };
        Dense::new((0..n * n).map(|at| entry(at / n, at % n)).collect(), n).unwrap()
    }

    #[test]
    fn the_projection_is_tridiagonal_with_orthonormal_vectors() {
        let (n, k, damping) = (30, 8, 0.5);
        let curvature = semidefinite(1, 40, n);
        let start = random(2, n);
        let lanczos = Lanczos::of_curvature(&curvature, damping, &start, k).unwrap();
        let matrix = lanczos.matrix();
        assert_eq!(matrix.len(), k);
        assert!(matrix.off_diagonal.iter().all(|&b| b < 0.0));
        let mut fq = vec![0.0; n];
        for j in 0..k {
            curvature.product(lanczos.vector(j), &mut fq);
            axpy(damping, lanczos.vector(j), &mut fq);
            for i in 0..k {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(lanczos.vector(i), lanczos.vector(j)) - expected).abs() < 1e-6);
                let entry = dot(lanczos.vector(i), &fq);
                assert!((entry - matrix.entry(i, j)).abs() < 1e-5 * matrix.norm_inf(), "{i} {j}");
            }
        }
        // The first vector is the start.
        let mut first = start;
        axpy(-lanczos.start_norm(), lanczos.vector(0), &mut first);
        assert!(norm(&first) < 1e-6 * lanczos.start_norm());
    }

    #[test]
    fn it_stops_where_the_space_is_invariant() {
        // Rank 3: the start has at most 3 + 1 directions that differ.
        let curvature = semidefinite(3, 3, 20);
        let lanczos = Lanczos::of_curvature(&curvature, 0.1, &random(4, 20), 10).unwrap();
        assert_eq!((lanczos.matrix().len(), lanczos.is_invariant()), (4, true));
        // And at n.
        let lanczos =
            Lanczos::of_curvature(&semidefinite(5, 9, 4), 0.1, &random(4, 4), 10).unwrap();
        assert_eq!((lanczos.matrix().len(), lanczos.is_invariant()), (4, true));
        assert!(Lanczos::new(&[0.0; 3]).is_none());
    }

    #[test]
    fn functions_are_those_of_the_eigenvalues() {
        let n = 40;
        let curvature = semidefinite(6, 50, n);
        let v = random(7, n);
        let product = |v: &[f32], out: &mut [f32]| curvature.product(v, out);
        // exp(−A/50) twice is exp(−A/25), and 1/(A + 1) solves.
        let f = |a: f64| (-a / 50.0).exp();
        let once = apply(product, &v, f, 1e-7, n);
        let twice = apply(product, &once.value, f, 1e-7, n);
        let direct = apply(product, &v, |a| (-a / 25.0).exp(), 1e-7, n);
        let mut difference = twice.value;
        axpy(-1.0, &direct.value, &mut difference);
        assert!(norm(&difference) < 2e-6 * norm(&direct.value) && once.steps < n);
        let solved = apply(product, &v, |a| 1.0 / (a + 1.0), 1e-7, n).value;
        let mut back = vec![0.0; n];
        curvature.product(&solved, &mut back);
        axpy(1.0, &solved, &mut back);
        axpy(-1.0, &v, &mut back);
        assert!(norm(&back) < 1e-5 * norm(&v));
        assert_eq!(apply(product, &[0.0; 40], f, 1e-7, n).steps, 0);
        let few = apply(product, &v, |a| 1.0 / (a + 1e-3), 1e-7, 3);
        assert!(few.steps == 3 && few.change > 1e-7 && !few.converged);
    }
}
