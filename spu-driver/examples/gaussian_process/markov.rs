//! Gaussian-process regression with an Ornstein–Uhlenbeck prior, its inverses read from a board.
//!
//! Prior: mean m, covariance `K_ij = s² exp(−|t_i − t_j|/ℓ)` at equally spaced times; data y with
//! independent noise of variance σ². With `P = I + σ² K⁻¹` the posterior is (Rasmussen and Williams,
//! *Gaussian Processes for Machine Learning*, 2.2, by the matrix inversion lemma)
//!
//! ```text
//! mean     m + K (K + σ² I)⁻¹ (y − m)        = m + P⁻¹ (y − m)
//! variance diag(K − K (K + σ² I)⁻¹ K)        = σ² diag(P⁻¹)
//! log p(y) = −½ (y − m)ᵀ (K + σ² I)⁻¹ (y − m) − ½ log det(K + σ² I) − (n/2) log 2π
//! log det(K + σ² I) = log det K + log det P
//! ```
//!
//! The process is Markov: K⁻¹ is tridiagonal with off-diagonals below 0, and so is P, as couplings
//! without a sign can hold it. Every ninth time is a separator. Given the separators, the blocks of
//! eight between them are independent: a board inverts each block, then the Schur complement of the
//! separators. What is left for the host are products with these inverses.

use ndarray::{Array1, Array2};
use spu_driver::Device;
use spu_driver::invert::{Inversion, InvertOptions, OperationError, Quiet, invert};
use spu_driver::linalg::{product, solve, symmetric_eigen};
use spu_driver::matrix::SpdMatrix;
use spu_driver::ops::trim::Trim;
use spu_driver::plan::{Budget, DEFAULT_SAMPLES};

/// Cells of a board.
pub(crate) const BLOCK: usize = 8;

/// Hyperparameters, in the units of the data and of the time step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prior {
    pub(crate) mean: f64,
    /// s.
    pub(crate) deviation: f64,
    /// ℓ.
    pub(crate) length: f64,
    /// σ.
    pub(crate) noise: f64,
}

impl Prior {
    /// Correlation of neighbours.
    fn rho(&self) -> f64 {
        (-1.0 / self.length).exp()
    }

    /// P, as its diagonal and its (constant) off-diagonal.
    fn precision(&self, n: usize) -> (Vec<f64>, f64) {
        let rho = self.rho();
        let unit = (self.noise / self.deviation).powi(2) / (1.0 - rho * rho);
        let diagonal = |i: usize| {
            let inner = if i == 0 || i == n - 1 { 1.0 } else { rho.mul_add(rho, 1.0) };
            unit.mul_add(inner, 1.0)
        };
        ((0..n).map(diagonal).collect(), -unit * rho)
    }

    /// `log det K`.
    fn log_det(&self, n: usize) -> f64 {
        let rho = self.rho();
        let steps = n as f64 - 1.0;
        2.0 * n as f64 * self.deviation.ln() + steps * (1.0 - rho * rho).ln()
    }
}

/// A posterior at the times of the data.
#[derive(Debug, Clone)]
pub(crate) struct Posterior {
    pub(crate) mean: Array1<f64>,
    pub(crate) variance: Array1<f64>,
    /// log p(y).
    pub(crate) log_likelihood: f64,
}

/// A posterior read from a board, with the standard errors that the samples leave.
#[derive(Debug)]
pub(crate) struct Regression {
    pub(crate) posterior: Posterior,
    pub(crate) errors: Posterior,
    /// Reads of the board.
    pub(crate) reads: usize,
    /// Samples behind all of them.
    pub(crate) kept: u64,
}

/// The posterior by dense algebra in double precision: the digital reference.
pub(crate) fn digital(y: &[f64], prior: &Prior) -> Posterior {
    let n = y.len();
    let kernel = |i: usize, j: usize| {
        prior.deviation.powi(2) * (-(i.abs_diff(j) as f64) / prior.length).exp()
    };
    let k = Array2::from_shape_fn((n, n), |(i, j)| kernel(i, j));
    let identity: Array2<f64> = Array2::eye(n);
    let noisy = &k + &(identity * prior.noise.powi(2));
    let z = Array2::from_shape_fn((n, 1), |(i, _)| y[i] - prior.mean);
    let weights = solve(&noisy, &z);
    let covariance = &k - &product(&k, &solve(&noisy, &k));
    let log_det: f64 = symmetric_eigen(&noisy).0.iter().map(|x| x.ln()).sum();
    let square = product(&z.t(), &weights)[[0, 0]];
    Posterior {
        mean: product(&k, &weights).column(0).mapv(|x| x + prior.mean),
        variance: covariance.diag().to_owned(),
        log_likelihood: -0.5 * (square + log_det + n as f64 * std::f64::consts::TAU.ln()),
    }
}

