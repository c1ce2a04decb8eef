//! Runs the array and reads its nodes.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::Ticks;
use spu_protocol::payload::bulk::Region;
use spu_protocol::regs::{self, array_range, control};

use super::{Factored, Loaded, since, unsupported, write};
use crate::device::{AcquirePlan, Deadline, Device, NullSink, Outcome, Phases};
use crate::error::Error;
use crate::plan::NOISE_PEAK;
use crate::seeds::noise_seeds;
use crate::time;

/// Part of the converter's range that a run aims at.
const AIM: f64 = 0.7;
/// Part of the range that is used at least, where that is possible.
const USED: f64 = 0.3;
/// Most runs to find an amplitude.
const MAX_RUNS: u32 = 12;
/// Most of ‖σF‖ times a tick with noise: the staircase of the noise DAC lowers a mode's variance
/// by (σ f h)²/12, that is 0.5 % at most.
const NOISY_RATE: f64 = 0.25;
/// Largest exponent of a range.
const RANGES: u32 = 15;
/// Noise gain of 1.
const UNIT_GAIN: f64 = 4096.0;

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelaxOptions {
    /// Damping λ > 0.
    pub damping: f64,
    /// Time t ≥ 0, in F's units; infinite for the equilibrium, as near as the converter tells.
    pub time: f64,
    /// Strength κ₀ ≥ 0 of the noise, `dx = −(F x − g) dt + N[0, 2κ₀ dt]`.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// Most wall time of one run, or one request.
    pub timeout: Duration,
}

/// What a run read.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxation {
    /// x at the end, N.
    pub x: Vec<f64>,
    /// Ticks of one run.
    pub ticks: u64,
    /// Runs, those that found the amplitude included.
    pub runs: u32,
    /// Largest voltage over the converter's range.
    pub used: f64,
    /// The converter's step in units of x.
    pub step: f64,
    /// Time of the run in τ of the array.
    pub array_time: f64,
    /// Wall time by phase.
    pub phases: Phases,
}

/// σ and what follows from it.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// Drift of the array over F.
    sigma: f64,
    ticks: u32,
}

impl Factored {
    /// Lets `ẋ = −((Jᵀ H J + λ) x − g)` run from x₀ = `start`, and reads x. Where a converter saturates
    /// or little of its range is used, the run is repeated at another amplitude. What is read depends on
    /// nothing that ran before.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for values that no array can run, with the reasons, and for a drift
    /// that shows itself unstable; what the device says.
    pub fn relax(
        &self,
        device: &mut dyn Device,
        loaded: &Loaded,
        gradient: &[f64],
        start: &[f64],
        options: &RelaxOptions,
    ) -> Result<Relaxation, Error> {
        check(loaded, gradient, start, options)?;
        let mut phases = Phases::default();
        let began = time::now();
        let course = self.course(loaded, options)?;
        self.program(device, loaded, course, options)?;
        phases.program += since(began);

        let d = self.descriptor;
        let full = d.adc_lsb * f64::from(d.adc_top);
        let (g, x0) = (largest(gradient), largest(start));
        let span = options.time.min(1.0 / options.damping);
        // Every entry of a stable run is below this.
        let bound = norm(start) + span * norm(gradient);
        let guess = x0.max(span * g);
        // Volts for a unit of x: the start, the input and the noise must fit their converters.
        let held = full * (1.0 - 0.5 / f64::from(d.adc_top));
        let noise = (2.0 * options.noise * course.sigma / d.tick).sqrt();
        let noise_volt = d.drive_volt / NOISE_PEAK;
        let limits = [(x0, held), (course.sigma * g, d.drive_volt), (noise, noise_volt)];
        let most = limits
            .into_iter()
            .filter(|(value, _)| *value > 0.0)
            .map(|(value, volts)| volts / value)
            .fold(f64::INFINITY, f64::min);
        if most.is_infinite() {
            // Nothing moves.
            let x = vec![0.0; loaded.columns];
            let (ticks, array_time) = (0, 0.0);
            return Ok(Relaxation { x, ticks, runs: 0, used: 0.0, step: 0.0, array_time, phases });
        }
        let mut scale = if guess > 0.0 { (AIM * full / guess).min(most) } else { most };
        let mut ceiling = most;
        let mut codes = vec![0_i16; loaded.columns];
        for run in 1..=MAX_RUNS {
            let began = time::now();
            self.drive(device, (gradient, start), course, options, scale, noise * scale)?;
            phases.program += since(began);
            if options.time > 0.0 {
                let began = time::now();
                acquire(device, course.ticks, options.timeout)?;
                phases.acquire += since(began);
            }
            let began = time::now();
            device.bulk()?.read(Region::State, 0, &mut codes, Deadline::after(options.timeout))?;
            phases.transfer += since(began);
            let peak = codes.iter().map(|code| code.unsigned_abs()).max().unwrap_or(0);
            let used = f64::from(peak) / f64::from(d.adc_top);
            // Noise adds to the bound; 10 of its standard deviations never do.
            let noisy = 10.0 * (options.noise * span.max(1.0 / options.damping)).sqrt();
            if used >= 1.0 {
                if scale * (bound + noisy) < 0.9 * full {
                    return Err(unstable(loaded, options.damping));
                }
                ceiling = scale;
                scale *= 0.25;
                continue;
            }
            let wanted = (scale * AIM / used.max(1e-3)).min(0.9 * ceiling).min(most);
            if used >= USED || wanted <= 1.2 * scale || run == MAX_RUNS {
                let step = d.adc_lsb / scale;
                return Ok(Relaxation {
                    x: codes.iter().map(|code| f64::from(*code) * step).collect(),
                    ticks: if options.time > 0.0 { course.ticks.into() } else { 0 },
                    runs: run,
                    used,
                    step,
                    array_time: f64::from(course.ticks) * d.tick,
                    phases,
                });
            }
            scale = wanted;
        }
        Err(unsupported(format!(
            "no amplitude was found in {MAX_RUNS} runs at which nothing saturates"
        )))
    }

