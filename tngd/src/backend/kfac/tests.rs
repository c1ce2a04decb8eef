use nalgebra::DMatrix;

use super::*;
use crate::{
    backend::{DigitalInverter, Inverse},
    curvature::Dense,
    loss::{Loss, Targets},
    nn::{self, Batch, Network, NetworkModel},
    random::normals,
};

const AT: Evolution = Evolution { damping: 0.05, time: f64::INFINITY, noise: 0.0, seed: 7 };

fn kfac(refresh: u64, block: usize) -> Kfac {
    let settings = KfacSettings {
        refresh: NonZeroU64::new(refresh).unwrap(),
        block: NonZeroUsize::new(block).unwrap(),
        ..KfacSettings::default()
    };
    Kfac::new(Box::new(DigitalInverter), settings).unwrap()
}

fn model() -> NetworkModel {
    let layers: Vec<Box<dyn nn::Layer>> = vec![
        Box::new(nn::Conv2d::new([4, 4, 2], 2, 2, 3).unwrap()),
        Box::new(nn::Tanh { size: 12 }),
        Box::new(nn::Dense { inputs: 12, outputs: 4 }),
    ];
    NetworkModel::new(Network::new(layers).unwrap(), Loss::SoftmaxCrossEntropy)
}

fn random(seed: u64, n: usize) -> Vec<f32> {
    normals(seed, n).map(|z| z as f32).collect()
}

/// Steps on batches of eight, each with its own curvature and gradient.
fn steps(backend: &mut dyn NaturalGradient, which: Range<u64>) -> Vec<Vec<f32>> {
    let model = model();
    let theta = model.network.init(1);
    which
        .map(|step| {
            let batch = Batch {
                inputs: random(10 + step, 8 * 32),
                targets: Targets::Labels((0..8).map(|i| (i + step as u32) % 4).collect()),
            };
            let curvature = model.output_curvature(&theta, &batch).unwrap();
            let gradient = random(20 + step, curvature.len());
            let mut state = vec![0.0; curvature.len()];
            backend.evolve(&curvature, &gradient, &AT, &mut state).unwrap();
            state
        })
        .collect()
}

/// Γ⁻¹ V A⁻¹ in f64, with matrices of `keep` only where it says so.
fn expected(seed: u64, keep: impl Fn(usize, usize, usize) -> bool) -> Vec<f32> {
    let model = model();
    let theta = model.network.init(1);
    let batch = Batch {
        inputs: random(10 + seed, 8 * 32),
        targets: Targets::Labels((0..8).map(|i| (i + seed as u32) % 4).collect()),
    };
    let curvature = model.output_curvature(&theta, &batch).unwrap();
    let gradient = random(20 + seed, curvature.len());
    let mut out = vec![0.0; curvature.len()];
    for factor in curvature.kronecker() {
        let KroneckerFactor { width: w, outputs: o, params, a, gamma, .. } = factor;
        let wide = |m: &[f32], n: usize| {
            DMatrix::from_fn(n, n, |i, j| if keep(n, i, j) { f64::from(m[i * n + j]) } else { 0.0 })
        };
        let (a, gamma) = (wide(&a, w), wide(&gamma, o));
        let pi = ((a.trace() / w as f64) / (gamma.trace() / o as f64)).sqrt();
        let root = AT.damping.sqrt();
        let a = a + DMatrix::identity(w, w) * (pi * root);
        let gamma = gamma + DMatrix::identity(o, o) * (root / pi);
        let v = DMatrix::from_fn(o, w, |i, j| f64::from(gradient[params.start + i * w + j]));
        let x = gamma.try_inverse().unwrap() * v * a.try_inverse().unwrap();
        for i in 0..o {
            for j in 0..w {
                out[params.start + i * w + j] = x[(i, j)] as f32;
            }
        }
    }
    out
}

fn close(a: &[f32], b: &[f32]) {
    let size = b.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-4 * size, "{a} {b}");
    }
}

#[test]
fn it_is_the_inverse_of_the_damped_kronecker_product() {
    close(&steps(&mut kfac(1, 64), 0..1)[0], &expected(0, |_, _, _| true));
}

#[test]
fn of_factors_that_are_too_large_blocks_along_the_diagonal_are_kept() {
    // Of 9 and of 13 rows, by 5: 4 + 5 and 4 + 4 + 5.
    assert_eq!(blocks(9, 5), [0..4, 4..9]);
    assert_eq!(blocks(13, 5), [0..4, 4..8, 8..13]);
    assert_eq!(blocks(1153, 64).iter().map(Range::len).max(), Some(61));
    assert_eq!(blocks(5, 5).len(), 1);
    let same = |n: usize, i: usize, j: usize| {
        blocks(n, 5).iter().any(|block| block.contains(&i) && block.contains(&j))
    };
    close(&steps(&mut kfac(1, 5), 0..1)[0], &expected(0, same));
}

