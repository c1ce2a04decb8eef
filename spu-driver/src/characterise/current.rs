//! Voltage and current at one time: cov(i, v), though no converter samples the inductors.
//!
//! Equilibrium has `E[i vᵀ] = 0`, and then the lagged covariance `K(τ) = E[v(t+τ) v(t)ᵀ]` is symmetric at
//! every τ: time has no direction. What the record shows of it is
//! - the antisymmetric part of K(τ): zero at τ = 0 by definition, with slope `−C⁻¹ E[i vᵀ]` there (cells
//!   of equal R), and
//! - `E[i vᵀ] = Φ_vi⁻¹ (K(h) − Φ_vv K(0))`, exact for the sampled board: one step of the law takes
//!   (v, i) to v one tick later, and what the voltage does not explain of it is the current's.
//!
//! The second is a small difference of large numbers and as good as the Φ that goes into it.

use ndarray::{Array2, s};
use serde::Serialize;

use super::record::Record;
use super::theory::Theory;
use super::{BATCHES, Estimate, Extreme};
use crate::linalg::{frobenius, product, solve};

/// Symmetry of the lagged covariance and the equal-time covariance of currents and voltages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurrentVoltage {
    /// By lag.
    pub lags: Vec<LagPoint>,
    /// The largest antisymmetric entry over all lags and pairs, in standard errors. The cells are the
    /// pair's.
    pub worst_antisymmetric: Extreme,
    /// `E[i_i v_j]` over the root mean squares by the law of the board, row i, column j; the current as
    /// the law and the lagged covariance give it.
    pub correlation: Vec<Vec<Estimate>>,
    /// The same by the law of the board alone: digital.
    pub expected: Vec<Vec<f64>>,
    /// The largest of them against what the law expects, in standard errors.
    pub worst_correlation: Extreme,
}

/// One lag.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LagPoint {
    /// Lag, in ticks.
    pub ticks: usize,
    /// `‖K − Kᵀ‖ / 2 ‖K(0)‖` (Frobenius).
    pub antisymmetric: f64,
    /// What noise alone leaves of it.
    pub noise: f64,
    /// What the law of the board expects without noise: digital.
    pub expected: f64,
    /// Mean of z² over the pairs; near 1 where time has no direction.
    pub mean_square_z: f64,
}

/// Covariance at a lag, batch by batch.
fn lagged(record: &Record, lag: usize) -> Vec<Array2<f64>> {
    let n = record.n();
    let (mut now, mut later) = (vec![0.0; n], vec![0.0; n]);
    let mut batches = Vec::new();
    for range in record.parts(BATCHES) {
        let mut sum = Array2::<f64>::zeros((n, n));
        let mut count = 0;
        for tick in range.start..range.end - lag {
            if !record.together(tick, tick + lag) {
                continue;
            }
            count += 1;
            record.frame(tick, &mut now);
            record.frame(tick + lag, &mut later);
            for (mut row, a) in sum.rows_mut().into_iter().zip(&later) {
                for (entry, b) in row.iter_mut().zip(&now) {
                    *entry += a * b;
                }
            }
        }
        batches.push(sum / f64::from(count));
    }
    batches
}

/// From the record; `half_period` is half a period of the slowest mode, in ticks. Entries of `silent`
/// cells are left out of the tests.
pub(crate) fn current_voltage(
    record: &Record,
    theory: &Theory,
    half_period: usize,
    silent: &[usize],
) -> CurrentVoltage {
    let n = record.n();
    let longest = half_period.clamp(1, (record.len() / BATCHES).min(record.burst) / 4);
    let lags: Vec<usize> = (0..usize::BITS).map(|k| 1 << k).take_while(|l| *l <= longest).collect();
    let zero = lagged(record, 0);
    let first = lagged(record, 1);
    let size = frobenius(&mean(&zero));
    let law = theory.lagged(longest + 1);
    let heard = |i: usize, j: usize| !silent.contains(&i) && !silent.contains(&j);
    let mut tests = Vec::new();
    let mut points = Vec::new();
    for lag in lags {
        let batches = if lag == 1 { first.clone() } else { lagged(record, lag) };
        let (mut square, mut noise, mut z_square, mut count) = (0.0, 0.0, 0.0, 0.0);
        for i in 0..n {
            for j in i + 1..n {
                let half: Vec<f64> =
                    batches.iter().map(|k| 0.5 * (k[[i, j]] - k[[j, i]])).collect();
                let part = Estimate::of(&half);
                square += 2.0 * part.value.powi(2);
                noise += 2.0 * part.error.powi(2);
                if heard(i, j) {
                    let z = part.value / part.error;
                    z_square += z * z;
                    count += 1.0;
                    tests.push((vec![i, j], z));
                }
            }
        }
        let expected = &law[lag] - &law[lag].t();
        points.push(LagPoint {
            ticks: lag,
            antisymmetric: square.sqrt() / size,
            noise: noise.sqrt() / size,
            expected: 0.5 * frobenius(&expected) / frobenius(&law[0]),
            mean_square_z: if count > 0.0 { z_square / count } else { 0.0 },
        });
    }
    let (correlation, expected) = equal_time(&zero, &first, theory);
    let mut against = Vec::new();
    for i in 0..n {
        for j in 0..n {
            if silent.is_empty() {
                let Estimate { value, error } = correlation[i][j];
                against.push((vec![i, j], (value - expected[i][j]) / error));
            }
        }
    }
    CurrentVoltage {
        lags: points,
        worst_antisymmetric: Extreme::of(tests.into_iter(), BATCHES),
        correlation,
        expected,
        worst_correlation: Extreme::of(against.into_iter(), BATCHES),
    }
}

fn mean(batches: &[Array2<f64>]) -> Array2<f64> {
    let mut sum = Array2::zeros(batches[0].dim());
    for batch in batches {
        sum += batch;
    }
    sum / batches.len() as f64
}

/// `Φ_vi⁻¹ (K(h) − Φ_vv K(0))` and the law's own, over root mean squares.
fn equal_time(
    zero: &[Array2<f64>],
    first: &[Array2<f64>],
    theory: &Theory,
) -> (Vec<Vec<Estimate>>, Vec<Vec<f64>>) {
    let n = theory.n;
    let phi = &theory.law.phi;
    let (own, from_current) =
        (phi.slice(s![..n, ..n]).to_owned(), phi.slice(s![..n, n..]).to_owned());
    let scale =
        |i: usize, j: usize| (theory.covariance[[n + i, n + i]] * theory.covariance[[j, j]]).sqrt();
    let values: Vec<Array2<f64>> = zero
        .iter()
        .zip(first)
        .map(|(zero, first)| {
            let mut zero = zero.clone();
            for (i, rounding) in theory.rounding.iter().enumerate() {
                zero[[i, i]] -= rounding;
            }
            solve(&from_current, &(first - &product(&own, &zero)))
        })
        .collect();
    let entry = |i: usize, j: usize| {
        let all: Vec<f64> = values.iter().map(|value| value[[i, j]] / scale(i, j)).collect();
        Estimate::of(&all)
    };
    let correlation = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
    let law = |i: usize, j: usize| theory.covariance[[n + i, j]] / scale(i, j);
    (correlation, (0..n).map(|i| (0..n).map(|j| law(i, j)).collect()).collect())
}