/// Reads the posterior of `y` from a board: one inverse for each block of eight, one for the
/// separators. `y` has `9 b − 1` values, b from 2 to 9.
pub(crate) fn regress(
    device: &mut dyn Device,
    y: &[f64],
    prior: &Prior,
    options: &InvertOptions,
) -> Result<Regression, OperationError> {
    let n = y.len();
    assert!((n + 1).is_multiple_of(BLOCK + 1) && n > BLOCK && n < (BLOCK + 1) * (BLOCK + 2));
    let (diagonal, off) = prior.precision(n);
    // Uncalibrated cells are not driven alike: the identity shows how. Ten times the samples of a read,
    // since this noise is common to all reads and in no error bar.
    let samples = options.budget.samples.unwrap_or(DEFAULT_SAMPLES);
    let budget = Budget { samples: Some(10 * samples), ..Budget::default() };
    let longer = InvertOptions { budget, ..options.clone() };
    let trim = Trim::read(device, BLOCK, &longer, &Quiet)?;
    let options = trim.apply(options);
    let mut read = |matrix: &Array2<f64>, number: u64| -> Result<Inversion, OperationError> {
        let options = InvertOptions { seed: options.seed + 1 + number, ..options.clone() };
        invert(device, &SpdMatrix::new(matrix, 0.0)?, &options, &Quiet)
    };
    let mut blocks = Vec::new();
    for start in (0..n).step_by(BLOCK + 1) {
        let block = Array2::from_shape_fn((BLOCK, BLOCK), |(i, j)| match i.abs_diff(j) {
            0 => diagonal[start + i],
            1 => off,
            _ => 0.0,
        });
        blocks.push(read(&block, start as u64)?);
    }
    let whole: Vec<Array2<f64>> = blocks.iter().map(|read| read.inverse.clone()).collect();
    let programmed = complement(&whole, &diagonal, off);
    let separators = read(&programmed, n as u64)?;
    let solver = Solver { y, prior, diagonal: &diagonal, off, programmed: &programmed };
    let all = solver.posterior(&whole, &separators.inverse);

    // Jackknife: the k-th batch of every read is left out at once; reads are independent.
    let batches = blocks.iter().chain([&separators]).map(|read| read.replicates.len());
    let batches = batches.min().unwrap_or(0);
    let rest = |read: &Inversion, k: usize| {
        let count = read.replicates.len() as f64;
        (&read.inverse * count - &read.replicates.values()[k]) / (count - 1.0)
    };
    let parts: Vec<Posterior> = (0..batches)
        .map(|k| {
            let inverses: Vec<Array2<f64>> = blocks.iter().map(|read| rest(read, k)).collect();
            solver.posterior(&inverses, &rest(&separators, k))
        })
        .collect();
    let count = batches as f64;
    let spread = |of: &dyn Fn(&Posterior) -> f64| {
        let mean = parts.iter().map(of).sum::<f64>() / count;
        let square: f64 = parts.iter().map(|part| (of(part) - mean).powi(2)).sum();
        (mean, (square * (count - 1.0) / count).sqrt())
    };
    let (mean_left_out, likelihood_error) = spread(&|part| part.log_likelihood);
    let errors = Posterior {
        mean: (0..n).map(|i| spread(&|part| part.mean[i]).1).collect(),
        variance: (0..n).map(|i| spread(&|part| part.variance[i]).1).collect(),
        log_likelihood: likelihood_error,
    };
    // The logarithms' bias of order 1/N goes off.
    let bias = (count - 1.0) * (mean_left_out - all.log_likelihood);
    let kept = blocks.iter().chain([&separators, &trim.read]).map(|read| read.kept).sum();
    Ok(Regression {
        posterior: Posterior { log_likelihood: all.log_likelihood - bias, ..all },
        errors,
        reads: blocks.len() + 2,
        kept,
    })
}

