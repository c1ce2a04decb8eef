//! Payload layouts. Fixed parts are `Pod` structs with their size asserted; variable parts follow
//! them as arrays whose lengths the fixed part gives.

use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};

pub mod acquire;
pub mod bulk;
pub mod info;
pub mod load;
pub mod update;

pub use acquire::{AcquireRequest, AcquireStatus, CreditRequest, StatusView, StreamHeader};
pub use bulk::BulkRequest;
pub use info::InfoReply;
pub use load::{LoadHeader, LoadView};
pub use update::{
    SlotStatus, UpdateBegin, UpdateProgress, UpdateSelect, UpdateStatus, UpdateWrite,
};

/// Asks for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct HelloRequest {
    /// Chosen by the host; the reply repeats it, so an old reply cannot be taken for a new one.
    pub nonce: u64,
    /// Oldest protocol version that the host speaks.
    pub version_min: u8,
    /// Newest protocol version that the host speaks.
    pub version_max: u8,
    /// Zero.
    pub reserved: [u8; 6],
}
const _: () = assert!(size_of::<HelloRequest>() == 16);

/// Opens a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct HelloReply {
    /// [`HelloRequest::nonce`].
    pub nonce: u64,
    /// Serial number of the board.
    pub serial: u64,
    /// Content hash of the calibration in board memory; 0 if there is none.
    pub calibration_id: u64,
    /// The session; never 0.
    pub session: u32,
    /// Identity of the gateware's build.
    pub gateware_id: u32,
    /// Firmware version: major, minor, patch.
    pub firmware: [u16; 3],
    /// Oldest protocol version that the firmware speaks.
    pub version_min: u8,
    /// Newest protocol version that the firmware speaks.
    pub version_max: u8,
}
const _: () = assert!(size_of::<HelloReply>() == 40);

/// Ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ResetRequest {
    /// 0: sequencer and session; 1: the FPGA's registers too; 2: the microcontroller.
    pub level: u32,
}
const _: () = assert!(size_of::<ResetRequest>() == 4);

/// A run of registers; words follow in a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RegsRequest {
    /// Byte address of the first register, a multiple of 4.
    pub address: u16,
    /// Number of 32-bit registers, 1 to [`RegsRequest::MAX_COUNT`].
    pub count: u16,
}
const _: () = assert!(size_of::<RegsRequest>() == 4);

impl RegsRequest {
    /// Most registers that one request reads or writes.
    pub const MAX_COUNT: u16 = 128;
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ErrorReply {
    /// An [`ErrorCode`](crate::error::ErrorCode).
    pub code: u16,
    /// What the error is about: an index or an address; 0 if nothing.
    pub detail: u16,
}
const _: () = assert!(size_of::<ErrorReply>() == 4);

/// Asks for the on-board tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SelfTestRequest {
    /// 0: registers and bus; 1: with the digital data path (pattern generator); 2: with the analog
    /// path (a short acquisition).
    pub level: u32,
}
const _: () = assert!(size_of::<SelfTestRequest>() == 4);

/// Result of the on-board tests; bit n stands for [`SelfTestReply::NAMES`]`[n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SelfTestReply {
    /// Tests that ran.
    pub ran: u32,
    /// Tests among them that failed.
    pub failed: u32,
    /// Detail of the first failure: expected value.
    pub expected: u32,
    /// Detail of the first failure: value read.
    pub found: u32,
}
const _: () = assert!(size_of::<SelfTestReply>() == 16);

impl SelfTestReply {
    /// Names of the tests, by bit.
    pub const NAMES: [&'static str; 6] = [
        "identity",
        "scratch register",
        "bank registers",
        "pattern through the capture memory",
        "moments of the pattern",
        "noise reaches the converters",
    ];
}

/// The struct at the start of `bytes`, and what follows it.
pub fn split<T: AnyBitPattern>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let head = bytes.get(..size_of::<T>())?;
    Some((bytemuck::pod_read_unaligned(head), &bytes[size_of::<T>()..]))
}

/// The struct that `bytes` is, if the length is right.
pub fn exact<T: AnyBitPattern>(bytes: &[u8]) -> Option<T> {
    match split(bytes)? {
        (value, []) => Some(value),
        _ => None,
    }
}

/// Appends values to a fixed buffer; remembers an overflow instead of panicking.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0, overflow: false }
    }

    /// Appends a value's bytes.
    pub fn put<T: NoUninit>(&mut self, value: &T) -> &mut Self {
        self.put_bytes(bytemuck::bytes_of(value))
    }

    /// Appends the bytes of every value.
    pub fn put_slice<T: NoUninit>(&mut self, values: &[T]) -> &mut Self {
        self.put_bytes(bytemuck::cast_slice(values))
    }

    /// Appends bytes.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        match self.buffer.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflow = true,
        }
        self
    }

    /// Number of bytes written, if all fitted.
    pub fn finish(&self) -> Option<usize> {
        (!self.overflow).then_some(self.len)
    }
}
