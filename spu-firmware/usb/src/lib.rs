//! The USB device of a board: a vendor-specific bulk interface and a serial port, as
//! `hardware/usb.md` describes them, on any bus of the crate `usb-device`.
//!
//! [`Device`] joins both functions and turns packets to octets and back. It is polled from the
//! controller's interrupt and never waits. [`Turns`] says which of a board's links (UART, bulk,
//! serial port) the dispatcher listens to.
#![no_std]
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

mod device;
mod function;
pub mod ids;
mod pipe;
mod turns;
mod vendor;

pub use device::{Device, Extras, Port};
pub use pipe::PACKET;
pub use turns::Turns;
pub use vendor::{MICROSOFT_REQUEST, MICROSOFT_SET};
