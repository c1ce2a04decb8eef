use std::fs;

use super::*;
use crate::{
    backend::{
        DigitalInverter, DigitalRelaxer, Evolution, ExactLaw, Kfac, KfacSettings, Krylov,
        NaturalGradient,
    },
    curvature::{Curvature, Damping, Dense},
    linalg::dot,
    loss::{Loss, Targets},
    nn::{self, Batch, Network, NetworkModel},
    random::normals,
};

/// ½ θᵀ A θ − cᵀ θ with c as the batch: the curvature is A.
struct Quadratic(Dense);

impl Quadratic {
    fn new() -> Self {
        Self(Dense::new(vec![4.0, 1.0, 1.0, 2.0], 2).unwrap())
    }
}

impl Model for Quadratic {
    type Batch = [f32];

    fn params(&self) -> usize {
        2
    }

    fn gradient(&self, theta: &[f32], c: &[f32], out: &mut [f32]) -> Result<f64, ModelError> {
        self.0.product(theta, out);
        let value = 0.5 * dot(theta, out) - dot(theta, c);
        out.iter_mut().zip(c).for_each(|(g, c)| *g -= c);
        Ok(value)
    }

    fn curvature<'a>(
        &'a self,
        _theta: &'a [f32],
        _batch: &'a [f32],
    ) -> Result<Box<dyn Curvature + 'a>, ModelError> {
        Ok(Box::new(self.0.clone()))
    }
}

fn sgd(rate: f64) -> Descent {
    Descent::new(2, Rule::Sgd { momentum: 0.0 }, Schedule::constant(rate)).unwrap()
}

fn exact() -> Box<dyn NaturalGradient> {
    Box::new(ExactLaw::default())
}

fn close(a: &[f32], b: &[f64]) {
    for (a, b) in a.iter().zip(b) {
        assert!((f64::from(*a) - b).abs() < 1e-5 * b.abs().max(0.1), "{a} {b}");
    }
}

#[test]
fn momentum_and_schedule_are_those_of_the_formulae() {
    let rule = Rule::Sgd { momentum: 0.5 };
    let mut descent = Descent::new(1, rule, Schedule { rate: 0.1, decay: 1.0 }).unwrap();
    let mut theta = [1.0];
    for expected in [1.0 - 0.1 * 2.0, 0.8 - 0.05 * 3.0, 0.65 - 0.1 / 3.0 * 3.5] {
        descent.apply(&mut theta, &[2.0]).unwrap();
        close(&theta, &[expected]);
    }
    assert_eq!(descent.steps(), 3);
}

