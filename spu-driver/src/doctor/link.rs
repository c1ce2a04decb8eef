//! Checks of the link: how fast, how soon, how clean.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::Ticks;
use spu_protocol::packing::FrameFormat;

use super::measure::{Arrivals, Times, micros, rate};
use super::{Check, Measure, board};
use crate::device::{AcquirePlan, Deadline, Device};
use crate::error::Error;
use crate::link::LinkStats;
use crate::time::now;

/// Time that a measurement takes.
const WHILE: Duration = Duration::from_millis(300);
/// Most round trips that are measured; so many tell the 99th percentile.
const TRIPS: usize = 1000;
/// Round trips after which a slow link has been waited for long enough.
const LEAST_TRIPS: usize = 10;
/// A round trip that is not slowed down by a timer somewhere takes less.
const SLOW: Duration = Duration::from_millis(5);
/// Payload of a ping that measures throughput.
const BLOCK: usize = 1024;
/// Share of the rate that a board offers which its cable must carry.
const CARRIES: f64 = 0.8;

/// Pings with this payload, for a while.
fn pings(device: &mut dyn Device, payload: &[u8]) -> Result<Times, Error> {
    let start = now();
    let mut times = Vec::new();
    while times.len() < LEAST_TRIPS || times.len() < TRIPS && now() - start < WHILE {
        let before = now();
        device.ping(payload, Deadline::after_secs(5))?;
        times.push(now() - before);
    }
    Ok(Times::new(times))
}

/// Time of a small command there and back.
pub(super) fn round_trip(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let times = pings(device, b"doctor")?;
    let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
    let found = format!("p50 {p50:.1?}, p99 {p99:.1?} over {} pings", times.len());
    let check = if p50 < SLOW {
        Check::ok(name, found)
    } else {
        Check::warning(
            name,
            found,
            "something holds bytes back: see the latency timer, try without hub, and let nothing \
             else load this computer",
        )
    };
    Ok(vec![check.measured([micros("p50", p50), micros("p99", p99)])])
}

/// Bytes there and back, in pings of 1 KiB, one after the other: a lower bound of what the link
/// carries.
pub(super) fn throughput(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let payload: Vec<u8> = (0..BLOCK).map(|n| n as u8).collect();
    let start = now();
    let times = pings(device, &payload)?;
    let bytes = (times.len() * BLOCK) as u64;
    let measure = rate("each way", bytes, now() - start);
    let found = format!("{:.2} MB/s each way, in single requests of 1 KiB", measure.value);
    Ok(vec![Check::ok(name, found).measured([measure])])
}

/// A stream of raw frames, and what the board says of its converters meanwhile.
pub(super) fn stream(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let raw = device.info().raw;
    // A board whose link is slower than its sample clock sends what it has captured.
    let bound = if raw.stream_frames_per_s == 0 { u32::MAX } else { raw.capture_frames };
    let mut count = raw.capture_frames.clamp(1, bound);
    let (report, arrivals) = loop {
        let mut arrivals = Arrivals::new(raw.cells.into());
        let before = now();
        let report = device.acquire(&raw_frames(count), &mut arrivals, Deadline::after_secs(30))?;
        let took = now() - before;
        if took >= WHILE / 3 || count == bound {
            break (report, arrivals);
        }
        let factor = (WHILE.as_secs_f64() / took.as_secs_f64().max(1e-3)).clamp(2.0, 16.0);
        count = (f64::from(count) * factor).min(bound.into()) as u32;
    };
    if report.lost > 0 {
        return Ok(vec![Check::failed(
            name,
            format!(
                "{} of {} frames were lost though the board was to wait",
                report.lost, report.kept
            ),
            "flash gateware and firmware anew (`spu flash GATEWARE.img`, `spu flash FIRMWARE.img`); \
             report a bug if it stays",
        )]);
    }
    let saturation = board::saturation(&report);
    let Some((frames, took)) = arrivals.behind_the_first() else {
        let why = format!("{count} frames are one block, which tells no rate");
        return Ok(vec![Check::skipped(name, why), saturation]);
    };
    let octets = FrameFormat::try_from(&raw).map_or(0, |format| format.frame_octets() as u64);
    let payload = rate("payload", frames * octets, took);
    let per_s = frames as f64 / took.as_secs_f64().max(1e-9);
    let offered = f64::from(raw.stream_frames_per_s);
    let found = format!("{:.2} MB/s, {per_s:.0} frames/s of {} cells", payload.value, raw.cells);
    let check = if per_s >= CARRIES * offered {
        Check::ok(name, found)
    } else {
        Check::warning(
            name,
            format!("{found}; the board offers {offered:.0} frames/s"),
            "use a faster port or cable, without hub; let nothing else load this computer",
        )
    };
    let measured = [payload, Measure { what: "rate", value: per_s, unit: "frames/s" }];
    Ok(vec![check.measured(measured), saturation])
}

/// So many frames at the sample clock; the board waits where the link is slow.
fn raw_frames(count: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(0),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN),
        moments: false,
        stream: true,
        realtime: false,
    }
}

/// What the link got wrong during all of this.
pub(super) fn counters(stats: &LinkStats) -> Check {
    const NAME: &str = "link counters";
    let measure = |what, value: u64| Measure { what, value: value as f64, unit: "" };
    let found = format!(
        "{} requests, {} sent again, {} timeouts, {} damaged frames, {} stale frames",
        stats.requests, stats.retries, stats.timeouts, stats.bad_frames, stats.stale_frames
    );
    let clean = stats.retries == 0 && stats.timeouts == 0 && stats.bad_frames == 0;
    let check = if clean {
        Check::ok(NAME, found)
    } else {
        Check::warning(
            NAME,
            found,
            "the link damages or loses bytes, and repeats cost time: try another cable and port, \
             and a lower baud rate behind a UART",
        )
    };
    check.measured([
        measure("requests", stats.requests),
        measure("retries", stats.retries),
        measure("timeouts", stats.timeouts),
        measure("damaged frames", stats.bad_frames),
        measure("stale frames", stats.stale_frames),
    ])
}
