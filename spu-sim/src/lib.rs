//! Bit-accurate simulator of the FPGA and the analog board.
//!
//! [`SimBoard`] runs `spu-firmware`'s dispatcher over [`Fpga`], which is the register file,
//! sequencer, noise generators, capture memory and moment accumulators of the gateware, over
//! [`Analog`], which is the cells, the couplings and the converters of one copy of a board. The
//! same profile, seed and copy give the same ADC codes on every CPU and at every optimisation.
//!
//! [`SimControl`] injects faults; it is no part of the device interface.

// Lanes and matrix indices are the subject here: loops over them read like the formulae.
#![allow(clippy::needless_range_loop)]
// The block kernels are inlined into one function for each instruction set (see `dispatch`).
#![allow(clippy::inline_always)]

use spu_protocol::code::{AdcCode, DacCode};

pub mod analog;
pub mod array;
pub mod board;
pub mod control;
pub mod converters;
pub mod dispatch;
pub mod error;
pub mod fault;
pub mod fpga;
mod math;
pub mod mcu;
pub mod node;
pub mod noise;
pub mod nonideality;
pub mod profile;
#[cfg(feature = "serve")]
pub mod serve;

pub use analog::Analog;
pub use array::Array;
pub use board::{SimBoard, SimConfig};
pub use control::SimControl;
pub use converters::AnyAnalog;
pub use dispatch::Dispatch;
pub use error::{ProfileError, SimError};
pub use fault::{After, Bank, Drift, Drifting, Fault, Law};
pub use fpga::Fpga;
pub use mcu::InProcessBoard;
pub use nonideality::NonIdeality;
pub use profile::Profile;
pub use spu_firmware::Activity;

/// Lanes of the kernels: most cells of a board. Cells that a board lacks are zero.
pub const LANES: usize = spu_protocol::payload::load::MAX_CELLS;
/// Ticks that the kernels work on at once.
pub const BLOCK: usize = 64;

/// DAC codes of all cells at one tick.
pub type DacRow = [DacCode; LANES];
/// ADC codes of all cells at one tick.
pub type AdcRow = [AdcCode; LANES];
