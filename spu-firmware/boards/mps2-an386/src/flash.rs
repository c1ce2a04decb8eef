//! Flash memory of the board, for which the emulator's PSRAM stands: a file of the emulator's host. It
//! behaves as NOR flash does.

use spu_boot::mps2::{LAYOUT, LOAD_ADDRESS, PAGE};
use spu_boot::{Flash, FlashError, KEYS, Slots, ed25519};
use spu_protocol::image::{Accepts, BoardId, ImageKind};

/// Where the memory is.
const BASE: u32 = 0x2100_0000;

/// The memory.
#[derive(Debug)]
pub(crate) struct Psram;

/// The slots of the firmware.
pub(crate) fn slots(flash: &mut Psram) -> Slots<'_> {
    Slots {
        flash,
        layout: LAYOUT,
        accepts: Accepts {
            kind: ImageKind::Firmware,
            target: BoardId::Mps2An386 as u32,
            load_address: LOAD_ADDRESS,
        },
        keys: KEYS,
        verify: ed25519,
    }
}

#[allow(unsafe_code, reason = "memory at a fixed address that the linker gives to nobody")]
mod memory {
    use spu_boot::mps2::SLOT;

    use super::BASE;

    /// Octets of both slots.
    const SIZE: usize = 2 * SLOT as usize;

    /// The place of `offset`, if `count` octets there are within the slots.
    fn place(offset: u32, count: usize) -> Option<*mut u8> {
        let offset = offset as usize;
        let end = offset.checked_add(count)?;
        (end <= SIZE).then(|| (BASE as usize).wrapping_add(offset) as *mut u8)
    }

    /// Reads; false if it is out of range.
    pub(super) fn read(offset: u32, out: &mut [u8]) -> bool {
        let Some(place) = place(offset, out.len()) else { return false };
        for (k, octet) in out.iter_mut().enumerate() {
            // SAFETY: within the memory, of which every pattern is an octet; volatile, since the
            // host's file is behind it.
            *octet = unsafe { place.wrapping_add(k).read_volatile() };
        }
        true
    }

    /// Makes each octet what `change` makes of it; false if it is out of range.
    pub(super) fn change(offset: u32, count: usize, change: impl Fn(usize, u8) -> u8) -> bool {
        let Some(place) = place(offset, count) else { return false };
        for k in 0..count {
            let place = place.wrapping_add(k);
            // SAFETY: as in `read`; nobody else has the memory.
            unsafe { place.write_volatile(change(k, place.read_volatile())) };
        }
        true
    }
}

const fn in_range(done: bool) -> Result<(), FlashError> {
    if done { Ok(()) } else { Err(FlashError::OutOfRange) }
}

impl Flash for Psram {
    fn page(&self) -> u32 {
        PAGE
    }

    fn granule(&self) -> u32 {
        1
    }

    fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        in_range(memory::read(offset, out))
    }

    fn erase_page(&mut self, offset: u32) -> Result<(), FlashError> {
        if !offset.is_multiple_of(PAGE) {
            return Err(FlashError::NotAligned);
        }
        in_range(memory::change(offset, PAGE as usize, |_, _| 0xFF))
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), FlashError> {
        let written = |k: usize, old: u8| old & octets.get(k).copied().unwrap_or(0xFF);
        in_range(memory::change(offset, octets.len(), written))
    }
}
