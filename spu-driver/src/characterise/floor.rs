//! Error against time: what more samples remove and what they leave.
//!
//! With batches of equal length T₀, each giving an inverse `X_k = A⁻¹ + b + e_k` of common error b and
//! independent ones `e_k`, the mean of m of them is off by `ε² = a / (m T₀) + ε_floor²` (relative squares).
//! Both parts follow without bias from inner products: `ε_floor²` is the mean of `⟨X_k − A⁻¹, X_l − A⁻¹⟩`
//! over k ≠ l, and a the rest. That is the least-squares fit to the errors of all subsets of batches.

use ndarray::Array2;
use serde::Serialize;

use super::Estimate;
use crate::invert::Inversion;
use crate::linalg::relative_error;

/// Relative Frobenius error of the inverse against a digital reference, over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorFloor {
    /// Batches of the run.
    pub batches: usize,
    /// Sampled time of a batch, in seconds.
    pub batch_s: f64,
    /// Cumulative results.
    pub points: Vec<ErrorPoint>,
    /// `a` of `ε² = a/T + ε_floor²`, in seconds: time in which the statistical error falls to 1.
    pub a_s: Estimate,
    /// `ε_floor²`; negative values are noise about zero.
    pub floor_squared: Estimate,
    /// `ε_floor`, 0 where its square is not positive.
    pub floor: f64,
    /// 95 % interval of `ε_floor`, from that of its square.
    pub floor_interval: (f64, f64),
    /// Statistical error of the whole run.
    pub statistical: f64,
    /// Effective independent samples by the scatter of the batches.
    pub effective: f64,
    /// Part of the error that quantising the banks explains, by the plan: digital.
    pub quantisation: f64,
}

/// The inverse after part of the time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorPoint {
    /// Sampled time, in seconds, without settling.
    pub seconds: f64,
    /// Kept samples.
    pub samples: u64,
    /// Relative error of the inverse from the samples until then.
    pub error: f64,
    /// The fitted law at that time.
    pub fit: f64,
}

/// From an inversion and the digital inverse of its matrix.
pub(crate) fn error_floor(inversion: &Inversion, reference: &Array2<f64>) -> ErrorFloor {
    let values = inversion.replicates.values();
    let tick_s = inversion.board.sample_period_s();
    let seconds = |kept: f64| kept * f64::from(inversion.plan.decimation) * tick_s;
    let k = values.len();
    let batch_s = seconds(inversion.kept as f64 / k as f64);
    let size: f64 = reference.iter().map(|x| x * x).sum();
    let off: Vec<Array2<f64>> = values.iter().map(|value| value - reference).collect();
    let mut inner = Array2::<f64>::zeros((k, k));
    for i in 0..k {
        for j in 0..=i {
            let value = (&off[i] * &off[j]).sum() / size;
            inner[[i, j]] = value;
            inner[[j, i]] = value;
        }
    }
    let rows: Vec<f64> = inner.rows().into_iter().map(|row| row.sum()).collect();
    let (all, own): (f64, f64) = (rows.iter().sum(), inner.diag().sum());
    // Means over pairs and over batches of all but the excluded one.
    let split = |all: f64, own: f64, k: f64| {
        let floor = (all - own) / (k * (k - 1.0));
        (floor, (own / k - floor) * batch_s)
    };
    let count = k as f64;
    let whole = split(all, own, count);
    let without = |i: usize| {
        split(2.0_f64.mul_add(-rows[i], all) + inner[[i, i]], own - inner[[i, i]], count - 1.0)
    };
    let parts: Vec<(f64, f64)> = (0..k).map(without).collect();
    let jackknife = |whole: f64, of: fn(&(f64, f64)) -> f64| {
        let pseudo: Vec<f64> =
            parts.iter().map(|part| count * whole - (count - 1.0) * of(part)).collect();
        Estimate { value: whole, error: Estimate::of(&pseudo).error }
    };
    let floor_squared = jackknife(whole.0, |part| part.0);
    let a_s = jackknife(whole.1, |part| part.1);
    let fit = |seconds: f64| (a_s.value / seconds + floor_squared.value).max(0.0).sqrt();
    let root = |square: f64| square.max(0.0).sqrt();
    let t = crate::stats::student_quantile(k - 1, 0.95);
    let points = inversion.convergence.iter().map(|part| {
        let seconds = seconds(part.kept as f64);
        ErrorPoint {
            seconds,
            samples: part.kept,
            error: relative_error(&part.inverse, reference),
            fit: fit(seconds),
        }
    });
    ErrorFloor {
        batches: k,
        batch_s,
        points: points.collect(),
        floor: root(floor_squared.value),
        floor_interval: (
            root(floor_squared.value - t * floor_squared.error),
            root(floor_squared.value + t * floor_squared.error),
        ),
        a_s,
        floor_squared,
        statistical: inversion.statistical_error,
        effective: inversion.effective_measured,
        quantisation: inversion.plan.quantisation_error,
    }
}
