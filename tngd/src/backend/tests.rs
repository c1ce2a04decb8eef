use nalgebra::{DMatrix, DVector, SymmetricEigen};

mod boards;

use super::*;
use crate::{
    curvature::{Dense, LowRank},
    krylov::Lanczos,
    linalg::{axpy, norm},
    loss::{Loss, Targets},
    nn::{self, Batch, Network, NetworkModel},
    random::normals,
};

fn random(seed: u64, n: usize) -> Vec<f32> {
    normals(seed, n).map(|z| z as f32).collect()
}

fn conforms(backend: &mut dyn NaturalGradient, settings: &conformance::Settings) {
    let checks = conformance::run(backend, settings).unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "{}: {failed:?}", backend.label());
}

/// A product and nothing else, as users' models give it.
struct Product<'a>(&'a dyn Curvature);

impl Curvature for Product<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn product(&self, v: &[f32], out: &mut [f32]) {
        self.0.product(v, out);
    }
}

/// A multiple of the identity, also by NaN or a negative number.
struct Scaled(usize, f32);
impl Curvature for Scaled {
    fn len(&self) -> usize {
        self.0
    }
    fn product(&self, v: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(v).for_each(|(out, v)| *out = self.1 * v);
    }
}

#[test]
fn backends_conform() {
    let exact = conformance::Settings::default();
    conforms(&mut ExactLaw::default(), &exact);
    conforms(&mut Krylov::new(Box::new(DigitalRelaxer::new(8)), 8).unwrap(), &exact);
    conforms(&mut Cholesky::default(), &exact);
    conforms(&mut Woodbury, &exact);
    conforms(&mut Cg { tolerance: 1e-7, ..Cg::default() }, &exact);
    // Eigenvalues of the problems reach about 4: with δt = 0.02 a variance is off by up to 4 %, a
    // mean by less than 0.3/15 at t = 0.3.
    let stepped = conformance::Settings { mean: 0.02, variance: 0.05, ..exact };
    conforms(&mut Euler::new(0.02).unwrap(), &stepped);
}

#[test]
fn nothing_digital_passes_for_a_device() {
    let backends: [&dyn NaturalGradient; 6] = [
        &ExactLaw::default(),
        &Euler::default(),
        &Cholesky::default(),
        &Woodbury,
        &Cg::default(),
        &Krylov::new(Box::new(DigitalRelaxer::new(8)), 8).unwrap(),
    ];
    for backend in backends {
        assert!(!backend.is_device() && backend.label().contains("digital"), "{}", backend.label());
    }
}

#[test]
fn truncated_conjugate_gradients_give_what_they_have() {
    network_problem(|curvature, gradient, start| {
        let at = Evolution { time: f64::INFINITY, ..AT };
        let expected = evolved(&mut Woodbury, curvature, gradient, start, &at);
        let after = |most_iterations| {
            let backend = &mut Cg { tolerance: 1e-7, most_iterations, truncate: true };
            error(&evolved(backend, curvature, gradient, start, &at), &expected)
        };
        assert!(after(1) > after(5) && after(5) > after(20) && after(20) < 1e-3);
    });
}

