//! Carries the errors of leaves to the whole inverse, to first order.

use std::thread;

use ndarray::{Array1, Array2, ArrayRef2, s};

use crate::linalg::large::{multiply, multiply_flops};
use crate::linalg::{frobenius, product, solve};
use crate::stats::{CONFIDENCE, student_quantile};

/// What is known of a leaf's error.
#[derive(Debug, Clone)]
pub(crate) struct LeafScatter {
    /// First row.
    pub(crate) first: usize,
    /// `B⁻¹ δ_b B⁻¹` for the deviation `δ_b` of each batch b; the squares of all deviations add up to
    /// the variance of the leaf's inverse B.
    pub(crate) noise: Vec<Array2<f64>>,
    /// Degrees of freedom of the noise.
    pub(crate) freedom: usize,
    /// What the nominal codes hold less what the leaf was given.
    pub(crate) quantisation: Array2<f64>,
}

impl LeafScatter {
    /// From a leaf's matrix, its inverse, the deviations of batches, and the inverse that nominal codes
    /// would give.
    pub(super) fn new(
        first: usize,
        a: &ArrayRef2<f64>,
        inverse: &Array2<f64>,
        deviations: &[Array2<f64>],
        freedom: usize,
        nominal: &Array2<f64>,
    ) -> Self {
        let eye = Array2::eye(a.nrows());
        let back = solve(inverse, &eye);
        let noise = deviations.iter().map(|d| product(&product(&back, d), &back.t())).collect();
        Self { first, noise, freedom, quantisation: solve(nominal, &eye) - a }
    }

    fn rows(&self) -> usize {
        self.quantisation.nrows()
    }

    /// The columns of X that belong to this leaf, `n × m`.
    fn columns(&self, x: &ArrayRef2<f64>) -> Array2<f64> {
        x.slice(s![.., self.first..self.first + self.rows()]).to_owned()
    }
}

/// Quantile of the intervals, by the fewest degrees of freedom of any leaf.
pub(super) fn quantile(scatter: &[LeafScatter]) -> f64 {
    let least = scatter.iter().map(|leaf| leaf.freedom).min().unwrap_or(0);
    student_quantile(least, CONFIDENCE)
}

/// Variance of every entry of X, and the operations that it took.
pub(super) fn variance(x: &ArrayRef2<f64>, scatter: &[LeafScatter]) -> (Array2<f64>, u64) {
    let n = x.nrows();
    let columns: Vec<Array2<f64>> = scatter.iter().map(|leaf| leaf.columns(x)).collect();
    let mut out = vec![0.0; n * n];
    let threads = thread::available_parallelism().map_or(1, usize::from).min(n.max(1));
    // Rows in turns, since a row is the longer the earlier it comes.
    let mut shares: Vec<Vec<(usize, &mut [f64])>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, row) in out.chunks_mut(n.max(1)).enumerate() {
        shares[i % threads].push((i, row));
    }
    thread::scope(|scope| {
        for share in shares {
            let columns = &columns;
            scope.spawn(move || {
                for (i, row) in share {
                    for (leaf, x) in scatter.iter().zip(columns) {
                        add_row(row, i, leaf, x);
                    }
                }
            });
        }
    });
    let flops = scatter
        .iter()
        .map(|leaf| {
            let m = leaf.rows();
            let pairs = n * (n + 1) / 2;
            leaf.noise.len() as u64 * (multiply_flops(n, m, m) + 2 * (m as u64 + 1) * pairs as u64)
        })
        .sum();
    let upper = |i: usize, j: usize| out[i.min(j) * n + i.max(j)];
    (Array2::from_shape_fn((n, n), |(i, j)| upper(i, j)), flops)
}

/// Adds `Σ_b (X_i G_b X_jᵀ)²` to row i from the diagonal on.
fn add_row(row: &mut [f64], i: usize, leaf: &LeafScatter, x: &Array2<f64>) {
    let xi: Array1<f64> = x.row(i).to_owned();
    for noise in &leaf.noise {
        let u: Vec<f64> = noise
            .columns()
            .into_iter()
            .map(|column| column.iter().zip(&xi).fold(0.0, |sum, (a, b)| sum + a * b))
            .collect();
        for (sum, xj) in row[i..].iter_mut().zip(x.rows().into_iter().skip(i)) {
            let dot = xj.iter().zip(&u).fold(0.0, |sum, (a, b)| sum + a * b);
            *sum += dot * dot;
        }
    }
}

/// Frobenius norm of the shift of X by quantisation, and the operations that it took.
pub(super) fn quantisation(x: &ArrayRef2<f64>, scatter: &[LeafScatter]) -> (f64, u64) {
    let n = x.nrows();
    let mut shift = Array2::zeros((n, n));
    let mut flops = 0;
    for leaf in scatter {
        let columns = leaf.columns(x);
        let m = leaf.rows();
        shift += &multiply(&multiply(&columns, &leaf.quantisation), &columns.t());
        flops += multiply_flops(n, m, m) + multiply_flops(n, m, n) + (n * n) as u64;
    }
    (frobenius(&shift), flops)
}

/// Half widths of the intervals of `X b`.
pub(super) fn product_half_widths(
    x: &ArrayRef2<f64>,
    scatter: &[LeafScatter],
    b: &[f64],
) -> Vec<f64> {
    let n = x.nrows();
    assert_eq!(b.len(), n, "entries of b");
    let column = Array2::from_shape_fn((n, 1), |(i, _)| b[i]);
    let solution = multiply(x, &column);
    let mut variance = vec![0.0; n];
    for leaf in scatter {
        let columns = leaf.columns(x);
        let part = solution.slice(s![leaf.first..leaf.first + leaf.rows(), ..]).to_owned();
        for noise in &leaf.noise {
            let shift = multiply(&columns, &multiply(noise, &part));
            for (sum, d) in variance.iter_mut().zip(&shift) {
                *sum += d * d;
            }
        }
    }
    let t = quantile(scatter);
    variance.into_iter().map(|v| t * v.sqrt()).collect()
}
