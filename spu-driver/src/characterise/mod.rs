//! Characterises a board: spectra, correlations, statistics and error floor, all from ADC codes.
//!
//! One programming is set and sampled three times: without drive, tick by tick (decimation 1), and for the
//! inverse. What is compared with it is the law of the sampled board by the values of its parts: the
//! profile's nominal ones, or those of a calibration where the options have one. That law is digital work;
//! nothing measured is corrected by it, except where a quantity's description says so.

mod adc;
mod allan;
mod capture;
mod current;
mod findings;
mod floor;
mod fourth;
mod null;
mod record;
mod result;
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
pub use result::{Characterisation, Estimate, Extreme, Finding, Programming, Stage, WallTime};
pub use spectrum::{CellSpectrum, PairSpectrum, Spectra};

use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;
use spu_protocol::code::GainCode;

use crate::board_model::{BoardModel, MeasuredBoards};
use crate::device::{BoardInfo, Device, Outcome, Report};
use crate::error::Error;
use crate::invert::{InvertOptions, Ledger, OperationError, Progress, Run, invert};
use crate::matrix::SpdMatrix;
use crate::model::Mode;
use crate::plan::{Budget, InversionPlan};
use crate::timing::PROBE_RESIDUE;
use capture::{Part, Stages, agree, burst, enough, record, room};
use record::Record;
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
    let burst = burst(&info);
    let quiet = record(
        &mut run,
        &plan,
        QUIET.min(burst),
        burst,
        vec![Vec::new(); plan.n],
        &crate::invert::Quiet,
    )?;
    if quiet.1.outcome == Outcome::Cancelled {
        return Err(Error::Cancelled.into());
    }
    stages.add("without drive", plan.settle, &mut run.ledger, None);
    let gain = run.set_gain(&spaced, &info, &model)?;
    stages.add("gain", spaced.settle_to(PROBE_RESIDUE), &mut run.ledger, None);
    let (codes, report) = record(&mut run, &plan, options.samples, burst, columns, &meter)?;
    let kept = codes[0].len() as u64;
    let share = kept as f64 / options.samples as f64;
    let effective = plan.effective * share;
    let bursts = kept.div_ceil(burst).max(1);
    stages.add("raw record", bursts * plan.settle, &mut run.ledger, Some(effective));
    if enough(&plan, kept).is_err() {
        return Err(Error::Cancelled.into());
    }
    let quiet = Record::new(quiet.0, volts.clone(), burst as usize);
    let driven = Record::new(codes, volts, burst as usize);
    let moments_agree = (report.outcome == Outcome::Complete).then(|| {
        report.moments.as_ref().is_some_and(|moments| agree(moments, &driven, info.cells))
    });

    let sampled = Sampled { plan, gain, quiet, driven, report, moments_agree };
    let theory = Theory::new(&sampled.plan, &info, &model, gain);
    let mut outcome = sampled.report.outcome;
    let (mut floor, mut floor_missing) = (None, Some("cancelled before it".to_owned()));
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
                let settled = spaced.settle_to(PROBE_RESIDUE) + inversion.settle_ticks.0;
                stages.add("inverse", settled, &mut ledger, Some(inversion.effective_measured));
                floor = Some(floor::error_floor(&inversion, &a.digital_inverse()));
                floor_missing = None;
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
    }
    let mut found = analyse(&sampled, &theory, info, uri)?;
    found.seed = options.seed;
    found.stages = stages.all;
    (found.calibration, found.outcome) = (calibration, outcome);
    (found.floor, found.floor_missing) = (floor, floor_missing);
    found.findings = findings::findings(&found);
    Ok(found)
}

/// What was sampled.
struct Sampled {
    plan: InversionPlan,
    gain: GainCode,
    quiet: Record,
    driven: Record,
    report: Report,
    moments_agree: Option<bool>,
}

/// Everything that the record says.
fn analyse(
    sampled: &Sampled,
    theory: &Theory,
    board: BoardInfo,
    uri: String,
) -> Result<Characterisation, OperationError> {
    let Sampled { plan, gain, quiet, driven, report, moments_agree } = sampled;
    let variances = driven.code_variances();
    let silent: Vec<usize> = (0..plan.n).filter(|cell| variances[*cell] <= 0.5).collect();
    let slowest = plan.modes.iter().map(Mode::slowest_rate).fold(f64::INFINITY, f64::min);
    let bandwidth = slowest / std::f64::consts::PI;
    let segment = spectrum::segment(bandwidth, theory.period_s, driven);
    let measured = spectrum::welch(driven, theory.period_s, segment);
    let expected = spectrum::expected(theory, segment);
    let lowest = plan.modes.iter().map(Mode::frequency_hz).fold(f64::INFINITY, f64::min);
    let half_period = (0.5 / (lowest * theory.period_s)) as usize;
    let some_heard = silent.len() < plan.n;
    if !some_heard {
        return Err(OperationError::NoSignal { cells: silent });
    }
    Ok(Characterisation {
        converters: adc::converters(quiet, driven, &report.saturated),
        spectra: spectrum::compare(&measured, &expected, theory, &silent),
        allan: allan::allan(driven, theory, &silent),
        fourth: fourth::fourth(driven, &silent),
        current: current::current_voltage(driven, theory, half_period, &silent),
        null: null::null(driven, theory.period_s, segment, &silent),
        programming: Programming {
            n: plan.n,
            self_codes: plan.program.self_codes.iter().map(|code| code.0).collect(),
            coupling_codes: plan.program.coupling_codes.iter().map(|code| code.0).collect(),
            gain: gain.factor(),
            modes: plan.modes.iter().map(|m| (m.c, m.frequency_hz(), m.q())).collect(),
            settle_ticks: plan.settle,
        },
        period_s: theory.period_s,
        samples: driven.len() as u64,
        seed: 0,
        board,
        stages: Vec::new(),
        findings: Vec::new(),
        uri,
        calibration: None,
        outcome: report.outcome,
        moments_agree: *moments_agree,
        silent,
        floor: None,
        floor_missing: None,
    })
}
