//! Frames in memory, for a reader on another thread.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use spu_protocol::code::{AdcCode, Ticks};

use super::queue::{Queue, Refused};
use crate::device::{CancelHandle, Deadline, FrameBlock, Sink, Wake};

/// What happens while the ring is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The newest frames replace the oldest ones.
    Replace,
    /// The acquisition waits for the reader.
    Wait,
}

/// A ring for up to `frames` frames of `cells` codes (one block always fits): the sink, and where
/// its frames come out. `cancel` is the handle of the device whose frames it will take.
///
/// ```
/// use std::num::{NonZeroU32, NonZeroUsize};
/// use spu_driver::sinks::{Full, ring};
/// # use spu_driver::{AcquirePlan, Deadline, open};
/// # use spu_protocol::code::Ticks;
///
/// # let mut device = open("sim:profile=ideal")?;
/// # let plan = AcquirePlan {
/// #     settle: Ticks(0),
/// #     decimation: NonZeroU32::MIN,
/// #     count: NonZeroU32::new(10_000).unwrap(),
/// #     moments: false,
/// #     stream: true,
/// #     realtime: false,
/// # };
/// let cells = NonZeroUsize::new(device.info().cells).unwrap();
/// let (mut sink, mut reader) = ring(1000, cells, Full::Replace, &device.cancel_handle());
/// device.acquire(&plan, &mut sink, Deadline::after_secs(60))?;
/// drop(sink);
/// let newest: Vec<_> = reader.by_ref().collect();
/// let frames: usize = newest.iter().map(|piece| piece.codes.len() / cells).sum();
/// assert!((600..=1000).contains(&frames), "in whole blocks");
/// assert_eq!(reader.replaced(), 10_000 - frames as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ring(
    frames: usize,
    cells: NonZeroUsize,
    full: Full,
    cancel: &CancelHandle,
) -> (RingSink, RingReader) {
    let queue = Arc::new(Queue::new(frames));
    let waker: Arc<dyn Wake> = queue.clone();
    cancel.wake_too(Arc::downgrade(&waker));
    let cancel = cancel.clone();
    let sink = RingSink { queue: queue.clone(), cells, full, cancel, deadline: None };
    (sink, RingReader { queue, cells, next: 0, replaced: 0 })
}

/// Consecutive frames out of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Index of the first frame among all kept ones, lost ones included.
    pub first_frame: u64,
    /// Tick of the first frame.
    pub tick: Ticks,
    /// Frames lost just before, by the board or on the link.
    pub lost_before: u64,
    /// Codes, frame by frame.
    pub codes: Vec<AdcCode>,
}

/// Puts frames into a ring. The reader comes to its end once this is dropped.
pub struct RingSink {
    queue: Arc<Queue<Piece>>,
    cells: NonZeroUsize,
    full: Full,
    cancel: CancelHandle,
    deadline: Option<Deadline>,
}

impl Sink for RingSink {
    fn begin(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }

    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        let FrameBlock { first_frame, tick, lost_before, codes } = *block;
        let frames = codes.len() / self.cells;
        let piece = Piece { first_frame, tick, lost_before, codes: codes.to_vec() };
        let put = match self.full {
            Full::Replace => self.queue.replace(piece, frames),
            Full::Wait => {
                let within = self.deadline.map_or(Duration::MAX, |deadline| deadline.left());
                self.queue.push(piece, frames, || self.cancel.is_cancelled(), within)
            }
        };
        put.map_err(|refused| match refused {
            Refused::Left => io::Error::new(io::ErrorKind::BrokenPipe, "the ring has no reader"),
            Refused::Full => io::Error::new(
                io::ErrorKind::TimedOut,
                "the ring's reader took nothing before the deadline",
            ),
        })
    }
}

impl Drop for RingSink {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for RingSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingSink").field("full", &self.full).finish_non_exhaustive()
    }
}

/// Takes frames out of a ring, oldest first. As an iterator it waits for them, and ends once the
/// sink is dropped and the ring is empty. A sink without a reader fails.
pub struct RingReader {
    queue: Arc<Queue<Piece>>,
    cells: NonZeroUsize,
    /// Index of the frame after the last one that came out.
    next: u64,
    replaced: u64,
}

impl RingReader {
    /// The oldest piece, if there is one now.
    pub fn try_next(&mut self) -> Option<Piece> {
        let piece = self.queue.try_pop()?;
        Some(self.count(piece))
    }

    /// Frames that newer ones replaced before they were read, or that were lost before those; as
    /// far as a later piece has shown it. The losses that pieces state are not among them.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    fn count(&mut self, piece: Piece) -> Piece {
        let missing = piece.first_frame.saturating_sub(self.next);
        self.replaced += missing.saturating_sub(piece.lost_before);
        self.next = piece.first_frame + (piece.codes.len() / self.cells) as u64;
        piece
    }
}

impl Iterator for RingReader {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let piece = self.queue.pop()?;
        Some(self.count(piece))
    }
}

impl Drop for RingReader {
    fn drop(&mut self) {
        self.queue.leave();
    }
}

impl fmt::Debug for RingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingReader").field("replaced", &self.replaced).finish_non_exhaustive()
    }
}
