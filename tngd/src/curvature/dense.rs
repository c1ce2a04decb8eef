//! An explicit small matrix as a curvature.

use nalgebra::{DMatrix, SymmetricEigen};

use super::{Curvature, LowRank};
use crate::linalg::{Mat, MatMut, matmul};

/// An explicit symmetric positive semi-definite matrix, for small models and for tests.
#[derive(Debug, Clone)]
pub struct Dense {
    n: usize,
    rank: usize,
    matrix: Vec<f32>,
    /// rank × n.
    factor: Vec<f32>,
}

/// Why a matrix is no curvature.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DenseError {
    /// Not square.
    #[error("{len} entries are no {n} × {n} matrix: give all of them, row by row")]
    Shape {
        /// Entries.
        len: usize,
        /// Rows.
        n: usize,
    },
    /// NaN or infinity.
    #[error("entry ({0}, {1}) of the curvature is not finite: check how it is computed")]
    NotFinite(usize, usize),
    /// Not symmetric.
    #[error(
        "the curvature is not symmetric: entries ({0}, {1}) and ({1}, {0}) differ; give (G + Gᵀ)/2"
    )]
    NotSymmetric(usize, usize),
    /// A negative eigenvalue.
    #[error(
        "the curvature has the eigenvalue {0}: a Gauss–Newton or Fisher matrix has none below 0; a Hessian may, and is not supported"
    )]
    Negative(f64),
}

impl Dense {
    /// From n × n entries, row by row. Its factor B has as many rows as G has eigenvalues above
    /// rounding.
    ///
    /// # Errors
    /// Wrong number of entries, entries that are not finite, asymmetry or eigenvalues below 0
    /// beyond f32's rounding.
    pub fn new(matrix: Vec<f32>, n: usize) -> Result<Self, DenseError> {
        if matrix.len() != n * n {
            return Err(DenseError::Shape { len: matrix.len(), n });
        }
        if let Some(at) = matrix.iter().position(|x| !x.is_finite()) {
            return Err(DenseError::NotFinite(at / n, at % n));
        }
        let scale = matrix.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let rounding = n as f32 * f32::EPSILON * scale;
        for i in 0..n {
            for j in 0..i {
                if (matrix[i * n + j] - matrix[j * n + i]).abs() > rounding {
                    return Err(DenseError::NotSymmetric(i, j));
                }
            }
        }
        let full = DMatrix::from_fn(n, n, |i, j| {
            0.5 * (f64::from(matrix[i * n + j]) + f64::from(matrix[j * n + i]))
        });
        let eigen = SymmetricEigen::new(full);
        let mut factor = Vec::new();
        for (j, &value) in eigen.eigenvalues.iter().enumerate() {
            if value < -f64::from(rounding) {
                return Err(DenseError::Negative(value));
            }
            if value > f64::from(rounding) {
                factor
                    .extend(eigen.eigenvectors.column(j).iter().map(|x| (value.sqrt() * x) as f32));
            }
        }
        Ok(Self { n, rank: factor.len().checked_div(n).unwrap_or(0), matrix, factor })
    }
}

impl Curvature for Dense {
    fn len(&self) -> usize {
        self.n
    }

    fn product(&self, v: &[f32], out: &mut [f32]) {
        let n = self.n;
        let matrix = Mat::new(&self.matrix, n, n);
        matmul(MatMut::new(out, n, 1), false, 1.0, matrix, Mat::new(v, n, 1));
    }

    fn low_rank(&self) -> Option<&dyn LowRank> {
        Some(self)
    }
}

impl LowRank for Dense {
    fn rank(&self) -> usize {
        self.rank
    }

    fn b_product(&self, v: &[f32], out: &mut [f32]) {
        let factor = Mat::new(&self.factor, self.rank, self.n);
        matmul(MatMut::new(out, self.rank, 1), false, 1.0, factor, Mat::new(v, self.n, 1));
    }

    fn bt_product(&self, w: &[f32], out: &mut [f32]) {
        let factor = Mat::new(&self.factor, self.rank, self.n);
        out.fill(0.0);
        matmul(MatMut::new(out, self.n, 1), true, 1.0, factor.t(), Mat::new(w, self.rank, 1));
    }

    fn gram(&self) -> Vec<f32> {
        let factor = Mat::new(&self.factor, self.rank, self.n);
        let mut gram = vec![0.0; self.rank * self.rank];
        matmul(MatMut::new(&mut gram, self.rank, self.rank), false, 1.0, factor, factor.t());
        gram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_one_of_the_matrix() {
        // Rank 2: rows (1, 2, 2) and (0, 1, −1).
        let rows = [[1.0, 2.0, 2.0], [0.0, 1.0, -1.0f32]];
        let g: Vec<f32> =
            (0..9).map(|at| rows.iter().map(|b| b[at / 3] * b[at % 3]).sum()).collect();
        let dense = Dense::new(g, 3).unwrap();
        assert_eq!(dense.rank(), 2);
        let v = [0.3, -1.0, 2.0];
        let (mut gv, mut bv, mut back) = ([0.0; 3], [0.0; 2], [0.0; 3]);
        dense.product(&v, &mut gv);
        dense.b_product(&v, &mut bv);
        dense.bt_product(&bv, &mut back);
        for i in 0..3 {
            let expected: f32 =
                rows.iter().map(|b| b[i] * (0..3).map(|j| b[j] * v[j]).sum::<f32>()).sum();
            assert!((gv[i] - expected).abs() < 1e-5 && (back[i] - expected).abs() < 1e-5);
        }
        // Eigenvalues of G and B Bᵀ: the same trace.
        let gram = dense.gram();
        assert!((gram[0] + gram[3] - 11.0).abs() < 1e-5 && gram[1].abs() < 1e-5);
    }

    #[test]
    fn what_is_no_curvature_is_refused() {
        let said = |matrix: &[f32], n| Dense::new(matrix.to_vec(), n).unwrap_err();
        assert_eq!(said(&[1.0; 3], 2), DenseError::Shape { len: 3, n: 2 });
        assert_eq!(said(&[1.0, f32::NAN, 0.0, 1.0], 2), DenseError::NotFinite(0, 1));
        assert_eq!(said(&[1.0, 0.5, 0.4, 1.0], 2), DenseError::NotSymmetric(1, 0));
        assert!(
            matches!(said(&[1.0, 2.0, 2.0, 1.0], 2), DenseError::Negative(a) if (a + 1.0).abs() < 1e-6)
        );
    }
}
