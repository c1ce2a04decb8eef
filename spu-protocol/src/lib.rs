//! The wire of the spu stack, shared by host, firmware and simulator.
//!
//! Everything that two sides must agree on is here and nowhere else: the frame
//! [`header`], the [`opcode`] numbers, the [`payload`] layouts, the frame [`codec`]
//! (COBS and CRC-32C), JESD204B sample [`packing`], the typed converter and bank
//! [`code`]s, the numbered [`error`] registry, the header of an [`image`] that is flashed and the FPGA's register map [`regs`].
//!
//! The crate is `no_std`, allocates nothing and does no I/O. All integers are little
//! endian on the wire, except packed samples and SPI words, which are most significant
//! octet first as their own standards say.
#![no_std]

#[cfg(target_endian = "big")]
compile_error!(
    "spu-protocol maps payload structs onto little-endian bytes; a big-endian target needs explicit swaps"
);

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod code;
pub mod codec;
pub mod error;
pub mod header;
pub mod image;
pub mod opcode;
pub mod packing;
pub mod payload;
pub mod regs;
pub mod version;
