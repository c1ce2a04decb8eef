//! Two slots and their marks.
//!
//! | octets of a slot | what |
//! |---|---|
//! | 0 … 255 | header |
//! | 256 … | payload |
//! | the last 128 | marks of 32 octets: *ready* (verified, with the number of the update), *tried* (started once), *confirmed*, *rolled back* |
//!
//! A mark is written once between two erasures. Its number stands beside its complement, so a write
//! or an erasure that was cut, which leave bits set that should be clear, never give a valid mark
//! that was not meant. A mark that is neither erased nor valid is *torn*: it makes no slot ready and
//! confirms nothing, but counts as *tried* and *rolled back*, the careful reading of each.

use bytemuck::{Pod, Zeroable};
use spu_protocol::image::{Accepts, HEADER_LEN, ImageHeader};
use spu_protocol::payload::SlotStatus;
use spu_protocol::payload::update::SlotState;

use crate::flash::{Flash, FlashError};
use crate::keys::Key;
use crate::verify::Verify;

/// Octets of a mark, and what everything in a slot is aligned to.
pub const MARK: u32 = 32;
/// Octets of the marks at a slot's end.
pub const TRAILER: u32 = 4 * MARK;

/// One of the two slots.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Slot {
    /// The first.
    #[default]
    A = 0,
    /// The second.
    B = 1,
}

impl Slot {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Where the slots are. All are multiples of the flash's page, and no page is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// First octet of slot A.
    pub a: u32,
    /// First octet of slot B.
    pub b: u32,
    /// Octets of a slot.
    pub size: u32,
}

impl Layout {
    /// First octet of a slot.
    pub const fn start(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    /// First octet of a slot's payload.
    pub const fn payload(&self, slot: Slot) -> u32 {
        self.start(slot).saturating_add(HEADER_LEN as u32)
    }

    /// Most octets of a payload.
    pub const fn room(&self) -> u32 {
        self.size.saturating_sub(HEADER_LEN as u32).saturating_sub(TRAILER)
    }

    /// Address of a mark.
    const fn mark(&self, slot: Slot, which: Which) -> u32 {
        let trailer = self.start(slot).saturating_add(self.size.saturating_sub(TRAILER));
        trailer.saturating_add((which as u32).saturating_mul(MARK))
    }
}

/// A kind of mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Which {
    Ready = 0,
    Tried = 1,
    Confirmed = 2,
    RolledBack = 3,
}

/// A mark as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Stored {
    magic: [u8; 8],
    sequence: u32,
    not_sequence: u32,
    which: u32,
    not_which: u32,
    end: [u8; 8],
}
const _: () = assert!(size_of::<Stored>() == MARK as usize);

impl Stored {
    const ERASED: [u8; MARK as usize] = [0xFF; MARK as usize];

    const fn new(which: Which, sequence: u32) -> Self {
        let number = which as u32;
        Self {
            magic: *b"SPU mark",
            sequence,
            not_sequence: !sequence,
            which: number,
            not_which: !number,
            end: *b"mark end",
        }
    }
}

/// What a mark reads as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Erased,
    /// Of the update of this number.
    Valid(u32),
    Torn,
}

/// What a slot's marks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) state: SlotState,
    /// Number of the update; 0 where the slot is empty.
    pub(crate) sequence: u32,
    /// The mark *rolled back* can be written.
    pub(crate) can_roll_back: bool,
}

/// Two slots in a flash memory, and what they take.
pub struct Slots<'a> {
    /// The memory.
    pub flash: &'a mut dyn Flash,
    /// Where they are.
    pub layout: Layout,
    /// The images that they take.
    pub accepts: Accepts,
    /// Keys that images may be signed with.
    pub keys: &'a [Key],
    /// How signatures are verified: [`ed25519`](crate::verify::ed25519).
    pub verify: Verify,
}

impl core::fmt::Debug for Slots<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slots")
            .field("layout", &self.layout)
            .field("accepts", &self.accepts)
            .finish_non_exhaustive()
    }
}

