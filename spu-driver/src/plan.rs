//! Plans an inversion: which codes hold the matrix, how long to settle, how often to sample.
//!
//! A board holds `C = s · D A D`: D a positive diagonal that makes the matrix programmable, s the
//! gain to the full range of its banks. Then `A⁻¹ = s · D C⁻¹ D`.

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::payload::info::BoardKind;

use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Program, pair_index};
use crate::error::Error;
use crate::linalg::{frobenius, product, relative_error, solve, symmetric_eigen};
use crate::matrix::SpdMatrix;
use crate::model::{CellModel, Mode};
use crate::quantise::{Banks, Codes};
use crate::scaling::{Scaling, candidates};

/// Root mean square that the strongest cell is driven to, as a part of the ADC's full scale: five
/// sigma fit.
pub const TARGET_RMS: f64 = 0.2;
/// Deviation of the covariance from its stationary value that is left after settling.
pub const SETTLE_RESIDUE: f64 = 1e-6;
/// Highest mode over sample clock up to which the staircase drive stays within 0.3 % of white noise.
pub const MODE_RATIO_LIMIT: f64 = 1.0 / 50.0;

/// Peak of the noise generator's code over its root mean square: 4.04, a little more here (see
/// `hardware/README.md`).
const NOISE_PEAK: f64 = 4.05;

/// What is asked of an acquisition; what is `None` is chosen from the spectrum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Budget {
    /// Kept samples.
    pub samples: Option<u64>,
    /// Effective independent samples; used if `samples` is `None`.
    pub effective: Option<u64>,
    /// One tick in this many is kept.
    pub decimation: Option<u32>,
}

/// Samples that are kept where nothing else is asked for.
pub const DEFAULT_SAMPLES: u64 = 100_000;

/// How a matrix is set on a board and read.
#[derive(Debug, Clone, PartialEq)]
pub struct InversionPlan {
    /// Rows of the matrix; they occupy the first cells.
    pub n: usize,
    /// How D was chosen.
    pub scaling: Scaling,
    /// Diagonal of D.
    pub d: Vec<f64>,
    /// Farads per unit of `D A D`.
    pub farads: f64,
    /// Codes of every cell, without gain and seeds.
    pub program: Program,
    /// Maxwell capacitance matrix of these codes by the model, `n × n`, in farads.
    pub capacitance: Array2<f64>,
    /// `‖C − s D A D‖ / ‖s D A D‖` (Frobenius): what quantising the banks costs.
    pub quantisation: f64,
    /// Relative Frobenius error of the inverse that this costs.
    pub quantisation_error: f64,
    /// Nominal modes by capacitance, ascending.
    pub modes: Vec<Mode>,
    /// Eigenvectors of `capacitance`, as columns, in the order of `modes`.
    pub vectors: Array2<f64>,
    /// Ticks to settle from rest.
    pub settle: u64,
    /// One tick in this many is kept.
    pub decimation: u32,
    /// Kept samples.
    pub samples: u64,
    /// Effective independent samples among them.
    pub effective: f64,
    /// Relative Frobenius error of the inverse that so many samples leave, predicted.
    pub predicted_error: f64,
    /// Noise gain that cannot saturate the nominal board's converters.
    pub safe_gain: GainCode,
    /// Noise gain of each cell in use as a part of the largest: all 1 for equal cells.
    pub drive: Vec<f64>,
}

impl InversionPlan {
    /// Plans `a` on a board.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with every reason why the board cannot hold `a`.
    pub fn new(a: &SpdMatrix, info: &BoardInfo, budget: &Budget) -> Result<Self, Error> {
        Self::with_model(a, info, &BoardModel::nominal(info), budget)
    }

