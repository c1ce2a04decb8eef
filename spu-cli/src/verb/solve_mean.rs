//! `spu solve` on a board of RC cells: its mean is the solution.

use std::time::Instant;

use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::matrix::SpdMatrix;
use spu_driver::rc::{
    MeanSolution, RcCalibrateOptions, RelaxOptions, Relaxer, calibrate, solve_by_mean,
};

use super::calibrated::Ready;
use super::plan::MatrixView;
use super::route::flops;
use super::solve::{off_digital, plain, x_lines};
use super::{Written, written_lines};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::text::{count, counted, duration, facts, percent};

/// Result of a solution by the mean.
#[derive(Debug, Serialize)]
pub(crate) struct MeanAnswer {
    pub(crate) matrix: MatrixView,
    pub(crate) vector: String,
    rung: &'static str,
    uris: Vec<String>,
    board: BoardInfo,
    by: &'static str,
    tolerance: Option<f64>,
    #[serde(flatten)]
    solution: MeanSolution,
    /// Relative error against the digital solution.
    error_against_reference: f64,
    calibration_ticks: u64,
    wall_s: f64,
    version: &'static str,
    pub(crate) files: Vec<Written>,
}

impl MeanAnswer {
    /// x.
    pub(crate) fn x(&self) -> &[f64] {
        &self.solution.x
    }
}

/// Measures the board, then solves.
pub(crate) fn solve(
    ready: &mut Ready,
    (view, vector): (MatrixView, String),
    a: &SpdMatrix,
    b: &[f64],
    tolerance: Option<f64>,
) -> Result<MeanAnswer, Failure> {
    let started = Instant::now();
    let (rung, uris) = (ready.rung(), ready.uris());
    let defaults = RcCalibrateOptions::default();
    let timeout = ready.options.timeout.unwrap_or(defaults.timeout);
    let seed = ready.options.seed;
    let device = ready.device();
    let calibrated = calibrate(device, &RcCalibrateOptions { timeout, seed, ..defaults })?;
    let board = device.info().clone();
    let relaxer = Relaxer::new(&board, calibrated.model)?;
    let options = RelaxOptions { timeout, ..RelaxOptions::default() };
    let solution = solve_by_mean(device, &relaxer, a, b, tolerance, &options)?;
    let wall_s = started.elapsed().as_secs_f64();
    Ok(MeanAnswer {
        matrix: view,
        vector,
        rung,
        uris,
        board,
        by: "mean",
        tolerance,
        error_against_reference: off_digital(a, b.to_vec(), &solution.x),
        solution,
        calibration_ticks: calibrated.ticks,
        wall_s,
        version: env!("CARGO_PKG_VERSION"),
        files: Vec::new(),
    })
}

impl Answer for MeanAnswer {
    fn text(&self) -> String {
        let MeanSolution { x, residuals, error_bound, tridiagonalised, held_error, .. } =
            &self.solution;
        let residual = residuals.last().copied().unwrap_or(0.0);
        let form = if *tridiagonalised { "its tridiagonal form" } else { "the matrix" };
        let mut all = vec![
            ("device", format!("{}, {}", self.uris.join(", "), self.rung)),
            (
                "board",
                format!(
                    "holds {form} to {}; measured first, {} ticks",
                    percent(*held_error),
                    count(self.calibration_ticks)
                ),
            ),
            (
                "residual",
                format!(
                    "‖b − A x‖ / ‖b‖ = {residual:.1e}, so x is at most {} off; {} off the digital \
                     solution",
                    percent(*error_bound),
                    percent(self.error_against_reference)
                ),
            ),
        ];
        if self.tolerance.is_some() {
            let passes: Vec<String> = residuals.iter().map(|left| format!("{left:.1e}")).collect();
            all.push((
                "refined",
                format!("residual after each pass of the board: {}", passes.join(", ")),
            ));
        }
        all.push((
            "work",
            format!(
                "{} of the board, {} ticks; transformation and residuals {}, digital",
                counted(self.solution.runs as usize, "run", "runs"),
                count(self.solution.ticks),
                flops(self.solution.flops)
            ),
        ));
        format!(
            "Solution of A x = b by the mean, A = {}, b = {}\n{}\nx\n{}\n{} in all\n{}",
            self.matrix.line(),
            self.vector,
            facts(&all),
            x_lines(x, |i| plain(x[i])),
            duration(self.wall_s),
            written_lines(&self.files)
        )
    }

    fn exit(&self) -> Exit {
        if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            Exit::Success
        }
    }
}
