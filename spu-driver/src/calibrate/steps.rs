//! The step responses at all bank settings, and their fits.

use spu_protocol::code::full_scale_code;

use super::CalibrateError;
use super::findings::Finding;
use super::global::Nominal;
use super::local::{Fit, StepRun, fit, pair};
use super::measure::{Bench, Programming};
use super::response::{Local, Schedule, responses};
use super::schedule::schedule;
use crate::error::Error;
use crate::invert::Progress;
use crate::model::CellModel;

/// Part of the converters' range that steps fill.
const TARGET: f64 = 0.78;
/// Height of the second step of each cell over that of the first: down, and not as far, so that the
/// rounding errors of both have nothing in common.
const SECOND: f64 = -0.77;

/// The fits of all settings.
pub(super) struct Measured {
    pub(super) fits: Vec<Fit>,
    pub(super) schedules: Vec<Schedule>,
}

/// Measures and fits. `drives` are those of the cells relative to nominal, as a first look showed.
pub(super) fn measure(
    bench: &mut Bench<'_>,
    nominal: &Nominal,
    programmings: &[Programming],
    drives: &[f64],
    progress: &dyn Progress,
) -> Result<Measured, CalibrateError> {
    let cell = CellModel::of(&bench.info.raw);
    let full = f64::from(full_scale_code(bench.info.raw.adc_bits));
    let most = bench.info.raw.capture_frames as usize;
    let mut starts = Vec::new();
    let mut schedules = Vec::new();
    for programming in programmings {
        let mut local = nominal.local(&nominal.model, programming);
        local.drive.iter_mut().zip(drives).for_each(|(drive, factor)| *drive *= factor);
        let c = nominal.model.capacitance(&programming.selves, &programming.couplings);
        schedules.push(schedule(&local, &c, &cell, most, TARGET * full).ok_or_else(not_definite)?);
        starts.push(local);
    }
    let runs = 2 * bench.info.cells as u64;
    let total: u64 = schedules.iter().map(|schedule| runs * schedule.ticks() as u64).sum();
    let mut done = 0;
    let mut fits: Vec<Fit> = Vec::with_capacity(programmings.len());
    for (setting, programming) in programmings.iter().enumerate() {
        let (schedule, nominal_start) = (&schedules[setting], &starts[setting]);
        let data = responses_of(bench, programming, nominal_start, schedule)?;
        done += runs * schedule.ticks() as u64;
        progress.update(0, done, total);
        let start = fits.last().map_or_else(
            || nominal_start.clone(),
            |last| Local { c: nominal_start.c, ..last.local.clone() },
        );
        let Some(fit) = fit(&data, &start, schedule) else {
            let finding = Finding::Misfit { setting: Some(setting), excess: f64::INFINITY };
            return Err(CalibrateError::BadBoard { findings: vec![finding] });
        };
        fits.push(fit);
    }
    Ok(Measured { fits, schedules })
}

fn not_definite() -> Error {
    Error::Corrupt { what: "nominal values of which no responses follow".into() }
}

/// The responses to a step up and a step down of every cell.
fn responses_of(
    bench: &mut Bench<'_>,
    programming: &Programming,
    start: &Local,
    schedule: &Schedule,
) -> Result<Vec<StepRun>, Error> {
    let n = bench.info.cells;
    let full = f64::from(full_scale_code(bench.info.raw.adc_bits));
    let most = f64::from(full_scale_code(bench.info.raw.dac_bits));
    let unit = responses(start, schedule).ok_or_else(not_definite)?;
    let mut runs = Vec::with_capacity(2 * n);
    for input in 0..n {
        let peak = (0..n)
            .flat_map(|i| unit.iter().skip(pair(n, i, input)).step_by(start.pairs()))
            .fold(0.0_f64, |peak, x| peak.max(x.abs()));
        let mut height = (TARGET * full / (peak * start.drive[input].abs())).min(most);
        for part in [1.0, SECOND] {
            let run = loop {
                let bias = (part * height).round() as i16;
                let (run, saturated) = bench.run(programming, input, bias, schedule.ticks())?;
                if saturated.iter().all(|count| *count == 0) {
                    break run;
                }
                height *= 0.7;
                if height < 2.0 {
                    let what = "converters saturate however small a step is".to_owned();
                    return Err(Error::Corrupt { what });
                }
            };
            runs.push(run);
        }
    }
    Ok(runs)
}
