//! Calls that end as they should: pings, deadlines, cancelling, resets, self tests.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use spu_driver::{
    AcquirePlan, Deadline, Device, Error, FrameBlock, NullSink, Outcome as Ended, ResetLevel, Sink,
};
use spu_protocol::header::MAX_REPLY;
use spu_protocol::regs;

use super::{read, read_many};
use crate::bench::{Bench, Outcome};
use crate::support::{Keep, both, lively, moments, record, soon, sustained};

pub(super) fn pings(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let sizes = [0, 1, 2, 3, 63, 64, 65, 253, 254, 255, 256, 511, 512, MAX_REPLY - 1, MAX_REPLY];
    for size in sizes {
        for fill in [0_u8, 1, 0xFF] {
            device.ping(&vec![fill; size], soon())?;
        }
        let ramp: Vec<u8> = (0..size).map(|index| index as u8).collect();
        device.ping(&ramp, soon())?;
    }
    let result = device.ping(&[0; MAX_REPLY + 1], soon());
    assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
    device.ping(b"still there", soon())?;
    Ok(())
}

/// Long enough not to end in a test: at 12 MHz hours.
pub(super) fn endless(bench: &Bench, stream: bool) -> AcquirePlan {
    let decimation = sustained(bench.info()).max(50);
    AcquirePlan { stream, ..both(100, decimation, u32::MAX) }
}

pub(super) fn usable(device: &mut dyn Device) -> Outcome {
    let info = device.info().clone();
    let (keep, report) = record(device, &lively(&info, 11), &both(50, 1, 100))?;
    assert_eq!((report.outcome, report.kept, keep.frame_count()), (Ended::Complete, 100, 100));
    assert_eq!(report.moments, Some(moments(&keep.codes, info.cells)));
    Ok(())
}

/// What a busy computer may add to a call that would go on for hours. How exactly calls end, the schedules of
/// faults check in virtual time.
const BUSY: Duration = Duration::from_secs(10);

pub(super) fn deadline(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    device.load(&lively(bench.info(), 12), soon())?;
    for stream in [false, true] {
        let allowed = Duration::from_millis(300);
        let start = Instant::now();
        let plan = endless(bench, stream);
        let result = device.acquire(&plan, &mut NullSink, Deadline::after(allowed));
        let took = start.elapsed();
        assert!(matches!(result, Err(Error::Timeout { op: "acquire", .. })), "{result:?}");
        assert!(took >= allowed && took < allowed + BUSY, "took {took:?}");
        usable(device)?;
    }
    Ok(())
}

/// Keeps frames, and tells once that something was measured.
struct Telling {
    keep: Keep,
    begun: Option<mpsc::Sender<()>>,
}

impl Sink for Telling {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.keep.frames(block)
    }

    fn progress(&mut self, kept: u64, _total: u64) {
        if kept > 0
            && let Some(begun) = self.begun.take()
        {
            let _ = begun.send(());
        }
    }
}

pub(super) fn cancel(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let cells = bench.info().cells;
    let program = lively(bench.info(), 13);
    for stream in [false, true] {
        let handle = device.cancel_handle();
        let (begun, measured) = mpsc::channel();
        let canceller = thread::spawn(move || {
            // It ends without one where the run ends before it is told.
            if measured.recv().is_ok() {
                handle.cancel();
            }
            Instant::now()
        });
        let plan = endless(bench, stream);
        device.load(&program, soon())?;
        let mut sink = Telling { keep: Keep::new(cells), begun: Some(begun) };
        let report = device.acquire(&plan, &mut sink, soon())?;
        let ended = Instant::now();
        let keep = sink.keep;
        drop(sink.begun);
        let cancelled = canceller.join().expect("the canceller does not panic");
        device.cancel_handle().clear();
        assert_eq!(report.outcome, Ended::Cancelled);
        let took = ended.saturating_duration_since(cancelled);
        assert!(took < BUSY, "took {took:?}");
        assert!(report.kept > 0 && report.kept < u64::from(u32::MAX));
        let measured = report.moments.expect("planned moments");
        assert_eq!(measured.count, report.kept);
        assert!(keep.frame_count() <= report.kept);
        // What was measured is what a whole acquisition of that length gives.
        let count = u32::try_from(report.kept)?;
        let same = AcquirePlan { stream: false, ..both(100, plan.decimation.get(), count) };
        let (_, whole) = record(device, &program, &same)?;
        assert_eq!(whole.moments, Some(measured.clone()));
        if keep.frame_count() == report.kept && stream {
            assert_eq!(moments(&keep.codes, cells), measured);
        }
        usable(device)?;
    }
    Ok(())
}

pub(super) fn sticky_cancel(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let handle = device.cancel_handle();
    handle.cancel();
    assert!(device.cancel_handle().is_cancelled());
    for _ in 0..2 {
        let report = device.acquire(&both(0, 1, 100), &mut NullSink, soon())?;
        assert_eq!((report.outcome, report.kept), (Ended::Cancelled, 0));
    }
    handle.clear();
    usable(device)
}

pub(super) fn reset(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let before = device.info().clone();
    for level in [ResetLevel::Session, ResetLevel::Fpga, ResetLevel::Controller] {
        device.load(&lively(&before, 14), soon())?;
        device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon())?;
        device.reset(level, soon())?;
        assert_eq!(device.info(), &before, "another board after the reset");
        if level != ResetLevel::Session {
            let values = read_many(device, regs::scratch(0), regs::SCRATCH_LEN)?;
            assert_eq!(values, [0; regs::SCRATCH_LEN], "{level:?}");
            assert_eq!(read(device, regs::KEPT)?, 0, "{level:?}");
        }
        usable(device)?;
    }
    Ok(())
}

pub(super) fn self_tests(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let mut ran = 0;
    for level in 0..=2 {
        let report = device.self_test(level, soon())?;
        assert!(report.passed() && report.first_failure.is_none(), "level {level}: {report:?}");
        assert!(report.tests.len() > ran, "level {level} adds no test: {report:?}");
        ran = report.tests.len();
        usable(device)?;
    }
    Ok(())
}
