//! What turns a gradient g and a curvature G into a natural gradient: a device, or an emulation.
//!
//! The device law. With F = G + λI the state x of an array of cells obeys
//!
//! ```text
//! dx = −(F x − g) dt + N[0, 2 κ0 dt]
//! ⟨x_t⟩  = e^{−Ft} (x_0 − F⁻¹g) + F⁻¹g
//! cov(x_t) = κ0 F⁻¹ (I − e^{−2Ft})
//! ```
//!
//! (arXiv 2405.13817, with x₀ known exactly). Time is in units of τ, the time constant of a cell
//! whose conductance is 1. [`conformance`] tests any backend against this law.

mod array;
mod board;
mod check;
pub mod conformance;
mod digital;
mod euler;
mod exact;
mod invert;
mod kfac;
mod krylov;
mod law;
mod relax;
mod rlc;

use std::{error::Error, time::Duration};

pub use array::Array;
pub use board::RcBoard;
pub use digital::{Cg, Cholesky, Woodbury};
pub use euler::Euler;
pub use exact::ExactLaw;
pub use invert::{DigitalInverter, Inverse, Inverter};
pub use kfac::{Kfac, KfacSettings};
pub use krylov::Krylov;
pub use relax::{DigitalRelaxer, Relaxation, Relaxed, Relaxer};
pub use rlc::RlcBoard;

use serde::{Deserialize, Serialize};
use spu_driver::factored::PaperTime;

use crate::{bits, curvature::Curvature};

/// How the state evolves under one batch's gradient and curvature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evolution {
    /// Damping λ > 0, added to the curvature's diagonal.
    pub damping: f64,
    /// Analog time t ≥ 0 in units of τ. `f64::INFINITY` is the equilibrium.
    pub time: f64,
    /// Noise strength κ0 ≥ 0.
    pub noise: f64,
    /// Seed of this evolution's noise. Another one for every step.
    pub seed: u64,
}

/// What a backend can do. A request beyond it is [refused](BackendError) before anything changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Evolves for finite times, not to the equilibrium only.
    pub finite_time: bool,
    /// Reaches the equilibrium, t = ∞.
    pub equilibrium: bool,
    /// Has noise, κ0 > 0.
    pub noise: bool,
}

/// Time that one evolution took, by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Host: Gram matrices, Lanczos vectors, products with the curvature.
    pub factors: Duration,
    /// Setting the device.
    pub program: Duration,
    /// The device's own time, or that of computing what it would do.
    pub evolve: Duration,
    /// Reading the device.
    pub read: Duration,
    /// What the paper's hardware would take for it, by the paper's model: not measured. Of factored
    /// arrays only.
    pub paper: PaperTime,
}

impl Phases {
    /// Adds the times of another evolution.
    pub fn add(&mut self, other: &Self) {
        self.factors += other.factors;
        self.program += other.program;
        self.evolve += other.evolve;
        self.read += other.read;
        self.paper.upload += other.paper.upload;
        self.paper.analog += other.paper.analog;
    }
}

/// What one evolution took.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// [`NaturalGradient::label`] of the backend that did it.
    pub label: String,
    /// Products with the curvature, or with its factor and the factor's transpose.
    pub products: usize,
    /// Lanczos, conjugate-gradient or time steps.
    pub iterations: usize,
    /// Where the time went.
    pub phases: Phases,
    /// Standard error that a board's samples leave in what was read, relative to its size: of the state's
    /// move for [`Krylov`]; for [`Kfac`] the largest of the inverses in use. `None` where nothing is sampled.
    pub statistical_error: Option<f64>,
    /// What the tolerances of a factored array do to its drift. Of [`Array`] only.
    pub drift: Option<Drift>,
}

impl Report {
    /// Adds what another evolution took.
    pub(crate) fn add(&mut self, other: &Self) {
        self.products += other.products;
        self.iterations += other.iterations;
        self.phases.add(&other.phases);
        self.statistical_error = larger(self.statistical_error, other.statistical_error);
        self.drift = Drift::worst(self.drift, other.drift);
    }
}

