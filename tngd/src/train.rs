//! The training loop: batches in a seeded order, one optimizer step each.

use std::ops::ControlFlow;

use crate::{
    data::{Examples, order},
    loss::Targets,
    model::ModelError,
    nn::NetworkModel,
    optim::{OptimError, Optimizer, Step},
};

/// Examples of one pass of an evaluation.
const CHUNK: usize = 1000;

/// Which batches come when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Examples of a batch, at least 1.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// Seed of the order.
    pub seed: u64,
}

impl Course {
    /// Steps of an epoch over `examples` examples: whole batches only; at least 1.
    pub fn steps_per_epoch(&self, examples: usize) -> u64 {
        (examples / self.batch.max(1)).max(1) as u64
    }
}

/// Trains from step `from` on: step k takes the same batch whether or not the run was interrupted
/// before it. `observe` sees every step with the parameters after it, and may end the run.
///
/// Returns the number of steps that are done, from 0.
///
/// # Errors
/// [`ModelError::EmptyBatch`] without examples; what the optimizer says, with `theta` as it was before
/// that step.
pub fn train(
    model: &NetworkModel,
    theta: &mut [f32],
    optimizer: &mut dyn Optimizer<NetworkModel>,
    examples: &Examples,
    course: &Course,
    from: u64,
    observe: &mut dyn FnMut(u64, &Step, &[f32]) -> ControlFlow<()>,
) -> Result<u64, OptimError> {
    let batch = course.batch.min(examples.len());
    if batch == 0 {
        return Err(ModelError::EmptyBatch.into());
    }
    let per_epoch = course.steps_per_epoch(examples.len());
    let mut shuffled = (u64::MAX, Vec::new());
    for step in from..course.steps {
        let epoch = step / per_epoch;
        if shuffled.0 != epoch {
            shuffled = (epoch, order(examples.len(), course.seed, epoch));
        }
        let first = (step % per_epoch) as usize * batch;
        let batch = examples.batch(&shuffled.1[first..first + batch]);
        let done = optimizer.step(model, theta, &batch)?;
        if observe(step, &done, theta).is_break() {
            return Ok(step + 1);
        }
    }
    Ok(course.steps)
}

/// Loss and accuracy over labelled examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean loss.
    pub loss: f64,
    /// Part of the examples whose largest output is that of their label.
    pub accuracy: f64,
}

/// Scores parameters on all of `examples`.
///
/// # Errors
/// [`ModelError::EmptyBatch`] without examples; what the model says.
pub fn evaluate(
    model: &NetworkModel,
    theta: &[f32],
    examples: &Examples,
) -> Result<Score, ModelError> {
    if examples.is_empty() {
        return Err(ModelError::EmptyBatch);
    }
    let classes = model.network.outputs();
    let (mut loss, mut right) = (0.0, 0_usize);
    let all: Vec<usize> = (0..examples.len()).collect();
    for chunk in all.chunks(CHUNK) {
        let batch = examples.batch(chunk);
        let outputs = model.outputs(theta, &batch.inputs)?;
        loss += model.loss.evaluate(&outputs, &batch.targets, classes)?.loss * chunk.len() as f64;
        if let Targets::Labels(labels) = &batch.targets {
            for (row, label) in outputs.chunks_exact(classes).zip(labels) {
                let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                right += usize::from(largest.is_some_and(|(class, _)| class as u32 == *label));
            }
        }
    }
    let n = examples.len() as f64;
    Ok(Score { loss: loss / n, accuracy: right as f64 / n })
}
