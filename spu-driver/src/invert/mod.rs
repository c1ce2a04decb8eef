//! Inverts a matrix by the covariance of a board at rest.

mod error;
mod run;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::{GainCode, Ticks};

use crate::board_model::{BoardModel, MeasuredBoard, MeasuredBoards};
use crate::device::{BoardInfo, Device, Moments, Outcome, Phases};
use crate::error::Error;
use crate::linalg::flops::counted;
use crate::linalg::{frobenius, relative_error};
use crate::matrix::SpdMatrix;
use crate::plan::{Budget, InversionPlan, Settle};
use crate::readout::ReadOut;
use crate::route::{Basis, Taken};
use crate::scaling::Scaling;
use crate::stats::Replicates;
use crate::systematic::Systematic;
use crate::timing::TimeLaw;

pub use error::OperationError;
pub use run::MIN_CANCELLED_BATCHES;
pub(crate) use run::{Ledger, MAX_BATCHES, Measured, Run};

/// Fewest batches of a complete run.
pub const MIN_BATCHES: u64 = 8;
/// Effective samples that a batch should hold at least, so that batches are independent.
const BATCH_EFFECTIVE: f64 = 16.0;

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
    /// Where cells start from, and how long they are waited for.
    pub settle: Settle,
    /// Extrapolates the covariance in measurement time: takes off what the start from rest and the
    /// subtracted mean leave in a short record, by the programmed spectrum.
    pub extrapolate: bool,
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
            settle: Settle::default(),
            extrapolate: false,
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
    /// Relative size of what extrapolation in measurement time changed, if it was asked for (digital).
    pub extrapolated: Option<f64>,
    /// Ticks run: sampled time on the board, all of it.
    pub ticks: Ticks,
    /// Those of the run that set the gain.
    pub gain_ticks: Ticks,
    /// Those of settling before the measurement.
    pub settle_ticks: Ticks,
    /// Wall time on the device, by phase.
    pub phases: Phases,
    /// Wall time of the host's own work: planning, read-out, error bars.
    pub host: Duration,
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
    let started = Instant::now();
    let (plans, planning_flops) = counted(|| options.plans(a, device.info(), &Scaling::ALL));
    let plans = plans?;
    let planning = started.elapsed();
    let (result, read_out_flops) =
        counted(|| invert_planned(device, a, plans, &Basis::default(), options, progress));
    let mut result = result?;
    result.route = Taken { planning_flops, read_out_flops, ..result.route };
    result.host += planning;
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
    let started = Instant::now();
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
            let gain = match members.first() {
                None => run.set_gain(&plan, &info, &model)?,
                Some(first) => run.carry_gain(&plan, (&first.plan, first.gain))?,
            };
            let measured = run.measure(&plan, batches, before, total, progress)?;
            let ledger = std::mem::replace(&mut run.ledger, Ledger::new(info.cells));
            let uri = run.device.uri().to_owned();
            let time = options.extrapolate.then(|| TimeLaw::new(&plan));
            let plain = ReadOut::new(&plan, &info, &model, gain);
            let readout = plain.clone().extrapolated(time.clone());
            let mut result =
                assemble(plan.clone(), gain, info.clone(), uri, &readout, &measured, ledger)?;
            let whole = measured.whole();
            result.systematic =
                Systematic::of(a, &result, &model, board, (&whole, time.as_ref()), basis)?;
            if time.is_some() {
                let without = plain.estimate(&whole)?.inverse;
                result.extrapolated = Some(relative_error(&without, &result.inverse));
            }
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
    let mut result = crate::merge::merge(members);
    result.host = started.elapsed().saturating_sub(result.phases.total());
    Ok(result)
}

impl InvertOptions {
    /// Plans `a` on a board as these options have it; only these scalings are tried.
    pub(crate) fn plans(
        &self,
        a: &SpdMatrix,
        info: &BoardInfo,
        scalings: &[Scaling],
    ) -> Result<Vec<InversionPlan>, Error> {
        let (model, members) = (self.model(info)?, self.programmings.get());
        let mut plans = InversionPlan::ensemble(a, info, &model, &self.budget, members, scalings)?;
        for plan in &mut plans {
            plan.settling = self.settle;
        }
        Ok(plans)
    }

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
    let norm = frobenius(&whole.inverse);
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
        extrapolated: None,
        ticks: Ticks(ledger.ticks),
        gain_ticks: Ticks(ledger.gain_ticks),
        settle_ticks: Ticks(ledger.settle_ticks),
        phases: ledger.phases,
        host: Duration::ZERO,
    })
}

#[cfg(all(test, feature = "sim"))]
mod tests;
