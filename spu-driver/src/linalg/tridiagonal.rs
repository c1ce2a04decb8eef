//! Householder's reduction of a symmetric matrix to tridiagonal form, and the eigenvalues of that
//! form.

use ndarray::{Array1, Array2, ArrayRef2};

use super::flops::count;

/// A symmetric tridiagonal matrix `T = Qᵀ A Q` with no positive entry beside its diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Tridiagonal {
    /// Diagonal of T, `n`.
    pub diagonal: Vec<f64>,
    /// Entries beside it, `n − 1`, each ≤ 0; exactly zero where T falls apart.
    pub beside: Vec<f64>,
    /// The orthogonal Q, `n × n`.
    pub basis: Array2<f64>,
}

impl Tridiagonal {
    /// T as a dense matrix, `n × n`.
    pub fn matrix(&self) -> Array2<f64> {
        let n = self.diagonal.len();
        Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.beside[i.min(j)],
            _ => 0.0,
        })
    }
}

/// Reduces a symmetric matrix by Householder reflections (Golub and Van Loan, *Matrix
/// Computations*, algorithm 8.3.1) and turns the signs of Q's columns so that no entry beside T's
/// diagonal is positive: if A is positive definite, T is then a nonsingular M-matrix (Berman and
/// Plemmons, *Nonnegative Matrices*, chapter 6).
///
/// Only the lower triangle of `a` counts. `a` must be square and finite.
pub fn tridiagonalise(a: &ArrayRef2<f64>) -> Tridiagonal {
    let n = a.nrows();
    let Reduced { diagonal, mut beside, reflections } = reduce(a);
    let mut basis: Array2<f64> = Array2::eye(n);
    // Q = H₀ H₁ …, applied from the last one on, which changes the fewest rows.
    for (k, reflection) in reflections.iter().enumerate().rev() {
        let first = k + 1;
        count(4 * (n - first) * (n - first));
        for j in first..n {
            let dot =
                (first..n).fold(0.0, |sum, i| reflection.v[i - first].mul_add(basis[[i, j]], sum));
            for i in first..n {
                basis[[i, j]] =
                    (-reflection.beta * dot).mul_add(reflection.v[i - first], basis[[i, j]]);
            }
        }
    }
    let mut sign = 1.0;
    for (k, entry) in beside.iter_mut().enumerate() {
        if *entry > 0.0 {
            sign = -sign;
        }
        *entry = -entry.abs();
        for i in 0..n {
            basis[[i, k + 1]] *= sign;
        }
    }
    Tridiagonal { diagonal, beside, basis }
}

/// Floating-point operations of [`tridiagonalise`] with its basis: `10/3 n³` to leading order.
pub fn tridiagonalise_flops(n: usize) -> u64 {
    10 * (n as u64).pow(3) / 3
}

/// A reflection `I − beta v vᵀ` of the rows below a column.
struct Reflection {
    beta: f64,
    v: Vec<f64>,
}

struct Reduced {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    reflections: Vec<Reflection>,
}

fn reduce(a: &ArrayRef2<f64>) -> Reduced {
    let n = a.nrows();
    // Row by row; the rows below and right of `k` are the part that is left.
    let mut m: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| a[[i.max(j), i.min(j)]]).collect()).collect();
    let mut beside = Vec::with_capacity(n.saturating_sub(1));
    let mut reflections = Vec::with_capacity(n.saturating_sub(2));
    for k in 0..n.saturating_sub(1) {
        let first = k + 1;
        let mut v: Vec<f64> = m[k][first..].to_vec();
        let size = v.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        if v.len() == 1 || size == 0.0 {
            beside.push(v[0]);
            if v.len() > 1 {
                reflections.push(Reflection { beta: 0.0, v });
            }
            continue;
        }
        // Scaled, so that no square overflows or vanishes.
        let norm =
            v.iter().fold(0.0, |sum: f64, x| (x / size).mul_add(x / size, sum)).sqrt() * size;
        let alpha = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= alpha;
        for x in &mut v {
            *x /= size;
        }
        let beta = 2.0 / v.iter().fold(0.0, |sum: f64, x| x.mul_add(*x, sum));
        update(&mut m, first, beta, &v);
        beside.push(alpha);
        reflections.push(Reflection { beta, v });
    }
    let diagonal: Vec<f64> = (0..n).map(|i| m[i][i]).collect();
    // What rounding leaves of a zero is one: T then falls apart there.
    let scale = diagonal.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (k, entry) in beside.iter_mut().enumerate() {
        let near = (diagonal[k].abs() * diagonal[k + 1].abs()).sqrt().max(scale * f64::EPSILON);
        if entry.abs() <= near * f64::EPSILON {
            *entry = 0.0;
        }
    }
    Reduced { diagonal, beside, reflections }
}

