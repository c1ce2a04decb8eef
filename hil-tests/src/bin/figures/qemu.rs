//! The firmware's image on an emulated microcontroller, beside a bare image that does the same without
//! frames, sessions and interrupts.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hil_tests::median;
use spu_driver::invert::{InvertOptions, Quiet, invert};
use spu_driver::link::{Link as _, Qemu, Serial, StreamLink};
use spu_driver::plan::Budget;
use spu_driver::{AcquirePlan, Client, Deadline, Device as _, NullSink};
use spu_protocol::code::Ticks;
use spu_protocol::codec::max_encoded;
use spu_qemu::{Emulator, Options, image};
use spu_sim::{Profile, SimConfig};

use crate::Figure;
use crate::speed::program;

/// Octets of a ping.
const PING: usize = 64;
/// Blocks of a stream, and frames in each.
const BLOCKS: u8 = 6;
const BLOCK_FRAMES: u32 = 338;
const FRAME_OCTETS: f64 = 12.0;

fn sim() -> anyhow::Result<SimConfig> {
    Ok(SimConfig { profile: Profile::named("rev-a")?, seed: 0, copy: 0, without: [].into() })
}

/// The firmware, whose main loop goes round as the bare image's does.
fn firmware() -> anyhow::Result<Client<Qemu>> {
    let emulator = Emulator::start(Options { spin: true, ..Options::new(sim()?) })?;
    Ok(Client::open(Qemu::attach(emulator, "qemu".into(), soon())?, "qemu", soon())?)
}

fn bare() -> anyhow::Result<Options> {
    let sim = sim()?;
    let path = image::folder().join("mps2-an386-bare.elf");
    Ok(Options { program: Some(path), ..Options::new(sim) })
}

fn soon() -> Deadline {
    Deadline::after_secs(30)
}

/// Seconds that each call of `what` takes.
fn times(count: usize, mut what: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            let start = Instant::now();
            what()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}

/// The bare image's serial port.
struct Bare {
    port: StreamLink<Serial>,
    _emulator: Emulator,
}

impl Bare {
    fn start() -> anyhow::Result<Self> {
        let emulator = Emulator::start(bare()?)?;
        let port = Serial::new(emulator.port().display().to_string(), None);
        let mut bare = Self { port: StreamLink::connect(port, soon())?, _emulator: emulator };
        // What is sent before it listens may be lost.
        for _ in 0..50 {
            bare.port.write(&[1, 0], soon())?;
            if bare.port.read(&mut [0; 64], Deadline::after(Duration::from_millis(100)))? > 0 {
                while bare.port.read(&mut [0; 64], Deadline::after(Duration::from_millis(100)))? > 0
                {
                }
                return Ok(bare);
            }
        }
        anyhow::bail!("the bare image does not answer")
    }

    fn read(&mut self, mut count: usize) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        while count > 0 {
            let got = self.port.read(&mut buffer, soon())?;
            ensure!(got > 0 && got <= count, "{got} octets where {count} are due");
            count -= got;
        }
        Ok(())
    }

    fn echo(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.port.write(message, soon())?;
        self.read(message.len())
    }

    fn stream(&mut self) -> anyhow::Result<()> {
        self.port.write(&[b'S', BLOCKS, 0], soon())?;
        let block = BLOCK_FRAMES as usize * FRAME_OCTETS as usize + 80;
        self.read(usize::from(BLOCKS) * block)
    }
}

/// Round trip of a message of a ping's length through the bare image, over that of a ping.
pub(crate) fn round_trip(quick: bool) -> anyhow::Result<Figure> {
    let (rounds, count) = if quick { (3, 100) } else { (7, 400) };
    let mut message = vec![0x5A; max_encoded(PING)];
    *message.last_mut().context("no message")? = 0;
    let (mut bare, mut ping) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // By turns, so that what else this computer does weighs on both.
        let mut plain = Bare::start()?;
        bare.push(median(times(count, || plain.echo(&message))?));
        drop(plain);
        let mut device = firmware()?;
        ping.push(median(times(count, || Ok(device.ping(&[0x5A; PING], soon())?))?));
    }
    let ratios = bare.iter().zip(&ping).map(|(bare, ping)| bare / ping).collect();
    Ok(Figure {
        value: median(ratios),
        detail: format!(
            "median of {rounds} rounds by turns: bare echo {:.0} us, ping of {PING} bytes {:.0} us",
            1e6 * median(bare),
            1e6 * median(ping)
        ),
    })
}

