//! What the start of a run does to its covariance, and how long to wait for it.
//!
//! From rest the variance of mode k lacks the part `e^(−t/τ_k)` after t, `1/τ_k = 2 α_k`, so the mean over
//! a record of length T that starts after s lacks about `b = (τ/T) e^(−s/τ)`. The squared error of m
//! averaged records is their statistical one, which goes as `k τ / (m T)` (k = 2 for one cell, up to
//! n + 1 for n), and the square of b, which all of them have in common. At a fixed total time a longer
//! wait shortens the records: the error is least where
//!
//! ```text
//! e^(−2 s/τ) = k / (2 m)
//! ```
//!
//! whatever T is; where `k ≥ 2 m` it is best not to wait at all. [`InversionPlan::settle_for_mean`] finds
//! the least error by the modes of the program, without these approximations.

use serde::Serialize;

use super::ErrorLaw;
use crate::plan::{InversionPlan, SETTLE_RESIDUE};

/// Deviation of the covariance that is left when the run that sets the noise gain starts.
pub(crate) const PROBE_RESIDUE: f64 = 0.05;
/// Waits among which the best is looked for.
const STEPS: u64 = 64;

/// Where cells start from, and how long they are waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settle {
    /// From zero volts and amperes, for as long as makes the squared error of the result least.
    #[default]
    Reset,
    /// From where the run before left them, without waiting: that is the one that set the gain, or the
    /// programming before. Only the first run of all starts at zero.
    Keep,
    /// From zero volts and amperes, for so many ticks.
    Ticks(u64),
}

impl InversionPlan {
    /// Ticks from rest until the covariance is off its stationary value by no more than `residue` of it,
    /// which is between [`SETTLE_RESIDUE`] and 1.
    pub fn settle_to(&self, residue: f64) -> u64 {
        let share = libm::log(residue.clamp(SETTLE_RESIDUE, 1.0)) / libm::log(SETTLE_RESIDUE);
        (self.settle as f64 * share).ceil() as u64
    }

    /// Ticks to wait before a covariance is measured, as [`settling`](Self::settling) has it.
    ///
    /// [`Settle::Reset`] waits for as long as makes the squared error of the inverse least at a fixed total
    /// time: a longer wait costs samples, a shorter one leaves a bias, which several programmings have in
    /// common. Single samples of the stationary law need [`settle`](Self::settle).
    pub fn settle_for_mean(&self) -> u64 {
        match self.settling {
            Settle::Keep => 0,
            Settle::Ticks(ticks) => ticks,
            Settle::Reset => {
                let law = self.error_law();
                let waits = (0..=STEPS).map(|step| self.settle * step / STEPS);
                let errors = waits.map(|wait| (wait, self.squared_error(&law, wait)));
                errors.min_by(|x, y| x.1.total_cmp(&y.1)).map_or(0, |(wait, _)| wait)
            }
        }
    }

    /// Relative Frobenius error of the inverse that a start from rest leaves on average, `settle` ticks
    /// before the first sample.
    pub fn start_bias(&self, settle: u64) -> f64 {
        self.bias_by(&self.error_law(), settle)
    }

    /// Relative squared error after a wait, of as much time as these samples take without one.
    fn squared_error(&self, law: &ErrorLaw, settle: u64) -> f64 {
        let ticks = (self.samples as f64 * f64::from(self.decimation)).max(1.0);
        let statistical = self.predicted_error.powi(2) / f64::from(self.programmings.max(1));
        statistical.mul_add(1.0 + settle as f64 / ticks, self.bias_by(law, settle).powi(2))
    }

    fn bias_by(&self, law: &ErrorLaw, settle: u64) -> f64 {
        let missing: Vec<f64> = self
            .modes
            .iter()
            .map(|mode| mode.start_deficit(settle, self.decimation, self.samples))
            .map(|deficit| deficit / self.samples.max(1) as f64)
            .collect();
        law.bias(&missing)
    }

