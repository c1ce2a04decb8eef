//! Rate of the driver over USB, beside that of plain libusb calls on the same endpoints.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use spu_driver::{DeviceUri, NullSink, open};

use super::median;
use super::plain::Plain;
use super::plug::{self, Plug};
use super::program::{program, soon, streamed};
use crate::report::Report;

/// Bytes that are copied plainly in a round.
const COPY: usize = 2 << 20;
/// Frames of a stream.
const FRAMES: u32 = 130_000;
/// Bytes of a frame's samples: eight of two bytes.
const FRAME_BYTES: f64 = 16.0;
/// What is compared is measured in turn, so that other work of the computer outside falls on all
/// alike; the medians over the rounds count.
const ROUNDS: usize = 9;

/// What the rounds gave, in bytes a second.
#[derive(Default)]
struct Rounds {
    plain: Vec<f64>,
    link: Vec<f64>,
    near: Vec<f64>,
    stream: Vec<f64>,
    ratio: Vec<f64>,
}

pub(crate) fn run(report: &mut Report, plug: &mut Plug) -> anyhow::Result<()> {
    let uri = plug::usb_uri()?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        round(&uri, plug, &mut rounds)?;
    }
    let Rounds { plain, link, near, stream, ratio } = rounds;
    let megabytes = |rates| median(rates) / 1e6;
    report.figure(
        "link.usb.ceiling_ratio",
        median(ratio),
        &format!(
            "samples through the driver {:.2} MB/s; bytes from as far away by plain bulk reads {:.2} \
             MB/s, through the driver's link alone {:.2} MB/s; bytes from the gadget itself by plain \
             bulk reads {:.2} MB/s; medians of {ROUNDS} rounds, emulated computer",
            megabytes(stream),
            megabytes(plain),
            megabytes(link),
            megabytes(near),
        ),
    )
}

fn round(uri: &str, plug: &mut Plug, rounds: &mut Rounds) -> anyhow::Result<()> {
    plug.tell("far-source")?;
    let plain = plain_copy().context("plain reads from afar")?;
    rounds.link.push(link_copy(uri)?);
    plug.tell("source")?;
    rounds.near.push(plain_copy().context("plain reads")?);
    plug.tell("board")?;
    let mut device = open(uri)?;
    let program = program(device.info());
    device.load(&program, soon())?;
    let start = Instant::now();
    let report = device.acquire(&streamed(FRAMES), &mut NullSink, soon())?;
    let stream = f64::from(FRAMES) * FRAME_BYTES / start.elapsed().as_secs_f64();
    ensure!(report.kept == u64::from(FRAMES) && report.lost == 0, "frames are missing");
    rounds.plain.push(plain);
    rounds.stream.push(stream);
    rounds.ratio.push(stream / plain);
    Ok(())
}

/// Bytes a second, by plain reads.
fn plain_copy() -> anyhow::Result<f64> {
    let plain = Plain::open()?;
    let mut buffer = vec![0; 16 * 1024];
    rate(|| plain.read(&mut buffer))
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
