//! The host's model of a nominal RLC board: modes, their discrete-time law and correlations.
//!
//! A cell is a parallel R, L, C with a noise current that the DAC holds for one sample period h:
//!
//! ```text
//! C v̇ = −v/R − i + u,   L i̇ = v
//! ```
//!
//! With equal R and L in every cell the eigenvectors of the Maxwell capacitance matrix split it
//! into independent modes, each with one eigenvalue c of C as its capacitance. Everything here is
//! digital work of the host: it plans acquisitions and corrects the staircase drive; it never
//! replaces a read-out.

use spu_protocol::payload::InfoReply;

use crate::board_model::{BoardModel, CellValues};
use crate::linalg::flops::count;

/// Nominal values that every cell shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellModel {
    /// Parallel resistance, in ohms.
    pub r_ohm: f64,
    /// Inductance, in henries.
    pub l_henry: f64,
    /// Sample period, in seconds.
    pub period_s: f64,
}

impl CellModel {
    /// The values of a board's profile.
    pub fn of(info: &InfoReply) -> Self {
        Self {
            r_ohm: f64::from(info.r_ohm),
            l_henry: f64::from(info.l_henry),
            period_s: 1.0 / f64::from(info.sample_clock_hz),
        }
    }

    /// The mean values of a board's cells: harmonic in R and L, whose rates add up.
    pub fn mean(model: &BoardModel) -> Self {
        let count = model.cells.len() as f64;
        let rate = |of: fn(&CellValues) -> f64| {
            count / model.cells.iter().map(|cell| 1.0 / of(cell)).sum::<f64>()
        };
        Self {
            r_ohm: rate(|cell| cell.r_ohm),
            l_henry: rate(|cell| cell.l_henry),
            period_s: model.period_s,
        }
    }

    /// The mode of capacitance `c`, in farads.
    pub fn mode(&self, c: f64) -> Mode {
        Mode::new(self, c)
    }

    /// Variance of the voltage by the white-noise law, `κ0 R / c` with `κ0 = σ² h / 2`, in V², for
    /// a staircase of root-mean-square current `sigma`, in amperes.
    pub fn white_variance(&self, c: f64, sigma: f64) -> f64 {
        sigma * sigma * self.period_s * self.r_ohm / (2.0 * c)
    }

    /// The capacitance whose mode has this variance under the sampled law: the inverse of
    /// [`Mode::variance`], which falls monotonically with c. `variance` in V², `sigma` in amperes,
    /// both positive.
    ///
    /// A mode faster than the sample clock cannot exceed `σ² R²`; beyond the variance at
    /// `R c = h / 4` the result goes on as 1 / variance, so that it stays finite and monotonic.
    pub fn capacitance_of(&self, variance: f64, sigma: f64) -> f64 {
        let floor = self.period_s / (4.0 * self.r_ohm);
        let beyond = self.mode(floor).variance(sigma) / variance;
        if beyond < 1.0 {
            return floor * beyond;
        }
        let mut c = self.white_variance(1.0, sigma) / variance;
        // variance ≈ const / c, so each step removes nearly all of the relative error.
        for _ in 0..200 {
            let ratio = self.mode(c).variance(sigma) / variance;
            c = (c * ratio).max(floor);
            if (ratio - 1.0).abs() < 1e-14 {
                break;
            }
        }
        c
    }
}

/// One mode: state (v, i √(L/c)), both in volts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    /// Capacitance, in farads.
    pub c: f64,
    /// Decay rate of the amplitude, `1 / (2 R c)`, per second.
    pub alpha: f64,
    /// Resonance of the undamped mode, `1 / √(L c)`, in radians per second.
    pub omega0: f64,
    /// Step over one period, row-major 2 × 2.
    phi: [f64; 4],
    /// Response of the state to one ampere held for a period.
    gamma: [f64; 2],
    /// Stationary covariance for 1 A rms: (vv, vi, ii).
    sigma: [f64; 3],
}

impl Mode {
    fn new(cell: &CellModel, c: f64) -> Self {
        // Four determinants of three rows, and what they are made of.
        count(100);
        let alpha = 1.0 / (2.0 * cell.r_ohm * c);
        let omega0 = 1.0 / (cell.l_henry * c).sqrt();
        let phi = step(alpha, omega0, cell.period_s);
        // A held current ends in the inductor: v = 0, i = u is the fixed point.
        let impedance = (cell.l_henry / c).sqrt();
        let gamma = [-phi[1] * impedance, (1.0 - phi[3]) * impedance];
        let [a, b] = gamma;
        let sigma = discrete_lyapunov(&phi, [a * a, a * b, b * b]);
        Self { c, alpha, omega0, phi, gamma, sigma }
    }

