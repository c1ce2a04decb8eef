//! `spu solve`: solves A x = b by the inverse that boards give.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use ndarray::Array2;
use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::blocks::Boards;
use spu_driver::matrix::SpdMatrix;
use spu_driver::refine::{VectorMethod, Work};
use spu_driver::solve::{Solution, SolveRefinement, solve};
use spu_protocol::payload::info::BoardKind;

use super::blocks_view::{BlocksView, block_intervals};
use super::calibrated::{Ready, RunArgs};
use super::calibration_view::CalibrationView;
use super::mitigate::MitigateArg;
use super::plan::MatrixView;
use super::route::{RouteArg, flops};
use super::solve_mean::{self, MeanAnswer};
use super::{BudgetArgs, MatrixArg, Written, written_lines};
use crate::answer::{Answer, Either};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file::{self, Shaped};
use crate::progress::Meter;
use crate::text::{counted, facts, percent, table, uncertain_matrix, wrapped};

/// Entries that the text shows.
const SHOWN: usize = 16;

/// Solve A x = b: an RLC board gives the inverse, by which the host multiplies; an RC board's mean is x
///
/// On an RC board the options of samples, copies, mitigation and routes do not apply: its cells relax to x,
/// of the matrix or of its tridiagonal form.
#[derive(Debug, Args)]
pub(crate) struct Solve {
    #[command(flatten)]
    matrix: MatrixArg,
    /// b, one column or one row: .mtx (Matrix Market), .npy (of one dimension too) or .csv
    vector: PathBuf,
    /// Copies of the board that share the samples
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    copies: u8,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    mitigate: MitigateArg,
    #[command(flatten)]
    route: RouteArg,
    /// Refine x until ‖b − A x‖ is at most TOL times ‖b‖, e.g. 1e-6
    #[arg(long, value_name = "TOL")]
    refine: Option<f64>,
    /// How it is refined
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = MethodName::ConjugateGradient, requires = "refine")]
    refine_by: MethodName,
    /// Write x, one column: .npy, .mtx or .csv
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// How a solution is refined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// Flexible conjugate gradients with the board's inverse as preconditioner
    ConjugateGradient,
    /// x ← x + B (b − A x)
    IterativeRefinement,
}

impl From<MethodName> for VectorMethod {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::ConjugateGradient => Self::ConjugateGradient,
            MethodName::IterativeRefinement => Self::IterativeRefinement,
        }
    }
}

/// Result of a solution.
#[derive(Debug, Serialize)]
pub(crate) struct SolveAnswer {
    matrix: MatrixView,
    vector: String,
    rung: &'static str,
    uris: Vec<String>,
    board: BoardInfo,
    calibration: CalibrationView,
    /// How the inverse came about.
    inverse: BlocksView,
    x: Vec<f64>,
    /// 95 %, of calibrated boards with systematic errors, else statistical; none once it is refined.
    half_widths: Option<Vec<f64>>,
    statistical_half_widths: Option<Vec<f64>>,
    /// `‖b − A x‖ / ‖b‖`.
    residual: f64,
    /// Bound of the relative error of x, condition number times residual.
    error_bound: f64,
    /// Relative error against the digital solution.
    error_against_reference: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refinement: Option<SolveRefinementView>,
    digital_flops: u64,
    digital_s: f64,
    intervals: String,
    seed: u64,
    wall_s: f64,
    version: &'static str,
    files: Vec<Written>,
}

/// How a solution was refined.
#[derive(Debug, Serialize)]
struct SolveRefinementView {
    tolerance: f64,
    method: VectorMethod,
    /// `‖b − A x‖ / ‖b‖` at the start and after each step.
    residuals: Vec<f64>,
    digital: Work,
    /// Plain conjugate gradients to the same tolerance, all digital.
    conjugate_gradient: Option<Work>,
}