impl Slots<'_> {
    fn read_mark(&mut self, slot: Slot, which: Which) -> Mark {
        let mut octets = [0; MARK as usize];
        if self.flash.read(self.layout.mark(slot, which), &mut octets).is_err() {
            // A word that cannot be corrected is one whose write was cut.
            return Mark::Torn;
        }
        if octets == Stored::ERASED {
            return Mark::Erased;
        }
        let stored: Stored = bytemuck::cast(octets);
        if stored == Stored::new(which, stored.sequence) {
            Mark::Valid(stored.sequence)
        } else {
            Mark::Torn
        }
    }

    /// Writes a mark and reads it back.
    pub(crate) fn write_mark(
        &mut self,
        slot: Slot,
        which: Which,
        sequence: u32,
    ) -> Result<(), FlashError> {
        let stored = Stored::new(which, sequence);
        self.flash.write(self.layout.mark(slot, which), bytemuck::bytes_of(&stored))?;
        if self.read_mark(slot, which) == Mark::Valid(sequence) {
            Ok(())
        } else {
            Err(FlashError::Failed)
        }
    }

    /// What a slot's marks say.
    pub(crate) fn marks(&mut self, slot: Slot) -> Marks {
        let Mark::Valid(sequence) = self.read_mark(slot, Which::Ready) else {
            return Marks { state: SlotState::Empty, sequence: 0, can_roll_back: false };
        };
        let tried = self.read_mark(slot, Which::Tried);
        let confirmed = self.read_mark(slot, Which::Confirmed);
        let rolled_back = self.read_mark(slot, Which::RolledBack);
        let state = if rolled_back != Mark::Erased {
            SlotState::RolledBack
        } else if confirmed == Mark::Valid(sequence) {
            SlotState::Confirmed
        } else if tried != Mark::Erased || confirmed != Mark::Erased {
            SlotState::Trial
        } else {
            SlotState::Pending
        };
        Marks { state, sequence, can_roll_back: rolled_back == Mark::Erased }
    }

    /// Marks that a slot's image is not to be started again, if that can be marked.
    pub(crate) fn roll_back(&mut self, slot: Slot) {
        let marks = self.marks(slot);
        if marks.can_roll_back {
            // Where it cannot be written the next start finds the same and decides the same.
            let _ = self.write_mark(slot, Which::RolledBack, marks.sequence);
        }
    }

    /// The slot whose image runs, by the marks that the last start left: the one on trial, else the
    /// newest that was confirmed, else the newest.
    pub fn running(&mut self) -> Slot {
        let rank = |marks: &Marks| match marks.state {
            SlotState::Trial => 4,
            SlotState::Confirmed => 3,
            SlotState::RolledBack => 2,
            SlotState::Pending => 1,
            SlotState::Empty => 0,
        };
        let (a, b) = (self.marks(Slot::A), self.marks(Slot::B));
        if (rank(&b), b.sequence) > (rank(&a), a.sequence) { Slot::B } else { Slot::A }
    }

    /// State of a slot.
    pub fn state(&mut self, slot: Slot) -> SlotState {
        self.marks(slot).state
    }

    /// Header of a slot's image; it may be of any content.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn header(&mut self, slot: Slot) -> Result<ImageHeader, FlashError> {
        let mut header: ImageHeader = Zeroable::zeroed();
        self.flash.read(self.layout.start(slot), bytemuck::bytes_of_mut(&mut header))?;
        Ok(header)
    }

    /// A slot for the host.
    pub fn status(&mut self, slot: Slot) -> SlotStatus {
        let marks = self.marks(slot);
        let header = self.header(slot).ok().filter(|header| header.check_format().is_ok());
        match header {
            Some(header) if marks.state != SlotState::Empty => SlotStatus {
                build_id: header.build_id,
                length: header.length,
                sequence: marks.sequence,
                version: header.version,
                state: marks.state as u8,
                reserved: 0,
            },
            _ => SlotStatus::default(),
        }
    }

    /// Confirms the image that runs: it is started again from now on. One that is confirmed
    /// already stays so.
    ///
    /// # Errors
    /// [`FlashError`]; the next start rolls back then. [`FlashError::Failed`] too where no image
    /// is on trial or confirmed.
    pub fn confirm(&mut self) -> Result<(), FlashError> {
        let slot = self.running();
        let marks = self.marks(slot);
        match marks.state {
            SlotState::Confirmed => Ok(()),
            SlotState::Trial => self.write_mark(slot, Which::Confirmed, marks.sequence),
            _ => Err(FlashError::Failed),
        }
    }
}
