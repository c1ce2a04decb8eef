//! The gateware's board and the simulator's, side by side on one link.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Instant;

use spu_firmware::{Activity, FpgaBoard};
use spu_sim::fpga::SimSpi;
use spu_sim::mcu::{InProcessBoard, Mcu};
use spu_sim::node::SimClock;
use spu_sim::{Analog, Dispatch, Fpga, SimConfig};

use crate::GATEWARE_ID;
use crate::board::RtlBoard;
use crate::error::RtlError;

thread_local! {
    /// What both clocks show during a poll.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Two boards of the same configuration that get the same octets and are polled in turn: the firmware
/// over the gateware, and over the simulated FPGA. The host sees the octets of the first; those of the
/// second are the same, every one: answers, samples, polled status, timestamps.
///
/// Both microcontrollers have one clock, which stands still while each does the same piece of work, and
/// both FPGAs advance by the same ticks for each look at their status. The simulated FPGA has the
/// gateware's identity, and neither microcontroller the flash memories of [`SimBoard`](spu_sim::SimBoard):
/// beside these, a board of `sim` says the same.
#[derive(Debug)]
pub struct TwinBoard {
    rtl: RtlBoard,
    sim: Mcu<FpgaBoard<SimSpi<Analog>, SimClock>>,
    clock: fn() -> Instant,
    /// What the simulator's board sent in a poll.
    expected: Vec<u8>,
    compared: u64,
}

impl TwinBoard {
    /// Both boards after power-up, which run `quantum` ticks for each look at their status.
    ///
    /// # Errors
    /// As [`RtlBoard::new`].
    pub fn new(config: &SimConfig, quantum: NonZeroU32) -> Result<Self, RtlError> {
        let rtl = RtlBoard::new(config, quantum)?;
        let profile = config.profile.clone().without(&config.without);
        let dispatch = Dispatch::detect();
        let analog = Analog::new(profile.clone(), config.seed, config.copy, dispatch);
        let mut fpga = Fpga::new(&profile, config.serial(), analog, dispatch)?;
        fpga.set_gateware_id(GATEWARE_ID);
        let board = FpgaBoard::new(SimSpi::new(fpga, quantum), SimClock::new(Instant::now));
        let mut twin = Self {
            rtl,
            sim: Mcu::new(board),
            clock: Instant::now,
            expected: Vec::new(),
            compared: 0,
        };
        twin.set_clock(Instant::now);
        Ok(twin)
    }

    /// Octets that both sent so far.
    pub const fn compared(&self) -> u64 {
        self.compared
    }
}

impl InProcessBoard for TwinBoard {
    fn receive(&mut self, bytes: &[u8]) {
        self.rtl.receive(bytes);
        self.sim.receive(bytes);
    }

    /// # Panics
    /// Where the boards differ.
    fn poll(&mut self, tx: &mut Vec<u8>) -> Activity {
        NOW.set(Some((self.clock)()));
        let before = tx.len();
        self.expected.clear();
        let activity = self.rtl.poll(tx);
        let expected = self.sim.poll(&mut self.expected);
        let sent = &tx[before..];
        assert!(
            sent == self.expected && activity == expected,
            "after {} octets the gateware's board sends {sent:02X?} ({activity:?}), the simulator's \
             {:02X?} ({expected:?})",
            self.compared,
            self.expected
        );
        self.compared += sent.len() as u64;
        activity
    }

    fn set_clock(&mut self, now: fn() -> Instant) {
        self.clock = now;
        NOW.set(Some(now()));
        self.rtl.set_clock(frozen);
        *self.sim.board_mut().clock_mut() = SimClock::new(frozen);
    }
}

/// The time of the poll.
fn frozen() -> Instant {
    NOW.get().unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests {
    use spu_protocol::codec::{encode, max_encoded};
    use spu_protocol::header::{Header, Kind};
    use spu_protocol::opcode::Opcode;
    use spu_sim::Profile;

    use super::*;

    fn twin() -> Option<TwinBoard> {
        let profile = Profile::named("rev-a").unwrap();
        let config = SimConfig { profile, seed: 1, copy: 0, without: [].into() };
        match TwinBoard::new(&config, NonZeroU32::MIN) {
            Err(RtlError::Unavailable { why }) => {
                println!("skipped: {why}");
                None
            }
            twin => Some(twin.unwrap()),
        }
    }

    /// A greeting: nonce, lowest and highest version.
    fn hello() -> Vec<u8> {
        let payload = [1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 0, 0, 0, 0, 0, 0];
        let header = Header::new(Kind::Request, Opcode::Hello as u16, 0, 0, 16);
        let mut wire = vec![0; max_encoded(payload.len())];
        let length = encode(&header, &[&payload], &mut wire).unwrap();
        wire.truncate(length);
        wire
    }

    fn poll(twin: &mut TwinBoard) -> Vec<u8> {
        let mut tx = Vec::new();
        for _ in 0..20 {
            twin.poll(&mut tx);
        }
        tx
    }

    #[test]
    fn both_answer_the_same() {
        let Some(mut twin) = twin() else { return };
        twin.receive(&hello());
        let answer = poll(&mut twin);
        assert!(answer.len() > 16);
        assert_eq!(twin.compared(), answer.len() as u64);
    }

    #[test]
    fn what_one_alone_sends_is_found() {
        let Some(mut twin) = twin() else { return };
        twin.sim.receive(&hello());
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut twin)));
        let why = end.expect_err("an answer of the simulator's alone");
        let why = why.downcast_ref::<String>().expect("a message");
        assert!(why.contains("the simulator's"), "{why}");
    }
}
