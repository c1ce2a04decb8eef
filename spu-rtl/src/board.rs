//! A whole board: firmware, gateware and analog board in one process.

use std::num::NonZeroU32;
use std::time::Instant;

use spu_firmware::{Activity, FpgaBoard};
use spu_sim::mcu::{InProcessBoard, Mcu};
use spu_sim::node::SimClock;
use spu_sim::{Analog, Dispatch, SimConfig};

use crate::error::RtlError;
use crate::spi::RtlSpi;

/// A board whose FPGA is the gateware, as a link sees it: octets in, octets out.
#[derive(Debug)]
pub struct RtlBoard(Mcu<FpgaBoard<RtlSpi<Analog>, SimClock>>);

impl RtlBoard {
    /// The board of this configuration, after power-up; it runs `quantum` ticks for each look at its
    /// status while it samples.
    ///
    /// # Errors
    /// As [`RtlFpga::new`](crate::RtlFpga::new).
    pub fn new(config: &SimConfig, quantum: NonZeroU32) -> Result<Self, RtlError> {
        let spi = RtlSpi::power_up(config, Dispatch::detect(), quantum)?;
        Ok(Self(Mcu::new(FpgaBoard::new(spi, SimClock::new(Instant::now)))))
    }
}

impl InProcessBoard for RtlBoard {
    fn receive(&mut self, bytes: &[u8]) {
        self.0.receive(bytes);
    }

    fn poll(&mut self, tx: &mut Vec<u8>) -> Activity {
        self.0.poll(tx)
    }

    fn set_clock(&mut self, now: fn() -> Instant) {
        *self.0.board_mut().clock_mut() = SimClock::new(now);
    }
}
