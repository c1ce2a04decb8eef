//! Characterises a board: spectra, correlations, statistics and error floor, all from ADC codes.
//!
//! One programming is set and sampled three times: without drive, tick by tick (decimation 1), and for the
//! inverse. What is compared with it is the law of the sampled board by the values of its parts: the
//! profile's nominal ones, or those of a calibration where the options have one. That law is digital work;
//! nothing measured is corrected by it, except where a quantity's description says so.

mod adc;
mod allan;
mod current;
mod floor;
mod fourth;
mod null;
mod record;
mod spectrum;
mod theory;

#[cfg(all(test, feature = "sim"))]
mod tests;

pub use adc::Converter;
pub use allan::{Allan, AllanPoint};
pub use current::{CurrentVoltage, LagPoint};
pub use floor::{ErrorFloor, ErrorPoint};
pub use fourth::{FourthMoment, FourthMoments};
pub use null::Null;
pub use spectrum::{CellSpectrum, PairSpectrum, Spectra};

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;
use serde::Serialize;
use spu_protocol::code::{GainCode, Ticks};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::board_model::{BoardModel, MeasuredBoards};
use crate::device::{AcquirePlan, BoardInfo, Deadline, Device, Moments, Outcome, Phases, Report};
use crate::error::Error;
use crate::invert::{InvertOptions, Ledger, OperationError, Progress, Run, invert};
use crate::matrix::SpdMatrix;
use crate::plan::{Budget, InversionPlan};
use crate::timing::PROBE_RESIDUE;
use record::{Keep, Record};
use theory::Theory;

/// Raw samples unless told otherwise.
pub const DEFAULT_SAMPLES: u64 = 1 << 20;
/// Batches of the jackknife and of batch means.
const BATCHES: usize = 64;
/// Effective samples that a batch must hold, so that its fourth moments are nearly normal.
const BATCH_EFFECTIVE: f64 = 32.0;
/// Samples without drive.
const QUIET: u64 = 1 << 14;
/// Ticks of the inversion over those of the raw record.
const INVERSION_TICKS: u64 = 4;
/// Standard errors beyond which a single statistic of nearly normal law deviates: two-sided false-alarm
/// rate 2e-9, which leaves room for the tails of χ².
const ALARM: f64 = 6.0;
/// False-alarm rate of the largest of many statistics.
const ALARM_P: f64 = 1e-6;

/// Options of [`characterise`].
#[derive(Debug, Clone)]
pub struct CharacteriseOptions {
    /// Raw samples of each cell.
    pub samples: u64,
    /// Seed of the board's noise generators.
    pub seed: u64,
    /// Longest time for one call on the device; `None` leaves ample time for a simulator.
    pub timeout: Option<Duration>,
    /// Measured values of boards, by serial number: one that is not among them is taken for nominal.
    pub measured: Arc<MeasuredBoards>,
}

