//! The link under a session, with what went over it counted and its loss remembered.

use crate::device::Deadline;
use crate::error::Error;
use crate::link::{Link, LinkStats};

/// A link that knows whether its device is gone.
pub(super) struct Wire<L> {
    pub(super) link: L,
    pub(super) stats: LinkStats,
    lost: bool,
}

impl<L: Link> Wire<L> {
    pub(super) fn new(link: L) -> Self {
        Self { link, stats: LinkStats::default(), lost: false }
    }

    /// True from the first [`Error::Disconnected`] until the device is back.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Waits for the device to come back, if it is gone.
    pub(super) fn connect(&mut self, deadline: Deadline) -> Result<(), Error> {
        if self.lost {
            self.link.reconnect(deadline)?;
            self.lost = false;
            self.stats.reconnects += 1;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        let result = self.link.write(bytes, deadline);
        if result.is_ok() {
            self.stats.sent_bytes += bytes.len() as u64;
        }
        self.note(result)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        let result = self.link.read(buffer, deadline);
        if let Ok(count) = &result {
            self.stats.received_bytes += *count as u64;
        }
        self.note(result)
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.lost |= matches!(result, Err(Error::Disconnected { .. }));
        result
    }
}
