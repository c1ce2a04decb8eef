//! Solves `A x = b` with an inverse that boards gave.
//!
//! An RLC board's voltages have mean zero, so `A⁻¹ b` does not stand there as a mean: the inverse is
//! read as a covariance and multiplied by b on the host. Refinement uses it as a preconditioner.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::blocks::{BlockInversion, Boards, invert_blocks};
use crate::invert::Progress;
use crate::linalg::large::multiply_flops;
use crate::matrix::SpdMatrix;
use crate::refine::{
    RefineError, VectorMethod, VectorRefinement, Work, conjugate_gradient, refine_vector,
};

/// To which residual a solution is refined, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SolveRefinement {
    /// Largest `‖b − A x‖ / ‖b‖`.
    pub tolerance: f64,
    /// How.
    pub method: VectorMethod,
}

/// A solution of `A x = b`.
#[derive(Debug, Clone)]
pub struct Solution {
    /// x, `n`.
    pub x: Vec<f64>,
    /// Half widths of its 95 % intervals, `n`: the noise of the inverse, to first order. `None` once
    /// it is refined: then [`error_bound`](Self::error_bound) holds.
    pub half_widths: Option<Vec<f64>>,
    /// The same with what the calibrations leave open, and the known error of quantisation.
    pub intervals: Option<Vec<f64>>,
    /// `‖b − A x‖ / ‖b‖`, digital.
    pub residual: f64,
    /// Bound of the relative error, `κ ‖b − A x‖ / ‖b‖` (Golub and Van Loan, *Matrix Computations*, 2.6).
    pub error_bound: f64,
    /// The inverse that was read.
    pub inversion: BlockInversion,
    /// How it was refined.
    pub refinement: Option<VectorRefinement>,
    /// What plain conjugate gradients take to the same tolerance, all digital; `None` if they do not
    /// get there, or without refinement.
    pub conjugate_gradient: Option<Work>,
    /// Digital work of product, residual and refinement, in floating-point operations.
    pub flops: u64,
    /// Its wall time.
    pub digital_wall: Duration,
}

/// Solves `A x = b` on boards: reads the inverse, by blocks where A is larger than a board, and
/// multiplies.
///
/// # Errors
/// [`RefineError`]: of the boards; [`RefineError::WrongLength`] and [`RefineError::NotFinite`] for a b
/// that does not fit; where the refinement does not reach its tolerance.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::blocks::Boards;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::refine::VectorMethod;
/// use spu_driver::solve::{SolveRefinement, solve};
/// use spu_driver::{matrix::SpdMatrix, open_copies};
///
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let mut devices = open_copies("sim:profile=ideal", 1)?;
/// let mut boards = Boards::new(&mut devices, InvertOptions::default());
/// let refine = SolveRefinement { tolerance: 1e-9, method: VectorMethod::default() };
/// let solution = solve(&mut boards, &a, &[1.0, 1.0], Some(refine), &Quiet)?;
/// assert!((solution.x[0] - 1.0).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn solve(
    boards: &mut Boards<'_>,
    a: &SpdMatrix,
    b: &[f64],
    refine: Option<SolveRefinement>,
    progress: &dyn Progress,
) -> Result<Solution, RefineError> {
    crate::refine::check_vector(a, b, refine.map_or(0.5, |refine| refine.tolerance))?;
    let inversion = invert_blocks(boards, a, progress)?;
    let started = Instant::now();
    // One step of iterative refinement from zero is x = B b, with its residual.
    let plain = crate::refine::first_step(a, b, &inversion.inverse);
    let mut flops = multiply_flops(a.n(), a.n(), 1) + plain.work.flops;
    let refinement = match refine {
        None => None,
        Some(SolveRefinement { tolerance, method }) => {
            Some(refine_vector(a, b, &inversion.inverse, tolerance, method)?)
        }
    };
    if let Some(refined) = &refinement {
        flops = refined.work.flops;
    }
    let digital_wall = started.elapsed();
    let plain_work = refine
        .and_then(|refine| conjugate_gradient(a, b, refine.tolerance).ok().map(|found| found.work));
    let best = refinement.as_ref().unwrap_or(&plain);
    Ok(Solution {
        x: best.x.clone(),
        residual: best.residual(),
        error_bound: a.condition() * best.residual(),
        half_widths: refinement.is_none().then(|| inversion.product_half_widths(b)),
        intervals: refinement.is_none().then(|| inversion.product_intervals(b)),
        conjugate_gradient: plain_work,
        refinement,
        flops,
        digital_wall,
        inversion,
    })
}