    /// Plans `a` on a board whose parts have the values of `model`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_model(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        budget: &Budget,
    ) -> Result<Self, Error> {
        let reasons = refusals(a, info, budget);
        if !reasons.is_empty() {
            return Err(Error::Unsupported { reasons });
        }
        let best = Fit::of(a, info, model, &Scaling::ALL)?;
        Ok(best.finish(info, model, budget))
    }

    /// Plans an ensemble of programmings of `a` whose errors of quantisation make up for each other: each
    /// is fitted to what the ones before it left (error diffusion), so that the mean of their inverses is
    /// off by the square of one's error (Aifer et al. 2024, arXiv 2401.16231). The budget is divided among
    /// them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn ensemble(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        budget: &Budget,
        members: u32,
    ) -> Result<Vec<Self>, Error> {
        Self::ensemble_among(a, info, model, budget, members, &Scaling::ALL)
    }

    /// As [`ensemble`](Self::ensemble), with one of these scalings only.
    pub(crate) fn ensemble_among(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        budget: &Budget,
        members: u32,
        scalings: &[Scaling],
    ) -> Result<Vec<Self>, Error> {
        let count = u64::from(members.max(1));
        let share = |all: Option<u64>| all.map(|all| all.div_ceil(count));
        let samples = match (budget.samples, budget.effective) {
            (None, None) => Some(DEFAULT_SAMPLES),
            (samples, _) => samples,
        };
        let budget =
            Budget { samples: share(samples), effective: share(budget.effective), ..*budget };
        let reasons = refusals(a, info, &budget);
        if !reasons.is_empty() {
            return Err(Error::Unsupported { reasons });
        }
        let best = Fit::of(a, info, model, scalings)?;
        let banks = Banks::new(model, a.n(), info.raw.coupling_signed == 1);
        let mut carry = Array2::zeros((a.n(), a.n()));
        let mut plans = Vec::new();
        if count == 1 {
            plans.push(best.finish(info, model, &budget));
            return Ok(plans);
        }
        for _ in 0..count {
            let fit = best.next(a, &banks, &mut carry);
            plans.push(fit.finish(info, model, &budget));
        }
        Ok(plans)
    }

    /// Ticks that it takes: settling, then sampling.
    pub fn ticks(&self) -> u64 {
        self.settle_for_mean()
            .saturating_add(self.samples.saturating_mul(u64::from(self.decimation)))
    }

    /// What a board of the model's values with these codes would give for A⁻¹ without noise,
    /// `s · D C⁻¹ D`, `n × n`: digital, it tells what quantising the banks costs.
    pub fn programmed_inverse(&self) -> Array2<f64> {
        let inverse = solve(&self.capacitance, &Array2::eye(self.n));
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            let symmetric = 0.5 * (inverse[[i, j]] + inverse[[j, i]]);
            self.farads * self.d[i] * symmetric * self.d[j]
        })
    }

    /// Plans `a` with D = I: the board holds a multiple of `a` itself, so that functions of the board's
    /// matrix are functions of `a`.
    ///
    /// # Errors
    /// As [`new`](Self::new); and where `a` is not diagonally dominant.
    pub(crate) fn unscaled(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        budget: &Budget,
    ) -> Result<Self, Error> {
        let mut reasons = refusals(a, info, budget);
        let short = (0..a.n()).find(|&i| {
            let off = a.entries().row(i).iter().map(|x| x.abs()).sum::<f64>();
            2.0 * a.entries()[[i, i]] <= off
        });
        if let Some(row) = short {
            reasons.push(format!(
                "row {row} is not diagonally dominant, and this operation allows no scaling of the \
                 matrix; add --damping"
            ));
        }
        if !reasons.is_empty() {
            return Err(Error::Unsupported { reasons });
        }
        let banks = Banks::new(model, a.n(), info.raw.coupling_signed == 1);
        let fit = Fit::best(a, &banks, Scaling::None, &vec![1.0; a.n()]);
        fit.map(|fit| fit.finish(info, model, budget)).ok_or_else(|| Error::Unsupported {
            reasons: vec![format!(
                "banks of {} and {} bits cannot hold the matrix unscaled; use a profile with more \
                 bits or add --damping",
                info.raw.self_bits, info.raw.coupling_bits
            )],
        })
    }

    /// Highest mode over sample clock.
    pub fn mode_ratio(&self, info: &BoardInfo) -> f64 {
        self.modes.first().map_or(0.0, |mode| mode.frequency_hz() * info.sample_period_s())
    }

    /// The program with this noise gain on the most strongly driven of the cells in use, and its part
    /// of it on each other.
    pub fn program_with(&self, gain: GainCode) -> Program {
        let mut program = self.program.clone();
        for (code, part) in program.gain_codes.iter_mut().zip(&self.drive) {
            *code = GainCode((f64::from(gain.0) * part).round() as u16);
        }
        program
    }
}

