//! Labelled examples, their files, and the order in which training sees them.

pub mod idx;
mod mnist;

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};

pub use mnist::{DataError, Mnist};

use crate::{loss::Targets, nn::Batch};

/// Examples with labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// Values of one example.
    pub width: usize,
    /// Values, example by example.
    pub inputs: Vec<f32>,
    /// A label for each.
    pub labels: Vec<u32>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The examples of these indices, as a batch.
    pub fn batch(&self, indices: &[usize]) -> Batch {
        let row = |i: usize| &self.inputs[i * self.width..][..self.width];
        Batch {
            inputs: indices.iter().flat_map(|&i| row(i)).copied().collect(),
            targets: Targets::Labels(indices.iter().map(|&i| self.labels[i]).collect()),
        }
    }

    /// The first `count`, and the others.
    #[must_use]
    pub fn split(mut self, count: usize) -> (Self, Self) {
        let count = count.min(self.len());
        let rest = Self {
            width: self.width,
            inputs: self.inputs.split_off(count * self.width),
            labels: self.labels.split_off(count),
        };
        (self, rest)
    }
}

/// A permutation of `n` indices for an epoch: the same for the same seed and epoch.
pub fn order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(epoch);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(mixed);
    let mut order: Vec<usize> = (0..n).collect();
    // Fisher and Yates; the bias of the remainder is below n / 2⁶⁴.
    for last in (1..n).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_example_once_in_its_own_order() {
        let (first, second) = (order(1000, 7, 0), order(1000, 7, 1));
        assert_eq!(first, order(1000, 7, 0));
        assert_ne!(first, second);
        assert_ne!(first, order(1000, 8, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
        assert!(order(0, 1, 1).is_empty());
    }

    #[test]
    fn batches_and_parts_keep_inputs_with_labels() {
        let all = Examples {
            width: 2,
            inputs: (0..8).map(|i| i as f32).collect(),
            labels: vec![0, 1, 2, 3],
        };
        let batch = all.batch(&[3, 1]);
        assert_eq!(batch.inputs, [6.0, 7.0, 2.0, 3.0]);
        assert_eq!(batch.targets, Targets::Labels(vec![3, 1]));
        let (first, rest) = all.split(3);
        assert_eq!((first.len(), rest.len()), (3, 1));
        assert_eq!(rest.batch(&[0]).inputs, [6.0, 7.0]);
    }
}