/// The drift of a factored array whose elements are not what they are stated to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// How far it is from symmetric, measured along the first gradient
    /// ([`spu_driver::factored::Factored::asymmetry`]). `None` of a gradient of zeros.
    pub asymmetry: Option<f64>,
    /// Bound of its error by the stated tolerances, in the curvature's units.
    pub bound: f64,
    /// The bound is above the damping: stable is not promised on every board of this profile.
    pub may_be_unstable: bool,
}

impl Drift {
    /// The worse of two in each respect; either may be missing.
    pub fn worst(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (a, b) else { return a.or(b) };
        Some(Self {
            asymmetry: larger(one.asymmetry, other.asymmetry),
            bound: one.bound.max(other.bound),
            may_be_unstable: one.may_be_unstable || other.may_be_unstable,
        })
    }
}

/// The larger of two errors, of which either may be missing.
fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// What a backend keeps from step to step, beside the state that it is given: nothing, for most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Steps that are in it.
    pub steps: u64,
    /// [`Report::statistical_error`] of what it holds.
    pub statistical_error: Option<f64>,
    /// Numbers, in an order that is the backend's own.
    #[serde(with = "bits")]
    pub values: Vec<f32>,
}

/// A backend: evolves a state by the device law, or solves for its equilibrium.
///
/// What comes out of a device has passed its converters. What is computed digitally says so:
/// [`is_device`](Self::is_device) is false and [`label`](Self::label) names an emulation or a solver.
pub trait NaturalGradient: Send {
    /// One line for people and result files.
    fn label(&self) -> String;

    /// Whether the result was read from a device (simulated at the level of its converter codes,
    /// or real), rather than computed from the equations.
    fn is_device(&self) -> bool {
        false
    }

    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Evolves `state` for [`Evolution::time`] under `gradient` and `curvature`.
    ///
    /// `state` comes in as x₀ and leaves as what is read: xₜ. Both slices have
    /// [`Curvature::len`] entries. The next step may start from it (a warm start), or from another.
    ///
    /// # Errors
    /// Bad requests and numbers that are not finite, before `state` is changed; failures of the
    /// device and of convergence, which leave `state` as it was.
    fn evolve(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        check::request(self, curvature, gradient, evolution, state)?;
        self.advance(curvature, gradient, evolution, state)
    }

    /// What it keeps from step to step, for a checkpoint.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Goes on from a memory. What keeps nothing has no use for it.
    fn recall(&mut self, _memory: Memory) {}

    /// What a backend writes: [`evolve`](Self::evolve) for requests that it can do, of slices that fit
    /// and are finite.
    ///
    /// # Errors
    /// As [`evolve`](Self::evolve), with `state` as it was.
    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError>;
}

