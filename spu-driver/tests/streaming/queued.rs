//! A sink on a thread of its own, slow, failing or hanging.

use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use spu_driver::sinks::{Full, Queued, ring};
use spu_driver::{AcquirePlan, Deadline, Device, Error, FrameBlock, Outcome, Sink, open};

use crate::{Keep, fault_free, plan, program, soon};

const URI: &str = "sim:profile=ideal";
/// Frames of about 30 blocks.
const COUNT: u32 = 10_000;

fn device(uri: &str) -> Box<dyn Device> {
    let mut device = open(uri).unwrap();
    device.load(&program(device.info()), soon()).unwrap();
    device
}

/// A disk that takes its time for each block.
struct Slow(Keep, Duration);

impl Sink for Slow {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        thread::sleep(self.1);
        self.0.frames(block)
    }
}

#[test]
fn a_slow_disk_loses_nothing_in_lockstep() {
    let plan = plan(100, 1, COUNT);
    let expected = fault_free(URI, &plan);
    for bytes in [0, 10_000, 1 << 30] {
        let mut device = device(URI);
        let slow = Slow(Keep::default(), Duration::from_millis(3));
        let mut queued = Queued::new(slow, bytes, &device.cancel_handle()).unwrap();
        let report = device.acquire(&plan, &mut queued, soon()).unwrap();
        assert_eq!((report.kept, report.lost), (COUNT.into(), 0));
        let (slow, error) = queued.into_inner();
        assert!(error.is_none());
        assert!(slow.0.codes() == expected, "queue of {bytes} bytes");
    }
}

#[test]
fn a_slow_disk_loses_what_is_counted_in_real_time() {
    // The board runs on by so many ticks at each look: more than its capture memory holds.
    let plan = AcquirePlan { realtime: true, ..plan(0, 1, 200_000) };
    let mut device = device("sim:profile=ideal,quantum=50000");
    let slow = Slow(Keep::default(), Duration::from_millis(1));
    let mut queued = Queued::new(slow, 10_000, &device.cancel_handle()).unwrap();
    let report = device.acquire(&plan, &mut queued, soon()).unwrap();
    let (slow, error) = queued.into_inner();
    assert!(error.is_none());
    assert!(report.lost > 0);
    let mut next = 0;
    for block in &slow.0.0 {
        assert_eq!(block.first_frame, next + block.lost_before);
        next = block.first_frame + block.codes.len() as u64 / 8;
    }
    assert_eq!(slow.0.codes().len() as u64 / 8 + report.lost, report.kept);
}

/// Stores so many blocks, then fails.
struct Failing(usize, u64);

impl Sink for Failing {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        self.1 += block.codes.len() as u64 / 8;
        Ok(())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.1)
    }
}

#[test]
fn the_writers_error_stops_the_acquisition_with_what_was_stored() {
    for blocks in [0, 1, 7] {
        let mut device = device(URI);
        let mut queued = Queued::new(Failing(blocks, 0), 1 << 20, &device.cancel_handle()).unwrap();
        // So many frames that it fails before the last one comes.
        let result = device.acquire(&plan(0, 1, 10_000_000), &mut queued, soon());
        let (failing, error) = queued.into_inner();
        assert!(error.is_none(), "it was told");
        match result {
            Err(Error::Sink(error, stored)) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                assert_eq!(stored, failing.1);
                assert_eq!(stored > 0, blocks > 0);
            }
            other => panic!("{other:?}"),
        }
        device.ping(b"still there", soon()).unwrap();
    }
}

#[test]
fn an_error_in_the_last_block_is_not_lost() {
    let mut device = device(URI);
    let mut queued = Queued::new(Failing(0, 0), 1 << 30, &device.cancel_handle()).unwrap();
    let result = device.acquire(&plan(0, 1, 1), &mut queued, soon());
    let (_, error) = queued.into_inner();
    // Either the acquisition ended first, or it was told already.
    match (result, error) {
        (Ok(_), Some(error)) | (Err(Error::Sink(error, 0)), None) => {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
}

/// A disk that tells of its first block, and hangs until it is let go.
struct Hanging(Option<Sender<()>>, Receiver<()>, Keep);

impl Hanging {
    /// The disk, what tells of its first block, and what lets it go when it is dropped.
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (tell, told) = channel();
        let (go_on, hanging) = channel();
        (Self(Some(tell), hanging, Keep::default()), told, go_on)
    }
}

impl Sink for Hanging {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        self.0 = None;
        // An error, at once, when the other end is dropped.
        let _ = self.1.recv();
        self.2.frames(block)
    }
}

