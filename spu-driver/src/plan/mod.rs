//! Plans an inversion: which codes hold the matrix, how long to settle, how often to sample.
//!
//! A board holds `C = s · D A D`: D a positive diagonal that makes the matrix programmable, s the
//! gain to the full range of its banks. Then `A⁻¹ = s · D C⁻¹ D`.

mod drive;
mod fit;

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::GainCode;
use spu_protocol::payload::info::BoardKind;

use self::fit::Fit;
use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Program};
use crate::error::Error;
use crate::linalg::solve;
use crate::matrix::SpdMatrix;
use crate::model::Mode;
use crate::quantise::Banks;
use crate::scaling::Scaling;

pub(crate) use self::drive::NOISE_PEAK;
pub use self::drive::TARGET_RMS;
pub(crate) use self::drive::limit_gain;
pub use crate::timing::Settle;

/// Deviation of the covariance from its stationary value that is left after settling.
pub const SETTLE_RESIDUE: f64 = 1e-6;
/// Highest mode over sample clock up to which the staircase drive stays within 0.3 % of white noise.
pub const MODE_RATIO_LIMIT: f64 = 1.0 / 50.0;

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
    /// Ticks to settle from rest until samples follow the stationary law, to [`SETTLE_RESIDUE`].
    pub settle: u64,
    /// Where a run starts from; [`settle_for_mean`](Self::settle_for_mean) says how long it waits.
    pub settling: Settle,
    /// Programmings whose results are averaged, this one among them.
    pub programmings: u32,
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
        Ok(best.finish(info, model, budget, 1))
    }

    /// Plans an ensemble of programmings of `a` whose errors of quantisation make up for each other: each
    /// is fitted to what the ones before it left (error diffusion), so that the mean of their inverses is
    /// off by the square of one's error (Aifer et al. 2024, arXiv 2401.16231). The budget is divided among
    /// them.
    ///
    /// Only these scalings are tried.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn ensemble(
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
            plans.push(best.finish(info, model, &budget, 1));
            return Ok(plans);
        }
        for _ in 0..count {
            let fit = best.next(a, &banks, &mut carry);
            plans.push(fit.finish(info, model, &budget, members));
        }
        Ok(plans)
    }

    /// Ticks that it takes: settling, then sampling.
    pub fn ticks(&self) -> u64 {
        self.settle_for_mean()
            .saturating_add(self.samples.saturating_mul(u64::from(self.decimation)))
    }

    /// True if cells start at zero volts and amperes.
    pub(crate) fn starts_at_rest(&self) -> bool {
        self.settling != Settle::Keep
    }

    /// Largest variance among the cells at a root-mean-square current of 1 A in each, in V².
    pub(crate) fn largest_variance(&self) -> f64 {
        let variances: Vec<f64> = self.modes.iter().map(|mode| mode.variance(1.0)).collect();
        let rows = self.vectors.rows().into_iter();
        let of_cells = rows.map(|row| row.iter().zip(&variances).map(|(u, v)| u * u * v).sum());
        of_cells.fold(0.0, |most: f64, variance: f64| most.max(variance))
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
        fit.map(|fit| fit.finish(info, model, budget, 1)).ok_or_else(|| Error::Unsupported {
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
            "profile {} is not an RLC board, its covariance is not an inverse; {}",
            info.profile,
            info.purpose()
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
