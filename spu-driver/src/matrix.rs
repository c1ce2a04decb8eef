//! Checks a matrix before anything is set on a board.

use ndarray::{Array2, ArrayRef2};

use crate::linalg::symmetric_eigen;
use crate::linalg::tridiagonal::symmetric_eigenvalues;

/// Largest relative difference of `a[i, j]` and `a[j, i]` that counts as rounding.
pub const SYMMETRY_TOLERANCE: f64 = 1e-9;

/// Smallest eigenvalue over the largest, per row, below which rounding hides its sign and a
/// factorisation may fail.
const SIGN_TOLERANCE: f64 = 1e-13;

/// Most rows whose spectrum is found by Jacobi's method, which resolves small eigenvalues best and
/// costs most.
const JACOBI_LIMIT: usize = 32;

/// Why a matrix cannot be inverted by a covariance.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// No entries.
    #[error("the matrix is empty; give at least one row")]
    Empty,
    /// Rows and columns differ.
    #[error("the matrix is {rows} × {columns}; only a square matrix has an inverse")]
    NotSquare {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
    },
    /// NaN or infinite.
    #[error(
        "entry ({row}, {column}) is {value}; replace it, every entry must be a finite number \
         (rows and columns count from 0)"
    )]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// Entries so large or small that error bars, which need fourth powers, would overflow.
    #[error(
        "the largest entry is {largest:.1e}, outside 1e-50 to 1e50; multiply the matrix by a \
         constant, and its inverse by the same"
    )]
    OutOfScale {
        /// Largest absolute value.
        largest: f64,
    },
    /// `a[i, j] ≠ a[j, i]`.
    #[error(
        "the matrix is not symmetric: entry ({row}, {column}) is {upper} but ({column}, {row}) is \
         {lower}; a covariance is symmetric, so invert (A + Aᵀ)/2 or AᵀA instead"
    )]
    NotSymmetric {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// `a[row, column]`.
        upper: f64,
        /// `a[column, row]`.
        lower: f64,
    },
    /// An eigenvalue is zero or negative.
    #[error(
        "the matrix is not positive definite: its smallest eigenvalue is {smallest:.3e} (largest \
         {largest:.3e}); no covariance has that inverse. {}",
        damping_advice(*smallest, *largest)
    )]
    NotPositiveDefinite {
        /// Smallest eigenvalue.
        smallest: f64,
        /// Largest eigenvalue.
        largest: f64,
    },
    /// Damping is negative or not a number.
    #[error("damping {0} is not valid; give a finite number ≥ 0")]
    BadDamping(f64),
}

fn damping_advice(smallest: f64, largest: f64) -> String {
    let needed = largest.abs().max(smallest.abs()) * 1e-2 - smallest.min(0.0);
    if smallest >= -1e-9 * largest.abs() {
        format!("It is semi-definite: add damping, for example --damping {needed:.2e}")
    } else {
        format!("If that is intended, add damping, for example --damping {needed:.2e}")
    }
}

/// A symmetric positive definite matrix with its spectrum. The spectrum is computed on the host;
/// it plans settling and scaling and is reported as digital work.
#[derive(Debug, Clone, PartialEq)]
pub struct SpdMatrix {
    /// The matrix, exactly symmetric, damping included.
    entries: Array2<f64>,
    /// Damping that was added to the diagonal.
    damping: f64,
    /// Eigenvalues, ascending, all positive.
    eigenvalues: Vec<f64>,
}

impl SpdMatrix {
    /// Checks `a + damping · I`.
    ///
    /// # Errors
    /// The first [`MatrixError`] that holds.
    ///
    /// # Examples
    /// ```
    /// use ndarray::array;
    /// use spu_driver::matrix::{MatrixError, SpdMatrix};
    ///
    /// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
    /// assert!((a.condition() - 3.0).abs() < 1e-12);
    /// let singular = SpdMatrix::new(&array![[1.0, -1.0], [-1.0, 1.0]], 0.0);
    /// assert!(singular.unwrap_err().to_string().contains("--damping"));
    /// # Ok::<(), MatrixError>(())
    /// ```
    pub fn new(a: &ArrayRef2<f64>, damping: f64) -> Result<Self, MatrixError> {
        let (rows, columns) = a.dim();
        if rows == 0 || columns == 0 {
            return Err(MatrixError::Empty);
        }
        if rows != columns {
            return Err(MatrixError::NotSquare { rows, columns });
        }
        if !damping.is_finite() || damping < 0.0 {
            return Err(MatrixError::BadDamping(damping));
        }
        if let Some(((row, column), &value)) = a.indexed_iter().find(|(_, x)| !x.is_finite()) {
            return Err(MatrixError::NotFinite { row, column, value });
        }
        let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        if largest > 0.0 && !(1e-50..=1e50).contains(&largest) {
            return Err(MatrixError::OutOfScale { largest });
        }
        for i in 0..rows {
            for j in i + 1..rows {
                let (upper, lower) = (a[[i, j]], a[[j, i]]);
                if (upper - lower).abs() > SYMMETRY_TOLERANCE * largest {
                    return Err(MatrixError::NotSymmetric { row: i, column: j, upper, lower });
                }
            }
        }
        let mut entries =
            Array2::from_shape_fn((rows, rows), |(i, j)| 0.5 * (a[[i, j]] + a[[j, i]]));
        for i in 0..rows {
            entries[[i, i]] += damping;
        }
        let values = if rows <= JACOBI_LIMIT {
            symmetric_eigen(&entries).0
        } else {
            symmetric_eigenvalues(&entries)
        };
        let (smallest, largest) = (values[0], values[rows - 1]);
        if smallest.is_nan() || smallest <= largest.abs() * SIGN_TOLERANCE * rows as f64 {
            return Err(MatrixError::NotPositiveDefinite { smallest, largest });
        }
        Ok(Self { entries, damping, eigenvalues: values.to_vec() })
    }

