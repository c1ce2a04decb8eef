//! One run of an RC board: a program, a wait, and the mean codes of its cells.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::Ticks;

use crate::device::{AcquirePlan, Deadline, Device, NullSink, Outcome, Program, Report};
use crate::error::Error;

/// What a run gave.
pub(super) struct Read {
    /// Mean code of each cell.
    pub(super) codes: Vec<f64>,
    /// All that the device says of it.
    pub(super) report: Report,
}

impl Read {
    /// The first cell whose converter was at the end of its range.
    pub(super) fn saturated(&self) -> Option<usize> {
        self.report.saturated.iter().position(|count| *count > 0)
    }
}

/// Loads `program`, waits for `settle` ticks and takes `count` samples.
///
/// # Errors
/// [`Error::Cancelled`]; what the device says.
pub(super) fn read(
    device: &mut dyn Device,
    program: &Program,
    settle: u64,
    count: NonZeroU32,
    timeout: Duration,
) -> Result<Read, Error> {
    let deadline = Deadline::after(timeout);
    device.load(program, deadline)?;
    let plan = AcquirePlan {
        settle: Ticks(settle),
        decimation: NonZeroU32::MIN,
        count,
        moments: true,
        stream: false,
        realtime: false,
    };
    let report = device.acquire(&plan, &mut NullSink, deadline)?;
    if report.outcome == Outcome::Cancelled {
        return Err(Error::Cancelled);
    }
    let cells = device.info().cells;
    match &report.moments {
        Some(moments) if moments.sums.len() == cells => {
            let mean = |sum: &i128| *sum as f64 / moments.count as f64;
            Ok(Read { codes: moments.sums.iter().map(mean).collect(), report })
        }
        _ => Err(Error::Corrupt { what: "an acquisition of moments has none".into() }),
    }
}
