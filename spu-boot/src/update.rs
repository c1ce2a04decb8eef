//! Brings an image into the slot that does not run, in bounded steps.

use spu_protocol::error::ErrorCode;
use spu_protocol::image::{HEADER_LEN, ImageError, ImageHeader};
use spu_protocol::payload::update::{SlotState, UpdateState};
use spu_protocol::payload::{UpdateBegin, UpdateProgress, UpdateStatus, UpdateWrite};

use crate::flash::FlashError;
use crate::slots::{MARK, Slot, Slots, TRAILER, Which};
use crate::verify::{Hasher, Untrusted, check_signature, find_key, read_payload};

/// Why an update is refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The header.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Hash or signature.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Older than what runs.
    #[error("older than what runs; allow the downgrade if it is meant")]
    Downgrade,
    /// A piece out of order, or of a length that is not allowed.
    #[error("piece at {found}, expected one at {expected}; go on from there")]
    OutOfOrder {
        /// Where it starts.
        found: u32,
        /// Where it should.
        expected: u32,
    },
    /// The flash.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// What runs is on trial.
    #[error("the running image is not confirmed; confirm it or restart to roll back, then flash")]
    NotConfirmed,
    /// Finished before all pieces came.
    #[error("{received} of {length} octets have come; send the rest before finishing")]
    Incomplete {
        /// Octets that came.
        received: u32,
        /// Octets of the payload.
        length: u32,
    },
    /// None is going on that this belongs to.
    #[error("no update is going on that this belongs to; begin it again")]
    NoUpdate,
    /// The slot is being erased or verified.
    #[error("the slot is being erased or verified; wait for the state to change")]
    Busy,
}

impl UpdateError {
    /// As the host gets it: number and detail.
    pub const fn code(&self) -> (ErrorCode, u16) {
        match self {
            Self::Image(ImageError::WrongTarget { .. }) => (ErrorCode::WrongTarget, 0),
            Self::Image(ImageError::Length { .. }) => (ErrorCode::TooLarge, 0),
            Self::Image(ImageError::WrongKind { .. }) => (ErrorCode::BadImage, 1),
            Self::Image(ImageError::WrongAddress { .. }) => (ErrorCode::BadImage, 2),
            Self::Image(_) => (ErrorCode::BadImage, 0),
            Self::Untrusted(Untrusted::UnknownKey(id)) => (ErrorCode::UnknownKey, *id as u16),
            Self::Untrusted(Untrusted::BadSignature) => (ErrorCode::BadSignature, 0),
            Self::Untrusted(Untrusted::BadHash) => (ErrorCode::BadHash, 0),
            Self::Downgrade => (ErrorCode::Downgrade, 0),
            Self::OutOfOrder { .. } => (ErrorCode::OutOfOrder, 0),
            Self::Flash(_) => (ErrorCode::Flash, 0),
            Self::NotConfirmed => (ErrorCode::NotConfirmed, 0),
            Self::Incomplete { .. } => (ErrorCode::Incomplete, 0),
            Self::NoUpdate => (ErrorCode::NoUpdate, 0),
            Self::Busy => (ErrorCode::Busy, 0),
        }
    }
}

/// An update of one pair of slots.
///
/// [`begin`](Self::begin) checks the header; [`step`](Self::step) then checks its signature before
/// anything is erased, erases a page at a time, or verifies a piece at a time. The slot's first page,
/// with its header, is erased first and its marks last; the header is written after the payload was
/// verified and the mark *ready* after both: a cut leaves a slot that does not start.
#[derive(Debug)]
pub struct Updater {
    state: State,
    /// Number of the [`ErrorCode`] of one that failed. All fields of a new one are zero, so that a
    /// static one takes no room in flash.
    error: u16,
    slot: Slot,
    sequence: u32,
    done: u32,
    header: ImageHeader,
    hasher: Option<Hasher>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle = 0,
    Erasing = 1,
    Receiving = 2,
    Verifying = 3,
    Ready = 4,
    Failed = 5,
    /// The header's signature is next.
    Checking,
    /// Hash and header are right in flash; the signature of the latter is next.
    Marking,
}

const EMPTY: ImageHeader = ImageHeader {
    magic: [0; 4],
    header_version: 0,
    kind: 0,
    target: 0,
    build_id: 0,
    version: [0; 3],
    reserved: 0,
    length: 0,
    load_address: 0,
    sha256: [0; 32],
    key_id: 0,
    padding: [0; 124],
    signature: [0; 64],
};

impl Default for Updater {
    fn default() -> Self {
        Self::new()
    }
}

impl Updater {
    /// None is going on.
    pub const fn new() -> Self {
        Self {
            state: State::Idle,
            error: 0,
            slot: Slot::A,
            sequence: 0,
            done: 0,
            header: EMPTY,
            hasher: None,
        }
    }