/// Every reason, known before any planning, why the board cannot take the job.
fn refusals(a: &SpdMatrix, info: &BoardInfo, budget: &Budget) -> Vec<String> {
    let mut reasons = Vec::new();
    if info.kind() != BoardKind::Rlc {
        reasons.push(format!(
            "profile {} is not an RLC board; its covariance is not an inverse",
            info.profile
        ));
    }
    if a.n() > info.cells {
        reasons.push(format!(
            "the matrix is {n} × {n}, the board has {} cells; use a larger board or split the \
             matrix into blocks",
            info.cells,
            n = a.n()
        ));
    }
    if budget.samples == Some(0) || budget.effective == Some(0) || budget.decimation == Some(0) {
        reasons.push("the number of samples and the decimation must be at least 1".into());
    }
    if info.raw.coupling_signed == 0 {
        let positive: Vec<(usize, usize)> = (0..a.n())
            .flat_map(|i| (i + 1..a.n()).map(move |j| (i, j)))
            .filter(|&(i, j)| a.entries()[[i, j]] > 0.0)
            .collect();
        if let Some((i, j)) = positive.first() {
            reasons.push(format!(
                "{} off-diagonal entries are positive, the first at ({i}, {j}) = {:.4}, and \
                 couplings of profile {} have no sign; use a profile with signed couplings (rev-b, \
                 ideal)",
                positive.len(),
                a.entries()[[*i, *j]],
                info.profile
            ));
        }
    }
    reasons
}

/// Codes that hold a scaled matrix, and how well.
#[derive(Clone)]
struct Fit {
    scaling: Scaling,
    d: Vec<f64>,
    farads: f64,
    codes: Codes,
    quantisation: f64,
    /// Relative Frobenius error of the inverse.
    error: f64,
}

