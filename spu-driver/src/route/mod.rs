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

mod basis;
mod plan;
mod splitting;
mod tridiagonal;

use std::time::Instant;

use serde::Serialize;

use crate::device::Device;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress, invert_planned};
use crate::linalg::flops::counted;
use crate::matrix::SpdMatrix;
use crate::plan::InversionPlan;
use crate::scaling::Scaling;

pub use basis::Basis;
use basis::restore_flops;
pub(crate) use plan::exact_inverse;
pub use plan::{
    Impossible, RoutePlan, Routes, TRANSFORM_MARGIN, choose_route, plan_route, plan_routes,
};

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
    /// Those of planning: of every route that was tried, its scaling, codes, sampling and predicted
    /// error.
    pub planning_flops: u64,
    /// Those of turning moments into the inverse, its batches and what is systematic in it, without the
    /// transformation.
    pub read_out_flops: u64,
}

impl Taken {
    /// Of a plan without transformation.
    pub(crate) fn by_scaling(plan: &InversionPlan) -> Self {
        Self {
            route: if plan.scaling == Scaling::None { Route::Direct } else { Route::Scaled },
            quantisation_error: plan.quantisation_error,
            flops: 0,
            planning_flops: 0,
            read_out_flops: 0,
        }
    }
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
    let (result, work) = counted(|| {
        invert_planned(device, on_board, chosen.plans.clone(), basis, options, progress)
    });
    let mut result = result?;
    let turned = if basis.is_turned() {
        // The result, its batches, its partial results and what is systematic in it.
        let systematic = 1 + result.systematic.shifts.len();
        let each = 1 + systematic + result.replicates.len() + result.convergence.len();
        (each * result.programmings) as u64 * restore_flops(a.n())
    } else {
        0
    };
    result.route = Taken {
        route: chosen.route,
        quantisation_error: chosen.quantisation_error,
        flops: chosen.reduction_flops() + turned,
        planning_flops: chosen.planning_flops,
        read_out_flops: work.saturating_sub(turned),
    };
    Ok(result)
}

#[cfg(all(test, feature = "sim"))]
mod tests;