    /// σ as large as H, λ and, with noise, the staircase allow, and such that the time is a whole number
    /// of ticks.
    fn course(&self, loaded: &Loaded, options: &RelaxOptions) -> Result<Course, Error> {
        let d = &self.descriptor;
        let mut sigma = d.damping_lsb * f64::from(d.damping_top) / options.damping;
        if loaded.largest > 0.0 {
            sigma = sigma.min(d.element.powi(3) / loaded.largest);
        }
        if options.noise > 0.0 {
            let rate = loaded.curvature_bound() + options.damping;
            sigma = sigma.min(NOISY_RATE / (rate * d.tick));
        }
        // e^{−λt} below a quarter of the converter's step.
        let settled = (4.0 * f64::from(d.adc_top)).ln() / options.damping;
        let time = if options.time.is_finite() { options.time } else { settled };
        if time == 0.0 {
            return Ok(Course { sigma, ticks: 1 });
        }
        let ticks = (time / (sigma * d.tick)).ceil().max(1.0);
        if ticks > f64::from(u32::MAX) {
            return Err(unsupported(format!(
                "time {time} takes {ticks:e} ticks of the array, at most {} can be run: the largest \
                 entries of the curvature ({:e}) are too far from λ = {}",
                u32::MAX,
                loaded.largest,
                options.damping
            )));
        }
        let course = Course { sigma: time / (ticks * d.tick), ticks: ticks as u32 };
        if course.sigma * options.damping < 0.5 * d.damping_lsb {
            return Err(unsupported(format!(
                "λ = {} is below half a step of the damping resistors ({:e}): raise it",
                options.damping,
                d.damping_lsb / course.sigma
            )));
        }
        Ok(course)
    }

    /// Sets H and λ.
    fn program(
        &self,
        device: &mut dyn Device,
        loaded: &Loaded,
        course: Course,
        options: &RelaxOptions,
    ) -> Result<(), Error> {
        let d = &self.descriptor;
        let (rows, top) = (loaded.rows, f64::from(d.top));
        let factor = course.sigma * top / d.element.powi(3);
        let words = Region::row_words(rows);
        let mut codes = Vec::with_capacity(rows * 2 * words);
        for row in loaded.h.chunks(rows.max(1)) {
            codes
                .extend(row.iter().map(|x| (x * factor).round_ties_even().clamp(-top, top) as i16));
            codes.resize(codes.len().next_multiple_of(2), 0);
        }
        write(device, Region::H, 0, &codes, (true, options.timeout))?;
        let damping = (course.sigma * options.damping / d.damping_lsb).round_ties_even();
        let damping = damping.clamp(1.0, f64::from(d.damping_top)) as u32;
        device.write_regs(regs::ARRAY_DAMPING, &[damping], Deadline::after(options.timeout))
    }