    fn error_law(&self) -> ErrorLaw {
        ErrorLaw::new(&self.modes, &self.vectors, &self.d)
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use ndarray::{Array2, s};

    use super::*;
    use crate::board_model::{BoardModel, Law};
    use crate::characterise::lively;
    use crate::linalg::{frobenius, product};
    use crate::plan::Budget;

    /// The plan of one of so many programmings of a chain, and the exact law of its board.
    fn planned(effective: u64, programmings: u32) -> (InversionPlan, Law) {
        let device = crate::open("sim:profile=rev-a").expect("the simulator");
        let info = device.info();
        let model = BoardModel::nominal(info);
        let budget = Budget { effective: Some(effective), ..Budget::default() };
        let a = lively(8);
        let mut plan = InversionPlan::with_model(&a, info, &model, &budget).expect("programmable");
        plan.programmings = programmings;
        let law = model.first(8).law(&plan.capacitance);
        (plan, law)
    }

    /// Relative error of the mean inverse of a run from rest, tick by tick by the law of the board.
    fn exact_bias(plan: &InversionPlan, law: &Law, settle: u64) -> f64 {
        let n = plan.n;
        let whole = law.covariance(&vec![1e-3; n]);
        let unscaled = |v: Array2<f64>| {
            Array2::from_shape_fn((n, n), |(i, j)| plan.d[i] * v[[i, j]] * plan.d[j])
        };
        let stationary = unscaled(whole.slice(s![..n, ..n]).to_owned());
        let (mut missing, mut sum) = (whole, Array2::zeros((n, n)));
        let last = settle + plan.samples * u64::from(plan.decimation);
        // After twice the settling to a part in a million nothing is left.
        for tick in 1..=last.min(2 * plan.settle) {
            missing = product(&product(&law.phi, &missing), &law.phi.t());
            if tick > settle && (tick - settle - 1).is_multiple_of(u64::from(plan.decimation)) {
                sum += &missing.slice(s![..n, ..n]);
            }
        }
        frobenius(&unscaled(sum)) / plan.samples as f64 / frobenius(&stationary)
    }

    #[test]
    fn the_bias_of_a_start_is_that_of_the_exact_law() {
        let (plan, law) = planned(128, 1);
        for settle in [0, plan.settle / 20, plan.settle / 5] {
            let (stated, exact) = (plan.start_bias(settle), exact_bias(&plan, &law, settle));
            assert!((stated / exact - 1.0).abs() < 1e-6, "{settle}: {stated} {exact}");
        }
    }

    /// By the exact law of the board, at a fixed total time: half of the wait and twice as much are worse.
    #[test]
    fn the_wait_makes_the_squared_error_least() {
        for (effective, programmings) in [(128, 64), (1000, 64), (128, 16)] {
            let (plan, law) = planned(effective, programmings);
            let ticks = plan.samples as f64 * f64::from(plan.decimation);
            let squared = |settle: u64| {
                let time = 1.0 + settle as f64 / ticks;
                let statistical = plan.predicted_error.powi(2) / f64::from(programmings);
                statistical * time + exact_bias(&plan, &law, settle).powi(2)
            };
            let best = plan.settle_for_mean();
            assert!(best > 0, "{effective} × {programmings}");
            let least = squared(best);
            for other in [0, best / 2, 2 * best] {
                assert!(squared(other) > least, "{effective} × {programmings}: {other} {best}");
            }
        }
    }

    /// One record is not biased enough to pay for a wait, however short or long it is.
    #[test]
    fn one_record_does_not_wait() {
        for effective in [128, 1000, 12_000] {
            let (plan, _) = planned(effective, 1);
            assert_eq!(plan.settle_for_mean(), 0, "{effective}");
            assert!(plan.start_bias(0) < 0.1 * plan.predicted_error, "{effective}");
        }
    }

    #[test]
    fn what_is_asked_for_is_waited_for() {
        let (mut plan, _) = planned(128, 64);
        plan.settling = Settle::Ticks(77);
        assert_eq!(plan.settle_for_mean(), 77);
        plan.settling = Settle::Keep;
        assert_eq!(plan.settle_for_mean(), 0);
        assert!(!plan.starts_at_rest());
    }
}
