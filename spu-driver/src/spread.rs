//! How far apart copies of a board may lie, from the spreads that its profile states.
//!
//! Draws of whole boards are computed on the host by the white-noise law, `F Σ + Σ Fᵀ + Q = 0`, and
//! compared in pairs by the affine-invariant distance, which scaling and units do not change.

use nalgebra::DMatrix;
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::device::BoardInfo;
use crate::linalg::affine_distance;
use crate::linalg::flops::count;
use crate::plan::InversionPlan;

/// Number of pairs of boards that are drawn.
const PAIRS: usize = 128;
/// Standard deviations of the normal law beyond which 1e-6 of it lies.
const SIGMAS: f64 = 4.753;

/// Largest affine distance of two copies that the stated spreads explain, exceeded by chance in
/// about one pair in a million (log-normal fit to the draws).
pub(crate) fn distance_limit(plan: &InversionPlan, info: &BoardInfo) -> f64 {
    let raw = &info.raw;
    let spreads =
        [raw.drive_spread, raw.bank_spread, raw.adc_gain_spread, raw.r_spread, raw.l_spread];
    if spreads.iter().all(|s| *s == 0.0) {
        return 0.0;
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0x5350_5552);
    let logs: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let (a, b) = (draw(plan, info, &mut rng), draw(plan, info, &mut rng));
            libm::log(affine_distance(&a, &b))
        })
        .filter(|log| log.is_finite())
        .collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    libm::exp(SIGMAS.mul_add(variance.sqrt(), mean))
}

/// Covariance of the voltages, in arbitrary units, of one board drawn by the profile's spreads.
fn draw(plan: &InversionPlan, info: &BoardInfo, rng: &mut Xoshiro256PlusPlus) -> Array2<f64> {
    let n = plan.n;
    let raw = &info.raw;
    let factor =
        |rng: &mut Xoshiro256PlusPlus, spread: f32| f64::from(spread).mul_add(normal(rng), 1.0);
    let nominal = &plan.capacitance;
    let mut c = DMatrix::zeros(n, n);
    for i in 0..n {
        let own = nominal[[i, i]]
            - (0..n).filter(|&j| j != i).map(|j| nominal[[i, j]].abs()).sum::<f64>();
        c[(i, i)] += own * factor(rng, raw.bank_spread);
        for j in i + 1..n {
            let value = nominal[[i, j]] * factor(rng, raw.bank_spread);
            c[(i, i)] += value.abs();
            c[(j, j)] += value.abs();
            c[(i, j)] = value;
            c[(j, i)] = value;
        }
    }
    let drive: Vec<f64> = (0..n).map(|_| factor(rng, raw.drive_spread)).collect();
    let gain: Vec<f64> = (0..n).map(|_| factor(rng, raw.adc_gain_spread)).collect();
    let r: Vec<f64> = (0..n).map(|_| f64::from(raw.r_ohm) * factor(rng, raw.r_spread)).collect();
    let l: Vec<f64> = (0..n).map(|_| f64::from(raw.l_henry) * factor(rng, raw.l_spread)).collect();
    let sigma = stationary(&c, &r, &l, &drive);
    Array2::from_shape_fn((n, n), |(i, j)| gain[i] * sigma[(i, j)] * gain[j])
}

/// Voltage block of the stationary covariance under white noise of intensity `drive²` per cell:
/// the integral of `exp(F t) Q exp(Fᵀ t)`, by doubling. All zero if C is singular.
fn stationary(c: &DMatrix<f64>, r: &[f64], l: &[f64], drive: &[f64]) -> DMatrix<f64> {
    let n = r.len();
    let product = 2 * (2 * n).pow(3);
    // The inverse and what it is multiplied with; each exponential counts as six products.
    count(product + 16 * product);
    let Some(inverse) = c.clone().try_inverse() else {
        return DMatrix::zeros(n, n);
    };
    // Currents in units of the nominal impedance keep both halves of the state alike in size.
    let scale = (l[0] / c[(0, 0)].abs()).sqrt();
    let mut f = DMatrix::zeros(2 * n, 2 * n);
    let mut q = DMatrix::zeros(2 * n, 2 * n);
    for i in 0..n {
        f[(n + i, i)] = scale / l[i];
        for j in 0..n {
            f[(i, j)] = -inverse[(i, j)] / r[j];
            f[(i, n + j)] = -inverse[(i, j)] / scale;
            q[(i, j)] =
                (0..n).map(|k| inverse[(i, k)] * drive[k] * drive[k] * inverse[(k, j)]).sum();
        }
    }
    // One small step, then the integral over twice the time again and again.
    let h = 0.05 / f.norm();
    let mut phi = (&f * h).exp();
    let mid = (&f * (0.5 * h)).exp();
    let mut sigma =
        (&q + &mid * &q * mid.transpose() * 4.0 + &phi * &q * phi.transpose()) * (h / 6.0);
    for _ in 0..60 {
        let more = &phi * &sigma * phi.transpose();
        count(3 * product);
        let done = more.norm() < 1e-10 * sigma.norm();
        sigma += more;
        phi = &phi * &phi;
        if done {
            break;
        }
    }
    sigma.view((0, 0), (n, n)).into_owned()
}

/// A standard normal number (Box and Muller 1958).
pub(crate) fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
    let uniform = |x: u64| ((x >> 11) as f64 + 0.5) * UNIT;
    let radius = (-2.0 * libm::log(uniform(rng.next_u64()))).sqrt();
    radius * libm::cos(2.0 * std::f64::consts::PI * uniform(rng.next_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_cells_give_the_inverse_capacitance() {
        let c = DMatrix::from_row_slice(2, 2, &[3e-9, -1e-9, -1e-9, 2e-9]);
        let (r, l) = (1200.0, 820e-6);
        let sigma = stationary(&c, &[r; 2], &[l; 2], &[1.0; 2]);
        // Q has intensity 1, that is 2 κ0 = 1, so cov(v) = ½ R C⁻¹.
        let expected = c.try_inverse().expect("regular") * (0.5 * r);
        assert!((sigma - &expected).norm() < 1e-5 * expected.norm());
    }
}
