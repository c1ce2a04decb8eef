//! Operation numbers. A number, once published, never changes its meaning.

/// An operation, in [`Header::opcode`](crate::header::Header::opcode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Opcode {
    /// Opens a session. Frozen for ever. [`HelloRequest`](crate::payload::HelloRequest) → [`HelloReply`](crate::payload::HelloReply).
    Hello = 0x0001,
    /// Ends the session and resets. Frozen for ever. [`ResetRequest`](crate::payload::ResetRequest) → empty.
    Reset = 0x0002,
    /// Jumps to the boot loader. Frozen for ever. Empty → empty.
    EnterBootloader = 0x0003,
    /// Board identity and profile. Empty → [`InfoReply`](crate::payload::InfoReply).
    Info = 0x0010,
    /// Returns its payload, at most [`MAX_REPLY`](crate::header::MAX_REPLY) bytes.
    Ping = 0x0011,
    /// Reads registers. [`RegsRequest`](crate::payload::RegsRequest) → `u32` words.
    ReadRegs = 0x0020,
    /// Writes registers. [`RegsRequest`](crate::payload::RegsRequest) and `u32` words → empty.
    WriteRegs = 0x0021,
    /// Sets self terms, couplings, drive, bias and seeds; replies what was applied. A [`load`](crate::payload::load) block both ways.
    Load = 0x0030,
    /// Starts the sequencer. [`AcquireRequest`](crate::payload::AcquireRequest) → empty; events follow.
    Acquire = 0x0040,
    /// State of the acquisition. Empty → [`AcquireStatus`](crate::payload::AcquireStatus) block.
    AcquireStatus = 0x0041,
    /// Stops the acquisition; what was measured stays readable. Empty → [`AcquireStatus`](crate::payload::AcquireStatus) block.
    Cancel = 0x0042,
    /// Grants stream blocks. [`CreditRequest`](crate::payload::CreditRequest) → empty.
    Credit = 0x0043,
    /// Event: samples. [`StreamHeader`](crate::payload::StreamHeader) and packed frames.
    StreamBlock = 0x0044,
    /// Event: the acquisition ended. [`AcquireStatus`](crate::payload::AcquireStatus) block.
    AcquireDone = 0x0045,
    /// Runs the on-board tests. [`SelfTestRequest`](crate::payload::SelfTestRequest) → [`SelfTestReply`](crate::payload::SelfTestReply).
    SelfTest = 0x0050,
    /// Starts an update. [`UpdateBegin`](crate::payload::UpdateBegin) → [`UpdateProgress`](crate::payload::UpdateProgress).
    UpdateBegin = 0x0060,
    /// Brings a piece of the image. [`UpdateWrite`](crate::payload::UpdateWrite) and octets → [`UpdateProgress`](crate::payload::UpdateProgress).
    UpdateWrite = 0x0061,
    /// Asks to verify what was brought. Empty → [`UpdateProgress`](crate::payload::UpdateProgress).
    UpdateFinish = 0x0062,
    /// State of the slots. [`UpdateSelect`](crate::payload::UpdateSelect) → [`UpdateStatus`](crate::payload::UpdateStatus).
    UpdateStatus = 0x0063,
    /// Keeps the image that runs. [`UpdateSelect`](crate::payload::UpdateSelect) → empty.
    UpdateConfirm = 0x0064,
    /// Writes words of the bulk memory. [`BulkRequest`](crate::payload::BulkRequest) and `u32` words → empty.
    BulkWrite = 0x0070,
    /// Reads words of the bulk memory. [`BulkRequest`](crate::payload::BulkRequest) → `u32` words.
    BulkRead = 0x0071,
}

impl Opcode {
    /// Every operation.
    pub const ALL: [Self; 22] = [
        Self::Hello,
        Self::Reset,
        Self::EnterBootloader,
        Self::Info,
        Self::Ping,
        Self::ReadRegs,
        Self::WriteRegs,
        Self::Load,
        Self::Acquire,
        Self::AcquireStatus,
        Self::Cancel,
        Self::Credit,
        Self::StreamBlock,
        Self::AcquireDone,
        Self::SelfTest,
        Self::UpdateBegin,
        Self::UpdateWrite,
        Self::UpdateFinish,
        Self::UpdateStatus,
        Self::UpdateConfirm,
        Self::BulkWrite,
        Self::BulkRead,
    ];

    /// The operation with this number.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|op| *op as u16 == number)
    }
}
