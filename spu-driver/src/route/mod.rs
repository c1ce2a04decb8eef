//! Routes by which a symmetric positive definite matrix comes onto a board, and the choice between
//! them.
//!
//! | route | the board holds | A⁻¹ is |
//! |---|---|---|
//! | [`Direct`](Route::Direct) | A, which is diagonally dominant with signs the couplings have | the covariance |
//! | [`Scaled`](Route::Scaled) | `D A D`, D positive and diagonal | `D (D A D)⁻¹ D` |
//! | [`Tridiagonal`](Route::Tridiagonal) | `D T D`, `A = Q T Qᵀ` (Householder), no entry of T beside the diagonal positive | `Q D (D T D)⁻¹ D Qᵀ` |
//! | [`Splitting`](Route::Splitting) | a matrix `M ≽ A` that can be programmed | the limit of `X ← X + M⁻¹ (I − A X)` |
//!
//! T is a nonsingular M-matrix whenever A is positive definite, so some positive D makes `D T D`
//! diagonally dominant: the tridiagonal route takes every such matrix to a passive board without
//! signs, and it uses no more than n − 1 couplings. What a route costs is quantisation of the banks
//! and, by transformations, digital work; both are predicted before anything runs.

mod splitting;
mod tridiagonal;

use std::time::Instant;

use ndarray::Array2;
use serde::Serialize;

use crate::device::{BoardInfo, Device};
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress, invert_planned};
use crate::linalg::large::{contraction, symmetrised};
use crate::linalg::tridiagonal::tridiagonalise_flops;
use crate::linalg::{product, relative_error, solve};
use crate::matrix::SpdMatrix;
use crate::plan::InversionPlan;
use crate::scaling::Scaling;

/// How many times smaller the predicted error of a transformed matrix must be before it is
/// preferred to the matrix itself: a transformation is digital work, and spreads that no plan knows
/// enter through it.
pub const TRANSFORM_MARGIN: f64 = 1.5;

/// How a matrix comes onto a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// As it is.
    Direct,
    /// By diagonal scaling.
    Scaled,
    /// By tridiagonalisation, then scaling.
    Tridiagonal,
    /// A part of it; the rest by refinement.
    Splitting,
}

impl Route {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Scaled, Self::Tridiagonal, Self::Splitting];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Scaled => "scaled",
            Self::Tridiagonal => "tridiagonal",
            Self::Splitting => "splitting",
        }
    }
}

/// Which route to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChoice {
    /// The best by predicted error of the inverse that the board alone gives.
    #[default]
    Auto,
    /// The one whose result refinement improves fastest.
    Refined,
    /// This one.
    Only(Route),
}

impl RouteChoice {
    fn allows(self, route: Route) -> bool {
        match self {
            Self::Auto => route != Route::Splitting,
            Self::Refined => true,
            Self::Only(only) => route == only,
        }
    }
}

/// A route that a result came by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Taken {
    /// The route.
    pub route: Route,
    /// Relative Frobenius error of the inverse that quantising the banks leaves, by nominal
    /// values.
    pub quantisation_error: f64,
    /// Floating-point operations of transforming the matrix and its inverse, error bars included:
    /// digital.
    pub flops: u64,
}

impl Taken {
    /// Of a plan without transformation.
    pub(crate) fn by_scaling(plan: &InversionPlan) -> Self {
        Self {
            route: if plan.scaling == Scaling::None { Route::Direct } else { Route::Scaled },
            quantisation_error: plan.quantisation_error,
            flops: 0,
        }
    }
}

/// A route that a board can take for a matrix, and what it will cost.
#[derive(Debug, Clone)]
pub struct RoutePlan {
    /// The route.
    pub route: Route,
    /// The matrix that the board's program stands for, `n × n`.
    pub on_board: SpdMatrix,
    /// Codes, settling and sampling, one of each programming.
    pub plans: Vec<InversionPlan>,
    /// Coordinates of the matrix on the board.
    pub basis: Basis,
    /// Relative Frobenius error of the inverse that quantising the banks leaves, by nominal
    /// values. By splitting, what is left out counts too.
    pub quantisation_error: f64,
    /// Relative Frobenius error of the inverse that the samples leave, expected.
    pub statistical_error: f64,
    /// Factor by which one step of refinement shrinks the error, expected: the spectral radius of
    /// `I − B A` for the board's inverse B. Refinement fails where it is not below 1.
    pub contraction: f64,
    /// Ticks on the board.
    pub ticks: u64,
    /// The same in seconds, at the board's sample clock.
    pub seconds: f64,
    /// Floating-point operations of the transformation there and back, without error bars.
    pub flops: u64,
}

