//! A device in use by one operation: programs, acquisitions, and what they took.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::{GainCode, Ticks, full_scale_code};

use super::{InvertOptions, Progress};
use crate::board_model::BoardModel;
use crate::device::{
    AcquirePlan, BoardInfo, Deadline, Device, FrameBlock, Moments, Outcome, Phases, Report, Sink,
};
use crate::error::Error;
use crate::plan::{InversionPlan, TARGET_RMS, limit_gain};
use crate::readout::ReadOut;
use crate::seeds::noise_seeds;
use crate::timing::PROBE_RESIDUE;

/// Most effective samples of the run that sets the noise gain, and fewest: 64 leave 9 % of the root mean
/// square, 16 leave 18 %, with which the converters still hold four sigma.
const PROBE_EFFECTIVE: (f64, f64) = (64.0, 16.0);
/// Part of a run's effective samples that it takes in between.
const PROBE_SHARE: f64 = 1.0 / 16.0;
/// Most batches of a run.
pub(crate) const MAX_BATCHES: u64 = 64;
/// Fewest batches that a cancelled run must have to give a result.
pub const MIN_CANCELLED_BATCHES: usize = 4;
/// Ticks of one acquisition, about half a second on the board.
const CHUNK_TICKS: u64 = 6_000_000;
/// Most acquisitions of one batch: beyond it chunks grow, not their number.
const MAX_CHUNKS_PER_BATCH: u64 = 1024;

/// Sums over all acquisitions of a run.
pub(crate) struct Ledger {
    pub(crate) saturated: Vec<u64>,
    /// All of them.
    pub(crate) ticks: u64,
    /// Those that set the gain.
    pub(crate) gain_ticks: u64,
    /// Those of settling before a measurement.
    pub(crate) settle_ticks: u64,
    pub(crate) phases: Phases,
}

impl Ledger {
    pub(crate) fn new(cells: usize) -> Self {
        Self {
            saturated: vec![0; cells],
            ticks: 0,
            gain_ticks: 0,
            settle_ticks: 0,
            phases: Phases::default(),
        }
    }

    fn add(&mut self, report: &Report) {
        self.ticks += report.ticks.0;
        self.phases.add(&report.phases);
    }
}

/// A device in use by one operation.
pub(crate) struct Run<'a> {
    pub(crate) device: &'a mut dyn Device,
    pub(crate) options: &'a InvertOptions,
    /// Seeds are loaded and cells discharged; otherwise the noise goes on from where it is, and the cells
    /// do if the plan keeps them.
    pub(crate) fresh: bool,
    pub(crate) ledger: Ledger,
}