/// Rate of a stream through the firmware over that through the bare image.
pub(crate) fn throughput(quick: bool) -> anyhow::Result<Figure> {
    let (rounds, count) = if quick { (3, 1) } else { (7, 3) };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut plain = Bare::start()?;
        bare.push(median(times(count, || plain.stream())?));
        drop(plain);
        let mut device = firmware()?;
        device.load(&program(device.info()), soon())?;
        let plan = AcquirePlan {
            settle: Ticks(0),
            decimation: NonZeroU32::MIN,
            count: NonZeroU32::new(u32::from(BLOCKS) * BLOCK_FRAMES).context("no frames")?,
            moments: false,
            stream: true,
            realtime: false,
        };
        ours.push(median(times(count, || {
            let report = device.acquire(&plan, &mut NullSink, soon())?;
            ensure!(report.lost == 0, "frames are lost");
            Ok(())
        })?));
    }
    let ratios = bare.iter().zip(&ours).map(|(bare, ours)| bare / ours).collect();
    let rate = |time: f64| f64::from(BLOCKS) * f64::from(BLOCK_FRAMES) * FRAME_OCTETS / time / 1e3;
    Ok(Figure {
        value: median(ratios),
        detail: format!(
            "samples: firmware {:.1} kB/s, bare image {:.1} kB/s; medians of {rounds} rounds by turns",
            rate(median(ours)),
            rate(median(bare))
        ),
    })
}

/// Entries of an inverse on three emulated copies that differ from those on the simulator in
/// process.
pub(crate) fn differences(quick: bool) -> anyhow::Result<Figure> {
    let matrix = crate::accuracy::published_like()?;
    let mut options = InvertOptions::default();
    if quick {
        options.budget = Budget { effective: Some(2_000), ..Budget::default() };
    }
    let mut differing = 0;
    let mut compared = 0;
    for copy in 0..3 {
        let run = |uri: String| -> anyhow::Result<Vec<u64>> {
            let mut device = spu_driver::open(&uri)?;
            let result = invert(device.as_mut(), &matrix, &options, &Quiet)?;
            Ok(result.inverse.iter().chain(&result.half_widths).map(|x| x.to_bits()).collect())
        };
        let here = run(format!("sim:seed=5,copy={copy}"))?;
        let there = run(format!("qemu:seed=5,copy={copy}"))?;
        differing += here.iter().zip(&there).filter(|(here, there)| here != there).count();
        compared += here.len();
    }
    Ok(Figure {
        value: differing as f64,
        detail: format!(
            "{compared} entries and half-widths of the inverse of published-like on three copies, bit \
             by bit against the simulator in process"
        ),
    })
}

/// Ticks of the firmware by a clock that counts instructions.
pub(crate) fn timing(name: &str, quick: bool) -> anyhow::Result<Figure> {
    let measured = hil_tests::icount::measure(if quick { 10_000 } else { 100_000 })?;
    let timing = &measured.timing;
    let value = match name {
        "timing.lost_ticks" => f64::from(timing.ticks_lost),
        _ => measured.jitter_ticks(),
    };
    Ok(Figure {
        value,
        detail: format!(
            "{} ticks, {} lost, {:.1} us early, {:.1} us late, longest service {} cycles; {} frames \
             streamed, {} pings",
            timing.ticks,
            timing.ticks_lost,
            timing.early_us,
            timing.late_us,
            timing.service_counts,
            measured.frames,
            measured.pings
        ),
    })
}
