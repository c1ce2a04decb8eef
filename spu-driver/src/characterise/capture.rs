//! Gets the records and keeps the time.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::Ticks;

use super::record::{Keep, Record};
use super::{BATCH_EFFECTIVE, BATCHES, Stage, WallTime};
use crate::device::{AcquirePlan, BoardInfo, Deadline, Moments, Outcome, Phases, Report};
use crate::error::Error;
use crate::invert::{Ledger, OperationError, Progress, Run};
use crate::plan::InversionPlan;

/// Refuses too few samples.
pub(super) fn enough(plan: &InversionPlan, samples: u64) -> Result<(), OperationError> {
    let effective = plan.effective * samples as f64 / plan.samples as f64;
    let needed = BATCHES as f64 * BATCH_EFFECTIVE;
    if effective >= needed {
        return Ok(());
    }
    let needed = (needed / plan.effective * plan.samples as f64).ceil() as u64;
    Err(OperationError::TooFewSamples { samples, effective, needed })
}

/// Room for the record, before anything is set on the board.
pub(super) fn room(plan: &InversionPlan, samples: u64) -> Result<Vec<Vec<i16>>, OperationError> {
    enough(plan, samples)?;
    let refused = |why: String| Error::Unsupported { reasons: vec![why] };
    if samples > u64::from(u32::MAX) {
        return Err(refused(format!("{samples} samples are beyond the sequencer's 32 bits")).into());
    }
    let mut columns = vec![Vec::new(); plan.n];
    for column in &mut columns {
        column.try_reserve_exact(samples as usize).map_err(|_| {
            refused(format!(
                "{samples} samples of {} cells need {:.1} GB of memory; ask for fewer",
                plan.n,
                samples as f64 * plan.n as f64 * 2e-9
            ))
        })?;
    }
    Ok(columns)
}

/// Consecutive samples that the board delivers at every tick: without end where its link carries them,
/// otherwise what its capture memory holds.
pub(super) fn burst(info: &BoardInfo) -> u64 {
    let carried = info.raw.stream_frames_per_s;
    if carried == 0 || carried >= info.raw.sample_clock_hz {
        u64::from(u32::MAX)
    } else {
        u64::from(info.raw.capture_frames.max(1))
    }
}

/// Samples tick by tick, with moments, in bursts that each start from rest.
pub(super) fn record(
    run: &mut Run<'_>,
    plan: &InversionPlan,
    samples: u64,
    burst: u64,
    mut codes: Vec<Vec<i16>>,
    progress: &dyn Progress,
) -> Result<(Vec<Vec<i16>>, Report), Error> {
    let cells = run.device.info().cells;
    let mut whole: Option<Report> = None;
    let mut kept = 0;
    while kept < samples {
        let part = Part { inner: progress, before: kept, scale: 1, total: samples };
        let mut sink = Keep { cells, codes, progress: &part };
        let count = (samples - kept).min(burst);
        let acquire = AcquirePlan {
            settle: Ticks(plan.settle),
            decimation: NonZeroU32::MIN,
            count: NonZeroU32::new(count as u32).unwrap_or(NonZeroU32::MIN),
            moments: true,
            stream: true,
            realtime: false,
        };
        let ample = Duration::from_secs(30 + count / 100_000);
        let deadline = Deadline::after(run.options.timeout.unwrap_or(ample));
        let report = run.device.acquire(&acquire, &mut sink, deadline)?;
        codes = sink.codes;
        // A cancelled acquisition drops what was not sent yet: the record ends there.
        if report.lost > 0 && report.outcome == Outcome::Complete {
            return Err(Error::Lost { frames: report.lost });
        }
        run.ledger.ticks += report.ticks.0;
        run.ledger.phases.add(&report.phases);
        kept += count;
        let cancelled = report.outcome == Outcome::Cancelled;
        match &mut whole {
            None => whole = Some(report),
            Some(whole) => join(whole, &report),
        }
        if cancelled {
            break;
        }
    }
    let report = whole.ok_or_else(|| Error::Corrupt { what: "there is no record".into() })?;
    Ok((codes, report))
}

/// Adds the report of a further burst.
fn join(whole: &mut Report, more: &Report) {
    whole.outcome = more.outcome;
    whole.kept += more.kept;
    for (sum, count) in whole.saturated.iter_mut().zip(&more.saturated) {
        *sum += count;
    }
    match (&mut whole.moments, &more.moments) {
        (Some(sum), Some(moments)) => sum.add(moments),
        (moments, _) => *moments = None,
    }
}

/// True if moments are those of the record.
pub(super) fn agree(moments: &Moments, record: &Record, cells: usize) -> bool {
    let n = record.n();
    let sum = |i: usize| record.codes[i].iter().map(|code| i128::from(*code)).sum::<i128>();
    let product = |i: usize, j: usize| -> i128 {
        let both = record.codes[i].iter().zip(&record.codes[j]);
        both.map(|(x, y)| i128::from(i32::from(*x) * i32::from(*y))).sum()
    };
    let place = |i: usize, j: usize| i * (2 * cells - i + 1) / 2 + j - i;
    moments.count == record.len() as u64
        && (0..n).all(|i| moments.sums[i] == sum(i))
        && (0..n).all(|i| (i..n).all(|j| moments.products[place(i, j)] == product(i, j)))
}

/// Progress of a part of the whole.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) inner: &'a dyn Progress,
    /// Ticks before this part, ticks of a sample, all ticks.
    pub(super) before: u64,
    pub(super) scale: u64,
    pub(super) total: u64,
}

impl Progress for Part<'_> {
    fn update(&self, copy: usize, kept: u64, _total: u64) {
        self.inner.update(copy, (self.before + kept * self.scale).min(self.total), self.total);
    }
}

/// Collects the time of each stage.
pub(super) struct Stages {
    pub(super) period_s: f64,
    pub(super) all: Vec<Stage>,
}

impl Stages {
    /// Adds what the ledger holds, settling included, and empties it.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        settle_ticks: u64,
        ledger: &mut Ledger,
        effective: Option<f64>,
    ) {
        let settle_ticks = settle_ticks.min(ledger.ticks);
        let seconds = ledger.ticks as f64 * self.period_s;
        let Phases { encode, program, acquire, transfer, decode } = ledger.phases;
        let share = settle_ticks as f64 / ledger.ticks.max(1) as f64;
        self.all.push(Stage {
            name,
            settle_ticks,
            sampled_ticks: ledger.ticks - settle_ticks,
            effective,
            effective_per_s: effective.map(|effective| effective / seconds),
            wall: WallTime {
                encode_s: encode.as_secs_f64(),
                program_s: program.as_secs_f64(),
                settle_s: share * acquire.as_secs_f64(),
                acquire_s: (1.0 - share) * acquire.as_secs_f64(),
                transfer_s: transfer.as_secs_f64(),
                decode_s: decode.as_secs_f64(),
            },
        });
        *ledger = Ledger::new(ledger.saturated.len());
    }
}
