//! Plans an inversion: which codes hold the matrix, how long to settle, how often to sample.
//!
//! A board holds `C = s · D A D`: D a positive diagonal that makes the matrix programmable, s the
//! gain to the full range of its banks. Then `A⁻¹ = s · D C⁻¹ D`.

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::payload::info::BoardKind;

use crate::device::{BoardInfo, Program, pair_index};
use crate::error::Error;
use crate::linalg::{frobenius, symmetric_eigen};
use crate::matrix::SpdMatrix;
use crate::model::{CellModel, Mode};
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
    /// Nominal Maxwell capacitance matrix of these codes, `n × n`, in farads.
    pub capacitance: Array2<f64>,
    /// `‖C − s D A D‖ / ‖s D A D‖` (Frobenius): what quantising the banks costs.
    pub quantisation: f64,
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
}

impl InversionPlan {
    /// Plans `a` on a board.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with every reason why the board cannot hold `a`.
    pub fn new(a: &SpdMatrix, info: &BoardInfo, budget: &Budget) -> Result<Self, Error> {
        Self::among(a, info, budget, &Scaling::ALL)
    }

    /// As [`new`](Self::new), with one of these scalings only.
    pub(crate) fn among(
        a: &SpdMatrix,
        info: &BoardInfo,
        budget: &Budget,
        scalings: &[Scaling],
    ) -> Result<Self, Error> {
        let reasons = refusals(a, info, budget);
        if !reasons.is_empty() {
            return Err(Error::Unsupported { reasons });
        }
        let cell = CellModel::of(&info.raw);
        let mut candidates = candidates(a, info.raw.coupling_signed == 1)
            .map_err(|reasons| Error::Unsupported { reasons })?;
        candidates.retain(|(scaling, _)| scalings.contains(scaling));
        if candidates.is_empty() {
            return Err(Error::Unsupported {
                reasons: vec!["the matrix is not diagonally dominant as it is".into()],
            });
        }
        let Some(best) = candidates
            .into_iter()
            .filter_map(|(scaling, d)| Fit::best(a, info, scaling, &d))
            .min_by(|x, y| x.bound.total_cmp(&y.bound))
        else {
            return Err(Error::Unsupported {
                reasons: vec![format!(
                    "condition {:.3e} is too high for banks of {} and {} bits: the quantised \
                     matrix would not be positive definite; use a profile with more bits or add \
                     --damping",
                    a.condition(),
                    info.raw.self_bits,
                    info.raw.coupling_bits
                )],
            });
        };
        Ok(best.finish(a.n(), info, &cell, budget))
    }

    /// Ticks that it takes: settling, then sampling.
    pub fn ticks(&self) -> u64 {
        self.settle.saturating_add(self.samples.saturating_mul(u64::from(self.decimation)))
    }

