//! Records what goes over a link.

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::recording::{During, Recorder};

/// A link that records another. What the other does is passed on unchanged, whatever becomes of
/// the recording.
pub struct Tap<L> {
    link: L,
    recorder: Recorder,
}

impl<L: Link> Tap<L> {
    /// Records `link`.
    pub fn new(link: L, recorder: Recorder) -> Self {
        Self { link, recorder }
    }

    /// The link that is recorded.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// The link that is recorded, for what is beside the protocol.
    pub fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }
}

impl<L: Link> Link for Tap<L> {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.recorder.to_device(bytes);
        self.link
            .write(bytes, deadline)
            .inspect_err(|error| self.recorder.failed(During::Write, error))
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        match self.link.read(buffer, deadline) {
            Ok(0) => {
                self.recorder.silence();
                Ok(0)
            }
            Ok(count) => {
                self.recorder.from_device(buffer.get(..count).unwrap_or_default());
                Ok(count)
            }
            Err(error) => {
                self.recorder.failed(During::Read, &error);
                Err(error)
            }
        }
    }

    fn describe(&self) -> String {
        self.link.describe()
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        match self.link.reconnect(deadline) {
            Ok(()) => {
                self.recorder.reconnected();
                Ok(())
            }
            Err(error) => {
                self.recorder.failed(During::Reconnect, &error);
                Err(error)
            }
        }
    }

    fn nonce(&mut self) -> Option<u64> {
        self.link.nonce()
    }
}
