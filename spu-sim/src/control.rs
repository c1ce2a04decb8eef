//! Faults and other things that only a simulated board can be told.
//!
//! Separate from the device interface: nothing here goes over the wire.

use std::num::NonZeroU32;

use spu_protocol::code::AdcCode;

use crate::error::SimError;

/// A switched bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// Self term of a cell.
    SelfTerm {
        /// The cell.
        cell: usize,
    },
    /// Coupling of a pair of cells.
    Coupling {
        /// The pair, in the order (0,1), (0,2) … (1,2) ….
        pair: usize,
    },
}

/// A fault of a board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// An element of a bank does not follow its switch.
    StuckElement {
        /// The bank.
        bank: Bank,
        /// The element: bit of the bank's code.
        bit: u8,
        /// Always connected, or never.
        on: bool,
    },
    /// A cell gets no drive current.
    DeadCell {
        /// The cell.
        cell: usize,
    },
    /// A converter returns the same code whatever the voltage.
    StuckAdc {
        /// The cell.
        cell: usize,
        /// The code; full scale for a converter at its rail.
        code: AdcCode,
    },
    /// The drive gain of a cell differs from what was drawn.
    DriveGain {
        /// The cell.
        cell: usize,
        /// Factor on the drawn gain.
        factor: f64,
    },
    /// The sequencer stops advancing.
    Hang,
}

/// What a simulated board can be told beside the wire.
pub trait SimControl {
    /// Adds a fault to those that are in the board.
    ///
    /// # Errors
    /// [`SimError::NoSuchPart`] if the board lacks the part.
    fn inject(&mut self, fault: Fault) -> Result<(), SimError>;

    /// Repairs every fault.
    fn clear_faults(&mut self);

    /// Switches the power off and on: registers, session, cells and noise start afresh. The parts
    /// and their faults stay.
    fn power_cycle(&mut self);

    /// Keeps a record of every word that the microcontroller writes to the FPGA, or no longer.
    fn record_writes(&mut self, on: bool);

    /// Takes that record so far: byte addresses and values, in order, over power cycles too.
    fn take_writes(&mut self) -> Vec<(u16, u32)>;

    /// Ticks that the board runs for each look at its status while it samples.
    fn set_quantum(&mut self, ticks: NonZeroU32);
}
