//! Speed on one core, as the median of repeated runs.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use anyhow::Context;
use spu_driver::seeds::noise_seeds;
use spu_driver::{
    AcquirePlan, BoardInfo, Deadline, Device, FrameBlock, NullSink, Program, Sink, open,
};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD};
use spu_protocol::opcode::Opcode;

use crate::Figure;

/// The board's sample clock, in hertz.
pub(crate) const CLOCK_HZ: f64 = 12e6;
pub(crate) const BOARD: &str = "sim:profile=rev-a";

/// Runs per figure.
fn runs(quick: bool) -> usize {
    if quick { 5 } else { 21 }
}

/// Median, and the range beside it for the detail.
fn median_of(mut values: Vec<f64>) -> (f64, String) {
    let middle = hil_tests::median(values.clone());
    values.sort_by(f64::total_cmp);
    let range = format!(
        "median of {} runs, {:.3} to {:.3}",
        values.len(),
        values[0],
        values[values.len() - 1]
    );
    (middle, range)
}

/// A board that runs with every cell coupled and driven.
fn running_board() -> anyhow::Result<Box<dyn Device>> {
    let mut device = open(BOARD)?;
    let program = program(device.info());
    device.load(&program, Deadline::after_secs(10))?;
    Ok(device)
}

/// Every cell coupled and driven.
pub(crate) fn program(info: &BoardInfo) -> Program {
    Program {
        self_codes: vec![CouplingCode(9); info.cells],
        coupling_codes: vec![CouplingCode(2); info.couplings],
        gain_codes: vec![GainCode(2500); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: Vec::new(),
        seeds: Some(noise_seeds(1, 0, info.cells)),
        discharge: true,
    }
}

/// Frames a second of one acquisition without decimation.
pub(crate) fn rate(
    device: &mut dyn Device,
    frames: u32,
    stream: bool,
    sink: &mut dyn Sink,
) -> anyhow::Result<f64> {
    let plan = AcquirePlan {
        settle: Ticks(0),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(frames).context("no frames")?,
        moments: !stream,
        stream,
        realtime: false,
    };
    let start = Instant::now();
    let report = device.acquire(&plan, sink, Deadline::after_secs(60))?;
    anyhow::ensure!(report.kept == u64::from(frames) && report.lost == 0, "frames are missing");
    Ok(f64::from(frames) / start.elapsed().as_secs_f64())
}

/// Simulated ticks a second over the board's clock: noise, cells, ADC and moments of every tick,
/// through driver and firmware.
pub(crate) fn step_ratio(quick: bool) -> anyhow::Result<Figure> {
    let mut device = running_board()?;
    let ratios = (0..runs(quick))
        .map(|_| Ok(rate(device.as_mut(), 12_000_000, false, &mut NullSink)? / CLOCK_HZ))
        .collect::<anyhow::Result<_>>()?;
    let (value, range) = median_of(ratios);
    Ok(Figure { value, detail: format!("{BOARD}, 12e6 ticks, moments of each; {range}") })
}

/// Touches every code.
#[derive(Default)]
pub(crate) struct Sum(i64);

impl Sink for Sum {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.0 += block.codes.iter().map(|code| i64::from(code.0)).sum::<i64>();
        Ok(())
    }
}

/// Raw frames of 8 channels a second, simulated, packed, framed, sent, checked and unpacked.
pub(crate) fn stream(quick: bool) -> anyhow::Result<Figure> {
    let mut device = running_board()?;
    let mut sum = Sum::default();
    let rates = (0..runs(quick))
        .map(|_| Ok(rate(device.as_mut(), 6_000_000, true, &mut sum)? / 1e6))
        .collect::<anyhow::Result<_>>()?;
    black_box(sum.0);
    let (value, range) = median_of(rates);
    Ok(Figure { value, detail: format!("{BOARD}, 6e6 frames of 8 channels; {range}") })
}

/// Microseconds for a command of 64 bytes, there and back.
pub(crate) fn round_trip(quick: bool) -> anyhow::Result<Figure> {
    const PINGS: u32 = 10_000;
    let mut device = open(BOARD)?;
    let payload = [0x5a; 64];
    let times = (0..runs(quick))
        .map(|_| {
            let start = Instant::now();
            for _ in 0..PINGS {
                device.ping(&payload, Deadline::after_secs(10))?;
            }
            Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(PINGS))
        })
        .collect::<anyhow::Result<_>>()?;
    let (value, range) = median_of(times);
    Ok(Figure { value, detail: format!("ping of 64 bytes, {PINGS} a run; {range}") })
}

/// Payload bytes a second through one encode and one decode.
pub(crate) fn codec(quick: bool) -> anyhow::Result<Figure> {
    const BLOCKS: usize = 50_000;
    // Octets of no structure (xorshift64).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let payload: Vec<u8> = (0..MAX_PAYLOAD)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let header = Header::new(Kind::Event, Opcode::StreamBlock as u16, 1, 1, MAX_PAYLOAD as u16);
    let mut wire = vec![0; max_encoded(MAX_PAYLOAD)];
    let mut decoder = Decoder::new();
    let rates = (0..runs(quick))
        .map(|_| {
            let start = Instant::now();
            for _ in 0..BLOCKS {
                let length =
                    encode(&header, &[black_box(&payload)], &mut wire).context("no room")?;
                let mut bytes = &wire[..length];
                let frame = decoder.push(&mut bytes).context("no frame")??;
                anyhow::ensure!(black_box(frame.payload).len() == MAX_PAYLOAD, "short frame");
            }
            Ok((BLOCKS * MAX_PAYLOAD) as f64 / start.elapsed().as_secs_f64() / 1e9)
        })
        .collect::<anyhow::Result<_>>()?;
    let (value, range) = median_of(rates);
    Ok(Figure { value, detail: format!("random payloads of {MAX_PAYLOAD} bytes; {range}") })
}