#[test]
fn adam_is_that_of_the_paper() {
    let (mut theta, mut m, mut v) = ([1.0f64, -1.0, 0.5], [0.0f64; 3], [0.0f64; 3]);
    let mut ours = theta.map(|x| x as f32);
    let mut descent = Descent::new(3, Rule::ADAM, Schedule::constant(0.01)).unwrap();
    for step in 1..=20 {
        let g: Vec<f32> = ours.iter().map(|x| x * x * x + 0.1 * step as f32).collect();
        descent.apply(&mut ours, &g).unwrap();
        for i in 0..3 {
            let g = f64::from(g[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (m, v) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
            theta[i] -= 0.01 * m / (v.sqrt() + 1e-8);
        }
        close(&ours, &theta);
    }
}

#[test]
fn directions_are_clipped() {
    let mut theta = [0.0, 0.0];
    sgd(1.0).clip(1.0).unwrap().apply(&mut theta, &[3.0, 4.0]).unwrap();
    close(&theta, &[-0.6, -0.8]);
    let mut theta = [0.0, 0.0];
    sgd(1.0).clip(10.0).unwrap().apply(&mut theta, &[3.0, 4.0]).unwrap();
    close(&theta, &[-3.0, -4.0]);
}

#[test]
fn the_equilibrium_of_a_quadratic_is_its_minimum() {
    let (model, c) = (Quadratic::new(), [1.0, -2.0]);
    let damping = Damping::Constant(1e-6);
    let settings = Settings { damping, time: f64::INFINITY, ..Settings::default() };
    let mut tngd = Tngd::new(exact(), settings, sgd(1.0)).unwrap();
    let mut theta = [5.0, 7.0];
    tngd.step(&model, &mut theta, &c).unwrap();
    // A⁻¹ c.
    close(&theta, &[4.0 / 7.0, -9.0 / 7.0]);
}

#[test]
fn the_state_is_kept_and_delays_act_on_it() {
    let model = Quadratic::new();
    let first = First::Gradient;
    for (restart, delay) in [(false, 0.0), (true, 0.0), (false, 0.4)] {
        let settings = Settings { first, restart, delay, time: 0.7, ..Settings::default() };
        let mut tngd = Tngd::new(exact(), settings, sgd(0.1)).unwrap();
        let mut theta = vec![1.0, 1.0];
        let (mut expected, mut held) = (theta.clone(), Vec::new());
        for c in [[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0f32]] {
            tngd.step(&model, &mut theta, &c).unwrap();
            let mut gradient = [0.0; 2];
            model.gradient(&expected, &c, &mut gradient).unwrap();
            if held.is_empty() || restart {
                held = gradient.to_vec();
            }
            let mut evolve = |time| {
                let at = Evolution { damping: 0.1, time, noise: 0.0, seed: 0 };
                ExactLaw::default().evolve(&model.0, &gradient, &at, &mut held).unwrap();
                held.clone()
            };
            let read = evolve(0.7);
            if delay > 0.0 {
                evolve(delay);
            }
            expected.iter_mut().zip(read).for_each(|(theta, x)| *theta -= 0.1 * x);
        }
        close(&theta, &expected.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    }
}

#[test]
fn no_time_from_the_gradient_is_gradient_descent() {
    let (model, c) = (Quadratic::new(), [1.0, -2.0]);
    let settings =
        Settings { time: 0.0, first: First::Gradient, restart: true, ..Settings::default() };
    let mut tngd = Tngd::new(exact(), settings, sgd(0.1)).unwrap();
    let (mut a, mut b) = ([5.0, 7.0], [5.0, 7.0]);
    let mut plain = sgd(0.1);
    for _ in 0..3 {
        let step = tngd.step(&model, &mut a, &c).unwrap();
        assert_eq!(step.loss, plain.step(&model, &mut b, &c).unwrap().loss);
    }
    assert_eq!(a, b);
}

#[test]
fn levenberg_marquardt_lowers_the_damping_of_a_quadratic() {
    // The quadratic model is exact but for the damping: ρ > ¾ while λ is small against A.
    let (model, c) = (Quadratic::new(), [1.0, -2.0]);
    let damping = Damping::LevenbergMarquardt { lambda: 0.5, factor: 2.0, least: 0.1, most: 10.0 };
    let settings = Settings { damping, time: f64::INFINITY, ..Settings::default() };
    let mut tngd = Tngd::new(exact(), settings, sgd(1.0)).unwrap();
    let mut theta = [5.0, 7.0];
    let used: Vec<f64> =
        (0..4).map(|_| tngd.step(&model, &mut theta, &c).unwrap().damping.unwrap()).collect();
    assert_eq!(used, [0.5, 0.25, 0.125, 0.1]);
}

fn small() -> (NetworkModel, Batch) {
    let layers: Vec<Box<dyn nn::Layer>> = vec![
        Box::new(nn::Dense { inputs: 4, outputs: 8 }),
        Box::new(nn::Relu { size: 8 }),
        Box::new(nn::Dense { inputs: 8, outputs: 3 }),
    ];
    let model = NetworkModel::new(Network::new(layers).unwrap(), Loss::SoftmaxCrossEntropy);
    let inputs: Vec<f32> = normals(1, 12 * 4).map(|z| z as f32).collect();
    (model, Batch { inputs, targets: Targets::Labels((0..12).map(|i| i % 3).collect()) })
}

#[test]
fn training_lowers_the_loss_of_a_network() {
    let (model, batch) = small();
    let after = |optimizer: &mut dyn Optimizer<NetworkModel>| {
        let mut theta = model.network.init(1);
        for _ in 0..60 {
            optimizer.step(&model, &mut theta, &batch).unwrap();
        }
        model.loss(&theta, &batch).unwrap()
    };
    let n = model.params();
    let rule = |rule, rate| Descent::new(n, rule, Schedule::constant(rate)).unwrap();
    let sgd = Rule::Sgd { momentum: 0.0 };
    let krylov = || Box::new(Krylov::new(Box::new(DigitalRelaxer::new(8)), 8).unwrap());
    let tngd = |backend, rule| Tngd::new(backend, Settings::default(), rule).unwrap();
    let losses = [
        after(&mut rule(Rule::ADAM, 0.02)),
        after(&mut tngd(exact(), rule(sgd, 0.3))),
        after(&mut tngd(krylov(), rule(sgd, 0.3))),
        after(&mut tngd(krylov(), rule(Rule::ADAM, 0.02))),
    ];
    // From 1.2 or so at the start.
    assert!(losses.iter().all(|&loss| loss < 0.5), "{losses:?}");
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let (model, batch) = small();
    let descent =
        || Descent::new(model.params(), Rule::ADAM, Schedule { rate: 0.01, decay: 0.1 }).unwrap();
    let settings = Settings {
        damping: Damping::LevenbergMarquardt { lambda: 0.1, factor: 1.1, least: 0.01, most: 1.0 },
        noise: 0.01,
        delay: 0.2,
        seed: 5,
        ..Settings::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let mut tngd = Tngd::new(exact(), settings, descent()).unwrap();
    let mut theta = model.network.init(1);
    let run = |tngd: &mut Tngd, theta: &mut Vec<f32>| {
        for _ in 0..4 {
            tngd.step(&model, theta, &batch).unwrap();
        }
    };
    run(&mut tngd, &mut theta);
    Checkpoint::new(theta.clone(), tngd.state().clone()).save(&path).unwrap();
    run(&mut tngd, &mut theta);

    let loaded: Checkpoint<State> = Checkpoint::load(&path).unwrap();
    let mut resumed = Tngd::resume(exact(), loaded.state).unwrap();
    let mut again = loaded.theta;
    run(&mut resumed, &mut again);
    assert_eq!(again, theta);
    assert_eq!(resumed.state(), tngd.state());
    // The noise of one seed is not that of another.
    let other = Settings { seed: 6, ..settings };
    let mut other = Tngd::new(exact(), other, descent()).unwrap();
    let mut different = model.network.init(1);
    run(&mut other, &mut different);
    run(&mut other, &mut different);
    assert_ne!(different, theta);
}

#[test]
fn checkpoints_that_are_no_good_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let load = || Checkpoint::<Descent>::load(&path).unwrap_err();
    assert!(matches!(load(), CheckpointError::Io { .. }));
    let checkpoint = Checkpoint::new(vec![f32::NAN, -0.0, 1e-42], sgd(0.1));
    checkpoint.save(&path).unwrap();
    let bits = |theta: &[f32]| theta.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let loaded = Checkpoint::<Descent>::load(&path).unwrap();
    assert_eq!(bits(&loaded.theta), bits(&checkpoint.theta));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(matches!(load(), CheckpointError::Form { .. }));
    fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
    assert!(matches!(load(), CheckpointError::Version { found: 2, .. }));
    Checkpoint::new(vec![0.0], 3).save(&path).unwrap();
    assert!(matches!(load(), CheckpointError::Form { .. }));
}

#[test]
fn runs_that_diverge_stop_with_theta_as_it_was() {
    let (model, c) = (Quadratic::new(), [1.0, -2.0]);
    // η far above 2/`λ_max`.
    let mut descent = sgd(10.0).stop_above(1e6).unwrap();
    let mut theta = [5.0, 7.0];
    let error = loop {
        let before = theta;
        if let Err(error) = descent.step(&model, &mut theta, &c) {
            assert_eq!(theta, before);
            break error;
        }
    };
    assert!(matches!(error, OptimError::Diverged { limit: 1e6, .. }), "{error}");

    let mut descent = sgd(1.0);
    let error = descent.step(&model, &mut [f32::INFINITY, 0.0], &c).unwrap_err();
    assert!(matches!(error, OptimError::NotFinite { step: 0, what: "the loss" }), "{error}");
    let error = descent.apply(&mut [0.0; 2], &[f32::NAN, 0.0]).unwrap_err();
    assert!(matches!(error, OptimError::NotFinite { what: "the direction", .. }), "{error}");
    let error = sgd(1e38).apply(&mut [0.0; 2], &[1e38, 0.0]).unwrap_err();
    assert!(matches!(error, OptimError::NotFinite { what: "a parameter", .. }), "{error}");
    let error = descent.apply(&mut [0.0; 3], &[0.0; 2]).unwrap_err();
    assert!(matches!(error, OptimError::Length { len: 3, needed: 2, .. }), "{error}");

    // A backend's refusal leaves all as it was.
    let mut tngd = Tngd::new(
        Box::new(crate::backend::Euler::new(1.0).unwrap()),
        Settings { time: 5.0, ..Settings::default() },
        sgd(0.1),
    )
    .unwrap();
    let (before, mut theta) = (tngd.state(), [5.0, 7.0]);
    let error = tngd.step(&model, &mut theta, &c).unwrap_err();
    assert!(matches!(error, OptimError::Backend(BackendError::Unstable { .. })), "{error}");
    assert_eq!((theta, tngd.state()), ([5.0, 7.0], before));
    tngd.set_backend(exact());
    tngd.step(&model, &mut theta, &c).unwrap();
}

#[test]
fn senseless_settings_are_refused() {
    let descent = |rule, rate, decay| Descent::new(2, rule, Schedule { rate, decay }).map(|_| ());
    let adam = |beta1, beta2, epsilon| Rule::Adam { beta1, beta2, epsilon };
    let bad = [
        descent(Rule::ADAM, 0.0, 0.0),
        descent(Rule::ADAM, f64::NAN, 0.0),
        descent(Rule::ADAM, 0.1, -1.0),
        descent(Rule::Sgd { momentum: 1.0 }, 0.1, 0.0),
        descent(adam(1.0, 0.9, 1e-8), 0.1, 0.0),
        descent(adam(0.9, -0.1, 1e-8), 0.1, 0.0),
        descent(adam(0.9, 0.9, 0.0), 0.1, 0.0),
        sgd(0.1).clip(0.0).map(|_| ()),
        sgd(0.1).stop_above(f64::NAN).map(|_| ()),
    ];
    for (i, bad) in bad.into_iter().enumerate() {
        assert!(matches!(bad, Err(OptimError::Setting { .. })), "{i}");
    }
    let tngd = |settings| Tngd::new(exact(), settings, sgd(0.1)).map(|_| ());
    let good = Settings::default();
    for bad in [
        Settings { time: -1.0, ..good },
        Settings { time: f64::NAN, ..good },
        Settings { delay: f64::INFINITY, ..good },
        Settings { noise: -1.0, ..good },
        Settings { clip: Some(0.0), ..good },
    ] {
        assert!(matches!(tngd(bad), Err(OptimError::Setting { .. })), "{bad:?}");
    }
    let undamped = Settings { damping: Damping::Constant(0.0), ..good };
    assert!(matches!(tngd(undamped), Err(OptimError::Damping(_))));
}

/// A gradient that is finite, and a step that is not.
#[test]
fn a_step_that_fails_changes_nothing() {
    let descent = |rule, rate| Descent::new(2, rule, Schedule::constant(rate)).unwrap();
    let momentum = Rule::Sgd { momentum: 0.9 };
    for (rule, rate, direction, fault) in [
        (momentum, 3e38, [1.0, 2.0], "a parameter"),
        (Rule::ADAM, 3e38, [1.0, 2.0], "a parameter"),
        // Its square overflows: the parameter would never move again.
        (Rule::ADAM, 0.1, [1.0, 1e30], "a moment"),
    ] {
        let mut descent = descent(rule, rate);
        let mut theta = [0.0, 0.0];
        descent.apply(&mut theta, &[1.0, 1.0]).unwrap();
        let (before, at) = (descent.clone(), theta);
        let error = descent.apply(&mut theta, &direction).unwrap_err();
        assert!(
            matches!(error, OptimError::NotFinite { step: 1, what } if what == fault),
            "{error}"
        );
        assert_eq!((&descent, theta), (&before, at), "{rule:?} {direction:?}");
    }
    // And through an optimizer: the device's state, the damping and θ stay too.
    let (model, c) = (Quadratic::new(), [1.0, -2.0]);
    let mut tngd = Tngd::new(exact(), Settings::default(), descent(momentum, 3e38)).unwrap();
    let (before, mut theta) = (tngd.state(), [5.0, 7.0]);
    let error = tngd.step(&model, &mut theta, &c).unwrap_err();
    assert!(matches!(error, OptimError::NotFinite { what: "a parameter", .. }), "{error}");
    assert_eq!((tngd.state(), theta), (before, [5.0, 7.0]));
}

/// Batches without examples, and what a backend remembers of a step that fails after it.
#[test]
fn a_failed_step_is_taken_back_in_the_backend_too() {
    let layers: Vec<Box<dyn nn::Layer>> = vec![Box::new(nn::Dense { inputs: 2, outputs: 3 })];
    let model = NetworkModel::new(Network::new(layers).unwrap(), Loss::SoftmaxCrossEntropy);
    let batch = |n: u32| Batch {
        inputs: vec![0.5; 2 * n as usize],
        targets: Targets::Labels((0..n).map(|i| i % 3).collect()),
    };
    let kfac = Kfac::new(Box::new(DigitalInverter), KfacSettings::default()).unwrap();
    let settings = Settings { time: f64::INFINITY, ..Settings::default() };
    let descent = Descent::new(9, Rule::Sgd { momentum: 0.0 }, Schedule::constant(1e38)).unwrap();
    let mut tngd = Tngd::new(Box::new(kfac), settings, descent).unwrap();
    let start = model.network.init(1);
    let (before, mut theta) = (tngd.state(), start.clone());
    let error = tngd.step(&model, &mut theta, &batch(0)).unwrap_err();
    assert!(matches!(error, OptimError::Model(ModelError::EmptyBatch)), "{error}");
    assert_eq!((&theta, tngd.state()), (&start, before.clone()));
    theta.fill(-3e38);
    let error = tngd.step(&model, &mut theta, &batch(4));
    assert!(error.is_err());
    assert_eq!((theta, tngd.state()), (vec![-3e38; 9], before));
}
