//! `spu lyapunov`: solves a Lyapunov equation with a board that is driven unequally.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::ops::lyapunov::lyapunov;

use super::calibrated::RunArgs;
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::{BudgetArgs, MatrixArg, Written, read_vector, rows};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file;
use crate::progress::Meter;
use crate::text::{count, digits, facts, percent, table, uncertain_matrix};

/// Solve A X + X A = diag(q) with the covariance of a board that is driven unequally
#[derive(Debug, Args)]
pub(crate) struct LyapunovVerb {
    #[command(flatten)]
    matrix: MatrixArg,
    /// The diagonal q, one value a row of A, none negative: .csv, .npy or .mtx
    #[arg(long, value_name = "FILE")]
    q: PathBuf,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Write the solution: .npy, .mtx or .csv
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Serialize)]
pub(crate) struct LyapunovAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibration: CalibrationView,
    matrix: MatrixView,
    q: Vec<f64>,
    q_applied: Vec<f64>,
    seed: u64,
    outcome: Outcome,
    kept: u64,
    solution: Vec<Vec<f64>>,
    /// 95 %, statistical only.
    half_widths: Vec<Vec<f64>>,
    /// Standard deviations by the calibration's own uncertainty.
    calibration_sigma: Option<Vec<Vec<f64>>>,
    /// What the quantisation of banks and gain codes adds; it is in the solution.
    quantisation: Vec<Vec<f64>>,
    /// Half widths, 95 %: statistical, what the calibration leaves open, and quantisation.
    intervals: Vec<Vec<f64>>,
    /// Relative Frobenius norms of `quantisation` and of `calibration_sigma`.
    #[serde(skip)]
    quantisation_share: f64,
    #[serde(skip)]
    calibration_share: Option<f64>,
    /// Of A X + X A + γ [A, [A, X]] = diag(q), as the board solves it.
    board_solution: Vec<Vec<f64>>,
    gamma: f64,
    /// Relative Frobenius distance of the two.
    correction: f64,
    statistical_error: f64,
    /// Digital, to compare with.
    digital: Vec<Vec<f64>>,
    /// Relative Frobenius error against it.
    error: f64,
    covariance_volt2: Vec<Vec<f64>>,
    reference_volt2: Vec<Vec<f64>>,
    /// Largest distance of an entry of the covariance to its reference, in standard deviations by samples
    /// and calibration.
    largest_z: f64,
    files: Vec<Written>,
}

impl LyapunovVerb {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<LyapunovAnswer, Failure> {
        if let Some(path) = &self.output {
            matrix_file::Format::of(path)?;
            matrix_file::check_writable(path)?;
        }
        let a = self.matrix.read()?;
        let q = read_vector(&self.q, a.n())?;
        let mut ready = self.run.open(1, self.budget.budget(), interrupt)?;
        let options = ready.options.clone();
        let meter = Arc::new(Meter::new(1, json));
        let result = lyapunov(ready.device(), &a, &q, &options, meter.as_ref());
        meter.finish();
        let result = result?;
        let files = self
            .output
            .iter()
            .map(|path| Written::new(path, "solution", matrix_file::write(path, &result.solution)))
            .collect();
        let size = frobenius(&result.solution);
        Ok(LyapunovAnswer {
            uri: ready.device().uri().to_owned(),
            rung: ready.rung(),
            profile: result.board.profile.clone(),
            matrix: MatrixView::new(&self.matrix, &a),
            q,
            q_applied: result.applied.clone(),
            seed: self.run.seed,
            outcome: result.outcome,
            kept: result.kept,
            solution: rows(&result.solution),
            half_widths: rows(&result.half_widths),
            calibration_sigma: result.systematic.calibration.as_ref().map(|sigma| rows(sigma)),
            quantisation: rows(&result.systematic.quantisation),
            intervals: rows(&result.intervals),
            quantisation_share: frobenius(&result.systematic.quantisation) / size,
            calibration_share: result.systematic.calibration.map(|sigma| frobenius(&sigma) / size),
            board_solution: rows(&result.board_solution),
            gamma: result.gamma,
            correction: result.correction,
            statistical_error: result.statistical_error,
            digital: rows(&result.digital),
            error: relative_error(&result.solution, &result.digital),
            covariance_volt2: rows(&result.covariance),
            reference_volt2: rows(&result.reference),
            largest_z: result.largest_z,
            calibration: ready.calibration,
            files,
        })
    }
}

impl Answer for LyapunovAnswer {
    fn text(&self) -> String {
        let mut lines = vec![
            ("device", format!("{}, {}", self.uri, self.rung)),
            ("samples", format!("{}, seed {}", count(self.kept), self.seed)),
            (
                "the board's own",
                format!(
                    "equation has + γ [A, [A, X]], γ = {} (currents of its inductors); factors of \
                     each pair of modes, applied by the host, take it off: {} of the solution",
                    digits(self.gamma),
                    percent(self.correction)
                ),
            ),
            (
                "digital",
                format!(
                    "the solution is off the host's by {}; {} is left by so many samples",
                    percent(self.error),
                    percent(self.statistical_error)
                ),
            ),
            (
                "covariance",
                format!(
                    "{} standard deviations, at most, off the law of the board's model",
                    digits(self.largest_z)
                ),
            ),
        ];
        lines.splice(1..1, self.calibration.facts());
        lines.push((
            "known errors",
            format!(
                "quantisation of banks and gain codes {} of the solution; the calibration's own uncertainty \
                 {}",
                percent(self.quantisation_share),
                self.calibration_share.map_or_else(|| "not known".to_owned(), percent)
            ),
        ));
        let about = facts(&lines);
        let (widths, which) = match self.calibration_sigma {
            Some(_) => (&self.intervals, "95 % with calibration and quantisation".to_owned()),
            None => {
                (&self.half_widths, format!("95 %, statistical; {}", self.calibration.caveat()))
            }
        };
        let (power, shown) = uncertain_matrix(&self.solution, widths);
        let unit = if power == 0 { String::new() } else { format!(", in 1e{power}") };
        let mut text = format!(
            "Solution X of A X + X A = diag(q), A = {}\n{about}\nX ± {which}{unit}\n{}",
            self.matrix.line(),
            table(&vec![""; self.matrix.n], &shown)
        );
        text += &super::cancelled_line(self.outcome);
        text + &super::written_lines(&self.files)
    }

    fn exit(&self) -> Exit {
        match super::exit_of(self.outcome) {
            Exit::Success if self.files.iter().any(|file| file.error.is_some()) => Exit::Output,
            other => other,
        }
    }
}