    /// The kind of image that it brings, as in its header; 0 before the first.
    pub const fn kind(&self) -> u16 {
        self.header.kind
    }

    /// Begins, in place of one that is going on. The slot is not touched yet.
    ///
    /// # Errors
    /// [`UpdateError::Image`], [`UpdateError::Untrusted`] for a key that is not accepted,
    /// [`UpdateError::Downgrade`], [`UpdateError::NotConfirmed`], [`UpdateError::Flash`]. Another
    /// update that was going on goes on then. (A wrong signature shows in the progress.)
    pub fn begin(&mut self, slots: &mut Slots<'_>, begin: &UpdateBegin) -> Result<(), UpdateError> {
        begin.header.check(&slots.accepts, slots.layout.room())?;
        find_key(&begin.header, slots.keys)?;
        let running = slots.running();
        let marks = slots.marks(running);
        if marks.state == SlotState::Trial {
            return Err(UpdateError::NotConfirmed);
        }
        if marks.state != SlotState::Empty {
            let version = slots.header(running)?.version;
            let allowed = begin.flags & UpdateBegin::ALLOW_DOWNGRADE != 0;
            if begin.header.version < version && !allowed {
                return Err(UpdateError::Downgrade);
            }
        }
        let slot = running.other();
        let newest = marks.sequence.max(slots.marks(slot).sequence);
        self.state = State::Checking;
        self.error = 0;
        self.slot = slot;
        self.sequence = newest.saturating_add(1);
        self.done = 0;
        self.header = begin.header;
        self.hasher = None;
        Ok(())
    }

    /// Takes a piece of the payload.
    ///
    /// # Errors
    /// [`UpdateError::OutOfOrder`], [`UpdateError::NoUpdate`], [`UpdateError::Busy`]: nothing
    /// changes. [`UpdateError::Flash`]: the update failed.
    pub fn write(
        &mut self,
        slots: &mut Slots<'_>,
        offset: u32,
        octets: &[u8],
    ) -> Result<(), UpdateError> {
        self.expect(State::Receiving)?;
        let length = self.header.length;
        let end = u32::try_from(octets.len()).ok().and_then(|len| offset.checked_add(len));
        let out_of_order = UpdateError::OutOfOrder { found: offset, expected: self.done };
        let end = end.filter(|end| *end <= length).ok_or(out_of_order)?;
        let whole = octets.len().is_multiple_of(UpdateWrite::ALIGN) || end == length;
        if offset != self.done || octets.is_empty() || !whole {
            return Err(out_of_order);
        }
        match write_padded(slots, self.slot, offset, octets) {
            Ok(()) => {
                self.done = end;
                Ok(())
            }
            Err(error) => Err(self.fail(error.into())),
        }
    }

    /// All pieces were sent: verify them.
    ///
    /// # Errors
    /// [`UpdateError::Incomplete`], [`UpdateError::NoUpdate`], [`UpdateError::Busy`].
    pub fn finish(&mut self) -> Result<(), UpdateError> {
        self.expect(State::Receiving)?;
        if self.done != self.header.length {
            let length = self.header.length;
            return Err(UpdateError::Incomplete { received: self.done, length });
        }
        self.state = State::Verifying;
        self.done = 0;
        self.hasher = Some(Hasher::new());
        Ok(())
    }

    /// Forgets what is going on; the slot does not start.
    pub fn forget(&mut self) {
        *self = Self::new();
    }

    /// True if [`step`](Self::step) has something to do.
    pub const fn is_working(&self) -> bool {
        matches!(self.state, State::Checking | State::Erasing | State::Verifying | State::Marking)
    }

    /// Does one piece of what is to be done: erases a page, or reads back and hashes as much as
    /// `buffer` holds (a multiple of 32 octets), or verifies
    /// a signature. From little of the stack: Ed25519 takes 3 KiB.
    pub fn step(&mut self, slots: &mut Slots<'_>, buffer: &mut [u8]) {
        let done = match self.state {
            State::Checking => {
                self.state = State::Erasing;
                self.check_signature(slots)
            }
            State::Erasing => self.erase(slots),
            State::Verifying => self.verify(slots, buffer),
            State::Marking => self.mark(slots),
            _ => Ok(()),
        };
        if let Err(error) = done {
            self.fail(error);
        }
    }

