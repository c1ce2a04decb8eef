//! A link on which things go wrong, by a schedule that a seed repeats.
//!
//! Wraps any link. A frame is what lies between two delimiters; the schedule names frames by
//! their number in each direction. On a clock of its own ([`time::pause`]) a run repeats bit by
//! bit.

mod pipe;
mod schedule;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use schedule::{Direction, LinkFault, Schedule};

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::time;
use pipe::Pipe;

/// Bytes taken from the inner link at once.
const READ_BYTES: usize = 16 * 1024;

/// A link with faults.
pub struct FaultyLink<L> {
    inner: L,
    schedule: Schedule,
    to_device: Pipe,
    to_host: Pipe,
    /// Arrived, but not read yet.
    arrived: VecDeque<u8>,
    buffer: Box<[u8]>,
    /// When the cable is plugged in again.
    down_until: Option<Instant>,
    unplugged: Box<dyn FnMut(&mut L) + Send>,
    counts: [u64; LinkFault::KINDS.len()],
    nonce: u64,
}

impl<L: Link> FaultyLink<L> {
    /// `inner` with the faults of `schedule`.
    pub fn new(inner: L, schedule: Schedule) -> Self {
        Self {
            inner,
            schedule,
            to_device: Pipe::new(),
            to_host: Pipe::new(),
            arrived: VecDeque::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            down_until: None,
            unplugged: Box::new(|_| ()),
            counts: [0; LinkFault::KINDS.len()],
            nonce: 0,
        }
    }

    /// Calls `unplugged` whenever the cable is pulled: a board that is powered by it loses its
    /// state then.
    #[must_use]
    pub fn on_unplug(mut self, unplugged: impl FnMut(&mut L) + Send + 'static) -> Self {
        self.unplugged = Box::new(unplugged);
        self
    }

    /// The link without the faults.
    pub fn inner_mut(&mut self) -> &mut L {
        &mut self.inner
    }

    /// Faults so far, in the order of [`LinkFault::KINDS`].
    pub fn counts(&self) -> [u64; LinkFault::KINDS.len()] {
        self.counts
    }

    /// Pulls the cable, and plugs it in again this much later.
    pub fn unplug(&mut self, down: Duration) {
        self.to_device.clear();
        self.to_host.clear();
        self.arrived.clear();
        self.down_until = Some(time::now() + down);
        (self.unplugged)(&mut self.inner);
    }

    fn check(&self, during: &'static str) -> Result<(), Error> {
        if self.down_until.is_some() { Err(Error::Disconnected { during }) } else { Ok(()) }
    }

    /// Sends bytes on their way in a direction.
    fn push(&mut self, direction: Direction, bytes: &[u8]) {
        let pipe = match direction {
            Direction::ToDevice => &mut self.to_device,
            Direction::ToHost => &mut self.to_host,
        };
        let (schedule, counts) = (&self.schedule, &mut self.counts);
        let cut = pipe.push(bytes, time::now(), |frame| {
            let fault = schedule.fault(direction, frame);
            if let Some(fault) = &fault {
                counts[fault.kind()] += 1;
            }
            fault
        });
        if let Some(down) = cut {
            self.unplug(down);
        }
    }

    /// Hands the device what has arrived there.
    fn deliver(&mut self, deadline: Deadline) -> Result<(), Error> {
        while let Some(bytes) = self.to_device.arrived(time::now()) {
            self.inner.write(&bytes, deadline)?;
        }
        Ok(())
    }
}

impl<L: Link> Link for FaultyLink<L> {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.check("write")?;
        self.push(Direction::ToDevice, bytes);
        self.check("write")?;
        self.deliver(deadline)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        loop {
            self.check("read")?;
            self.deliver(deadline)?;
            while let Some(bytes) = self.to_host.arrived(time::now()) {
                self.arrived.extend(bytes);
            }
            if !self.arrived.is_empty() {
                let count = self.arrived.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(self.arrived.drain(..count)) {
                    *to = from;
                }
                return Ok(count);
            }
            let last_look = deadline.passed();
            let now = time::now();
            let next = self.to_device.next().into_iter().chain(self.to_host.next()).min();
            let until =
                next.map_or(deadline, |at| deadline.within(at.saturating_duration_since(now)));
            let mut taken = std::mem::take(&mut self.buffer);
            let count = self.inner.read(&mut taken, until);
            if let Ok(count) = count {
                self.push(Direction::ToHost, &taken[..count]);
            }
            self.buffer = taken;
            count?;
            if last_look && self.to_host.next().is_none_or(|at| at > time::now()) {
                return self.check("read").map(|()| 0);
            }
        }
    }

    fn describe(&self) -> String {
        format!("{}, with faults", self.inner.describe())
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        let Some(until) = self.down_until else { return self.inner.reconnect(deadline) };
        let (wait, left) = (until.saturating_duration_since(time::now()), deadline.left());
        time::sleep(wait.min(left));
        if wait > left {
            return Err(Error::Disconnected { during: "reconnecting" });
        }
        self.down_until = None;
        Ok(())
    }

    /// Counted, since faults depend on the bytes.
    fn nonce(&mut self) -> Option<u64> {
        self.nonce += 1;
        Some(self.nonce)
    }
}
