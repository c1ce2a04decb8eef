//! Refines the solution of `A x = b` with an approximate inverse B of A as preconditioner.

use ndarray::{Array2, ArrayRef2};
use serde::Serialize;

use super::{MAX_STEPS, RefineError, STALL, STALLED_STEPS, Work};
use crate::linalg::large::{contraction, multiply};
use crate::matrix::SpdMatrix;

/// Steps without a new smallest residual before conjugate gradients are given up.
const PATIENCE: usize = 50;

/// How a solution is refined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorMethod {
    /// Flexible conjugate gradients (Notay 2000), preconditioned by B: converges for every positive
    /// definite B.
    #[default]
    ConjugateGradient,
    /// Iterative refinement `x ← x + B (b − A x)`: converges where the spectral radius of `I − B A` is
    /// below 1.
    IterativeRefinement,
}

/// A refined solution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorRefinement {
    /// The solution, `n`.
    pub x: Vec<f64>,
    /// `‖b − A x‖ / ‖b‖` at the start and after each step, from x itself each time.
    pub residuals: Vec<f64>,
    /// Digital work.
    pub work: Work,
}

impl VectorRefinement {
    /// The last residual.
    pub fn residual(&self) -> f64 {
        self.residuals.last().copied().unwrap_or(f64::INFINITY)
    }
}

/// Solves `A x = b` from `x = B b` on, until `‖b − A x‖ ≤ tolerance ‖b‖`. All of it is digital work;
/// B is what a board gave.
///
/// # Errors
/// [`RefineError`], but for those of boards.
pub fn refine_vector(
    a: &SpdMatrix,
    b: &[f64],
    inverse: &ArrayRef2<f64>,
    tolerance: f64,
    method: VectorMethod,
) -> Result<VectorRefinement, RefineError> {
    check(a, b, tolerance)?;
    if method == VectorMethod::ConjugateGradient {
        return run(a, b, Some(inverse), tolerance);
    }
    let mut state = State::new(a, b, tolerance);
    state.flops += 2 * (b.len() * b.len()) as u64;
    state.step(&product(inverse, b));
    let mut stalled = 0;
    while !state.done() {
        let z = product(inverse, &state.r);
        state.flops += 2 * (b.len() * b.len()) as u64;
        let before = state.relative();
        state.step(&z);
        let now = state.relative();
        if now.is_nan() || now >= STALL * before {
            stalled += 1;
        } else {
            stalled = 0;
        }
        if stalled >= STALLED_STEPS || state.residuals.len() > MAX_STEPS {
            let radius = contraction(a.entries(), inverse);
            if radius >= 1.0 {
                let (residual, condition) = (now, a.condition());
                return Err(RefineError::CannotConverge { radius, residual, condition });
            }
            return Err(state.stalled());
        }
    }
    Ok(state.finish())
}

/// Plain conjugate gradients (Hestenes and Stiefel 1952) from `x = 0`: the digital method that a
/// board's start competes with.
///
/// # Errors
/// As [`refine_vector`].
pub fn conjugate_gradient(
    a: &SpdMatrix,
    b: &[f64],
    tolerance: f64,
) -> Result<VectorRefinement, RefineError> {
    check(a, b, tolerance)?;
    run(a, b, None, tolerance)
}

/// `x = B b` and its residual.
pub(crate) fn first_step(a: &SpdMatrix, b: &[f64], inverse: &ArrayRef2<f64>) -> VectorRefinement {
    let mut state = State::new(a, b, 1.0);
    state.step(&product(inverse, b));
    state.finish()
}

/// Refuses what is no tolerance or does not fit the matrix.
pub(crate) fn check(a: &SpdMatrix, b: &[f64], tolerance: f64) -> Result<(), RefineError> {
    if !(tolerance > 0.0 && tolerance < 1.0) {
        return Err(RefineError::BadTolerance(tolerance));
    }
    if b.len() != a.n() {
        return Err(RefineError::WrongLength { entries: b.len(), rows: a.n() });
    }
    match b.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(RefineError::NotFinite { index, value: b[index] }),
        None => Ok(()),
    }
}

