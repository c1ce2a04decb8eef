//! Speed of the driver over USB, beside that of plain libusb calls on the same endpoints.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusb::{Context, DeviceHandle, Direction, UsbContext};
use spu_driver::link::ids;
use spu_driver::{Deadline, DeviceUri, NullSink, open};

use super::plug::{self, Plug};
use super::program::{program, soon, streamed};
use crate::report::Report;

/// Bytes of a round trip. A ping of these is a frame of some more.
const ROUND_TRIP: usize = 64;
/// Round trips of a round.
const ROUND_TRIPS: usize = 100;
/// Bytes that are copied plainly in a round.
const COPY: usize = 2 << 20;
/// Frames of a stream.
const FRAMES: u32 = 130_000;
/// Bytes of a frame's samples: eight of two bytes.
const FRAME_BYTES: f64 = 16.0;
/// What is compared is measured in turn, so that other work of the computer outside falls on all
/// alike; the medians over the rounds count.
const ROUNDS: usize = 9;

/// What the rounds gave: times in microseconds, rates in bytes a second.
#[derive(Default)]
struct Rounds {
    plain_trip: Vec<f64>,
    link_trip: Vec<f64>,
    ping: Vec<f64>,
    added: Vec<f64>,
    plain_copy: Vec<f64>,
    link_copy: Vec<f64>,
    near_copy: Vec<f64>,
    stream: Vec<f64>,
    ratio: Vec<f64>,
}

pub(crate) fn run(report: &mut Report, plug: &mut Plug) -> anyhow::Result<()> {
    let uri = plug::usb_uri()?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        round(&uri, plug, &mut rounds)?;
    }
    let Rounds {
        plain_trip,
        link_trip,
        ping,
        added,
        plain_copy,
        link_copy,
        near_copy,
        stream,
        ratio,
    } = rounds;
    let megabytes = |rates| median(rates) / 1e6;
    report.figure(
        "link.usb.ceiling_ratio",
        median(ratio),
        &format!(
            "samples through the driver {:.2} MB/s; bytes from as far away by plain bulk reads {:.2} \
             MB/s, through the driver's link alone {:.2} MB/s; bytes from the gadget itself by plain \
             bulk reads {:.2} MB/s; medians of {ROUNDS} rounds, emulated computer",
            megabytes(stream),
            megabytes(plain_copy),
            megabytes(link_copy),
            megabytes(near_copy),
        ),
    )?;
    report.figure(
        "link.usb.added_p50_us",
        median(added),
        &format!(
            "median ping of {ROUND_TRIP} bytes {:.0} us; echo from as far away by plain transfers {:.0} \
             us, through the driver's link alone {:.0} us; medians of {ROUNDS} rounds, emulated computer",
            median(ping),
            median(plain_trip),
            median(link_trip),
        ),
    )
}

fn round(uri: &str, plug: &mut Plug, rounds: &mut Rounds) -> anyhow::Result<()> {
    plug.tell("far-echo")?;
    let plain_trip = plain_round_trip().context("plain echo")?;
    rounds.link_trip.push(link_round_trip(uri).context("echo through the link")?);
    plug.tell("far-source")?;
    let plain = plain_copy().context("plain reads from afar")?;
    rounds.link_copy.push(link_copy(uri)?);
    plug.tell("source")?;
    rounds.near_copy.push(plain_copy().context("plain reads")?);
    plug.tell("board")?;
    let mut device = open(uri)?;
    let payload = [0x5A; ROUND_TRIP];
    let ping = trip(|| Ok(device.ping(&payload, Deadline::after_secs(10))?))?;
    let program = program(device.info());
    device.load(&program, soon())?;
    let start = Instant::now();
    let report = device.acquire(&streamed(FRAMES), &mut NullSink, soon())?;
    let stream = f64::from(FRAMES) * FRAME_BYTES / start.elapsed().as_secs_f64();
    ensure!(report.kept == u64::from(FRAMES) && report.lost == 0, "frames are missing");
    rounds.plain_trip.push(plain_trip);
    rounds.ping.push(ping);
    rounds.added.push(ping - plain_trip);
    rounds.plain_copy.push(plain);
    rounds.stream.push(stream);
    rounds.ratio.push(stream / plain);
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Median of what it takes, in microseconds.
fn trip(mut trip: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let times = (0..ROUND_TRIPS).map(|_| {
        let start = Instant::now();
        trip()?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    });
    Ok(median(times.collect::<anyhow::Result<Vec<_>>>()?))
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
const QUIET: Duration = Duration::from_millis(100);

fn plain_round_trip() -> anyhow::Result<f64> {
    let plain = Plain::open()?;
    plain.drain();
    let sent = [0x5A; ROUND_TRIP];
    let mut received = [0; 512];
    trip(|| {
        plain.handle.write_bulk(plain.output, &sent, WAIT)?;
        let count = plain.handle.read_bulk(plain.input, &mut received, WAIT)?;
        ensure!(received[..count] == sent, "the echo is not what was sent");
        Ok(())
    })
}

/// As [`plain_round_trip`], by the driver's link.
fn link_round_trip(uri: &str) -> anyhow::Result<f64> {
    let mut link = uri.parse::<DeviceUri>()?.link(soon())?;
    let sent = [0x5A; ROUND_TRIP];
    let mut received = [0; 512];
    trip(|| {
        link.write(&sent, soon())?;
        let count = link.read(&mut received, soon())?;
        ensure!(received[..count] == sent, "the echo is not what was sent");
        Ok(())
    })
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
    // What was under way before came at another rate.
    read()?;
    let start = Instant::now();
    let mut copied = 0;
    while copied < COPY {
        copied += read()?;
    }
    Ok(copied as f64 / start.elapsed().as_secs_f64())
}
