//! Figures of the link in process: microseconds a round trip, and frames a second of a raw stream.
//!
//! `cargo bench -p spu-driver --bench link [-- URI]`

use std::num::NonZeroU32;
use std::time::Instant;

use spu_driver::{
    AcquirePlan, Deadline, Device, Error, FrameBlock, NullSink, Program, Report, Sink, open,
};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};

/// Touches every code, as little as a reader can do.
#[derive(Default)]
struct Sum(i64);

impl Sink for Sum {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.0 += block.codes.iter().map(|code| i64::from(code.0)).sum::<i64>();
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let uri = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let uri = uri.unwrap_or_else(|| "sim:profile=rev-a".into());
    let mut device = open(&uri)?;
    println!("{} ({} cells)", device.uri(), device.info().cells);
    round_trips(&mut *device)?;
    load(&mut *device)?;
    for (name, stream, moments) in [
        ("raw stream", true, false),
        ("raw stream with moments", true, true),
        ("moments", false, true),
    ] {
        rate(&mut *device, name, stream, moments)?;
    }
    Ok(())
}

fn deadline() -> Deadline {
    Deadline::after_secs(60)
}

/// Median and worst of batches, so that one interruption does not hide in a mean.
fn round_trips(device: &mut dyn Device) -> Result<(), Error> {
    const BATCHES: usize = 200;
    const BATCH: u32 = 100;
    for bytes in [0, 64, 1024] {
        let payload = vec![0x5a; bytes];
        let mut times = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let start = Instant::now();
            for _ in 0..BATCH {
                device.ping(&payload, deadline())?;
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH));
        }
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[BATCHES / 2], times[BATCHES - 1]);
        println!("round trip, {bytes:4} bytes  {median:8.2} µs (worst batch {worst:.2})");
    }
    Ok(())
}

fn load(device: &mut dyn Device) -> Result<(), Error> {
    const LOADS: u32 = 200;
    let info = device.info();
    let program = Program {
        self_codes: vec![CouplingCode(((1_i32 << info.raw.self_bits) - 1) as i16); info.cells],
        coupling_codes: vec![CouplingCode(1); info.couplings],
        gain_codes: vec![GainCode(4096); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: Vec::new(),
        seeds: None,
        discharge: true,
    };
    let start = Instant::now();
    for _ in 0..LOADS {
        device.load(&program, deadline())?;
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(LOADS);
    println!("load                    {micros:8.2} µs");
    Ok(())
}

fn rate(device: &mut dyn Device, name: &str, stream: bool, moments: bool) -> Result<(), Error> {
    const FRAMES: u32 = 12_000_000;
    let plan = AcquirePlan {
        settle: Ticks(0),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(FRAMES).unwrap_or(NonZeroU32::MIN),
        moments,
        stream,
        realtime: false,
    };
    let mut sum = Sum::default();
    let sink: &mut dyn Sink = if stream { &mut sum } else { &mut NullSink };
    let start = Instant::now();
    let Report { lost, phases, .. } = device.acquire(&plan, sink, deadline())?;
    let seconds = start.elapsed().as_secs_f64();
    let rate = f64::from(FRAMES) / seconds * 1e-6;
    println!(
        "{name:<24}{rate:8.2} M frames/s ({lost} lost; acquire {:.2?}, decode {:.2?}, transfer {:.2?})",
        phases.acquire, phases.decode, phases.transfer
    );
    Ok(())
}
