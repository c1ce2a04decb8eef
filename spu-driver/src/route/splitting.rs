//! A programmable matrix M that splits off A.

use ndarray::Array2;

use crate::matrix::SpdMatrix;
use crate::scaling::candidates;

/// Steps between leaving all couplings in and leaving none.
const STEPS: u32 = 16;

/// A matrix `M ≽ A` that diagonal scaling makes programmable (diagonally compensated reduction,
/// Axelsson and Kolotilina 1994): couplings that a board cannot have are taken out, wholly or in
/// part, and their size is added to both diagonals.
///
/// `M − A` is a sum of `θ |a_ij| [[1, −s], [−s, 1]]`, s the sign of `a_ij`, so it is positive
/// semi-definite and all eigenvalues of `M⁻¹ A` lie in (0, 1]: refinement by M⁻¹ converges.
/// Without signs, positive entries go (θ = 1) and what is left is an M-matrix. With signs, the
/// least θ, in sixteenths and the same for all entries, that makes M programmable is taken.
pub(super) fn majorant(a: &SpdMatrix, signed: bool) -> Array2<f64> {
    if !signed {
        return reduced(a, |x| if x > 0.0 { 1.0 } else { 0.0 });
    }
    (0..STEPS)
        .map(|step| reduced(a, |_| f64::from(step) / f64::from(STEPS)))
        .find(|m| SpdMatrix::new(m, 0.0).is_ok_and(|m| candidates(&m, signed).is_ok()))
        .unwrap_or_else(|| reduced(a, |_| 1.0))
}

/// A with the part `share(a_ij)` of each entry beside the diagonal taken out.
fn reduced(a: &SpdMatrix, share: impl Fn(f64) -> f64) -> Array2<f64> {
    let n = a.n();
    let mut m = a.entries().to_owned();
    for i in 0..n {
        for j in 0..n {
            if i != j {
                let x = a.entries()[[i, j]];
                let part = share(x);
                m[[i, j]] = (1.0 - part) * x;
                m[[i, i]] += part * x.abs();
            }
        }
    }
    m
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::linalg::symmetric_eigen;

    #[test]
    fn the_majorant_is_programmable_and_above() {
        let a = SpdMatrix::new(&array![[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]], 0.0)
            .expect("positive definite");
        let dense = SpdMatrix::new(&array![[1.0, 0.6, 0.6], [0.6, 1.0, 0.6], [0.6, 0.6, 1.0]], 0.0)
            .expect("positive definite");
        for (a, signed) in [(&a, false), (&a, true), (&dense, true), (&dense, false)] {
            let m = majorant(a, signed);
            let (gap, _) = symmetric_eigen(&(m.clone() - a.entries()));
            assert!(gap[0] > -1e-15, "{gap}");
            let m = SpdMatrix::new(&m, 0.0).expect("positive definite");
            assert!(candidates(&m, signed).is_ok());
            if !signed {
                let n = m.n();
                assert!((0..n).all(|i| (0..n).all(|j| i == j || m.entries()[[i, j]] <= 0.0)));
            }
        }
        // Half of the couplings' part is enough here: not all is thrown away.
        assert!(majorant(&dense, true)[[0, 1]] > 0.3);
    }
}
