//! Streams of the simulated board: where frames are in sampled time, and where they are stored.
#![cfg(feature = "sim")]

mod credits;
mod files;
mod queued;
mod ticks;

use std::num::NonZeroU32;

use spu_driver::{AcquirePlan, BoardInfo, Deadline, FrameBlock, Program, Sink, open};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};

fn soon() -> Deadline {
    Deadline::after_secs(60)
}

/// Consecutive frames that a device delivered, or a test made up.
struct Block {
    first_frame: u64,
    lost_before: u64,
    codes: Vec<AdcCode>,
}

/// Keeps all blocks.
#[derive(Default)]
struct Keep(Vec<Block>);

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        let FrameBlock { first_frame, lost_before, codes, .. } = *block;
        self.0.push(Block { first_frame, lost_before, codes: codes.to_vec() });
        Ok(())
    }
}

impl Keep {
    fn codes(&self) -> Vec<AdcCode> {
        self.0.iter().flat_map(|block| block.codes.clone()).collect()
    }
}

/// What a run after [`program`] delivers when nothing is in the way.
fn fault_free(uri: &str, plan: &AcquirePlan) -> Vec<AdcCode> {
    let mut device = open(uri).unwrap();
    device.load(&program(device.info()), soon()).unwrap();
    let mut keep = Keep::default();
    device.acquire(plan, &mut keep, soon()).unwrap();
    keep.codes()
}

/// A streamed plan in lockstep.
fn plan(settle: u64, decimation: u32, count: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(settle),
        decimation: NonZeroU32::new(decimation).unwrap(),
        count: NonZeroU32::new(count).unwrap(),
        moments: false,
        stream: true,
        realtime: false,
    }
}

/// A program after which the same ticks have the same codes.
fn program(info: &BoardInfo) -> Program {
    let top = ((1_i32 << info.raw.self_bits) - 1) as i16;
    Program {
        self_codes: (0..info.cells).map(|cell| CouplingCode(top - cell as i16)).collect(),
        coupling_codes: vec![CouplingCode(0); info.couplings],
        gain_codes: vec![GainCode(2048); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: Vec::new(),
        seeds: Some((1..=info.cells as u32).map(|cell| [cell, 2, 3, 4]).collect()),
        discharge: true,
    }
}
