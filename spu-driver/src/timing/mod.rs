//! Settling, decimation and effective samples, from the spectrum of a programmed board.

mod extrapolate;
mod ledger;
mod settle;

pub(crate) use extrapolate::TimeLaw;
pub use ledger::TimeLedger;
pub(crate) use settle::PROBE_RESIDUE;
pub use settle::Settle;

use ndarray::Array2;

use crate::linalg::flops::count;
use crate::model::Mode;
use crate::plan::{Budget, DEFAULT_SAMPLES};

/// Part of the information of undecimated sampling that decimation may give away.
const DECIMATION_LOSS: f64 = 0.05;

/// Sum of the products of two autocorrelations over all lags, from their values at lags 0, 1, 2 …: lag 0
/// counts once, every other lag on both sides.
pub(crate) fn over_all_lags(first: &[f64], second: &[f64]) -> f64 {
    let later: f64 = first.iter().zip(second).skip(1).map(|(a, b)| a * b).sum();
    2.0_f64.mul_add(later, 1.0)
}

/// How a board is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timing {
    /// One tick in this many is kept.
    pub(crate) decimation: u32,
    /// Kept samples.
    pub(crate) samples: u64,
    /// Effective independent samples among them.
    pub(crate) effective: f64,
    /// Relative Frobenius error that they leave in the inverse.
    pub(crate) predicted_error: f64,
}

/// Chooses decimation and number of samples.
///
/// `modes` and `vectors` are eigenvalues and eigenvectors of C; `d` the scaling.
pub(crate) fn choose(modes: &[Mode], vectors: &Array2<f64>, d: &[f64], budget: &Budget) -> Timing {
    let law = ErrorLaw::new(modes, vectors, d);
    let decimation = budget.decimation.unwrap_or_else(|| law.best_decimation(modes));
    let efficiency = law.efficiency(modes, decimation);
    let samples = match (budget.samples, budget.effective) {
        (Some(samples), _) => samples,
        (None, Some(effective)) => (effective as f64 / efficiency).ceil() as u64,
        (None, None) => DEFAULT_SAMPLES,
    };
    let effective = samples as f64 * efficiency;
    Timing { decimation, samples, effective, predicted_error: law.error(effective) }
}

/// Error of the inverse as a function of samples, by Isserlis' theorem.
///
/// In the modes' coordinates the estimated covariance of modes k and l has variance
/// `σ_k² σ_l² T_kl (1 + δ_kl) / N`, `T_kl = Σ_m ρ_k(mD) ρ_l(mD)` over all lags. The inverse is
/// `P diag(σ²) Pᵀ` with `P = D U`, so with `G = PᵀP`
/// `E‖δ‖² = Σ_kl σ_k² σ_l² T_kl (G_kk G_ll + G_kl²) / N`. Independent samples have T = 1, and then
/// this is `((tr S)² + tr S²) / N` for S the inverse; the ratio of both is N over `N_eff`.
struct ErrorLaw {
    /// `σ_k² σ_l² (G_kk G_ll + G_kl²)`, row-major.
    weights: Vec<f64>,
    /// `σ_k² σ_l² G_kl²`, row-major: what an error of both modes' variances does.
    shared: Vec<f64>,
    /// `‖S‖²`.
    size: f64,
}

impl ErrorLaw {
    fn new(modes: &[Mode], vectors: &Array2<f64>, d: &[f64]) -> Self {
        let n = modes.len();
        let gram = |k: usize, l: usize| -> f64 {
            (0..n).map(|i| d[i] * d[i] * vectors[[i, k]] * vectors[[i, l]]).sum()
        };
        let mut weights = Vec::with_capacity(n * n);
        let mut shared = Vec::with_capacity(n * n);
        for k in 0..n {
            for l in 0..n {
                let both = modes[k].variance(1.0) * modes[l].variance(1.0);
                weights.push(both * (gram(k, k) * gram(l, l) + gram(k, l).powi(2)));
                shared.push(both * gram(k, l).powi(2));
            }
        }
        Self { weights, size: shared.iter().sum(), shared }
    }