    /// Erases the next page: those of header and payload from the first on, then that of the marks.
    #[inline(never)] // nor is its frame, or that of `verify`, on the stack of the signature
    fn erase(&mut self, slots: &mut Slots<'_>) -> Result<(), UpdateError> {
        let page = slots.flash.page();
        let used = self.used();
        let marks = slots.layout.size.saturating_sub(TRAILER);
        let last = marks.checked_div(page).unwrap_or(0).saturating_mul(page);
        let offset = if self.done < used { self.done.min(last) } else { last };
        let start = slots.layout.start(self.slot);
        slots.flash.erase_page(start.checked_add(offset).ok_or(FlashError::OutOfRange)?)?;
        self.done = offset.saturating_add(page);
        if offset == last {
            self.state = State::Receiving;
            self.done = 0;
        }
        Ok(())
    }

    #[inline(never)]
    fn verify(&mut self, slots: &mut Slots<'_>, buffer: &mut [u8]) -> Result<(), UpdateError> {
        let length = self.header.length;
        if let Some(hasher) = &mut self.hasher
            && self.done < length
        {
            let part = read_payload(slots, self.slot, self.done, length, buffer)?;
            if part.is_empty() {
                return Err(FlashError::NotAligned.into());
            }
            hasher.update(part);
            self.done = self.done.saturating_add(part.len() as u32);
            return Ok(());
        }
        let whole = self.hasher.take().is_some_and(|hasher| hasher.is(&self.header.sha256));
        if !whole {
            return Err(Untrusted::BadHash.into());
        }
        let start = slots.layout.start(self.slot);
        slots.flash.write(start, bytemuck::bytes_of(&self.header))?;
        // From here on it is the one in flash.
        let sent = core::mem::replace(&mut self.header, slots.header(self.slot)?);
        if self.header != sent {
            return Err(FlashError::Failed.into());
        }
        self.state = State::Marking;
        Ok(())
    }

    /// Marks the slot if the header in flash is signed.
    fn mark(&mut self, slots: &mut Slots<'_>) -> Result<(), UpdateError> {
        self.check_signature(slots)?;
        slots.write_mark(self.slot, Which::Ready, self.sequence)?;
        self.state = State::Ready;
        Ok(())
    }

    fn check_signature(&self, slots: &Slots<'_>) -> Result<(), UpdateError> {
        Ok(check_signature(&self.header, slots.keys, slots.verify)?)
    }

    /// Octets of header and payload.
    fn used(&self) -> u32 {
        self.header.length.saturating_add(HEADER_LEN as u32)
    }

    fn expect(&self, state: State) -> Result<(), UpdateError> {
        if self.state == state {
            Ok(())
        } else if self.is_working() {
            Err(UpdateError::Busy)
        } else {
            Err(UpdateError::NoUpdate)
        }
    }

    fn fail(&mut self, error: UpdateError) -> UpdateError {
        self.state = State::Failed;
        self.error = error.code().0 as u16;
        error
    }

    /// How far it is.
    pub fn progress(&self) -> UpdateProgress {
        let (state, total) = match self.state {
            State::Idle => (UpdateState::Idle, 0),
            State::Checking | State::Erasing => (UpdateState::Erasing, self.used()),
            State::Receiving => (UpdateState::Receiving, self.header.length),
            State::Verifying | State::Marking => (UpdateState::Verifying, self.header.length),
            State::Ready => (UpdateState::Ready, self.header.length),
            State::Failed => (UpdateState::Failed, self.header.length),
        };
        let done = self.done.min(total);
        UpdateProgress { state: state as u16, error: self.error, done, total }
    }

    /// The slots for the host.
    pub fn status(&self, slots: &mut Slots<'_>) -> UpdateStatus {
        UpdateStatus {
            progress: self.progress(),
            room: slots.layout.room(),
            page: slots.flash.page(),
            piece: UpdateWrite::MAX_DATA as u32,
            target: slots.accepts.target,
            running: slots.running() as u32,
            slots: Slot::BOTH.map(|slot| slots.status(slot)),
        }
    }
}

/// Writes octets of a payload; the last ones are filled up with `0xFF` to 32.
fn write_padded(
    slots: &mut Slots<'_>,
    slot: Slot,
    offset: u32,
    octets: &[u8],
) -> Result<(), FlashError> {
    let at = slots.layout.payload(slot).checked_add(offset).ok_or(FlashError::OutOfRange)?;
    let (whole, rest) = octets.as_chunks::<{ MARK as usize }>();
    let whole = whole.as_flattened();
    if !whole.is_empty() {
        slots.flash.write(at, whole)?;
    }
    if !rest.is_empty() {
        let mut last = [0xFF; MARK as usize];
        for (to, octet) in last.iter_mut().zip(rest) {
            *to = *octet;
        }
        let at = at.checked_add(whole.len() as u32).ok_or(FlashError::OutOfRange)?;
        slots.flash.write(at, &last)?;
    }
    Ok(())
}

const _: () = assert!(UpdateWrite::ALIGN == MARK as usize);