impl Default for CharacteriseOptions {
    fn default() -> Self {
        Self { samples: DEFAULT_SAMPLES, seed: 1, timeout: None, measured: Arc::default() }
    }
}

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
    fn of(values: &[f64]) -> Self {
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
    fn of(tests: impl Iterator<Item = (Vec<usize>, f64)>, batches: usize) -> Self {
        let law = StudentsT::new(0.0, 1.0, batches as f64 - 1.0);
        Self::by(tests, |z| law.map_or(f64::NAN, |law| 2.0 * law.sf(z)))
    }

    /// Of normal statistics.
    fn normal(tests: impl Iterator<Item = (Vec<usize>, f64)>) -> Self {
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

/// A matrix whose modes lie apart, which every RLC board can hold: off-diagonals fall with the distance of
/// the cells, conductances to ground differ.
///
/// # Panics
/// Never: it is diagonally dominant.
pub fn lively(n: usize) -> SpdMatrix {
    let off = |i: usize, j: usize| -0.3 / i.abs_diff(j) as f64;
    let entry = |(i, j): (usize, usize)| {
        if i == j {
            let others: f64 = (0..n).filter(|k| *k != i).map(|k| -off(i, k)).sum();
            others + 0.5 + 0.25 * ((5 * i) % 8) as f64
        } else {
            off(i, j)
        }
    };
    SpdMatrix::new(&Array2::from_shape_fn((n, n), entry), 0.0)
        .expect("diagonally dominant matrices are positive definite")
}

/// Sets `a` on a board and measures what its cells do.
///
/// # Errors
/// [`OperationError::TooFewSamples`], and [`Error::Unsupported`] for what the board cannot hold, before
/// anything is set; [`Error::Cancelled`] if the record is too short for error bars then.
///
/// # Examples
/// ```
/// use spu_driver::characterise::{CharacteriseOptions, characterise, lively};
/// use spu_driver::{invert::Quiet, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let options = CharacteriseOptions { samples: 100_000, ..CharacteriseOptions::default() };
/// let found = characterise(device.as_mut(), &lively(2), &options, &Quiet)?;
/// assert!(found.findings.is_empty(), "{:?}", found.findings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn characterise(
    device: &mut dyn Device,
    a: &SpdMatrix,
    options: &CharacteriseOptions,
    progress: &dyn Progress,
) -> Result<Characterisation, OperationError> {
    let info = device.info().clone();
    let mut inner = InvertOptions {
        seed: options.seed,
        timeout: options.timeout,
        measured: Arc::clone(&options.measured),
        ..InvertOptions::default()
    };
    let (calibration, model) = match inner.board(&info)? {
        Some(board) => (Some(board.id), board.model.clone()),
        None => (None, BoardModel::nominal(&info)),
    };
    let raw = Budget { samples: Some(options.samples), decimation: Some(1), effective: None };
    let plan = InversionPlan::with_model(a, &info, &model, &raw)?;
    let columns = room(&plan, options.samples)?;
    // The inversion runs at the spacing that its spectrum asks for.
    let spaced = InversionPlan::with_model(a, &info, &model, &Budget::default())?;
    let inversion_samples = INVERSION_TICKS * options.samples / u64::from(spaced.decimation);
    inner.budget = Budget {
        samples: Some(inversion_samples),
        decimation: Some(spaced.decimation),
        effective: None,
    };
    let meter = Part {
        inner: progress,
        scale: 1,
        before: 0,
        total: options.samples * (1 + INVERSION_TICKS),
    };

    let uri = device.uri().to_owned();
    let mut stages = Stages { period_s: info.sample_period_s(), all: Vec::new() };
    let mut run = Run { device, options: &inner, fresh: true, ledger: Ledger::new(info.cells) };
    run.load(&plan, GainCode(0))?;
    let volts: Vec<f64> = model.cells[..plan.n].iter().map(|cell| 1.0 / cell.adc_gain).collect();
    let quiet = record(&mut run, &plan, QUIET, vec![Vec::new(); plan.n], &crate::invert::Quiet)?;
    if quiet.1.outcome == Outcome::Cancelled {
        return Err(Error::Cancelled.into());
    }
    stages.add("without drive", plan.settle, &mut run.ledger, None);
    let gain = run.set_gain(&spaced, &info, &model)?;
    stages.add("gain", spaced.settle_to(PROBE_RESIDUE), &mut run.ledger, None);
    let (codes, report) = record(&mut run, &plan, options.samples, columns, &meter)?;
    let kept = codes[0].len() as u64;
    let share = kept as f64 / options.samples as f64;
    let effective = plan.effective * share;
    stages.add("raw record", plan.settle, &mut run.ledger, Some(effective));
    if enough(&plan, kept).is_err() {
        return Err(Error::Cancelled.into());
    }
    let quiet = Record::new(quiet.0, volts.clone());
    let driven = Record::new(codes, volts);
    let moments_agree = (report.outcome == Outcome::Complete).then(|| {
        report.moments.as_ref().is_some_and(|moments| agree(moments, &driven, info.cells))
    });

    let mut outcome = report.outcome;
    let (mut floor, mut floor_missing) = (None, None);
    if outcome == Outcome::Complete {
        // Noise that has nothing to do with that of the record.
        inner.seed = options.seed ^ 0x9E37_79B9_7F4A_7C15;
        let before = options.samples;
        let part = Part { before, scale: u64::from(spaced.decimation), ..meter };
        match invert(device, a, &inner, &part) {
            Ok(inversion) => {
                outcome = inversion.outcome;
                let mut ledger = Ledger::new(info.cells);
                (ledger.ticks, ledger.phases) = (inversion.ticks.0, inversion.phases);
                let effective = Some(inversion.effective_measured);
                let plan = &inversion.plan;
                let settled = plan.settle_to(PROBE_RESIDUE) + plan.settle_for_mean();
                stages.add("inverse", settled, &mut ledger, effective);
                floor = Some(floor::error_floor(&inversion, &a.digital_inverse()));
            }
            Err(OperationError::Device(Error::Cancelled)) => {
                outcome = Outcome::Cancelled;
                floor_missing = Some("cancelled before there was enough of it".into());
            }
            Err(error @ (OperationError::NoSignal { .. } | OperationError::Inconsistent)) => {
                floor_missing = Some(error.to_string());
            }
            Err(error) => return Err(error),
        }
    } else {
        floor_missing = Some("cancelled before it".into());
    }

    let theory = Theory::new(&plan, &info, &model, gain);
    let variances = driven.code_variances();
    let silent: Vec<usize> = (0..plan.n).filter(|cell| variances[*cell] <= 0.5).collect();
    let slowest = plan.modes.iter().map(|m| m.slowest_rate()).fold(f64::INFINITY, f64::min);
    let bandwidth = slowest / std::f64::consts::PI;
    let segment = spectrum::segment(bandwidth, theory.period_s, driven.len());
    let measured = spectrum::welch(&driven, theory.period_s, segment);
    let expected = spectrum::expected(&theory, segment);
    let lowest = plan.modes.iter().map(|m| m.frequency_hz()).fold(f64::INFINITY, f64::min);
    let half_period = (0.5 / (lowest * theory.period_s)) as usize;
    let some_heard = silent.len() < plan.n;
    if !some_heard {
        return Err(OperationError::NoSignal { cells: silent });
    }
    let mut found = Characterisation {
        converters: adc::converters(&quiet, &driven, &report.saturated),
        spectra: spectrum::compare(&measured, &expected, &theory, &silent),
        allan: allan::allan(&driven, &theory, &silent),
        fourth: fourth::fourth(&driven, &silent),
        current: current::current_voltage(&driven, &theory, half_period, &silent),
        null: null::null(&driven, theory.period_s, segment, &silent),
        programming: Programming {
            n: plan.n,
            self_codes: plan.program.self_codes.iter().map(|code| code.0).collect(),
            coupling_codes: plan.program.coupling_codes.iter().map(|code| code.0).collect(),
            gain: gain.factor(),
            modes: plan.modes.iter().map(|m| (m.c, m.frequency_hz(), m.q())).collect(),
            settle_ticks: plan.settle,
        },
        period_s: theory.period_s,
        samples: kept,
        seed: options.seed,
        board: info,
        stages: stages.all,
        findings: Vec::new(),
        uri,
        calibration,
        outcome,
        moments_agree,
        silent,
        floor,
        floor_missing,
    };
    found.findings = findings(&found);
    Ok(found)
}

/// Refuses too few samples.
fn enough(plan: &InversionPlan, samples: u64) -> Result<(), OperationError> {
    let effective = plan.effective * samples as f64 / plan.samples as f64;
    let needed = BATCHES as f64 * BATCH_EFFECTIVE;
    if effective >= needed {
        return Ok(());
    }
    let needed = (needed / plan.effective * plan.samples as f64).ceil() as u64;
    Err(OperationError::TooFewSamples { samples, effective, needed })
}

/// Room for the record, before anything is set on the board.
fn room(plan: &InversionPlan, samples: u64) -> Result<Vec<Vec<i16>>, OperationError> {
    enough(plan, samples)?;
    let refused = |why: String| Error::Unsupported { reasons: vec![why] };
    if samples > u64::from(u32::MAX) {
        return Err(refused(format!("{samples} samples are beyond the sequencer's 32 bits")).into());
    }
    let mut columns = vec![Vec::new(); plan.n];
    for column in &mut columns {
        column.try_reserve_exact(samples as usize).map_err(|_| {
            refused(format!(
                "{samples} samples of {} cells need {:.1} GB of memory; ask for fewer",
                plan.n,
                samples as f64 * plan.n as f64 * 2e-9
            ))
        })?;
    }
    Ok(columns)
}

/// Samples tick by tick, with moments.
fn record(
    run: &mut Run<'_>,
    plan: &InversionPlan,
    samples: u64,
    columns: Vec<Vec<i16>>,
    progress: &dyn Progress,
) -> Result<(Vec<Vec<i16>>, Report), Error> {
    let acquire = AcquirePlan {
        settle: Ticks(plan.settle),
        decimation: NonZeroU32::MIN,
        count: NonZeroU32::new(samples as u32).unwrap_or(NonZeroU32::MIN),
        moments: true,
        stream: true,
        realtime: false,
    };
    let ample = Duration::from_secs(30 + samples / 100_000);
    let deadline = Deadline::after(run.options.timeout.unwrap_or(ample));
    let cells = run.device.info().cells;
    let mut sink = Keep { cells, codes: columns, progress, copy: 0 };
    let report = run.device.acquire(&acquire, &mut sink, deadline)?;
    if report.lost > 0 {
        return Err(Error::Lost { frames: report.lost });
    }
    run.ledger.ticks += report.ticks.0;
    run.ledger.phases.add(&report.phases);
    Ok((sink.codes, report))
}

/// True if moments are those of the record.
fn agree(moments: &Moments, record: &Record, cells: usize) -> bool {
    let n = record.n();
    let sum = |i: usize| record.codes[i].iter().map(|code| i128::from(*code)).sum::<i128>();
    let product = |i: usize, j: usize| -> i128 {
        let both = record.codes[i].iter().zip(&record.codes[j]);
        both.map(|(x, y)| i128::from(i32::from(*x) * i32::from(*y))).sum()
    };
    let place = |i: usize, j: usize| i * (2 * cells - i + 1) / 2 + j - i;
    moments.count == record.len() as u64
        && (0..n).all(|i| moments.sums[i] == sum(i))
        && (0..n).all(|i| (i..n).all(|j| moments.products[place(i, j)] == product(i, j)))
}

/// Progress of a part of the whole.
#[derive(Clone, Copy)]
struct Part<'a> {
    inner: &'a dyn Progress,
    /// Ticks before this part, ticks of a sample, all ticks.
    before: u64,
    scale: u64,
    total: u64,
}

