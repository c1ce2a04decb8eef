//! Credits: how many stream blocks the device may send.
//!
//! The host grants a number of blocks in all, so that a repeated grant changes nothing, and grants
//! again once less than half a window of them is left. What a lost block used up becomes known by
//! a later block's number or by the device's status.

use std::num::NonZeroU64;

/// What was granted, and how much of it the device has used as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Credit {
    /// Blocks granted ahead; 0 where nothing streams.
    window: u64,
    granted: u64,
    sent: u64,
}

impl Credit {
    /// A window granted, and nothing sent.
    pub(super) fn new(window: NonZeroU64) -> Self {
        let window = window.get();
        Self { window, granted: window, sent: 0 }
    }

    /// For an acquisition that does not stream.
    pub(super) fn none() -> Self {
        Self { window: 0, granted: 0, sent: 0 }
    }

    /// Blocks granted in all.
    pub(super) fn granted(&self) -> u64 {
        self.granted
    }

    /// The device has sent so many blocks, or more.
    pub(super) fn sent(&mut self, blocks: u64) {
        self.sent = self.sent.max(blocks);
    }

    /// The next grant, if it is time for one: the device must be told.
    pub(super) fn grant(&mut self) -> Option<u64> {
        if self.granted >= self.sent.saturating_add(self.window.div_ceil(2)) {
            return None;
        }
        self.granted = self.sent.saturating_add(self.window);
        Some(self.granted)
    }
}