impl Fit {
    /// The best fit over gains from half to all of the banks' range.
    fn best(a: &SpdMatrix, banks: &Banks, scaling: Scaling, d: &[f64]) -> Option<Self> {
        const GAINS: u32 = 256;
        // Gains whose plain rounding is best, of which each is refined.
        const REFINED: usize = 12;
        let n = a.n();
        let eye = Array2::eye(n);
        let unscaled = |inverse: Array2<f64>| {
            Array2::from_shape_fn((n, n), |(i, j)| d[i] * inverse[[i, j]] * d[j])
        };
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| d[i] * a.entries()[[i, j]] * d[j]);
        let wanted = unscaled(solve(&scaled, &eye));
        let full = banks.full_range(&scaled);
        let none = Array2::zeros((n, n));
        let error_of = |capacitance: &Array2<f64>| {
            relative_error(&unscaled(solve(capacitance, &eye)), &wanted)
        };
        let mut rounded: Vec<(f64, f64, Codes)> = (0..=GAINS)
            .map(|k| full * (1.0 - f64::from(k) / f64::from(2 * GAINS)))
            .filter_map(|farads| {
                let codes = banks.nearest(&scaled, farads)?;
                Some((error_of(&(&codes.capacitance / farads)), farads, codes))
            })
            .collect();
        rounded.sort_by(|x, y| x.0.total_cmp(&y.0));
        rounded.truncate(REFINED);
        rounded
            .into_iter()
            .filter_map(|(_, farads, mut codes)| {
                let _ = banks.refine(&mut codes, &scaled, farads, d, &none);
                let capacitance = &codes.capacitance / farads;
                (symmetric_eigen(&capacitance).0[0] > 0.0).then(|| Self {
                    scaling,
                    d: d.to_vec(),
                    farads,
                    quantisation: relative_error(&capacitance, &scaled),
                    error: error_of(&capacitance),
                    codes,
                })
            })
            .min_by(|x, y| x.error.total_cmp(&y.error))
            .filter(|fit| fit.error.is_finite())
    }

    /// The best fit of these scalings.
    fn of(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        scalings: &[Scaling],
    ) -> Result<Self, Error> {
        let banks = Banks::new(model, a.n(), info.raw.coupling_signed == 1);
        let mut candidates = candidates(a, info.raw.coupling_signed == 1)
            .map_err(|reasons| Error::Unsupported { reasons })?;
        candidates.retain(|(scaling, _)| scalings.contains(scaling));
        if candidates.is_empty() {
            return Err(Error::Unsupported {
                reasons: vec!["the matrix is not diagonally dominant as it is".into()],
            });
        }
        candidates
            .into_iter()
            .filter_map(|(scaling, d)| Self::best(a, &banks, scaling, &d))
            .min_by(|x, y| x.error.total_cmp(&y.error))
            .ok_or_else(|| Error::Unsupported {
                reasons: vec![format!(
                    "condition {:.3e} is too high for banks of {} and {} bits: the quantised \
                     matrix would not be positive definite; use a profile with more bits or add \
                     --damping",
                    a.condition(),
                    info.raw.self_bits,
                    info.raw.coupling_bits
                )],
            })
    }

    /// The next member of an ensemble, of all gains the one that best makes up for `carry`, the sum of the
    /// errors of those before, in units of the inverse. Where none is regular it is this fit again.
    fn next(&self, a: &SpdMatrix, banks: &Banks, carry: &mut Array2<f64>) -> Self {
        const GAINS: u32 = 64;
        let n = self.d.len();
        let d = &self.d;
        let eye = Array2::eye(n);
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| d[i] * a.entries()[[i, j]] * d[j]);
        let smallest = symmetric_eigen(&scaled).0[0];
        let full = banks.full_range(&scaled);
        // The matrix whose inverse is off by as much as makes up for the others, to first order.
        let middle = Array2::from_shape_fn((n, n), |(i, j)| carry[[i, j]] / (d[i] * d[j]));
        let shifted = &scaled - &product(&product(&scaled, &middle), &scaled);
        let best = (0..=GAINS)
            .map(|k| full * (1.0 - f64::from(k) / f64::from(2 * GAINS)))
            .filter_map(|farads| {
                let mut codes = banks.nearest(&shifted, farads)?;
                let error =
                    banks.refine(&mut codes, &scaled, farads, d, &(&*carry / farads)) * farads;
                let capacitance = &codes.capacitance / farads;
                // Far enough from singular that its own error stays one of first order.
                (symmetric_eigen(&capacitance).0[0] > 0.5 * smallest).then(|| {
                    let fit = Self {
                        farads,
                        quantisation: relative_error(&capacitance, &scaled),
                        error: relative_error(&solve(&capacitance, &eye), &solve(&scaled, &eye)),
                        codes,
                        ..self.clone()
                    };
                    // What is left for the next ones, and this one's own error, whose square stays.
                    let weight = frobenius(&(&*carry + &error)).hypot(frobenius(&error));
                    (weight, error, fit)
                })
            })
            .min_by(|x, y| x.0.total_cmp(&y.0));
        match best {
            Some((_, error, fit)) => {
                *carry += &error;
                fit
            }
            None => self.clone(),
        }
    }

    fn finish(self, info: &BoardInfo, model: &BoardModel, budget: &Budget) -> InversionPlan {
        let n = self.d.len();
        let cell = CellModel::mean(&model.first(n));
        let (values, vectors) = symmetric_eigen(&self.codes.capacitance);
        let modes: Vec<Mode> = values.iter().map(|c| cell.mode(*c)).collect();
        let slowest = modes.iter().map(Mode::slowest_rate).fold(f64::INFINITY, f64::min);
        let settle_s = -libm::log(SETTLE_RESIDUE) / (2.0 * slowest);
        let settle = (settle_s / cell.period_s).ceil() as u64;
        let timing = crate::timing::choose(&modes, &vectors, &self.d, budget);
        let mut program = Program {
            self_codes: vec![CouplingCode(full_scale(info.raw.self_bits)); info.cells],
            coupling_codes: vec![CouplingCode(0); info.couplings],
            gain_codes: vec![GainCode(0); info.cells],
            bias_codes: vec![DacCode(0); info.cells],
            seeds: None,
            discharge: true,
        };
        for i in 0..n {
            program.self_codes[i] = CouplingCode(self.codes.selves[i]);
            for j in i + 1..n {
                program.coupling_codes[info.pair(i, j)] =
                    CouplingCode(self.codes.couplings[pair_index(n, i, j)]);
            }
        }
        InversionPlan {
            n,
            scaling: self.scaling,
            d: self.d,
            farads: self.farads,
            program,
            capacitance: self.codes.capacitance,
            quantisation: self.quantisation,
            quantisation_error: self.error,
            safe_gain: safe_gain(info, &cell, modes[0].c),
            drive: drive(&model.first(n)),
            modes,
            vectors,
            settle,
            decimation: timing.decimation,
            samples: timing.samples,
            effective: timing.effective,
            predicted_error: timing.predicted_error,
        }
    }
}

