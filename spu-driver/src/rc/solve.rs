//! Solves `A x = b` by the mean of an RC board, for any positive definite A that the board has cells for.

use ndarray::Array1;
use serde::Serialize;

use crate::device::{Device, Phases};
use crate::error::Error;
use crate::linalg::flops::counted;
use crate::linalg::relative_error;
use crate::linalg::tridiagonal::tridiagonalise;
use crate::matrix::SpdMatrix;
use crate::rc::relax::{RelaxOptions, Relaxer};

/// Passes after which refinement gives up.
const MAX_PASSES: usize = 50;
/// A pass that leaves more of the residual than this gains nothing.
const WORTHWHILE: f64 = 0.5;

/// A solution by the mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanSolution {
    /// x, n.
    pub x: Vec<f64>,
    /// `‖b − A x‖ / ‖b‖` after each pass, digital: the first is the board's own.
    pub residuals: Vec<f64>,
    /// Bound of the relative error, condition number times the last residual.
    pub error_bound: f64,
    /// A was tridiagonalised first.
    pub tridiagonalised: bool,
    /// Relative Frobenius distance of the matrix that the banks hold from the wanted one.
    pub held_error: f64,
    /// Ticks of all runs.
    pub ticks: u64,
    /// Runs.
    pub runs: u32,
    /// Wall time on the device by phase.
    pub phases: Phases,
    /// Digital work: transformation, residuals, sums, in floating-point operations.
    pub flops: u64,
}

/// Solves `A x = b`: the board relaxes to `T⁻¹ c`, where T is A, or, where A's signs need it, the
/// tridiagonal `Qᵀ A Q` with `c = Qᵀ b`.
///
/// With a `tolerance`, passes are repeated on the residual until `‖b − A x‖ ≤ tolerance ‖b‖`: iterative
/// refinement, with the board for the corrections and the host for the residuals.
///
/// # Errors
/// [`Error::Unsupported`] for a matrix that the board cannot hold, a b of another length or that is not
/// finite, and a tolerance that the passes do not reach; what the device says.
pub fn solve_by_mean(
    device: &mut dyn Device,
    relaxer: &mut Relaxer,
    a: &SpdMatrix,
    b: &[f64],
    tolerance: Option<f64>,
    options: &RelaxOptions,
) -> Result<MeanSolution, Error> {
    let refuse = |reason: String| Err(Error::Unsupported { reasons: vec![reason] });
    let n = a.n();
    if b.len() != n || b.iter().any(|value| !value.is_finite()) {
        return refuse(format!("b has to be {n} finite numbers, one for each row of the matrix"));
    }
    let entries = a.entries();
    let size = norm(b);
    let signed = device.info().raw.coupling_signed == 1;
    let as_it_is = signed || entries.indexed_iter().all(|((i, j), value)| i == j || *value <= 0.0);
    // Of a matrix as it is there may be no scaling; its tridiagonal form has one.
    let direct = if as_it_is { relaxer.plan(entries).ok() } else { None };
    let ((plan, wanted, basis), mut flops) = if let Some(plan) = direct {
        ((plan, entries.to_owned(), None), 0)
    } else {
        let (form, flops) = counted(|| tridiagonalise(entries));
        let t = form.matrix();
        ((relaxer.plan(&t)?, t, Some(form.basis)), flops)
    };
    let held_error = relative_error(plan.held(), &wanted);
    let mut solution = MeanSolution {
        x: vec![0.0; n],
        residuals: Vec::new(),
        error_bound: 0.0,
        tridiagonalised: basis.is_some(),
        held_error,
        ticks: 0,
        runs: 0,
        phases: Phases::default(),
        flops: 0,
    };
    if size == 0.0 {
        return Ok(solution);
    }
    let mut residual = b.to_vec();
    loop {
        let c = turned(basis.as_ref().map(|basis| basis.t()), &residual);
        let read = relaxer.solve(device, &plan, &c, options)?;
        solution.ticks += read.ticks;
        solution.runs += read.runs;
        solution.phases.add(&read.phases);
        let step = turned(basis.as_ref().map(|basis| basis.view()), &read.x);
        solution.x.iter_mut().zip(step).for_each(|(x, step)| *x += step);
        let product = entries.dot(&Array1::from(solution.x.clone()));
        residual = b.iter().zip(&product).map(|(b, product)| b - product).collect();
        // Two turns, one product, and sums.
        let turns = if basis.is_some() { 2 } else { 0 };
        flops += ((1 + turns) * 2 * n * n + 4 * n) as u64;
        let left = norm(&residual) / size;
        let before = solution.residuals.last().copied();
        solution.residuals.push(left);
        let Some(tolerance) = tolerance.filter(|tolerance| left > *tolerance) else { break };
        let stalled = before.is_some_and(|before| left > WORTHWHILE * before);
        if stalled || left >= 1.0 || solution.residuals.len() >= MAX_PASSES {
            return refuse(format!(
                "the board's passes end at a residual of {left:.1e}, above {tolerance:.1e}: the banks hold \
                 the matrix to {held_error:.1e} only; ask for less, or take a board with finer banks"
            ));
        }
    }
    solution.error_bound = a.condition() * solution.residuals.last().copied().unwrap_or(0.0);
    solution.flops = flops;
    Ok(solution)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// `M v`, or v itself.
fn turned(m: Option<ndarray::ArrayView2<'_, f64>>, v: &[f64]) -> Vec<f64> {
    m.map_or_else(|| v.to_vec(), |m| m.dot(&Array1::from(v.to_vec())).to_vec())
}
