//! Which image starts.

use spu_protocol::image::ImageHeader;
use spu_protocol::payload::update::SlotState;

use crate::slots::{MARK, Slot, Slots, Which};
use crate::verify::{Hasher, check_signature, read_payload};

/// The image to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// Its slot.
    pub slot: Slot,
    /// It was not confirmed yet.
    pub trial: bool,
    /// Its header.
    pub header: ImageHeader,
    /// Address of its payload in flash.
    pub payload: u32,
}

/// No slot holds an image that may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no slot holds an image that may start; flash one with a probe")]
pub struct NoImage;

/// Octets that are hashed at once.
const CHUNK: usize = 256;

/// Decides which image starts, marks it, and loads its payload into `memory` if there is some
/// (where there is none, the image runs in place).
///
/// Confirmed and new images come first, the newest of them before the others; a new one is marked
/// as tried. One that was tried and not confirmed is rolled back, unless nothing else can start; in
/// the end even one that was rolled back starts rather than none. Whichever it is, its header, its
/// SHA-256 and its signature are right: what is hashed is what was loaded.
///
/// # Errors
/// [`NoImage`] where no slot holds such an image; `memory` is unspecified then.
pub fn boot(slots: &mut Slots<'_>, mut memory: Option<&mut [u8]>) -> Result<Boot, NoImage> {
    let rank = |state| match state {
        SlotState::Confirmed | SlotState::Pending => 3,
        SlotState::Trial => 2,
        SlotState::RolledBack => 1,
        SlotState::Empty => 0,
    };
    let (a, b) = (slots.marks(Slot::A), slots.marks(Slot::B));
    let first = if (rank(b.state), b.sequence) > (rank(a.state), a.sequence) {
        [(Slot::B, b), (Slot::A, a)]
    } else {
        [(Slot::A, a), (Slot::B, b)]
    };
    for (slot, marks) in first {
        if marks.state == SlotState::Empty {
            continue;
        }
        let Some(header) = load(slots, slot, memory.as_deref_mut()) else {
            // It must not pass for the one that runs.
            slots.roll_back(slot);
            continue;
        };
        // One that cannot be marked could never be rolled back.
        if marks.state == SlotState::Pending
            && slots.write_mark(slot, Which::Tried, marks.sequence).is_err()
        {
            continue;
        }
        if slots.marks(slot.other()).state == SlotState::Trial {
            slots.roll_back(slot.other());
        }
        let payload = slots.layout.payload(slot);
        return Ok(Boot { slot, trial: marks.state != SlotState::Confirmed, header, payload });
    }
    Err(NoImage)
}

/// Loads a slot's image; its header if it is whole and signed.
fn load(slots: &mut Slots<'_>, slot: Slot, mut memory: Option<&mut [u8]>) -> Option<ImageHeader> {
    let header = slots.header(slot).ok()?;
    header.check(&slots.accepts, slots.layout.room()).ok()?;
    check_signature(&header, slots.keys, slots.verify).ok()?;
    let mut hasher = Hasher::new();
    let mut buffer = [0; CHUNK];
    let mut done = 0;
    while done < header.length {
        let part = read_payload(slots, slot, done, header.length, &mut buffer).ok()?;
        let end = done.checked_add(part.len() as u32)?;
        match &mut memory {
            Some(memory) => {
                let loaded = memory.get_mut(done as usize..end as usize)?;
                loaded.copy_from_slice(part);
                hasher.update(loaded);
            }
            None => hasher.update(part),
        }
        done = end;
    }
    hasher.is(&header.sha256).then_some(header)
}

const _: () = assert!(CHUNK.is_multiple_of(MARK as usize));
