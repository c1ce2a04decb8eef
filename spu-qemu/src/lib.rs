//! The very image that a microcontroller is flashed with, on one that QEMU emulates: rung 3.
//!
//! The emulated microcontroller's UARTs are the host's serial port, the bus to the FPGA and the
//! log. The first is bridged to a pseudo-terminal, which the driver opens as any serial port (QEMU's
//! own looks only once a second); the second ends at the simulated FPGA of `spu-sim`; the third is
//! decoded and handed to `tracing`. All of it ends when the [`Emulator`] is dropped.
//!
//! QEMU (`qemu-system-arm`) and the image (`cargo xtask firmware`) must be there; what is missing is
//! said by [`EmulatorError`]. Unix only.
#![cfg(unix)]

mod bridge;
pub mod bus;
mod emulator;
mod error;
pub mod image;
mod log;
mod machine;
mod monitor;

pub use emulator::{Emulator, Options};
pub use error::EmulatorError;
pub use image::Board;
pub use machine::{Bus, Clocking, Mishap};
