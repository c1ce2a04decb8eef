//! What is done with a direction: momentum or Adam, learning rate, clipping.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{OptimError, Optimizer, Step, setting};
use crate::{
    bits,
    linalg::{finite, norm},
    model::Model,
};

/// Learning rate η = `rate` / (1 + `decay` · step).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// η of step 0.
    pub rate: f64,
    /// Decay per step.
    pub decay: f64,
}

impl Schedule {
    /// Always the same rate.
    pub fn constant(rate: f64) -> Self {
        Self { rate, decay: 0.0 }
    }

    /// η of a step, from 0.
    pub fn at(&self, step: u64) -> f64 {
        self.rate / (1.0 + self.decay * step as f64)
    }
}

/// How a direction d becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// m ← μ m + d; θ ← θ − η m.
    Sgd {
        /// μ, from 0 to below 1.
        momentum: f64,
    },
    /// Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1, with bias correction).
    Adam {
        /// β₁, from 0 to below 1.
        beta1: f64,
        /// β₂, from 0 to below 1.
        beta2: f64,
        /// ε > 0.
        epsilon: f64,
    },
}

impl Rule {
    /// Adam with its customary β = (0.9, 0.999), ε = 1e-8.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
}

/// A rule with its state. On plain gradients it is SGD or Adam; on natural gradients TNGD or
/// TNGD-Adam. Serialising it and going on gives the same bits as going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descent {
    rule: Rule,
    schedule: Schedule,
    clip: Option<f64>,
    most_loss: Option<f64>,
    step: u64,
    #[serde(with = "bits")]
    first: Vec<f32>,
    #[serde(with = "bits")]
    second: Vec<f32>,
}

impl Descent {
    /// For N parameters.
    ///
    /// # Errors
    /// Rates, momenta or ε out of their ranges.
    pub fn new(params: usize, rule: Rule, schedule: Schedule) -> Result<Self, OptimError> {
        let Schedule { rate, decay } = schedule;
        setting("the learning rate", rate, rate > 0.0 && rate.is_finite(), "one above 0")?;
        setting("the rate's decay", decay, decay >= 0.0 && decay.is_finite(), "0 or more")?;
        let moment = |what, m: f64| setting(what, m, (0.0..1.0).contains(&m), "0 or more, below 1");
        let second = match rule {
            Rule::Sgd { momentum } => {
                moment("the momentum", momentum)?;
                0
            }
            Rule::Adam { beta1, beta2, epsilon } => {
                moment("Adam's β₁", beta1)?;
                moment("Adam's β₂", beta2)?;
                setting("Adam's ε", epsilon, epsilon > 0.0 && epsilon.is_finite(), "one above 0")?;
                params
            }
        };
        let (first, second) = (vec![0.0; params], vec![0.0; second]);
        Ok(Self { rule, schedule, clip: None, most_loss: None, step: 0, first, second })
    }

    /// Scales directions that are longer than `most` down to that length.
    ///
    /// # Errors
    /// `most` is not above 0.
    pub fn clip(mut self, most: f64) -> Result<Self, OptimError> {
        setting("the clipping length", most, most > 0.0, "one above 0")?;
        self.clip = Some(most);
        Ok(self)
    }

    /// Stops with [`OptimError::Diverged`] at a loss above `most`.
    ///
    /// # Errors
    /// `most` is NaN.
    pub fn stop_above(mut self, most: f64) -> Result<Self, OptimError> {
        setting("the largest loss", most, !most.is_nan(), "a number")?;
        self.most_loss = Some(most);
        Ok(self)
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Number of parameters.
    pub fn params(&self) -> usize {
        self.first.len()
    }

    pub(super) fn check_loss(&self, loss: f64) -> Result<(), OptimError> {
        let step = self.step;
        if !loss.is_finite() {
            return Err(OptimError::NotFinite { step, what: "the loss" });
        }
        match self.most_loss {
            Some(limit) if loss > limit => Err(OptimError::Diverged { step, loss, limit }),
            _ => Ok(()),
        }
    }

    /// Moves θ by one step along `direction`.
    ///
    /// # Errors
    /// Wrong lengths, directions that are not finite, and steps that lead to parameters or moments that
    /// are not. θ and all state are then as they were.
    pub fn apply(&mut self, theta: &mut [f32], direction: &[f32]) -> Result<(), OptimError> {
        let (step, needed) = (self.step, self.params());
        for (what, len) in [("parameters", theta.len()), ("direction", direction.len())] {
            if len != needed {
                return Err(OptimError::Length { what, len, needed });
            }
        }
        if !finite(direction) {
            return Err(OptimError::NotFinite { step, what: "the direction" });
        }
        let scale = scale_to_clip(direction, self.clip);
        let rate = self.schedule.at(step);
        let (mut first, mut second) = (self.first.clone(), self.second.clone());
        let mut moved = theta.to_vec();
        match self.rule {
            Rule::Sgd { momentum } => {
                let (momentum, rate) = (momentum as f32, rate as f32);
                for ((theta, m), d) in moved.iter_mut().zip(&mut first).zip(direction) {
                    *m = momentum * *m + scale * d;
                    *theta -= rate * *m;
                }
            }
            Rule::Adam { beta1, beta2, epsilon } => {
                let power = (step + 1) as f64;
                let correction = (1.0 - beta2.powf(power)).sqrt();
                // With m̂ = m/(1 − β₁ᵏ), v̂ = v/correction²: η m̂/(√v̂ + ε).
                let rate = (rate * correction / (1.0 - beta1.powf(power))) as f32;
                let epsilon = (epsilon * correction) as f32;
                let (beta1, beta2) = (beta1 as f32, beta2 as f32);
                let moments = first.iter_mut().zip(&mut second);
                pulp::Arch::new().dispatch(|| {
                    for ((theta, (m, v)), d) in moved.iter_mut().zip(moments).zip(direction) {
                        let d = scale * d;
                        *m = beta1 * *m + (1.0 - beta1) * d;
                        *v = beta2 * *v + (1.0 - beta2) * (d * d);
                        *theta -= rate * *m / (v.sqrt() + epsilon);
                    }
                });
            }
        }
        for (what, values) in [("a parameter", &moved), ("a moment", &first), ("a moment", &second)]
        {
            if !finite(values) {
                return Err(OptimError::NotFinite { step, what });
            }
        }
        theta.copy_from_slice(&moved);
        (self.step, self.first, self.second) = (step + 1, first, second);
        Ok(())
    }
}

/// Factor that brings a vector to at most the length `clip`.
pub(super) fn scale_to_clip(vector: &[f32], clip: Option<f64>) -> f32 {
    clip.map_or(1.0, |most| (most / norm(vector).max(f64::MIN_POSITIVE)).min(1.0) as f32)
}

impl<M: Model> Optimizer<M> for Descent {
    fn step(&mut self, model: &M, theta: &mut [f32], batch: &M::Batch) -> Result<Step, OptimError> {
        let begun = Instant::now();
        let mut direction = vec![0.0; model.params()];
        let loss = model.gradient(theta, batch, &mut direction)?;
        let gradient = begun.elapsed();
        self.check_loss(loss)?;
        let begun = Instant::now();
        self.apply(theta, &direction)?;
        Ok(Step { loss, damping: None, report: None, gradient, update: begun.elapsed() })
    }
}
