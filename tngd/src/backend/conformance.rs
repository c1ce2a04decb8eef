//! The device law as a test of any backend.
//!
//! ```
//! use tngd::backend::{ExactLaw, conformance};
//! let checks = conformance::run(&mut ExactLaw::default(), &conformance::Settings::default())?;
//! assert!(checks.iter().all(|check| check.passed()));
//! # Ok::<(), tngd::backend::BackendError>(())
//! ```

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use super::{BackendError, Evolution, NaturalGradient, law};
use crate::{curvature::Dense, random::normals};

/// Chance that a correct backend fails any of the statistical checks of one [`run`].
pub const FALSE_ALARM: f64 = 1e-6;

/// What is asked of a backend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Parameters of the random problems; at most the cells of a k-cell backend.
    pub size: usize,
    /// Damping λ of the problems.
    pub damping: f64,
    /// κ0 of the noisy runs.
    pub noise: f64,
    /// Runs of each noisy problem, from as many seeds; at least 2.
    pub samples: usize,
    /// Error of the mean that is allowed, relative to ‖x₀‖ + ‖F⁻¹g‖: quantisation and tolerances
    /// of a device, the step of a time-stepping emulation, rounding.
    pub mean: f64,
    /// Relative error of a variance that is allowed, apart from the statistical one.
    pub variance: f64,
}

impl Default for Settings {
    /// For emulations in f32 without systematic errors.
    fn default() -> Self {
        Self { size: 6, damping: 0.1, noise: 0.01, samples: 2000, mean: 3e-6, variance: 1e-5 }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// The worst that was found.
    pub worst: f64,
    /// The most that is allowed.
    pub allowed: f64,
}

impl Check {
    /// Whether the backend conforms.
    pub fn passed(&self) -> bool {
        self.worst <= self.allowed
    }
}

/// A random problem and its law.
struct Problem {
    curvature: Dense,
    gradient: Vec<f32>,
    start: Vec<f32>,
    /// Eigenvalues and eigenvectors of F = G + λI.
    eigen: SymmetricEigen<f64, nalgebra::Dyn>,
}

impl Problem {
    fn new(seed: u64, settings: &Settings) -> Self {
        let n = settings.size;
        let mut deviates = normals(seed, usize::MAX).map(|z| z as f32);
        let mut draw = |count| deviates.by_ref().take(count).collect::<Vec<f32>>();
        let factor = DMatrix::from_vec(n, n, draw(n * n));
        let g = factor.tr_mul(&factor) / n as f32;
        let (gradient, start) = (draw(n), draw(n));
        let full = g.clone().cast::<f64>() + DMatrix::identity(n, n) * settings.damping;
        Self {
            curvature: Dense::new(g.as_slice().to_vec(), n).expect("symmetric, semi-definite"),
            gradient,
            start,
            eigen: SymmetricEigen::new(full),
        }
    }

    fn function(&self, f: impl Fn(f64) -> f64) -> DMatrix<f64> {
        let vectors = &self.eigen.eigenvectors;
        vectors * DMatrix::from_diagonal(&self.eigen.eigenvalues.map(f)) * vectors.transpose()
    }

    /// ⟨xₜ⟩.
    fn mean(&self, t: f64) -> DVector<f64> {
        let equilibrium = self.equilibrium();
        let start = vector(&self.start);
        let decay = |a: f64| if t == f64::INFINITY { 0.0 } else { (-a * t).exp() };
        self.function(decay) * (start - &equilibrium) + equilibrium
    }

    fn equilibrium(&self) -> DVector<f64> {
        self.function(f64::recip) * vector(&self.gradient)
    }

    fn scale(&self) -> f64 {
        vector(&self.start).norm() + self.equilibrium().norm()
    }

