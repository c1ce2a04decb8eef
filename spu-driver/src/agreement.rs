//! How far apart two reads of one matrix lie by noise alone.
//!
//! Whitened and in the coordinates of the board's modes, entry kl of an estimated covariance has variance
//! `T_kl (1 + δ_kl) / N`, N kept samples and `T_kl = Σ_m ρ_k(mD) ρ_l(mD)` over all lags (Isserlis), and
//! different entries are uncorrelated. The affine distance does not change by whitening, so for two
//! estimates of the same covariance its square is, to first order, `(1/N_a + 1/N_b) Σ w z²` with
//! independent standard normal z and `w_kl = 2 T_kl`, k ≤ l. Such a sum exceeds
//!
//! ```text
//! Σ w + 2 ‖w‖₂ √x + 2 max w · x
//! ```
//!
//! with probability at most `exp(−x)` (Laurent and Massart 2000, lemma 1). Slow modes have the fewest
//! independent samples and weigh most here, which a number of effective samples for the whole does not
//! tell.

use ndarray::Array2;

use crate::invert::Inversion;
use crate::linalg::{affine_distance, mean};
use crate::plan::InversionPlan;
use crate::timing::over_all_lags;

/// −ln 1e-7: of runs of ten comparisons one in a million raises a false alarm.
const EXPONENT: f64 = 16.1;
/// Factor on the squared distance for what is not of first order, and for correlation times that are not
/// those of the plan.
const MARGIN: f64 = 1.5;
/// Largest expected square of the distance up to which first order is good enough.
const FIRST_ORDER: f64 = 0.5;

/// The noise of reads by one plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    sum: f64,
    norm: f64,
    largest: f64,
}

impl Noise {
    pub(crate) fn of(plan: &InversionPlan) -> Self {
        let rho: Vec<Vec<f64>> =
            plan.modes.iter().map(|mode| mode.correlations(plan.decimation)).collect();
        let (mut sum, mut square, mut largest) = (0.0, 0.0, 0.0_f64);
        for (k, first) in rho.iter().enumerate() {
            for second in &rho[k..] {
                let weight = 2.0 * over_all_lags(first, second);
                sum += weight;
                square += weight * weight;
                largest = largest.max(weight);
            }
        }
        Self { sum, norm: square.sqrt(), largest }
    }

    /// Affine distance that two reads of so many kept samples exceed by chance in fewer than one of
    /// 10⁷ pairs.
    pub(crate) fn limit(&self, kept: (f64, f64)) -> f64 {
        let scale = 1.0 / kept.0 + 1.0 / kept.1;
        let tail = 2.0 * (self.norm * EXPONENT.sqrt() + self.largest * EXPONENT);
        (MARGIN * scale * (self.sum + tail)).sqrt()
    }

    /// The same, or `None` for so few samples that it does not hold.
    pub(crate) fn sound_limit(&self, kept: (f64, f64)) -> Option<f64> {
        let expected = self.sum * (1.0 / kept.0 + 1.0 / kept.1);
        (expected <= FIRST_ORDER).then(|| self.limit(kept))
    }
}

/// An affine distance, and what noise explains of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Apart {
    pub(crate) distance: f64,
    pub(crate) limit: f64,
}

impl Apart {
    pub(crate) fn is_more_than_noise(self) -> bool {
        // Infinite, or no number at all, where one of the two is no covariance.
        !matches!(self.distance.partial_cmp(&self.limit), Some(order) if order.is_le())
    }
}

/// How far apart the first and the second half of a read are: a board that changed while it was read has
/// two inverses in it. `None` for a read of too few samples to tell.
pub(crate) fn halves(read: &Inversion) -> Option<Apart> {
    let values = read.replicates.values();
    let half = values.len() / 2;
    if half == 0 {
        return None;
    }
    let (first, second) = values.split_at(half);
    let kept = |part: &[Array2<f64>]| read.kept as f64 * part.len() as f64 / values.len() as f64;
    let limit = Noise::of(&read.plan).sound_limit((kept(first), kept(second)))?;
    Some(Apart { distance: affine_distance(&mean(first), &mean(second)), limit })
}

/// How far apart two reads of one matrix on one board are. `None` for too few samples to tell.
pub(crate) fn repeats(before: &Inversion, after: &Inversion) -> Option<Apart> {
    let kept = (before.kept as f64, after.kept as f64);
    let limit = Noise::of(&before.plan).sound_limit(kept)?;
    Some(Apart { distance: affine_distance(&before.inverse, &after.inverse), limit })
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::plan::Budget;

    #[test]
    fn far_apart_samples_give_the_law_of_independent_ones() {
        let device = crate::open("sim:profile=ideal").unwrap();
        let a = crate::characterise::lively(4);
        let plan = |decimation| {
            let budget = Budget { decimation, samples: Some(1000), ..Budget::default() };
            InversionPlan::new(&a, device.info(), &budget).unwrap()
        };
        let noise = Noise::of(&plan(Some(100_000)));
        assert!((noise.sum - 20.0).abs() < 1e-6 && (noise.largest - 2.0).abs() < 1e-6);
        assert!((noise.norm - 40.0_f64.sqrt()).abs() < 1e-6);
        // Samples that lie closer are worth less.
        let dense = Noise::of(&plan(Some(1)));
        assert!(dense.sum > 10.0 * noise.sum, "{}", dense.sum);
        assert!(noise.limit((1000.0, 4000.0)) < noise.limit((1000.0, 1000.0)));
        assert!(noise.sound_limit((1000.0, 1000.0)).is_some());
        assert!(noise.sound_limit((50.0, 50.0)).is_none(), "too few to tell");
        // What is no covariance is never taken for noise.
        for distance in [f64::INFINITY, f64::NAN] {
            assert!(Apart { distance, limit: 1.0 }.is_more_than_noise());
        }
        assert!(!Apart { distance: 0.5, limit: 1.0 }.is_more_than_noise());
    }
}
