//! What a host asks, what goes wrong meanwhile, and what must hold all the same:
//!
//! - every call ends by its deadline,
//! - no call gets the answer to another,
//! - every write, load, reset and start is executed at most once, and once if the call succeeded,
//! - every frame is delivered with the codes of a run without faults, or reported lost,
//! - once the faults are over the device works.

pub(crate) mod board;
pub(crate) mod expect;
mod many;
mod run;

use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::ResetLevel;
use spu_driver::link::faulty::{Direction, LinkFault, Schedule};

pub use board::Event;
pub use many::{Clock, REAL_SLACK, VIRTUAL_SLACK, run_many, run_seed};
pub use run::{Cache, Tally, Violation, run};

/// One call of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A ping with this many bytes.
    Ping(u16),
    /// Writes a value of its own to a register.
    Write,
    /// Reads that register.
    Read,
    /// Loads a program of its own.
    Load,
    /// Samples with whatever is loaded.
    Acquire(Sampling),
    /// Loads a program with its seeds, and samples it: the codes are known then.
    LoadAndAcquire(Sampling),
    /// Runs the bus test.
    SelfTest,
    /// Resets.
    Reset(ResetLevel),
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Frames to keep.
    pub frames: u32,
    /// One tick in so many is kept.
    pub decimation: u32,
    /// Send the frames.
    pub stream: bool,
    /// Lose frames rather than stall.
    pub realtime: bool,
}

/// A run: calls with their deadlines, faults of the link, and events on the board.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Chooses programs and payloads.
    pub seed: u64,
    /// Calls in order, each with the time that it is given.
    pub calls: Vec<(Call, Duration)>,
    /// Faults of the link, counted from the opening of the device.
    pub faults: Schedule,
    /// What happens at the board, by the number of the host's read.
    pub events: Vec<(u64, Event)>,
}

impl Plan {
    /// A plan of this seed: up to `calls` calls, a fault on about `rate` of all frames, times of up
    /// to `scale`, and now and then an event.
    pub fn random(seed: u64, calls: usize, rate: f64, scale: Duration) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let count = 1 + below(&mut rng, calls as u64) as usize;
        let calls = (0..count)
            .map(|_| (call(&mut rng), scale.mul_f64(0.02 + 0.01 * below(&mut rng, 300) as f64)))
            .collect();
        let events = (0..below(&mut rng, 4))
            .map(|_| {
                let latest = [30, 400][below(&mut rng, 2) as usize];
                (below(&mut rng, latest), Event::ALL[below(&mut rng, 6) as usize])
            })
            .collect();
        Self { seed, calls, faults: Schedule::random(rng.next_u64(), rate, scale), events }
    }
}

pub(crate) fn below(rng: &mut impl Rng, limit: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(limit)) >> 64) as u64
}

fn call(rng: &mut impl Rng) -> Call {
    let sampling = Sampling {
        frames: 1 + below(rng, 1500) as u32,
        decimation: 1 + below(rng, 20) as u32,
        stream: below(rng, 3) > 0,
        realtime: below(rng, 4) == 0,
    };
    match below(rng, 16) {
        0..3 => Call::Ping(below(rng, 1025) as u16),
        3..6 => Call::Write,
        6..8 => Call::Read,
        8 => Call::Load,
        9 => Call::Acquire(sampling),
        10..14 => Call::LoadAndAcquire(sampling),
        14 => Call::SelfTest,
        _ => Call::Reset(
            [ResetLevel::Session, ResetLevel::Fpga, ResetLevel::Controller][below(rng, 3) as usize],
        ),
    }
}

/// A fault on a frame, for schedules that are written down.
pub type Scripted = (Direction, u64, LinkFault);