impl Solve {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<Solved, Failure> {
        if let Some(path) = &self.output {
            matrix_file::Format::of(path)?;
            matrix_file::check_writable(path)?;
        }
        if let Some(tolerance) = self.refine {
            super::check_tolerance(tolerance)?;
        }
        let refine = self
            .refine
            .map(|tolerance| SolveRefinement { tolerance, method: self.refine_by.into() });
        if self.route.needs_refinement() && refine.is_none() {
            return Err(Failure::usage(
                "by splitting the board holds another matrix; add --refine TOL, or take another route",
            ));
        }
        let a = self.matrix.read()?;
        let b = read_vector(&self.vector)?;
        self.mitigate.check()?;
        let mut ready = self.run.open(usize::from(self.copies), self.budget.budget(), interrupt)?;
        if ready.device().info().kind() == BoardKind::Rc {
            return self.by_mean(&mut ready, &a, &b);
        }
        interrupt.says(super::blocks_view::ON_INTERRUPT);
        let options = self.mitigate.apply(ready.options.clone());
        let meter = Meter::new(ready.devices.len(), json);
        let uris = ready.uris();
        let mut boards = Boards::new(&mut ready.devices, options).by(self.route.choice(false));
        let started = Instant::now();
        let solution = solve(&mut boards, &a, &b, refine, &meter);
        meter.finish();
        let solution = solution?;
        let wall_s = started.elapsed().as_secs_f64() + ready.calibration.wall_s();
        let files = self.write(&solution.x);
        Ok(Solved::First(Box::new(SolveAnswer {
            matrix: MatrixView::new(&self.matrix, &a),
            vector: self.vector.display().to_string(),
            rung: ready.rung(),
            uris,
            board: solution.inversion.board.clone(),
            inverse: BlocksView::new(&solution.inversion),
            residual: solution.residual,
            error_bound: solution.error_bound,
            error_against_reference: off_digital(&a, b, &solution.x),
            refinement: refine.and_then(|refine| SolveRefinementView::new(&solution, refine)),
            digital_flops: solution.flops,
            digital_s: solution.digital_wall.as_secs_f64(),
            intervals: block_intervals(
                &ready.calibration,
                solution.inversion.calibration_sd.is_some(),
            ),
            calibration: ready.calibration,
            half_widths: match solution.inversion.calibration_sd {
                Some(_) => solution.intervals,
                None => solution.half_widths.clone(),
            },
            statistical_half_widths: solution.half_widths,
            x: solution.x,
            seed: self.run.seed,
            wall_s,
            version: env!("CARGO_PKG_VERSION"),
            files,
        })))
    }

    fn by_mean(&self, ready: &mut Ready, a: &SpdMatrix, b: &[f64]) -> Result<Solved, Failure> {
        let BudgetArgs { samples, effective, decimation } = self.budget;
        let sampled = samples.is_some() || effective.is_some() || decimation.is_some();
        if sampled || self.copies > 1 {
            return Err(Failure::usage(
                "an RC board solves by its mean, on one copy and without samples; leave out --copies, \
                 --samples, --effective and --decimation",
            ));
        }
        let names = (MatrixView::new(&self.matrix, a), self.vector.display().to_string());
        let mut answer = solve_mean::solve(ready, names, a, b, self.refine)?;
        answer.files = self.write(answer.x());
        Ok(Solved::Second(Box::new(answer)))
    }

    fn write(&self, x: &[f64]) -> Vec<Written> {
        let column = |path: &PathBuf| {
            let column = Array2::from_shape_fn((x.len(), 1), |(i, _)| x[i]);
            Written::new(path, "x", matrix_file::write(path, &column))
        };
        self.output.iter().map(column).collect()
    }
}

/// A solution through the inverse, or by the mean.
pub(crate) type Solved = Either<SolveAnswer, MeanAnswer>;

impl SolveRefinementView {
    fn new(solution: &Solution, refine: SolveRefinement) -> Option<Self> {
        let refined = solution.refinement.as_ref()?;
        Some(Self {
            tolerance: refine.tolerance,
            method: refine.method,
            residuals: refined.residuals.clone(),
            digital: refined.work,
            conjugate_gradient: solution.conjugate_gradient,
        })
    }
}

