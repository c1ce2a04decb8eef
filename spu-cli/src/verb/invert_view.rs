//! What `spu invert` returns: the values that text, JSON and report show.

use ndarray::Array2;
use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::device::Outcome;
use spu_driver::ensemble::{BiasSplit, EnsembleInversion, Pair, Verdict};
use spu_driver::invert::{Inversion, OperationError};
use spu_driver::linalg::relative_error;
use spu_driver::matrix::SpdMatrix;
use spu_driver::route::{Route, Taken};
use spu_driver::stats::CONFIDENCE;

use super::calibration_view::CalibrationView;
use super::info::Nominal;
use super::ledger::LedgerView;
use super::plan::{MatrixView, PlanView};
use super::route::{RefineView, flops};
use super::{MatrixArg, Written, rows, rung};

/// What the run was told and how long it took.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) uris: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) command: String,
    pub(crate) wall_s: f64,
    pub(crate) calibration: CalibrationView,
}

/// Result of an inversion.
#[derive(Debug, Serialize)]
pub(crate) struct InvertAnswer {
    pub(crate) matrix: MatrixView,
    pub(crate) rung: &'static str,
    pub(crate) board: BoardInfo,
    pub(crate) nominal: Nominal,
    /// How the matrix came onto the board.
    pub(crate) route: Taken,
    /// Of what the board held: by the tridiagonal route the tridiagonal matrix.
    pub(crate) plan: PlanView,
    pub(crate) copies: Vec<CopyView>,
    pub(crate) mean: MeanView,
    /// Inverse by Cholesky factorisation on the host: digital, for comparison only.
    pub(crate) digital_reference: Vec<Vec<f64>>,
    /// What refinement made of the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refinement: Option<RefineView>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) bias: Option<BiasSplit>,
    #[serde(skip)]
    pub(crate) verdict: Option<Verdict>,
    /// Its name; the copies that it names are in `outliers`.
    #[serde(rename = "verdict")]
    pub(crate) verdict_name: Option<&'static str>,
    pub(crate) outliers: Vec<usize>,
    /// The verdict in words.
    pub(crate) summary: String,
    /// True if every copy is calibrated and none has drifted, as far as is known.
    pub(crate) calibrated: bool,
    pub(crate) calibration: CalibrationView,
    /// What the intervals are.
    pub(crate) intervals: String,
    /// What the host computed digitally.
    pub(crate) digital_work: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) wall_s: f64,
    pub(crate) command: String,
    pub(crate) version: &'static str,
    pub(crate) files: Vec<Written>,
}

fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::EqualWithinNoise => "equal-within-noise",
        Verdict::DifferWithinSpread => "differ-within-spread",
        Verdict::Outlier { .. } => "outlier",
        Verdict::Disagree => "disagree",
    }
}

/// One copy.
#[derive(Debug, Serialize)]
pub(crate) struct CopyView {
    pub(crate) copy: usize,
    pub(crate) uri: String,
    /// Why it gave no result.
    pub(crate) error: Option<String>,
    #[serde(flatten)]
    pub(crate) result: Option<ResultView>,
}

/// What a copy measured.
#[derive(Debug, Serialize)]
pub(crate) struct ResultView {
    pub(crate) serial: u64,
    pub(crate) outcome: Outcome,
    pub(crate) inverse: Vec<Vec<f64>>,
    /// Half widths of the intervals: of a calibrated board with systematic errors, else statistical.
    pub(crate) half_widths: Vec<Vec<f64>>,
    pub(crate) statistical_half_widths: Vec<Vec<f64>>,
    /// What the banks' quantisation adds to each entry; it is in the result.
    pub(crate) quantisation: Vec<Vec<f64>>,
    /// Standard deviations by the calibration's own uncertainty.
    pub(crate) calibration_sigma: Option<Vec<Vec<f64>>>,
    /// Content hash of the calibration that was used.
    pub(crate) calibration: Option<String>,
    /// Programmings of the matrix that were averaged.
    pub(crate) programmings: usize,
    /// Relative size of what extrapolation in measurement time changed.
    pub(crate) extrapolated: Option<f64>,
    /// Relative Frobenius error against the digital reference.
    pub(crate) error_against_reference: f64,
    pub(crate) predicted_statistical_error: f64,
    pub(crate) measured_statistical_error: f64,
    pub(crate) effective_planned: f64,
    pub(crate) effective_measured: f64,
    pub(crate) kept: u64,
    pub(crate) saturated: Vec<u64>,
    pub(crate) noise_gain: f64,
    pub(crate) staircase_correction: f64,
    pub(crate) board_ticks: u64,
    pub(crate) board_s: f64,
    pub(crate) time: LedgerView,
    pub(crate) convergence: Vec<Point>,
}