/// Largest code of an unsigned bank.
fn full_scale(bits: u8) -> i16 {
    ((1_i32 << bits.min(15)) - 1) as i16
}

/// Relative drive of each cell, at most 1: noise currents whose squares go as 1/R, which is what makes
/// cells of unlike R and L settle to a Boltzmann distribution (Johnson noise of one temperature).
fn drive(model: &BoardModel) -> Vec<f64> {
    let wanted: Vec<f64> =
        model.cells.iter().map(|cell| 1.0 / (cell.drive_ampere * cell.r_ohm.sqrt())).collect();
    let most = wanted.iter().fold(0.0_f64, |most, x| most.max(*x));
    wanted.iter().map(|x| x / most).collect()
}

/// Gain at which no cell can exceed [`TARGET_RMS`]: no variance is above the one of the smallest
/// capacitance.
fn safe_gain(info: &BoardInfo, cell: &CellModel, smallest: f64) -> GainCode {
    let target = TARGET_RMS
        * f64::from(full_scale_code(info.raw.adc_bits))
        * f64::from(info.raw.adc_lsb_volt);
    let rms_per_gain = f64::from(info.raw.noise_rms_code) * f64::from(info.raw.dac_lsb_ampere);
    let variance_per_gain = cell.mode(smallest).variance(rms_per_gain);
    limit_gain(info, target / variance_per_gain.sqrt())
}

/// The gain code for this factor, at most the one at which the noise's peak reaches the DAC's
/// full scale, at least 1.
pub(crate) fn limit_gain(info: &BoardInfo, factor: f64) -> GainCode {
    let most = f64::from(full_scale_code(info.raw.dac_bits))
        / (NOISE_PEAK * f64::from(info.raw.noise_rms_code));
    let code = factor.min(most) * f64::from(1_u32 << GainCode::FRACTION_BITS);
    GainCode(code.round().clamp(1.0, f64::from(u16::MAX)) as u16)
}
