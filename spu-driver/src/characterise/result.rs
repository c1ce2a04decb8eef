//! What a characterisation returns.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::adc::Converter;
use super::allan::Allan;
use super::current::CurrentVoltage;
use super::floor::ErrorFloor;
use super::fourth::FourthMoments;
use super::null::Null;
use super::spectrum::Spectra;
use crate::device::{BoardInfo, Outcome};

/// False-alarm rate of the largest of many statistics.
const ALARM_P: f64 = 1e-6;

/// A value with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl Estimate {
    /// Mean of independent values.
    pub(super) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let square: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
        Self { value, error: (square / (count * (count - 1.0))).sqrt() }
    }
}

/// The largest of several test statistics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extreme {
    /// Cells it is about.
    pub cells: Vec<usize>,
    /// It, in standard errors.
    pub z: f64,
    /// Statistics it is the largest of.
    pub tests: usize,
    /// Probability of one so large among so many (Šidák).
    pub p_value: f64,
    /// True if that is below 1e-6.
    pub alarm: bool,
}

impl Extreme {
    /// Of means of `batches` batches.
    pub(super) fn of(tests: impl Iterator<Item = (Vec<usize>, f64)>, batches: usize) -> Self {
        let law = StudentsT::new(0.0, 1.0, batches as f64 - 1.0);
        Self::by(tests, |z| law.map_or(f64::NAN, |law| 2.0 * law.sf(z)))
    }

    /// Of normal statistics.
    pub(super) fn normal(tests: impl Iterator<Item = (Vec<usize>, f64)>) -> Self {
        let law = Normal::standard();
        Self::by(tests, |z| 2.0 * law.sf(z))
    }

    fn by(tests: impl Iterator<Item = (Vec<usize>, f64)>, tail: impl Fn(f64) -> f64) -> Self {
        let all: Vec<(Vec<usize>, f64)> = tests.filter(|(_, z)| z.is_finite()).collect();
        let count = all.len();
        let (cells, z) =
            all.into_iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap_or_default();
        // 1 − (1 − p)^m without cancellation.
        let p_value = if count == 0 {
            1.0
        } else {
            -libm::expm1(count as f64 * libm::log1p(-tail(z.abs()).min(1.0)))
        };
        Self { cells, z, tests: count, p_value, alarm: p_value < ALARM_P }
    }
}

/// Something that does not follow the law.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Check that found it, e.g. `spectrum`.
    pub check: &'static str,
    /// Cells it is about; empty: the whole board.
    pub cells: Vec<usize>,
    /// What was found.
    pub detail: String,
}

/// How the board was set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Programming {
    /// Rows of the matrix; they occupy the first cells.
    pub n: usize,
    /// Self-term codes of all cells.
    pub self_codes: Vec<i16>,
    /// Coupling codes of all pairs.
    pub coupling_codes: Vec<i16>,
    /// Noise gain, as a factor.
    pub gain: f64,
    /// Capacitance (F), frequency (Hz) and quality factor of each mode by the law: digital.
    pub modes: Vec<(f64, f64, f64)>,
    /// Ticks to settle from rest.
    pub settle_ticks: u64,
}

/// Time of one stage of the measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// Ticks of settling.
    pub settle_ticks: u64,
    /// Ticks of sampling.
    pub sampled_ticks: u64,
    /// Effective independent samples.
    pub effective: Option<f64>,
    /// Effective samples per second of board time, settling included.
    pub effective_per_s: Option<f64>,
    /// Wall time by phase.
    pub wall: WallTime,
}

/// Wall time by phase, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct WallTime {
    /// Building requests.
    pub encode_s: f64,
    /// Setting banks and registers.
    pub program_s: f64,
    /// Settling: the part of the acquisitions that their ticks have.
    pub settle_s: f64,
    /// Sampling.
    pub acquire_s: f64,
    /// Moving bytes.
    pub transfer_s: f64,
    /// Parsing and unpacking.
    pub decode_s: f64,
}

/// Everything that was measured of a board.
#[derive(Debug, Clone, Serialize)]
pub struct Characterisation {
    /// URI of the device.
    pub uri: String,
    /// The board.
    pub board: BoardInfo,
    /// Content hash of the calibration whose values the law has; `None`: nominal values.
    #[serde(rename = "calibration_id")]
    pub calibration: Option<u64>,
    /// Complete or cancelled; a cancelled run has the record until then.
    pub outcome: Outcome,
    /// Seed of the noise generators.
    pub seed: u64,
    /// The programming.
    pub programming: Programming,
    /// Raw samples of each cell.
    pub samples: u64,
    /// Sample period, in seconds.
    pub period_s: f64,
    /// True if the moments that the board summed are those of the frames that it sent, bit for bit;
    /// `None` where it was cancelled.
    pub moments_agree: Option<bool>,
    /// Cells without a signal, which later statistics leave out.
    pub silent: Vec<usize>,
    /// The converters.
    pub converters: Vec<Converter>,
    /// Spectra.
    pub spectra: Spectra,
    /// Allan deviation of the covariance.
    pub allan: Allan,
    /// Fourth moments.
    pub fourth: FourthMoments,
    /// Symmetry in time and equal-time covariance of currents and voltages.
    pub current: CurrentVoltage,
    /// The null.
    pub null: Null,
    /// Error of the inverse against time.
    pub floor: Option<ErrorFloor>,
    /// Why there is none.
    pub floor_missing: Option<String>,
    /// Time.
    pub stages: Vec<Stage>,
    /// What does not follow the law.
    pub findings: Vec<Finding>,
}
