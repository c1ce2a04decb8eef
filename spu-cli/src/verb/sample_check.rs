//! `spu sample --check`: are the samples Gaussian, and of the law that was asked for?

use serde::Serialize;
use spu_driver::ops::normality::Normality;

use crate::text::{count, digits, probability};

/// p-value below which a test speaks against the samples.
pub(crate) const FALSE_ALARM: f64 = 1e-6;

/// What the tests say.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// p-value below which a test rejects.
    false_alarm_rate: f64,
    /// Skewness and kurtosis together.
    shape_p: f64,
    /// All marginals together.
    marginals_p: f64,
    gaussian: bool,
    as_asked: bool,
    tests: Normality,
}

impl Check {
    pub(crate) fn new(tests: Normality) -> Self {
        let (shape_p, marginals_p) = (tests.shape_p(), tests.marginals_p());
        Self {
            false_alarm_rate: FALSE_ALARM,
            shape_p,
            marginals_p,
            gaussian: shape_p >= FALSE_ALARM,
            as_asked: marginals_p >= FALSE_ALARM,
            tests,
        }
    }

    /// True if no test speaks against the samples.
    pub(crate) fn passed(&self) -> bool {
        self.gaussian && self.as_asked
    }

    /// Lines of facts.
    pub(crate) fn facts(&self) -> [(&'static str, String); 3] {
        let tests = &self.tests;
        let shape = if self.gaussian { "Gaussian" } else { "NOT Gaussian" };
        let law = if self.as_asked {
            "as asked for"
        } else {
            "NOT as asked for: gains of an uncalibrated board do that"
        };
        let worst = tests.marginals.iter().map(|one| one.distance).fold(0.0, f64::max);
        let line = |name: &str, value: f64, expected: f64, p: f64, effective: f64| {
            format!(
                "Mardia's {name} {}, expected {}, p {} (N_eff {})",
                digits(value),
                digits(expected),
                probability(p),
                count(effective.round() as u64)
            )
        };
        [
            (
                "skewness",
                line(
                    "b₁",
                    tests.skewness,
                    tests.skewness_expected,
                    tests.skewness_p,
                    tests.effective.skewness,
                ),
            ),
            (
                "kurtosis",
                line(
                    "b₂",
                    tests.kurtosis,
                    tests.kurtosis_expected,
                    tests.kurtosis_p,
                    tests.effective.kurtosis,
                ) + &format!("; shape: {shape}"),
            ),
            (
                "marginals",
                format!(
                    "Kolmogorov–Smirnov distance {} at most, p {} of all; {law}",
                    digits(worst),
                    probability(self.marginals_p)
                ),
            ),
        ]
    }
}
