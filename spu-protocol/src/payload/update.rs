//! Updates by the running firmware: what is sent, how far it is, what the slots hold.

use bytemuck::{Pod, Zeroable};

use crate::header::MAX_PAYLOAD;
use crate::image::ImageHeader;

/// Starts an update of the slot that is not in use, in place of one that is going on. The reply
/// comes before the slot is erased; pieces are taken once the state is
/// [`UpdateState::Receiving`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdateBegin {
    /// [`ALLOW_DOWNGRADE`](Self::ALLOW_DOWNGRADE).
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Header of the image; its payload follows in pieces.
    pub header: ImageHeader,
}
const _: () = assert!(size_of::<UpdateBegin>() == 264);

impl UpdateBegin {
    /// Takes an image that is older than the one that runs.
    pub const ALLOW_DOWNGRADE: u32 = 1;
}

/// Start of a piece of the image's payload; its octets follow. All pieces but the last are a
/// multiple of [`ALIGN`](Self::ALIGN) octets, and come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdateWrite {
    /// First octet of the piece, from the payload's start.
    pub offset: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<UpdateWrite>() == 8);

impl UpdateWrite {
    /// What the length of every piece but the last is a multiple of, in octets.
    pub const ALIGN: usize = 32;
    /// Most octets of a piece.
    pub const MAX_DATA: usize = (MAX_PAYLOAD - size_of::<Self>()) / Self::ALIGN * Self::ALIGN;
}

/// Names a pair of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdateSelect {
    /// An [`ImageKind`](crate::image::ImageKind).
    pub kind: u32,
}
const _: () = assert!(size_of::<UpdateSelect>() == 4);

/// Where an update is, in [`UpdateProgress::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum UpdateState {
    /// None was begun since the start.
    Idle = 0,
    /// The header's signature is being verified, then the slot erased.
    Erasing = 1,
    /// Pieces are taken.
    Receiving = 2,
    /// What is in flash is being read back and verified.
    Verifying = 3,
    /// The image is whole and will be tried at the next start.
    Ready = 4,
    /// It failed; begin again.
    Failed = 5,
}

impl UpdateState {
    /// The state with this number.
    pub const fn from_u16(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Idle,
            1 => Self::Erasing,
            2 => Self::Receiving,
            3 => Self::Verifying,
            4 => Self::Ready,
            5 => Self::Failed,
            _ => return None,
        })
    }
}

/// How far an update is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdateProgress {
    /// An [`UpdateState`].
    pub state: u16,
    /// The [`ErrorCode`](crate::error::ErrorCode) of one that failed; 0 otherwise.
    pub error: u16,
    /// Octets erased, received or verified, by the state; where to go on while receiving.
    pub done: u32,
    /// Octets that will be.
    pub total: u32,
}
const _: () = assert!(size_of::<UpdateProgress>() == 12);

/// What a slot holds, in [`SlotStatus::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotState {
    /// Nothing that was verified.
    Empty = 0,
    /// An image that will be tried at the next start.
    Pending = 1,
    /// An image that was started and not confirmed: it runs, or the next start rolls it back.
    Trial = 2,
    /// An image that was confirmed.
    Confirmed = 3,
    /// An image that was not confirmed, or is damaged: never started again.
    RolledBack = 4,
}

impl SlotState {
    /// The state with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Empty,
            1 => Self::Pending,
            2 => Self::Trial,
            3 => Self::Confirmed,
            4 => Self::RolledBack,
            _ => return None,
        })
    }
}

/// A slot.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SlotStatus {
    /// Identity of the image's build; 0 where the slot is empty, as all that follows.
    pub build_id: u32,
    /// Octets of its payload.
    pub length: u32,
    /// Number of its update: the higher of two is the newer.
    pub sequence: u32,
    /// Its version: major, minor, patch.
    pub version: [u16; 3],
    /// A [`SlotState`].
    pub state: u8,
    /// Zero.
    pub reserved: u8,
}
const _: () = assert!(size_of::<SlotStatus>() == 20);

/// The slots of one kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdateStatus {
    /// The update that is going on, of either kind.
    pub progress: UpdateProgress,
    /// Most octets of an image's payload.
    pub room: u32,
    /// Octets that are erased at once.
    pub page: u32,
    /// Most octets of a piece, see [`UpdateWrite::MAX_DATA`].
    pub piece: u32,
    /// What firmware or gateware must be for: a [`BoardId`](crate::image::BoardId) or an
    /// [`FpgaId`](crate::image::FpgaId).
    pub target: u32,
    /// Slot that runs, 0 or 1.
    pub running: u32,
    /// The slots.
    pub slots: [SlotStatus; 2],
}
const _: () = assert!(size_of::<UpdateStatus>() == 72);
