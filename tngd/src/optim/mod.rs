//! Optimizers: gradient descent with momentum, Adam, and both on the natural gradient of a
//! [backend](crate::backend).

mod checkpoint;
mod descent;
mod tngd;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use descent::{Descent, Rule, Schedule};
pub use tngd::{First, Settings, State, Tngd};

use std::time::Duration;

use crate::{
    backend::{BackendError, Report},
    curvature::DampingError,
    model::{Model, ModelError},
};

/// One training step after another.
pub trait Optimizer<M: Model> {
    /// Changes θ by one step on a batch.
    ///
    /// # Errors
    /// What the model or the backend says, and numbers that are not finite. θ is then as it was.
    fn step(&mut self, model: &M, theta: &mut [f32], batch: &M::Batch) -> Result<Step, OptimError>;
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Mean loss over the batch, before the step.
    pub loss: f64,
    /// Damping λ that was used, if any.
    pub damping: Option<f64>,
    /// The backend's report, if there was one.
    pub report: Option<Report>,
    /// Wall time of loss and gradient, and of what linearises the curvature.
    pub gradient: Duration,
    /// Wall time of turning the direction into new parameters.
    pub update: Duration,
}

/// Why a step failed or an optimizer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OptimError {
    /// From the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From the backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// From the damping.
    #[error(transparent)]
    Damping(#[from] DampingError),
    /// Vectors of another model.
    #[error(
        "{what}: {len} values, but the optimizer has state for {needed} parameters: make it for this model"
    )]
    Length {
        /// Which.
        what: &'static str,
        /// Its length.
        len: usize,
        /// Parameters that the optimizer is for.
        needed: usize,
    },
    /// NaN or infinity.
    #[error(
        "step {step}: {what} is not finite: the run has diverged; go back to a checkpoint, lower the learning rate, raise the damping or clip gradients"
    )]
    NotFinite {
        /// Step, from 0.
        step: u64,
        /// What.
        what: &'static str,
    },
    /// The loss is above the limit that was set.
    #[error(
        "step {step}: loss {loss} is above the limit {limit}: the run has diverged; go back to a checkpoint, lower the learning rate or raise the damping"
    )]
    Diverged {
        /// Step, from 0.
        step: u64,
        /// Mean loss of the batch.
        loss: f64,
        /// Limit.
        limit: f64,
    },
    /// A setting makes no sense.
    #[error("{what} is {value}: give {allowed}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
}

/// Refuses a setting unless `good`.
fn setting(
    what: &'static str,
    value: f64,
    good: bool,
    allowed: &'static str,
) -> Result<(), OptimError> {
    if good { Ok(()) } else { Err(OptimError::Setting { what, value, allowed }) }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests;
