//! One step on the simulated factored array with [`Network::mnist_convnet`] (37,434 parameters) and random
//! data: memory, wall time by phase beside the paper's model of its hardware, and the distance from
//! the exact law: `cargo run --release -p tngd --example factored_step -- [BATCH] [URI]`.

use std::time::Instant;

use anyhow::{Context, Result};
use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use tngd::{
    backend::{Array, Evolution, ExactLaw, NaturalGradient},
    loss::{Loss, Targets},
    model::Model,
    nn::{Batch, Network, NetworkModel},
};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let examples: usize = words.next().map_or(Ok(32), |word| word.parse()).context("BATCH")?;
    let uri = words.next().unwrap_or_else(|| "sim:profile=rc-factored".into());
    let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
    let theta = model.network.init(1);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let batch = Batch {
        inputs: (0..examples * model.network.inputs())
            .map(|_| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32)
            .collect(),
        targets: Targets::Labels((0..examples as u32).map(|i| i % 10).collect()),
    };
    let mut gradient = vec![0.0; theta.len()];
    let (_, curvature) = model.linearise(&theta, &batch, &mut gradient)?;
    let rows = curvature.low_rank().map_or(0, tngd::curvature::LowRank::rank);
    println!("N = {}, batch of {examples}: arrays of {rows} rows, {uri}", theta.len());

    let evolution = Evolution { damping: 0.1, time: 1.0, noise: 0.0, seed: 1 };
    let before = resident();
    let mut array = Array::new(spu_driver::open(&uri)?)?;
    let mut state = gradient.clone();
    let started = Instant::now();
    let report = array.evolve(&*curvature, &gradient, &evolution, &mut state)?;
    let took = started.elapsed();
    let phases = report.phases;
    println!(
        "rung: simulator in process; wall time of the step {took:.2?}, {} runs",
        report.iterations
    );
    println!("  rows of B on the host (digital)  {:.2?}", phases.factors);
    println!("  write, read back and compare     {:.2?}", phases.program);
    println!("  evolve                           {:.2?}", phases.evolve);
    println!("  read                             {:.2?}", phases.read);
    println!(
        "the paper's hardware by its own model, not measured: upload {:.3?}, analog {:.3?}",
        phases.paper.upload, phases.paper.analog
    );
    if let Some(drift) = report.drift {
        println!(
            "the drift is {:.2e} from symmetric, measured; tolerances move it by at most {:.3}, λ = {}",
            drift.asymmetry.unwrap_or(0.0),
            drift.bound,
            evolution.damping
        );
    }
    if let (Some(before), Some(peak)) = (before, resident()) {
        println!("peak memory {peak} MiB, {before} MiB before the array was loaded");
    }
    let mut law = gradient.clone();
    ExactLaw::default().evolve(&*curvature, &gradient, &evolution, &mut law)?;
    let norm = |x: &mut dyn Iterator<Item = f32>| {
        x.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
    };
    let error = norm(&mut state.iter().zip(&law).map(|(a, b)| a - b));
    println!("distance from the exact law {:.2e}", error / norm(&mut law.iter().copied()));
    Ok(())
}

/// Largest resident set so far, in MiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