    /// Stationary variance of the voltage under the sampled law `Σ = Φ Σ Φᵀ + Γ Γᵀ σ²`, in V², for
    /// a staircase of root-mean-square current `sigma`, in amperes.
    pub fn variance(&self, sigma: f64) -> f64 {
        self.sigma[0] * sigma * sigma
    }

    /// Resonance frequency, in hertz.
    pub fn frequency_hz(&self) -> f64 {
        self.omega0 / (2.0 * std::f64::consts::PI)
    }

    /// Quality factor `R √(c / L)`.
    pub fn q(&self) -> f64 {
        self.omega0 / (2.0 * self.alpha)
    }

    /// Slowest decay rate of the amplitude, per second: α, or less where the mode is overdamped.
    pub fn slowest_rate(&self) -> f64 {
        let under = self.alpha * self.alpha - self.omega0 * self.omega0;
        if under > 0.0 {
            self.omega0 * self.omega0 / (self.alpha + under.sqrt())
        } else {
            self.alpha
        }
    }

    /// Autocorrelation of the voltage at lags 0, d, 2d … ticks, until it stays below 1e-5.
    pub fn correlations(&self, decimation: u32) -> Vec<f64> {
        let stride = power(&self.phi, u64::from(decimation));
        let (mut v, mut w) = (self.sigma[0], self.sigma[1]);
        let scale = 1.0 / self.sigma[0];
        let mut values = Vec::new();
        // The envelope v² + w² bounds every later value of v.
        while v.hypot(w) * scale > 1e-5 && values.len() < 10_000_000 {
            values.push(v * scale);
            (v, w) = (stride[0].mul_add(v, stride[1] * w), stride[2].mul_add(v, stride[3] * w));
        }
        // The step, the envelope and its scale.
        count(11 * values.len());
        values
    }

    /// Samples' worth of variance that a record lacks because it started at zero volts and amperes.
    ///
    /// After t ticks from rest the covariance lacks `Φᵗ Σ Φᵗᵀ` of its stationary value. This is the sum
    /// of its voltage's part over Σ's, over the `count` samples at t = settle + 1, + decimation ….
    pub fn start_deficit(&self, settle: u64, decimation: u32, count: u64) -> f64 {
        let stride = power(&self.phi, u64::from(decimation));
        let from = |ticks: u64| {
            let first = carried(&power(&self.phi, ticks), self.sigma);
            discrete_lyapunov(&stride, first)[0] / self.sigma[0]
        };
        let first = settle.saturating_add(1);
        from(first) - from(first.saturating_add(count.saturating_mul(u64::from(decimation))))
    }

    /// Samples' worth of variance that subtracting a record's mean takes away beyond the one of
    /// independent samples: the sum of the correlations at all other lags.
    pub fn mean_deficit(&self, decimation: u32) -> f64 {
        2.0 * self.correlations(decimation).iter().skip(1).sum::<f64>()
    }
}

/// `exp(M h)` for M = [[−2α, −ω0], [ω0, 0]], row-major.
fn step(alpha: f64, omega0: f64, h: f64) -> [f64; 4] {
    let decay = libm::exp(-alpha * h);
    let square = (omega0 * omega0 - alpha * alpha) * h * h;
    let (cos, sinc) = if square.abs() < 1e-8 {
        (1.0 - 0.5 * square, 1.0 - square / 6.0)
    } else if square > 0.0 {
        let phase = square.sqrt();
        (libm::cos(phase), libm::sin(phase) / phase)
    } else {
        let phase = (-square).sqrt();
        (libm::cosh(phase), libm::sinh(phase) / phase)
    };
    let (a, w) = (alpha * h * sinc, omega0 * h * sinc);
    [decay * (cos - a), -decay * w, decay * w, decay * (cos + a)]
}

fn product(a: &[f64; 4], b: &[f64; 4]) -> [f64; 4] {
    [
        a[0].mul_add(b[0], a[1] * b[2]),
        a[0].mul_add(b[1], a[1] * b[3]),
        a[2].mul_add(b[0], a[3] * b[2]),
        a[2].mul_add(b[1], a[3] * b[3]),
    ]
}

fn power(a: &[f64; 4], mut exponent: u64) -> [f64; 4] {
    let (mut result, mut base) = ([1.0, 0.0, 0.0, 1.0], *a);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = product(&result, &base);
        }
        base = product(&base, &base);
        exponent >>= 1;
    }
    result
}

