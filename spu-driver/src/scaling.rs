//! Diagonal scaling `D A D` that brings a matrix into a passive board's reach.
//!
//! Self terms are row sums of `D ⟨A⟩ D`, where ⟨A⟩ (the comparison matrix) has A's diagonal and
//! `−|a_ij|` beside it. They must not be negative, so some positive x with `⟨A⟩ x > 0` is needed; one
//! exists exactly if ⟨A⟩ is a nonsingular M-matrix (Berman and Plemmons, *Nonnegative Matrices*,
//! chapter 6). The Perron vector of the smallest eigenvalue is such an x in every connected
//! component.

use ndarray::Array2;
use serde::Serialize;

use crate::linalg::flops::count;
use crate::linalg::{product, solve, symmetric_eigen};
use crate::matrix::SpdMatrix;

/// How the diagonal was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// D = I: the matrix is diagonally dominant as it is.
    None,
    /// `d_i = a_ii^(−1/2)`.
    UnitDiagonal,
    /// The Perron vector of ⟨A⟩'s smallest eigenvalue, per connected component.
    Perron,
    /// `d = U x` with `U_ii = a_ii^(−1/2)` and `(U⟨A⟩U − μ I) x = 1`, for the μ whose bank values bear
    /// rounding best.
    Resolvent,
}

impl Scaling {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::None, Self::UnitDiagonal, Self::Perron, Self::Resolvent];
}

/// The scalings that make the matrix programmable.
///
/// # Errors
/// The reasons, if none does.
pub(crate) fn candidates(
    a: &SpdMatrix,
    signed: bool,
) -> Result<Vec<(Scaling, Vec<f64>)>, Vec<String>> {
    let n = a.n();
    let comparison = comparison(a);
    let unit = (0..n).map(|i| 1.0 / a.entries()[[i, i]].sqrt()).collect();
    let mut found = vec![(Scaling::None, vec![1.0; n]), (Scaling::UnitDiagonal, unit)];
    if let Some(perron) = perron(&comparison) {
        found.push((Scaling::Perron, perron));
    }
    if let Some(resolvent) = resolvent(a, &comparison) {
        found.push((Scaling::Resolvent, resolvent));
    }
    found.retain(|(_, d)| reaches(&comparison, d));
    if found.is_empty() {
        let how = if signed { "" } else { " (and couplings have no sign)" };
        return Err(vec![format!(
            "no diagonal scaling makes the matrix diagonally dominant{how}: its comparison matrix \
             (diagonal kept, −|a_ij| beside it) is not positive definite; add --damping of at least \
             {:.3e}, or take the tridiagonal route",
            shortfall(&comparison)
        )]);
    }
    Ok(found)
}

/// Shares of the smallest eigenvalue that μ is tried at.
const SHARES: [f64; 12] = [-64.0, -32.0, -16.0, -8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 0.8, 0.95];

/// The best `d = U x` with `(U⟨A⟩U − μ I) x = 1`, `U_ii = a_ii^(−1/2)`, over several μ.
///
/// With `μ = 0` the rows of `U⟨A⟩U x` are all 1 and `x_i ≥ 1`; towards the smallest eigenvalue x
/// becomes a Perron vector; below zero, where they are `1 + μ x_i`, x becomes more even until one of
/// them vanishes. All x are positive where ⟨A⟩ is a nonsingular M-matrix, since the resolvent of one
/// is not negative (Berman and Plemmons, chapter 6).
fn resolvent(a: &SpdMatrix, comparison: &Array2<f64>) -> Option<Vec<f64>> {
    let n = a.n();
    let u: Vec<f64> = (0..n).map(|i| 1.0 / comparison[[i, i]].sqrt()).collect();
    let unit = Array2::from_shape_fn((n, n), |(i, j)| u[i] * comparison[[i, j]] * u[j]);
    let smallest = symmetric_eigen(&unit).0[0];
    let inverse = solve(a.entries(), &Array2::eye(n));
    let gram = product(&inverse, &inverse);
    let ones = Array2::ones((n, 1));
    let at = |share: f64| -> Vec<f64> {
        count(2 * n * n + n);
        let shifted = &unit - &(Array2::<f64>::eye(n) * (share * smallest));
        solve(&shifted, &ones).iter().zip(&u).map(|(x, u)| x * u).collect()
    };
    SHARES
        .into_iter()
        .filter(|_| smallest > 0.0)
        .map(at)
        .filter(|d| d.iter().all(|x| x.is_finite() && *x > 0.0) && reaches(comparison, d))
        .map(|d| (rounding_cost(a, &gram, &d), d))
        .min_by(|x, y| x.0.total_cmp(&y.0))
        .map(|(_, d)| d)
}

