//! The null: the same statistics on a record whose channels are shifted against each other.

use serde::Serialize;

use super::fourth::fourth;
use super::record::Record;
use super::spectrum::{cross_match, welch};
use super::{BATCHES, Estimate, Extreme};

/// What is left between channels that share no time: nothing but noise, or the statistics are wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Null {
    /// Correlation coefficients of every pair, in standard errors: the largest.
    pub worst_correlation: Extreme,
    /// Mean of z² over the pairs; near 1.
    pub mean_square_z: f64,
    /// `|S_ij|² K / (S_ii S_jj)`, mean over bins and pairs; 1 for independent channels.
    pub cross_power: f64,
    /// Its largest deviation from 1 over the pairs, in standard errors.
    pub worst_cross_power: Extreme,
    /// Isserlis' theorem on the shifted record: the largest deviation.
    pub worst_fourth: Extreme,
    /// The largest correlation coefficient of the record as it is, in standard errors, for comparison.
    pub unshifted: Extreme,
}

/// Correlation coefficient of every pair in standard errors.
fn correlations(record: &Record, cells: &[usize]) -> Vec<(Vec<usize>, f64)> {
    let variances = record.code_variances();
    let pairs: Vec<(usize, usize)> = cells
        .iter()
        .enumerate()
        .flat_map(|(place, i)| cells[place + 1..].iter().map(move |j| (*i, *j)))
        .collect();
    let mut values = vec![Vec::with_capacity(BATCHES); pairs.len()];
    for range in record.parts(BATCHES) {
        for (value, (i, j)) in values.iter_mut().zip(&pairs) {
            let (a, b) = (&record.codes[*i][range.clone()], &record.codes[*j][range.clone()]);
            let sum: f64 = a
                .iter()
                .zip(b)
                .map(|(x, y)| {
                    (f64::from(*x) - record.means[*i]) * (f64::from(*y) - record.means[*j])
                })
                .sum();
            value.push(sum / range.len() as f64 / (variances[*i] * variances[*j]).sqrt());
        }
    }
    let z = |value: &Vec<f64>| {
        let estimate = Estimate::of(value);
        estimate.value / estimate.error
    };
    pairs.iter().zip(&values).map(|(pair, value)| (vec![pair.0, pair.1], z(value))).collect()
}

/// Shifts the channels and looks at what should be gone.
pub(crate) fn null(record: &Record, period_s: f64, segment: usize, silent: &[usize]) -> Null {
    let cells: Vec<usize> = (0..record.n()).filter(|cell| !silent.contains(cell)).collect();
    let shifted = record.shifted();
    let densities = welch(&shifted, period_s, segment);
    let tests = correlations(&shifted, &cells);
    let cross: Vec<(Vec<usize>, f64, f64)> = tests
        .iter()
        .map(|(pair, _)| {
            let (mean, z) = cross_match(&densities, None, pair[0], pair[1]);
            (pair.clone(), mean, z)
        })
        .collect();
    let count = tests.len().max(1) as f64;
    Null {
        mean_square_z: tests.iter().map(|(_, z)| z * z).sum::<f64>() / count,
        worst_correlation: Extreme::of(tests.into_iter(), BATCHES),
        cross_power: cross.iter().map(|(_, mean, _)| mean).sum::<f64>() / count,
        worst_cross_power: Extreme::normal(cross.into_iter().map(|(pair, _, z)| (pair, z))),
        worst_fourth: fourth(&shifted, silent).worst,
        unshifted: Extreme::of(correlations(record, &cells).into_iter(), BATCHES),
    }
}
