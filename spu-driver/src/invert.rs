//! Inverts a matrix by the covariance of a board at rest.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::{GainCode, Ticks, full_scale_code};

use crate::board_model::{BoardModel, MeasuredBoard, MeasuredBoards};
use crate::device::{
    AcquirePlan, BoardInfo, Deadline, Device, FrameBlock, Moments, Outcome, Phases, Report, Sink,
};
use crate::error::Error;
use crate::linalg::flops::counted;
use crate::matrix::{MatrixError, SpdMatrix};
use crate::plan::{Budget, InversionPlan, TARGET_RMS, limit_gain};
use crate::readout::{ReadOut, Unreadable};
use crate::route::{Basis, Taken};
use crate::seeds::noise_seeds;
use crate::stats::Replicates;
use crate::systematic::Systematic;
use crate::timing::PROBE_RESIDUE;

/// Effective samples of the run that sets the noise gain.
const PROBE_EFFECTIVE: u64 = 64;
/// Most batches of a run.
pub(crate) const MAX_BATCHES: u64 = 64;
/// Fewest batches of a complete run.
pub const MIN_BATCHES: u64 = 8;
/// Fewest batches that a cancelled run must have to give a result.
pub const MIN_CANCELLED_BATCHES: usize = 4;
/// Ticks of one acquisition, about half a second on the board.
const CHUNK_TICKS: u64 = 6_000_000;
/// Most acquisitions of one batch: beyond it chunks grow, not their number.
const MAX_CHUNKS_PER_BATCH: u64 = 1024;
/// Effective samples that a batch should hold at least, so that batches are independent.
const BATCH_EFFECTIVE: f64 = 16.0;

/// Why an operation gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The matrix itself.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The device, or what it cannot do.
    #[error(transparent)]
    Device(#[from] Error),
    /// Too few samples for an error bar.
    #[error(
        "{samples} samples are about {effective:.0} independent ones, too few for an error bar; \
         keep at least {needed}"
    )]
    TooFewSamples {
        /// Samples that were to be kept.
        samples: u64,
        /// Effective ones among them.
        effective: f64,
        /// Samples that suffice.
        needed: u64,
    },
    /// A converter shows nothing, or two show the same.
    #[error(
        "no independent signal from cell {}: the converter is stuck or the cell is dead; run \
         `spu selftest --level 2`",
        list(cells)
    )]
    NoSignal {
        /// Cells, from 0.
        cells: Vec<usize>,
    },
    /// The covariance is none that the board's cells can have.
    #[error(
        "the measured covariance is none that cells with these R, L and drive can have; run `spu selftest \
         --level 2`, and `spu calibrate` if it passes"
    )]
    Inconsistent,
}

impl From<Unreadable> for OperationError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NoSignal { cells } => Self::NoSignal { cells },
            Unreadable::Inconsistent => Self::Inconsistent,
        }
    }
}

fn list(cells: &[usize]) -> String {
    cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Options of [`invert`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvertOptions {
    /// How much to sample.
    pub budget: Budget,
    /// Seed of the board's noise generators.
    pub seed: u64,
    /// Number of this copy: copies with one seed get independent noise.
    pub copy: u32,
    /// Longest time for one call on the device; `None` leaves ample time for a simulator.
    #[serde(skip)]
    pub timeout: Option<Duration>,
    /// Measured values of boards, by serial number: one that is not among them is taken for nominal.
    #[serde(skip)]
    pub measured: Arc<MeasuredBoards>,
    /// Programmings of the matrix whose results are averaged: their errors of quantisation make up for
    /// each other. The budget is divided among them.
    pub programmings: NonZeroU32,
}

impl Default for InvertOptions {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            seed: 1,
            copy: 0,
            timeout: None,
            measured: Arc::default(),
            programmings: NonZeroU32::MIN,
        }
    }
}

/// Hears how far a run is, from the thread that runs it.
pub trait Progress: Sync {
    /// `copy` has kept `kept` of `total` samples.
    fn update(&self, copy: usize, kept: u64, total: u64);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn update(&self, _copy: usize, _kept: u64, _total: u64) {}
}

/// The inverse after part of the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Kept samples.
    pub kept: u64,
    /// Effective independent samples among them, by the plan.
    pub effective: f64,
    /// The inverse from them.
    pub inverse: Array2<f64>,
}