impl Progress for Part<'_> {
    fn update(&self, copy: usize, kept: u64, _total: u64) {
        self.inner.update(copy, (self.before + kept * self.scale).min(self.total), self.total);
    }
}

struct Stages {
    period_s: f64,
    all: Vec<Stage>,
}

impl Stages {
    /// Adds what the ledger holds, settling included, and empties it.
    fn add(
        &mut self,
        name: &'static str,
        settle_ticks: u64,
        ledger: &mut Ledger,
        effective: Option<f64>,
    ) {
        let settle_ticks = settle_ticks.min(ledger.ticks);
        let seconds = ledger.ticks as f64 * self.period_s;
        let Phases { encode, program, acquire, transfer, decode } = ledger.phases;
        let share = settle_ticks as f64 / ledger.ticks.max(1) as f64;
        self.all.push(Stage {
            name,
            settle_ticks,
            sampled_ticks: ledger.ticks - settle_ticks,
            effective,
            effective_per_s: effective.map(|effective| effective / seconds),
            wall: WallTime {
                encode_s: encode.as_secs_f64(),
                program_s: program.as_secs_f64(),
                settle_s: share * acquire.as_secs_f64(),
                acquire_s: (1.0 - share) * acquire.as_secs_f64(),
                transfer_s: transfer.as_secs_f64(),
                decode_s: decode.as_secs_f64(),
            },
        });
        *ledger = Ledger::new(ledger.saturated.len());
    }
}

