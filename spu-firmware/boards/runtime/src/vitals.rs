//! The microcontroller's registers: how it started, and how well it keeps up.

use spu_firmware::serial;
use spu_protocol::regs::{self, mcu_control, mcu_start};

use crate::retained::{Cause, Start};
use crate::stack;
use crate::time::{self, TICK_HZ, Timer};

/// What is told, as far as it is not counted elsewhere.
#[derive(Debug)]
pub(crate) struct Vitals {
    board: u32,
    start: Start,
}

impl Vitals {
    /// Before anything is known.
    pub(crate) const NONE: Self = Self { board: 0, start: Start::NONE };

    /// Takes over the board's number and how the microcontroller started.
    pub(crate) fn set(&mut self, board: u32, start: &Start) {
        *self = Self { board, start: *start };
    }

    /// The register at this address.
    pub(crate) fn read<T: Timer>(&self, address: u16) -> u32 {
        let [ticks, lost, early, late, service] = time::counters();
        let (overruns, high) = serial::receive_counters();
        match address {
            regs::MCU_BOARD => self.board,
            regs::MCU_START => {
                let cause = self.start.cause.map_or(0, Cause::number);
                cause | (self.start.starts & mcu_start::STARTS_MASK) << mcu_start::STARTS_SHIFT
            }
            regs::MCU_COUNTER_HZ => T::HZ,
            regs::MCU_TICK_HZ => TICK_HZ,
            regs::MCU_TICKS => ticks,
            regs::MCU_TICKS_LOST => lost,
            regs::MCU_TICK_EARLY => early,
            regs::MCU_TICK_LATE => late,
            regs::MCU_SERVICE => service,
            regs::MCU_STACK_USED => stack::depth().0,
            regs::MCU_STACK_SIZE => stack::depth().1,
            regs::MCU_RX_OVERRUNS => overruns,
            regs::MCU_RX_HIGH => high,
            regs::MCU_REPORT_OCTETS => self.start.text().len() as u32,
            address => self.text(address),
        }
    }

    /// Four octets of the report.
    fn text(&self, address: u16) -> u32 {
        let at = usize::from(address.wrapping_sub(regs::mcu_report(0)));
        let rest = self.start.text().get(at..).unwrap_or_default();
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(rest) {
            *to = *from;
        }
        u32::from_le_bytes(word)
    }

    /// Does what the bits written to the control register say.
    pub(crate) fn obey(&mut self, bits: u32) {
        if bits & mcu_control::CLEAR_REPORT != 0 {
            self.start.clear();
        }
        if bits & mcu_control::CLEAR_TIMING != 0 {
            time::clear();
            serial::clear();
        }
    }
}