impl RoutePlan {
    /// Relative Frobenius error of the inverse, expected: quantisation and samples.
    pub fn predicted_error(&self) -> f64 {
        self.quantisation_error.hypot(self.statistical_error)
    }

    fn new(
        route: Route,
        a: &SpdMatrix,
        on_board: SpdMatrix,
        basis: Basis,
        info: &BoardInfo,
        options: &InvertOptions,
    ) -> Result<Self, Error> {
        let scalings: &[Scaling] = match route {
            Route::Direct => &[Scaling::None],
            Route::Scaled => &[Scaling::UnitDiagonal, Scaling::Perron, Scaling::Resolvent],
            Route::Tridiagonal | Route::Splitting => &Scaling::ALL,
        };
        let model = options.model(info)?;
        let members = options.programmings.get();
        let mut plans = InversionPlan::ensemble_among(
            &on_board,
            info,
            &model,
            &options.budget,
            members,
            scalings,
        )?;
        for plan in &mut plans {
            plan.settling = options.settle;
        }
        let programmed = basis.restore(&programmed_inverse(&plans));
        let n = a.n();
        let ratio = n as f64 / plans.iter().map(|plan| plan.effective).sum::<f64>();
        // The largest eigenvalue of a whitened sample covariance is about (1 + √(n/N))² (Geman 1980).
        let noise = 2.0f64.mul_add(ratio.sqrt(), ratio);
        let bias = contraction(a.entries(), &programmed);
        let ticks = plans.iter().map(InversionPlan::ticks).sum();
        let squared: f64 = plans.iter().map(|plan| plan.predicted_error.powi(2)).sum();
        Ok(Self {
            route,
            quantisation_error: relative_error(&programmed, &exact_inverse(a)),
            statistical_error: squared.sqrt() / plans.len() as f64,
            contraction: (1.0 + bias).mul_add(noise, bias),
            ticks,
            seconds: ticks as f64 * info.sample_period_s(),
            flops: if basis.is_turned() { transform_flops(n) + restore_flops(n) } else { 0 },
            on_board,
            plans,
            basis,
        })
    }

    /// What a board of the values that were planned with would give for A⁻¹ without noise, `n × n`:
    /// digital.
    pub fn programmed_inverse(&self) -> Array2<f64> {
        self.basis.restore(&programmed_inverse(&self.plans))
    }

    /// Effective independent samples, all programmings together.
    pub fn effective(&self) -> f64 {
        self.plans.iter().map(|plan| plan.effective).sum()
    }

    /// Smaller is better.
    fn rank(&self, choice: RouteChoice) -> f64 {
        if choice == RouteChoice::Refined {
            return self.contraction;
        }
        let margin = if self.basis.is_turned() { TRANSFORM_MARGIN } else { 1.0 };
        self.predicted_error() * margin
    }
}

/// A route that a board cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impossible {
    /// The route.
    pub route: Route,
    /// Every reason.
    pub reasons: Vec<String>,
}

/// All routes for a matrix on a board.
#[derive(Debug, Clone)]
pub struct Routes {
    /// Those that it can take, the best by predicted error first.
    pub usable: Vec<RoutePlan>,
    /// Those that it cannot.
    pub impossible: Vec<Impossible>,
}

