//! Streams of the simulated board: where frames are in sampled time, and where they are stored.
#![cfg(feature = "sim")]

mod ticks;

use std::num::NonZeroU32;

use spu_driver::{AcquirePlan, BoardInfo, Deadline, Program};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};

fn soon() -> Deadline {
    Deadline::after_secs(60)
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
        seeds: Some((1..=info.cells as u32).map(|cell| [cell, 2, 3, 4]).collect()),
        discharge: true,
    }
}
