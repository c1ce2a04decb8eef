//! `spu sample`: Gaussian samples from a board.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ndarray::Array1;
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::ops::normality::{NormalityError, normality};
use spu_driver::plan::Budget;
use spu_driver::sample::sample_normal;

use super::calibrated::RunArgs;
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::sample_check::Check;
use super::{MatrixArg, Written, read_vector, rows, written_lines};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file;
use crate::progress::Meter;
use crate::text::{count, digits, facts, percent, table};

/// Rows that the text output shows.
const SHOWN: usize = 8;

/// Draw samples of N(μ, A⁻¹) from a board
#[derive(Debug, Args)]
pub(crate) struct Sample {
    #[command(flatten)]
    matrix: MatrixArg,
    /// Number of samples
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: u64,
    /// Ticks from one sample to the next [default: until they are independent]
    #[arg(long, value_name = "D")]
    decimation: Option<u32>,
    /// Mean μ, one value a row of A, added by the host: .csv, .npy or .mtx [default: 0]
    #[arg(long, value_name = "FILE")]
    mean: Option<PathBuf>,
    /// Test whether the samples are Gaussian and of the law N(μ, A⁻¹); exit code 6 if not
    #[arg(long)]
    check: bool,
    /// Write the samples, one a row: .npy, .csv or .mtx
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Serialize)]
pub(crate) struct SampleAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibration: CalibrationView,
    matrix: MatrixView,
    seed: u64,
    outcome: Outcome,
    count: usize,
    decimation: u32,
    /// Added by the host.
    mean: Vec<f64>,
    offsets: Vec<f64>,
    /// Relative Frobenius error of the samples' covariance against the digital inverse.
    covariance_error: f64,
    /// The same, expected from so many independent samples of the exact law.
    statistical_error: f64,
    /// Covariance of the samples by the law of the board's values against the digital inverse, as
    /// programmed (digital): known, and in the samples.
    law_error: f64,
    /// The relative error that the calibration's own uncertainty leaves in the covariance.
    calibration_error: Option<f64>,
    /// Standard deviation of each entry of the covariance by it.
    calibration_sigma: Option<Vec<Vec<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
    /// One a row; left out where they are written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<Vec<f64>>>,
    #[serde(skip)]
    shown: Vec<Vec<f64>>,
    files: Vec<Written>,
}

impl Sample {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<SampleAnswer, Failure> {
        if let Some(path) = &self.output {
            matrix_file::Format::of(path)?;
            matrix_file::check_writable(path)?;
        }
        if self.count == 0 {
            return Err(Failure::usage("--count must be at least 1"));
        }
        let a = self.matrix.read()?;
        let mean = match &self.mean {
            Some(path) => read_vector(path, a.n())?,
            None => vec![0.0; a.n()],
        };
        let budget = Budget { decimation: self.decimation, ..Budget::default() };
        let mut ready = self.run.open(1, budget, interrupt)?;
        let options = ready.options.clone();
        let meter = Arc::new(Meter::new(1, json));
        let result = sample_normal(ready.device(), &a, &mean, self.count, &options, meter.as_ref());
        meter.finish();
        let result = result?;
        let kept = result.values.nrows();
        if kept == 0 {
            return Err(spu_driver::Error::Cancelled.into());
        }
        let reference = a.digital_inverse();
        let centred = &result.values - &Array1::from_vec(mean.clone());
        let covariance = centred.t().dot(&centred) / kept as f64;
        let check = if self.check {
            let tests = normality(&result.values, &mean, &reference);
            Some(Check::new(tests.map_err(|error| refused(&error))?))
        } else {
            None
        };
        let trace = reference.diag().sum();
        let square: f64 = reference.iter().map(|x| x * x).sum();
        let files: Vec<Written> = self
            .output
            .iter()
            .map(|path| Written::new(path, "samples", matrix_file::write(path, &result.values)))
            .collect();
        Ok(SampleAnswer {
            uri: ready.device().uri().to_owned(),
            rung: ready.rung(),
            profile: result.board.profile.clone(),
            matrix: MatrixView::new(&self.matrix, &a),
            seed: self.run.seed,
            outcome: result.outcome,
            count: kept,
            decimation: result.plan.decimation,
            mean,
            check,
            offsets: result.offsets.clone(),
            covariance_error: relative_error(&covariance, &reference),
            statistical_error: ((trace * trace / square + 1.0) / kept as f64).sqrt(),
            law_error: relative_error(&result.law, &reference),
            calibration_error: result
                .calibration_sigma
                .as_ref()
                .map(|sigma| frobenius(sigma) / frobenius(&reference)),
            calibration_sigma: result.calibration_sigma.as_ref().map(|sigma| rows(sigma)),
            calibration: ready.calibration,
            samples: self.output.is_none().then(|| rows(&result.values)),
            shown: result.values.rows().into_iter().take(SHOWN).map(|row| row.to_vec()).collect(),
            files,
        })
    }
}

/// Why samples were not tested.
fn refused(error: &NormalityError) -> Failure {
    let exit = match error {
        NormalityError::TooFew { .. } => Exit::Usage,
        _ => Exit::Fault,
    };
    Failure::new(exit, error.to_string())
}

impl Answer for SampleAnswer {
    fn text(&self) -> String {
        let mut lines = vec![
            ("device", format!("{}, {}", self.uri, self.rung)),
            (
                "samples",
                format!(
                    "{}, {} ticks apart, seed {}",
                    count(self.count as u64),
                    self.decimation,
                    self.seed
                ),
            ),
            (
                "covariance",
                format!(
                    "{} off the digital inverse; {} is expected from so many samples of the exact \
                     law",
                    percent(self.covariance_error),
                    percent(self.statistical_error)
                ),
            ),
        ];
        lines.splice(1..1, self.calibration.facts());
        lines.push((
            "law",
            format!(
                "by the values used, as programmed, it is {} off (quantisation, staircase, rounding), which \
                 is in the samples; {}",
                percent(self.law_error),
                self.calibration_error.map_or_else(
                    || self.calibration.caveat().to_owned(),
                    |error| format!("the calibration's own uncertainty leaves {}", percent(error))
                )
            ),
        ));
        if self.mean.iter().any(|x| *x != 0.0) {
            let mean: Vec<String> = self.mean.iter().map(|x| digits(*x)).collect();
            lines.push(("mean", format!("{}: added by the host (digital)", mean.join(", "))));
        }
        if let Some(check) = &self.check {
            lines.extend(check.facts());
        }
        let about = facts(&lines);
        let rows: Vec<Vec<String>> =
            self.shown.iter().map(|row| row.iter().map(|x| digits(*x)).collect()).collect();
        let mut text = format!("Samples of N(μ, A⁻¹), A = {}\n{about}\n", self.matrix.line());
        text += &table(&vec![""; self.matrix.n], &rows);
        if self.count > self.shown.len() {
            text += &format!("  … {} more\n", count((self.count - self.shown.len()) as u64));
        }
        if self.outcome == Outcome::Cancelled {
            text += "\ncancelled: these are the samples from before\n";
        }
        text + &written_lines(&self.files)
    }

    fn exit(&self) -> Exit {
        if self.outcome == Outcome::Cancelled {
            Exit::Cancelled
        } else if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else if self.check.as_ref().is_some_and(|check| !check.passed()) {
            Exit::Disagreement
        } else {
            Exit::Success
        }
    }
}
