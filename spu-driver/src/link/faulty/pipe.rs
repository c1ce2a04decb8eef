//! One direction of a faulty link.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use spu_protocol::codec::{DELIMITER, max_encoded};
use spu_protocol::header::MAX_PAYLOAD;

use super::schedule::LinkFault;

/// Wait for another frame before one that was to come after it.
const HOLD: Duration = Duration::from_millis(20);
/// Bytes without a delimiter that are passed on as they are.
const LONGEST: usize = 2 * max_encoded(MAX_PAYLOAD);

/// Frames under way.
#[derive(Debug)]
pub(super) struct Pipe {
    /// The frame whose end has not come yet.
    open: Vec<u8>,
    /// Frames that have begun their way.
    frames: u64,
    /// What arrives, and when, in order of time.
    queue: VecDeque<(Instant, Vec<u8>)>,
    /// The frame that comes after the next one, and when it comes without one.
    held: Option<(Instant, Vec<u8>)>,
    last: Option<Instant>,
}

impl Pipe {
    pub(super) const fn new() -> Self {
        Self { open: Vec::new(), frames: 0, queue: VecDeque::new(), held: None, last: None }
    }

    /// Loses what is under way.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.queue.clear();
        self.held = None;
        self.last = None;
    }

    /// Sends bytes on their way, each frame with the fault that `fault` gives for its number.
    /// Stops at a frame at which the link is cut and gives the time until it is whole again.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        now: Instant,
        mut fault: impl FnMut(u64) -> Option<LinkFault>,
    ) -> Option<Duration> {
        for part in bytes.split_inclusive(|byte| *byte == DELIMITER) {
            self.open.extend_from_slice(part);
            if part.ends_with(&[DELIMITER]) || self.open.len() > LONGEST {
                let frame = std::mem::take(&mut self.open);
                let fault = fault(self.frames);
                self.frames += 1;
                if let Some(LinkFault::Disconnect(down)) = fault {
                    return Some(down);
                }
                self.frame(frame, fault, now);
            }
        }
        None
    }

    fn frame(&mut self, mut frame: Vec<u8>, fault: Option<LinkFault>, now: Instant) {
        let len = frame.len();
        let mut delay = Duration::ZERO;
        let mut repeated = None;
        match fault {
            Some(LinkFault::Drop) => frame.clear(),
            Some(LinkFault::Duplicate) => repeated = Some(frame.clone()),
            Some(LinkFault::Flip { bit }) => {
                let bit = bit as usize % (8 * len);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            Some(LinkFault::Truncate { to }) => frame.truncate(usize::from(to) % len),
            Some(LinkFault::Insert { at, bytes }) => {
                let at = usize::from(at) % len;
                frame.splice(at..at, bytes);
            }
            Some(LinkFault::Delay(by)) => {
                self.insert(now + by, frame);
                frame = Vec::new();
            }
            Some(LinkFault::Stall(by)) => delay = by,
            Some(LinkFault::Split { at, pause }) => {
                let rest = frame.split_off(usize::from(at) % len);
                self.queue_after(frame, Duration::ZERO, now);
                (frame, delay) = (rest, pause);
            }
            Some(LinkFault::Reorder) if self.held.is_none() => {
                self.held = Some((now + HOLD, frame));
                return;
            }
            Some(LinkFault::Reorder | LinkFault::Disconnect(_)) | None => {}
        }
        self.queue_after(frame, delay, now);
        if let Some(again) = repeated {
            self.queue_after(again, Duration::ZERO, now);
        }
        if let Some((_, held)) = self.held.take() {
            self.queue_after(held, Duration::ZERO, now);
        }
    }

    fn queue_after(&mut self, bytes: Vec<u8>, delay: Duration, now: Instant) {
        let arrives = self.last.map_or(now, |last| last.max(now)) + delay;
        self.last = Some(arrives);
        self.insert(arrives, bytes);
    }

    fn insert(&mut self, arrives: Instant, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let place = self.queue.partition_point(|(at, _)| *at <= arrives);
            self.queue.insert(place, (arrives, bytes));
        }
    }

    /// What has arrived by now.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.held.as_ref().is_some_and(|(until, _)| *until <= now)
            && let Some((_, held)) = self.held.take()
        {
            self.queue_after(held, Duration::ZERO, now);
        }
        if self.queue.front().is_some_and(|(arrives, _)| *arrives <= now) {
            return self.queue.pop_front().map(|(_, bytes)| bytes);
        }
        None
    }

    /// When something arrives next, if nothing more is sent.
    pub(super) fn next(&self) -> Option<Instant> {
        let queued = self.queue.front().map(|(arrives, _)| *arrives);
        let held = self.held.as_ref().map(|(until, _)| *until);
        match (queued, held) {
            (Some(queued), Some(held)) => Some(queued.min(held)),
            (one, other) => one.or(other),
        }
    }
}