/// Error after part of the samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Point {
    pub(crate) kept: u64,
    pub(crate) effective: f64,
    pub(crate) error_against_reference: f64,
}

/// Mean of the copies that are no outliers.
#[derive(Debug, Serialize)]
pub(crate) struct MeanView {
    pub(crate) of_copies: Vec<usize>,
    pub(crate) inverse: Vec<Vec<f64>>,
    /// Half widths by the copies' independent noise.
    pub(crate) half_widths: Vec<Vec<f64>>,
    pub(crate) error_against_reference: f64,
}

impl InvertAnswer {
    pub(crate) fn new(
        argument: &MatrixArg,
        a: &SpdMatrix,
        ensemble: &EnsembleInversion,
        request: Request,
    ) -> Self {
        let outliers: &[usize] = match &ensemble.verdict {
            Some(Verdict::Outlier { copies }) => copies,
            _ => &[],
        };
        let used: Vec<(usize, &Inversion)> = ensemble
            .copies
            .iter()
            .enumerate()
            .filter_map(|(index, result)| Some((index, result.as_ref().ok()?)))
            .filter(|(index, _)| !outliers.contains(index))
            .collect();
        // An ensemble without any result is an error, not an answer.
        let first = used[0].1;
        let copies = ensemble
            .copies
            .iter()
            .zip(request.uris)
            .enumerate()
            .map(|(copy, (result, uri))| CopyView::new(copy, uri, result, &ensemble.reference))
            .collect();
        Self {
            matrix: MatrixView::new(argument, a),
            rung: rung(&first.uri, Some(&first.board)),
            nominal: Nominal::of(&first.board.raw),
            route: first.route,
            plan: PlanView::new(&first.plan, &first.board),
            copies,
            mean: MeanView {
                of_copies: used.iter().map(|(index, _)| *index).collect(),
                inverse: rows(&ensemble.mean),
                half_widths: rows(&half_widths(&used, &ensemble.weights, a.n())),
                error_against_reference: ensemble.mean_error,
            },
            digital_reference: rows(&ensemble.reference),
            refinement: None,
            pairs: ensemble.pairs.clone(),
            bias: ensemble.bias,
            summary: super::invert_text::verdict(ensemble, &first.board.profile),
            verdict_name: ensemble.verdict.as_ref().map(verdict_name),
            verdict: ensemble.verdict.clone(),
            outliers: outliers.to_vec(),
            calibrated: request.calibration.holds(),
            intervals: intervals(request.calibration.holds(), request.calibration.caveat()),
            calibration: request.calibration,
            digital_work: digital_work(a, first),
            seed: request.seed,
            wall_s: request.wall_s,
            command: request.command,
            version: env!("CARGO_PKG_VERSION"),
            files: Vec::new(),
            board: first.board.clone(),
        }
    }

    /// Copies that gave a result.
    pub(crate) fn results(&self) -> impl Iterator<Item = (usize, &ResultView)> {
        self.copies.iter().filter_map(|copy| Some((copy.copy, copy.result.as_ref()?)))
    }

    /// True if a copy was cancelled.
    pub(crate) fn cancelled(&self) -> bool {
        (self.copies.len() > 1 && self.verdict.is_none())
            || self.results().any(|(_, result)| result.outcome == Outcome::Cancelled)
    }
}

impl CopyView {
    fn new(
        copy: usize,
        uri: String,
        result: &Result<Inversion, OperationError>,
        reference: &Array2<f64>,
    ) -> Self {
        match result {
            Ok(inversion) => {
                Self { copy, uri, error: None, result: Some(ResultView::new(inversion, reference)) }
            }
            Err(error) => Self { copy, uri, error: Some(error.to_string()), result: None },
        }
    }
}

