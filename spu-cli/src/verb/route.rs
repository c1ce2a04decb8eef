//! The option `--route`, and refinement of an inverse, for the verbs that invert.

use clap::{Args, ValueEnum};
use ndarray::Array2;
use serde::Serialize;
use spu_driver::linalg::relative_error;
use spu_driver::refine::{RefineMethod, Refinement, Work};
use spu_driver::route::{Route, RouteChoice};

use super::rows;
use crate::text::{counted, duration, facts, percent, si};

/// How the matrix comes onto the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RouteName {
    /// The best by predicted error
    Auto,
    /// As it is
    Direct,
    /// By diagonal scaling
    Scaled,
    /// By tridiagonalisation: takes every symmetric positive definite matrix
    Tridiagonal,
    /// A part that the board can hold; the rest by refinement (with --refine only)
    Splitting,
}

/// Which route.
#[derive(Debug, Args)]
pub(crate) struct RouteArg {
    /// How the matrix comes onto the board; `spu plan` compares the routes
    #[arg(long, value_enum, value_name = "ROUTE", default_value_t = RouteName::Auto)]
    route: RouteName,
}

impl RouteArg {
    /// The driver's choice; a result that is refined wants another best route.
    pub(crate) fn choice(&self, refined: bool) -> RouteChoice {
        match self.route {
            RouteName::Auto if refined => RouteChoice::Refined,
            RouteName::Auto => RouteChoice::Auto,
            RouteName::Direct => RouteChoice::Only(Route::Direct),
            RouteName::Scaled => RouteChoice::Only(Route::Scaled),
            RouteName::Tridiagonal => RouteChoice::Only(Route::Tridiagonal),
            RouteName::Splitting => RouteChoice::Only(Route::Splitting),
        }
    }

    /// True where only a refined result makes sense.
    pub(crate) fn needs_refinement(&self) -> bool {
        self.route == RouteName::Splitting
    }
}

/// How a route is called in text.
pub(crate) fn route_text(route: Route) -> &'static str {
    match route {
        Route::Direct => "direct: the matrix as it is",
        Route::Scaled => "scaled: D A D",
        Route::Tridiagonal => "tridiagonal: A = Q T Qᵀ, D T D on the board",
        Route::Splitting => "splitting: a matrix M ≽ A on the board",
    }
}

/// How an inverse is refined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// X ← X (2 I − A X): digital, board-started
    NewtonSchulz,
    /// X ← X + B (I − A X), B a new read of the board each round
    FreshReads,
}

impl From<MethodName> for RefineMethod {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::NewtonSchulz => Self::NewtonSchulz,
            MethodName::FreshReads => Self::FreshReads,
        }
    }
}

/// A refined inverse.
#[derive(Debug, Serialize)]
pub(crate) struct RefineView {
    pub(crate) tolerance: f64,
    pub(crate) method: RefineMethod,
    /// What the result may be called.
    pub(crate) label: &'static str,
    /// `‖I − A X‖` (Frobenius), which bounds the relative error, at the start and after each step.
    pub(crate) residuals: Vec<f64>,
    pub(crate) digital: Work,
    pub(crate) digital_s: f64,
    /// Reads of the board that followed the first.
    pub(crate) reads: usize,
    /// Ticks of them.
    pub(crate) read_ticks: u64,
    /// Digital work of them: planning, read-out and what lies between blocks.
    pub(crate) read_flops: u64,
    /// Newton–Schulz from Aᵀ/(‖A‖₁‖A‖∞) to the same tolerance, all digital.
    pub(crate) from_digital_start: Option<Work>,
    /// A digital inverse by Cholesky factorisation.
    pub(crate) cholesky_flops: u64,
    pub(crate) error_against_reference: f64,
    pub(crate) inverse: Vec<Vec<f64>>,
}

impl RefineView {
    pub(crate) fn new(refined: &Refinement, tolerance: f64, reference: &Array2<f64>) -> Self {
        Self {
            tolerance,
            method: refined.method,
            label: refined.method.label(),
            residuals: refined.residuals.clone(),
            digital: refined.work,
            digital_s: refined.digital_wall.as_secs_f64(),
            reads: refined.reads.len(),
            read_ticks: refined.reads.iter().map(|read| read.ticks.0).sum(),
            read_flops: refined.reads.iter().map(|read| read.flops.total()).sum(),
            from_digital_start: refined.from_digital_start,
            cholesky_flops: refined.cholesky_flops,
            error_against_reference: relative_error(&refined.inverse, reference),
            inverse: rows(&refined.inverse),
        }
    }

    /// The part of the text that tells of it.
    pub(crate) fn text(&self) -> String {
        let (first, last) = (self.residuals.first().copied(), self.residuals.last().copied());
        let residual = |x: Option<f64>| x.map_or("–".into(), |x| format!("{x:.1e}"));
        let mut all = vec![
            (
                "residual",
                format!(
                    "‖I − A X‖ from {} to {} (asked: {:.0e}); it bounds the relative error",
                    residual(first),
                    residual(last),
                    self.tolerance
                ),
            ),
            (
                "digital",
                format!(
                    "{}, {} in {}",
                    counted(self.digital.steps, "step", "steps"),
                    flops(self.digital.flops),
                    duration(self.digital_s)
                ),
            ),
        ];
        if self.reads > 0 {
            all.push((
                "board",
                format!(
                    "{} after the first, with {} of digital work of their own (planning, read-out)",
                    counted(self.reads, "read", "reads"),
                    flops(self.read_flops)
                ),
            ));
        }
        let start = match self.from_digital_start {
            None => "does not get there".into(),
            Some(work) => {
                format!("{}, {}", counted(work.steps, "step", "steps"), flops(work.flops))
            }
        };
        all.push((
            "compare",
            format!(
                "Newton–Schulz from Aᵀ/(‖A‖₁‖A‖∞): {start}; inverse by Cholesky factorisation: {}",
                flops(self.cholesky_flops)
            ),
        ));
        all.push((
            "error",
            format!("{} against the digital reference", percent(self.error_against_reference)),
        ));
        format!("\nRefined: {}\n{}", self.label, facts(&all))
    }
}

/// A number of floating-point operations.
pub(crate) fn flops(number: u64) -> String {
    if number < 1000 { format!("{number} flops") } else { si(number as f64, "flops") }
}

/// `5.0 % (quantisation 4 %, samples 3 %)`.
pub(crate) fn error_parts(quantisation: f64, statistical: f64) -> String {
    format!(
        "{} (quantisation {}, samples {})",
        percent(quantisation.hypot(statistical)),
        percent(quantisation),
        percent(statistical)
    )
}
