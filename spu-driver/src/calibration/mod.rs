//! The calibration of one board: what was measured, how well, when, and on which board.
//!
//! [`calibrate`](crate::calibrate::calibrate) makes one; [`Calibration::model`] is what planning and
//! read-out use. Files are JSON, versioned, and named by a hash of their content, so that a result can
//! say which calibration is behind it. [`find`] takes the one that applies to a board.

mod file;
mod store;
#[cfg(all(test, feature = "sim"))]
mod tests;

use ndarray::Array2;
use rand_core::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::board_model::{BoardModel, CellValues, MeasuredBoard};
use crate::calibrate::global::Layout;
use crate::device::BoardInfo;
use crate::spd::Cholesky;
use crate::spread::normal;

pub use file::CalibrationError;
pub use store::{Found, Source, find, find_in, store_directory, write_to_board};

/// Days for which a calibration holds, unless told otherwise.
pub const DEFAULT_VALID_DAYS: u64 = 30;

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// How far it is inside the limits of what a part of this board may be: 1 is nominal, 0 at the
    /// limit.
    pub margin: f64,
    /// True if it was measured to better than a quarter of its nominal value.
    pub resolved: bool,
}

/// Which board was calibrated. A calibration holds for no other, and not after a change of gateware
/// or firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardKey {
    /// Serial number.
    pub serial: u64,
    /// Profile name.
    pub profile: String,
    /// Identity of the gateware's build.
    pub gateware_id: u32,
    /// Firmware version.
    pub firmware: String,
}

impl BoardKey {
    /// The key of this board.
    pub fn of(info: &BoardInfo) -> Self {
        Self {
            serial: info.serial,
            profile: info.profile.clone(),
            gateware_id: info.gateware_id,
            firmware: info.firmware.clone(),
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// As many settings as it takes.
    #[default]
    Quick,
    /// Twice as many.
    Full,
}

/// Nominal values, by the board's profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NominalValues {
    /// Parallel resistance, in ohms.
    pub r_ohm: f64,
    /// Inductance, in henries.
    pub l_henry: f64,
    /// Stray capacitance, in farads.
    pub stray_farad: f64,
    /// DAC LSB, in amperes.
    pub drive_ampere: f64,
    /// Converter gain, in codes per volt.
    pub adc_gain: f64,
    /// LSB of the self-term banks, in farads.
    pub self_lsb_farad: f64,
    /// LSB of the coupling banks, in farads.
    pub coupling_lsb_farad: f64,
    /// Sample period, in seconds.
    pub period_s: f64,
}

/// The measured values of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellEstimates {
    /// Parallel resistance, in ohms.
    pub r_ohm: Estimate,
    /// Inductance, in henries.
    pub l_henry: Estimate,
    /// Capacitance to ground with every switch open, in farads.
    pub stray_farad: Estimate,
    /// Current of the DAC, in amperes per code.
    pub drive_ampere: Estimate,
    /// Gain of the ADC, in codes per volt.
    pub adc_gain: Estimate,
    /// ADC code at 0 V.
    pub adc_offset: Estimate,
    /// Noise that the generator makes over what its nominal root mean square and the measured DAC
    /// would make: 1 for a good generator.
    pub noise: Estimate,
}

/// How well the model describes one bank setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingFit {
    /// Self-term codes.
    pub self_codes: Vec<i16>,
    /// Coupling codes.
    pub coupling_codes: Vec<i16>,
    /// Ticks of each step response.
    pub ticks: u64,
    /// Variance of a sample around the responses of this setting's own parameters, in codes².
    pub sample_variance: f64,
    /// Disagreement of those parameters with the board's values, χ².
    pub chi_squared: f64,
}

/// How well the model describes the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitSummary {
    /// Setting by setting.
    pub settings: Vec<SettingFit>,
    /// Variance of a sample, in codes²: 1/12 where rounding is all.
    pub sample_variance: f64,
    /// Disagreement of all settings with common values, χ².
    pub chi_squared: f64,
    /// Its degrees of freedom.
    pub degrees_of_freedom: u64,
    /// Probability of so much disagreement by chance.
    pub p_value: f64,
}

