//! Takes frames off a link.

use std::ops::ControlFlow;
use std::time::Duration;

use spu_protocol::codec::{Decoder, Frame, FrameError};

use super::wire::Wire;
use crate::device::Deadline;
use crate::error::Error;
use crate::link::Link;
use crate::time::now;

/// Bytes asked of the link at once.
const READ_BYTES: usize = 64 * 1024;
/// Most bytes thrown away when draining: a device that never falls silent does not hold the host.
const DRAIN_BYTES: usize = 1 << 20;

/// Decodes frames from a link, keeping what follows the frame that was wanted.
pub(super) struct Receiver {
    decoder: Decoder,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Time spent waiting in the link.
    pub(super) waited: Duration,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            waited: Duration::ZERO,
        }
    }

    /// Hands frames to `take` until it breaks; `None` if it has not by the deadline. At least what
    /// the link already holds is looked at.
    pub(super) fn pump<T>(
        &mut self,
        wire: &mut Wire<impl Link>,
        until: Deadline,
        mut take: impl FnMut(Result<Frame<'_>, FrameError>) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error> {
        let mut last_look = false;
        loop {
            let mut bytes = &self.buffer[self.start..self.end];
            while let Some(frame) = self.decoder.push(&mut bytes) {
                wire.stats.bad_frames += u64::from(frame.is_err());
                if let ControlFlow::Break(value) = take(frame) {
                    self.start = self.end - bytes.len();
                    return Ok(Some(value));
                }
            }
            (self.start, self.end) = (0, 0);
            // A device that babbles must not keep the host past its deadline.
            if last_look {
                return Ok(None);
            }
            let before = now();
            last_look = until.passed();
            self.end = wire.read(&mut self.buffer, until)?.min(READ_BYTES);
            self.waited += now() - before;
            if self.end == 0 {
                return Ok(None);
            }
        }
    }

    /// Throws away what has arrived, in the link too.
    pub(super) fn drain(&mut self, wire: &mut Wire<impl Link>) -> Result<(), Error> {
        wire.stats.discarded_bytes += (self.end - self.start) as u64;
        (self.start, self.end) = (0, 0);
        self.decoder = Decoder::new();
        let mut drained = 0;
        while drained < DRAIN_BYTES {
            match wire.read(&mut self.buffer, Deadline::after(Duration::ZERO))? {
                0 => break,
                count => drained += count,
            }
        }
        wire.stats.discarded_bytes += drained as u64;
        Ok(())
    }
}
