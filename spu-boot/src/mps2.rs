//! The emulated MPS2 board's flash memory, as its boot loader, its firmware and hosts know it.

use crate::slots::Layout;

/// Octets of a page.
pub const PAGE: u32 = 4096;
/// Octets of a slot: an image of 64 KiB, its header and its marks.
pub const SLOT: u32 = 17 * PAGE;
/// The slots, in octets from the start of the memory.
pub const LAYOUT: Layout = Layout { a: 0, b: SLOT, size: SLOT };
/// Where the boot loader loads an image.
pub const LOAD_ADDRESS: u32 = 0x0001_0000;
/// Most octets of an image.
pub const LOAD_SIZE: usize = 64 * 1024;