/// An inverse read from a board.
#[derive(Debug, Clone)]
pub struct Inversion {
    /// The estimate of A⁻¹, `n × n`.
    pub inverse: Array2<f64>,
    /// Half widths of its 95 % intervals, entry by entry. Statistical only: see
    /// [`systematic`](Self::systematic) and [`intervals`](Self::intervals).
    pub half_widths: Array2<f64>,
    /// What more samples do not remove.
    pub systematic: Systematic,
    /// Batches behind the intervals.
    pub replicates: Replicates,
    /// How it was set up; of several programmings, the first. By the tridiagonal route this is the plan
    /// of the tridiagonal matrix.
    pub plan: InversionPlan,
    /// How the matrix came onto the board.
    pub route: Taken,
    /// Programmings whose results were averaged.
    pub programmings: usize,
    /// Noise gain that was used.
    pub gain: GainCode,
    /// The board.
    pub board: BoardInfo,
    /// Its URI.
    pub uri: String,
    /// Content hash of the calibration behind the result; `None`: uncalibrated.
    pub calibration: Option<u64>,
    /// Complete or cancelled.
    pub outcome: Outcome,
    /// Kept samples.
    pub kept: u64,
    /// Effective independent samples, by the plan's spectrum.
    pub effective_planned: f64,
    /// Effective independent samples, by the scatter of the batches.
    pub effective_measured: f64,
    /// Relative Frobenius error that the samples leave, by the plan.
    pub predicted_error: f64,
    /// Relative Frobenius error that the samples leave, by the scatter of the batches.
    pub statistical_error: f64,
    /// Relative size of the correction for the law of the drive, which is a staircase, and of cells
    /// that differ (digital).
    pub law_correction: f64,
    /// Kept samples of each cell at the end of the converter's range.
    pub saturated: Vec<u64>,
    /// The inverse after 1, 2, 4 … batches.
    pub convergence: Vec<Partial>,
    /// Ticks run, settling included: sampled time on the board.
    pub ticks: Ticks,
    /// Wall time by phase.
    pub phases: Phases,
}

/// Inverts `a` on a board: scale, set, settle, measure, read.
///
/// Every entry comes from moments of ADC codes. What the host adds is digital and small: scaling,
/// planning, an eigenvalue transform that corrects the staircase drive, error bars.
///
/// A cancelled run is not an error once it has [`MIN_CANCELLED_BATCHES`] batches, each a 64th of the
/// run or half a second of the board's time, whichever is shorter: the result says so.
///
/// # Errors
/// [`OperationError`]; [`Error::Cancelled`] if there was no time for [`MIN_CANCELLED_BATCHES`].
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet, invert};
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let result = invert(device.as_mut(), &a, &InvertOptions::default(), &Quiet)?;
/// assert!((result.inverse[[0, 1]] - 1.0 / 3.0).abs() < 6.0 * result.half_widths[[0, 1]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert(
    device: &mut dyn Device,
    a: &SpdMatrix,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Inversion, OperationError> {
    let info = device.info();
    let model = options.model(info)?;
    let members = options.programmings.get();
    let (plans, planning_flops) =
        counted(|| InversionPlan::ensemble(a, info, &model, &options.budget, members));
    let plans = plans?;
    let (result, read_out_flops) =
        counted(|| invert_planned(device, a, plans, &Basis::default(), options, progress));
    let mut result = result?;
    result.route = Taken { planning_flops, read_out_flops, ..result.route };
    Ok(result)
}