/// What deviates, each at a false-alarm rate below 1e-6.
fn findings(found: &Characterisation) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |check, cells: &[usize], detail: String| {
        all.push(Finding { check, cells: cells.to_vec(), detail });
    };
    if found.moments_agree == Some(false) {
        add("moments", &[], "moments of the board are not those of its frames".into());
    }
    for cell in &found.silent {
        add("converter", &[*cell], "no signal: the converter is stuck or the cell is dead".into());
    }
    for converter in &found.converters {
        let cell = [converter.cell];
        if converter.saturated > 0 {
            add("converter", &cell, format!("{} samples saturate it", converter.saturated));
        }
        if !converter.stuck_bits.is_empty() {
            add("converter", &cell, format!("bits {:?} never change", converter.stuck_bits));
        }
        if converter.missing_codes > 0 {
            add("converter", &cell, format!("{} codes never come", converter.missing_codes));
        }
    }
    for cell in found.spectra.cells.iter().filter(|cell| cell.deviates) {
        let drive = cell.drive.map_or(String::new(), |drive| {
            format!("; its drive is {:.3} ± {:.3} of the law's", drive.value, drive.error)
        });
        add("spectrum", &[cell.cell], format!("reduced χ² {:.3}{drive}", cell.chi_squared));
    }
    let extreme = |extreme: &Extreme, what: &str| {
        format!("{what}: {:.1} standard errors, p = {:.1e}", extreme.z, extreme.p_value)
    };
    if found.allan.drifts {
        let detail = "the longest batches differ more than noise explains".into();
        add("allan", &[], detail);
    }
    for (check, test, what) in [
        ("fourth", &found.fourth.worst, "a fourth moment is not that of a Gaussian"),
        ("time", &found.current.worst_antisymmetric, "the lagged covariance is not symmetric"),
        ("current", &found.current.worst_correlation, "cov(i, v) is not what the law expects"),
        ("null", &found.null.worst_correlation, "shifted channels are correlated"),
        ("null", &found.null.worst_cross_power, "shifted channels have a cross spectrum"),
        ("null", &found.null.worst_fourth, "a fourth moment of shifted channels is off"),
    ] {
        if test.alarm {
            add(check, &test.cells, extreme(test, what));
        }
    }
    if let Some(floor) = &found.floor
        && floor.floor_squared.value > ALARM * floor.floor_squared.error
    {
        let percent = 100.0 * floor.floor;
        add("floor", &[], format!("the inverse stays {percent:.1} % off, whatever the time"));
    }
    all
}