#[test]
fn the_suite_finds_faults() {
    /// Alters requests.
    struct Altered(ExactLaw, fn(&mut Evolution));
    impl NaturalGradient for Altered {
        fn label(&self) -> String {
            "altered".into()
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn advance(
            &mut self,
            curvature: &dyn Curvature,
            gradient: &[f32],
            evolution: &Evolution,
            state: &mut [f32],
        ) -> Result<Report, BackendError> {
            let mut evolution = *evolution;
            (self.1)(&mut evolution);
            self.0.evolve(curvature, gradient, &evolution, state)
        }
    }
    let alterations: [fn(&mut Evolution); 4] = [
        |e| e.time *= 1.01,
        |e| e.damping = e.damping.abs() + 1e-3,
        |e| e.noise *= 1.3,
        |e| e.seed = 1,
    ];
    for (i, alter) in alterations.into_iter().enumerate() {
        let checks = conformance::run(
            &mut Altered(ExactLaw::default(), alter),
            &conformance::Settings::default(),
        )
        .unwrap();
        assert!(checks.iter().any(|check| !check.passed()), "alteration {i}");
    }
}

/// A network's curvature, of low rank: 8 examples of 4 outputs in 3 dimensions, 131 parameters.
fn network_problem(check: impl FnOnce(&dyn Curvature, &[f32], &[f32])) {
    let layers: Vec<Box<dyn nn::Layer>> = vec![
        Box::new(nn::Dense { inputs: 5, outputs: 12 }),
        Box::new(nn::Tanh { size: 12 }),
        Box::new(nn::Dense { inputs: 12, outputs: 4 }),
    ];
    let model = NetworkModel::new(Network::new(layers).unwrap(), Loss::SoftmaxCrossEntropy);
    let theta = model.network.init(1);
    let batch = Batch {
        inputs: random(2, 40).iter().map(|x| 3.0 * x).collect(),
        targets: Targets::Labels((0..8).map(|i| i % 4).collect()),
    };
    let curvature = model.output_curvature(&theta, &batch).unwrap();
    assert_eq!((curvature.len(), curvature.rank()), (124, 24));
    check(&curvature, &random(3, 124), &random(4, 124));
}

fn evolved(
    backend: &mut dyn NaturalGradient,
    curvature: &dyn Curvature,
    gradient: &[f32],
    start: &[f32],
    evolution: &Evolution,
) -> Vec<f32> {
    let mut state = start.to_vec();
    backend.evolve(curvature, gradient, evolution, &mut state).unwrap();
    state
}

fn error(a: &[f32], b: &[f32]) -> f64 {
    let mut difference = a.to_vec();
    axpy(-1.0, b, &mut difference);
    norm(&difference) / norm(b)
}

const AT: Evolution = Evolution { damping: 0.05, time: 1.0, noise: 0.0, seed: 7 };

#[test]
fn low_rank_and_products_give_the_same_law() {
    network_problem(|curvature, gradient, start| {
        for time in [0.1, 1.0, 50.0, f64::INFINITY] {
            for noise in [0.0, 0.3] {
                let at = Evolution { time, noise, ..AT };
                let backend = &mut ExactLaw::default();
                let low = evolved(backend, curvature, gradient, start, &at);
                let full = evolved(backend, &Product(curvature), gradient, start, &at);
                assert!(error(&low, &full) < 5e-6, "t = {time}: {}", error(&low, &full));
            }
        }
    });
}

#[test]
fn the_law_is_that_of_the_eigenvalues() {
    network_problem(|curvature, gradient, start| {
        // F in f64 from products with unit vectors, and all its eigenvalues.
        let n = curvature.len();
        let column = |j: usize| {
            let (mut unit, mut out) = (vec![0.0; n], vec![0.0; n]);
            unit[j] = 1.0;
            curvature.product(&unit, &mut out);
            DVector::from_iterator(n, out.iter().map(|&x| f64::from(x)))
        };
        let g = DMatrix::from_columns(&(0..n).map(column).collect::<Vec<_>>());
        let eigen = SymmetricEigen::new((&g + g.transpose()) * 0.5);
        let function = |f: &dyn Fn(f64) -> f64, v: &[f32]| {
            let v = DVector::from_iterator(n, v.iter().map(|&x| f64::from(x)));
            let mut modes = eigen.eigenvectors.tr_mul(&v);
            modes.zip_apply(&eigen.eigenvalues, |mode, g| *mode *= f(g.max(0.0) + AT.damping));
            &eigen.eigenvectors * modes
        };
        for time in [0.1, 1.0, 50.0, f64::INFINITY] {
            let at = Evolution { time, noise: 0.3, ..AT };
            let got = evolved(&mut ExactLaw::default(), curvature, gradient, start, &at);
            let decay = |a: f64| if time.is_infinite() { 0.0 } else { (-a * time).exp() };
            let expected = function(&decay, start)
                + function(&|a| (1.0 - decay(a)) / a, gradient)
                + function(
                    &|a| (0.3 * (1.0 - decay(a) * decay(a)) / a).sqrt(),
                    &random(AT.seed, n),
                );
            let expected: Vec<f32> = expected.iter().map(|&x| x as f32).collect();
            assert!(error(&got, &expected) < 5e-6, "t = {time}: {}", error(&got, &expected));
        }
    });
}

#[test]
fn equilibria_agree_with_woodbury() {
    network_problem(|curvature, gradient, start| {
        let at = Evolution { time: f64::INFINITY, ..AT };
        let expected = evolved(&mut Woodbury, curvature, gradient, start, &at);
        let backends: [&mut dyn NaturalGradient; 4] = [
            &mut ExactLaw::default(),
            &mut Cholesky::default(),
            &mut Cg { tolerance: 1e-7, ..Cg::default() },
            // The rank and the complement: 25 steps span all that the residual reaches.
            &mut Krylov::new(Box::new(DigitalRelaxer::new(25)), 25).unwrap(),
        ];
        for backend in backends {
            let got = evolved(backend, curvature, gradient, start, &at);
            let error = error(&got, &expected);
            assert!(error < 2e-5, "{}: {error}", backend.label());
        }
        // Long Euler: the slowest mode is e^{−0.05·400} = 2e-9.
        let long = Evolution { time: 400.0, ..AT };
        let got = evolved(&mut Euler::default(), curvature, gradient, start, &long);
        assert!(error(&got, &expected) < 2e-5);
    });
}

#[test]
fn euler_agrees_with_the_law_within_its_step_error() {
    network_problem(|curvature, gradient, start| {
        for (time, steps) in [(1.0, 10.0), (5.0, 50.0), (20.0, 200.0)] {
            let at = Evolution { time, ..AT };
            let exact = evolved(&mut ExactLaw::default(), curvature, gradient, start, &at);
            let euler = evolved(&mut Euler::default(), curvature, gradient, start, &at);
            let infinite = Evolution { time: f64::INFINITY, ..AT };
            let mut distance = evolved(&mut Woodbury, curvature, gradient, start, &infinite);
            axpy(-1.0, start, &mut distance);
            let mut difference = euler;
            axpy(-1.0, &exact, &mut difference);
            let (error, bound) = (norm(&difference), 0.3 / steps * norm(&distance));
            // The bound holds, and steps are not so fine that it says nothing.
            assert!(error < bound && error > bound / 1000.0, "t = {time}: {error}, bound {bound}");
        }
    });
}

#[test]
fn a_step_of_time_in_two_parts_is_the_same() {
    network_problem(|curvature, gradient, start| {
        let backend = &mut ExactLaw::default();
        let whole = evolved(backend, curvature, gradient, start, &AT);
        let half = Evolution { time: 0.5, ..AT };
        let first = evolved(backend, curvature, gradient, start, &half);
        let second = evolved(backend, curvature, gradient, &first, &half);
        assert!(error(&second, &whole) < 2e-6);
    });
}

#[test]
fn few_cells_come_close_to_the_law() {
    network_problem(|curvature, gradient, start| {
        let exact = evolved(&mut ExactLaw::default(), curvature, gradient, start, &AT);
        let errors: Vec<f64> = [1, 2, 4, 8]
            .iter()
            .map(|&cells| {
                let relaxer = Box::new(DigitalRelaxer::new(8));
                let backend = &mut Krylov::new(relaxer, cells).unwrap();
                error(&evolved(backend, curvature, gradient, start, &AT), &exact)
            })
            .collect();
        assert!(errors.windows(2).all(|pair| pair[1] < pair[0]) && errors[3] < 1e-4, "{errors:?}");
    });
}

#[test]
fn normalised_relaxations_are_the_same() {
    let matrix = crate::krylov::Tridiagonal {
        diagonal: vec![3.0, 20.0, 5.0],
        off_diagonal: vec![-1.0, -4.0],
    };
    let relaxation = Relaxation { matrix, bias: 2.0, time: 0.2, noise: 0.1, seed: 3 };
    let mut relaxer = DigitalRelaxer::new(3);
    let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
    relaxer.relax(&relaxation, &mut a).unwrap();
    let normalised = relaxation.normalised();
    assert!((normalised.matrix.norm_inf() - 1.0).abs() < 1e-12);
    relaxer.relax(&normalised, &mut b).unwrap();
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
}

#[test]
fn what_a_backend_cannot_do_is_refused_and_nothing_changes() {
    network_problem(|curvature, gradient, start| {
        let refused =
            |backend: &mut dyn NaturalGradient, curvature: &dyn Curvature, at: Evolution| {
                let mut state = start.to_vec();
                let error = backend.evolve(curvature, gradient, &at, &mut state).unwrap_err();
                assert_eq!(state, start);
                error
            };
        let infinite = Evolution { time: f64::INFINITY, ..AT };
        let error = refused(&mut Euler::default(), curvature, infinite);
        assert!(matches!(error, BackendError::NoEquilibrium { .. }));
        assert!(matches!(
            refused(&mut Woodbury, curvature, AT),
            BackendError::EquilibriumOnly { .. }
        ));
        let noisy = Evolution { noise: 0.1, ..infinite };
        assert!(matches!(refused(&mut Woodbury, curvature, noisy), BackendError::Noiseless { .. }));
        let error = refused(&mut Woodbury, &Product(curvature), infinite);
        assert!(matches!(error, BackendError::NoFactor { .. }));
        let error = refused(&mut Cholesky { limit: 1000 }, curvature, infinite);
        assert!(matches!(error, BackendError::TooLarge { n: 124, bytes: 123_008, .. }), "{error}");
        let stiff = Evolution { damping: 25.0, ..AT };
        let error = refused(&mut Euler::default(), curvature, stiff);
        assert!(
            matches!(error, BackendError::Unstable { largest, .. } if largest > 25.0),
            "{error}"
        );
        let error = refused(&mut Cg { most_iterations: 2, ..Cg::default() }, curvature, infinite);
        assert!(matches!(error, BackendError::NotConverged { iterations: 2, .. }), "{error}");
        let short = &mut ExactLaw { most_steps: 3, ..ExactLaw::default() };
        let error = refused(short, &Product(curvature), infinite);
        assert!(matches!(error, BackendError::NotConverged { iterations: 3, .. }), "{error}");

        let krylov = || Krylov::new(Box::new(DigitalRelaxer::new(8)), 8).unwrap();
        let (nan, negative) = (Scaled(124, f32::NAN), Scaled(124, -1.0));
        for (backend, at) in [
            (&mut ExactLaw::default() as &mut dyn NaturalGradient, AT),
            (&mut krylov(), AT),
            (&mut Euler::default(), AT),
            (&mut Cg::default(), infinite),
            (&mut Cholesky::default(), infinite),
        ] {
            let error = refused(backend, &nan, at);
            assert!(matches!(error, BackendError::NotFinite(_)), "{}: {error}", backend.label());
        }
        for (backend, at) in [
            (&mut krylov() as &mut dyn NaturalGradient, AT),
            (&mut Cg::default(), infinite),
            (&mut Cholesky::default(), infinite),
        ] {
            let error = refused(backend, &negative, at);
            assert!(matches!(error, BackendError::NotPositiveDefinite { .. }), "{error}");
        }
    });
}

/// Evenly spaced eigenvalues: 12 Lanczos steps stop short of the largest.
#[test]
fn euler_refuses_steps_that_an_estimate_from_below_lets_pass() {
    struct Spectrum(usize);
    impl Curvature for Spectrum {
        fn len(&self) -> usize {
            self.0
        }
        fn product(&self, v: &[f32], out: &mut [f32]) {
            for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                *out = 20.0 * ((i + 1) as f32 / self.0 as f32) * v;
            }
        }
    }
    let (n, damping) = (2000, 0.05);
    let spectrum = Spectrum(n);
    let lanczos = Lanczos::of_curvature(&spectrum, damping, &random(0, n), 12).unwrap();
    let estimate = lanczos.matrix().eigen().values.iter().copied().fold(0.0, f64::max);
    let largest = 20.05;
    assert!(estimate < 0.997 * largest, "{estimate}");
    // Between both limits: the estimate has this step for stable, and it is not.
    let dt = 4.0 / (estimate + largest);
    assert!(dt * estimate < 2.0 && dt * largest > 2.0);
    let at = |time| Evolution { damping, time, noise: 0.0, seed: 1 };
    let (gradient, start) = (random(1, n), random(2, n));
    let mut state = start.clone();
    let euler = &mut Euler::new(dt).unwrap();
    let error = euler.evolve(&spectrum, &gradient, &at(5.0), &mut state).unwrap_err();
    assert!(matches!(error, BackendError::Unstable { largest, .. } if largest > 20.05), "{error}");
    assert_eq!(state, start);
    // The mode does grow.
    assert!((1.0 - dt * largest).abs() > 1.0);
    // Three per cent of margin are enough.
    Euler::new(1.94 / largest).unwrap().evolve(&spectrum, &gradient, &at(5.0), &mut state).unwrap();
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for step in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(Euler::new(step), Err(BackendError::TimeStep(_))));
    }
    let cells = |cells| Krylov::new(Box::new(DigitalRelaxer::new(8)), cells).map(|_| ());
    assert!(matches!(cells(0), Err(BackendError::NoCells { available: 8 })));
    assert!(matches!(cells(9), Err(BackendError::TooFewCells { cells: 9, available: 8, .. })));
}

#[test]
fn a_state_in_equilibrium_stays() {
    let curvature = Dense::new(vec![2.0, 0.0, 0.0, 3.0], 2).unwrap();
    let at = Evolution { damping: 1.0, ..AT };
    let (gradient, state) = ([3.0, 8.0], [1.0, 2.0]);
    let krylov = &mut Krylov::new(Box::new(DigitalRelaxer::new(2)), 2).unwrap();
    assert_eq!(evolved(krylov, &curvature, &gradient, &state, &at), state);
    assert_eq!(evolved(&mut ExactLaw::default(), &curvature, &gradient, &state, &at), state);
}