    /// What the nominal board with these codes would give for A⁻¹ without noise, `s · D C⁻¹ D`,
    /// `n × n`: digital, it tells what quantising the banks costs.
    pub fn nominal_inverse(&self) -> Array2<f64> {
        let inverse = crate::linalg::solve(&self.capacitance, &Array2::eye(self.n));
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            let symmetric = 0.5 * (inverse[[i, j]] + inverse[[j, i]]);
            self.farads * self.d[i] * symmetric * self.d[j]
        })
    }

    /// Highest mode over sample clock.
    pub fn mode_ratio(&self, info: &BoardInfo) -> f64 {
        self.modes.first().map_or(0.0, |mode| mode.frequency_hz() * info.sample_period_s())
    }

    /// The program with this noise gain on the cells in use.
    pub fn program_with(&self, gain: GainCode) -> Program {
        let mut program = self.program.clone();
        program.gain_codes[..self.n].fill(gain);
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
struct Fit {
    scaling: Scaling,
    d: Vec<f64>,
    farads: f64,
    self_codes: Vec<i16>,
    coupling_codes: Vec<i16>,
    capacitance: Array2<f64>,
    quantisation: f64,
    /// `‖δC‖ / λ_min(C)`: bounds the relative error of the inverse without computing one.
    bound: f64,
}

impl Fit {
    /// The best fit over gains from half to all of the banks' range.
    fn best(a: &SpdMatrix, info: &BoardInfo, scaling: Scaling, d: &[f64]) -> Option<Self> {
        const GAINS: u32 = 256;
        let n = a.n();
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| d[i] * a.entries()[[i, j]] * d[j]);
        let smallest = symmetric_eigen(&scaled).0[0];
        let size = frobenius(&scaled);
        let full = full_range(&scaled, info);
        (0..=GAINS)
            .map(|k| full * (1.0 - f64::from(k) / f64::from(2 * GAINS)))
            .filter_map(|farads| {
                let (self_codes, coupling_codes) = quantise(&scaled, farads, info)?;
                let capacitance = capacitance(n, &self_codes, &coupling_codes, info);
                let error = frobenius(&(&capacitance / farads - &scaled));
                (symmetric_eigen(&capacitance).0[0] > 0.0).then(|| Self {
                    scaling,
                    d: d.to_vec(),
                    farads,
                    self_codes,
                    coupling_codes,
                    capacitance,
                    quantisation: error / size,
                    bound: error / smallest,
                })
            })
            .min_by(|x, y| x.bound.total_cmp(&y.bound))
            .filter(|fit| fit.bound.is_finite())
    }

    fn finish(
        self,
        n: usize,
        info: &BoardInfo,
        cell: &CellModel,
        budget: &Budget,
    ) -> InversionPlan {
        let (values, vectors) = symmetric_eigen(&self.capacitance);
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
            program.self_codes[i] = CouplingCode(self.self_codes[i]);
            for j in i + 1..n {
                program.coupling_codes[info.pair(i, j)] =
                    CouplingCode(self.coupling_codes[pair_index(n, i, j)]);
            }
        }
        InversionPlan {
            n,
            scaling: self.scaling,
            d: self.d,
            farads: self.farads,
            program,
            capacitance: self.capacitance,
            quantisation: self.quantisation,
            safe_gain: safe_gain(info, cell, modes[0].c),
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

/// Farads per unit at which the largest bank value reaches full scale.
fn full_range(scaled: &Array2<f64>, info: &BoardInfo) -> f64 {
    let n = scaled.nrows();
    let self_max = f64::from(full_scale(info.raw.self_bits)) * f64::from(info.raw.self_lsb_farad);
    let coupling_max =
        f64::from(full_scale(info.raw.coupling_bits)) * f64::from(info.raw.coupling_lsb_farad);
    let stray = f64::from(info.raw.stray_farad);
    let mut farads = f64::INFINITY;
    for i in 0..n {
        let off: f64 = (0..n).filter(|&j| j != i).map(|j| scaled[[i, j]].abs()).sum();
        let own = scaled[[i, i]] - off;
        if own > 0.0 {
            farads = farads.min((self_max + stray) / own);
        }
        for j in (0..n).filter(|&j| j != i) {
            farads = farads.min(coupling_max / scaled[[i, j]].abs());
        }
    }
    farads
}

/// Nearest codes; self terms make up for the couplings' rounding. `None` if a self term is out of
/// its bank's range by more than its rounding.
fn quantise(scaled: &Array2<f64>, farads: f64, info: &BoardInfo) -> Option<(Vec<i16>, Vec<i16>)> {
    let n = scaled.nrows();
    let self_lsb = f64::from(info.raw.self_lsb_farad);
    let coupling_lsb = f64::from(info.raw.coupling_lsb_farad);
    let coupling_max = f64::from(full_scale(info.raw.coupling_bits));
    let mut couplings = vec![0_i16; n * (n - 1) / 2];
    let mut loads = vec![f64::from(info.raw.stray_farad); n];
    for i in 0..n {
        for j in i + 1..n {
            let code = (-farads * scaled[[i, j]] / coupling_lsb)
                .round()
                .clamp(-coupling_max, coupling_max);
            couplings[pair_index(n, i, j)] = code as i16;
            loads[i] += code.abs() * coupling_lsb;
            loads[j] += code.abs() * coupling_lsb;
        }
    }
    let self_max = f64::from(full_scale(info.raw.self_bits));
    let selves = (0..n)
        .map(|i| {
            let code = ((farads * scaled[[i, i]] - loads[i]) / self_lsb).round();
            (code <= self_max + 1.0).then(|| code.clamp(0.0, self_max) as i16)
        })
        .collect::<Option<Vec<_>>>()?;
    Some((selves, couplings))
}

/// Nominal Maxwell capacitance matrix of codes on the first `n` cells, in farads.
fn capacitance(n: usize, selves: &[i16], couplings: &[i16], info: &BoardInfo) -> Array2<f64> {
    let self_lsb = f64::from(info.raw.self_lsb_farad);
    let coupling_lsb = f64::from(info.raw.coupling_lsb_farad);
    let mut c = Array2::zeros((n, n));
    for i in 0..n {
        c[[i, i]] += f64::from(selves[i]).mul_add(self_lsb, f64::from(info.raw.stray_farad));
        for j in i + 1..n {
            let value = f64::from(couplings[pair_index(n, i, j)]) * coupling_lsb;
            c[[i, i]] += value.abs();
            c[[j, j]] += value.abs();
            c[[i, j]] = -value;
            c[[j, i]] = -value;
        }
    }
    c
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
