//! Carries the errors of leaves to the whole inverse, to first order.

use std::collections::BTreeMap;
use std::thread;

use ndarray::{Array1, Array2, ArrayRef2, s};

use crate::linalg::large::{multiply, multiply_flops};
use crate::linalg::{product, solve};
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
    /// What the codes hold, by the values of the board that were used, less what the leaf was given.
    pub(crate) quantisation: Array2<f64>,
    /// `B⁻¹ δ_d B⁻¹` of each copy that read the leaf, for the shift `δ_d` of B by each draw d of that copy's
    /// calibration. Copies by number; one without calibration has no draws.
    pub(crate) calibration: Vec<(usize, Vec<Array2<f64>>)>,
}

impl LeafScatter {
    /// From a leaf's matrix, its inverse, the deviations of batches, the inverse that its codes would give
    /// without noise, and the shifts of the inverse by the draws of each copy's calibration.
    pub(super) fn new(
        first: usize,
        a: &ArrayRef2<f64>,
        inverse: &Array2<f64>,
        deviations: &[Array2<f64>],
        freedom: usize,
        nominal: &Array2<f64>,
        shifts: &[(usize, Vec<Array2<f64>>)],
    ) -> Self {
        let eye = Array2::eye(a.nrows());
        let back = solve(inverse, &eye);
        let turned = |all: &[Array2<f64>]| -> Vec<Array2<f64>> {
            all.iter().map(|d| product(&product(&back, d), &back.t())).collect()
        };
        Self {
            first,
            noise: turned(deviations),
            freedom,
            quantisation: solve(nominal, &eye) - a,
            calibration: shifts.iter().map(|(copy, draws)| (*copy, turned(draws))).collect(),
        }
    }

    fn rows(&self) -> usize {
        self.quantisation.nrows()
    }

    /// The columns of X that belong to this leaf, `n × m`.
    fn columns(&self, x: &ArrayRef2<f64>) -> Array2<f64> {
        x.slice(s![.., self.first..self.first + self.rows()]).to_owned()
    }
}

/// The fewest degrees of freedom of any leaf.
pub(super) fn freedom(scatter: &[LeafScatter]) -> usize {
    scatter.iter().map(|leaf| leaf.freedom).min().unwrap_or(0)
}

/// Quantile of the intervals.
pub(super) fn quantile(scatter: &[LeafScatter]) -> f64 {
    student_quantile(freedom(scatter), CONFIDENCE)
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

/// `Σ X_k G_k X_kᵀ` over leaves k: what deviations G of the leaves do to X, to first order.
fn carried<'g>(
    x: &ArrayRef2<f64>,
    parts: impl Iterator<Item = (&'g LeafScatter, &'g Array2<f64>)>,
) -> Array2<f64> {
    let n = x.nrows();
    let mut shift = Array2::zeros((n, n));
    for (leaf, deviation) in parts {
        let columns = leaf.columns(x);
        shift += &multiply(&multiply(&columns, deviation), &columns.t());
    }
    shift
}

/// By how much quantisation shifts X, an error that is in it: `B⁻¹` holds the quantisation more than the
/// leaf was given.
pub(super) fn quantisation(x: &ArrayRef2<f64>, scatter: &[LeafScatter]) -> Array2<f64> {
    -carried(x, scatter.iter().map(|leaf| (leaf, &leaf.quantisation)))
}

/// The draws of a copy, each with its deviation of every leaf that the copy read.
type Draws<'s> = Vec<Vec<(&'s LeafScatter, &'s Array2<f64>)>>;

/// Draw by draw of each copy's calibration: the same values of a board are behind all leaves, so what
/// they shift adds up, while draws of different copies are independent. `None` where a copy that read a
/// leaf has no calibration.
fn draws(scatter: &[LeafScatter]) -> Option<Vec<Draws<'_>>> {
    let mut copies: BTreeMap<usize, Draws<'_>> = BTreeMap::new();
    for leaf in scatter {
        for (copy, deviations) in &leaf.calibration {
            if deviations.is_empty() {
                return None;
            }
            let draws = copies.entry(*copy).or_insert_with(|| vec![Vec::new(); deviations.len()]);
            for (draw, deviation) in draws.iter_mut().zip(deviations) {
                draw.push((leaf, deviation));
            }
        }
    }
    (!copies.is_empty()).then(|| copies.into_values().collect())
}

/// Variance of every entry of X by what the calibrations leave open; `None` without calibration.
pub(super) fn calibration(x: &ArrayRef2<f64>, scatter: &[LeafScatter]) -> Option<Array2<f64>> {
    let mut variance = Array2::zeros(x.dim());
    for draws in draws(scatter)? {
        let count = draws.len() as f64;
        for draw in draws {
            let shift = carried(x, draw.into_iter());
            variance += &(&shift * &shift / count);
        }
    }
    Some(variance)
}

/// What is known of the error of `X b`, entry by entry.
pub(super) struct ProductErrors {
    /// Variance by the noise.
    pub(super) noise: Vec<f64>,
    /// Variance by what the calibrations leave open; zero without.
    pub(super) calibration: Vec<f64>,
    /// The error by quantisation.
    pub(super) quantisation: Vec<f64>,
}

pub(super) fn product_errors(
    x: &ArrayRef2<f64>,
    scatter: &[LeafScatter],
    b: &[f64],
) -> ProductErrors {
    let n = x.nrows();
    assert_eq!(b.len(), n, "entries of b");
    let solution = multiply(x, &Array2::from_shape_fn((n, 1), |(i, _)| b[i]));
    let shift = |leaf: &LeafScatter, deviation: &Array2<f64>| {
        let part = solution.slice(s![leaf.first..leaf.first + leaf.rows(), ..]).to_owned();
        multiply(&leaf.columns(x), &multiply(deviation, &part))
    };
    let zeros = || Array2::<f64>::zeros((n, 1));
    let (mut noise, mut calibration, mut quantisation) = (zeros(), zeros(), zeros());
    for leaf in scatter {
        for deviation in &leaf.noise {
            noise += &shift(leaf, deviation).mapv(|d| d * d);
        }
        quantisation -= &shift(leaf, &leaf.quantisation);
    }
    for draws in draws(scatter).unwrap_or_default() {
        let count = draws.len() as f64;
        for draw in draws {
            let whole = draw.into_iter().fold(zeros(), |sum, (leaf, g)| sum + shift(leaf, g));
            calibration += &whole.mapv(|d| d * d / count);
        }
    }
    let flat = |column: Array2<f64>| column.into_iter().collect();
    ProductErrors {
        noise: flat(noise),
        calibration: flat(calibration),
        quantisation: flat(quantisation),
    }
}
