//! What a training run takes beside an optimizer: batches in a seeded order, and a look at the result.

use crate::{
    data::{Examples, order},
    loss::Targets,
    model::ModelError,
    nn::{Batch, NetworkModel},
};

/// Examples of one pass of an evaluation.
const CHUNK: usize = 1000;

/// Which batches come when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Examples of a batch, at least 1.
    pub batch: usize,
    /// Seed of the order.
    pub seed: u64,
}

/// The batches of a course: step k has the same one whether or not the run was interrupted before it.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    examples: &'a Examples,
    course: Course,
    /// Epoch whose order this is.
    epoch: u64,
    order: Vec<usize>,
}

impl<'a> Batches<'a> {
    /// Batches of `examples`, no larger than there are.
    ///
    /// # Errors
    /// [`ModelError::EmptyBatch`] without examples, or for batches of none.
    pub fn new(examples: &'a Examples, course: Course) -> Result<Self, ModelError> {
        let batch = course.batch.min(examples.len());
        if batch == 0 {
            return Err(ModelError::EmptyBatch);
        }
        let order = order(examples.len(), course.seed, 0);
        Ok(Self { examples, course: Course { batch, ..course }, epoch: 0, order })
    }

    /// Steps of an epoch: whole batches only.
    pub fn per_epoch(&self) -> u64 {
        (self.examples.len() / self.course.batch) as u64
    }

    /// The batch of a step, from 0.
    pub fn of_step(&mut self, step: u64) -> Batch {
        let epoch = step / self.per_epoch();
        if epoch != self.epoch {
            self.order = order(self.examples.len(), self.course.seed, epoch);
            self.epoch = epoch;
        }
        let first = (step % self.per_epoch()) as usize * self.course.batch;
        self.examples.batch(&self.order[first..first + self.course.batch])
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{loss::Loss, nn::Network};

    fn examples(n: usize) -> Examples {
        Examples {
            width: 784,
            inputs: (0..n * 784).map(|i| (i % 13) as f32 / 13.0).collect(),
            labels: (0..n as u32).map(|i| i % 10).collect(),
        }
    }

    #[test]
    fn a_steps_batch_is_the_same_from_wherever_it_is_asked() {
        let examples = examples(10);
        let course = Course { batch: 3, seed: 4 };
        let mut batches = Batches::new(&examples, course).unwrap();
        assert_eq!(batches.per_epoch(), 3);
        let all: Vec<Batch> = (0..9).map(|step| batches.of_step(step)).collect();
        let mut again = Batches::new(&examples, course).unwrap();
        for step in [8, 2, 5, 0] {
            assert_eq!(again.of_step(step), all[step as usize]);
        }
        assert_ne!(all[0], all[3]);
    }

    #[test]
    fn batches_are_no_larger_than_there_are_examples_and_not_empty() {
        let examples = examples(2);
        let mut batches = Batches::new(&examples, Course { batch: 64, seed: 1 }).unwrap();
        assert_eq!(batches.of_step(5).inputs.len(), 2 * 784);
        assert!(Batches::new(&examples, Course { batch: 0, seed: 1 }).is_err());
        let none = Examples { width: 784, inputs: vec![], labels: vec![] };
        assert!(Batches::new(&none, Course { batch: 1, seed: 1 }).is_err());
    }

    #[test]
    fn a_score_counts_right_answers() {
        let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
        let theta = model.network.init(3);
        let mut examples = examples(20);
        let outputs = model.outputs(&theta, &examples.inputs).unwrap();
        let best = |row: &[f32]| {
            (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("ten classes") as u32
        };
        examples.labels = outputs.chunks_exact(10).map(best).collect();
        examples.labels[0] = (examples.labels[0] + 1) % 10;
        let score = evaluate(&model, &theta, &examples).unwrap();
        assert!((score.accuracy - 0.95).abs() < 1e-12);
        assert!(score.loss > 0.0);
    }
}
