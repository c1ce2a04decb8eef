//! Experiments on training: the pages of docs/experiments, one command each
//! (`--bin experiments`), and the figures that start with `tngd.` and `ngd.`.

pub mod curves;
pub mod goals;
pub mod page;
pub mod run;
pub mod scaling;
pub mod sweeps;
pub mod times;
pub mod tune;

use std::path::PathBuf;

use anyhow::Result;
use tngd::nn::{Dense, Network, Tanh};

/// Examples of a batch in every experiment on images.
pub const BATCH: usize = 64;
/// Training images of an experiment unless it says otherwise.
pub const EXAMPLES: usize = 10_000;

/// Rate, damping λ and decay of TNGD that were chosen on validation images (docs/experiments/goals.md): the
/// defaults of `spu train`.
pub const CHOSEN: (f64, f64, f64) = (0.1, 0.03, 0.01);

/// A network on MNIST, and how many images make a batch.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// In words.
    pub name: &'static str,
    /// Makes the network.
    pub network: fn() -> Result<Network>,
    /// Images of a batch.
    pub batch: usize,
}

impl Task {
    /// The paper's shape, 37,434 parameters.
    pub const CONVNET: Self = Self {
        name: "the convolutional network of 37,434 parameters",
        network: || Ok(Network::mnist_convnet()),
        batch: BATCH,
    };
    /// Two dense layers, 4,780 parameters: small enough to train on the simulated factored array.
    pub const DENSE: Self = Self {
        name: "a network of two dense layers, 4,780 parameters",
        network: || {
            Ok(Network::new(vec![
                Box::new(Dense { inputs: 784, outputs: 6 }),
                Box::new(Tanh { size: 6 }),
                Box::new(Dense { inputs: 6, outputs: 10 }),
            ])?)
        },
        batch: 16,
    };
}

/// How large an experiment is, and where its data are.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Few steps and seeds: shows that it runs, measures nothing that counts.
    pub quick: bool,
    /// Folder of the MNIST files.
    pub data: PathBuf,
    /// Seeds, if not the experiment's own number.
    pub seeds: Option<u64>,
}

impl Scope {
    /// `few` in the quick version, else `many`.
    pub fn pick<T>(&self, few: T, many: T) -> T {
        if self.quick { few } else { many }
    }

    /// Seeds 1 to `many`, or to the number that was asked for; two in the quick version.
    pub fn seeds(&self, many: u64) -> std::ops::RangeInclusive<u64> {
        1..=self.seeds.unwrap_or(self.pick(2, many))
    }
}
