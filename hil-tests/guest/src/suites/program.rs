//! What the board is set to in these suites.

use spu_driver::seeds::noise_seeds;
use spu_driver::{
    AcquirePlan, BoardInfo, Deadline, Device, Error, FrameBlock, Program, Report, Sink,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};
use std::num::NonZeroU32;

/// Generous: an emulated computer on a busy one.
const ALLOWED_SECS: u64 = 60;

/// A deadline that is not what is tested.
pub(crate) fn soon() -> Deadline {
    Deadline::after_secs(ALLOWED_SECS)
}

/// Every cell driven and coupled, the noise from a seed: the same plan gives the same codes.
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

/// This many frames, streamed.
pub(crate) fn streamed(frames: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(10),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(frames).unwrap_or(NonZeroU32::MIN),
        moments: false,
        stream: true,
        realtime: false,
    }
}

/// Keeps what an acquisition delivers.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) codes: Vec<AdcCode>,
    /// Frames said to be lost, over all blocks.
    pub(crate) lost: u64,
    /// Index that the next block should have.
    next: u64,
    /// True as long as each block followed the last one.
    pub(crate) gapless: bool,
    cells: usize,
}

impl Kept {
    pub(crate) fn new(cells: usize) -> Self {
        Self { cells, gapless: true, ..Self::default() }
    }

    /// Frames that were delivered.
    pub(crate) fn count(&self) -> u64 {
        (self.codes.len() / self.cells) as u64
    }
}

impl Sink for Kept {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.gapless &= block.first_frame == self.next + block.lost_before;
        self.lost += block.lost_before;
        self.next = block.first_frame + (block.codes.len() / self.cells) as u64;
        self.codes.extend_from_slice(block.codes);
        Ok(())
    }
}

/// Loads the program and streams.
pub(crate) fn record(
    device: &mut dyn Device,
    plan: &AcquirePlan,
    deadline: Deadline,
) -> Result<(Kept, Report), Error> {
    let program = program(device.info());
    device.load(&program, deadline)?;
    let mut kept = Kept::new(device.info().cells);
    let report = device.acquire(plan, &mut kept, deadline)?;
    Ok((kept, report))
}
