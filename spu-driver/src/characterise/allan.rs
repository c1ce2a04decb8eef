//! Allan deviation of the covariance: how batches of growing length differ from their neighbours.
//!
//! With `c̄(T)` the covariance over a batch of T ticks, `σ_A²(T) = ½ E‖c̄₂ − c̄₁‖² / ‖Σ‖²` for neighbours
//! (Allan 1966; overlapping estimate: Howe, Allan and Barnes 1981). For a stationary Gaussian process
//! with lagged covariance K the variance of a batch is, by Isserlis' theorem,
//! `V(T) = Σ_|τ|<T (1 − |τ|/T) g(τ) / T`, `g(τ) = (tr K)² + tr K²`, and `σ_A² = 2 (V(T) − V(2T)) / ‖Σ‖²`:
//! a slope of −1/2 beyond the correlation time. Drift bends it upwards.

use ndarray::Array2;
use serde::Serialize;

use super::record::Record;
use super::theory::Theory;
use super::{ALARM, Estimate};

/// Most of the shortest batches.
const MOST_BLOCKS: usize = 1 << 16;
/// Fewest batches, without overlap, behind a point.
const FEWEST: usize = 8;

/// Independent samples in a batch from which on its variance falls as 1/T, to some per cent.
const FAR: f64 = 32.0;

/// Allan deviation of the covariance, relative by the Frobenius norm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Allan {
    /// By length of a batch.
    pub points: Vec<AllanPoint>,
    /// Slope of the logarithms over batches of 32 independent samples and more; −1/2 for stationary noise. Neighbouring
    /// points count as independent for its error. `None` for a record that is too short for it.
    pub slope: Option<Estimate>,
    /// Ticks that one independent sample takes, from the same batches.
    pub ticks_per_sample: f64,
    /// The same by the law of the board: digital.
    pub expected_ticks_per_sample: f64,
    /// Excess of the longest batches over the 1/√T line through the others, in standard errors.
    pub drift_z: f64,
    /// True if it is more than chance allows at a false-alarm rate below 1e-6.
    pub drifts: bool,
}

/// One batch length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllanPoint {
    /// Ticks of a batch.
    pub ticks: usize,
    /// Seconds of it.
    pub seconds: f64,
    /// Relative Allan deviation.
    pub deviation: f64,
    /// Standard error of it, relative to it, for stationary noise.
    pub relative_error: f64,
    /// By the law of the board: digital.
    pub expected: f64,
}

/// From the record, less silent cells.
pub(crate) fn allan(record: &Record, theory: &Theory, silent: &[usize]) -> Allan {
    let cells: Vec<usize> = (0..record.n()).filter(|cell| !silent.contains(cell)).collect();
    let n = cells.len();
    let block = (record.len() / MOST_BLOCKS).next_power_of_two().max(8);
    let blocks = record.len() / block;
    // Running sums of the products of each pair, block by block.
    let pairs = n * (n + 1) / 2;
    let mut sums = vec![vec![0.0; blocks + 1]; pairs];
    let mut frame = vec![0.0; record.n()];
    let mut inner = vec![0.0; pairs];
    for index in 0..blocks {
        inner.fill(0.0);
        for tick in index * block..(index + 1) * block {
            record.frame(tick, &mut frame);
            let mut pair = 0;
            for (place, i) in cells.iter().enumerate() {
                for j in &cells[place..] {
                    inner[pair] += frame[*i] * frame[*j];
                    pair += 1;
                }
            }
        }
        for (sum, inner) in sums.iter_mut().zip(&inner) {
            sum[index + 1] = sum[index] + inner;
        }
    }
    let weight = |pair: usize| {
        // Off-diagonal entries stand twice in the matrix.
        let (mut left, mut row) = (pair, n);
        while left >= row {
            left -= row;
            row -= 1;
        }
        if left == 0 { 1.0 } else { 2.0 }
    };
    let weights: Vec<f64> = (0..pairs).map(weight).collect();
    let whole = (block * blocks) as f64;
    let square: f64 = sums.iter().zip(&weights).map(|(s, w)| w * (s[blocks] / whole).powi(2)).sum();
    let law = Law::new(theory, &cells);
    let mut points = Vec::new();
    let mut size = 1;
    while blocks >= FEWEST * size {
        let ticks = size * block;
        let count = blocks + 1 - 2 * size;
        let mut sum = 0.0;
        for (running, weight) in sums.iter().zip(&weights) {
            let differences = (0..count).map(|start| {
                let (a, b, c) = (running[start], running[start + size], running[start + 2 * size]);
                c - 2.0 * b + a
            });
            sum += weight * differences.map(|d| d * d).sum::<f64>();
        }
        let variance = sum / count as f64 / 2.0 / (ticks as f64).powi(2) / square;
        points.push(AllanPoint {
            ticks,
            seconds: ticks as f64 * theory.period_s,
            deviation: variance.sqrt(),
            relative_error: 1.0 / (2.0 * freedom(blocks, size)).sqrt(),
            expected: law.deviation(ticks),
        });
        size *= 2;
    }
    finish(points, &law)
}

