//! The propagator of a board's voltages, from lagged covariances of a streamed record.
//!
//! With `K(τ) = E[v(t + τ) v(t)ᵀ]` at rest, the best linear prediction of `v(t + τ)` from `v(t)` is
//! `P(τ) v(t)`, `P(τ) = K(τ) K(0)⁻¹`, dimensionless, `n × n`. The state x = (v, i) of the board obeys
//! `ẋ = F x + noise`, so (regression theorem: Onsager 1931; Risken, *The Fokker–Planck Equation*, 3.2)
//!
//! ```text
//! K(τ) = (e^{Fτ} Σ)_vv,   P(τ) = (e^{Fτ} Σ)_vv Σ_vv⁻¹
//! ```
//!
//! Cells with equal R, L and drive have `Σ_vi = 0`, and then `P(τ) = (e^{Fτ})_vv` is the matrix
//! exponential's voltage block: with `C = s A`, `P(τ) = f(A)` for
//!
//! ```text
//! f(λ) = e^{−ατ} (cos ωτ − (α/ω) sin ωτ),   α = 1/(2 R s λ),  ω² = 1/(L s λ) − α²
//! ```
//!
//! one damped cosine a mode. Where every mode is overdamped (`R √(sλ/L) ≪ 1/2`) and τ is short against
//! L/R this tends to `exp(−τ/(R s) A⁻¹)`; boards whose modes ring are far from that limit, and
//! [`Lag::overdamped_distance`] says how far. The board is programmed without scaling, so A must be
//! diagonally dominant, with off-diagonals as the couplings' signs allow.
//!
//! What is read is the propagator of this board as it is programmed. Converter gains enter it, as those of a
//! calibration where there is one; unequal R and L are in it, and [`Lag::asked_distance`] says how far they and
//! the banks' quantisation put it from f(A).
//!
//! The device streams ADC codes. The host multiplies and sums them (a correlator; digital), and divides
//! by K(0).

mod correlator;

use ndarray::{Array2, s};
use spu_protocol::code::GainCode;

use self::correlator::{Correlator, LagSums};
use super::equal_cells;
use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Device, Outcome};
use crate::error::Error;
use crate::invert::{
    InvertOptions, Ledger, MIN_CANCELLED_BATCHES, OperationError, Progress, Run, batches,
};
use crate::linalg::{exponential, product, relative_error, solve};
use crate::matrix::SpdMatrix;
use crate::model::CellModel;
use crate::plan::{Budget, InversionPlan};
use crate::readout::{ReadOut, Unreadable};
use crate::stats::Replicates;
use crate::systematic::{Systematic, capacitance_of, deviation};

/// Most lags of one run.
pub const MAX_LAGS: usize = 64;
/// Longest lag, in kept frames.
pub const MAX_LAG_FRAMES: u32 = 65_536;

/// The voltages' propagator over one lag.
#[derive(Debug, Clone)]
pub struct Lag {
    /// The lag, in ticks of the sample clock.
    pub ticks: u32,
    /// The lag, in seconds.
    pub seconds: f64,
    /// Lagged covariance K(τ), `n × n`, row: later voltage, in V².
    pub covariance: Array2<f64>,
    /// `K(τ) K(0)⁻¹`, `n × n`, dimensionless.
    pub propagator: Array2<f64>,
    /// Half widths of its 95 % intervals, entry by entry: statistical only.
    pub half_widths: Array2<f64>,
    /// Jackknife over batches.
    pub replicates: Replicates,
    /// Standard deviation that the calibration's own uncertainty (that of its converter gains) leaves in each
    /// entry. `None` without calibration: then gains that differ are in no interval.
    pub calibration: Option<Array2<f64>>,
    /// Half widths of 95 % intervals that hold the statistical error and what the calibration leaves open.
    pub intervals: Array2<f64>,
    /// The same by the sampled law of the board's model as programmed (digital).
    pub reference: Array2<f64>,
    /// Largest distance of an entry to `reference`, in standard deviations by samples and calibration.
    pub largest_z: f64,
    /// Relative Frobenius distance of `reference` to the propagator of equal cells that hold A itself:
    /// quantisation of the banks and spread of the parts, as far as they are known (digital).
    pub asked_distance: f64,
    /// `τ/(R s)`, in units of A: the time of the exponential `exp(−t A⁻¹)` of the overdamped limit.
    pub exponent: f64,
    /// Relative Frobenius distance of `reference` to that exponential (digital).
    pub overdamped_distance: f64,
}

/// Propagators at several lags, from one record.
#[derive(Debug, Clone)]
pub struct Propagator {
    /// In the order that was asked for.
    pub lags: Vec<Lag>,
    /// How the board was set; D = I.
    pub plan: InversionPlan,
    /// Noise gain that was used.
    pub gain: GainCode,
    /// The board.
    pub board: BoardInfo,
    /// Content hash of the calibration behind the reference; `None`: uncalibrated.
    pub calibration: Option<u64>,
    /// Complete or cancelled.
    pub outcome: Outcome,
    /// Batches behind the intervals.
    pub batches: usize,
    /// Frames in them.
    pub kept: u64,
}

