//! The gateware itself in place of the simulated FPGA.
//!
//! [`RtlSpi`] is the Verilog of `hardware/gateware/`, compiled by Verilator, behind the SPI by which
//! the firmware reaches `spu_sim::Fpga` ([`SimSpi`](spu_sim::fpga::SimSpi)), with the same analog
//! board at its converter pins. Bits go in and out at the pins, with two clocks that know nothing of
//! each other: the core's, 96 MHz, and the SPI's. What both say is equal bit for bit.
//!
//! Where Verilator was missing when this crate was built, [`available`] says so.

mod board;
mod chain;
mod clocks;
mod error;
#[cfg(spu_rtl)]
#[allow(unsafe_code)] // The one place that calls C++: the Verilated model has no other interface.
mod model;
#[cfg(not(spu_rtl))]
#[path = "absent.rs"]
mod model;
mod pins;
mod spi;
mod twin;

pub use board::RtlBoard;
pub use clocks::RtlFpga;
pub use error::RtlError;
pub use model::available;
pub use spi::RtlSpi;
pub use twin::TwinBoard;

/// Identity of this gateware under Verilator: ASCII `RTL1`.
pub const GATEWARE_ID: u32 = 0x5254_4C31;
