//! The board's clock against this computer's.

use std::num::NonZeroU32;

use spu_protocol::code::Ticks;

use super::measure::Arrivals;
use super::{Check, Measure};
use crate::device::{AcquirePlan, BoardInfo, Deadline, Device};
use crate::error::Error;

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
    if info.is_simulated() {
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
            "another sample clock is in use than the board says: flash gateware and firmware \
             of one release (`spu flash GATEWARE.img`, `spu flash FIRMWARE.img`)",
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytemuck::Zeroable as _;
    use spu_protocol::code::AdcCode;
    use spu_protocol::payload::InfoReply;

    use super::*;
    use crate::device::{
        Applied, CancelHandle, FrameBlock, Outcome, Phases, Program, Report, ResetLevel,
        SelfTestReport, Sink,
    };
    use crate::doctor::State;
    use crate::link::LinkStats;
    use crate::time;

    /// A board that samples in real time, by a clock that runs faster than it says by this factor.
    struct RealTime {
        info: BoardInfo,
        factor: f64,
        block: usize,
    }

    impl RealTime {
        fn new(factor: f64) -> Self {
            let raw = InfoReply { sample_clock_hz: 12_000_000, cells: 2, ..InfoReply::zeroed() };
            let info = BoardInfo {
                serial: 1,
                profile: "fake".into(),
                firmware: "0.0.0".into(),
                gateware_id: 7,
                calibration_id: None,
                cells: 2,
                couplings: 1,
                last_run: None,
                raw,
            };
            Self { info, factor, block: 100 }
        }
    }

    fn absent<T>() -> Result<T, Error> {
        Err(Error::Unsupported { reasons: vec!["not asked for here".into()] })
    }

    impl Device for RealTime {
        fn info(&self) -> &BoardInfo {
            &self.info
        }

        fn uri(&self) -> &str {
            &self.info.profile
        }

        fn load(&mut self, _: &Program, _: Deadline) -> Result<Applied, Error> {
            absent()
        }

        fn acquire(
            &mut self,
            plan: &AcquirePlan,
            sink: &mut dyn Sink,
            _: Deadline,
        ) -> Result<Report, Error> {
            assert!(plan.realtime && plan.stream);
            let (count, decimation) = (plan.count.get(), u64::from(plan.decimation.get()));
            let started = time::now();
            let mut first = 0;
            while first < u64::from(count) {
                let frames = (u64::from(count) - first).min(self.block as u64);
                // A block is there once its last frame is sampled, and a little later.
                let ticks = (first + frames - 1) * decimation;
                let sampled = ticks as f64 / (12e6 * self.factor);
                let late = 20e-6 * ((first / 7) % 5) as f64;
                let due = started + Duration::from_secs_f64(sampled + late);
                time::sleep(due - time::now());
                let codes = vec![AdcCode(0); 2 * frames as usize];
                let tick = Ticks(first * decimation);
                let block = FrameBlock { first_frame: first, tick, lost_before: 0, codes: &codes };
                sink.frames(&block).map_err(|error| Error::Sink(error, 0))?;
                first += frames;
            }
            Ok(Report {
                outcome: Outcome::Complete,
                kept: count.into(),
                lost: 0,
                ticks: Ticks(0),
                saturated: vec![0; 2],
                moments: None,
                phases: Phases::default(),
            })
        }

        fn read_regs(&mut self, _: u16, _: &mut [u32], _: Deadline) -> Result<(), Error> {
            absent()
        }

        fn write_regs(&mut self, _: u16, _: &[u32], _: Deadline) -> Result<(), Error> {
            absent()
        }

        fn self_test(&mut self, _: u32, _: Deadline) -> Result<SelfTestReport, Error> {
            absent()
        }

        fn reset(&mut self, _: ResetLevel, _: Deadline) -> Result<(), Error> {
            absent()
        }

        fn ping(&mut self, _: &[u8], _: Deadline) -> Result<(), Error> {
            absent()
        }

        fn link_stats(&self) -> LinkStats {
            LinkStats::default()
        }

        fn cancel_handle(&self) -> CancelHandle {
            CancelHandle::new()
        }
    }

    fn check(board: &mut RealTime) -> Check {
        let _paused = time::pause();
        let [check] = &drift("clock", board).unwrap()[..] else { panic!() };
        check.clone()
    }

    #[test]
    fn a_deviation_is_measured_and_judged() {
        for (ppm, state) in [
            (0.0, State::Ok),
            (-30.0, State::Ok),
            (700.0, State::Warning),
            (-900.0, State::Warning),
            (-166_667.0, State::Failed),
        ] {
            let check = check(&mut RealTime::new(1.0 + ppm * 1e-6));
            assert_eq!(check.state, state, "{check:?}");
            let [found, error] = &check.measured[..] else { panic!() };
            assert!((found.value - ppm).abs() < 4.0 * error.value, "{check:?} at {ppm} ppm");
            assert!(error.value < 50.0, "{check:?}");
        }
    }

    #[test]
    fn too_few_blocks_and_simulated_time_are_skipped() {
        let few = check(&mut RealTime { block: 10_000, ..RealTime::new(1.0) });
        assert_eq!(few.state, State::Skipped, "{few:?}");
        let mut simulated = RealTime::new(1.0);
        simulated.info.gateware_id = u32::from_be_bytes(*b"SIM1");
        assert_eq!(check(&mut simulated).state, State::Skipped);
    }
}
