//! Damping λ of the curvature, G + λI.

use serde::{Deserialize, Serialize};

/// How λ goes with the steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Damping {
    /// Always the same.
    Constant(f64),
    /// `initial` / (1 + `decay` · step), and not below `least`.
    Decaying {
        /// λ at step 0.
        initial: f64,
        /// Decay per step.
        decay: f64,
        /// Lower bound.
        least: f64,
    },
    /// The Levenberg–Marquardt rule: with ρ = (change of the loss) / (change that the quadratic
    /// model predicts), λ ← λ/`factor` if ρ > ¾ and λ·`factor` if ρ < ¼ (Martens, "Deep learning via
    /// Hessian-free optimization", 2010, section 4.1).
    LevenbergMarquardt {
        /// λ now.
        lambda: f64,
        /// Factor of a change, > 1; Martens uses 3/2.
        factor: f64,
        /// Lower bound.
        least: f64,
        /// Upper bound.
        most: f64,
    },
}

/// Why a damping makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DampingError {
    /// λ can reach 0.
    #[error(
        "damping λ = {0} is not above 0 and finite: the curvature alone may be singular; choose λ > 0, such as 0.1"
    )]
    Lambda(f64),
    /// Decay below 0.
    #[error("decay {0} of the damping is negative or not finite: give one >= 0")]
    Decay(f64),
    /// Factor not above 1.
    #[error("factor {0} of the Levenberg–Marquardt rule is not above 1: give one such as 1.5")]
    Factor(f64),
    /// λ outside its bounds.
    #[error("damping λ = {lambda} is not between its bounds {least} and {most}: widen them")]
    Bounds {
        /// λ.
        lambda: f64,
        /// Lower bound.
        least: f64,
        /// Upper bound.
        most: f64,
    },
}

impl Damping {
    /// Checks the numbers.
    ///
    /// # Errors
    /// λ not above 0, or parameters that make no sense.
    pub fn check(&self) -> Result<(), DampingError> {
        let positive = |lambda: f64| {
            if lambda > 0.0 && lambda.is_finite() {
                Ok(())
            } else {
                Err(DampingError::Lambda(lambda))
            }
        };
        match *self {
            Self::Constant(lambda) => positive(lambda),
            Self::Decaying { initial, decay, least } => {
                positive(initial)?;
                positive(least)?;
                if decay >= 0.0 && decay.is_finite() {
                    Ok(())
                } else {
                    Err(DampingError::Decay(decay))
                }
            }
            Self::LevenbergMarquardt { lambda, factor, least, most } => {
                [lambda, least, most].into_iter().try_for_each(positive)?;
                if !(factor > 1.0 && factor.is_finite()) {
                    return Err(DampingError::Factor(factor));
                }
                if least <= lambda && lambda <= most {
                    Ok(())
                } else {
                    Err(DampingError::Bounds { lambda, least, most })
                }
            }
        }
    }

    /// λ at a step, counted from 0.
    pub fn lambda(&self, step: u64) -> f64 {
        match *self {
            Self::Constant(lambda) | Self::LevenbergMarquardt { lambda, .. } => lambda,
            Self::Decaying { initial, decay, least } => {
                (initial / (1.0 + decay * step as f64)).max(least)
            }
        }
    }

    /// Whether [`update`](Self::update) wants the reduction ratio ρ, which costs a pass for the loss.
    pub fn adapts(&self) -> bool {
        matches!(self, Self::LevenbergMarquardt { .. })
    }

    /// Takes the reduction ratio ρ of a step. A ratio that is NaN counts as a bad one.
    pub fn update(&mut self, ratio: f64) {
        if let Self::LevenbergMarquardt { lambda, factor, least, most } = self {
            if ratio > 0.75 {
                *lambda = (*lambda / *factor).max(*least);
            } else if ratio.is_nan() || ratio < 0.25 {
                *lambda = (*lambda * *factor).min(*most);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn lambda_goes_by_the_rules() {
        assert_eq!(Damping::Constant(0.1).lambda(1000), 0.1);
        let decaying = Damping::Decaying { initial: 1.0, decay: 0.5, least: 0.1 };
        assert_eq!((decaying.lambda(0), decaying.lambda(2), decaying.lambda(100)), (1.0, 0.5, 0.1));
        let mut lm =
            Damping::LevenbergMarquardt { lambda: 1.0, factor: 2.0, least: 0.4, most: 3.0 };
        let mut after = |ratio| {
            lm.update(ratio);
            lm.lambda(0)
        };
        assert_eq!([after(0.9), after(0.5), after(0.8)], [0.5, 0.5, 0.4]);
        assert_eq!([after(0.1), after(f64::NAN), after(-1.0), after(0.0)], [0.8, 1.6, 3.0, 3.0]);
    }

    #[test]
    fn senseless_dampings_are_refused() {
        assert_eq!(Damping::Constant(0.0).check(), Err(DampingError::Lambda(0.0)));
        assert!(Damping::Constant(f64::NAN).check().is_err());
        let decaying = Damping::Decaying { initial: 1.0, decay: -1.0, least: 0.1 };
        assert_eq!(decaying.check(), Err(DampingError::Decay(-1.0)));
        let lm =
            |lambda, factor| Damping::LevenbergMarquardt { lambda, factor, least: 0.1, most: 2.0 };
        assert_eq!(lm(1.0, 1.0).check(), Err(DampingError::Factor(1.0)));
        assert!(matches!(lm(3.0, 1.5).check(), Err(DampingError::Bounds { .. })));
        assert_eq!(lm(1.0, 1.5).check(), Ok(()));
    }
}
