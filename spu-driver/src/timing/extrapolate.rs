//! Extrapolation in measurement time: what an endless record would have shown.

use ndarray::Array2;

use crate::linalg::{from_eigen, product};
use crate::model::Mode;
use crate::plan::InversionPlan;

/// Most of a variance that a correction may add: beyond it the record is too short for its law.
const MOST: f64 = 0.5;

/// How the covariance of a record tends to that of an endless one.
///
/// Of N samples `E Σ̂ = Σ_k σ_k² (1 − K_k/N) u_k u_kᵀ` in the modes u of the board. K has two parts: what a
/// start from rest lacks, by the exponential law of each mode ([`Mode::start_deficit`]), and what goes
/// with the mean that is subtracted ([`Mode::mean_deficit`]). Both follow from the programmed spectrum, so
/// `Σ̂` is extrapolated to N = ∞ by one factor a mode, and stays positive definite. No other part of a
/// covariance depends on the time of measurement; neither does an inverse, which is linear in it but for
/// the small correction of the staircase drive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeLaw {
    modes: Vec<Mode>,
    vectors: Array2<f64>,
    decimation: u32,
    /// Ticks from rest to the first sample; `None` where cells went on from where they were.
    settle: Option<u64>,
    /// Of each mode.
    mean: Vec<f64>,
    /// Samples of the record that others are parts of, each with its share of what the start lacks.
    whole: Option<u64>,
}

impl TimeLaw {
    /// Of a run by this plan.
    pub(crate) fn new(plan: &InversionPlan) -> Self {
        Self {
            modes: plan.modes.clone(),
            vectors: plan.vectors.clone(),
            decimation: plan.decimation,
            settle: plan.starts_at_rest().then(|| plan.settle_for_mean()),
            mean: plan.modes.iter().map(|mode| mode.mean_deficit(plan.decimation)).collect(),
            whole: None,
        }
    }

    /// For what is left of a record of `count` samples without one of its batches, as the jackknife has it:
    /// on average over the batches this lacks the same part as the whole.
    #[must_use]
    pub(crate) fn within(mut self, count: u64) -> Self {
        self.whole = Some(count);
        self
    }

    /// The covariance of an endless record, from one of `count` samples: digital.
    pub(crate) fn extrapolate(&self, covariance: &Array2<f64>, count: u64) -> Array2<f64> {
        let count = self.whole.unwrap_or(count);
        let factors = self.modes.iter().zip(&self.mean).map(|(mode, mean)| {
            let start =
                self.settle.map_or(0.0, |wait| mode.start_deficit(wait, self.decimation, count));
            1.0 / (1.0 - ((start + mean) / count.max(1) as f64).clamp(-MOST, MOST)).sqrt()
        });
        let factor = from_eigen(&factors.collect(), &self.vectors);
        product(&product(&factor, covariance), &factor)
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::board_model::BoardModel;
    use crate::characterise::lively;
    use crate::linalg::relative_error;
    use crate::plan::{Budget, Settle};

    fn plan() -> InversionPlan {
        let device = crate::open("sim:profile=rev-a").expect("the simulator");
        let model = BoardModel::nominal(device.info());
        let budget = Budget { effective: Some(128), ..Budget::default() };
        let plan = InversionPlan::with_model(&lively(4), device.info(), &model, &budget);
        plan.expect("programmable")
    }

    /// The mean covariance of short records, by the law of the modes, becomes that of an endless one.
    #[test]
    fn the_mean_of_short_records_is_extrapolated_to_an_endless_one() {
        let mut plan = plan();
        let variances = plan.modes.iter().map(|mode| mode.variance(1e-3)).collect();
        let endless = from_eigen(&variances, &plan.vectors);
        for settling in [Settle::Reset, Settle::Ticks(3), Settle::Keep] {
            plan.settling = settling;
            let law = TimeLaw::new(&plan);
            for count in [plan.samples, plan.samples / 4] {
                let short = plan.modes.iter().map(|mode| {
                    let start = match settling {
                        Settle::Keep => 0.0,
                        _ => mode.start_deficit(plan.settle_for_mean(), plan.decimation, count),
                    };
                    let lacking = start + mode.mean_deficit(plan.decimation);
                    mode.variance(1e-3) * (1.0 - lacking / count as f64)
                });
                let short = from_eigen(&short.collect(), &plan.vectors);
                let off = relative_error(&law.extrapolate(&short, count), &endless);
                assert!(off < 1e-12, "{settling:?}: {off}");
                assert!(settling == Settle::Keep || relative_error(&short, &endless) > 1e-3);
            }
        }
    }

    /// The jackknife's parts of a record take the factors of the whole.
    #[test]
    fn parts_of_a_record_are_extrapolated_as_the_whole() {
        let plan = plan();
        let (law, eye) = (TimeLaw::new(&plan), Array2::eye(4));
        let whole = law.extrapolate(&eye, plan.samples);
        let part = law.clone().within(plan.samples).extrapolate(&eye, plan.samples / 2);
        assert_eq!(part, whole);
        assert_ne!(law.extrapolate(&eye, plan.samples / 2), whole);
    }

    /// A record that is shorter than its law allows stays finite.
    #[test]
    fn a_correction_is_bounded() {
        let law = TimeLaw::new(&plan());
        let one = law.extrapolate(&Array2::eye(4), 1);
        assert!(one.iter().all(|x| x.is_finite() && x.abs() <= 2.0 + 1e-12), "{one}");
    }
}
