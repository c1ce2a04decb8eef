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
//! The device streams ADC codes. The host multiplies and sums them (a correlator; digital), and divides
//! by K(0).

mod correlator;

use ndarray::{Array2, s};
use spu_protocol::code::GainCode;

use self::correlator::{Correlator, LagSums};
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
    /// The same by the sampled law of the board's model as programmed (digital).
    pub reference: Array2<f64>,
    /// Largest distance of an entry to `reference`, in standard errors.
    pub largest_z: f64,
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
    let report = run.acquire(plan.settle, plan.decimation, plan.samples, true, &mut sink)?;
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
    let zero = view.volts(&whole[0], true);
    view.check(&zero)?;
    let mut found = Vec::new();
    for (index, ticks) in lags.iter().enumerate() {
        let at = |sums: &[LagSums]| view.propagator(&sums[0], &sums[index + 1]);
        let value = at(&whole);
        let left_out: Vec<Array2<f64>> = sums
            .iter()
            .map(|batch| {
                let rest: Vec<LagSums> =
                    whole.iter().zip(batch).map(|(all, part)| all.without(part)).collect();
                at(&rest)
            })
            .collect();
        let replicates = Replicates::jackknife(&value, &left_out);
        let deviations = replicates.variance().mapv(f64::sqrt);
        let reference = view.reference(*ticks);
        let z = (&value - &reference) / &deviations;
        let exponent = f64::from(*ticks) * view.model.period_s / (view.cell.r_ohm * plan.farads);
        let limit = exponential(&(solve(a.entries(), &Array2::eye(plan.n)) * -exponent));
        found.push(Lag {
            ticks: *ticks,
            seconds: f64::from(*ticks) * view.model.period_s,
            covariance: view.volts(&whole[index + 1], false),
            half_widths: replicates.half_widths(),
            replicates,
            largest_z: z.iter().fold(0.0, |most, z| z.abs().max(most)),
            exponent,
            overdamped_distance: relative_error(&reference, &limit),
            propagator: value,
            reference,
        });
    }
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
        let first = model.first(plan.n);
        let law = first.law(&plan.capacitance);
        let readout = ReadOut::new(plan, info, model, gain);
        let covariance = law.covariance(readout.sigma());
        Self { cell: CellModel::mean(&first), model: first, phi: law.phi, covariance }
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

#[cfg(test)]
mod tests;