#[test]
fn averages_and_inverses_go_on_from_a_memory_bit_for_bit() {
    let mut whole = kfac(2, 6);
    let all = steps(&mut whole, 0..5);
    // The factors of step 1 are in the average, and not yet inverted.
    let mut fresh = kfac(1, 6);
    steps(&mut fresh, 0..1);
    assert_ne!(steps(&mut fresh, 1..2)[0], all[1]);
    for at in 1..5 {
        let mut first = kfac(2, 6);
        steps(&mut first, 0..at);
        let saved = serde_json::to_string(&first.memory()).unwrap();
        let mut second = kfac(2, 6);
        second.recall(serde_json::from_str(&saved).unwrap());
        assert_eq!(steps(&mut second, at..5), all[at as usize..], "from step {at}");
        assert_eq!(second.memory(), whole.memory());
    }
    // Where all steps have one batch the average is that batch's.
    let mut constant = kfac(1, 64);
    for _ in 0..3 {
        close(&steps(&mut constant, 0..1)[0], &expected(0, |_, _, _| true));
    }
}

/// Gives up at the third matrix.
struct Failing(u32);

impl Inverter for Failing {
    fn label(&self) -> String {
        "failing".into()
    }

    fn invert(&mut self, a: &SpdMatrix, seed: u64) -> Result<Inverse, BackendError> {
        self.0 += 1;
        if self.0 == 3 {
            let source = spu_driver::Error::Cancelled.into();
            return Err(BackendError::Device { label: self.label(), source });
        }
        DigitalInverter.invert(a, seed)
    }
}

#[test]
fn what_it_cannot_do_is_refused_and_nothing_changes() {
    struct Poisoned;
    impl Curvature for Poisoned {
        fn len(&self) -> usize {
            2
        }
        fn product(&self, _v: &[f32], _out: &mut [f32]) {}
        fn kronecker(&self) -> Vec<KroneckerFactor> {
            let (a, gamma) = (vec![1.0, f32::NAN, 0.0, 1.0], vec![1.0]);
            vec![KroneckerFactor { layer: 0, params: 0..2, width: 2, outputs: 1, a, gamma }]
        }
    }
    let refused = |backend: &mut Kfac, curvature: &dyn Curvature, at| {
        let before = backend.memory();
        let mut state = [1.0, 2.0];
        let error = backend.evolve(curvature, &[1.0, 1.0], &at, &mut state).unwrap_err();
        assert_eq!((state, backend.memory()), ([1.0, 2.0], before), "{error}");
        error
    };
    let dense = Dense::new(vec![2.0, 0.0, 0.0, 1.0], 2).unwrap();
    let error = refused(&mut kfac(1, 8), &dense, AT);
    assert!(matches!(error, BackendError::NoKronecker { params: 2, covered: 0, .. }), "{error}");
    let error = refused(&mut kfac(1, 8), &Poisoned, AT);
    assert!(matches!(error, BackendError::NotFinite(_)), "{error}");
    let error = refused(&mut kfac(1, 8), &dense, Evolution { time: 1.0, ..AT });
    assert!(matches!(error, BackendError::EquilibriumOnly { .. }), "{error}");
    let error = refused(&mut kfac(1, 8), &dense, Evolution { damping: -1.0, ..AT });
    assert!(matches!(error, BackendError::Damping(_)), "{error}");
    for average in [1.0, -0.1, f64::NAN] {
        let settings = KfacSettings { average, ..KfacSettings::default() };
        let made = Kfac::new(Box::new(DigitalInverter), settings).map(|_| ());
        assert!(matches!(made, Err(BackendError::Setting { .. })));
    }

    // A memory of other blocks, and a board that gives up in the middle of the factors.
    let model = model();
    let batch = Batch { inputs: random(1, 8 * 32), targets: Targets::Labels(vec![1; 8]) };
    let theta = model.network.init(1);
    let curvature = model.output_curvature(&theta, &batch).unwrap();
    let gradient = random(2, curvature.len());
    let fails = |backend: &mut Kfac| {
        let (before, mut state) = (backend.memory(), gradient.clone());
        let error = backend.evolve(&curvature, &gradient, &AT, &mut state).unwrap_err();
        assert_eq!((&state, backend.memory()), (&gradient, before), "{error}");
        error
    };
    let mut other = kfac(1, 8);
    steps(&mut other, 0..1);
    let mut wider = kfac(1, 64);
    wider.recall(other.memory());
    let error = fails(&mut wider);
    assert!(matches!(error, BackendError::Memory { .. }), "{error}");
    let failing = &mut Kfac::new(Box::new(Failing(0)), KfacSettings::default()).unwrap();
    assert!(matches!(fails(failing), BackendError::Device { .. }));
}