/// Why an evolution was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// λ is not above 0.
    #[error(
        "damping λ = {0} is not above 0: the curvature alone may be singular; choose λ > 0, such as 0.1"
    )]
    Damping(f64),
    /// t is negative or NaN.
    #[error("analog time t = {0} is negative or not a number: give t >= 0 in units of τ")]
    Time(f64),
    /// κ0 is negative or not finite.
    #[error("noise κ0 = {0} is negative or not finite: give κ0 >= 0; 0 switches the noise off")]
    Noise(f64),
    /// A slice has another length than the curvature.
    #[error(
        "{what} has {len} entries, but the curvature is of {needed} parameters: pass vectors of one model"
    )]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        len: usize,
        /// [`Curvature::len`].
        needed: usize,
    },
    /// NaN or infinity.
    #[error(
        "{0} is not finite: the run has diverged or the model is at fault; lower the learning rate, clip gradients, or go back to a checkpoint"
    )]
    NotFinite(&'static str),
    /// Only the equilibrium can be computed.
    #[error(
        "{label} gives the equilibrium only (a solver solves for it, an RLC board's covariance is that of rest, \
         with mean 0 at all times), and t = {time} is finite: give t = inf, or take what relaxes for a time, such \
         as a board of RC cells or exact-law"
    )]
    EquilibriumOnly {
        /// Backend.
        label: String,
        /// t asked for.
        time: f64,
    },
    /// The equilibrium cannot be reached.
    #[error(
        "{label} steps through time and cannot reach t = inf: give a finite t, or use exact-law"
    )]
    NoEquilibrium {
        /// Backend.
        label: String,
    },
    /// The backend has no noise.
    #[error("{label} has no noise, κ0 = {noise} was asked for: use exact-law, or κ0 = 0")]
    Noiseless {
        /// Backend.
        label: String,
        /// κ0 asked for.
        noise: f64,
    },
    /// δt is no time step.
    #[error("time step δt = {0} is not above 0 and finite: give one, such as 0.1 (in units of τ)")]
    TimeStep(f64),
    /// Euler–Maruyama would blow up, or it cannot be ruled out.
    #[error(
        "Euler–Maruyama may be unstable: δt λ_max = {dt} × {largest} >= 2; take δt below {limit:.3}, or use exact-law, which has no step"
    )]
    Unstable {
        /// δt.
        dt: f64,
        /// Bound of the largest eigenvalue of G + λI.
        largest: f64,
        /// 2 / `λ_max`.
        limit: f64,
    },
    /// A dense matrix of this size is not formed.
    #[error(
        "a dense curvature of {n} parameters would take {bytes} bytes, more than the limit of {limit}: use woodbury, cg or exact-law, or raise the limit"
    )]
    TooLarge {
        /// N.
        n: usize,
        /// Bytes of the N × N matrix in f64.
        bytes: u128,
        /// Bytes allowed.
        limit: u128,
    },
    /// G has no factor B.
    #[error(
        "{label} needs the factor B of the curvature G = BᵀB, which this model does not give: implement Curvature::low_rank, or use cg"
    )]
    NoFactor {
        /// Backend.
        label: String,
    },
    /// The curvature has no Kronecker factors, or not for every parameter.
    #[error(
        "{label} needs Kronecker factors of the curvature for all {params} parameters, and there are such for \
         {covered}: use layers that have them (Dense, Conv2d), or another backend, such as krylov"
    )]
    NoKronecker {
        /// Backend.
        label: String,
        /// N.
        params: usize,
        /// Parameters that have them.
        covered: usize,
    },
    /// A setting of a backend makes no sense.
    #[error("{what} is {value}: give {allowed}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The memory is of another model or of other settings.
    #[error(
        "what {label} remembers has {len} numbers, but this model with these settings needs {needed}: go on with \
         the model and the options of the run that left it"
    )]
    Memory {
        /// Backend.
        label: String,
        /// Numbers.
        len: usize,
        /// Numbers needed.
        needed: usize,
    },
    /// G + λI is not positive definite in arithmetic.
    #[error(
        "the curvature plus λ = {damping} is not positive definite: the model's products are not those of a positive semi-definite matrix, or λ is below their rounding errors; raise λ"
    )]
    NotPositiveDefinite {
        /// λ.
        damping: f64,
    },
    /// An iteration did not converge.
    #[error(
        "{label} did not converge in {iterations} iterations (error {error:e}, wanted {tolerance:e}): allow more iterations, or raise the damping or the tolerance"
    )]
    NotConverged {
        /// Backend.
        label: String,
        /// Iterations done.
        iterations: usize,
        /// Relative error reached.
        error: f64,
        /// Relative error asked for.
        tolerance: f64,
    },
    /// There is no number of cells to project on.
    #[error("0 cells were asked for of {available}: give between 1 and {available}")]
    NoCells {
        /// Cells of the relaxer.
        available: usize,
    },
    /// More cells than there are.
    #[error(
        "{cells} cells were asked for, but {label} has {available}: ask for at most {available}"
    )]
    TooFewCells {
        /// Cells asked for.
        cells: usize,
        /// Cells there are.
        available: usize,
        /// Relaxer.
        label: String,
    },
    /// The board failed.
    #[error("{label} failed: {source}")]
    Device {
        /// Device.
        label: String,
        /// What it says.
        source: Box<dyn Error + Send + Sync>,
    },
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests;
