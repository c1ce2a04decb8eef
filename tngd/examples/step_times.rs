//! Time of a training step by optimizer, as ratios to Adam, on [`Network::mnist_convnet`] (37,434 parameters)
//! with random data and batches of 64: `cargo run --release -p tngd --example step_times`.
//!
//! Optimizers take turns, so that whatever else the machine does falls on all of them.

use std::time::Instant;

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use tngd::{
    backend::{Cg, DigitalRelaxer, ExactLaw, Krylov, NaturalGradient, Woodbury},
    loss::{Loss, Targets},
    nn::{Batch, Network, NetworkModel},
    optim::{Descent, OptimError, Optimizer, Rule, Schedule, Settings, Tngd},
};

const BATCH: usize = 64;
const ROUNDS: usize = 40;

struct Contender {
    name: String,
    optimizer: Box<dyn Optimizer<NetworkModel>>,
    theta: Vec<f32>,
    /// Milliseconds.
    times: Vec<f64>,
}

fn batches(model: &NetworkModel, count: usize) -> Vec<Batch> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut batch = || Batch {
        inputs: (0..BATCH * model.network.inputs())
            .map(|_| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32)
            .collect(),
        targets: Targets::Labels((0..BATCH as u32).map(|i| i % 10).collect()),
    };
    (0..count).map(|_| batch()).collect()
}

fn contenders(model: &NetworkModel) -> Result<Vec<Contender>, OptimError> {
    let theta = model.network.init(1);
    let n = theta.len();
    let adam = Descent::new(n, Rule::ADAM, Schedule::constant(1e-3))?;
    let mut all = vec![Contender {
        name: "Adam".into(),
        optimizer: Box::new(adam),
        theta: theta.clone(),
        times: Vec::new(),
    }];
    let equilibrium = Settings { time: f64::INFINITY, ..Settings::default() };
    let noisy = Settings { noise: 1e-5, ..Settings::default() };
    let krylov = Krylov::new(Box::new(DigitalRelaxer::new(8)), 8)?;
    let backends: [(&str, Box<dyn NaturalGradient>, Settings); 5] = [
        ("TNGD, t = τ", Box::new(ExactLaw::default()), Settings::default()),
        ("TNGD, t = τ, κ0 = 1e-5", Box::new(ExactLaw::default()), noisy),
        ("TNGD, t = τ", Box::new(krylov), Settings::default()),
        ("NGD", Box::new(Woodbury), equilibrium),
        ("NGD", Box::new(Cg { tolerance: 1e-3, ..Cg::default() }), equilibrium),
    ];
    for (name, backend, settings) in backends {
        let name = format!("{name}: {}", backend.label());
        let rule = Rule::Sgd { momentum: 0.0 };
        let descent = Descent::new(n, rule, Schedule { rate: 0.1, decay: 0.01 })?;
        let optimizer = Box::new(Tngd::new(backend, settings, descent)?);
        all.push(Contender { name, optimizer, theta: theta.clone(), times: Vec::new() });
    }
    Ok(all)
}

fn main() -> anyhow::Result<()> {
    let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
    let batches = batches(&model, ROUNDS);
    let mut contenders = contenders(&model)?;
    for batch in &batches {
        for Contender { optimizer, theta, times, .. } in &mut contenders {
            let start = Instant::now();
            optimizer.step(&model, theta, batch)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    for contender in &mut contenders {
        contender.times.sort_by(f64::total_cmp);
    }
    let (least, median) = (contenders[0].times[0], contenders[0].times[ROUNDS / 2]);
    println!("{:>8} {:>8} {:>8} {:>8}", "least", "ratio", "median", "ratio");
    for Contender { name, times, .. } in &contenders {
        let (a, b) = (times[0], times[ROUNDS / 2]);
        println!("{a:6.2}ms {:8.1} {b:6.2}ms {:8.1}  {name}", a / least, b / median);
    }
    Ok(())
}