    /// `N_eff / N` at this decimation.
    fn efficiency(&self, modes: &[Mode], decimation: u32) -> f64 {
        let rho: Vec<Vec<f64>> = modes.iter().map(|mode| mode.correlations(decimation)).collect();
        let n = modes.len();
        let (mut correlated, mut independent) = (0.0, 0.0);
        for k in 0..n {
            for l in 0..n {
                count(2 * rho[k].len().min(rho[l].len()));
                correlated += self.weights[k * n + l] * over_all_lags(&rho[k], &rho[l]);
                independent += self.weights[k * n + l];
            }
        }
        independent / correlated
    }

    /// The largest decimation that keeps nearly all the information per tick.
    fn best_decimation(&self, modes: &[Mode]) -> u32 {
        let per_tick = |d: u32| self.efficiency(modes, d) / f64::from(d);
        let wanted = per_tick(1) * (1.0 - DECIMATION_LOSS);
        let (mut good, mut bad) = (1, 2);
        while per_tick(bad) >= wanted && bad < 1 << 20 {
            (good, bad) = (bad, bad * 2);
        }
        while bad - good > 1 {
            let middle = good.midpoint(bad);
            if per_tick(middle) >= wanted {
                good = middle;
            } else {
                bad = middle;
            }
        }
        good
    }

    /// Relative Frobenius error of the inverse where mode k's variance is off by `parts[k]` of it.
    fn bias(&self, parts: &[f64]) -> f64 {
        let n = parts.len();
        let pairs = self.shared.iter().enumerate();
        let square: f64 = pairs.map(|(at, shared)| shared * parts[at / n] * parts[at % n]).sum();
        (square.max(0.0) / self.size).sqrt()
    }

    /// Relative Frobenius error left by so many independent samples.
    fn error(&self, effective: f64) -> f64 {
        (self.weights.iter().sum::<f64>() / effective / self.size).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CellModel;

    const CELL: CellModel = CellModel { r_ohm: 1200.0, l_henry: 820e-6, period_s: 1.0 / 12e6 };

    fn modes() -> Vec<Mode> {
        [1e-9, 2e-9, 4e-9, 8e-9].iter().map(|c| CELL.mode(*c)).collect()
    }

    #[test]
    fn far_apart_samples_are_independent() {
        let (modes, eye) = (modes(), Array2::eye(4));
        let law = ErrorLaw::new(&modes, &eye, &[1.0; 4]);
        let efficiency = law.efficiency(&modes, 100_000);
        assert!((efficiency - 1.0).abs() < 1e-9, "{efficiency}");
        assert!(law.efficiency(&modes, 1) < 0.1);
    }

    #[test]
    fn the_error_law_is_the_published_one_for_independent_samples() {
        let (modes, eye) = (modes(), Array2::eye(4));
        let law = ErrorLaw::new(&modes, &eye, &[1.0; 4]);
        let variances: Vec<f64> = modes.iter().map(|m| m.variance(1.0)).collect();
        let trace: f64 = variances.iter().sum();
        let square: f64 = variances.iter().map(|v| v * v).sum();
        let expected = ((trace * trace / square + 1.0) / 12_000.0).sqrt();
        assert!((law.error(12_000.0) / expected - 1.0).abs() < 1e-12);
    }

    /// No other decimation keeps much more, and twice the chosen one gives away far more.
    #[test]
    fn the_decimation_keeps_nearly_all_of_the_information() {
        let (modes, eye) = (modes(), Array2::eye(4));
        let law = ErrorLaw::new(&modes, &eye, &[1.0; 4]);
        let chosen = law.best_decimation(&modes);
        let per_tick = |d: u32| law.efficiency(&modes, d) / f64::from(d);
        let best = (1..=2 * chosen).map(per_tick).fold(0.0, f64::max);
        assert!(chosen > 4, "{chosen}");
        assert!(per_tick(chosen) >= 0.95 * best);
        assert!(per_tick(2 * chosen) < 0.9 * best);
    }

    #[test]
    fn the_budget_is_respected() {
        let (modes, eye) = (modes(), Array2::eye(4));
        let ask = Budget { samples: Some(500), effective: Some(9), decimation: Some(7) };
        let timing = choose(&modes, &eye, &[1.0; 4], &ask);
        assert_eq!((timing.samples, timing.decimation), (500, 7));
        let ask = Budget { samples: None, effective: Some(12_000), decimation: None };
        let timing = choose(&modes, &eye, &[1.0; 4], &ask);
        assert!(timing.effective >= 12_000.0 && timing.effective < 12_010.0, "{timing:?}");
    }
}
