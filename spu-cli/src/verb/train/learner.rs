//! The optimizer of a run, whatever its rule, and what a checkpoint keeps of it.

use serde::{Deserialize, Serialize};
use tngd::nn::{Batch, NetworkModel};
use tngd::optim::{Descent, OptimError, Optimizer, State, Step, Tngd};

/// Any rule.
pub(super) enum Learner {
    Plain(Descent),
    Natural(Tngd),
}

/// What a checkpoint has beside θ.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) step: u64,
    pub(super) course_seed: u64,
    pub(super) learner: Saved,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Saved {
    Plain(Descent),
    Natural(State),
}

impl Optimizer<NetworkModel> for Learner {
    fn step(
        &mut self,
        model: &NetworkModel,
        theta: &mut [f32],
        batch: &Batch,
    ) -> Result<Step, OptimError> {
        match self {
            Self::Plain(descent) => descent.step(model, theta, batch),
            Self::Natural(tngd) => tngd.step(model, theta, batch),
        }
    }
}

impl Learner {
    /// What goes into a checkpoint.
    pub(super) fn saved(&self) -> Saved {
        match self {
            Self::Plain(descent) => Saved::Plain(descent.clone()),
            Self::Natural(tngd) => Saved::Natural(tngd.state()),
        }
    }

    pub(super) fn label(&self) -> String {
        match self {
            Self::Plain(_) => "digital".into(),
            Self::Natural(tngd) => tngd.backend().label(),
        }
    }

    pub(super) fn is_device(&self) -> bool {
        matches!(self, Self::Natural(tngd) if tngd.backend().is_device())
    }
}