/// `Φ S Φᵀ` of a symmetric 2 × 2 S = (s0, s1; s1, s2).
fn carried(phi: &[f64; 4], s: [f64; 3]) -> [f64; 3] {
    let [a, b, c, d] = *phi;
    let whole = |x: f64, y: f64, u: f64, v: f64| {
        (x * u).mul_add(s[0], (x * v + y * u).mul_add(s[1], y * v * s[2]))
    };
    [whole(a, b, a, b), whole(a, b, c, d), whole(c, d, c, d)]
}

/// Solves `S = Φ S Φᵀ + Q` for a symmetric 2 × 2 S = (s0, s1; s1, s2), by Cramer's rule.
fn discrete_lyapunov(phi: &[f64; 4], rhs: [f64; 3]) -> [f64; 3] {
    let [a, b, c, d] = *phi;
    let m = [
        [1.0 - a * a, -2.0 * a * b, -b * b],
        [-a * c, 1.0 - (a * d + b * c), -b * d],
        [-c * c, -2.0 * c * d, 1.0 - d * d],
    ];
    let determinant = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(&m);
    std::array::from_fn(|column| {
        let mut replaced = m;
        for row in 0..3 {
            replaced[row][column] = rhs[row];
        }
        determinant(&replaced) / whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: CellModel = CellModel { r_ohm: 1200.0, l_henry: 820e-6, period_s: 1.0 / 12e6 };

    #[test]
    fn slow_modes_follow_the_white_noise_law() {
        let mode = CELL.mode(50e-9);
        let white = CELL.white_variance(50e-9, 1e-3);
        assert!((mode.variance(1e-3) / white - 1.0).abs() < 1e-4);
    }

    #[test]
    fn the_step_agrees_with_many_small_euler_steps() {
        let (alpha, omega0, h) = (3e5, 1.2e6, 8e-8);
        let exact = step(alpha, omega0, h);
        let parts = 1 << 20;
        let dt = h / f64::from(parts);
        let small = [1.0 - 2.0 * alpha * dt, -omega0 * dt, omega0 * dt, 1.0];
        let euler = power(&small, parts as u64);
        for (e, x) in euler.iter().zip(exact) {
            assert!((e - x).abs() < 1e-7, "{e} {x}");
        }
    }

    #[test]
    fn the_step_is_continuous_through_critical_damping() {
        let exact = step(1e6, 1e6, 8e-8);
        let beside = step(1e6, 1e6 * (1.0 + 1e-9), 8e-8);
        let overdamped = step(1e6, 0.9e6, 8e-8);
        for k in 0..4 {
            assert!((exact[k] - beside[k]).abs() < 1e-9);
            assert!(overdamped[k].is_finite());
        }
    }

    #[test]
    fn variance_and_capacitance_are_inverse() {
        for c in [2e-10, 6e-10, 3e-9, 4e-8] {
            let variance = CELL.mode(c).variance(7e-4);
            let back = CELL.capacitance_of(variance, 7e-4);
            assert!((back / c - 1.0).abs() < 1e-12, "{c}: {back}");
        }
    }

    #[test]
    fn a_variance_beyond_the_law_gives_a_finite_capacitance() {
        let most = (7e-4 * CELL.r_ohm).powi(2);
        let mut last = f64::INFINITY;
        for factor in [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 2.0, 100.0, 1e6] {
            let c = CELL.capacitance_of(most * factor, 7e-4);
            assert!(c > 0.0 && c < last, "{factor}: {c} {last}");
            last = c;
        }
    }

    /// The sum, term by term.
    #[test]
    fn the_deficit_of_a_start_is_the_sum_over_its_samples() {
        let mode = CELL.mode(2e-9);
        for (settle, decimation, count) in [(0, 1, 10), (7, 3, 40), (100, 20, 100_000)] {
            let sum: f64 = (0..count.min(2000))
                .map(|j| {
                    let ticks = settle + 1 + j * u64::from(decimation);
                    carried(&power(&mode.phi, ticks), mode.sigma)[0] / mode.sigma[0]
                })
                .sum();
            let closed = mode.start_deficit(settle, decimation, count);
            assert!((closed - sum).abs() < 1e-9 * sum, "{closed} {sum}");
        }
    }

    #[test]
    fn correlations_start_at_one_and_decay() {
        let mode = CELL.mode(2e-9);
        let rho = mode.correlations(3);
        assert!((rho[0] - 1.0).abs() < 1e-15);
        assert!(rho.iter().all(|r| r.abs() <= 1.0 + 1e-12));
        assert!(rho.last().expect("not empty").abs() < 1e-4);
    }
}