/// The run that tells later whether the board has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelRun {
    /// Self-term codes.
    pub self_codes: Vec<i16>,
    /// Coupling codes.
    pub coupling_codes: Vec<i16>,
    /// Steps of all cells at once, as bias codes.
    pub bias_codes: Vec<i16>,
    /// Ticks.
    pub ticks: u64,
    /// Standard deviation of each cell's relative change of drive as this run shows it, that of the
    /// calibration included.
    pub drive_sigma: Vec<f64>,
    /// The same of each cell's offset, in codes.
    pub offset_sigma: Vec<f64>,
}

/// All that a calibration holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which board.
    pub board: BoardKey,
    /// When it was measured, in seconds since 1970.
    pub created: u64,
    /// For how many seconds it holds.
    pub valid_s: u64,
    /// Temperature of the board, in °C, if known.
    pub temperature_c: Option<f64>,
    /// How much was measured.
    pub depth: Depth,
    /// Ticks that the board ran for it.
    pub ticks: u64,
    /// Nominal values.
    pub nominal: NominalValues,
    /// Cell by cell.
    pub cells: Vec<CellEstimates>,
    /// Elements of the self-term banks, in farads.
    pub selves: Vec<Vec<Estimate>>,
    /// Elements of the coupling banks, in farads, by pair.
    pub couplings: Vec<Vec<Estimate>>,
    /// Residuals.
    pub fit: FitSummary,
    /// The run that tells later whether the board has changed.
    pub sentinel: SentinelRun,
    /// Lower triangle of the covariance of the deviations, row by row, in the order of
    /// [`Calibration::shifted`].
    pub covariance: Vec<f32>,
}

/// A calibration and its content hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    id: u64,
    record: Record,
}

impl Calibration {
    /// The calibration of this content.
    ///
    /// # Errors
    /// A reason if the content cannot be one: a value that is not finite or of the wrong sign, a list
    /// of the wrong length.
    pub fn new(record: Record) -> Result<Self, String> {
        record.check()?;
        Ok(Self { id: hash(&record), record })
    }

    /// Content hash: the first 64 bits of SHA-256 over the content as compact JSON.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The content.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// When it expires, in seconds since 1970.
    pub fn expires(&self) -> u64 {
        self.record.created.saturating_add(self.record.valid_s)
    }

    /// The board that was measured.
    pub fn model(&self) -> BoardModel {
        let record = &self.record;
        let bank = |bank: &Vec<Estimate>| bank.iter().map(|element| element.value).collect();
        BoardModel {
            cells: record
                .cells
                .iter()
                .map(|cell| CellValues {
                    r_ohm: cell.r_ohm.value,
                    l_henry: cell.l_henry.value,
                    stray_farad: cell.stray_farad.value,
                    drive_ampere: cell.drive_ampere.value,
                    adc_gain: cell.adc_gain.value,
                    adc_offset: cell.adc_offset.value,
                })
                .collect(),
            selves: record.selves.iter().map(bank).collect(),
            couplings: record.couplings.iter().map(bank).collect(),
            period_s: record.nominal.period_s,
        }
    }

