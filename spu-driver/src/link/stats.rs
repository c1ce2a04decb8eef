//! Counters of a link.

use serde::Serialize;

/// What a client has seen on its link since it was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LinkStats {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received, those thrown away included.
    pub received_bytes: u64,
    /// Bytes thrown away when a session was opened and after a call ran out of time.
    pub discarded_bytes: u64,
    /// Requests, each counted once however often it was sent.
    pub requests: u64,
    /// Times that a request was sent again, because its reply was late or damaged.
    pub retries: u64,
    /// Requests that had no reply by their deadline.
    pub timeouts: u64,
    /// Frames received that were damaged.
    pub bad_frames: u64,
    /// Whole frames that answered nothing that was waited for: late, repeated, or of an earlier
    /// session.
    pub stale_frames: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Times that the device was gone and came back.
    pub reconnects: u64,
}
