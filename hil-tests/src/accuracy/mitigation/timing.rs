//! Starts and decimations of runs, against those that are chosen.

use anyhow::Result;
use serde::Serialize;
use spu_driver::invert::InvertOptions;
use spu_driver::open;
use spu_driver::plan::{Budget, SETTLE_RESIDUE, Settle};
use spu_driver::route::{Route, plan_route};

use super::{Planned, mean, options};
use crate::accuracy::boards::{REV_A_8_BIT, without_spread};
use crate::accuracy::matrices::programmable;
use crate::median;

/// A start of a run, against the one that is chosen.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Programmings of a run.
    pub programmings: u32,
    /// Effective samples of each.
    pub effective_each: u64,
    /// Runs.
    pub runs: usize,
    /// Its name.
    pub start: &'static str,
    /// Ticks of settling before each programming.
    pub settle_ticks: u64,
    /// Part of the board's time that they are.
    pub settle_share: f64,
    /// Part of the board's time that setting the gain takes.
    pub gain_share: f64,
    /// Root mean square error, relative Frobenius.
    pub rms: f64,
    /// Mean squared error over that of the chosen start, the same time on the board and the same noise.
    pub squared_ratio: f64,
    /// Its standard error.
    pub ratio_error: f64,
    /// Mean relative error along the inverse, and its standard error.
    pub bias: f64,
    /// Its standard error.
    pub bias_error: f64,
}

/// Starts of runs at a fixed total time.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn starts(programmings: u32, effective_each: u64, runs: u64, seed: u64) -> Result<Vec<Start>> {
    let mut device = open(&without_spread(REV_A_8_BIT))?;
    let effective = effective_each * u64::from(programmings);
    let matrix = Planned::new(device.as_ref(), programmings, effective, 0)?;
    let plan = &matrix.route.plans[0];
    let (best, full) = (plan.settle_for_mean(), plan.settle);
    // Half and twice of no wait are no wait: then longer ones, by the slowest mode's time constant.
    let tau = (full as f64 / -SETTLE_RESIDUE.ln()).round() as u64;
    let beside = if best > 0 {
        [("none", 0), ("half", best / 2), ("twice", 2 * best)]
    } else {
        [("half a time constant", tau / 2), ("one time constant", tau), ("three", 3 * tau)]
    };
    let starts: Vec<(&str, Settle)> = [("chosen", best)]
        .into_iter()
        .chain(beside)
        .chain([("to one in a million", full)])
        .map(|(name, wait)| (name, Settle::Ticks(wait)))
        .chain([("kept", Settle::Keep)])
        .collect();
    let ticks = (best + plan.samples * u64::from(plan.decimation)) as f64;
    let mut found: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); starts.len()];
    let mut shares = vec![(0.0, 0.0); starts.len()];
    for seed in seed..seed + runs {
        for (index, (_, start)) in starts.iter().enumerate() {
            let wait = if let Settle::Ticks(wait) = start { *wait } else { 0 };
            let part = (ticks - wait as f64) / (ticks - best as f64);
            let options = options(effective, seed);
            let result = matrix.read(device.as_mut(), *start, part, &options)?;
            found[index].push(matrix.errors(&result));
            let all = result.ticks.0 as f64;
            shares[index] = (result.settle_ticks.0 as f64 / all, result.gain_ticks.0 as f64 / all);
        }
    }
    let squares = |index: usize| found[index].iter().map(|one| one.1);
    let (least, _) = mean(&squares(0).collect::<Vec<_>>());
    Ok(starts
        .iter()
        .enumerate()
        .map(|(index, (name, start))| {
            let differences: Vec<f64> =
                squares(index).zip(squares(0)).map(|(x, y)| x - y).collect();
            let (more, error) = mean(&differences);
            let (bias, bias_error) =
                mean(&found[index].iter().map(|one| one.0).collect::<Vec<_>>());
            Start {
                programmings,
                effective_each,
                runs: runs as usize,
                start: name,
                settle_ticks: if let Settle::Ticks(wait) = start { *wait } else { 0 },
                settle_share: shares[index].0,
                gain_share: shares[index].1,
                rms: (least + more).sqrt(),
                squared_ratio: 1.0 + more / least,
                ratio_error: error / least,
                bias,
                bias_error,
            }
        })
        .collect())
}

/// A decimation, against keeping every tick.
#[derive(Debug, Serialize)]
pub struct Decimation {
    /// Matrices, one run each.
    pub runs: usize,
    /// Decimation over the chosen one; `None` keeps every tick.
    pub over_chosen: Option<f64>,
    /// Median of the decimations.
    pub decimation: f64,
    /// Effective samples a tick over those with every tick kept, by the plans' spectra; median.
    pub planned: f64,
    /// Mean squared error with every tick kept over this one's, the same time and the same noise.
    pub measured: f64,
    /// Its standard error.
    pub measured_error: f64,
}

/// Decimations at a fixed time.
///
/// # Errors
/// What keeps a board from running, or a matrix from being one.
pub fn decimations(runs: u64, seed: u64) -> Result<Vec<Decimation>> {
    const EFFECTIVE: u64 = 2_000;
    let over = [None, Some(0.5), Some(1.0), Some(2.0), Some(4.0)];
    let mut device = open(&without_spread(REV_A_8_BIT))?;
    let mut squares: Vec<Vec<f64>> = vec![Vec::new(); over.len()];
    let mut planned = squares.clone();
    let mut used = squares.clone();
    for seed in seed..seed + runs {
        let a = programmable(seed)?;
        let chosen = plan_route(Route::Direct, &a, device.info(), &options(EFFECTIVE, seed))?;
        let (every, samples) = (chosen.plans[0].decimation, chosen.plans[0].samples);
        let mut finest = 0.0;
        for (index, over) in over.iter().enumerate() {
            let decimation =
                over.map_or(1, |over| (f64::from(every) * over).round().max(1.0) as u32);
            let samples = samples * u64::from(every) / u64::from(decimation);
            let budget =
                Budget { samples: Some(samples), decimation: Some(decimation), effective: None };
            let options = InvertOptions { budget, seed, ..InvertOptions::default() };
            let route = plan_route(Route::Direct, &a, device.info(), &options)?;
            let matrix = Planned::of(a.clone(), route);
            let result = matrix.read(device.as_mut(), Settle::Reset, 1.0, &options)?;
            squares[index].push(matrix.errors(&result).1);
            let rate = result.effective_planned / (samples * u64::from(decimation)) as f64;
            if index == 0 {
                finest = rate;
            }
            planned[index].push(rate / finest);
            used[index].push(f64::from(decimation));
        }
    }
    let (least, _) = mean(&squares[0]);
    let rows = over.iter().zip(&squares).zip(planned.into_iter().zip(used));
    Ok(rows
        .map(|((over, here), (planned, used))| {
            let differences: Vec<f64> = here.iter().zip(&squares[0]).map(|(x, y)| x - y).collect();
            let (more, error) = mean(&differences);
            let ratio = least / (least + more);
            Decimation {
                runs: runs as usize,
                over_chosen: *over,
                decimation: median(used),
                planned: median(planned),
                measured: ratio,
                measured_error: ratio * ratio * error / least,
            }
        })
        .collect())
}
