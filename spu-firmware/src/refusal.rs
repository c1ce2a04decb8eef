//! Why a request is refused.

use spu_protocol::error::ErrorCode;
use spu_protocol::payload::ErrorReply;

use crate::board::BoardError;

/// An error on its way to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Reason.
    pub(crate) code: ErrorCode,
    /// What it is about: an index or an address; 0 if nothing.
    pub(crate) detail: u16,
}

impl Refusal {
    /// A refusal about `detail`.
    pub(crate) const fn new(code: ErrorCode, detail: u16) -> Self {
        Self { code, detail }
    }

    /// The payload that tells it.
    pub(crate) const fn reply(self) -> ErrorReply {
        ErrorReply { code: self.code as u16, detail: self.detail }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, 0)
    }
}

impl From<BoardError> for Refusal {
    fn from(error: BoardError) -> Self {
        match error {
            BoardError::Bus(_) => Self::new(ErrorCode::Bus, 0),
        }
    }
}