/// Inverts `a` as planned, with results in the coordinates that `basis` leads back to. The budget is in
/// the plans.
pub(crate) fn invert_planned(
    device: &mut dyn Device,
    a: &SpdMatrix,
    plans: Vec<InversionPlan>,
    basis: &Basis,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Inversion, OperationError> {
    let info = device.info().clone();
    let board = options.board(&info)?;
    let model = options.model(&info)?;
    let total = plans.iter().map(|plan| plan.samples).sum();
    let mut members: Vec<Inversion> = Vec::new();
    let mut before = 0;
    for plan in plans {
        let batches = batches(&plan)?;
        let fresh = members.is_empty();
        let mut run = Run { device, options, fresh, ledger: Ledger::new(info.cells) };
        let mut one = || -> Result<Inversion, OperationError> {
            let gain = run.set_gain(&plan, &info, &model)?;
            let measured = run.measure(&plan, batches, before, total, progress)?;
            let ledger = std::mem::replace(&mut run.ledger, Ledger::new(info.cells));
            let uri = run.device.uri().to_owned();
            let readout = ReadOut::new(&plan, &info, &model, gain);
            let mut result =
                assemble(plan.clone(), gain, info.clone(), uri, &readout, &measured, ledger)?;
            result.systematic =
                Systematic::of(a, &result, &model, board, &measured.whole(), basis)?;
            basis.turn(&mut result);
            result.calibration = board.map(|board| board.id);
            Ok(result)
        };
        match one() {
            Ok(member) => {
                before += member.kept;
                let cancelled = member.outcome == Outcome::Cancelled;
                members.push(member);
                if cancelled {
                    break;
                }
            }
            // What is whole is kept.
            Err(OperationError::Device(Error::Cancelled)) if !members.is_empty() => {
                members[0].outcome = Outcome::Cancelled;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(crate::merge::merge(members))
}

impl InvertOptions {
    /// The values of this board: measured ones, or else the nominal ones.
    pub(crate) fn model(&self, info: &BoardInfo) -> Result<BoardModel, Error> {
        let board = self.board(info)?;
        Ok(board.map_or_else(|| BoardModel::nominal(info), |board| board.model.clone()))
    }

    /// The measured values of this board, if they are at hand.
    ///
    /// # Errors
    /// Where they are those of another kind of board.
    pub(crate) fn board(&self, info: &BoardInfo) -> Result<Option<&MeasuredBoard>, Error> {
        let board = self.measured.get(&info.serial).map(Arc::as_ref);
        if let Some(board) = board {
            board.check(info)?;
        }
        Ok(board)
    }
}

/// Number of batches.
pub(crate) fn batches(plan: &InversionPlan) -> Result<u64, OperationError> {
    let batches = (plan.effective / BATCH_EFFECTIVE) as u64;
    if batches < MIN_BATCHES {
        let needed = MIN_BATCHES as f64 * BATCH_EFFECTIVE / plan.effective * plan.samples as f64;
        return Err(OperationError::TooFewSamples {
            samples: plan.samples,
            effective: plan.effective,
            needed: needed.ceil() as u64,
        });
    }
    Ok(batches.min(MAX_BATCHES))
}

/// Sums over all acquisitions of a run.
pub(crate) struct Ledger {
    pub(crate) saturated: Vec<u64>,
    pub(crate) ticks: u64,
    pub(crate) phases: Phases,
}

impl Ledger {
    pub(crate) fn new(cells: usize) -> Self {
        Self { saturated: vec![0; cells], ticks: 0, phases: Phases::default() }
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
    /// Seeds are loaded; otherwise the noise goes on from where it is.
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
        let count = (PROBE_EFFECTIVE as f64 * plan.samples as f64 / plan.effective).ceil() as u64;
        let settle = plan.settle_to(PROBE_RESIDUE);
        let report = self.acquire(settle, plan.decimation, count, false, &mut crate::NullSink)?;
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

fn moments(report: Report) -> Result<Moments, Error> {
    report.moments.ok_or_else(|| Error::Corrupt { what: "moments are missing".into() })
}

fn assemble(
    plan: InversionPlan,
    gain: GainCode,
    board: BoardInfo,
    uri: String,
    readout: &ReadOut,
    measured: &Measured,
    ledger: Ledger,
) -> Result<Inversion, OperationError> {
    let estimate = |moments: &Moments| readout.estimate(moments).map_err(OperationError::from);
    let per_sample = plan.effective / plan.samples as f64;
    let mut sum = Moments::empty(board.cells);
    let mut convergence = Vec::new();
    for (index, batch) in measured.batches.iter().enumerate() {
        sum.add(batch);
        let done = index + 1;
        if done.is_power_of_two() || done == measured.batches.len() {
            convergence.push(Partial {
                kept: sum.count,
                effective: sum.count as f64 * per_sample,
                inverse: estimate(&sum)?.inverse,
            });
        }
    }
    let whole = estimate(&sum)?;
    let left_out = readout.without_each(&sum, &whole, &measured.batches)?;
    let replicates = Replicates::jackknife(&whole.inverse, &left_out);
    let squared = replicates.squared_error();
    let norm = crate::linalg::frobenius(&whole.inverse);
    let trace = whole.inverse.diag().sum();
    Ok(Inversion {
        half_widths: replicates.half_widths(),
        effective_planned: sum.count as f64 * per_sample,
        effective_measured: (trace * trace + norm * norm) / squared,
        predicted_error: plan.predicted_error * (plan.samples as f64 / sum.count as f64).sqrt(),
        statistical_error: squared.sqrt() / norm,
        law_correction: whole.correction,
        programmings: 1,
        systematic: Systematic::none(board.cells),
        inverse: whole.inverse,
        replicates,
        route: Taken::by_scaling(&plan),
        plan,
        gain,
        calibration: None,
        board,
        uri,
        outcome: measured.outcome,
        kept: sum.count,
        saturated: ledger.saturated,
        convergence,
        ticks: Ticks(ledger.ticks),
        phases: ledger.phases,
    })
}
