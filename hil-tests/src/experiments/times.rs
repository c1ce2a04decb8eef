//! Time of a step as a ratio to Adam's, in turns in one run.

use std::time::Instant;

use anyhow::Result;
use tngd::data::Examples;
use tngd::loss::Loss;
use tngd::nn::{Network, NetworkModel};
use tngd::train::{Batches, Course};

use super::BATCH;
use super::run::{Recipe, Source};
use super::tune::warm;

/// Median times of a step.
#[derive(Debug, Clone, Copy)]
pub struct Ratios {
    /// Adam's, in milliseconds.
    pub adam_ms: f64,
    /// `exact-law` over Adam.
    pub exact_law: f64,
    /// `board` over Adam.
    pub board: f64,
}

/// Measures over so many rounds on images of pixels at random, on one thread.
///
/// # Errors
/// A board that does not run.
pub fn ratios(rounds: u64) -> Result<Ratios> {
    let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
    let count = 20 * BATCH;
    // Any pixels do: time does not depend on them.
    let inputs = (0..count * 784).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0).collect();
    let labels = (0..count as u32).map(|i| i % 10).collect();
    let examples = Examples { width: 784, inputs, labels };
    let mut batches = Batches::new(&examples, Course { batch: BATCH, seed: 1 })?;
    let recipes = [
        Recipe::adam(1e-3, 0.0),
        warm("exact-law", &Source::ExactLaw, 0.01, 0.03, 0.01).0,
        warm("board", &Source::board(), 0.01, 0.03, 0.01).0,
    ];
    let mut contenders = Vec::new();
    for recipe in &recipes {
        contenders.push((recipe.open(model.network.params(), 1)?, model.network.init(1), vec![]));
    }
    for round in 0..rounds {
        let batch = batches.of_step(round);
        for (optimizer, theta, times) in &mut contenders {
            let begun = Instant::now();
            optimizer.step(&model, theta, &batch)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [adam, exact, board] =
        [0, 1, 2].map(|i: usize| crate::median(std::mem::take(&mut contenders[i].2)));
    Ok(Ratios { adam_ms: adam, exact_law: exact / adam, board: board / adam })
}
