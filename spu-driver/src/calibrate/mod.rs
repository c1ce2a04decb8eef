//! Calibration of a board from measurements alone.
//!
//! **What is measured.** Without noise, a step of one cell's bias DAC from rest gives a response of all
//! coupled cells that is known up to the rounding of the converters. Every cell is stepped, up and down,
//! at a number of bank settings in which every element of every bank is on and off often enough.
//!
//! **What comes out.** At each setting the capacitance matrix in the units of the codes and the
//! conductances, inverse inductances, drives and offsets are fitted by maximum likelihood. All settings
//! together give, by generalised least squares, every bank element, stray capacitances, R, L, drive, the
//! relative gains of the converters and their offsets, with their covariance. A coupling element that adds
//! `c / g_i²` and `c / g_j²` on the diagonal and `∓c / (g_i g_j)` beside it is what shows the gains.
//!
//! **What cannot be seen** in codes is the size of the volt and that of the ohm: the mean converter gain
//! and the sum of all bank elements are taken to be nominal. No inverse depends on them.
//!
//! **What is refused.** A board with a fault is not calibrated: [`CalibrateError::BadBoard`] names every
//! cell, pair and bit. Tests on a good board raise a false alarm with a probability of at most about
//! [`FALSE_ALARM`] each (values, settings, noise).

mod design;
mod findings;
pub(crate) mod global;
mod local;
mod measure;
mod noise;
mod plausible;
mod record;
mod response;
mod schedule;
mod screen;
mod sentinel;
mod steps;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::time::Duration;

use spu_protocol::payload::info::BoardKind;

pub use findings::Finding;
pub use sentinel::{SHAPE, Verdict, sentinel};

use crate::calibration::{Calibration, DEFAULT_VALID_DAYS, Depth};
use crate::device::{BoardInfo, Device};
use crate::error::Error;
use crate::invert::Progress;
use global::{Nominal, combine};
use local::Fit;
use measure::Bench;

/// Probability with which a test of a good board may raise an alarm.
pub const FALSE_ALARM: f64 = 1e-6;

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The device, or what it cannot do.
    #[error(transparent)]
    Device(#[from] Error),
    /// The board has a fault. Nothing is kept.
    #[error("the board is not fit for use: {}", list(findings))]
    BadBoard {
        /// Every fault that was found.
        findings: Vec<Finding>,
    },
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Options of [`calibrate`].
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrateOptions {
    /// How much to measure.
    pub depth: Depth,
    /// The time now, in seconds since 1970.
    pub created: u64,
    /// For how many seconds the calibration holds.
    pub valid_s: u64,
    /// Temperature of the board, in °C, if known.
    pub temperature_c: Option<f64>,
    /// Seed of the noise generators, for the test of the noise path.
    pub seed: u64,
    /// Longest time for one call on the device; `None` leaves ample time for a simulator.
    pub timeout: Option<Duration>,
}

impl CalibrateOptions {
    /// A quick calibration at this time, in seconds since 1970.
    pub fn at(created: u64) -> Self {
        Self {
            depth: Depth::Quick,
            created,
            valid_s: DEFAULT_VALID_DAYS * 86_400,
            temperature_c: None,
            seed: 1,
            timeout: None,
        }
    }
}

/// Calibrates a board. It is left without noise and bias, with all self terms connected.
///
/// # Errors
/// [`CalibrateError::BadBoard`]; [`Error::Unsupported`] for a board of another kind;
/// [`Error::Cancelled`]; link errors. Nothing is stored.
///
/// # Examples
/// ```
/// use spu_driver::calibrate::{CalibrateOptions, calibrate};
/// use spu_driver::invert::Quiet;
///
/// let mut device = spu_driver::open("sim:profile=rev-a,seed=7")?;
/// let calibration = calibrate(device.as_mut(), &CalibrateOptions::at(1_700_000_000), &Quiet)?;
/// let drive = calibration.record().cells[0].drive_ampere;
/// assert!(drive.sigma < 1e-4 * drive.value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn calibrate(
    device: &mut dyn Device,
    options: &CalibrateOptions,
    progress: &dyn Progress,
) -> Result<Calibration, CalibrateError> {
    let info = device.info().clone();
    refuse(&info)?;
    let nominal = Nominal::of(&info);
    let mut bench = Bench::new(device, options.timeout);
    let result = run(&mut bench, &info, &nominal, options, progress);
    let idle = bench.rest();
    let calibration = result?;
    idle?;
    Ok(calibration)
}

fn refuse(info: &BoardInfo) -> Result<(), Error> {
    let mut reasons = Vec::new();
    if info.kind() != BoardKind::Rlc {
        reasons.push(format!("profile {} is not an RLC board; {}", info.profile, info.purpose()));
    }
    if info.cells < 2 {
        reasons.push("a board of one cell has no couplings, from which gains are told".to_owned());
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Unsupported { reasons }) }
}

fn run(
    bench: &mut Bench<'_>,
    info: &BoardInfo,
    nominal: &Nominal,
    options: &CalibrateOptions,
    progress: &dyn Progress,
) -> Result<Calibration, CalibrateError> {
    let bad = |findings| CalibrateError::BadBoard { findings };
    let drives = screen::screen(bench, nominal)?.map_err(bad)?;
    let bits = usize::from(info.raw.self_bits.max(info.raw.coupling_bits));
    let count = match options.depth {
        Depth::Quick => bits + 4,
        Depth::Full => 2 * bits + 4,
    };
    let programmings = design::programmings(info, count);
    let measured = steps::measure(bench, nominal, &programmings, &drives, progress)?;
    let fits: Vec<Fit> = measured.fits;
    let misfits = plausible::misfits(&fits, info);
    let stuck = plausible::stuck_couplings(nominal, &programmings, &fits);
    if !stuck.is_empty() {
        return Err(bad(stuck));
    }
    if !misfits.is_empty() {
        return Err(bad(misfits));
    }
    let freedom: f64 = fits.iter().map(|fit| fit.freedom).sum();
    let variance = fits.iter().map(|fit| fit.squares).sum::<f64>() / freedom;
    let Some(solution) = combine(nominal, &programmings, &fits, variance) else {
        return Err(bad(vec![Finding::Misfit { setting: None, excess: f64::INFINITY }]));
    };
    let stuck = plausible::stuck_selves(nominal, &solution);
    if !stuck.is_empty() {
        return Err(bad(stuck));
    }
    let mut findings = plausible::implausible(nominal, info, &solution);
    findings.extend(plausible::disagreements(&solution));
    if !findings.is_empty() {
        return Err(bad(findings));
    }
    let model = nominal.model(&solution.x);
    let noise = noise::measure(bench, &model, variance, options.seed)?;
    let findings = noise::judge(&noise);
    if !findings.is_empty() {
        return Err(bad(findings));
    }
    let codes = (info.raw.adc_bits, info.raw.dac_bits);
    let sentinel = sentinel::design(
        nominal,
        &programmings[0],
        &measured.schedules[0],
        &solution,
        variance,
        codes,
    )
    .ok_or_else(|| Error::Corrupt { what: "values of which no responses follow".into() })?;
    let measurement = record::Measurement {
        info,
        nominal,
        programmings: &programmings,
        schedules: &measured.schedules,
        fits: &fits,
        variance,
        solution: &solution,
        noise: &noise,
        ticks: bench.ticks,
    };
    let record = record::record(&measurement, sentinel, options);
    Calibration::new(record).map_err(|why| Error::Corrupt { what: why }.into())
}
