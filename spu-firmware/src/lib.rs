//! The firmware of an spu board, without the start-up code of a particular microcontroller.
//!
//! [`Dispatcher`] answers the host's requests and follows the FPGA's sequencer over the trait
//! [`Board`]; [`FpgaBoard`] is a board whose FPGA is behind an SPI device. Every rung runs this
//! code: a microcontroller, its emulator, and the simulator in process.
//!
//! `no_std`, no heap, no panic that input can reach, bounded work in each
//! [`poll`](Dispatcher::poll), 24 KiB of memory. The feature `defmt` turns logging on.
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

mod acquisition;
mod board;
mod bulk;
mod dispatcher;
mod gaps;
mod identity;
mod input;
mod log;
mod output;
mod program;
mod refusal;
mod registers;
mod replies;
mod self_test;
mod sequencer;
pub mod serial;
mod session;
mod updating;

pub use board::{Board, BoardError, Clock, FpgaBoard};
pub use dispatcher::{Activity, Dispatcher};
pub use output::{MAX_ENCODED, Transmit};

/// Version of this firmware: major, minor, patch.
pub const FIRMWARE_VERSION: [u16; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

/// Most memory of a dispatcher, in bytes, board not counted.
pub const MAX_MEMORY: usize = 24 * 1024;
const _: () = assert!(size_of::<Dispatcher<()>>() <= MAX_MEMORY);

/// The number that `digits` are.
const fn number(digits: &str) -> u16 {
    match u16::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