/// Conjugate gradients whose directions are made A-orthogonal to the one before explicitly, so that
/// the preconditioner need not be exactly symmetric.
fn run(
    a: &SpdMatrix,
    b: &[f64],
    inverse: Option<&ArrayRef2<f64>>,
    tolerance: f64,
) -> Result<VectorRefinement, RefineError> {
    let n = a.n();
    let mut state = State::new(a, b, tolerance);
    if let Some(inverse) = inverse {
        state.flops += 2 * (n * n) as u64;
        state.step(&product(inverse, b));
    }
    // Direction, A times it, and their product.
    let mut last: Option<(Vec<f64>, Vec<f64>, f64)> = None;
    let (mut best, mut since) = (state.relative(), 0);
    while !state.done() {
        let mut p = match inverse {
            Some(inverse) => {
                state.flops += 2 * (n * n) as u64;
                product(inverse, &state.r)
            }
            None => state.r.clone(),
        };
        if let Some((q, aq, qaq)) = &last {
            let beta = dot(&p, aq) / qaq;
            for (x, y) in p.iter_mut().zip(q) {
                *x -= beta * y;
            }
        }
        let ap = product(a.entries(), &p);
        let pap = dot(&p, &ap);
        let alpha = dot(&p, &state.r) / pap;
        state.flops += 2 * (n * n) as u64 + 10 * n as u64;
        let step: Vec<f64> = p.iter().map(|x| alpha * x).collect();
        if !step.iter().all(|x| x.is_finite()) {
            return Err(state.stalled());
        }
        state.step(&step);
        last = Some((p, ap, pap));
        since += 1;
        if state.relative() < best {
            (best, since) = (state.relative(), 0);
        }
        if since > PATIENCE || state.residuals.len() > 10 * n + MAX_STEPS {
            return Err(state.stalled());
        }
    }
    Ok(state.finish())
}

struct State<'a> {
    a: &'a SpdMatrix,
    b: &'a [f64],
    size: f64,
    tolerance: f64,
    x: Vec<f64>,
    /// `b − A x`.
    r: Vec<f64>,
    residuals: Vec<f64>,
    flops: u64,
}

impl<'a> State<'a> {
    /// From `x = 0`.
    fn new(a: &'a SpdMatrix, b: &'a [f64], tolerance: f64) -> Self {
        let size = dot(b, b).sqrt();
        let residuals = vec![if size == 0.0 { 0.0 } else { 1.0 }];
        Self { a, b, size, tolerance, x: vec![0.0; b.len()], r: b.to_vec(), residuals, flops: 0 }
    }

    /// Adds to x and computes the residual.
    fn step(&mut self, by: &[f64]) {
        for (x, d) in self.x.iter_mut().zip(by) {
            *x += d;
        }
        let ax = product(self.a.entries(), &self.x);
        self.r = self.b.iter().zip(&ax).map(|(b, ax)| b - ax).collect();
        let n = self.b.len() as u64;
        self.flops += 2 * n * n + 5 * n;
        let norm = dot(&self.r, &self.r).sqrt();
        self.residuals.push(if self.size == 0.0 { norm } else { norm / self.size });
    }

    fn relative(&self) -> f64 {
        self.residuals[self.residuals.len() - 1]
    }

    fn done(&self) -> bool {
        self.relative() <= self.tolerance
    }

    fn stalled(&self) -> RefineError {
        RefineError::Stalled {
            reached: self.residuals.iter().copied().fold(f64::INFINITY, f64::min),
            tolerance: self.tolerance,
            steps: self.residuals.len() - 1,
            why: super::ROUNDING,
        }
    }

    fn finish(self) -> VectorRefinement {
        VectorRefinement {
            work: Work { steps: self.residuals.len() - 1, flops: self.flops },
            x: self.x,
            residuals: self.residuals,
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + x * y)
}

fn product(a: &ArrayRef2<f64>, x: &[f64]) -> Vec<f64> {
    multiply(a, &Array2::from_shape_fn((x.len(), 1), |(i, _)| x[i])).iter().copied().collect()
}