/// Plans `a` by every route, for the values of the board in `options`, its budget and number of
/// programmings.
///
/// # Errors
/// [`Error::Unsupported`] where the measured values are those of another kind of board.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::route::{Route, RouteChoice, plan_routes};
/// use spu_driver::{invert::InvertOptions, matrix::SpdMatrix, open};
///
/// // Positive couplings, which the capacitors of rev-a do not have.
/// let a = SpdMatrix::new(&array![[2.0, 1.0], [1.0, 2.0]], 0.0)?;
/// let board = open("sim:profile=rev-a")?;
/// let routes = plan_routes(&a, board.info(), &InvertOptions::default())?;
/// assert_eq!(routes.choose(RouteChoice::Auto)?.route, Route::Tridiagonal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan_routes(
    a: &SpdMatrix,
    info: &BoardInfo,
    options: &InvertOptions,
) -> Result<Routes, Error> {
    plan_among(a, info, options, |_| true)
}

fn plan_among(
    a: &SpdMatrix,
    info: &BoardInfo,
    options: &InvertOptions,
    wanted: impl Fn(Route) -> bool,
) -> Result<Routes, Error> {
    let mut routes = Routes { usable: Vec::new(), impossible: Vec::new() };
    for route in Route::ALL.into_iter().filter(|route| wanted(*route)) {
        match plan_route(route, a, info, options) {
            Ok(plan) => routes.usable.push(plan),
            Err(Error::Unsupported { reasons }) => {
                routes.impossible.push(Impossible { route, reasons });
            }
            Err(error) => return Err(error),
        }
    }
    let rank = |plan: &RoutePlan| plan.rank(RouteChoice::Auto);
    routes.usable.sort_by(|x, y| rank(x).total_cmp(&rank(y)));
    Ok(routes)
}

/// Plans `a` by one route.
///
/// # Errors
/// [`Error::Unsupported`] with every reason why this board cannot take it.
pub fn plan_route(
    route: Route,
    a: &SpdMatrix,
    info: &BoardInfo,
    options: &InvertOptions,
) -> Result<RoutePlan, Error> {
    let not_definite = |error: crate::matrix::MatrixError| Error::Unsupported {
        reasons: vec![format!("rounding leaves the transformed matrix unusable: {error}")],
    };
    let (on_board, basis) = match route {
        Route::Direct | Route::Scaled => (a.clone(), Basis::default()),
        Route::Tridiagonal => {
            let (t, basis) = tridiagonal::best(a).map_err(not_definite)?;
            (t, Basis(Some(basis)))
        }
        Route::Splitting => {
            let m = splitting::majorant(a, info.raw.coupling_signed == 1);
            (SpdMatrix::new(&m, 0.0).map_err(not_definite)?, Basis::default())
        }
    };
    RoutePlan::new(route, a, on_board, basis, info, options)
}

impl Routes {
    /// The route to take.
    ///
    /// [`RouteChoice::Auto`] leaves splitting out, since its inverse is one only after refinement,
    /// and takes a transformed matrix only where that is better by [`TRANSFORM_MARGIN`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the reasons of every route that was asked for.
    pub fn choose(&self, choice: RouteChoice) -> Result<&RoutePlan, Error> {
        let asked = |route| choice.allows(route);
        self.usable
            .iter()
            .filter(|plan| asked(plan.route))
            .min_by(|x, y| x.rank(choice).total_cmp(&y.rank(choice)))
            .ok_or_else(|| {
                let mut reasons: Vec<String> = Vec::new();
                for reason in self
                    .impossible
                    .iter()
                    .filter(|impossible| asked(impossible.route))
                    .flat_map(|impossible| &impossible.reasons)
                {
                    if !reasons.contains(reason) {
                        reasons.push(reason.clone());
                    }
                }
                Error::Unsupported { reasons }
            })
    }
}

/// Plans `a` by the routes that a choice allows, and takes the best: the same as [`plan_routes`] and
/// [`Routes::choose`].
///
/// # Errors
/// As [`Routes::choose`].
pub fn choose_route(
    a: &SpdMatrix,
    info: &BoardInfo,
    options: &InvertOptions,
    choice: RouteChoice,
) -> Result<RoutePlan, Error> {
    let routes = plan_among(a, info, options, |route| choice.allows(route))?;
    routes.choose(choice).cloned()
}