    fn run(
        &self,
        backend: &mut dyn NaturalGradient,
        evolution: &Evolution,
    ) -> Result<DVector<f64>, BackendError> {
        let mut state = self.start.clone();
        backend.evolve(&self.curvature, &self.gradient, evolution, &mut state)?;
        Ok(vector(&state))
    }
}

fn vector(values: &[f32]) -> DVector<f64> {
    DVector::from_iterator(values.len(), values.iter().map(|&x| f64::from(x)))
}

/// Runs the backend on small random problems, always the same: the mean after t = 0, 0.3, 1, 4 and
/// ∞ (what its [capabilities](super::Capabilities) say it can do) against the law and the
/// direct solution; mean and covariance of many noisy runs; bad requests.
///
/// # Errors
/// What the backend refuses of this.
pub fn run(
    backend: &mut dyn NaturalGradient,
    settings: &Settings,
) -> Result<Vec<Check>, BackendError> {
    let capabilities = backend.capabilities();
    let finite: &[f64] = if capabilities.finite_time { &[0.0, 0.3, 1.0, 4.0] } else { &[] };
    let equilibrium: &[f64] = if capabilities.equilibrium { &[f64::INFINITY] } else { &[] };
    let times: Vec<f64> = [finite, equilibrium].concat();
    let mut checks = vec![refusals(backend, settings)];
    for &time in &times {
        let mut worst = 0.0f64;
        for seed in 1..=3 {
            let problem = Problem::new(seed, settings);
            let evolution = Evolution { damping: settings.damping, time, noise: 0.0, seed };
            let error = (problem.run(backend, &evolution)? - problem.mean(time)).norm();
            worst = worst.max(error / problem.scale());
        }
        checks.push(Check { name: format!("mean at t = {time}"), worst, allowed: settings.mean });
    }
    if capabilities.noise {
        let noisy: Vec<f64> =
            times.into_iter().filter(|t| [0.3, f64::INFINITY].contains(t)).collect();
        for (i, &time) in noisy.iter().enumerate() {
            let problem = Problem::new(4 + i as u64, settings);
            let alarm = FALSE_ALARM / noisy.len() as f64;
            checks.extend(statistics(backend, settings, &problem, time, alarm)?);
        }
    }
    Ok(checks)
}

/// Whitened by the law, samples are independent standard normals y. Means of yᵢ are normal; about these means,
/// sums of yᵢ², (yᵢ + yⱼ)²/2 and (yᵢ − yⱼ)²/2 have the χ² law of one degree of freedom fewer than there are
/// samples, and give every covariance, whatever the error of the mean. Each is tested at its share of the
/// false-alarm rate.
fn statistics(
    backend: &mut dyn NaturalGradient,
    settings: &Settings,
    problem: &Problem,
    time: f64,
    false_alarm: f64,
) -> Result<[Check; 2], BackendError> {
    let &Settings { size: n, noise, damping, samples, .. } = settings;
    let mean = problem.mean(time);
    let whiten = problem.function(|a| law::spread(a, time, noise).recip());
    let mut sums = DVector::zeros(n);
    let mut products = DMatrix::zeros(n, n);
    for seed in 0..samples as u64 {
        // Seeds far from those of the problems.
        let evolution = Evolution { damping, time, noise, seed: 1_000_000 + seed };
        let y = &whiten * (problem.run(backend, &evolution)? - &mean);
        products += &y * y.transpose();
        sums += y;
    }
    let count = samples as f64;
    products -= &sums * sums.transpose() / count;
    let freedom = count - 1.0;
    let tests = (n + n * n) as f64;
    let alarm = false_alarm / tests;
    let normal = Normal::standard();
    let least_spread = problem
        .eigen
        .eigenvalues
        .iter()
        .map(|&a| law::spread(a, time, noise))
        .fold(f64::MAX, f64::min);
    let means = Check {
        name: format!("mean of {samples} noisy runs at t = {time}, standard errors"),
        worst: sums.amax() / count.sqrt(),
        allowed: -normal.inverse_cdf(alarm / 2.0)
            + settings.mean * problem.scale() / least_spread * count.sqrt(),
    };
    let law = ChiSquared::new(freedom).expect("samples above 1");
    let (low, high) = (law.inverse_cdf(alarm / 2.0), law.inverse_cdf(1.0 - alarm / 2.0));
    let (low, high) =
        (low / freedom * (1.0 - settings.variance), high / freedom * (1.0 + settings.variance));
    // How far out of the interval, 1 being its edge.
    let excess = |sum: f64| {
        let ratio = sum / freedom;
        if ratio < 1.0 { (1.0 - ratio) / (1.0 - low) } else { (ratio - 1.0) / (high - 1.0) }
    };
    let mut worst = 0.0f64;
    for i in 0..n {
        worst = worst.max(excess(products[(i, i)]));
        for j in 0..i {
            let both = 0.5 * (products[(i, i)] + products[(j, j)]);
            worst = worst.max(excess(both + products[(i, j)]));
            worst = worst.max(excess(both - products[(i, j)]));
        }
    }
    let name = format!("covariance of {samples} noisy runs at t = {time}, of its interval");
    Ok([means, Check { name, worst, allowed: 1.0 }])
}

/// Bad requests that are not refused, or that change the state.
fn refusals(backend: &mut dyn NaturalGradient, settings: &Settings) -> Check {
    let problem = Problem::new(9, settings);
    let time = if backend.capabilities().equilibrium { f64::INFINITY } else { 1.0 };
    let good = Evolution { damping: settings.damping, time, noise: 0.0, seed: 0 };
    let mut not_finite = problem.gradient.clone();
    not_finite[0] = f32::NAN;
    let short = &problem.gradient[1..];
    let requests: [(Evolution, &[f32]); 7] = [
        (Evolution { damping: 0.0, ..good }, &problem.gradient),
        (Evolution { damping: f64::NAN, ..good }, &problem.gradient),
        (Evolution { time: -1.0, ..good }, &problem.gradient),
        (Evolution { time: f64::NAN, ..good }, &problem.gradient),
        (Evolution { noise: -1.0, ..good }, &problem.gradient),
        (good, &not_finite),
        (good, short),
    ];
    let mut accepted = 0;
    for (evolution, gradient) in requests {
        let mut state = problem.start.clone();
        let refused = backend.evolve(&problem.curvature, gradient, &evolution, &mut state).is_err();
        accepted += u32::from(!refused || state != problem.start);
    }
    Check { name: "bad requests that are accepted".into(), worst: accepted.into(), allowed: 0.0 }
}
