//! Faults and other things that only a simulated board can be told.
//!
//! Separate from the device interface: nothing here goes over the wire.

use std::num::NonZeroU32;

use crate::error::SimError;
use crate::fault::Fault;

/// What a simulated board can be told beside the wire.
pub trait SimControl {
    /// Adds a fault to those that are in the board.
    ///
    /// # Errors
    /// [`SimError::NoSuchPart`] if the board lacks the part, [`SimError::FaultValue`] for a value
    /// that it cannot have.
    fn inject(&mut self, fault: Fault) -> Result<(), SimError>;

    /// Repairs every fault, and calls off those that have not happened yet.
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

    /// Ticks of sampled time since power-up, of all runs.
    fn ticks(&self) -> u64;
}