    /// The board as planning and read-out take it, with so many draws from what the calibration leaves
    /// open. The same calibration gives the same draws.
    pub fn measured(&self, draws: usize) -> MeasuredBoard {
        let covariance = self.covariance();
        let n = covariance.nrows();
        let lower = covariance.as_slice().and_then(|entries| Cholesky::new(entries, n));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.id);
        let draws = (0..draws).map(|_| {
            let deviates: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
            // Rounding may leave a covariance that is not quite one; then each value is on its own.
            let shift = lower.as_ref().map_or_else(
                || {
                    let roots = covariance.diag().mapv(|v| v.max(0.0).sqrt());
                    roots.iter().zip(&deviates).map(|(root, z)| root * z).collect()
                },
                |lower| lower.times(&deviates),
            );
            self.shifted(&shift)
        });
        MeasuredBoard { id: self.id, model: self.model(), draws: draws.collect() }
    }

    /// The board with its values off by these amounts, whose covariance is
    /// [`covariance`](Self::covariance): what propagates the uncertainty of the calibration to a result.
    ///
    /// In order: elements of the self-term banks cell by cell and bit by bit, of the coupling banks
    /// pair by pair and bit by bit, each relative to its nominal value; then cell by cell stray
    /// capacitances in LSB of the self-term banks; 1/R, 1/L, drive and ADC gain relative to nominal;
    /// offsets in codes.
    pub fn shifted(&self, shift: &[f64]) -> BoardModel {
        let (layout, nominal) = (self.layout(), &self.record.nominal);
        let mut model = self.model();
        let element = |lsb: f64, bit: usize| lsb * f64::from(1_u32 << bit);
        for i in 0..layout.n {
            for (bit, farad) in model.selves[i].iter_mut().enumerate() {
                *farad += element(nominal.self_lsb_farad, bit) * shift[layout.element(i, bit)];
            }
            let cell = &mut model.cells[i];
            cell.stray_farad += nominal.self_lsb_farad * shift[layout.stray(i)];
            let inverse =
                |value: f64, nominal: f64, shift: f64| 1.0 / (1.0 / value + shift / nominal);
            cell.r_ohm = inverse(cell.r_ohm, nominal.r_ohm, shift[layout.conductance(i)]);
            cell.l_henry = inverse(cell.l_henry, nominal.l_henry, shift[layout.inverse_l(i)]);
            cell.drive_ampere += nominal.drive_ampere * shift[layout.drive(i)];
            cell.adc_gain += nominal.adc_gain * shift[layout.gain(i)];
            cell.adc_offset += shift[layout.offset(i)];
        }
        for (pair, bank) in model.couplings.iter_mut().enumerate() {
            for (bit, farad) in bank.iter_mut().enumerate() {
                *farad +=
                    element(nominal.coupling_lsb_farad, bit) * shift[layout.coupling(pair, bit)];
            }
        }
        model
    }

    /// Covariance of the deviations, in the order of [`shifted`](Self::shifted).
    pub fn covariance(&self) -> Array2<f64> {
        let n = self.layout().count();
        let at = |i: usize, j: usize| f64::from(self.record.covariance[i * (i + 1) / 2 + j]);
        Array2::from_shape_fn((n, n), |(i, j)| at(i.max(j), i.min(j)))
    }

    /// Resonance of a cell on its own with every self-term element on, in hertz, and its quality
    /// factor; each with its standard deviation.
    pub fn resonance(&self, cell: usize) -> [(f64, f64); 2] {
        let model = self.model();
        let values = |model: &BoardModel| {
            let code = ((1_u32 << model.selves[cell].len()) - 1) as i16;
            let c = model.self_farad(cell, code);
            let CellValues { r_ohm, l_henry, .. } = model.cells[cell];
            let hertz = 1.0 / (2.0 * std::f64::consts::PI * (l_henry * c).sqrt());
            [hertz, r_ohm * (c / l_henry).sqrt()]
        };
        let at = values(&model);
        let layout = self.layout();
        let mut indices: Vec<usize> =
            (0..layout.self_bits).map(|bit| layout.element(cell, bit)).collect();
        indices.extend([layout.stray(cell), layout.conductance(cell), layout.inverse_l(cell)]);
        let slopes: Vec<[f64; 2]> = indices
            .iter()
            .map(|&index| {
                const SMALL: f64 = 1e-6;
                let mut shift = vec![0.0; layout.count()];
                shift[index] = SMALL;
                let there = values(&self.shifted(&shift));
                [0, 1].map(|k| (there[k] - at[k]) / SMALL)
            })
            .collect();
        let entry = |a: usize, b: usize| {
            let (a, b) = (a.max(b), a.min(b));
            f64::from(self.record.covariance[a * (a + 1) / 2 + b])
        };
        [0, 1].map(|k| {
            let mut variance = 0.0;
            for (a, slope_a) in indices.iter().zip(&slopes) {
                for (b, slope_b) in indices.iter().zip(&slopes) {
                    variance += slope_a[k] * slope_b[k] * entry(*a, *b);
                }
            }
            (at[k], variance.max(0.0).sqrt())
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        self.record.layout()
    }
}

impl Record {
    fn layout(&self) -> Layout {
        Layout {
            n: self.cells.len(),
            self_bits: self.selves.first().map_or(0, Vec::len),
            coupling_bits: self.couplings.first().map_or(0, Vec::len),
        }
    }

    /// Every estimate with its name, in no unit.
    fn estimates(&self) -> impl Iterator<Item = (&'static str, &Estimate, bool)> {
        let cells = self.cells.iter().flat_map(|cell| {
            [
                ("resistance", &cell.r_ohm, true),
                ("inductance", &cell.l_henry, true),
                ("stray capacitance", &cell.stray_farad, false),
                ("drive", &cell.drive_ampere, true),
                ("ADC gain", &cell.adc_gain, true),
                ("ADC offset", &cell.adc_offset, false),
                ("noise", &cell.noise, true),
            ]
        });
        let banks = self.selves.iter().chain(&self.couplings).flatten();
        cells.chain(banks.map(|element| ("bank element", element, false)))
    }

    fn check(&self) -> Result<(), String> {
        let layout = self.layout();
        let n = layout.n;
        if n == 0 || layout.self_bits == 0 || layout.self_bits > 15 || layout.coupling_bits > 15 {
            return Err(format!("{n} cells with banks of {} bits", layout.self_bits));
        }
        let pairs = n * (n - 1) / 2;
        let count = layout.count();
        let lengths = [
            ("self-term banks", self.selves.len(), n),
            ("coupling banks", self.couplings.len(), pairs),
            ("covariances", self.covariance.len(), count * (count + 1) / 2),
            ("self codes of the sentinel", self.sentinel.self_codes.len(), n),
            ("coupling codes of the sentinel", self.sentinel.coupling_codes.len(), pairs),
            ("bias codes of the sentinel", self.sentinel.bias_codes.len(), n),
            ("drives of the sentinel", self.sentinel.drive_sigma.len(), n),
            ("offsets of the sentinel", self.sentinel.offset_sigma.len(), n),
        ];
        if let Some((what, found, needed)) = lengths.iter().find(|(_, a, b)| a != b) {
            return Err(format!("{found} {what} where {needed} belong"));
        }
        if self.selves.iter().any(|bank| bank.len() != layout.self_bits)
            || self.couplings.iter().any(|bank| bank.len() != layout.coupling_bits)
        {
            return Err("banks of different sizes".into());
        }
        for (what, estimate, positive) in self.estimates() {
            let Estimate { value, sigma, margin, .. } = *estimate;
            let finite = value.is_finite() && sigma.is_finite() && margin.is_finite();
            if !finite || sigma < 0.0 || positive && value <= 0.0 {
                return Err(format!("{what} {value} ± {sigma} cannot be"));
            }
        }
        let nominal = &self.nominal;
        let positive = [
            nominal.r_ohm,
            nominal.l_henry,
            nominal.drive_ampere,
            nominal.adc_gain,
            nominal.self_lsb_farad,
            nominal.coupling_lsb_farad,
            nominal.period_s,
            self.fit.sample_variance,
        ];
        if !positive.iter().all(|value| value.is_finite() && *value > 0.0)
            || !nominal.stray_farad.is_finite()
        {
            return Err("a nominal value that cannot be".into());
        }
        if self.temperature_c.is_some_and(|temperature| !temperature.is_finite()) {
            return Err("a temperature that is not finite".into());
        }
        if !self.covariance.iter().all(|value| value.is_finite()) {
            return Err("a covariance that is not finite".into());
        }
        Ok(())
    }
}

fn hash(record: &Record) -> u64 {
    let text = serde_json::to_vec(record).unwrap_or_default();
    let digest = Sha256::digest(&text);
    let first: [u8; 8] = std::array::from_fn(|k| digest[k]);
    // 0 means none.
    u64::from_be_bytes(first).max(1)
}
