//! Solves `A x = b` by the mean of an RC board, for any positive definite A that the board has cells for, and
//! inverts matrices of any size by columns.

use ndarray::{Array1, Array2};
use serde::Serialize;

use crate::blocks::eliminate;
use crate::device::{Device, Phases};
use crate::error::Error;
use crate::linalg::flops::counted;
use crate::linalg::large::symmetrised;
use crate::linalg::relative_error;
use crate::linalg::tridiagonal::tridiagonalise;
use crate::matrix::SpdMatrix;
use crate::rc::plan::RcPlan;
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
    relaxer: &Relaxer,
    a: &SpdMatrix,
    b: &[f64],
    tolerance: Option<f64>,
    options: &RelaxOptions,
) -> Result<MeanSolution, Error> {
    let n = a.n();
    if b.len() != n || b.iter().any(|value| !value.is_finite()) {
        return Err(refusal(format!(
            "b has to be {n} finite numbers, one for each row of the matrix"
        )));
    }
    Form::new(device, relaxer, a)?.solve(device, relaxer, b, tolerance, options)
}

/// A matrix as a board holds it.
struct Form<'a> {
    a: &'a SpdMatrix,
    plan: RcPlan,
    /// Q, of a matrix that was tridiagonalised.
    basis: Option<Array2<f64>>,
    held_error: f64,
    flops: u64,
}

impl<'a> Form<'a> {
    fn new(device: &dyn Device, relaxer: &Relaxer, a: &'a SpdMatrix) -> Result<Self, Error> {
        let entries = a.entries();
        let signed = device.info().raw.coupling_signed == 1;
        let as_it_is =
            signed || entries.indexed_iter().all(|((i, j), value)| i == j || *value <= 0.0);
        // Of a matrix as it is there may be no scaling; its tridiagonal form has one.
        let direct = if as_it_is { relaxer.plan(entries).ok() } else { None };
        if let Some(plan) = direct {
            let held_error = relative_error(plan.held(), entries);
            return Ok(Self { a, plan, basis: None, held_error, flops: 0 });
        }
        let (form, flops) = counted(|| tridiagonalise(entries));
        let t = form.matrix();
        let plan = relaxer.plan(&t)?;
        let held_error = relative_error(plan.held(), &t);
        Ok(Self { a, plan, basis: Some(form.basis), held_error, flops })
    }

    fn solve(
        &self,
        device: &mut dyn Device,
        relaxer: &Relaxer,
        b: &[f64],
        tolerance: Option<f64>,
        options: &RelaxOptions,
    ) -> Result<MeanSolution, Error> {
        let Self { a, plan, basis, held_error, .. } = self;
        let (n, size) = (a.n(), norm(b));
        let mut solution = MeanSolution {
            x: vec![0.0; n],
            residuals: Vec::new(),
            error_bound: 0.0,
            tridiagonalised: basis.is_some(),
            held_error: *held_error,
            ticks: 0,
            runs: 0,
            phases: Phases::default(),
            flops: 0,
        };
        if size == 0.0 {
            return Ok(solution);
        }
        let mut flops = self.flops;
        let mut residual = b.to_vec();
        loop {
            let c = turned(basis.as_ref().map(|basis| basis.t()), &residual);
            let read = relaxer.solve(device, plan, &c, options)?;
            solution.ticks += read.ticks;
            solution.runs += read.runs;
            solution.phases.add(&read.phases);
            let step = turned(basis.as_ref().map(|basis| basis.view()), &read.x);
            solution.x.iter_mut().zip(step).for_each(|(x, step)| *x += step);
            let product = a.entries().dot(&Array1::from(solution.x.clone()));
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
                return Err(refusal(format!(
                    "the board's passes end at a residual of {left:.1e}, above {tolerance:.1e}: the banks \
                     hold the matrix to {held_error:.1e} only; ask for less, or take a board with finer \
                     banks"
                )));
            }
        }
        solution.error_bound = a.condition() * solution.residuals.last().copied().unwrap_or(0.0);
        solution.flops = flops;
        Ok(solution)
    }
}

