//! Timing of the firmware's image on an emulated microcontroller whose clock counts instructions:
//! the FPGA answers in no time, and the same work takes the same time on every computer.

use std::num::NonZeroU32;

use anyhow::Context as _;
use spu_driver::link::Qemu;
use spu_driver::mcu::{self, Timing};
use spu_driver::{AcquirePlan, Client, Deadline, Device, NullSink, Program};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};
use spu_qemu::{Bus, Clocking, Emulator, EmulatorError, Options};
use spu_sim::{Profile, SimConfig};

/// An instruction takes 2⁵ = 32 ns: near a cycle of the 25 MHz core.
const SHIFT: u8 = 5;
/// Frames of a stream.
const FRAMES: u32 = 4_000;

/// What was measured, and what was done meanwhile.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The firmware's own counters.
    pub timing: Timing,
    /// Frames that were streamed to the host.
    pub frames: u64,
    /// Frames among them that were lost.
    pub lost: u64,
    /// Pings.
    pub pings: u32,
}

impl Measured {
    /// Part of a tick by which the earliest and the latest differ from a clock without jitter,
    /// together.
    pub fn jitter_ticks(&self) -> f64 {
        let Timing { early_us, late_us, tick_hz, .. } = self.timing;
        (early_us + late_us) * 1e-6 * f64::from(tick_hz)
    }
}

/// Streams, loads and pings until so many ticks of the firmware have passed.
///
/// # Errors
/// [`EmulatorError`] where there is no emulator or no image; those of the device.
pub fn measure(ticks: u32) -> anyhow::Result<Measured> {
    let sim = SimConfig { profile: Profile::named("rev-a")?, seed: 7, copy: 0, without: [].into() };
    let mut options = Options::new(sim);
    options.bus = Bus::Semihosting;
    options.clocking = Clocking::Instructions { shift: SHIFT };
    let emulator = Emulator::start(options)?;
    let link = Qemu::attach(emulator, "qemu".into(), soon())?;
    let mut device = Client::open(link, "qemu", soon())?;
    let program = program(device.info().cells, device.info().couplings);
    let plan = AcquirePlan {
        settle: Ticks(100),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(FRAMES).context("frames")?,
        moments: true,
        stream: true,
        realtime: false,
    };
    let (mut frames, mut lost, mut pings) = (0, 0, 0);
    loop {
        device.load(&program, soon())?;
        let report = device.acquire(&plan, &mut NullSink, soon())?;
        frames += report.kept;
        lost += report.lost;
        for length in [0, 1, 255, 1024] {
            device.ping(&vec![0xC0; length], soon())?;
            pings += 1;
        }
        let timing = mcu::timing(&mut device, soon())?.context("no microcontroller")?;
        if timing.ticks + timing.ticks_lost >= ticks {
            return Ok(Measured { timing, frames, lost, pings });
        }
    }
}

/// Why there is nothing to measure with, if that is why it failed.
pub fn missing(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref() {
        Some(error @ (EmulatorError::NoQemu { .. } | EmulatorError::NoImage { .. })) => {
            Some(error.to_string())
        }
        _ => None,
    }
}

fn soon() -> Deadline {
    Deadline::after_secs(60)
}

/// Every cell in the middle of its range, uncoupled and driven.
fn program(cells: usize, couplings: usize) -> Program {
    Program {
        self_codes: vec![CouplingCode(8); cells],
        coupling_codes: vec![CouplingCode(0); couplings],
        gain_codes: vec![GainCode(2048); cells],
        bias_codes: vec![DacCode(0); cells],
        storage_codes: Vec::new(),
        seeds: None,
        discharge: false,
    }
}