/// Degrees of freedom of the overlapping estimate for white noise (Riley, NIST SP 1065, 2008), for one
/// entry alone: those of a whole matrix are more.
fn freedom(blocks: usize, size: usize) -> f64 {
    let (n, m) = (blocks as f64, size as f64);
    let edf = (3.0 * (n - 1.0) / (2.0 * m) - 2.0 * (n - 2.0) / n) * 4.0 * m * m
        / 4.0_f64.mul_add(m * m, 5.0);
    edf.max(1.0)
}

fn finish(points: Vec<AllanPoint>, law: &Law) -> Allan {
    let beyond = FAR * law.ticks_per_sample;
    let far: Vec<&AllanPoint> = points.iter().filter(|p| p.ticks as f64 > beyond).collect();
    // a of σ² = a/T, over all but the last two points: weighted by 1/relative variance.
    let inner = &far[..far.len().saturating_sub(2).max(far.len().min(1))];
    let (mut sum, mut weights) = (0.0, 0.0);
    for point in inner {
        let weight = point.relative_error.powi(-2);
        sum += weight * point.deviation.powi(2) * point.ticks as f64;
        weights += weight;
    }
    let line = sum / weights;
    let drift_z = far.last().filter(|_| weights > 0.0).map_or(0.0, |last| {
        let ratio = last.deviation.powi(2) * last.ticks as f64 / line;
        // Variances are positive: their cube roots are nearly normal (Wilson and Hilferty 1931).
        let spread = (2.0 / 9.0) * (2.0 * last.relative_error).powi(2) / 2.0;
        (ratio.cbrt() - (1.0 - spread)) / spread.sqrt()
    });
    let ratio = law.white;
    Allan {
        slope: slope(&far),
        ticks_per_sample: if weights > 0.0 { line / ratio } else { f64::NAN },
        expected_ticks_per_sample: law.ticks_per_sample,
        drift_z,
        drifts: drift_z > ALARM,
        points,
    }
}

/// Weighted least squares line through the logarithms.
fn slope(points: &[&AllanPoint]) -> Option<Estimate> {
    if points.len() < 3 {
        return None;
    }
    let values = points.iter().map(|point| {
        let weight = point.relative_error.powi(-2);
        (libm::log(point.ticks as f64), libm::log(point.deviation), weight)
    });
    let values: Vec<(f64, f64, f64)> = values.collect();
    let total: f64 = values.iter().map(|(_, _, w)| w).sum();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| {
        values.iter().map(|value| value.2 * of(value)).sum::<f64>() / total
    };
    let (x, y) = (mean(|v| v.0), mean(|v| v.1));
    let xx: f64 = values.iter().map(|v| v.2 * (v.0 - x).powi(2)).sum();
    let xy: f64 = values.iter().map(|v| v.2 * (v.0 - x) * (v.1 - y)).sum();
    Some(Estimate { value: xy / xx, error: xx.powf(-0.5) })
}

/// What the law of the board expects.
struct Law {
    /// `g(τ) / ‖Σ‖²`.
    correlations: Vec<f64>,
    /// `Σ_τ g(τ) / g(0)`.
    ticks_per_sample: f64,
    /// `g(0) / ‖Σ‖²`: relative variance of one independent sample.
    white: f64,
}

impl Law {
    fn new(theory: &Theory, cells: &[usize]) -> Self {
        let lags = theory.all_lags();
        let square = |lag: &Array2<f64>| -> f64 {
            let mut sum = 0.0;
            for i in cells {
                for j in cells {
                    sum += lag[[*i, *j]] * lag[[*j, *i]];
                }
            }
            sum
        };
        let trace = |lag: &Array2<f64>| -> f64 { cells.iter().map(|i| lag[[*i, *i]]).sum() };
        let size = square(&lags[0]);
        let g = |lag| (trace(lag).powi(2) + square(lag)) / size;
        let correlations: Vec<f64> = lags.iter().map(g).collect();
        let white = correlations[0];
        let all = 2.0 * correlations.iter().sum::<f64>() - white;
        Self { ticks_per_sample: all / white, white, correlations }
    }

    /// Relative variance of a batch.
    fn variance(&self, ticks: usize) -> f64 {
        let length = ticks as f64;
        let sides: f64 = self.correlations[1..]
            .iter()
            .zip(1..ticks)
            .map(|(g, lag)| (1.0 - lag as f64 / length) * g)
            .sum();
        (self.white + 2.0 * sides) / length
    }

    fn deviation(&self, ticks: usize) -> f64 {
        (2.0 * (self.variance(ticks) - self.variance(2 * ticks))).max(0.0).sqrt()
    }
}
