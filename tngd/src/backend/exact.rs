//! The device law itself, without a device and without time steps.

use std::time::Instant;

use super::{BackendError, Capabilities, Evolution, NaturalGradient, Phases, Report, check, law};
use crate::{
    curvature::{Curvature, LowRank},
    krylov,
    linalg::{Mat, MatMut, axpy, finite, matmul},
    random::normals,
};

/// Digital emulation of an ideal device: mean and noise at any time t as functions of the
/// curvature, φ(G + λI) v.
///
/// With G = Bᵀ B of low rank, φ(G + λI) v = φ(λ) v + Bᵀ Ψ(B Bᵀ) B v, Ψ(s) = (φ(s + λ) − φ(λ))/s. The
/// Gram matrix B Bᵀ is formed once and Ψ applied by Lanczos to convergence at the rounding of f32.
/// Without a factor B, Lanczos works on G.
#[derive(Debug, Clone, Copy)]
pub struct ExactLaw {
    /// Relative change at which Lanczos has converged.
    pub tolerance: f64,
    /// Most Lanczos steps without a factor B; with one its rank is enough.
    pub most_steps: usize,
}

impl Default for ExactLaw {
    fn default() -> Self {
        Self { tolerance: 2e-7, most_steps: 400 }
    }
}

impl ExactLaw {
    /// φ(G + λI) v: `at` is φ(s + λ), `difference` is Ψ(s). The number of steps is added to `steps`.
    fn function(
        &self,
        operator: &Operator,
        v: &[f32],
        at: impl Fn(f64) -> f64,
        difference: impl Fn(f64) -> f64,
        steps: &mut usize,
    ) -> Result<Vec<f32>, BackendError> {
        let applied = match *operator {
            Operator::Full(curvature) => {
                let product = |v: &[f32], out: &mut [f32]| curvature.product(v, out);
                krylov::apply(product, v, at, self.tolerance, self.most_steps.min(v.len()))
            }
            Operator::LowRank { factor, ref gram } => {
                let rank = factor.rank();
                let mut bv = vec![0.0; rank];
                factor.b_product(v, &mut bv);
                let product = |v: &[f32], out: &mut [f32]| {
                    let (gram, v) = (Mat::new(gram, rank, rank), Mat::new(v, rank, 1));
                    matmul(MatMut::new(out, rank, 1), false, 1.0, gram, v);
                };
                let mut applied = krylov::apply(product, &bv, difference, self.tolerance, rank);
                let mut value = vec![0.0; v.len()];
                factor.bt_product(&applied.value, &mut value);
                axpy(at(0.0), v, &mut value);
                applied.value = value;
                applied
            }
        };
        *steps += applied.steps;
        check::result(&applied.value)?;
        if applied.converged {
            return Ok(applied.value);
        }
        Err(BackendError::NotConverged {
            label: self.label(),
            iterations: applied.steps,
            error: applied.change,
            tolerance: self.tolerance,
        })
    }
}

enum Operator<'a> {
    Full(&'a dyn Curvature),
    LowRank { factor: &'a dyn LowRank, gram: Vec<f32> },
}

impl NaturalGradient for ExactLaw {
    fn label(&self) -> String {
        "exact-law (digital emulation of an ideal device)".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: true, equilibrium: true, noise: true }
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let &Evolution { damping, time, noise, seed } = evolution;
        let start = Instant::now();
        let residual = check::residual(curvature, gradient, damping, state)?;
        let operator = match curvature.low_rank() {
            Some(factor) if factor.rank() < state.len() => {
                let gram = factor.gram();
                if !finite(&gram) {
                    return Err(BackendError::NotFinite("the curvature's Gram matrix"));
                }
                Operator::LowRank { factor, gram }
            }
            _ => Operator::Full(curvature),
        };
        let factors = start.elapsed();

        let start = Instant::now();
        let mut iterations = 0;
        let mut moved = self.function(
            &operator,
            &residual,
            |s| law::mean(s + damping, time),
            |s| law::mean_difference(s, damping, time),
            &mut iterations,
        )?;
        if noise > 0.0 {
            let deviates: Vec<f32> = normals(seed, state.len()).map(|z| z as f32).collect();
            let noise = self.function(
                &operator,
                &deviates,
                |s| law::spread(s + damping, time, noise),
                |s| law::spread_difference(s, damping, time, noise),
                &mut iterations,
            )?;
            axpy(1.0, &noise, &mut moved);
        }
        axpy(1.0, &moved, state);
        let products = 1 + match operator {
            Operator::Full(_) => iterations,
            Operator::LowRank { .. } => 2 * (1 + usize::from(noise > 0.0)),
        };
        Ok(Report {
            label: self.label(),
            products,
            iterations,
            phases: Phases { factors, evolve: start.elapsed(), ..Phases::default() },
            statistical_error: None,
            drift: None,
        })
    }
}