impl ResultView {
    fn new(inversion: &Inversion, reference: &Array2<f64>) -> Self {
        Self {
            serial: inversion.board.serial,
            outcome: inversion.outcome,
            inverse: rows(&inversion.inverse),
            half_widths: rows(&half_widths_of(inversion)),
            statistical_half_widths: rows(&inversion.half_widths),
            quantisation: rows(&inversion.systematic.quantisation),
            calibration_sigma: inversion.systematic.calibration.as_ref().map(|sigma| rows(sigma)),
            calibration: inversion.calibration.map(|id| format!("{id:016x}")),
            programmings: inversion.programmings,
            extrapolated: inversion.extrapolated,
            error_against_reference: relative_error(&inversion.inverse, reference),
            predicted_statistical_error: inversion.predicted_error,
            measured_statistical_error: inversion.statistical_error,
            effective_planned: inversion.effective_planned,
            effective_measured: inversion.effective_measured,
            kept: inversion.kept,
            saturated: inversion.saturated.clone(),
            noise_gain: inversion.gain.factor(),
            staircase_correction: inversion.law_correction,
            board_ticks: inversion.ticks.0,
            board_s: inversion.ticks.0 as f64 * inversion.board.sample_period_s(),
            time: LedgerView::new(&inversion.time(), inversion.board.sample_period_s()),
            convergence: inversion
                .convergence
                .iter()
                .map(|part| Point {
                    kept: part.kept,
                    effective: part.effective,
                    error_against_reference: relative_error(&part.inverse, reference),
                })
                .collect(),
        }
    }
}

/// Half widths of the mean: the copies' errors are independent, so their squares add.
fn half_widths(used: &[(usize, &Inversion)], weights: &[f64], n: usize) -> Array2<f64> {
    let mut squares = Array2::<f64>::zeros((n, n));
    for (index, inversion) in used {
        let width = half_widths_of(inversion) * weights[*index];
        squares += &(&width * &width);
    }
    squares.mapv(f64::sqrt)
}

/// Half widths of a copy: of one whose calibration holds they have systematic errors in them too.
fn half_widths_of(inversion: &Inversion) -> Array2<f64> {
    match inversion.systematic.calibration {
        Some(_) => inversion.intervals(),
        None => inversion.half_widths.clone(),
    }
}

/// What the intervals of a result hold: all errors, or the statistical one alone for the reason that `caveat`
/// gives.
pub(crate) fn intervals(whole: bool, caveat: &str) -> String {
    let level = CONFIDENCE * 100.0;
    if whole {
        format!(
            "calibrated: {level:.0} % intervals hold the statistical error, what the calibration leaves \
             open, and the known error of quantisation"
        )
    } else {
        format!("{level:.0} % intervals are statistical only; {caveat}")
    }
}

fn digital_work(a: &SpdMatrix, first: &Inversion) -> Vec<String> {
    let n = a.n();
    let route = match first.route.route {
        Route::Tridiagonal => format!(
            "route: Householder tridiagonalisation, inverse and batches turned back, {}",
            flops(first.route.flops)
        ),
        Route::Splitting => "route: the matrix that splits off A".into(),
        Route::Direct | Route::Scaled => "route: no transformation but D A D".into(),
    };
    let mut work = vec![
        route,
        format!(
            "planning: routes of the {n} × {n} matrix, diagonal scaling, quantisation, timing, {}",
            flops(first.route.planning_flops)
        ),
        format!(
            "read-out: moments of ADC codes to volts, correction for the staircase drive ({}), \
             scaling undone; error bars by the jackknife over batches; {}",
            crate::text::percent(first.law_correction),
            flops(first.route.read_out_flops)
        ),
        "reference: inverse by Cholesky factorisation, for comparison only".into(),
    ];
    if let Some(change) = first.extrapolated {
        work.push(format!(
            "extrapolation in time: the start from rest and the subtracted mean, by the programmed \
             spectrum; it changed the inverse by {}. The rest of the read-out is linear in the \
             covariance and has no bias that falls with time",
            crate::text::percent(change)
        ));
    }
    work
}
