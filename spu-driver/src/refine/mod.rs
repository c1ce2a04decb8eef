//! Refines a board's inverse to a requested tolerance: the residual is always digital.
//!
//! - **Newton–Schulz** (Schulz 1933): `X ← X (2 I − A X)`. It squares the residual with each step and
//!   asks nothing more of the board: what comes out is *digital, board-started*.
//! - **Fresh reads**: `X ← X + B_k (I − A X)` with a new read `B_k` of the board in each round: digital
//!   residual, analog correction. Each round shrinks the error by about the error of a read.
//!
//! Both converge exactly if the spectral radius of `I − A X₀` (of `I − A B_k`) is below 1. The residual
//! `‖I − A X‖` (Frobenius) bounds the relative error: `‖X − A⁻¹‖ ≤ ‖A⁻¹‖ ‖I − A X‖`.

mod vector;

use std::time::{Duration, Instant};

use ndarray::{Array2, ArrayRef2};
use serde::Serialize;

use crate::blocks::{BlockError, BlockInversion, Boards, invert_blocks};
use crate::invert::Progress;
use crate::linalg::flops::counted;
use crate::linalg::frobenius;
use crate::linalg::large::{contraction, multiply, multiply_flops, symmetrised};
use crate::matrix::SpdMatrix;

pub use vector::{VectorMethod, VectorRefinement, conjugate_gradient, refine_vector};
pub(crate) use vector::{check as check_vector, first_step};

/// Most steps of a refinement, far beyond what one that converges needs.
const MAX_STEPS: usize = 200;
/// A step that leaves more than this of a residual gains nothing.
const STALL: f64 = 0.9;
/// Steps in a row that gain nothing before a refinement is given up.
const STALLED_STEPS: usize = 3;

/// Why a refinement did not reach its tolerance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefineError {
    /// The boards failed.
    #[error(transparent)]
    Blocks(#[from] BlockError),
    /// The tolerance is not one.
    #[error("tolerance {0} is not valid; give a number above 0 and below 1, such as 1e-6")]
    BadTolerance(f64),
    /// The start is too far off.
    #[error(
        "refinement cannot converge from this board's inverse: the spectral radius of I − A X is \
         {radius:.3}, not below 1 (residual {residual:.3}); the board's floor is too high for a matrix \
         of condition {condition:.3e}: calibrate it, use a profile with more bank bits, more samples, or \
         add --damping"
    )]
    CannotConverge {
        /// Spectral radius of `I − A X₀`.
        radius: f64,
        /// `‖I − A X₀‖` (Frobenius).
        residual: f64,
        /// Condition number of A.
        condition: f64,
    },
    /// It got no further.
    #[error(
        "refinement stalled at a residual of {reached:.2e} after {steps} steps and does not reach \
         {tolerance:.1e}: {why}"
    )]
    Stalled {
        /// The smallest residual.
        reached: f64,
        /// What was asked for.
        tolerance: f64,
        /// Steps until then.
        steps: usize,
        /// What holds it up.
        why: &'static str,
    },
    /// b has another length than A has rows.
    #[error("b has {entries} entries but the matrix has {rows} rows; give one entry a row")]
    WrongLength {
        /// Entries of b.
        entries: usize,
        /// Rows of A.
        rows: usize,
    },
    /// b holds NaN or infinity.
    #[error("entry {index} of b is {value}; every entry must be a finite number (counted from 0)")]
    NotFinite {
        /// The entry, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
}

/// Why rounding holds a residual up.
const ROUNDING: &str = "this is the rounding of double precision at this condition number; ask for \
                        less";
/// Why reads hold it up.
const READS: &str = "the board's reads are too far off; calibrate it, take more samples, or refine \
                     by newton-schulz";

/// How an inverse is refined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefineMethod {
    /// Digital, board-started.
    #[default]
    NewtonSchulz,
    /// A new read of the board in every round.
    FreshReads,
}

impl RefineMethod {
    /// What the result may be called.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NewtonSchulz => "digital, board-started",
            Self::FreshReads => "digital residual, analog correction",
        }
    }
}

/// Steps and operations of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Steps.
    pub steps: usize,
    /// Floating-point operations.
    pub flops: u64,
}

/// A refined inverse.
#[derive(Debug, Clone)]
pub struct Refinement {
    /// The inverse, `n × n`, symmetric.
    pub inverse: Array2<f64>,
    /// How it was refined.
    pub method: RefineMethod,
    /// `‖I − A X‖` (Frobenius) at the start and after each step.
    pub residuals: Vec<f64>,
    /// Digital work.
    pub work: Work,
    /// Its wall time.
    pub digital_wall: Duration,
    /// Reads of the board that followed the first.
    pub reads: Vec<BlockInversion>,
    /// What Newton–Schulz takes to the same tolerance from the digital start `Aᵀ/(‖A‖₁ ‖A‖∞)`; `None` if
    /// it does not get there.
    pub from_digital_start: Option<Work>,
    /// Operations of a digital inverse by Cholesky factorisation, `n³`: what all of this competes
    /// with.
    pub cholesky_flops: u64,
}

impl Refinement {
    /// The last residual.
    pub fn residual(&self) -> f64 {
        self.residuals.last().copied().unwrap_or(f64::INFINITY)
    }
}

