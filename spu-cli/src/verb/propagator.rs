//! `spu propagator`: how a board's voltages forget, from lagged covariances.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::linalg::relative_error;
use spu_driver::ops::propagator::{Lag, propagator};

use super::calibrated::RunArgs;
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::{BudgetArgs, MatrixArg, rows};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Meter;
use crate::text::{count, digits, facts, percent, si, table, uncertain_matrix};

/// Read the propagator K(τ) K(0)⁻¹ of a board's voltages, from lagged covariances
#[derive(Debug, Args)]
pub(crate) struct PropagatorVerb {
    #[command(flatten)]
    matrix: MatrixArg,
    /// Lags, in ticks of the sample clock
    #[arg(long, value_name = "TICKS", value_delimiter = ',', default_value = "4,8,16,32")]
    lags: Vec<u32>,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Serialize)]
pub(crate) struct PropagatorAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibration: CalibrationView,
    matrix: MatrixView,
    seed: u64,
    outcome: Outcome,
    kept: u64,
    decimation: u32,
    batches: usize,
    lags: Vec<LagView>,
}

#[derive(Debug, Serialize)]
struct LagView {
    ticks: u32,
    seconds: f64,
    propagator: Vec<Vec<f64>>,
    /// 95 %, statistical only.
    half_widths: Vec<Vec<f64>>,
    /// Standard deviations by the calibration's own uncertainty.
    calibration_sigma: Option<Vec<Vec<f64>>>,
    /// Half widths, 95 %: statistical, and what the calibration leaves open.
    intervals: Vec<Vec<f64>>,
    covariance_volt2: Vec<Vec<f64>>,
    /// By the law of the board's model (digital).
    reference: Vec<Vec<f64>>,
    /// Relative Frobenius error against it.
    error: f64,
    largest_z: f64,
    /// t of exp(−t A⁻¹), the overdamped limit.
    exponent: f64,
    overdamped_distance: f64,
    /// Relative Frobenius distance of `reference` to equal cells that hold A itself (digital).
    asked_distance: f64,
}

impl LagView {
    fn new(lag: &Lag) -> Self {
        Self {
            ticks: lag.ticks,
            seconds: lag.seconds,
            propagator: rows(&lag.propagator),
            half_widths: rows(&lag.half_widths),
            calibration_sigma: lag.calibration.as_ref().map(|sigma| rows(sigma)),
            intervals: rows(&lag.intervals),
            covariance_volt2: rows(&lag.covariance),
            reference: rows(&lag.reference),
            error: relative_error(&lag.propagator, &lag.reference),
            largest_z: lag.largest_z,
            exponent: lag.exponent,
            overdamped_distance: lag.overdamped_distance,
            asked_distance: lag.asked_distance,
        }
    }
}

impl PropagatorVerb {
    pub(crate) fn run(
        &self,
        interrupt: &Interrupt,
        json: bool,
    ) -> Result<PropagatorAnswer, Failure> {
        let a = self.matrix.read()?;
        let mut ready = self.run.open(1, self.budget.budget(), interrupt)?;
        let options = ready.options.clone();
        let meter = Arc::new(Meter::new(1, json));
        let result = propagator(ready.device(), &a, &self.lags, &options, meter.as_ref());
        meter.finish();
        let result = result?;
        Ok(PropagatorAnswer {
            uri: ready.device().uri().to_owned(),
            rung: ready.rung(),
            profile: result.board.profile.clone(),
            matrix: MatrixView::new(&self.matrix, &a),
            seed: self.run.seed,
            outcome: result.outcome,
            kept: result.kept,
            decimation: result.plan.decimation,
            batches: result.batches,
            lags: result.lags.iter().map(LagView::new).collect(),
            calibration: ready.calibration,
        })
    }
}

impl Answer for PropagatorAnswer {
    fn text(&self) -> String {
        let mut lines = vec![
            ("device", format!("{}, {}", self.uri, self.rung)),
            (
                "samples",
                format!(
                    "{}, {} ticks apart, in {} batches, seed {}",
                    count(self.kept),
                    self.decimation,
                    self.batches,
                    self.seed
                ),
            ),
            ("digital", "products of codes; the law of the board's model to compare with".into()),
        ];
        lines.splice(1..1, self.calibration.facts());
        let calibrated = self.lags.iter().all(|lag| lag.calibration_sigma.is_some());
        let held = if calibrated {
            "statistical error and what the calibration leaves open of the converters' gains"
                .to_owned()
        } else {
            format!("statistical error; {}", self.calibration.caveat())
        };
        lines.push((
            "intervals",
            format!(
                "{held}. The propagator is the board's own: unlike R and L and the banks' quantisation are \
                 in it (off A, by the values used)"
            ),
        ));
        let about = facts(&lines);
        let mut text = format!(
            "Propagator K(τ) K(0)⁻¹ of the voltages, C ∝ A = {}\n{about}",
            self.matrix.line()
        );
        let table_rows: Vec<Vec<String>> = self
            .lags
            .iter()
            .map(|lag| {
                vec![
                    lag.ticks.to_string(),
                    si(lag.seconds, "s"),
                    digits(lag.error),
                    digits(lag.largest_z),
                    digits(lag.exponent),
                    digits(lag.overdamped_distance),
                    percent(lag.asked_distance),
                ]
            })
            .collect();
        let header = ["ticks", "τ", "error", "largest z", "t", "off exp(−t A⁻¹)", "off A"];
        text += &format!("\n{}", table(&header, &table_rows));
        for lag in &self.lags {
            let (_, shown) = uncertain_matrix(&lag.propagator, &lag.intervals);
            text += &format!("\n{} ticks, ± 95 %\n", lag.ticks);
            text += &table(&vec![""; self.matrix.n], &shown);
        }
        text + &super::cancelled_line(self.outcome)
    }

    fn exit(&self) -> Exit {
        super::exit_of(self.outcome)
    }
}
