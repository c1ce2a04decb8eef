//! The board's clock against this computer's.

use std::num::NonZeroU32;

use spu_protocol::code::Ticks;

use super::measure::Arrivals;
use super::{Check, Measure};
use crate::device::{AcquirePlan, BoardInfo, Deadline, Device};
use crate::error::Error;

/// Simulators name their gateware `SIM` and a digit.
const SIMULATOR: u32 = u32::from_be_bytes(*b"\0SIM");
/// Time that is observed.
const SECONDS: f64 = 0.5;
/// Frames a second: enough for many blocks, little enough for any link.
const FRAMES_PER_S: u32 = 50_000;
/// Blocks that tell a rate.
const LEAST_BLOCKS: usize = 8;
/// Deviation of a good crystal and of this computer's clock together, in parts per million.
const GOOD_PPM: f64 = 100.0;
/// A deviation that no oscillator has: another clock is in use than the board says.
const WRONG_PPM: f64 = 10_000.0;

/// Rate of the board's ticks while it samples in real time.
pub(super) fn drift(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let info = device.info();
    if info.gateware_id >> 8 == SIMULATOR {
        return Ok(vec![Check::skipped(name, "a simulated board's time runs by no clock")]);
    }
    let (plan, nominal) = (free_running(info), f64::from(info.raw.sample_clock_hz));
    let mut arrivals = Arrivals::new(info.cells);
    device.acquire(&plan, &mut arrivals, Deadline::after_secs(10))?;
    let points = arrivals.ticks(plan.decimation.get().into());
    let Some((rate, error)) = slope(&points) else {
        let why = format!("{} blocks in {SECONDS} s are too few to tell", points.len());
        return Ok(vec![Check::skipped(name, why)]);
    };
    Ok(vec![judged(name, (rate / nominal - 1.0) * 1e6, error / nominal * 1e6)])
}

/// A plan that keeps the board in real time: where the link is slow it loses frames, and their
/// ticks go on.
fn free_running(info: &BoardInfo) -> AcquirePlan {
    let clock = info.raw.sample_clock_hz;
    let rate = match info.raw.stream_frames_per_s {
        0 => FRAMES_PER_S,
        offered => offered.min(FRAMES_PER_S),
    };
    let decimation = NonZeroU32::new(clock.div_ceil(rate)).unwrap_or(NonZeroU32::MIN);
    let count = SECONDS * f64::from(clock) / f64::from(decimation.get());
    AcquirePlan {
        settle: Ticks(0),
        decimation,
        count: NonZeroU32::new(count as u32).unwrap_or(NonZeroU32::MIN),
        moments: false,
        stream: true,
        realtime: true,
    }
}

/// Ticks a second by least squares, and its standard error.
fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len();
    if n < LEAST_BLOCKS {
        return None;
    }
    let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / n as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let xx: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let xy: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let slope = xy / xx;
    let rest: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    let error = (rest / (n - 2) as f64 / xx).sqrt();
    (slope.is_finite() && error.is_finite()).then_some((slope, error))
}

/// A deviation of the rate, in parts per million, with its standard error.
fn judged(name: &'static str, ppm: f64, error: f64) -> Check {
    let found =
        format!("its ticks run {ppm:+.0} ± {:.0} ppm fast against this computer", 2.0 * error);
    let beyond = ppm.abs() - 4.0 * error;
    let check = if beyond > WRONG_PPM {
        Check::failed(
            name,
            found,
            "another sample clock is in use than the board says: load gateware and firmware of \
             one release",
        )
    } else if beyond > GOOD_PPM {
        Check::warning(
            name,
            found,
            "times and frequencies are off as much: check the board's oscillator, and that this \
             computer's clock is not being set just now",
        )
    } else {
        Check::ok(name, found)
    };
    check.measured([
        Measure { what: "drift", value: ppm, unit: "ppm" },
        Measure { what: "standard error", value: error, unit: "ppm" },
    ])
}