/// Refines `start`, an inverse of `a` that came from `boards`, until `‖I − A X‖ ≤ tolerance`.
///
/// # Errors
/// [`RefineError`]. [`RefineError::CannotConverge`] says how far the start is off;
/// [`RefineError::Stalled`] which residual was reached, and what holds it up.
pub fn refine(
    boards: &mut Boards<'_>,
    a: &SpdMatrix,
    start: &ArrayRef2<f64>,
    tolerance: f64,
    method: RefineMethod,
    progress: &dyn Progress,
) -> Result<Refinement, RefineError> {
    if !(tolerance > 0.0 && tolerance < 1.0) {
        return Err(RefineError::BadTolerance(tolerance));
    }
    let mut state = Iteration::new(a, start, tolerance);
    state.check_start()?;
    let mut reads = Vec::new();
    let why = match method {
        RefineMethod::NewtonSchulz => ROUNDING,
        RefineMethod::FreshReads => READS,
    };
    while state.goes_on(why)? {
        match method {
            RefineMethod::NewtonSchulz => state.newton_schulz(),
            RefineMethod::FreshReads => {
                let read = invert_blocks(boards, a, progress)?;
                state.correct(&read.inverse);
                reads.push(read);
            }
        }
    }
    Ok(Refinement {
        inverse: state.x,
        method,
        work: Work { steps: state.residuals.len() - 1, flops: state.flops },
        residuals: state.residuals,
        digital_wall: state.wall,
        reads,
        from_digital_start: digital_start(a, tolerance),
        cholesky_flops: (a.n() as u64).pow(3),
    })
}

/// Newton–Schulz from `Aᵀ/(‖A‖₁ ‖A‖∞)` (Ben-Israel and Cohen 1966): all digital.
fn digital_start(a: &SpdMatrix, tolerance: f64) -> Option<Work> {
    let entries = a.entries();
    // Both norms are the same for a symmetric matrix.
    let norm = entries
        .rows()
        .into_iter()
        .map(|row| row.iter().map(|x| x.abs()).sum::<f64>())
        .fold(0.0, f64::max);
    let mut state = Iteration::new(a, &(&entries.t() / (norm * norm)), tolerance);
    while state.goes_on(ROUNDING).ok()? {
        state.newton_schulz();
    }
    Some(Work { steps: state.residuals.len() - 1, flops: state.flops })
}

struct Iteration<'a> {
    a: &'a SpdMatrix,
    tolerance: f64,
    x: Array2<f64>,
    /// `I − A X`.
    residual: Array2<f64>,
    residuals: Vec<f64>,
    stalled: usize,
    flops: u64,
    wall: Duration,
}

impl<'a> Iteration<'a> {
    fn new(a: &'a SpdMatrix, start: &ArrayRef2<f64>, tolerance: f64) -> Self {
        let mut state = Self {
            a,
            tolerance,
            x: symmetrised(start),
            residual: Array2::zeros((0, 0)),
            residuals: Vec::new(),
            stalled: 0,
            flops: 0,
            wall: Duration::ZERO,
        };
        state.look();
        state
    }

    /// Computes the residual.
    fn look(&mut self) {
        let started = Instant::now();
        let n = self.a.n();
        self.residual = Array2::eye(n) - multiply(self.a.entries(), &self.x);
        self.residuals.push(frobenius(&self.residual));
        self.flops += multiply_flops(n, n, n) + 3 * (n * n) as u64;
        self.wall += started.elapsed();
    }

    /// A Frobenius norm below 1 bounds the spectral radius; only above, that is looked at.
    fn check_start(&mut self) -> Result<(), RefineError> {
        let residual = self.residuals[0];
        if residual < 1.0 {
            return Ok(());
        }
        let (radius, work) = counted(|| contraction(self.a.entries(), &self.x));
        self.flops += work;
        if radius < 1.0 {
            return Ok(());
        }
        Err(RefineError::CannotConverge { radius, residual, condition: self.a.condition() })
    }

    /// False once the tolerance is reached.
    fn goes_on(&mut self, why: &'static str) -> Result<bool, RefineError> {
        let (steps, now) = (self.residuals.len() - 1, self.residuals[self.residuals.len() - 1]);
        if now <= self.tolerance {
            return Ok(false);
        }
        if let Some(before) = self.residuals.iter().rev().nth(1) {
            // Far from the solution the norm shrinks slowly; only near it is that a stall.
            let near = *before < STALL || !now.is_finite() || now > 1e3 * self.residuals[0];
            if near && (now.is_nan() || now >= STALL * before) {
                self.stalled += 1;
            } else {
                self.stalled = 0;
            }
        }
        if self.stalled >= STALLED_STEPS || steps >= MAX_STEPS {
            let reached = self.residuals.iter().copied().fold(f64::INFINITY, f64::min);
            return Err(RefineError::Stalled { reached, tolerance: self.tolerance, steps, why });
        }
        Ok(true)
    }

    /// `X ← X + X R`.
    fn newton_schulz(&mut self) {
        let by = self.x.clone();
        self.correct(&by);
    }

    /// `X ← X + B R`.
    fn correct(&mut self, by: &ArrayRef2<f64>) {
        let started = Instant::now();
        let n = self.a.n();
        self.x = symmetrised(&(&self.x + &multiply(by, &self.residual)));
        self.flops += multiply_flops(n, n, n) + 3 * (n * n) as u64;
        self.wall += started.elapsed();
        self.look();
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
