//! k cells for any number of parameters: the residual's Krylov space.

use std::time::Instant;

use super::{
    BackendError, Capabilities, Evolution, NaturalGradient, Phases, Relaxation, Relaxer, Report,
    check,
};
use crate::{curvature::Curvature, krylov::Lanczos, linalg::axpy};

/// The k-cell contract. The host computes r = g − F x₀ and k Lanczos steps on F = G + λI from r,
/// F Q ≈ Q T. The [`Relaxer`]'s cells start at 0 and relax under T and the bias ‖r‖ e₁ for the time
/// t. The host reads their k values y, and xₜ = x₀ + Q y.
///
/// So the Lanczos vectors, which are digital work, carry the dimension, and the cells do the k × k
/// relaxation. The noise is that of the k cells: it lies in the Krylov space, and is the device
/// law's when that is the whole space. With r = 0 there is no space and the state stays as it is.
pub struct Krylov {
    relaxer: Box<dyn Relaxer>,
    cells: usize,
}

impl Krylov {
    /// Uses `cells` of the relaxer's cells, and no more than there are parameters.
    ///
    /// # Errors
    /// No cells, or more than the relaxer has.
    pub fn new(relaxer: Box<dyn Relaxer>, cells: usize) -> Result<Self, BackendError> {
        let available = relaxer.cells();
        if cells == 0 {
            return Err(BackendError::NoCells { available });
        }
        if cells > available {
            return Err(BackendError::TooFewCells { cells, available, label: relaxer.label() });
        }
        Ok(Self { relaxer, cells })
    }
}

impl NaturalGradient for Krylov {
    fn label(&self) -> String {
        format!("krylov-{} on {}", self.cells, self.relaxer.label())
    }

    fn is_device(&self) -> bool {
        self.relaxer.is_device()
    }

    fn capabilities(&self) -> Capabilities {
        self.relaxer.capabilities()
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
        let cells = self.cells.min(state.len());
        let lanczos = Lanczos::of_curvature(curvature, damping, &residual, cells);
        let mut phases = Phases { factors: start.elapsed(), ..Phases::default() };
        let mut report = Report {
            label: self.label(),
            products: 1,
            iterations: 0,
            phases,
            statistical_error: None,
            drift: None,
        };
        let Some(lanczos) = lanczos else { return Ok(report) };

        let matrix = lanczos.matrix().clone();
        report.iterations = matrix.len();
        report.products += matrix.len();
        if !matrix.norm_inf().is_finite() {
            return Err(BackendError::NotFinite("a product with the curvature"));
        }
        if matrix.eigen().values.iter().any(|&a| a <= 0.0) {
            return Err(BackendError::NotPositiveDefinite { damping });
        }
        let mut y = vec![0.0; matrix.len()];
        let relaxation = Relaxation { matrix, bias: lanczos.start_norm(), time, noise, seed };
        let relaxed = self.relaxer.relax(&relaxation, &mut y)?;
        if y.iter().any(|y| !y.is_finite()) {
            return Err(BackendError::NotFinite("what the relaxer gave"));
        }
        let start = Instant::now();
        let mut moved = vec![0.0; state.len()];
        lanczos.add_combination(&y, &mut moved);
        axpy(1.0, &moved, state);
        phases.factors += start.elapsed();
        phases.add(&relaxed.phases());
        report.phases = phases;
        report.statistical_error = relaxed.statistical_error;
        Ok(report)
    }
}
