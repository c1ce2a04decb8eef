//! Euler–Maruyama steps, as the paper simulates the device.

use std::time::Instant;

use super::{BackendError, Capabilities, Evolution, NaturalGradient, Phases, Report, check};
use crate::{curvature::Curvature, krylov::Lanczos, random::normals};

/// Lanczos steps that estimate `λ_max`.
const ESTIMATE: usize = 12;

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
        let start: Vec<f32> = normals(0, state.len()).map(|z| z as f32).collect();
        let mut products = 0;
        // No steps, nothing to be unstable.
        if time > 0.0 {
            let lanczos =
                Lanczos::of_curvature(curvature, damping, &start, ESTIMATE.min(start.len()));
            let matrix = lanczos.map(|lanczos| lanczos.matrix().clone()).unwrap_or_default();
            products = matrix.len();
            if !matrix.norm_inf().is_finite() {
                return Err(BackendError::NotFinite("a product with the curvature"));
            }
            let largest = matrix.eigen().values.iter().copied().fold(0.0, f64::max);
            let step = self.step.min(time);
            if step * largest >= 2.0 {
                return Err(BackendError::Unstable { dt: step, largest, limit: 2.0 / largest });
            }
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
        Ok(Report { label: self.label(), products: products + steps, iterations: steps, phases })
    }
}
