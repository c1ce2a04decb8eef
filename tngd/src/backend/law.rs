//! Functions of an eigenvalue in the device law.

/// (1 − e^{−at}) / a, for a > 0 or t finite: xₜ = x₀ + mean(F, t) (g − F x₀).
pub(crate) fn mean(a: f64, t: f64) -> f64 {
    if t == f64::INFINITY {
        1.0 / a
    } else if a.abs() * t < f64::MIN_POSITIVE {
        t
    } else {
        -(-a * t).exp_m1() / a
    }
}

/// (mean(s + λ, t) − mean(λ, t)) / s for s ≥ 0, λ > 0, without the cancellation at small s:
/// the difference's numerator is λ e^{−λt} (1 − e^{−st}) − s (1 − e^{−λt}).
pub(crate) fn mean_difference(s: f64, lambda: f64, t: f64) -> f64 {
    let decayed = (-lambda * t).exp();
    let slope = if decayed == 0.0 { 0.0 } else { lambda * decayed * mean(s, t) };
    (slope + (-lambda * t).exp_m1()) / (lambda * (s + lambda))
}

/// Standard deviation of a mode: √(κ0 (1 − e^{−2at}) / a).
pub(crate) fn spread(a: f64, t: f64, noise: f64) -> f64 {
    (noise * mean(a, 2.0 * t)).sqrt()
}

/// (spread(s + λ) − spread(λ)) / s.
pub(crate) fn spread_difference(s: f64, lambda: f64, t: f64, noise: f64) -> f64 {
    let sum = spread(s + lambda, t, noise) + spread(lambda, t, noise);
    if sum == 0.0 { 0.0 } else { noise * mean_difference(s, lambda, 2.0 * t) / sum }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn differences_are_those_of_the_definition() {
        for lambda in [0.01, 0.1, 1.0] {
            for t in [0.1, 1.0, 50.0, f64::INFINITY] {
                for s in [0.1, 1.0, 30.0] {
                    let direct = (mean(s + lambda, t) - mean(lambda, t)) / s;
                    let difference = mean_difference(s, lambda, t);
                    assert!((direct - difference).abs() < 1e-9 * direct.abs(), "{s} {lambda} {t}");
                    let direct = (spread(s + lambda, t, 0.5) - spread(lambda, t, 0.5)) / s;
                    let difference = spread_difference(s, lambda, t, 0.5);
                    assert!((direct - difference).abs() < 1e-9 * direct.abs(), "{s} {lambda} {t}");
                }
                // At s = 0 the derivative; near it no jump.
                let (zero, near) =
                    (mean_difference(0.0, lambda, t), mean_difference(1e-12, lambda, t));
                assert!((zero - near).abs() <= 1e-8 * zero.abs(), "{lambda} {t}: {zero} {near}");
                let step = 1e-4 * lambda;
                let slope = (mean(lambda + step, t) - mean(lambda - step, t)) / (2.0 * step);
                assert!((zero - slope).abs() < 1e-5 * zero.abs(), "{lambda} {t}: {zero} {slope}");
            }
        }
    }

    #[test]
    fn nothing_moves_in_no_time() {
        assert_eq!(mean(3.0, 0.0), 0.0);
        assert_eq!(mean_difference(2.0, 0.1, 0.0), 0.0);
        assert_eq!(spread_difference(2.0, 0.1, 0.0, 1.0), 0.0);
    }
}