/// How far x is off the digital solution, relative.
pub(super) fn off_digital(a: &SpdMatrix, b: Vec<f64>, x: &[f64]) -> f64 {
    let reference = a.digital_inverse().dot(&ndarray::Array1::from(b));
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(&mut reference.iter().copied());
    let off = norm(&mut x.iter().zip(&reference).map(|(x, y)| x - y));
    if size > 0.0 { off / size } else { off }
}

/// The first entries of x, as `entry` shows them, a line each.
pub(super) fn x_lines(x: &[f64], entry: impl Fn(usize) -> String) -> String {
    let cells: Vec<Vec<String>> = (0..x.len().min(SHOWN)).map(|i| vec![entry(i)]).collect();
    let more = x.len() - cells.len();
    let more = if more > 0 { format!("  … {more} more\n") } else { String::new() };
    table(&[""], &cells) + &more
}

/// An entry of x without error bar.
pub(super) fn plain(x: f64) -> String {
    format!("{x:.9e}")
}

/// Reads b: a vector, or a matrix of one column or one row.
fn read_vector(path: &Path) -> Result<Vec<f64>, Failure> {
    match matrix_file::read_vector_or_matrix(path)? {
        Shaped::Vector(entries) => Ok(entries),
        Shaped::Matrix(entries) => {
            let (rows, columns) = entries.dim();
            Err(Failure::new(
                Exit::Input,
                format!("{}: b is {rows} × {columns}; give one column or one row", path.display()),
            ))
        }
    }
}

impl Answer for SolveAnswer {
    fn text(&self) -> String {
        let mut all = vec![
            ("device", format!("{}, {}", self.uris.join(", "), self.rung)),
            (
                "residual",
                format!(
                    "‖b − A x‖ / ‖b‖ = {:.1e}, so x is at most {} off; {} off the digital solution",
                    self.residual,
                    percent(self.error_bound),
                    percent(self.error_against_reference)
                ),
            ),
        ];
        if let Some(refined) = &self.refinement {
            let plain = match refined.conjugate_gradient {
                None => "do not get there".into(),
                Some(work) => {
                    format!("{}, {}", counted(work.steps, "step", "steps"), flops(work.flops))
                }
            };
            all.push((
                "refined",
                format!(
                    "digital, board-started: {}, {} to {:.0e}; plain conjugate gradients, all \
                     digital: {plain}",
                    counted(refined.digital.steps, "step", "steps"),
                    flops(refined.digital.flops),
                    refined.tolerance
                ),
            ));
        } else {
            all.push((
                "product",
                format!("with its residual {}, digital", flops(self.digital_flops)),
            ));
        }
        all.splice(1..1, self.calibration.facts());
        all.extend(self.inverse.facts());
        let (scale, lines) = if let Some(widths) = &self.half_widths {
            let shown = self.x.len().min(SHOWN);
            let column = |values: &[f64]| -> Vec<Vec<f64>> {
                values[..shown].iter().map(|x| vec![*x]).collect()
            };
            let (power, cells) = uncertain_matrix(&column(&self.x), &column(widths));
            let scale = if power == 0 { String::new() } else { format!(" × 10^{power}") };
            (
                format!("x{scale} (0.412(13) is 0.412 ± 0.013, 95 %)"),
                x_lines(&self.x, |i| cells[i][0].clone()),
            )
        } else {
            ("x".into(), x_lines(&self.x, |i| plain(self.x[i])))
        };
        let unrefined = if self.half_widths.is_some() {
            wrapped(&self.intervals, "") + "\n"
        } else {
            String::new()
        };
        format!(
            "Solution of A x = b, A = {}, b = {}\n{}\n{scale}\n{lines}\n{unrefined}{}{}{}",
            self.matrix.line(),
            self.vector,
            facts(&all),
            self.inverse.time_text(self.wall_s),
            self.calibration.time_line(),
            written_lines(&self.files)
        )
    }

    fn exit(&self) -> Exit {
        if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            self.inverse.exit()
        }
    }
}
