//! Settling, decimation and effective samples, from the spectrum of a programmed board.

use ndarray::Array2;

use crate::linalg::flops::count;
use crate::model::Mode;
use crate::plan::{Budget, DEFAULT_SAMPLES, InversionPlan, SETTLE_RESIDUE};

/// Part of the information of undecimated sampling that decimation may give away.
const DECIMATION_LOSS: f64 = 0.1;

/// Bias that an unsettled start may leave in the covariance of a run, as a part of its statistical error.
pub(crate) const SETTLE_BIAS: f64 = 0.01;
/// Deviation of the covariance that is left when the run that sets the noise gain starts.
pub(crate) const PROBE_RESIDUE: f64 = 0.05;

impl InversionPlan {
    /// Ticks from rest until the covariance is off its stationary value by no more than `residue` of it,
    /// which is between [`SETTLE_RESIDUE`] and 1.
    pub fn settle_to(&self, residue: f64) -> u64 {
        let share = libm::log(residue.clamp(SETTLE_RESIDUE, 1.0)) / libm::log(SETTLE_RESIDUE);
        (self.settle as f64 * share).ceil() as u64
    }

    /// Ticks to settle from rest before a covariance is measured, over all samples of the plan.
    ///
    /// The deviation ρ that is left at the first sample decays with the time constant τ of the slowest
    /// mode's variance, so that the mean over T ticks is off by at most `ρ τ / T`: this leaves a hundredth
    /// of the statistical error. Single samples of the stationary law need [`settle`](Self::settle).
    pub fn settle_for_mean(&self) -> u64 {
        let decay = -(self.settle as f64) / libm::log(SETTLE_RESIDUE);
        let ticks = self.samples as f64 * f64::from(self.decimation);
        self.settle_to(SETTLE_BIAS * self.predicted_error * ticks / decay.max(1.0))
    }
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
        let mut size = 0.0;
        for k in 0..n {
            for l in 0..n {
                let both = modes[k].variance(1.0) * modes[l].variance(1.0);
                weights.push(both * (gram(k, k) * gram(l, l) + gram(k, l).powi(2)));
                size += both * gram(k, l).powi(2);
            }
        }
        Self { weights, size }
    }

    /// `N_eff / N` at this decimation.
    fn efficiency(&self, modes: &[Mode], decimation: u32) -> f64 {
        let rho: Vec<Vec<f64>> = modes.iter().map(|mode| mode.correlations(decimation)).collect();
        let n = modes.len();
        let (mut correlated, mut independent) = (0.0, 0.0);
        for k in 0..n {
            for l in 0..n {
                count(2 * rho[k].len().min(rho[l].len()));
                // Lag 0 counts once, every other lag on both sides.
                let lags: f64 = rho[k].iter().zip(&rho[l]).skip(1).map(|(a, b)| a * b).sum();
                correlated += self.weights[k * n + l] * 2.0_f64.mul_add(lags, 1.0);
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

    /// The exact mean covariance of a run from rest, by the law of the sampled board.
    #[cfg(feature = "sim")]
    #[test]
    fn the_start_biases_a_run_by_no_more_than_is_stated() {
        use crate::board_model::BoardModel;
        use crate::linalg::{product, relative_error};

        let device = crate::open("sim:profile=rev-a").expect("the simulator");
        let info = device.info();
        let model = BoardModel::nominal(info);
        let a = crate::characterise::lively(4);
        for effective in [128, 1000, 10_000] {
            let budget = Budget { effective: Some(effective), ..Budget::default() };
            let plan = InversionPlan::with_model(&a, info, &model, &budget).expect("programmable");
            let law = model.first(4).law(&plan.capacitance);
            let whole = law.covariance(&[1e-3; 4]);
            // From rest the covariance lacks Φ^t Σ Φ^tᵀ of its stationary value.
            let mut missing = whole.clone();
            let mut bias = [Array2::<f64>::zeros((4, 4)), Array2::zeros((4, 4))];
            let settles = [plan.settle_for_mean(), 0];
            let last = settles[0] + plan.samples * u64::from(plan.decimation);
            for tick in 1..=last {
                missing = product(&product(&law.phi, &missing), &law.phi.t());
                for (sum, settle) in bias.iter_mut().zip(settles) {
                    let sampled = tick > settle && tick - settle <= last - settles[0];
                    if sampled && (tick - settle).is_multiple_of(u64::from(plan.decimation)) {
                        *sum += &missing.slice(ndarray::s![..4, ..4]);
                    }
                }
            }
            let stationary = whole.slice(ndarray::s![..4, ..4]).to_owned();
            let [settled, unsettled] = bias.map(|sum| {
                relative_error(&(&stationary + &sum / plan.samples as f64), &stationary)
            });
            let allowed = SETTLE_BIAS * plan.predicted_error;
            assert!(settled <= allowed, "{effective}: {settled} {allowed}");
            assert!(plan.settle_for_mean() < plan.settle / 3, "{effective}");
            // It is no more than it takes: without it the shortest run is off by more.
            assert!(effective > 128 || unsettled > 2.0 * allowed, "{unsettled} {allowed}");
        }
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
