//! Accuracy of the simulated board against laws that do not come from the simulator.

use std::num::NonZeroU32;

use anyhow::Context;
use ndarray::{Array2, array};
use spu_driver::invert::{InvertOptions, Quiet, invert};
use spu_driver::linalg::{from_eigen, relative_error};
use spu_driver::matrix::SpdMatrix;
use spu_driver::plan::{Budget, InversionPlan};
use spu_driver::seeds::noise_seeds;
use spu_driver::{AcquirePlan, Deadline, NullSink, open};
use spu_protocol::code::Ticks;

use crate::Figure;

/// `examples/published-like.mtx`: a ring of 8 cells with three chords.
pub(crate) fn published_like() -> anyhow::Result<SpdMatrix> {
    let mut a = Array2::<f64>::eye(8) * 4.0;
    let ring = (0..8).map(|i| (i, (i + 1) % 8, if i % 2 == 0 { 3.0 } else { 2.0 }));
    for (i, j, weight) in ring.chain([(0, 3, 1.0), (1, 6, 1.0), (4, 7, 1.0)]) {
        a[[i, j]] -= weight;
        a[[j, i]] -= weight;
        a[[i, i]] += weight;
        a[[j, j]] += weight;
    }
    Ok(SpdMatrix::new(&a, 0.0)?)
}

/// A well-conditioned grounded chain.
fn chain() -> anyhow::Result<SpdMatrix> {
    let a = array![
        [3.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5],
        [-1.0, 2.6, -0.8, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -0.8, 3.2, -1.2, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, -1.2, 2.9, -0.9, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, -0.9, 2.4, -0.7, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, -0.7, 3.5, -1.5, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -1.5, 3.8, -1.1],
        [-0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -1.1, 2.7]
    ];
    Ok(SpdMatrix::new(&a, 0.0)?)
}

fn effective(samples: u64) -> Budget {
    Budget { effective: Some(samples), ..Budget::default() }
}

/// Median error of uncalibrated `rev-a` boards at `N_eff` = 12,000.
pub(crate) fn uncalibrated(quick: bool) -> anyhow::Result<Figure> {
    let boards = if quick { 200 } else { 1000 };
    let a = published_like()?;
    let reference = a.digital_inverse();
    let options = InvertOptions { budget: effective(12_000), ..InvertOptions::default() };
    let mut errors = (0..boards)
        .map(|board| {
            let mut device = open(&format!("sim:profile=rev-a,seed={board}"))?;
            let options = InvertOptions { seed: board, ..options.clone() };
            let result = invert(device.as_mut(), &a, &options, &Quiet)?;
            Ok(relative_error(&result.inverse, &reference))
        })
        .collect::<anyhow::Result<Vec<f64>>>()?;
    errors.sort_by(f64::total_cmp);
    let at = |part: f64| errors[(part * (errors.len() - 1) as f64).round() as usize];
    Ok(Figure {
        value: at(0.5),
        detail: format!(
            "{boards} draws of rev-a, N_eff 12,000, published-like.mtx; 5 to 95 % of the draws: \
             {:.3} to {:.3}",
            at(0.05),
            at(0.95)
        ),
    })
}

/// Root mean square error of the `ideal` board's inverse over the predicted one.
pub(crate) fn ideal_over_bound(quick: bool) -> anyhow::Result<Figure> {
    let (runs, samples) = if quick { (20, 300_000) } else { (50, 1_000_000) };
    let a = chain()?;
    let reference = a.digital_inverse();
    let mut sum = 0.0;
    let mut error = 0.0;
    for seed in 0..runs {
        let mut device = open("sim:profile=ideal")?;
        let options =
            InvertOptions { budget: effective(samples), seed, ..InvertOptions::default() };
        let result = invert(device.as_mut(), &a, &options, &Quiet)?;
        error = relative_error(&result.inverse, &reference);
        sum += (error / result.predicted_error).powi(2);
    }
    Ok(Figure {
        value: (sum / runs as f64).sqrt(),
        detail: format!(
            "{runs} runs at N_eff {samples}, condition {:.1}; error of the last one {error:.5}",
            a.condition()
        ),
    })
}

/// Relative error of the sampled covariance against the discrete Lyapunov solution.
pub(crate) fn lyapunov(quick: bool) -> anyhow::Result<Figure> {
    let samples: u64 = if quick { 15_000_000 } else { 30_000_000 };
    let a = chain()?;
    let mut device = open("sim:profile=ideal")?;
    let info = device.info().clone();
    let plan = InversionPlan::new(&a, &info, &effective(samples))?;
    let mut program = plan.program_with(plan.safe_gain);
    program.seeds = Some(noise_seeds(1, 0, info.cells));
    let applied = device.load(&program, Deadline::after_secs(10))?;
    let sigma = applied.noise_rms_ampere[0];
    let acquire = AcquirePlan {
        settle: Ticks(plan.settle),
        decimation: NonZeroU32::new(plan.decimation).context("no decimation")?,
        count: u32::try_from(plan.samples).ok().and_then(NonZeroU32::new).context("too many")?,
        moments: true,
        stream: false,
        realtime: false,
    };
    let report = device.acquire(&acquire, &mut NullSink, Deadline::after_secs(600))?;
    let moments = report.moments.context("no moments")?;
    let count = moments.count as f64;
    let lsb = f64::from(info.raw.adc_lsb_volt);
    let mut pair = 0;
    let mut sampled = Array2::zeros((8, 8));
    for i in 0..8 {
        for j in i..8 {
            let mean = moments.sums[i] as f64 / count * (moments.sums[j] as f64 / count);
            let rounding = if i == j { 1.0 / 12.0 } else { 0.0 };
            let value = (moments.products[pair] as f64 / count - mean - rounding) * lsb * lsb;
            sampled[[i, j]] = value;
            sampled[[j, i]] = value;
            pair += 1;
        }
    }
    let variances = plan.modes.iter().map(|mode| mode.variance(sigma)).collect();
    let law = from_eigen(&variances, &plan.vectors);
    Ok(Figure {
        value: relative_error(&sampled, &law),
        detail: format!(
            "ideal, N_eff {:.3e} ({} kept, one in {}), plan's own law Σ = ΦΣΦᵀ + ΓΓᵀσ²",
            plan.effective, plan.samples, plan.decimation
        ),
    })
}
