//! `spu logdet`: the log-determinant of a matrix, read from a board.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::ops::logdet::{LogDetMethod, logdet};

use super::calibrated::RunArgs;
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::{BudgetArgs, MatrixArg};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Meter;
use crate::text::{count, counted, digits, facts};

/// Read the log-determinant of a matrix, log det A, from a board
#[derive(Debug, Args)]
pub(crate) struct LogDetVerb {
    #[command(flatten)]
    matrix: MatrixArg,
    /// How it is read [default: covariance on a calibrated board, else reference]
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Points of the quadrature, with --method integration
    #[arg(long, value_name = "N", default_value_t = 8)]
    nodes: u32,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// −log det of the measured inverse
    Covariance,
    /// The same, with drives set by the identity as read first on the same board
    Reference,
    /// Thermodynamic integration to a multiple of the identity
    Integration,
}

#[derive(Debug, Serialize)]
pub(crate) struct LogDetAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibration: CalibrationView,
    matrix: MatrixView,
    seed: u64,
    method: LogDetMethod,
    outcome: Outcome,
    /// log det A, natural logarithm.
    value: f64,
    standard_error: f64,
    /// 95 %, statistical only.
    half_width: f64,
    /// Standard deviation that the calibration's own uncertainty leaves.
    calibration_error: Option<f64>,
    /// Half width, 95 %: statistical, what the calibration leaves open, quantisation and quadrature.
    interval: f64,
    bias_removed: f64,
    bias_planned: f64,
    /// Squares of the cells' gains relative to the board's model.
    gains: Option<Vec<f64>>,
    quantisation: f64,
    quadrature: f64,
    /// Digital, to compare with.
    digital: f64,
    reads: usize,
    kept: u64,
    effective: f64,
}

impl LogDetVerb {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<LogDetAnswer, Failure> {
        let a = self.matrix.read()?;
        let mut ready = self.run.open(1, self.budget.budget(), interrupt)?;
        let options = ready.options.clone();
        // What calibration knows needs no reference, whose read adds its noise.
        let usual = if ready.calibration.holds() { Method::Covariance } else { Method::Reference };
        let method = match self.method.unwrap_or(usual) {
            Method::Covariance => LogDetMethod::Covariance,
            Method::Reference => LogDetMethod::Reference,
            Method::Integration => LogDetMethod::Integration { nodes: self.nodes },
        };
        let meter = Arc::new(Meter::new(1, json));
        let result = logdet(ready.device(), &a, method, &options, meter.as_ref());
        meter.finish();
        let result = result?;
        Ok(LogDetAnswer {
            uri: ready.device().uri().to_owned(),
            rung: ready.rung(),
            profile: ready.device().info().profile.clone(),
            matrix: MatrixView::new(&self.matrix, &a),
            seed: self.run.seed,
            calibration: ready.calibration,
            method: result.method,
            outcome: result.outcome,
            value: result.value,
            standard_error: result.standard_error,
            half_width: result.half_width,
            calibration_error: result.calibration_error,
            interval: result.interval,
            bias_removed: result.bias,
            bias_planned: result.bias_planned,
            gains: result.gains.clone(),
            quantisation: result.quantisation,
            quadrature: result.quadrature,
            digital: result.digital,
            reads: result.reads.len(),
            kept: result.reads.iter().map(|read| read.kept).sum(),
            effective: result.reads.iter().map(|read| read.effective_planned).sum(),
        })
    }
}

impl Answer for LogDetAnswer {
    fn text(&self) -> String {
        let method = match self.method {
            LogDetMethod::Covariance => "of the measured inverse".to_owned(),
            LogDetMethod::Reference => {
                "of the measured inverse, drives set by the identity's read".to_owned()
            }
            LogDetMethod::Integration { nodes } => {
                format!("thermodynamic integration, {nodes} points")
            }
        };
        let mut lines = vec![
            ("device", format!("{}, {}", self.uri, self.rung)),
            ("method", method),
            (
                "samples",
                format!(
                    "{} in {}, N_eff {}, seed {}",
                    count(self.kept),
                    counted(self.reads, "read", "reads"),
                    count(self.effective.round() as u64),
                    self.seed
                ),
            ),
            (
                "log det A",
                format!("{:.4} ± {:.4} (95 %, statistical)", self.value, self.half_width),
            ),
        ];
        lines.splice(1..1, self.calibration.facts());
        lines.push((
            "interval",
            match self.calibration_error {
                Some(sigma) => format!(
                    "± {:.4} (95 %) with the calibration's own uncertainty, σ {}, and the known errors",
                    self.interval,
                    digits(sigma)
                ),
                None => format!(
                    "± {:.4} (95 %) with the known errors; {}",
                    self.interval,
                    self.calibration.caveat()
                ),
            },
        ));
        if let Some(gains) = &self.gains {
            let (low, high) = gains
                .iter()
                .fold((f64::INFINITY, 0.0_f64), |(low, high), x| (x.min(low), x.max(high)));
            lines.push((
                "gains",
                format!(
                    "{} to {} of the model's by the identity's read; drives set by them{}",
                    digits(low.sqrt()),
                    digits(high.sqrt()),
                    if self.calibration.holds() {
                        ". The calibration knew them: --method covariance has no noise of a \
                         second read"
                    } else {
                        ""
                    }
                ),
            ));
        }
        lines.push((
            "known errors",
            format!(
                "quantisation {}, quadrature {}; bias taken off {} (digamma formula {})",
                digits(self.quantisation),
                digits(self.quadrature),
                digits(self.bias_removed),
                digits(self.bias_planned)
            ),
        ));
        lines.push((
            "digital",
            format!(
                "{:.4}; the result is off by {} ({} standard errors)",
                self.digital,
                digits(self.value - self.digital),
                digits((self.value - self.digital) / self.standard_error)
            ),
        ));
        let mut text = format!("Log-determinant of {}\n{}", self.matrix.line(), facts(&lines));
        text += &super::cancelled_line(self.outcome);
        text
    }

    fn exit(&self) -> Exit {
        super::exit_of(self.outcome)
    }
}