    /// The matrix, damping included.
    pub fn entries(&self) -> &ArrayRef2<f64> {
        &self.entries
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.entries.nrows()
    }

    /// Damping that was added to the diagonal.
    pub fn damping(&self) -> f64 {
        self.damping
    }

    /// Eigenvalues, ascending.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Condition number: largest over smallest eigenvalue.
    pub fn condition(&self) -> f64 {
        self.eigenvalues[self.n() - 1] / self.eigenvalues[0]
    }

    /// Inverse by Cholesky factorisation in double precision: a digital reference, never a
    /// read-out.
    ///
    /// # Panics
    /// Never: a matrix whose eigenvalues are positive beyond rounding has a factor.
    pub fn digital_inverse(&self) -> Array2<f64> {
        let n = self.n();
        let dense = nalgebra::DMatrix::from_fn(n, n, |i, j| self.entries[[i, j]]);
        let inverse = dense
            .cholesky()
            .map(|factor| factor.inverse())
            .expect("a matrix whose eigenvalues are positive beyond rounding has a factor");
        Array2::from_shape_fn((n, n), |(i, j)| inverse[(i, j)])
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn refused(a: &Array2<f64>) -> MatrixError {
        SpdMatrix::new(a, 0.0).expect_err("should be refused")
    }

    #[test]
    fn bad_matrices_are_refused_with_the_remedy() {
        assert_eq!(refused(&Array2::zeros((0, 0))), MatrixError::Empty);
        assert_eq!(refused(&Array2::zeros((2, 3))), MatrixError::NotSquare { rows: 2, columns: 3 });
        let nan = refused(&array![[1.0, 0.0], [f64::NAN, 1.0]]);
        assert!(nan.to_string().contains("entry (1, 0) is NaN"), "{nan}");
        let skew = refused(&array![[1.0, 0.5], [0.4, 1.0]]);
        assert!(skew.to_string().contains("(A + Aᵀ)/2"), "{skew}");
        let semi = refused(&array![[1.0, 1.0], [1.0, 1.0]]);
        assert!(semi.to_string().contains("semi-definite: add damping"), "{semi}");
        let indefinite = refused(&array![[1.0, 2.0], [2.0, 1.0]]);
        assert!(indefinite.to_string().contains("--damping 1.03"), "{indefinite}");
        let damping = SpdMatrix::new(&Array2::eye(2), -1.0).expect_err("negative damping");
        assert_eq!(damping, MatrixError::BadDamping(-1.0));
    }

    #[test]
    fn the_damping_that_is_asked_for_helps() {
        let a = array![[1.0, 2.0], [2.0, 1.0]];
        let damped = SpdMatrix::new(&a, 1.03).expect("positive definite");
        assert!(damped.eigenvalues()[0] > 0.0);
        assert!((damped.entries()[[0, 0]] - 2.03).abs() < 1e-15);
    }

    #[test]
    fn the_ends_of_scale_and_of_rounding() {
        let a = array![[2.0, -1.0], [-1.0, 2.0]];
        for size in [1e-49, 1e-12, 1e49] {
            let spd = SpdMatrix::new(&(&a * size), 0.0).expect("positive definite");
            assert!((spd.condition() - 3.0).abs() < 1e-9, "{size}");
        }
        for size in [1e-300, 1e-51, 1e50, 1e300] {
            let error = refused(&(&a * size));
            assert!(error.to_string().contains("multiply the matrix"), "{error}");
        }
        assert!(matches!(refused(&Array2::zeros((2, 2))), MatrixError::NotPositiveDefinite { .. }));
        // One part in 1e15 of the diagonal is all that makes it definite.
        let edge = array![[1.0, 1.0 - 1e-15], [1.0 - 1e-15, 1.0]];
        assert!(matches!(refused(&edge), MatrixError::NotPositiveDefinite { .. }));
    }

    #[test]
    fn rounding_is_not_asymmetry() {
        let a = array![[2.0, 1.0 + 1e-12], [1.0, 2.0]];
        let spd = SpdMatrix::new(&a, 0.0).expect("symmetric up to rounding");
        assert_eq!(spd.entries()[[0, 1]].to_bits(), spd.entries()[[1, 0]].to_bits());
    }
}