/// What rounding the banks does to A⁻¹ with this D, to first order and up to a factor of the banks:
/// independent errors of equal size in every entry of `D A D` that is set, over the largest bank
/// value. `gram` is `A⁻²`; with `G = D⁻¹ A⁻² D⁻¹` an error ε of entries i, j gives `ε² (G_ii G_jj + G_ij²)`.
fn rounding_cost(a: &SpdMatrix, gram: &Array2<f64>, d: &[f64]) -> f64 {
    let n = d.len();
    let (mut squared, mut largest) = (0.0_f64, 0.0_f64);
    count(14 * n * n);
    let g = |i: usize, j: usize| gram[[i, j]] / (d[i] * d[j]);
    for i in 0..n {
        let mut own = d[i] * a.entries()[[i, i]] * d[i];
        squared += 2.0 * g(i, i) * g(i, i);
        for j in (0..n).filter(|&j| j != i) {
            let coupling = (d[i] * a.entries()[[i, j]] * d[j]).abs();
            if coupling > 0.0 {
                own -= coupling;
                largest = largest.max(coupling);
                squared += g(i, i) * g(j, j) + g(i, j) * g(i, j);
            }
        }
        largest = largest.max(own);
    }
    squared.sqrt() * largest
}

/// The cost of the best scaling by resolvents of a matrix; infinite if there is none.
pub(crate) fn scaling_cost(a: &SpdMatrix) -> f64 {
    let n = a.n();
    let inverse = solve(a.entries(), &Array2::eye(n));
    let gram = product(&inverse, &inverse);
    resolvent(a, &comparison(a)).map_or(f64::INFINITY, |d| rounding_cost(a, &gram, &d))
}

/// A's comparison matrix.
fn comparison(a: &SpdMatrix) -> Array2<f64> {
    Array2::from_shape_fn((a.n(), a.n()), |(i, j)| {
        let x = a.entries()[[i, j]];
        if i == j { x } else { -x.abs() }
    })
}

/// True if every row sum of `D ⟨A⟩ D` is positive.
fn reaches(comparison: &Array2<f64>, d: &[f64]) -> bool {
    let n = d.len();
    count(4 * n * n);
    (0..n).all(|i| {
        let terms = (0..n).map(|j| comparison[[i, j]] * d[j]);
        let size: f64 = terms.clone().map(f64::abs).sum();
        terms.sum::<f64>() > size * f64::EPSILON * n as f64
    })
}

/// How much damping the comparison matrix lacks to be positive definite, with a tenth to spare.
fn shortfall(comparison: &Array2<f64>) -> f64 {
    let (values, _) = symmetric_eigen(comparison);
    let size = values.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    1.1 * (-values[0]).max(0.0) + 1e-3 * size
}