/// The Schur complement of the separators: `P_ss − Σ_b P_sb P_bb⁻¹ P_bs`. Noise may turn a small
/// negative entry positive, which no coupling without a sign holds: it becomes 0.
fn complement(blocks: &[Array2<f64>], diagonal: &[f64], off: f64) -> Array2<f64> {
    let count = blocks.len() - 1;
    Array2::from_shape_fn((count, count), |(i, j)| {
        let (low, high) = (i.min(j), i.max(j));
        match high - low {
            0 => {
                let ends = blocks[i][[BLOCK - 1, BLOCK - 1]] + blocks[i + 1][[0, 0]];
                diagonal[i * (BLOCK + 1) + BLOCK] - off * off * ends
            }
            1 => (-off * off * blocks[high][[0, BLOCK - 1]]).min(0.0),
            _ => 0.0,
        }
    })
}

struct Solver<'a> {
    y: &'a [f64],
    prior: &'a Prior,
    diagonal: &'a [f64],
    off: f64,
    /// The complement whose inverse was read.
    programmed: &'a Array2<f64>,
}

impl Solver<'_> {
    /// From inverses of the blocks and of the programmed complement.
    fn posterior(&self, blocks: &[Array2<f64>], separators: &Array2<f64>) -> Posterior {
        let n = self.y.len();
        let count = blocks.len() - 1;
        // Other blocks have another complement: S⁻¹ = (1 + X ΔS)⁻¹ X, X the inverse as read.
        let change = complement(blocks, self.diagonal, self.off) - self.programmed;
        let shifted = Array2::eye(count) + product(separators, &change);
        let inner = solve(&shifted, separators);
        let z: Vec<f64> = self.y.iter().map(|y| y - self.prior.mean).collect();
        let start = |block: usize| block * (BLOCK + 1);
        // G_b = P_bb⁻¹ P_bs: at most two columns, of the separators before and after.
        let gain = |block: usize, i: usize, separator: usize| {
            let end = if separator + 1 == block { 0 } else { BLOCK - 1 };
            self.off * blocks[block][[i, end]]
        };
        let beside = |block: usize| block.saturating_sub(1)..(block + 1).min(count);
        let mut right = Array2::zeros((count, 1));
        for separator in 0..count {
            let mut sum = z[start(separator) + BLOCK];
            for block in [separator, separator + 1] {
                for i in 0..BLOCK {
                    sum -= gain(block, i, separator) * z[start(block) + i];
                }
            }
            right[[separator, 0]] = sum;
        }
        let at = product(&inner, &right);
        let (mut mean, mut variance) = (Array1::zeros(n), Array1::zeros(n));
        for separator in 0..count {
            let own = start(separator) + BLOCK;
            mean[own] = at[[separator, 0]];
            variance[own] = inner[[separator, separator]];
        }
        for (block, inverse) in blocks.iter().enumerate() {
            for i in 0..BLOCK {
                let own = start(block) + i;
                mean[own] = (0..BLOCK).map(|j| inverse[[i, j]] * z[start(block) + j]).sum();
                variance[own] = inverse[[i, i]];
                for a in beside(block) {
                    mean[own] -= gain(block, i, a) * at[[a, 0]];
                    for b in beside(block) {
                        variance[own] += gain(block, i, a) * inner[[a, b]] * gain(block, i, b);
                    }
                }
            }
        }
        let square: f64 = z.iter().zip(&mean).map(|(z, mean)| z * (z - mean)).sum();
        let noise = self.prior.noise.powi(2);
        let log_det = |x: &Array2<f64>| symmetric_eigen(x).0.iter().map(|x| x.ln()).sum::<f64>();
        let of_p = -blocks.iter().map(log_det).sum::<f64>() - log_det(&inner);
        let determinant = self.prior.log_det(n) + of_p;
        Posterior {
            mean: mean + self.prior.mean,
            variance: variance * noise,
            log_likelihood: -0.5
                * (square / noise + determinant + n as f64 * std::f64::consts::TAU.ln()),
        }
    }
}

/// Year and flow of each row of a CSV text.
pub(crate) fn rows(text: &str) -> Vec<(u32, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (year, flow) = line.split_once(',').expect("year,flow");
            (year.parse().expect("a year"), flow.parse().expect("a flow"))
        })
        .collect()
}

/// The flow of the Nile at Aswan, 1871 to 1950, and the prior of the example.
pub(crate) fn nile() -> (Vec<(u32, f64)>, Prior) {
    let mut rows = rows(include_str!("../../../examples/nile.csv"));
    rows.truncate(80);
    let mean = rows.iter().map(|(_, flow)| flow).sum::<f64>() / rows.len() as f64;
    (rows, Prior { mean, deviation: 130.0, length: 12.0, noise: 120.0 })
}
