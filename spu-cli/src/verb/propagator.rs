//! `spu propagator`: how a board's voltages forget, from lagged covariances.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::invert::InvertOptions;
use spu_driver::linalg::relative_error;
use spu_driver::ops::propagator::{Lag, propagator};

use super::plan::MatrixView;
use super::{BudgetArgs, DeviceArg, MatrixArg, TimeoutArg, rows, rung};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Meter;
use crate::text::{count, digits, facts, si, table, uncertain_matrix};

/// Read the propagator K(τ) K(0)⁻¹ of a board's voltages, from lagged covariances
#[derive(Debug, Args)]
pub(crate) struct PropagatorVerb {
    #[command(flatten)]
    matrix: MatrixArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Lags, in ticks of the sample clock
    #[arg(long, value_name = "TICKS", value_delimiter = ',', default_value = "4,8,16,32")]
    lags: Vec<u32>,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Seed of the board's noise generators
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    timeout: TimeoutArg,
}

#[derive(Debug, Serialize)]
pub(crate) struct PropagatorAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibration_id: Option<u64>,
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
    covariance_volt2: Vec<Vec<f64>>,
    /// By the law of the board's model (digital).
    reference: Vec<Vec<f64>>,
    /// Relative Frobenius error against it.
    error: f64,
    largest_z: f64,
    /// t of exp(−t A⁻¹), the overdamped limit.
    exponent: f64,
    overdamped_distance: f64,
}

impl LagView {
    fn new(lag: &Lag) -> Self {
        Self {
            ticks: lag.ticks,
            seconds: lag.seconds,
            propagator: rows(&lag.propagator),
            half_widths: rows(&lag.half_widths),
            covariance_volt2: rows(&lag.covariance),
            reference: rows(&lag.reference),
            error: relative_error(&lag.propagator, &lag.reference),
            largest_z: lag.largest_z,
            exponent: lag.exponent,
            overdamped_distance: lag.overdamped_distance,
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
        let mut devices = [self.device.open()?];
        interrupt.watch(&devices);
        let [device] = &mut devices;
        let options = InvertOptions {
            budget: self.budget.budget(),
            seed: self.seed,
            timeout: self.timeout.timeout,
            ..InvertOptions::default()
        };
        let meter = Arc::new(Meter::new(1, json));
        let result = propagator(device.as_mut(), &a, &self.lags, &options, meter.as_ref());
        meter.finish();
        let result = result?;
        Ok(PropagatorAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            profile: result.board.profile.clone(),
            calibration_id: result.calibration,
            matrix: MatrixView::new(&self.matrix, &a),
            seed: self.seed,
            outcome: result.outcome,
            kept: result.kept,
            decimation: result.plan.decimation,
            batches: result.batches,
            lags: result.lags.iter().map(LagView::new).collect(),
        })
    }
}

impl Answer for PropagatorAnswer {
    fn text(&self) -> String {
        let calibration = super::calibration(self.calibration_id);
        let about = facts(&[
            ("device", format!("{}, {}, {calibration}", self.uri, self.rung)),
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
        ]);
        let mut text = format!(
            "Propagator K(τ) K(0)⁻¹ of the voltages, C ∝ A = {}\n{about}",
            self.matrix.line()
        );
        let lines: Vec<Vec<String>> = self
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
                ]
            })
            .collect();
        let header = ["ticks", "τ", "error", "largest z", "t", "off exp(−t A⁻¹)"];
        text += &format!("\n{}", table(&header, &lines));
        for lag in &self.lags {
            let (_, shown) = uncertain_matrix(&lag.propagator, &lag.half_widths);
            text += &format!("\n{} ticks, ± 95 %, statistical\n", lag.ticks);
            text += &table(&vec![""; self.matrix.n], &shown);
        }
        text + &super::cancelled_line(self.outcome)
    }

    fn exit(&self) -> Exit {
        super::exit_of(self.outcome)
    }
}
