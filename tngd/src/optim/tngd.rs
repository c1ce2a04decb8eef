//! Thermodynamic natural gradient descent.

use std::{mem, time::Instant};

use serde::{Deserialize, Serialize};

use super::{Descent, OptimError, Optimizer, Step, descent::scale_to_clip, setting};
use crate::{
    backend::{Evolution, Memory, NaturalGradient},
    bits,
    curvature::Damping,
    linalg::{axpy, dot, scale},
    model::Model,
};

/// Where the device starts when it has no state yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum First {
    /// At the batch's gradient, as in the paper: t = 0 is then plain gradient descent.
    Gradient,
    /// At 0.
    Zero,
}

/// How the device is used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Damping λ.
    pub damping: Damping,
    /// Analog time t per step, in units of τ; may be infinite.
    #[serde(with = "infinite")]
    pub time: f64,
    /// Delay `t_d` in units of τ: for so long after a read the device evolves under that batch's
    /// problem, until the next one is set. Acts as momentum. For backends with finite times.
    pub delay: f64,
    /// Noise strength κ0.
    pub noise: f64,
    /// Start of the first step.
    pub first: First,
    /// Starts every step like the first, rather than with the state that the last one left (a warm
    /// start).
    pub restart: bool,
    /// Scales gradients that are longer than this down to it, before the device sees them.
    pub clip: Option<f64>,
    /// Seed of all noise.
    pub seed: u64,
}

impl Default for Settings {
    /// A warm start with λ = 0.1 and t = 1 τ, without delay and noise.
    fn default() -> Self {
        Self {
            damping: Damping::Constant(0.1),
            time: 1.0,
            delay: 0.0,
            noise: 0.0,
            first: First::Zero,
            restart: false,
            clip: None,
            seed: 0,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), OptimError> {
        self.damping.check()?;
        setting("the analog time t", self.time, self.time >= 0.0, "0 or more, or inf")?;
        let finite = |x: f64| x >= 0.0 && x.is_finite();
        setting("the delay t_d", self.delay, finite(self.delay), "0 or more")?;
        setting("the noise κ0", self.noise, finite(self.noise), "0 or more")?;
        if let Some(clip) = self.clip {
            setting("the clipping length of gradients", clip, clip > 0.0, "one above 0")?;
        }
        Ok(())
    }
}

/// All that a run needs, apart from θ, to go on with the same bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    settings: Settings,
    descent: Descent,
    /// The device's state; empty before the first step.
    #[serde(with = "bits")]
    device: Vec<f32>,
    /// What the backend keeps, when the state is saved.
    #[serde(default)]
    memory: Memory,
}

/// TNGD (arXiv 2405.13817, algorithm 1): each step the device's state evolves under the batch's
/// gradient and curvature, and a [`Descent`] takes what is read in place of the gradient. With
/// [`Rule::Sgd`](super::Rule::Sgd) it is TNGD, with [`Rule::Adam`](super::Rule::Adam) TNGD-Adam.
pub struct Tngd {
    backend: Box<dyn NaturalGradient>,
    state: State,
}

impl Tngd {
    /// Starts with a backend.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn new(
        backend: Box<dyn NaturalGradient>,
        settings: Settings,
        descent: Descent,
    ) -> Result<Self, OptimError> {
        Self::resume(
            backend,
            State { settings, descent, device: Vec::new(), memory: Memory::default() },
        )
    }

    /// Goes on from a state.
    ///
    /// # Errors
    /// Settings out of their ranges, states that do not belong together.
    pub fn resume(
        mut backend: Box<dyn NaturalGradient>,
        mut state: State,
    ) -> Result<Self, OptimError> {
        state.settings.check()?;
        let (len, needed) = (state.device.len(), state.descent.params());
        if len != 0 && len != needed {
            return Err(OptimError::Length { what: "device state", len, needed });
        }
        backend.recall(mem::take(&mut state.memory));
        Ok(Self { backend, state })
    }

    /// State to save.
    pub fn state(&self) -> State {
        State { memory: self.backend.memory(), ..self.state.clone() }
    }

    /// The backend.
    pub fn backend(&self) -> &dyn NaturalGradient {
        &*self.backend
    }

    /// Another backend from here on, such as a digital one after the board has vanished. It goes on from
    /// what this one has in memory.
    pub fn set_backend(&mut self, mut backend: Box<dyn NaturalGradient>) {
        backend.recall(self.backend.memory());
        self.backend = backend;
    }
}

impl<M: Model> Optimizer<M> for Tngd {
    fn step(&mut self, model: &M, theta: &mut [f32], batch: &M::Batch) -> Result<Step, OptimError> {
        let memory = self.backend.memory();
        let step = self.advance(model, theta, batch);
        if step.is_err() {
            self.backend.recall(memory);
        }
        step
    }
}

impl Tngd {
    /// A step, which has changed the backend's memory if it failed, and nothing else.
    fn advance<M: Model>(
        &mut self,
        model: &M,
        theta: &mut [f32],
        batch: &M::Batch,
    ) -> Result<Step, OptimError> {
        let State { settings, descent, device, .. } = &mut self.state;
        let step = descent.steps();
        let begun = Instant::now();
        let mut gradient = vec![0.0; model.params()];
        let (loss, curvature) = model.linearise(theta, batch, &mut gradient)?;
        descent.check_loss(loss)?;
        let clipped = scale_to_clip(&gradient, settings.clip);
        scale(clipped, &mut gradient);
        let gradient_took = begun.elapsed();

        let mut held = match settings.first {
            _ if !(device.is_empty() || settings.restart) => device.clone(),
            First::Gradient => gradient.clone(),
            First::Zero => vec![0.0; gradient.len()],
        };
        let damping = settings.damping.lambda(step);
        let evolution = Evolution {
            damping,
            time: settings.time,
            noise: settings.noise,
            // Apart for runs, for steps, and for the two parts of a step.
            seed: settings.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(2 * step),
        };
        let mut report = self.backend.evolve(&*curvature, &gradient, &evolution, &mut held)?;
        let read = held.clone();
        if settings.delay > 0.0 {
            let evolution = Evolution {
                time: settings.delay,
                seed: evolution.seed.wrapping_add(1),
                ..evolution
            };
            let after = self.backend.evolve(&*curvature, &gradient, &evolution, &mut held)?;
            report.add(&after);
        }

        let begun = Instant::now();
        let mut moved = theta.to_vec();
        descent.apply(&mut moved, &read)?;
        let predicted = settings.damping.adapts().then(|| {
            let mut change = moved.clone();
            axpy(-1.0, theta, &mut change);
            let mut curved = vec![0.0; change.len()];
            curvature.product(&change, &mut curved);
            axpy(damping, &change, &mut curved);
            dot(&gradient, &change) / f64::from(clipped) + 0.5 * dot(&curved, &change)
        });
        drop(curvature);
        if let Some(predicted) = predicted {
            // A model that no longer gives a loss there counts as the worst.
            let after = model.loss(&moved, batch).unwrap_or(f64::NAN);
            settings.damping.update((after - loss) / predicted);
        }
        theta.copy_from_slice(&moved);
        *device = held;
        let (gradient, update) = (gradient_took, begun.elapsed());
        Ok(Step { loss, damping: Some(damping), report: Some(report), gradient, update })
    }
}

/// A time in serde formats: none for ∞, which JSON has no number for.
mod infinite {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(time: &f64, to: S) -> Result<S::Ok, S::Error> {
        Some(*time).filter(|time| time.is_finite()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}