#[test]
fn a_cancel_is_heard_while_the_disk_hangs_and_nothing_is_lost() {
    let mut device = device(URI);
    let plan = plan(0, 1, 10_000_000);
    let (hanging, started, go_on) = Hanging::new();
    let cancel = device.cancel_handle();
    let mut queued = Queued::new(hanging, 10_000, &cancel).unwrap();
    let canceller = thread::spawn(move || {
        // Its end is dropped when the first block is there.
        let _ = started.recv();
        // By now, most likely, the queue is full and the acquisition waits; right either way.
        thread::sleep(Duration::from_millis(100));
        cancel.cancel();
    });
    let report = device.acquire(&plan, &mut queued, soon()).unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    canceller.join().unwrap();
    drop(go_on);
    let (hanging, error) = queued.into_inner();
    assert!(error.is_none());
    let codes = hanging.2.codes();
    assert_eq!(codes.len() as u64 / 8 + report.lost, report.kept);
    assert!(report.kept > 0 && !codes.is_empty());
}

#[test]
fn a_disk_that_hangs_ends_at_the_deadline() {
    let mut device = device(URI);
    let (hanging, _, go_on) = Hanging::new();
    let mut queued = Queued::new(hanging, 10_000, &device.cancel_handle()).unwrap();
    let deadline = Deadline::after(Duration::from_millis(300));
    let result = device.acquire(&plan(0, 1, 10_000_000), &mut queued, deadline);
    match result {
        Err(Error::Sink(error, 0)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
    drop(go_on);
    // Dropping it stores what was queued and ends the thread.
    drop(queued);
    device.ping(b"still there", soon()).unwrap();
}

/// A bug.
struct Panics;

impl Sink for Panics {
    fn frames(&mut self, _block: &FrameBlock<'_>) -> io::Result<()> {
        panic!("a bug in a sink");
    }
}

#[test]
fn a_writer_that_panics_stops_the_acquisition() {
    let mut device = device(URI);
    let mut queued = Queued::new(Panics, 0, &device.cancel_handle()).unwrap();
    let result = device.acquire(&plan(0, 1, 10_000_000), &mut queued, soon());
    assert!(matches!(result, Err(Error::Sink(_, 0))), "{result:?}");
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queued.into_inner()));
    assert!(panic.is_err(), "it is passed on");
}

#[test]
fn a_ring_whose_reader_is_slow_makes_the_board_wait() {
    let plan = plan(3, 2, COUNT);
    let expected = fault_free(URI, &plan);
    let mut device = device(URI);
    let cells = NonZeroUsize::new(8).unwrap();
    let (mut sink, mut reader) = ring(1000, cells, Full::Wait, &device.cancel_handle());
    let codes = Arc::new(Mutex::new(Vec::new()));
    let slow = thread::spawn({
        let codes = codes.clone();
        move || {
            for piece in reader.by_ref() {
                assert_eq!(piece.tick.0, 3 + 2 * piece.first_frame);
                codes.lock().unwrap().extend(piece.codes);
                thread::sleep(Duration::from_millis(2));
            }
            reader.replaced()
        }
    });
    device.acquire(&plan, &mut sink, soon()).unwrap();
    drop(sink);
    assert_eq!(slow.join().unwrap(), 0);
    assert!(*codes.lock().unwrap() == expected);
}

#[test]
fn a_ring_keeps_the_newest() {
    let plan = plan(0, 1, COUNT);
    let expected = fault_free(URI, &plan);
    let mut device = device(URI);
    let cells = NonZeroUsize::new(8).unwrap();
    let (mut sink, mut reader) = ring(2000, cells, Full::Replace, &device.cancel_handle());
    device.acquire(&plan, &mut sink, soon()).unwrap();
    drop(sink);
    let first = reader.try_next().unwrap();
    let mut codes = first.codes;
    codes.extend(reader.by_ref().flat_map(|piece| piece.codes));
    assert!(codes == expected[first.first_frame as usize * 8..]);
    assert!((1000..=2000).contains(&(codes.len() / 8)));
    assert_eq!(reader.replaced(), first.first_frame);
}

#[test]
fn a_ring_without_a_reader_fails() {
    let mut device = device(URI);
    let cells = NonZeroUsize::new(8).unwrap();
    let (mut sink, reader) = ring(2000, cells, Full::Replace, &device.cancel_handle());
    drop(reader);
    let result = device.acquire(&plan(0, 1, COUNT), &mut sink, soon());
    assert!(matches!(result, Err(Error::Sink(_, 0))), "{result:?}");
}