/// Perron vector of the smallest eigenvalue per connected component, each with largest entry 1,
/// by power iteration on `σI − ⟨A⟩ ≥ 0`; then each component is brought to the same size of
/// diagonal. `None` if the iteration does not settle on a positive vector.
fn perron(comparison: &Array2<f64>) -> Option<Vec<f64>> {
    let n = comparison.nrows();
    let mut d = vec![0.0; n];
    for component in components(comparison) {
        let shift = component.iter().map(|&i| comparison[[i, i]]).fold(0.0, f64::max);
        let mut x = vec![1.0; component.len()];
        for _ in 0..100_000 {
            count(2 * component.len() * (component.len() + 2));
            let mut next: Vec<f64> = component
                .iter()
                .enumerate()
                .map(|(row, &i)| {
                    // The diagonal of the iteration matrix is doubled so that no eigenvalue of
                    // opposite sign has the same size (bipartite components).
                    component.iter().enumerate().fold(2.0 * shift * x[row], |sum, (col, &j)| {
                        (-comparison[[i, j]]).mul_add(x[col], sum)
                    })
                })
                .collect();
            let largest = next.iter().copied().fold(0.0, f64::max);
            if largest.is_nan() || largest <= 0.0 {
                return None;
            }
            for v in &mut next {
                *v /= largest;
            }
            let change = next.iter().zip(&x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            x = next;
            if change < 1e-15 {
                break;
            }
        }
        // Components are independent: give each a largest diagonal of one.
        let diagonal = component
            .iter()
            .zip(&x)
            .map(|(&i, v)| v * v * comparison[[i, i]])
            .fold(0.0, f64::max)
            .sqrt();
        for (&i, v) in component.iter().zip(&x) {
            d[i] = v / diagonal;
        }
    }
    d.iter().all(|v| v.is_finite() && *v > 0.0).then_some(d)
}

/// Connected components of the matrix's graph, each ascending.
fn components(a: &Array2<f64>) -> Vec<Vec<usize>> {
    let n = a.nrows();
    let mut seen = vec![false; n];
    let mut found = Vec::new();
    for start in 0..n {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut component = vec![start];
        let mut next = 0;
        while next < component.len() {
            let i = component[next];
            next += 1;
            for j in 0..n {
                if a[[i, j]] != 0.0 && !seen[j] {
                    seen[j] = true;
                    component.push(j);
                }
            }
        }
        component.sort_unstable();
        found.push(component);
    }
    found
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn spd(a: &Array2<f64>) -> SpdMatrix {
        SpdMatrix::new(a, 0.0).expect("positive definite")
    }

    #[test]
    fn an_m_matrix_that_is_not_dominant_is_reached_by_scaling() {
        let a = spd(&array![[1.0, -1.1, 0.0], [-1.1, 4.0, -2.0], [0.0, -2.0, 4.0]]);
        let found = candidates(&a, false).expect("an M-matrix");
        assert!(found.iter().any(|(s, _)| *s == Scaling::Perron));
        assert!(found.iter().all(|(s, _)| *s != Scaling::None));
    }

    #[test]
    fn identity_and_block_diagonal_matrices_have_positive_scalings() {
        let eye = spd(&Array2::eye(8));
        let found = candidates(&eye, false).expect("the identity");
        assert_eq!(found.len(), 4);
        let blocks = spd(&array![
            [2.0, -1.0, 0.0, 0.0],
            [-1.0, 2.0, 0.0, 0.0],
            [0.0, 0.0, 50.0, -40.0],
            [0.0, 0.0, -40.0, 33.0]
        ]);
        let found = candidates(&blocks, false).expect("two blocks");
        let (_, d) = found.iter().find(|(s, _)| *s == Scaling::Perron).expect("Perron");
        assert!(d.iter().all(|x| *x > 0.0), "{d:?}");
    }

    #[test]
    fn what_no_scaling_reaches_is_refused_with_the_damping_that_helps() {
        let a = array![[1.0, 0.6, 0.6], [0.6, 1.0, 0.6], [0.6, 0.6, 1.0]];
        let reasons = candidates(&spd(&a), true).expect_err("not an H-matrix");
        assert!(reasons[0].contains("--damping"), "{reasons:?}");
        let damped = SpdMatrix::new(&a, 0.25).expect("positive definite");
        assert!(candidates(&damped, true).is_ok());
    }

    proptest! {
        /// Every nonsingular symmetric M-matrix is reached.
        #[test]
        fn every_m_matrix_is_reached(
            n in 2_usize..9,
            entries in proptest::collection::vec(0.0_f64..1.0, 64),
            margin in 0.01_f64..1.0,
        ) {
            let off = Array2::from_shape_fn((n, n), |(i, j)| {
                let (i, j) = (i.min(j), i.max(j));
                if i == j { 0.0 } else { entries[8 * i + j] }
            });
            let (values, _) = crate::linalg::symmetric_eigen(&off);
            let a = Array2::eye(n) * (values[n - 1] * (1.0 + margin) + 1e-3) - &off;
            let found = candidates(&spd(&a), false).expect("an M-matrix");
            prop_assert!(found.iter().any(|(s, _)| *s == Scaling::Perron));
        }
    }
}