/// Inverts any symmetric positive definite matrix that has no more rows than the board has cells, by
/// the chosen route.
///
/// By the tridiagonal route inverse, batches and intervals are turned back by Q, so intervals hold
/// for the entries of A⁻¹; sampling, settling and codes are those of the tridiagonal matrix. By
/// splitting the result is the inverse of M, the start of a refinement
/// ([`refine`](crate::refine)), and far from A⁻¹.
///
/// # Errors
/// As [`invert`](crate::invert::invert).
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::route::{RouteChoice, invert_any};
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[1.0, 0.6, 0.6], [0.6, 1.0, 0.6], [0.6, 0.6, 1.0]], 0.0)?;
/// let options = InvertOptions::default();
/// let result = invert_any(device.as_mut(), &a, &options, RouteChoice::Auto, &Quiet)?;
/// assert!((result.inverse[[0, 1]] + 0.6818).abs() < 6.0 * result.half_widths[[0, 1]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert_any(
    device: &mut dyn Device,
    a: &SpdMatrix,
    options: &InvertOptions,
    choice: RouteChoice,
    progress: &dyn Progress,
) -> Result<Inversion, OperationError> {
    let started = Instant::now();
    let chosen = choose_route(a, device.info(), options, choice)?;
    let planning = started.elapsed();
    let mut result = invert_by(device, a, &chosen, options, progress)?;
    result.host += planning;
    Ok(result)
}

/// Inverts `a` by a planned route; `options.budget` is in the plan.
///
/// # Errors
/// As [`invert`](crate::invert::invert).
pub fn invert_by(
    device: &mut dyn Device,
    a: &SpdMatrix,
    chosen: &RoutePlan,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Inversion, OperationError> {
    let (on_board, basis) = (&chosen.on_board, &chosen.basis);
    let mut result =
        invert_planned(device, on_board, chosen.plans.clone(), basis, options, progress)?;
    let flops = if basis.is_turned() {
        // The result, its batches, its partial results and what is systematic in it.
        let each = 3 + result.replicates.len() + result.convergence.len();
        let turned = (each * result.programmings) as u64;
        transform_flops(a.n()) + turned * restore_flops(a.n())
    } else {
        0
    };
    result.route =
        Taken { route: chosen.route, quantisation_error: chosen.quantisation_error, flops };
    Ok(result)
}

/// Coordinates of the matrix on a board.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Basis(Option<Array2<f64>>);

impl Basis {
    /// The orthogonal Q, `n × n`, of a transformed matrix; `None` for A's own coordinates.
    pub fn matrix(&self) -> Option<&Array2<f64>> {
        self.0.as_ref()
    }

    /// True if they are not A's own.
    pub fn is_turned(&self) -> bool {
        self.0.is_some()
    }

    /// `Q X Qᵀ`, exactly symmetric; X itself in A's own coordinates.
    pub fn restore(&self, x: &Array2<f64>) -> Array2<f64> {
        match &self.0 {
            None => x.clone(),
            Some(q) => symmetrised(&product(&product(q, x), &q.t())),
        }
    }

    /// Turns a result back, its batches too: the intervals of its entries follow from them.
    pub(crate) fn turn(&self, result: &mut Inversion) {
        if !self.is_turned() {
            return;
        }
        result.inverse = self.restore(&result.inverse);
        result.replicates = result.replicates.map(|x| self.restore(x));
        result.half_widths = result.replicates.half_widths();
        for part in &mut result.convergence {
            part.inverse = self.restore(&part.inverse);
        }
    }
}

/// The mean of what several programmings would give without noise.
fn programmed_inverse(plans: &[InversionPlan]) -> Array2<f64> {
    let mut sum = plans[0].programmed_inverse();
    for plan in &plans[1..] {
        sum += &plan.programmed_inverse();
    }
    sum / plans.len() as f64
}

/// Every coordinate is tried as the first one.
fn transform_flops(n: usize) -> u64 {
    n as u64 * tridiagonalise_flops(n)
}

fn restore_flops(n: usize) -> u64 {
    4 * (n as u64).pow(3)
}

/// A⁻¹, digital: for predictions.
pub(crate) fn exact_inverse(a: &SpdMatrix) -> Array2<f64> {
    solve(a.entries(), &Array2::eye(a.n()))
}

#[cfg(test)]
mod tests;
