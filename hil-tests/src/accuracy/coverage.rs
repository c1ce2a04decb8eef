//! How often the 95 % intervals hold the truth.

use anyhow::Result;
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use spu_driver::invert::{Inversion, InvertOptions, Quiet, invert};

use super::boards::{calibrated, effective};
use super::matrices;
use super::work::Workers;

/// Effective samples of each inverse.
const EFFECTIVE: u64 = 12_000;
/// Entries on and above the diagonal.
const ENTRIES: u64 = 36;
/// Draws of the bootstrap.
const DRAWS: usize = 20_000;

/// Coverage of the 95 % intervals of calibrated boards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Profile of the boards.
    pub profile: String,
    /// Boards.
    pub boards: usize,
    /// Matrices on each.
    pub matrices: u64,
    /// Generator of the matrices.
    pub generator: String,
    /// Effective independent samples of each inverse.
    pub effective: u64,
    /// Seed of the first board.
    pub seed: u64,
    /// Part of the entries whose interval holds the truth.
    pub coverage: f64,
    /// Its 99.9 % interval, by a bootstrap over boards.
    pub interval: (f64, f64),
    /// Mean width over that of an ideal board with the same samples.
    pub width_ratio: f64,
    /// Coverage of each board.
    pub by_board: Vec<f64>,
}

/// Counts entries inside their intervals, board by board.
///
/// # Errors
/// What keeps a board from running.
pub fn coverage(
    profile: &str,
    boards: usize,
    matrices: u64,
    seed: u64,
    workers: &Workers,
) -> Result<Coverage> {
    let counted = workers.each(&format!("coverage of {profile}"), boards, |index| {
        let seed = seed + index as u64;
        let mut board = calibrated(profile, seed)?;
        let (mut inside, mut ratio) = (0, 0.0);
        for k in 0..matrices {
            let seed = seed * 1_000 + k;
            let a = matrices::well_conditioned(seed)?;
            let budget = effective(EFFECTIVE);
            let options = InvertOptions { seed, budget, ..board.options.clone() };
            let result = invert(board.devices[0].as_mut(), &a, &options, &Quiet)?;
            let (count, widths) = count_inside(&result, &a.digital_inverse());
            inside += count;
            ratio += widths;
        }
        let entries = (ENTRIES * matrices) as f64;
        Ok((f64::from(inside) / entries, ratio / entries))
    })?;
    let (by_board, ratios): (Vec<f64>, Vec<f64>) = counted.into_iter().unzip();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(Coverage {
        profile: profile.into(),
        boards,
        matrices,
        generator: "grounded".into(),
        effective: EFFECTIVE,
        seed,
        coverage: mean(&by_board),
        interval: bootstrap(&by_board, seed),
        width_ratio: mean(&ratios),
        by_board,
    })
}

/// The 99.9 % interval of the mean, by drawing values again.
fn bootstrap(values: &[f64], seed: u64) -> (f64, f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let count = values.len();
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let draws = (0..count).map(|_| values[(rng.next_u64() % count as u64) as usize]);
            draws.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let outside = DRAWS / 2000;
    (means[outside], means[DRAWS - 1 - outside])
}

/// Entries inside their intervals, and the sum of the intervals' widths over ideal ones.
fn count_inside(result: &Inversion, truth: &Array2<f64>) -> (u32, f64) {
    let intervals = result.intervals();
    let (mut inside, mut ratios) = (0, 0.0);
    for i in 0..8 {
        for j in i..8 {
            let off = (result.inverse[[i, j]] - truth[[i, j]]).abs();
            inside += u32::from(off <= intervals[[i, j]]);
            // Isserlis: the variance of an entry of a covariance of N independent samples.
            let variance = truth[[i, i]] * truth[[j, j]] + truth[[i, j]].powi(2);
            let ideal = 1.959_964 * (variance / result.effective_planned).sqrt();
            ratios += intervals[[i, j]] / ideal;
        }
    }
    (inside, ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_is_that_of_a_mean() {
        let values: Vec<f64> = (0..400).map(|k| 0.95 + 0.01 * f64::from(k % 5 - 2)).collect();
        let (low, high) = bootstrap(&values, 3);
        // 3.29 standard errors of 0.01 √2 / √400 each way; the ends are known to a few percent.
        let half = 3.29 * 0.01 * 2.0_f64.sqrt() / 20.0;
        assert!((low - (0.95 - half)).abs() < 0.15 * half, "{low}");
        assert!((high - (0.95 + half)).abs() < 0.15 * half, "{high}");
    }

    /// The small version: 4 boards with 2 matrices each. Counts of a board scatter by about 0.035, so that
    /// their mean is above 0.95 − 6 · 0.035 / √4 but for one run in 10⁸ or more.
    #[test]
    fn intervals_of_few_boards_hold_the_truth_about_as_often_as_stated() {
        let c = coverage("rev-b", 4, 2, 77_001, &Workers::all()).unwrap();
        assert!((0.845..=1.0).contains(&c.coverage), "{}", c.coverage);
        assert!((0.9..1.6).contains(&c.width_ratio), "{}", c.width_ratio);
    }
}