impl Run<'_> {
    /// Time for a call that runs so many ticks: as asked, or ample for a simulator at a twelfth of
    /// the board's clock.
    fn deadline(&self, ticks: u64) -> Deadline {
        Deadline::after(
            self.options.timeout.unwrap_or_else(|| Duration::from_secs(30 + ticks / 1_000_000)),
        )
    }

    /// Loads the program at this gain.
    pub(crate) fn load(&mut self, plan: &InversionPlan, gain: GainCode) -> Result<(), Error> {
        let mut program = plan.program_with(gain);
        program.discharge = self.fresh || plan.starts_at_rest();
        let cells = self.device.info().cells;
        program.seeds =
            self.fresh.then(|| noise_seeds(self.options.seed, self.options.copy, cells));
        let started = std::time::Instant::now();
        let deadline = self.deadline(0);
        self.device.load(&program, deadline)?;
        self.ledger.phases.program += started.elapsed();
        Ok(())
    }

    pub(crate) fn acquire(
        &mut self,
        settle: u64,
        decimation: u32,
        count: u64,
        stream: bool,
        sink: &mut dyn Sink,
    ) -> Result<Report, Error> {
        let out_of_range = |what: &str, value: u64| Error::Unsupported {
            reasons: vec![format!("{what} of {value} is beyond the sequencer's 32 bits")],
        };
        let narrow = |what, value| {
            u32::try_from(value)
                .ok()
                .and_then(NonZeroU32::new)
                .ok_or_else(|| out_of_range(what, value))
        };
        let plan = AcquirePlan {
            settle: Ticks(settle),
            decimation: narrow("decimation", u64::from(decimation))?,
            count: narrow("a batch", count)?,
            moments: !stream,
            stream,
            realtime: false,
        };
        let deadline = self.deadline(settle + count * u64::from(decimation));
        let report = self.device.acquire(&plan, sink, deadline)?;
        if report.lost > 0 {
            return Err(Error::Lost { frames: report.lost });
        }
        self.ledger.add(&report);
        Ok(report)
    }

    /// Finds the gain that uses the converters' range, by a short run at a safe one, and loads it.
    pub(crate) fn set_gain(
        &mut self,
        plan: &InversionPlan,
        info: &BoardInfo,
        model: &BoardModel,
    ) -> Result<GainCode, Error> {
        let mut gain = plan.safe_gain;
        self.load(plan, gain)?;
        let (most, fewest) = PROBE_EFFECTIVE;
        let share = plan.effective * f64::from(plan.programmings) * PROBE_SHARE;
        let wanted = share.clamp(fewest, most);
        let count = (wanted * plan.samples as f64 / plan.effective).ceil() as u64;
        let settle = plan.settle_to(PROBE_RESIDUE);
        let report = self.acquire(settle, plan.decimation, count, false, &mut crate::NullSink)?;
        self.ledger.gain_ticks += report.ticks.0;
        if report.outcome == Outcome::Cancelled {
            return Err(Error::Cancelled);
        }
        let readout = ReadOut::new(plan, info, model, gain);
        let rms = readout.largest_rms(&moments(report)?);
        let target = TARGET_RMS * f64::from(full_scale_code(info.raw.adc_bits));
        // A silent board keeps its gain; the measurement will name the cells.
        if rms > 1.0 {
            gain = limit_gain(info, gain.factor() * target / rms);
        }
        self.fresh &= plan.starts_at_rest();
        self.load(plan, gain)?;
        Ok(gain)
    }

    /// Loads another programming of the matrix at the gain that drives its cells as strongly as `gain`
    /// drove those of `first`, by the law of both.
    pub(crate) fn carry_gain(
        &mut self,
        plan: &InversionPlan,
        first: (&InversionPlan, GainCode),
    ) -> Result<GainCode, Error> {
        let ratio = (first.0.largest_variance() / plan.largest_variance()).sqrt();
        let gain = limit_gain(self.device.info(), first.1.factor() * ratio);
        self.load(plan, gain)?;
        Ok(gain)
    }

    /// Measures in chunks, until complete or cancelled, and joins them to batches.
    pub(crate) fn measure(
        &mut self,
        plan: &InversionPlan,
        batches: u64,
        before: u64,
        total: u64,
        progress: &dyn Progress,
    ) -> Result<Measured, Error> {
        // Chunks are short enough that a cancelled run keeps several of them.
        let ticks = plan.samples.saturating_mul(u64::from(plan.decimation));
        let per_batch = ticks.div_ceil(batches * CHUNK_TICKS).clamp(1, MAX_CHUNKS_PER_BATCH);
        let chunks = batches * per_batch;
        let mut measured = Measured { batches: Vec::new(), outcome: Outcome::Complete };
        let copy = self.options.copy as usize;
        let mut kept = 0;
        for chunk in 0..chunks {
            let end =
                (u128::from(plan.samples) * u128::from(chunk + 1) / u128::from(chunks)) as u64;
            // A later chunk goes on where the last one ended, at the same spacing.
            let settle =
                if chunk == 0 { plan.settle_for_mean() } else { u64::from(plan.decimation) - 1 };
            let mut sink = ProgressSink { progress, copy, before: before + kept, total };
            let report = self.acquire(settle, plan.decimation, end - kept, false, &mut sink)?;
            if chunk == 0 {
                self.ledger.settle_ticks += settle.min(report.ticks.0);
            }
            for (sum, count) in self.ledger.saturated.iter_mut().zip(&report.saturated) {
                *sum += count;
            }
            let outcome = report.outcome;
            let moments = moments(report)?;
            kept += moments.count;
            if moments.count > 0 {
                measured.batches.push(moments);
            }
            progress.update(copy, before + kept, total);
            if outcome == Outcome::Cancelled {
                measured.outcome = outcome;
                break;
            }
        }
        if measured.outcome == Outcome::Cancelled {
            measured.merge_short_batch(plan.samples / chunks);
            if measured.batches.len() < MIN_CANCELLED_BATCHES {
                return Err(Error::Cancelled);
            }
        }
        measured.join(batches as usize);
        Ok(measured)
    }
}

/// Moments of each batch.
pub(crate) struct Measured {
    pub(crate) batches: Vec<Moments>,
    pub(crate) outcome: Outcome,
}

impl Measured {
    /// Moments of all batches together.
    pub(crate) fn whole(&self) -> Moments {
        let mut sum = Moments::empty(self.batches.first().map_or(0, |batch| batch.sums.len()));
        for batch in &self.batches {
            sum.add(batch);
        }
        sum
    }

    /// A last batch that was cut short joins the one before, so that batches are alike.
    fn merge_short_batch(&mut self, full: u64) {
        if let Some(last) = self.batches.pop_if(|last| last.count < full / 2)
            && let Some(before) = self.batches.last_mut()
        {
            before.add(&last);
        }
    }

    /// Joins neighbours until there are at most `most`.
    fn join(&mut self, most: usize) {
        let size = self.batches.len().div_ceil(most).max(1);
        self.batches = self
            .batches
            .chunks(size)
            .map(|group| {
                let mut sum = Moments::empty(group[0].sums.len());
                for part in group {
                    sum.add(part);
                }
                sum
            })
            .collect();
    }
}

struct ProgressSink<'a> {
    progress: &'a dyn Progress,
    copy: usize,
    before: u64,
    total: u64,
}

impl Sink for ProgressSink<'_> {
    fn frames(&mut self, _block: &FrameBlock<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, kept: u64, _total: u64) {
        self.progress.update(self.copy, self.before + kept, self.total);
    }
}

pub(super) fn moments(report: Report) -> Result<Moments, Error> {
    report.moments.ok_or_else(|| Error::Corrupt { what: "moments are missing".into() })
}
