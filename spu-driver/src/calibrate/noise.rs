//! The noise path: each cell's variance with its generator on, against the measured values.

use std::num::NonZeroU32;

use spu_protocol::code::{GainCode, Ticks, full_scale_code};

use super::findings::Finding;
use super::measure::{Bench, Programming};
use super::plausible::limit;
use crate::board_model::{BoardModel, bank_top};
use crate::device::{AcquirePlan, NullSink};
use crate::error::Error;
use crate::model::{CellModel, Mode};
use crate::plan::{SETTLE_RESIDUE, limit_gain};
use crate::seeds::noise_seeds;

/// Root mean square that the strongest cell is driven to, as a part of the converters' range.
const TARGET_RMS: f64 = 0.15;
/// Effective samples of each cell.
const EFFECTIVE: f64 = 4096.0;
/// Smallest systematic part of a ratio's standard deviation.
const LEAST_SIGMA: f64 = 1e-4;

/// Measured over expected root mean square of a cell's noise, and its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NoiseRatio {
    pub(super) ratio: f64,
    pub(super) sigma: f64,
}

/// Measures with all couplings open, so that each cell shows its own generator only.
pub(super) fn measure(
    bench: &mut Bench<'_>,
    model: &BoardModel,
    sample_variance: f64,
    seed: u64,
) -> Result<Vec<NoiseRatio>, Error> {
    let info = bench.info.clone();
    let n = info.cells;
    let top = bank_top(info.raw.self_bits);
    let programming = Programming { selves: vec![top; n], couplings: vec![0; info.couplings] };
    let c = model.capacitance(&programming.selves, &programming.couplings);
    let unit: Vec<f64> = model
        .cells
        .iter()
        .map(|cell| f64::from(info.raw.noise_rms_code) * cell.drive_ampere)
        .collect();
    let law = model.law(&c).covariance(&unit);
    let codes = |i: usize| model.cells[i].adc_gain * law[[i, i]].sqrt();
    let largest = (0..n).map(codes).fold(0.0, f64::max);
    let target = TARGET_RMS * f64::from(full_scale_code(info.raw.adc_bits));
    let gain = limit_gain(&info, target / largest);
    // Samples of one cell are correlated by its own law.
    let modes: Vec<_> = (0..n)
        .map(|i| {
            let cell = model.cells[i];
            let (r_ohm, l_henry) = (cell.r_ohm, cell.l_henry);
            CellModel { r_ohm, l_henry, period_s: model.period_s }.mode(c[[i, i]])
        })
        .collect();
    let correlated: Vec<f64> = modes
        .iter()
        .map(|mode| {
            let later: f64 = mode.correlations(1).iter().skip(1).map(|rho| rho * rho).sum();
            2.0_f64.mul_add(later, 1.0)
        })
        .collect();
    let slowest = modes.iter().map(Mode::slowest_rate).fold(f64::INFINITY, f64::min);
    let settle = (-libm::log(SETTLE_RESIDUE) / (2.0 * slowest * model.period_s)).ceil();
    let longest = correlated.iter().fold(1.0, |m: f64, x| m.max(*x));
    let count = (EFFECTIVE * longest).ceil() as u32;
    let mut program = bench.program(&programming, &vec![0; n]);
    program.gain_codes = vec![gain; n];
    program.seeds = Some(noise_seeds(seed, 0, n));
    bench.load(&program)?;
    let plan = AcquirePlan {
        settle: Ticks(settle as u64),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN),
        moments: true,
        stream: false,
        realtime: false,
    };
    let report = bench.acquire(&plan, &mut NullSink)?;
    let moments = report
        .moments
        .ok_or_else(|| Error::Corrupt { what: "no moments where they were planned".into() })?;
    let samples = moments.count as f64;
    let mut diagonal = 0;
    Ok((0..n)
        .map(|i| {
            let mean = moments.sums[i] as f64 / samples;
            let variance = moments.products[diagonal] as f64 / samples - mean * mean;
            diagonal += n - i;
            let expected = (codes(i) * GainCode::factor(gain)).powi(2);
            let ratio = ((variance - sample_variance).max(0.0) / expected).sqrt();
            // Var s² = 2 σ⁴ / N_eff, half of it for the root.
            let sigma = (correlated[i] / (2.0 * samples)).sqrt().hypot(LEAST_SIGMA);
            NoiseRatio { ratio, sigma }
        })
        .collect())
}

/// Generators that make another noise than they should.
pub(super) fn judge(noise: &[NoiseRatio]) -> Vec<Finding> {
    let z = limit(noise.len());
    noise
        .iter()
        .enumerate()
        .filter(|(_, noise)| {
            let off = (noise.ratio - 1.0).abs();
            off.is_nan() || off > z * noise.sigma
        })
        .map(|(cell, noise)| Finding::Noise { cell, ratio: noise.ratio, sigma: noise.sigma })
        .collect()
}
