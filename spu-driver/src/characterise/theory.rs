//! The law of a programmed board's samples: lagged covariance and spectrum. Digital work of the host.

use ndarray::{Array2, s};
use realfft::num_complex::Complex64;
use spu_protocol::code::GainCode;

use crate::board_model::{BoardModel, Law};
use crate::device::BoardInfo;
use crate::linalg::{frobenius, product};
use crate::plan::InversionPlan;

/// A square matrix of complex numbers, row by row.
pub(crate) type Complex = Vec<Vec<Complex64>>;

/// What the samples of a programmed board are distributed like, by the values of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Theory {
    /// Cells in use.
    pub(crate) n: usize,
    /// Sample period, in seconds.
    pub(crate) period_s: f64,
    pub(crate) law: Law,
    /// Root-mean-square current of each cell, in amperes.
    pub(crate) sigma: Vec<f64>,
    /// Stationary covariance of (v, i), in V², V A and A².
    pub(crate) covariance: Array2<f64>,
    /// Variance that the converter's rounding adds to each cell, 1/12 LSB², in V².
    pub(crate) rounding: Vec<f64>,
}

impl Theory {
    pub(crate) fn new(
        plan: &InversionPlan,
        info: &BoardInfo,
        model: &BoardModel,
        gain: GainCode,
    ) -> Self {
        let model = model.first(plan.n);
        let law = model.law(&plan.capacitance);
        let gains = plan.program_with(gain).gain_codes;
        let rms = f64::from(info.raw.noise_rms_code);
        let cells = model.cells.iter().zip(&gains);
        let sigma: Vec<f64> =
            cells.map(|(cell, gain)| gain.factor() * rms * cell.drive_ampere).collect();
        let rounding = model.cells.iter().map(|cell| 1.0 / (12.0 * cell.adc_gain.powi(2)));
        Self {
            n: plan.n,
            period_s: model.period_s,
            covariance: law.covariance(&sigma),
            rounding: rounding.collect(),
            law,
            sigma,
        }
    }

    /// `K(τ) = E[v(t + τ) v(t)ᵀ] = C Φ^τ Σ Cᵀ` at τ = 0, 1 … `count − 1` ticks, in V², without the
    /// converter's rounding.
    pub(crate) fn lagged(&self, count: usize) -> Vec<Array2<f64>> {
        let n = self.n;
        let mut state = self.covariance.slice(s![.., ..n]).to_owned();
        let mut lags = Vec::with_capacity(count);
        for _ in 0..count {
            lags.push(state.slice(s![..n, ..]).to_owned());
            state = product(&self.law.phi, &state);
        }
        lags
    }

    /// Lagged covariances until they stay below 1e-4 of the first one.
    pub(crate) fn all_lags(&self) -> Vec<Array2<f64>> {
        let mut count = 256;
        loop {
            let lags = self.lagged(count);
            let size = frobenius(&lags[0]);
            let tail = lags[count * 3 / 4..].iter().all(|lag| frobenius(lag) < 1e-4 * size);
            if tail || count >= 1 << 18 {
                return lags;
            }
            count *= 2;
        }
    }

    /// `H(e^{iωh}) = C (zI − Φ)⁻¹ Γ`, in V/A, at a frequency in Hz.
    pub(crate) fn transfer(&self, frequency_hz: f64) -> Complex {
        let n = self.n;
        let angle = 2.0 * std::f64::consts::PI * frequency_hz * self.period_s;
        let z = Complex64::new(libm::cos(angle), libm::sin(angle));
        let entry = |i: usize, j: usize| {
            let own = if i == j { z } else { Complex64::default() };
            own - self.law.phi[[i, j]]
        };
        let left = (0..2 * n).map(|i| (0..2 * n).map(|j| entry(i, j)).collect()).collect();
        let gamma = |i: usize| (0..n).map(|j| self.law.gamma[[i, j]].into()).collect();
        let mut response = solve(left, (0..2 * n).map(gamma).collect());
        response.truncate(n);
        response
    }

    /// One-sided power spectral density of each cell, `2 h [H diag(σ²) H*]ᵢᵢ` and the rounding, in
    /// V²/Hz, at a frequency in Hz.
    pub(crate) fn density(&self, frequency_hz: f64) -> Vec<f64> {
        let response = self.transfer(frequency_hz);
        let power = |row: &Vec<Complex64>| -> f64 {
            row.iter().zip(&self.sigma).map(|(h, sigma)| h.norm_sqr() * sigma * sigma).sum()
        };
        let cells = response.iter().map(power).zip(&self.rounding);
        cells.map(|(driven, rounding)| 2.0 * self.period_s * (driven + rounding)).collect()
    }
}

/// Solves `A X = B` by Gaussian elimination with partial pivoting.
pub(crate) fn solve(mut a: Complex, mut b: Complex) -> Complex {
    let n = a.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].norm().total_cmp(&a[j][k].norm())).unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        let (row, right) = (a[k].clone(), b[k].clone());
        for i in k + 1..n {
            let factor = a[i][k] / row[k];
            for (x, y) in a[i][k..].iter_mut().zip(&row[k..]) {
                *x -= factor * y;
            }
            for (x, y) in b[i].iter_mut().zip(&right) {
                *x -= factor * y;
            }
        }
    }
    for k in (0..n).rev() {
        for j in 0..b[k].len() {
            let sum = (k + 1..n).fold(b[k][j], |sum, i| sum - a[k][i] * b[i][j]);
            b[k][j] = sum / a[k][k];
        }
    }
    b
}

/// The identity.
pub(crate) fn identity(n: usize) -> Complex {
    let entry = |i, j| if i == j { 1.0.into() } else { Complex64::default() };
    (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
}
