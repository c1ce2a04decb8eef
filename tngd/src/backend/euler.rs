//! Euler–Maruyama steps, as the paper simulates the device.

use std::time::Instant;

use super::{BackendError, Capabilities, Evolution, NaturalGradient, Phases, Report, check};
use crate::{curvature::Curvature, krylov::Lanczos, linalg::axpy, random::normals};

/// Chance that [`largest`] states too low a bound for a matrix that knows nothing of the start vector.
const MISS: f64 = 1e-6;
/// Lanczos steps between two looks at the bound.
const LOOK: usize = 8;
/// Most Lanczos steps: for 10⁶ parameters the bound is then 1.9 % above the largest eigenvalue at most.
const MOST: usize = 80;

/// Digital emulation by the Euler–Maruyama method: x ← x − δt (F x − g) + √(2 κ0 δt) ξ, with a last
/// step that is shorter. The paper's simulations use δt = 0.1 τ.
///
/// A mode of eigenvalue a follows (1 − a δt)^n in place of e^{−a n δt}: the error is at most
/// 0.3/n · ‖x₀ − F⁻¹g‖ after n ≥ 10 steps if δt `λ_max` ≤ 1. Its variance is 2/(2 − a δt) times the law's.
#[derive(Debug, Clone, Copy)]
pub struct Euler {
    step: f64,
}

impl Euler {
    /// Steps of δt, in units of τ.
    ///
    /// # Errors
    /// δt is not above 0 and finite.
    pub fn new(step: f64) -> Result<Self, BackendError> {
        if step > 0.0 && step.is_finite() {
            Ok(Self { step })
        } else {
            Err(BackendError::TimeStep(step))
        }
    }
}

impl Default for Euler {
    fn default() -> Self {
        Self { step: 0.1 }
    }
}

/// Refuses steps of `dt` unless they are stable, which is δt λ < 2 for every eigenvalue λ of G + λI. Gives
/// the products that this took.
///
/// The largest Ritz value θ of k Lanczos steps is below the largest eigenvalue, and from a random start
/// in n dimensions it is so by a part of more than ε with a probability of at most
/// 1.648 √n e^{−√ε (2k − 1)} (Kuczyński & Woźniakowski, "Estimating the largest eigenvalue by the
/// power and Lanczos algorithms with a random start", 1992, theorem 4.2). So θ/(1 − ε) bounds it from
/// above but for a chance of [`MISS`]; steps are added until one of both bounds decides.
fn check_step(curvature: &dyn Curvature, damping: f64, dt: f64) -> Result<usize, BackendError> {
    let n = curvature.len();
    let start: Vec<f32> = normals(0, n).map(|z| z as f32).collect();
    let Some(mut lanczos) = Lanczos::new(&start) else { return Ok(0) };
    loop {
        let mut grows = true;
        for _ in 0..LOOK {
            grows = grows
                && lanczos.step(|v, out| {
                    curvature.product(v, out);
                    axpy(damping, v, out);
                });
        }
        let matrix = lanczos.matrix();
        if !matrix.norm_inf().is_finite() {
            return Err(BackendError::NotFinite("a product with the curvature"));
        }
        let steps = matrix.len();
        let below = matrix.eigen().values.iter().copied().fold(0.0, f64::max);
        // Where the space is invariant, θ is the eigenvalue but for f32's rounding.
        let above = if grows { below / (1.0 - missed(n, steps)) } else { 1.00001 * below };
        if dt * above < 2.0 {
            return Ok(steps);
        }
        if dt * below >= 2.0 || !grows || steps >= MOST {
            let largest = if above.is_finite() { above } else { below };
            return Err(BackendError::Unstable { dt, largest, limit: 2.0 / largest });
        }
    }
}

/// ε that is exceeded with a probability of [`MISS`]; 1 where nothing below can be said.
fn missed(n: usize, steps: usize) -> f64 {
    let log = (1.648 * (n as f64).sqrt() / MISS).ln();
    (log / (2 * steps - 1) as f64).powi(2).min(1.0)
}

impl NaturalGradient for Euler {
    fn label(&self) -> String {
        format!("euler (digital emulation, steps of {} τ)", self.step)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: true, equilibrium: false, noise: true }
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let &Evolution { damping, time, noise, seed } = evolution;
        let begin = Instant::now();
        let mut products = 0;
        // No steps, nothing to be unstable.
        if time > 0.0 {
            products = check_step(curvature, damping, self.step.min(time))?;
        }
        let factors = begin.elapsed();

        let begin = Instant::now();
        let mut deviates = normals(seed, usize::MAX);
        let mut x = state.to_vec();
        let mut product = vec![0.0; x.len()];
        // A remainder of rounding is no step.
        let steps = (time / self.step - 1e-9).ceil().max(0.0) as usize;
        let damping = damping as f32;
        for i in 0..steps {
            let dt = self.step.min(time - i as f64 * self.step);
            curvature.product(&x, &mut product);
            let (step, spread) = (dt as f32, (2.0 * noise * dt).sqrt());
            for ((x, p), g) in x.iter_mut().zip(&product).zip(gradient) {
                *x -= step * (p + damping * *x - g);
            }
            if noise > 0.0 {
                x.iter_mut().zip(&mut deviates).for_each(|(x, z)| *x += (spread * z) as f32);
            }
        }
        check::result(&x)?;
        state.copy_from_slice(&x);
        let phases = Phases { factors, evolve: begin.elapsed(), ..Phases::default() };
        Ok(Report {
            label: self.label(),
            products: products + steps,
            iterations: steps,
            phases,
            statistical_error: None,
            drift: None,
        })
    }
}