/// `H M H` of the part from `first` on, H = I − beta v vᵀ.
fn update(m: &mut [Vec<f64>], first: usize, beta: f64, v: &[f64]) {
    // The whole square is updated, not half of it.
    count(6 * v.len() * v.len());
    let p: Vec<f64> = m[first..]
        .iter()
        .map(|row| beta * row[first..].iter().zip(v).fold(0.0, |sum, (x, y)| sum + x * y))
        .collect();
    let half = 0.5 * beta * p.iter().zip(v).fold(0.0, |sum, (x, y)| sum + x * y);
    let w: Vec<f64> = p.iter().zip(v).map(|(p, v)| p - half * v).collect();
    for (row, (vi, wi)) in m[first..].iter_mut().zip(v.iter().zip(&w)) {
        for (x, (vj, wj)) in row[first..].iter_mut().zip(v.iter().zip(&w)) {
            *x -= vi * wj + wi * vj;
        }
    }
}

/// All eigenvalues of a symmetric matrix, ascending, by bisection of its tridiagonal form (Golub and
/// Van Loan, 8.4.1): for matrices too large for Jacobi's method.
///
/// Only the lower triangle of `a` counts. `a` must be square and finite.
pub fn symmetric_eigenvalues(a: &ArrayRef2<f64>) -> Array1<f64> {
    let Reduced { diagonal, beside, .. } = reduce(a);
    let n = diagonal.len();
    let radius = |i: usize| {
        let left = if i > 0 { beside[i - 1].abs() } else { 0.0 };
        left + beside.get(i).map_or(0.0, |x| x.abs())
    };
    // Gershgorin's discs hold all of them.
    let low = (0..n).map(|i| diagonal[i] - radius(i)).fold(f64::INFINITY, f64::min);
    let high = (0..n).map(|i| diagonal[i] + radius(i)).fold(f64::NEG_INFINITY, f64::max);
    let margin = f64::EPSILON * low.abs().max(high.abs()) * n as f64;
    let squares: Vec<f64> = beside.iter().map(|x| x * x).collect();
    (0..n).map(|k| bisect(&diagonal, &squares, k, low - margin, high + margin)).collect()
}

/// The eigenvalue with `k` smaller ones, between `low` and `high`.
fn bisect(diagonal: &[f64], squares: &[f64], k: usize, mut low: f64, mut high: f64) -> f64 {
    loop {
        let middle = low.midpoint(high);
        if middle <= low || middle >= high {
            return middle;
        }
        if below(diagonal, squares, middle) > k {
            high = middle;
        } else {
            low = middle;
        }
    }
}

/// Number of eigenvalues below `x`, by the signs of the pivots of `T − x I` (Sylvester's inertia).
fn below(diagonal: &[f64], squares: &[f64], x: f64) -> usize {
    count(3 * diagonal.len());
    let mut pivot = 1.0_f64;
    let mut count = 0;
    for (i, d) in diagonal.iter().enumerate() {
        let off = if i > 0 { squares[i - 1] } else { 0.0 };
        let fill = if off == 0.0 { 0.0 } else { off / pivot };
        pivot = d - x - fill;
        if pivot == 0.0 {
            pivot = f64::MIN_POSITIVE;
        }
        if pivot < 0.0 {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::linalg::{frobenius, product, symmetric_eigen};

    fn check(a: &Array2<f64>) {
        let found = tridiagonalise(a);
        let size = frobenius(a);
        let back = product(&product(&found.basis, &found.matrix()), &found.basis.t());
        assert!(frobenius(&(&back - a)) <= 1e-13 * size, "{}", frobenius(&(&back - a)) / size);
        let gram = product(&found.basis.t(), &found.basis);
        assert!(frobenius(&(&gram - &Array2::<f64>::eye(a.nrows()))) < 1e-13);
        assert!(found.beside.iter().all(|x| *x <= 0.0), "{:?}", found.beside);
    }

    #[test]
    fn small_and_decoupled_matrices() {
        check(&array![[3.0]]);
        check(&array![[2.0, 1.0], [1.0, 2.0]]);
        check(&Array2::eye(5));
        let blocks = array![
            [2.0, 0.0, 0.0, 1.0],
            [0.0, 50.0, 40.0, 0.0],
            [0.0, 40.0, 33.0, 0.0],
            [1.0, 0.0, 0.0, 2.0]
        ];
        check(&blocks);
        let found = tridiagonalise(&blocks);
        assert!(found.beside.contains(&0.0), "two blocks: {:?}", found.beside);
    }

    #[test]
    fn eigenvalues_of_a_chain_are_known() {
        let n = 40;
        let chain = Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
            0 => 2.0,
            1 => 1.0,
            _ => 0.0,
        });
        for (k, value) in symmetric_eigenvalues(&chain).iter().enumerate() {
            let angle = std::f64::consts::PI * (n - k) as f64 / (n + 1) as f64;
            assert!((value - 2.0 - 2.0 * angle.cos()).abs() < 1e-13, "{k}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_symmetric_matrix(
            n in 1_usize..13,
            entries in proptest::collection::vec(-1.0_f64..1.0, 169),
            power in -20_i32..20,
        ) {
            let size = 10_f64.powi(power);
            let a = Array2::from_shape_fn((n, n), |(i, j)| entries[13 * i.min(j) + i.max(j)] * size);
            check(&a);
            let (jacobi, _) = symmetric_eigen(&a);
            for (x, y) in symmetric_eigenvalues(&a).iter().zip(&jacobi) {
                prop_assert!((x - y).abs() <= 1e-13 * frobenius(&a), "{x} {y}");
            }
        }
    }
}