/// Reads the propagators of a board that holds `a` at `lags`, in ticks.
///
/// The record keeps one tick in `D`, a divisor of every lag: the one of the budget, or the largest that
/// the spectrum makes worth while.
///
/// # Errors
/// [`OperationError`]; [`Error::Unsupported`] where A cannot be held unscaled, for no lags, more than
/// [`MAX_LAGS`], a lag of 0 or beyond [`MAX_LAG_FRAMES`], or one that the budget's decimation does not
/// divide.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::ops::propagator::propagator;
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let options = InvertOptions::default();
/// let found = propagator(device.as_mut(), &a, &[16, 32], &options, &Quiet)?;
/// assert!(found.lags.iter().all(|lag| lag.largest_z < 8.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn propagator(
    device: &mut dyn Device,
    a: &SpdMatrix,
    lags: &[u32],
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Propagator, OperationError> {
    let info = device.info().clone();
    let measured = options.board(&info)?;
    let model = measured.map_or_else(|| BoardModel::nominal(&info), |board| board.model.clone());
    let plan = plan(a, lags, &info, &model, &options.budget)?;
    let wanted = batches(&plan)?;
    let mut run = Run { device, options, fresh: true, ledger: Ledger::new(info.cells) };
    let gain = run.set_gain(&plan, &info, &model)?;
    let frames: Vec<usize> =
        std::iter::once(0).chain(lags.iter().map(|lag| (lag / plan.decimation) as usize)).collect();
    let copy = options.copy as usize;
    let mut sink =
        Correlator::new(info.cells, plan.n, frames, plan.samples, wanted, progress, copy);
    // K(τ) and K(0) are of one record: what a start from rest leaves is common to both, but for what is of
    // the order of the inverse's own error.
    let settle = plan.settle_for_mean();
    let report = run.acquire(settle, plan.decimation, plan.samples, true, &mut sink)?;
    let sums = sink.finish();
    if report.outcome == Outcome::Cancelled && sums.len() < MIN_CANCELLED_BATCHES {
        return Err(Error::Cancelled.into());
    }
    let mut whole = sums[0].clone();
    for batch in &sums[1..] {
        for (sum, part) in whole.iter_mut().zip(batch) {
            sum.add(part);
        }
    }
    let view = View::new(&plan, &info, &model, gain);
    view.check(&view.volts(&whole[0], true))?;
    let draws: Vec<View> = measured
        .iter()
        .flat_map(|board| &board.draws)
        .map(|draw| View::new(&plan, &info, draw, gain))
        .collect();
    let asked = view.of_equal_cells(&(a.entries() * plan.farads));
    let found = lags.iter().enumerate().map(|(index, ticks)| {
        let at = |view: &View, sums: &[LagSums]| view.propagator(&sums[0], &sums[index + 1]);
        let value = at(&view, &whole);
        let left_out: Vec<Array2<f64>> = sums
            .iter()
            .map(|batch| {
                let rest: Vec<LagSums> =
                    whole.iter().zip(batch).map(|(all, part)| all.without(part)).collect();
                at(&view, &rest)
            })
            .collect();
        let replicates = Replicates::jackknife(&value, &left_out);
        let reference = view.reference(*ticks);
        let off = &value - &reference;
        let mut variance = replicates.variance();
        let changes: Vec<Array2<f64>> =
            draws.iter().map(|draw| at(draw, &whole) - draw.reference(*ticks) - &off).collect();
        if let Some(sd) = deviation(&changes) {
            variance += &(&sd * &sd);
        }
        let z = &off / &variance.mapv(f64::sqrt);
        let systematic = Systematic::new(
            Array2::zeros(value.dim()),
            draws.iter().map(|draw| at(draw, &whole) - &value).collect(),
        );
        let exponent = f64::from(*ticks) * view.model.period_s / (view.cell.r_ohm * plan.farads);
        let limit = exponential(&(solve(a.entries(), &Array2::eye(plan.n)) * -exponent));
        Lag {
            ticks: *ticks,
            seconds: f64::from(*ticks) * view.model.period_s,
            covariance: view.volts(&whole[index + 1], false),
            half_widths: replicates.half_widths(),
            intervals: systematic.intervals(&replicates),
            calibration: systematic.calibration,
            replicates,
            largest_z: z.iter().fold(0.0, |most, z| z.abs().max(most)),
            exponent,
            overdamped_distance: relative_error(&reference, &limit),
            asked_distance: relative_error(&reference, &asked.reference(*ticks)),
            propagator: value,
            reference,
        }
    });
    let found = found.collect();
    Ok(Propagator {
        lags: found,
        gain,
        calibration: measured.map(|board| board.id),
        outcome: report.outcome,
        batches: sums.len(),
        kept: whole[0].count,
        board: info,
        plan,
    })
}

