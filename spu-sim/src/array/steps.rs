//! Exact steps of the factored law, in as many dimensions as the arrays have rows.
//!
//! With B = Jᵀ (its own resistors), C = H J and K = C B, the nodes obey, in units of τ = RC,
//!
//! ```text
//! x' = −(λ + B C) x + u
//! ```
//!
//! and x = p − B q solves it if
//!
//! ```text
//! p' = −λ p + u,      g' = −λ g + f,      q' = −(λ + K) q + g,      g = C p,  f = C u.
//! ```
//!
//! p is a matter of each node, q and g have one entry for each row. Under an input that is held
//! for a time t
//!
//! ```text
//! p ← a p + α u,   q ← E q + P g + S f,   g ← a g + α f,    a = e^{−λt},  α = ∫₀ᵗ e^{−λs} ds,
//! ```
//!
//! S' = −(λ + K) S + α from S = 0, P = S', E = a − K P. No step is approximate: S comes from its Taylor
//! series over a time h with h (λ + ‖K‖) ≤ ½, whose first term left out is below 1e-17 of the
//! first one, and times double by E ← E E, P ← E P + a P, S ← E S + α P + S.

use super::square::Square;
use crate::dispatch::Dispatch;

/// Terms of the series of S.
const TERMS: u32 = 15;

/// A step under a held input.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// e^{−λt}.
    pub(super) keep: f64,
    /// ∫₀ᵗ e^{−λs} ds.
    pub(super) gain: f64,
    e: Square,
    p: Square,
    s: Square,
}

/// (1 − e^{−λt}) / λ.
fn gain(damping: f64, time: f64) -> f64 {
    if damping * time < f64::MIN_POSITIVE { time } else { -libm::expm1(-damping * time) / damping }
}

impl Step {
    /// The step over `time`, for the matrix K of `n` rows.
    pub(super) fn new(n: usize, k: &Square, damping: f64, time: f64, dispatch: Dispatch) -> Self {
        let rate = damping + k.norm();
        let mut doublings = 0;
        let mut short = time;
        // A rate that is not finite is that of no array: codes and tolerances are bounded.
        while short * rate > 0.5 {
            short *= 0.5;
            doublings += 1;
        }
        let mut l = k.clone().scaled(-1.0);
        l.add_diagonal(-damping);
        // Derivatives of S at 0: S⁽¹⁾ = 0, S⁽ʲ⁺¹⁾ = L S⁽ʲ⁾ + (−λ)ʲ⁻¹.
        let mut derivative = Square::zero(n);
        let mut s = Square::zero(n);
        let (mut weight, mut power) = (short, 1.0);
        for j in 2..=TERMS {
            derivative = l.times(&derivative, dispatch);
            derivative.add_diagonal(power);
            weight *= short / f64::from(j);
            power *= -damping;
            s.add(weight, &derivative);
        }
        let (keep, gain_) = (libm::exp(-damping * short), gain(damping, short));
        let mut p = l.times(&s, dispatch);
        p.add_diagonal(gain_);
        let mut e = k.times(&p, dispatch).scaled(-1.0);
        e.add_diagonal(keep);
        let mut step = Self { keep, gain: gain_, e, p, s };
        for _ in 0..doublings {
            short *= 2.0;
            step = step.doubled(damping, short, dispatch);
        }
        step
    }

    /// The step over twice the time, which is `time`.
    pub(super) fn doubled(&self, damping: f64, time: f64, dispatch: Dispatch) -> Self {
        let mut s = self.e.times(&self.s, dispatch);
        s.add(self.gain, &self.p);
        s.add(1.0, &self.s);
        let mut p = self.e.times(&self.p, dispatch);
        p.add(self.keep, &self.p);
        Self {
            keep: libm::exp(-damping * time),
            gain: gain(damping, time),
            e: self.e.times(&self.e, dispatch),
            p,
            s,
        }
    }

    /// Steps q and g under the input f. All are padded.
    pub(super) fn run(&self, q: &mut [f64], g: &mut [f64], f: &[f64], dispatch: Dispatch) {
        let parts = [(&self.e, &*q), (&self.p, &*g), (&self.s, f)];
        let [eq, pg, sf] = parts.map(|(matrix, x)| matrix.apply(x, dispatch));
        for (k, q) in q.iter_mut().enumerate() {
            *q = eq[k] + (pg[k] + sf[k]);
        }
        for (g, f) in g.iter_mut().zip(f) {
            *g = libm::fma(self.keep, *g, self.gain * f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the scalar law: K = k.
    #[test]
    fn one_row_is_the_scalar_law() {
        let dispatch = Dispatch::detect();
        for (k, damping, time) in [(3.0, 0.2, 0.7), (250.0, 0.01, 2.0), (-0.5, 0.1, 5.0)] {
            let step = Step::new(1, &Square::of(1, &[k]), damping, time, dispatch);
            let (mut q, mut g) = ([0.3; 8], [-0.7; 8]);
            step.run(&mut q, &mut g, &[1.1; 8], dispatch);
            // q' = −(λ+k) q + e^{−λt} g₀ + α(t) f.
            let l: f64 = damping + k;
            let (e, a) = ((-l * time).exp(), (-damping * time).exp());
            let p = (a - e) / k;
            let s = ((1.0 - e) / l - (a - e) / k) / damping;
            let expected = e * 0.3 - 0.7 * p + 1.1 * s;
            assert!((q[0] - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{k}: {}", q[0]);
            let expected = a * -0.7 + 1.1 * (1.0 - a) / damping;
            assert!((g[0] - expected).abs() < 1e-13 * expected.abs());
        }
    }
}
