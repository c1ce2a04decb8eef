//! Runs a sink on a thread of its own.

use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use spu_protocol::code::{AdcCode, Ticks};

use super::queue::{Queue, Refused};
use crate::device::{CancelHandle, Deadline, FrameBlock, Sink, Wake};

/// A sink on a writer thread, behind a queue of bounded size.
///
/// While the queue is full, the acquisition waits: it grants the board no further blocks, which
/// then stalls in lockstep, or counts what it loses in real time. The writer's error comes with the
/// next block. After a cancel nothing waits: what is still under way is queued beyond the bound and
/// stored. Dropping it stores what is queued and ends the thread.
pub struct Queued<S> {
    writer: Writer,
    thread: Option<JoinHandle<S>>,
    cancel: CancelHandle,
    deadline: Option<Deadline>,
}

/// What both threads see.
#[derive(Clone)]
struct Writer {
    queue: Arc<Queue<Block>>,
    stored: Arc<AtomicU64>,
    error: Arc<Mutex<Option<io::Error>>>,
}

struct Block {
    first_frame: u64,
    tick: Ticks,
    lost_before: u64,
    codes: Vec<AdcCode>,
}

impl<T: Send> Wake for Queue<T> {
    fn wake(&self) {
        self.wake();
    }
}

impl<S: Sink + Send + 'static> Queued<S> {
    /// Starts the writer, behind a queue of `bytes` (two a code; one block always fits). `cancel` is
    /// the handle of the device whose frames it will take.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn new(sink: S, bytes: usize, cancel: &CancelHandle) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(bytes));
        let waker: Arc<dyn Wake> = queue.clone();
        cancel.wake_too(Arc::downgrade(&waker));
        let writer = Writer { queue, stored: Arc::default(), error: Arc::default() };
        let thread = Builder::new().name("spu-sink".into()).spawn({
            let writer = writer.clone();
            move || writer.run(sink)
        })?;
        Ok(Self { writer, thread: Some(thread), cancel: cancel.clone(), deadline: None })
    }

    /// Waits until all is stored. Returns the sink, and its error, if it had one.
    ///
    /// # Panics
    /// If the sink panicked, with what it panicked with.
    pub fn into_inner(mut self) -> (S, Option<io::Error>) {
        self.writer.queue.close();
        // There is one until here or the drop.
        let thread = self.thread.take().expect("the writer's thread");
        let sink = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        (sink, self.writer.error())
    }
}

impl Writer {
    /// Stores blocks until there are no more, or one cannot be stored.
    fn run<S: Sink>(&self, mut sink: S) -> S {
        // Whatever happens here, the acquisition does not wait for a writer that is gone.
        let _leave = Leave(&self.queue);
        let mut taken = 0;
        while let Some(block) = self.queue.pop() {
            let Block { first_frame, tick, lost_before, codes } = block;
            let result = sink.frames(&FrameBlock { first_frame, tick, lost_before, codes: &codes });
            taken += u64::from(result.is_ok());
            self.stored.store(sink.stored().unwrap_or(taken), Ordering::Release);
            if let Err(error) = result {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                break;
            }
        }
        sink
    }

    fn error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Leave<'a>(&'a Queue<Block>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<S> Sink for Queued<S> {
    fn begin(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }

    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        let FrameBlock { first_frame, tick, lost_before, codes } = *block;
        let bytes = size_of_val(codes);
        let block = Block { first_frame, tick, lost_before, codes: codes.to_vec() };
        let within = self.deadline.map_or(Duration::MAX, |deadline| deadline.left());
        let cancelled = || self.cancel.is_cancelled();
        match self.writer.queue.push(block, bytes, cancelled, within) {
            Ok(()) => Ok(()),
            Err(Refused::Full) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the storage took nothing more before the deadline",
            )),
            Err(Refused::Left) => Err(self
                .writer
                .error()
                .unwrap_or_else(|| io::Error::other("the writer stopped before"))),
        }
    }

    fn stored(&self) -> Option<u64> {
        Some(self.writer.stored.load(Ordering::Acquire))
    }
}

impl<S> Drop for Queued<S> {
    fn drop(&mut self) {
        self.writer.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a sink panicked");
        }
    }
}

impl<S> fmt::Debug for Queued<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued").field("stored", &self.writer.stored).finish_non_exhaustive()
    }
}