/// An inverse by the mean.
#[derive(Debug, Clone)]
pub struct MeanInverse {
    /// The estimate of A⁻¹, `n × n`, symmetric.
    pub inverse: Array2<f64>,
    /// Largest `‖e_j − A x_j‖` of a column of a block, digital.
    pub residual: f64,
    /// Blocks.
    pub blocks: usize,
    /// Ticks of all runs.
    pub ticks: u64,
    /// Runs.
    pub runs: u32,
    /// Wall time on the device by phase.
    pub phases: Phases,
    /// Digital work: transformations, residuals, products between blocks, in floating-point operations.
    pub flops: u64,
}

/// Inverts `a`, of whatever size: block elimination as in [`blocks`](crate::blocks), with blocks of as many
/// rows as the board has cells, each column of which the board solves for as
/// [`solve_by_mean`] does, to the same `tolerance`.
///
/// # Errors
/// As [`solve_by_mean`]; [`Error::Unsupported`] where the errors of blocks leave a Schur complement that is
/// not positive definite.
///
/// # Examples
/// ```
/// use ndarray::Array2;
/// use spu_driver::matrix::SpdMatrix;
/// use spu_driver::rc::{RcCalibrateOptions, RelaxOptions, Relaxer, calibrate, invert_by_mean};
///
/// let a = Array2::from_shape_fn((5, 5), |(i, j)| if i == j { 2.0 } else { 0.5 });
/// let a = SpdMatrix::new(&a, 0.0)?;
/// let mut device = spu_driver::open("sim:profile=rc-4")?;
/// let calibrated = calibrate(device.as_mut(), &RcCalibrateOptions::default())?;
/// let relaxer = Relaxer::new(device.info(), calibrated.model)?;
/// let result =
///     invert_by_mean(device.as_mut(), &relaxer, &a, Some(1e-4), &RelaxOptions::default())?;
/// assert_eq!(result.blocks, 2);
/// assert!((result.inverse[[0, 4]] - a.digital_inverse()[[0, 4]]).abs() < 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert_by_mean(
    device: &mut dyn Device,
    relaxer: &Relaxer,
    a: &SpdMatrix,
    tolerance: Option<f64>,
    options: &RelaxOptions,
) -> Result<MeanInverse, Error> {
    let mut result = MeanInverse {
        inverse: Array2::zeros((0, 0)),
        residual: 0.0,
        blocks: 0,
        ticks: 0,
        runs: 0,
        phases: Phases::default(),
        flops: 0,
    };
    let (cells, mut elimination) = (relaxer.cells(), 0);
    let leaf = &mut |first: usize, block: &Array2<f64>| -> Result<Array2<f64>, Error> {
        let last = first + block.nrows() - 1;
        let leaf = SpdMatrix::new(block, 0.0).map_err(|why| {
            refusal(format!(
                "rows {first} to {last}: errors of the blocks before leave no positive definite Schur \
                 complement ({why}); ask for a smaller tolerance, or add damping"
            ))
        })?;
        let form = Form::new(device, relaxer, &leaf)?;
        result.flops += form.flops;
        let mut inverse = Array2::zeros(block.dim());
        for j in 0..leaf.n() {
            let mut unit = vec![0.0; leaf.n()];
            unit[j] = 1.0;
            let column = form.solve(device, relaxer, &unit, tolerance, options)?;
            inverse.column_mut(j).assign(&Array1::from(column.x));
            result.residual = result.residual.max(column.residuals.last().copied().unwrap_or(0.0));
            result.ticks += column.ticks;
            result.runs += column.runs;
            result.phases.add(&column.phases);
            result.flops += column.flops - form.flops;
        }
        result.blocks += 1;
        Ok(symmetrised(&inverse))
    };
    let inverse = eliminate(a.entries(), cells, 0, &mut elimination, leaf)?;
    result.flops += elimination;
    result.inverse = inverse;
    Ok(result)
}

fn refusal(reason: String) -> Error {
    Error::Unsupported { reasons: vec![reason] }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// `M v`, or v itself.
fn turned(m: Option<ndarray::ArrayView2<'_, f64>>, v: &[f64]) -> Vec<f64> {
    m.map_or_else(|| v.to_vec(), |m| m.dot(&Array1::from(v.to_vec())).to_vec())
}
