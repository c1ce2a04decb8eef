//! What each route costs on a board, and the choice between them.

use ndarray::Array2;
use serde::Serialize;

use super::basis::{Basis, restore_flops};
use super::{Route, RouteChoice, splitting, tridiagonal};
use crate::device::BoardInfo;
use crate::error::Error;
use crate::invert::InvertOptions;
use crate::linalg::flops::counted;
use crate::linalg::large::contraction;
use crate::linalg::tridiagonal::tridiagonalise_flops;
use crate::linalg::{mean, relative_error, solve};
use crate::matrix::SpdMatrix;
use crate::plan::InversionPlan;
use crate::scaling::Scaling;

/// How many times smaller the predicted error of a transformed matrix must be before it is
/// preferred to the matrix itself: a transformation is digital work, and spreads that no plan knows
/// enter through it.
pub const TRANSFORM_MARGIN: f64 = 1.5;

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
    /// Those of planning this route; of one that was chosen among several
    /// ([`choose_route`]), those of planning all of them.
    pub planning_flops: u64,
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
        let plans = options.plans(&on_board, info, scalings)?;
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
            flops: if basis.is_turned() { tridiagonalise_flops(n) + restore_flops(n) } else { 0 },
            planning_flops: 0,
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

    /// The same, for which so many operations were done; the reduction of the matrix is among them, but
    /// counts as transformation.
    fn after(self, work: u64) -> Self {
        Self { planning_flops: work.saturating_sub(self.reduction_flops()), ..self }
    }

    /// Operations of the reduction to the matrix on the board.
    pub(super) fn reduction_flops(&self) -> u64 {
        if self.basis.is_turned() { tridiagonalise_flops(self.on_board.n()) } else { 0 }
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
    /// Floating-point operations of planning all of them, the impossible ones too: digital.
    pub planning_flops: u64,
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
    let mut routes = Routes { usable: Vec::new(), impossible: Vec::new(), planning_flops: 0 };
    for route in Route::ALL.into_iter().filter(|route| wanted(*route)) {
        let (planned, work) = counted(|| plan_uncounted(route, a, info, options));
        routes.planning_flops += work;
        match planned.map(|plan| plan.after(work)) {
            Ok(plan) => routes.usable.push(plan),
            Err(Error::Unsupported { reasons }) => {
                routes.impossible.push(Impossible { route, reasons });
            }
            Err(error) => return Err(error),
        }
    }
    let reductions: u64 = routes.usable.iter().map(RoutePlan::reduction_flops).sum();
    routes.planning_flops = routes.planning_flops.saturating_sub(reductions);
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
    let (planned, work) = counted(|| plan_uncounted(route, a, info, options));
    Ok(planned?.after(work))
}

fn plan_uncounted(
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
            (t, Basis::of(basis))
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
    let chosen = routes.choose(choice)?.clone();
    Ok(RoutePlan { planning_flops: routes.planning_flops, ..chosen })
}

/// The mean of what several programmings would give without noise.
fn programmed_inverse(plans: &[InversionPlan]) -> Array2<f64> {
    let all: Vec<Array2<f64>> = plans.iter().map(InversionPlan::programmed_inverse).collect();
    mean(&all)
}

/// A⁻¹, digital: for predictions.
pub(crate) fn exact_inverse(a: &SpdMatrix) -> Array2<f64> {
    solve(a.entries(), &Array2::eye(a.n()))
}
