//! What goes wrong on a link, and when.

use std::collections::HashMap;
use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From this host.
    ToDevice,
    /// From the device.
    ToHost,
}

/// What happens to one frame on its way. Positions are taken modulo the frame's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// It is lost.
    Drop,
    /// It comes twice.
    Duplicate,
    /// One bit of it is inverted.
    Flip {
        /// Number of the bit.
        bit: u32,
    },
    /// Its end is lost.
    Truncate {
        /// Bytes that are left.
        to: u16,
    },
    /// Other bytes come in between.
    Insert {
        /// Where.
        at: u16,
        /// What.
        bytes: [u8; 4],
    },
    /// It comes later; what follows it overtakes it.
    Delay(Duration),
    /// It comes in two parts.
    Split {
        /// Bytes of the first part.
        at: u16,
        /// Time until the second.
        pause: Duration,
    },
    /// It and what follows it wait for a while, then come at once.
    Stall(Duration),
    /// It comes after the next one.
    Reorder,
    /// The cable is pulled, and plugged in again this much later; what is under way is lost.
    Disconnect(Duration),
}

impl LinkFault {
    /// Every kind of fault.
    pub const KINDS: [&'static str; 10] = [
        "drop",
        "duplicate",
        "flip",
        "truncate",
        "insert",
        "delay",
        "split",
        "stall",
        "reorder",
        "disconnect",
    ];

    /// Index of this kind in [`KINDS`](Self::KINDS).
    pub const fn kind(&self) -> usize {
        match self {
            Self::Drop => 0,
            Self::Duplicate => 1,
            Self::Flip { .. } => 2,
            Self::Truncate { .. } => 3,
            Self::Insert { .. } => 4,
            Self::Delay(_) => 5,
            Self::Split { .. } => 6,
            Self::Stall(_) => 7,
            Self::Reorder => 8,
            Self::Disconnect(_) => 9,
        }
    }
}

/// The faults of a link, by the number of the frame in its direction, from 0.
#[derive(Debug, Clone)]
pub struct Schedule(Plan);

#[derive(Debug, Clone)]
enum Plan {
    Script(HashMap<(Direction, u64), LinkFault>),
    Random { seed: u64, rate: f64, scale: Duration },
}

impl Schedule {
    /// These faults and no others. Of two for the same frame the last counts.
    pub fn script(faults: impl IntoIterator<Item = (Direction, u64, LinkFault)>) -> Self {
        let faults =
            faults.into_iter().map(|(direction, frame, fault)| ((direction, frame), fault));
        Self(Plan::Script(faults.collect()))
    }

    /// Faults of every kind, on a part `rate` of all frames, with times of up to `scale`. The same
    /// seed gives the same faults.
    pub fn random(seed: u64, rate: f64, scale: Duration) -> Self {
        Self(Plan::Random { seed, rate, scale })
    }

    /// What happens to this frame.
    pub fn fault(&self, direction: Direction, frame: u64) -> Option<LinkFault> {
        match &self.0 {
            Plan::Script(faults) => faults.get(&(direction, frame)).copied(),
            Plan::Random { seed, rate, scale } => {
                let way = frame << 1 | u64::from(direction == Direction::ToHost);
                let mixed = seed ^ way.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(mixed);
                (unit(&mut rng) < *rate).then(|| draw(&mut rng, *scale))
            }
        }
    }
}

/// A number from 0 to 1, without 1.
fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn draw(rng: &mut impl Rng, scale: Duration) -> LinkFault {
    let kind = rng.next_u64() % LinkFault::KINDS.len() as u64;
    let time = scale.mul_f64(unit(rng));
    let place = rng.next_u32();
    let at = place as u16;
    match kind {
        0 => LinkFault::Drop,
        1 => LinkFault::Duplicate,
        2 => LinkFault::Flip { bit: place },
        3 => LinkFault::Truncate { to: at },
        4 => LinkFault::Insert { at, bytes: rng.next_u32().to_le_bytes() },
        5 => LinkFault::Delay(time),
        6 => LinkFault::Split { at, pause: time },
        7 => LinkFault::Stall(time),
        8 => LinkFault::Reorder,
        _ => LinkFault::Disconnect(time),
    }
}
