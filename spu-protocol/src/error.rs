//! The numbered registry of errors that a device reports.

/// An error of the device. A number, once published, never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
pub enum ErrorCode {
    /// The operation number is not known to this firmware.
    #[error(
        "the firmware does not know this operation; update it (`spu flash FIRMWARE.img`) or use an \
         older host"
    )]
    UnknownOpcode = 1,
    /// The payload's length or a field of it is wrong.
    #[error("the request's payload is malformed")]
    BadPayload = 2,
    /// The request belongs to no open session.
    #[error("the session is over, the device was reset; open it again")]
    BadSession = 3,
    /// The host's protocol version is not spoken here.
    #[error("the firmware does not speak this protocol version")]
    BadVersion = 4,
    /// A register address outside the map, or not writable.
    #[error("the register address is outside the map or cannot be written")]
    BadAddress = 5,
    /// A code is outside what the board can hold.
    #[error("a code is outside the board's range")]
    OutOfRange = 6,
    /// The block was made for another kind or size of board.
    #[error("the program is for another kind or size of board")]
    WrongBoard = 7,
    /// An acquisition is running; cancel it first.
    #[error("an acquisition is running; cancel it or wait for its end")]
    Busy = 8,
    /// The SPI bus to the FPGA failed.
    #[error("the SPI bus to the FPGA failed; check its power and cable")]
    Bus = 9,
    /// The FPGA's identity register reads wrong: no or another bitstream.
    #[error(
        "the FPGA does not answer with its identity; power the board off and on, which goes back from \
         gateware on trial, or load gateware as hardware/README.md says"
    )]
    NoGateware = 10,
    /// The sequencer did not advance in time.
    #[error("the sequencer stopped advancing; reset the board")]
    Stalled = 11,
    /// This board lacks what was asked for.
    #[error("this board does not support the operation")]
    Unsupported = 12,
    /// A request with this sequence was executed, but its reply is no longer kept.
    #[error("the request was executed before, but its reply is gone; read the state back")]
    ReplyGone = 13,
    /// The gateware has a register map that this firmware cannot drive; the detail is the map's
    /// major version.
    #[error(
        "the gateware's register map is of another version; flash the firmware of its release \
         (`spu flash --probe FIRMWARE.elf`)"
    )]
    WrongGateware = 14,
    /// Another host is connected to this device.
    #[error("another host is connected to this device; disconnect it first")]
    InUse = 15,
    /// The header is no image's, of another version, or for another address; the detail is 1 for
    /// another kind of image and 2 for another address.
    #[error("the file is no image that this firmware takes; build and pack it with this release")]
    BadImage = 16,
    /// The image is for another board or FPGA.
    #[error("the image is for another board or FPGA; choose the file for this one")]
    WrongTarget = 17,
    /// The SHA-256 of what is in flash is not the header's.
    #[error("the image arrived damaged, its SHA-256 differs; flash it again")]
    BadHash = 18,
    /// The signature is not the key's.
    #[error("the image's signature is wrong; sign it with the key that its header names")]
    BadSignature = 19,
    /// No key of this number is accepted; the detail is the number's low half.
    #[error(
        "the image is signed with a key that this firmware does not accept; sign it with another"
    )]
    UnknownKey = 20,
    /// Older than what runs.
    #[error(
        "the image is older than what runs; allow the downgrade if it is meant \
         (`spu flash --allow-downgrade`)"
    )]
    Downgrade = 21,
    /// The image exceeds the slot.
    #[error("the image is empty or does not fit its slot; build a smaller one")]
    TooLarge = 22,
    /// A piece that does not start where the last one ended, or of a length that is not allowed.
    #[error(
        "a piece of the image came out of order; read the update's status and go on from there"
    )]
    OutOfOrder = 23,
    /// The flash memory failed.
    #[error("the flash memory could not be erased or written; try again, then replace the board")]
    Flash = 24,
    /// What runs is on trial: its slot's neighbour is what a rollback needs.
    #[error(
        "the running image is not confirmed; confirm it (`spu flash --confirm`) or restart to roll \
         back, then flash"
    )]
    NotConfirmed = 25,
    /// Pieces are missing.
    #[error("the image is not complete; send the rest of it before finishing")]
    Incomplete = 26,
    /// No update is going on.
    #[error("no update is going on that this belongs to; begin it again")]
    NoUpdate = 27,
}

impl ErrorCode {
    /// Every error.
    pub const ALL: [Self; 27] = [
        Self::UnknownOpcode,
        Self::BadPayload,
        Self::BadSession,
        Self::BadVersion,
        Self::BadAddress,
        Self::OutOfRange,
        Self::WrongBoard,
        Self::Busy,
        Self::Bus,
        Self::NoGateware,
        Self::Stalled,
        Self::Unsupported,
        Self::ReplyGone,
        Self::WrongGateware,
        Self::InUse,
        Self::BadImage,
        Self::WrongTarget,
        Self::BadHash,
        Self::BadSignature,
        Self::UnknownKey,
        Self::Downgrade,
        Self::TooLarge,
        Self::OutOfOrder,
        Self::Flash,
        Self::NotConfirmed,
        Self::Incomplete,
        Self::NoUpdate,
    ];

    /// The error with this number.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u16 == number)
    }
}
