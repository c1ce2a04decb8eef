//! Digital solvers of (G + λI) x = g: the equilibrium, without noise.

use std::time::Instant;

use nalgebra::{Cholesky as Factorised, DMatrix, DVector, Dyn};

use super::{BackendError, Capabilities, Evolution, NaturalGradient, Phases, Report, check};
use crate::{
    curvature::Curvature,
    linalg::{axpy, dot, norm},
};

const SOLVER: Capabilities = Capabilities { finite_time: false, equilibrium: true, noise: false };

fn factorise(matrix: DMatrix<f64>, damping: f64) -> Result<Factorised<f64, Dyn>, BackendError> {
    if !matrix.iter().all(|x| x.is_finite()) {
        return Err(BackendError::NotFinite("a product with the curvature"));
    }
    Factorised::new(matrix).ok_or(BackendError::NotPositiveDefinite { damping })
}

fn solved(
    label: String,
    products: usize,
    iterations: usize,
    factors: Instant,
    evolve: Instant,
) -> Report {
    let phases = Phases {
        factors: evolve.duration_since(factors),
        evolve: evolve.elapsed(),
        ..Phases::default()
    };
    Report { label, products, iterations, phases, statistical_error: None, drift: None }
}

/// Cholesky decomposition of the N × N matrix in f64, for small N.
#[derive(Debug, Clone, Copy)]
pub struct Cholesky {
    /// Most bytes that the matrix may take.
    pub limit: u64,
}

impl Default for Cholesky {
    /// 512 MiB, which is N = 8,192.
    fn default() -> Self {
        Self { limit: 512 << 20 }
    }
}

impl NaturalGradient for Cholesky {
    fn label(&self) -> String {
        "cholesky (digital solver)".into()
    }

    fn capabilities(&self) -> Capabilities {
        SOLVER
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let (n, begin) = (state.len(), Instant::now());
        let bytes = 8 * (n as u128) * (n as u128);
        if bytes > u128::from(self.limit) {
            return Err(BackendError::TooLarge { n, bytes, limit: self.limit.into() });
        }
        let mut matrix = DMatrix::zeros(n, n);
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
        for j in 0..n {
            unit[j] = 1.0;
            curvature.product(&unit, &mut column);
            unit[j] = 0.0;
            matrix.column_mut(j).iter_mut().zip(&column).for_each(|(m, &x)| *m = f64::from(x));
            matrix[(j, j)] += evolution.damping;
        }
        let evolve = Instant::now();
        let x = factorise(matrix, evolution.damping)?
            .solve(&DVector::from_iterator(n, gradient.iter().map(|&g| f64::from(g))));
        state.iter_mut().zip(&x).for_each(|(state, &x)| *state = x as f32);
        Ok(solved(self.label(), n, 0, begin, evolve))
    }
}

/// The Woodbury identity, (Bᵀ B + λI)⁻¹ g = (g − Bᵀ (B Bᵀ + λI)⁻¹ B g) / λ, by a Cholesky
/// decomposition of the Gram matrix in f64.
#[derive(Debug, Clone, Copy, Default)]
pub struct Woodbury;

impl NaturalGradient for Woodbury {
    fn label(&self) -> String {
        "woodbury (digital solver)".into()
    }

    fn capabilities(&self) -> Capabilities {
        SOLVER
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let factor =
            curvature.low_rank().ok_or_else(|| BackendError::NoFactor { label: self.label() })?;
        let (rank, begin) = (factor.rank(), Instant::now());
        let mut gram = DMatrix::from_iterator(rank, rank, factor.gram().into_iter().map(f64::from));
        for i in 0..rank {
            gram[(i, i)] += evolution.damping;
        }
        let mut bg = vec![0.0; rank];
        factor.b_product(gradient, &mut bg);
        let evolve = Instant::now();
        let w = factorise(gram, evolution.damping)?
            .solve(&DVector::from_iterator(rank, bg.iter().map(|&x| f64::from(x))));
        let w: Vec<f32> = w.iter().map(|&w| w as f32).collect();
        let mut back = vec![0.0; state.len()];
        factor.bt_product(&w, &mut back);
        check::result(&back)?;
        for ((x, g), back) in state.iter_mut().zip(gradient).zip(&back) {
            *x = (f64::from(g - back) / evolution.damping) as f32;
        }
        Ok(solved(self.label(), 2, 0, begin, evolve))
    }
}

/// Conjugate gradients, starting at x₀.
#[derive(Debug, Clone, Copy)]
pub struct Cg {
    /// ‖g − F x‖ / ‖g‖ at which it stops.
    pub tolerance: f64,
    /// Iterations after which it gives up.
    pub most_iterations: usize,
    /// Whether the best so far counts when it gives up.
    pub truncate: bool,
}

impl Default for Cg {
    fn default() -> Self {
        Self { tolerance: 1e-5, most_iterations: 1000, truncate: false }
    }
}

impl NaturalGradient for Cg {
    fn label(&self) -> String {
        "cg (digital solver)".into()
    }

    fn capabilities(&self) -> Capabilities {
        SOLVER
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let begin = Instant::now();
        let wanted = self.tolerance * norm(gradient);
        let mut x = state.to_vec();
        let mut r = check::residual(curvature, gradient, evolution.damping, &x)?;
        let mut p = r.clone();
        let mut product = vec![0.0; x.len()];
        let mut square = dot(&r, &r);
        let mut iterations = 0;
        while square.sqrt() > wanted {
            if iterations == self.most_iterations {
                if self.truncate {
                    break;
                }
                return Err(BackendError::NotConverged {
                    label: self.label(),
                    iterations,
                    error: square.sqrt() / norm(gradient),
                    tolerance: self.tolerance,
                });
            }
            curvature.product(&p, &mut product);
            axpy(evolution.damping, &p, &mut product);
            let curved = dot(&p, &product);
            if !curved.is_finite() {
                return Err(BackendError::NotFinite("a product with the curvature"));
            }
            if curved <= 0.0 {
                return Err(BackendError::NotPositiveDefinite { damping: evolution.damping });
            }
            axpy(square / curved, &p, &mut x);
            axpy(-square / curved, &product, &mut r);
            let next = dot(&r, &r);
            let ratio = (next / square) as f32;
            p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + ratio * *p);
            square = next;
            iterations += 1;
        }
        state.copy_from_slice(&x);
        Ok(solved(self.label(), 1 + iterations, iterations, begin, begin))
    }
}