    /// Sets input, start and noise, and makes them active.
    fn drive(
        &self,
        device: &mut dyn Device,
        (gradient, start): (&[f64], &[f64]),
        course: Course,
        options: &RelaxOptions,
        scale: f64,
        noise_volt: f64,
    ) -> Result<(), Error> {
        let d = &self.descriptor;
        let deadline = || Deadline::after(options.timeout);
        let codes = |values: &[f64], factor: f64, top: i16| -> Vec<i16> {
            let top = f64::from(top);
            values.iter().map(|x| (x * factor).round_ties_even().clamp(-top, top) as i16).collect()
        };
        let lsb = d.drive_volt / f64::from(d.dac_top);
        let input = course.sigma * scale;
        let input_range = range(input * largest(gradient), d.drive_volt);
        let input_codes = codes(gradient, input / lsb * exp2(input_range), d.dac_top);
        write(device, Region::Input, 0, &input_codes, (true, options.timeout))?;
        let initial = codes(start, scale / d.adc_lsb, d.adc_top);
        write(device, Region::Initial, 0, &initial, (true, options.timeout))?;
        let noise_range = range(noise_volt * NOISE_PEAK, d.drive_volt);
        let unit = d.noise_rms * lsb / exp2(noise_range);
        let gain = (noise_volt / unit * UNIT_GAIN).round_ties_even();
        if options.noise > 0.0 && !(1.0..=f64::from(u16::MAX)).contains(&gain) {
            return Err(unsupported(format!(
                "noise κ0 = {} needs a gain of {:.1}, the noise DACs have 1/4096 to 16; choose another, or \
                 0",
                options.noise,
                gain / UNIT_GAIN
            )));
        }
        let ranges =
            input_range << array_range::INPUT_SHIFT | noise_range << array_range::NOISE_SHIFT;
        device.write_regs(regs::ARRAY_RANGE, &[ranges, gain as u32], deadline())?;
        let [seed] = noise_seeds(options.seed, 0, 1)[..] else {
            return Err(unsupported("one seed".into()));
        };
        device.write_regs(regs::noise_seed(0), &seed, deadline())?;
        let strobes = control::APPLY | control::RESEED | control::INITIALISE;
        device.write_regs(regs::CONTROL, &[strobes], deadline())
    }
}

fn acquire(device: &mut dyn Device, ticks: u32, timeout: Duration) -> Result<(), Error> {
    let plan = AcquirePlan {
        settle: Ticks(u64::from(ticks) - 1),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::MIN,
        moments: true,
        stream: false,
        realtime: false,
    };
    let report = device.acquire(&plan, &mut NullSink, Deadline::after(timeout))?;
    if report.outcome == Outcome::Cancelled { Err(Error::Cancelled) } else { Ok(()) }
}

/// Largest exponent of a range that holds `most` volts of `full`.
fn range(most: f64, full: f64) -> u32 {
    (0..=RANGES).rev().find(|range| most * exp2(*range) <= full).unwrap_or(0)
}

fn exp2(exponent: u32) -> f64 {
    f64::from(1_u32 << exponent)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, x| most.max(x.abs()))
}

pub(super) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn check(
    loaded: &Loaded,
    gradient: &[f64],
    start: &[f64],
    options: &RelaxOptions,
) -> Result<(), Error> {
    let mut reasons = Vec::new();
    for (name, values) in [("gradient", gradient), ("start", start)] {
        if values.len() != loaded.columns {
            let columns = loaded.columns;
            reasons.push(format!("the {name} has {} entries, the array {columns}", values.len()));
        }
        if values.iter().any(|x| !x.is_finite()) {
            reasons.push(format!("the {name} is not finite"));
        }
    }
    let RelaxOptions { damping, time, noise, .. } = *options;
    if !(damping > 0.0 && damping.is_finite()) {
        reasons.push(format!("damping {damping} is not above 0"));
    }
    if time.is_nan() || time < 0.0 {
        reasons.push(format!("time {time} is negative or not a number"));
    }
    if !(noise >= 0.0 && noise.is_finite()) {
        reasons.push(format!("noise {noise} is negative or not finite"));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Unsupported { reasons }) }
}

fn unstable(loaded: &Loaded, damping: f64) -> Error {
    unsupported(format!(
        "the array's drift is unstable: its nodes are at the converters' rails, beyond what any stable \
         drift reaches; tolerances of the resistors may move it by {:.3e}, λ is {damping}: raise λ, or \
         use a board of closer tolerances (without=bank_tolerance)",
        loaded.drift_bound()
    ))
}
