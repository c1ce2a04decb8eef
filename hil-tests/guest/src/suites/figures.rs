//! Speed of the driver over USB, beside that of plain libusb calls on the same endpoints.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusb::{Context, DeviceHandle, Direction, UsbContext};
use spu_driver::link::ids;
use spu_driver::{Deadline, DeviceUri, Link as _, open};

use super::plug::{self, Plug};
use super::program::{record, soon, streamed};
use crate::report::Report;

/// Bytes of a round trip. A ping of these is a frame of some more.
const ROUND_TRIP: usize = 64;
const ROUND_TRIPS: usize = 400;
/// Bytes that are copied plainly.
const COPY: usize = 8 << 20;
/// Frames of a stream.
const FRAMES: u32 = 100_000;
/// Bytes of a frame's samples: eight of two bytes.
const FRAME_BYTES: f64 = 16.0;
/// Runs, of which the median counts.
const RUNS: usize = 3;

pub(crate) fn run(report: &mut Report, plug: &mut Plug) -> anyhow::Result<()> {
    plug.tell("far-echo")?;
    let plain = plain_round_trip()?;
    plug.tell("source")?;
    let ceiling = plain_copy()?;
    let uri = plug::usb_uri()?;
    let link = link_copy(&uri)?;
    plug.tell("board")?;
    let mut device = open(&uri)?;
    let payload = [0x5A; ROUND_TRIP];
    let ping = percentiles((0..ROUND_TRIPS).map(|_| {
        let start = Instant::now();
        device.ping(&payload, Deadline::after_secs(10))?;
        Ok(start.elapsed())
    }))?;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let (kept, _) = record(device.as_mut(), &streamed(FRAMES), soon())?;
        ensure!(kept.count() == u64::from(FRAMES), "frames are missing");
        rates.push(f64::from(FRAMES) * FRAME_BYTES / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let rate = rates[RUNS / 2];
    report.figure(
        "link.usb.ceiling_ratio",
        rate / ceiling,
        &format!(
            "samples through the driver {:.2} MB/s, bytes through its link alone {:.2} MB/s, plain bulk \
             reads {:.2} MB/s; emulated computer",
            rate / 1e6,
            link / 1e6,
            ceiling / 1e6
        ),
    )?;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    report.figure(
        "link.usb.added_p50_us",
        us(ping.0) - us(plain.0),
        &format!(
            "ping of {ROUND_TRIP} bytes p50 {:.0} us, p99 {:.0} us; plain echo as far away p50 {:.0} us, \
             p99 {:.0} us; emulated computer",
            us(ping.0),
            us(ping.1),
            us(plain.0),
            us(plain.1)
        ),
    )
}

/// Median and 99th percentile.
fn percentiles(
    times: impl Iterator<Item = anyhow::Result<Duration>>,
) -> anyhow::Result<(Duration, Duration)> {
    let mut times = times.collect::<anyhow::Result<Vec<_>>>()?;
    times.sort();
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// The board by libusb alone.
struct Plain {
    handle: DeviceHandle<Context>,
    input: u8,
    output: u8,
}

impl Plain {
    fn open() -> anyhow::Result<Self> {
        let context = Context::new()?;
        let handle = context
            .open_device_with_vid_pid(ids::VENDOR, ids::BOARD)
            .context("the board does not open")?;
        let config = handle.device().active_config_descriptor()?;
        let interface = config
            .interfaces()
            .flat_map(|interface| interface.descriptors())
            .find(|setting| setting.class_code() == 0xFF)
            .context("no vendor-specific interface")?;
        let endpoint = |direction| {
            let mut endpoints = interface.endpoint_descriptors();
            let found = endpoints.find(|endpoint| endpoint.direction() == direction);
            found.map(|endpoint| endpoint.address()).context("an endpoint is missing")
        };
        let (input, output) = (endpoint(Direction::In)?, endpoint(Direction::Out)?);
        handle.claim_interface(interface.interface_number())?;
        Ok(Self { handle, input, output })
    }

    /// Takes what an earlier user left.
    fn drain(&self) {
        let mut buffer = vec![0; 16 * 1024];
        while self.handle.read_bulk(self.input, &mut buffer, QUIET).is_ok() {}
    }
}

const WAIT: Duration = Duration::from_secs(10);
/// Silence after which nothing old is on its way.
const QUIET: Duration = Duration::from_millis(300);

fn plain_round_trip() -> anyhow::Result<(Duration, Duration)> {
    let plain = Plain::open()?;
    plain.drain();
    let sent = [0x5A; ROUND_TRIP];
    let mut received = [0; 512];
    percentiles((0..ROUND_TRIPS).map(|_| {
        let start = Instant::now();
        plain.handle.write_bulk(plain.output, &sent, WAIT)?;
        let count = plain.handle.read_bulk(plain.input, &mut received, WAIT)?;
        ensure!(received[..count] == sent, "the echo is not what was sent");
        Ok(start.elapsed())
    }))
}

/// Bytes a second, by plain reads.
fn plain_copy() -> anyhow::Result<f64> {
    let plain = Plain::open()?;
    let mut buffer = vec![0; 16 * 1024];
    rate(|| Ok(plain.handle.read_bulk(plain.input, &mut buffer, WAIT)?))
}

/// Bytes a second, by the driver's link.
fn link_copy(uri: &str) -> anyhow::Result<f64> {
    let mut link = uri.parse::<DeviceUri>()?.link(soon())?;
    let mut buffer = vec![0; 64 * 1024];
    rate(|| Ok(link.read(&mut buffer, soon())?))
}

/// Bytes a second that these reads give.
fn rate(mut read: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut copied = 0;
        while copied < COPY {
            copied += read()?;
        }
        rates.push(copied as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[RUNS / 2])
}
