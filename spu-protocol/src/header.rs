//! The frame header: 20 bytes before every payload.

use bytemuck::{Pod, Zeroable};

use crate::version;

/// First two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"SP";
/// Largest payload of one frame, in bytes.
pub const MAX_PAYLOAD: usize = 4096;
/// Largest payload of a reply, in bytes: small enough for the device to keep its last replies.
pub const MAX_REPLY: usize = 1024;
/// Bytes of the CRC-32C that follows the payload.
pub const CRC_LEN: usize = 4;
/// Largest frame before COBS encoding, in bytes.
pub const MAX_FRAME: usize = size_of::<Header>() + MAX_PAYLOAD + CRC_LEN;

/// What a frame is, in [`Header::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Host to device: do this.
    Request = 1,
    /// Device to host: done; same opcode and sequence as the request.
    Reply = 2,
    /// Device to host: refused; payload is [`crate::payload::ErrorReply`].
    Error = 3,
    /// Device to host, unasked: a block of samples or the end of an acquisition.
    Event = 4,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Reply,
            3 => Self::Error,
            4 => Self::Event,
            _ => return None,
        })
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 2],
    /// Protocol version of the sender, [`version::CURRENT`].
    pub version: u8,
    /// A [`Kind`].
    pub kind: u8,
    /// An [`Opcode`](crate::opcode::Opcode).
    pub opcode: u16,
    /// Payload length in bytes, at most [`MAX_PAYLOAD`].
    pub length: u16,
    /// Session that `Hello` opened; 0 before it.
    pub session: u32,
    /// Number of the request in its session; a retry repeats it. Events count on their own.
    pub sequence: u32,
    /// Zero; room for later versions.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Header>() == 20);

impl Header {
    /// A header of this crate's protocol version.
    pub const fn new(kind: Kind, opcode: u16, session: u32, sequence: u32, length: u16) -> Self {
        Self {
            magic: MAGIC,
            version: version::CURRENT,
            kind: kind as u8,
            opcode,
            length,
            session,
            sequence,
            reserved: 0,
        }
    }
}
