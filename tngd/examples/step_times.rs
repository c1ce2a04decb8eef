//! Time of a training step by optimizer, as ratios to Adam, on the MNIST ConvNet with random data:
//! `cargo run --release -p tngd --example step_times`.

use std::time::Instant;
use tngd::{
    backend::{DigitalRelaxer, Evolution, ExactLaw, Krylov, NaturalGradient},
    curvature::{Curvature, LowRank},
    loss::{Loss, Targets},
    model::Model,
    nn::{Batch, Network, NetworkModel},
};

fn time(name: &str, repeats: usize, mut f: impl FnMut()) -> f64 {
    f();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name}: min {:.3} median {:.3} ms", times[0], times[repeats / 2]);
    times[0]
}

fn main() -> anyhow::Result<()> {
    let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
    let theta = model.network.init(1);
    let b = 64;
    let mut state = 12345u32;
    let mut uniform = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let inputs: Vec<f32> = (0..b * 784).map(|_| uniform()).collect();
    let labels = (0..b as u32).map(|i| i % 10).collect();
    let batch = Batch { inputs, targets: Targets::Labels(labels) };
    let n = model.params();
    let mut gradient = vec![0.0; n];
    time("forward", 200, || {
        model.network.forward(&theta, &batch.inputs).unwrap();
    });
    time("loss", 200, || {
        model.loss(&theta, &batch).unwrap();
    });
    time("gradient", 200, || {
        model.gradient(&theta, &batch, &mut gradient).unwrap();
    });
    let curvature = model.output_curvature(&theta, &batch)?;
    let v = model.network.init(3);
    let mut out = vec![0.0; n];
    let mut w = vec![0.0; curvature.rank()];
    time("product", 200, || curvature.product(&v, &mut out));
    time("b", 200, || curvature.b_product(&v, &mut w));
    time("bt", 200, || curvature.bt_product(&w, &mut out));
    time("gram", 50, || {
        curvature.gram();
    });
    for t in [1.0, 50.0, f64::INFINITY] {
        for (name, backend) in [
            ("exact", &mut ExactLaw::default() as &mut dyn NaturalGradient),
            ("krylov", &mut Krylov::new(Box::new(DigitalRelaxer::new(8)), 8)?),
        ] {
            let mut report = None;
            time(&format!("{name} t={t}"), 10, || {
                let mut x = gradient.clone();
                report = Some(
                    backend
                        .evolve(
                            &curvature,
                            &gradient,
                            &Evolution { damping: 0.1, time: t, noise: 0.0, seed: 1 },
                            &mut x,
                        )
                        .unwrap(),
                );
            });
            println!("{report:?}");
        }
    }
    Ok(())
}