/// The plan, with a decimation that divides every lag.
fn plan(
    a: &SpdMatrix,
    lags: &[u32],
    info: &BoardInfo,
    model: &BoardModel,
    budget: &Budget,
) -> Result<InversionPlan, Error> {
    let refuse = |reason: String| Err(Error::Unsupported { reasons: vec![reason] });
    if lags.is_empty() || lags.len() > MAX_LAGS {
        return refuse(format!("{} lags; give 1 to {MAX_LAGS}", lags.len()));
    }
    if lags.contains(&0) {
        return refuse(
            "a lag of 0 ticks has the identity for its propagator; give 1 or more".into(),
        );
    }
    let common = lags.iter().copied().fold(0, gcd);
    let mut plan = InversionPlan::unscaled(a, info, model, budget)?;
    let decimation = match budget.decimation {
        Some(decimation) if common.is_multiple_of(decimation) => decimation,
        Some(decimation) => {
            return refuse(format!(
                "lags must be multiples of the decimation {decimation}; their common divisor is \
                 {common}"
            ));
        }
        // The largest divisor that keeps nearly all the information per tick.
        None => (1..=common.min(plan.decimation)).rev().find(|d| common % d == 0).unwrap_or(1),
    };
    if let Some(long) = lags.iter().find(|lag| *lag / decimation > MAX_LAG_FRAMES) {
        return refuse(format!(
            "a lag of {long} ticks is more than {MAX_LAG_FRAMES} frames, {decimation} ticks apart"
        ));
    }
    if decimation != plan.decimation {
        let budget = Budget { decimation: Some(decimation), ..*budget };
        plan = InversionPlan::unscaled(a, info, model, &budget)?;
    }
    Ok(plan)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Turns sums of codes into volts, and knows the law of the model.
struct View {
    model: BoardModel,
    cell: CellModel,
    /// Φ of one tick, `2n × 2n`.
    phi: Array2<f64>,
    /// Stationary covariance of the state.
    covariance: Array2<f64>,
}

impl View {
    fn new(plan: &InversionPlan, info: &BoardInfo, model: &BoardModel, gain: GainCode) -> Self {
        let readout = ReadOut::new(plan, info, model, gain);
        Self::of(model.first(plan.n), &capacitance_of(plan, model), readout.sigma())
    }

    /// Cells that hold this capacitance matrix and have noise currents of these root mean squares.
    fn of(model: BoardModel, capacitance: &Array2<f64>, sigma: &[f64]) -> Self {
        let law = model.law(capacitance);
        let covariance = law.covariance(sigma);
        Self { cell: CellModel::mean(&model), model, phi: law.phi, covariance }
    }

    /// The mean of these cells, as many, with this capacitance matrix.
    fn of_equal_cells(&self, capacitance: &Array2<f64>) -> Self {
        let sigma = vec![1.0; self.model.cell_count()];
        Self::of(equal_cells(&self.model), capacitance, &sigma)
    }

    /// Covariance in V². A code's rounding (1/12 LSB², uniform) goes off where it meets itself.
    fn volts(&self, sums: &LagSums, at_zero: bool) -> Array2<f64> {
        let codes = sums.covariance();
        Array2::from_shape_fn(codes.dim(), |(i, j)| {
            let rounding = if at_zero && i == j { 1.0 / 12.0 } else { 0.0 };
            (codes[[i, j]] - rounding)
                / (self.model.cells[i].adc_gain * self.model.cells[j].adc_gain)
        })
    }

    /// Refuses converters that show nothing, or the same.
    fn check(&self, zero: &Array2<f64>) -> Result<(), OperationError> {
        let silent: Vec<usize> = (0..zero.nrows())
            .filter(|&i| zero[[i, i]] * self.model.cells[i].adc_gain.powi(2) <= 0.5)
            .collect();
        if !silent.is_empty() {
            return Err(Unreadable::NoSignal { cells: silent }.into());
        }
        let (values, _) = crate::linalg::symmetric_eigen(zero);
        if values[0] <= values[zero.nrows() - 1] * f64::EPSILON * zero.nrows() as f64 {
            return Err(OperationError::Inconsistent);
        }
        Ok(())
    }

    fn propagator(&self, zero: &LagSums, lagged: &LagSums) -> Array2<f64> {
        divided(&self.volts(lagged, false), &self.volts(zero, true))
    }

    /// `(Φ^m Σ)_vv Σ_vv⁻¹`.
    fn reference(&self, ticks: u32) -> Array2<f64> {
        let n = self.model.cell_count();
        let (mut power, mut base) = (Array2::eye(2 * n), self.phi.clone());
        let mut left = ticks;
        while left > 0 {
            if left & 1 == 1 {
                power = product(&power, &base);
            }
            base = product(&base, &base);
            left >>= 1;
        }
        let lagged = product(&power, &self.covariance);
        divided(&lagged.slice(s![..n, ..n]), &self.covariance.slice(s![..n, ..n]))
    }
}

/// `k z⁻¹` for a symmetric z.
fn divided(k: &ndarray::ArrayRef2<f64>, z: &ndarray::ArrayRef2<f64>) -> Array2<f64> {
    solve(&z.t(), &k.t()).reversed_axes()
}

#[cfg(all(test, feature = "sim"))]
mod tests;
