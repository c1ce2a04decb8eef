//! How accurate results are, measured on simulated boards that were calibrated.
//!
//! Every board of a measurement has parts of its own, drawn from its profile by the board's seed, and is
//! calibrated before anything is asked of it. Matrices come from the generators in [`matrices`].

pub mod boards;
pub mod coverage;
pub mod errors;
pub mod large;
pub mod matrices;
pub mod mitigation;
pub mod page;
mod plots;
pub mod record;
pub mod refined;
pub mod thermox;
pub mod verdict;
pub mod work;

use ndarray::Array2;
use spu_driver::linalg::frobenius;

/// Error that so many independent samples leave: `((tr S)^2 / tr S^2 + 1) / N`, its root.
pub fn bound(inverse: &Array2<f64>, effective: f64) -> f64 {
    let trace: f64 = inverse.diag().sum();
    ((trace * trace / frobenius(inverse).powi(2) + 1.0) / effective).sqrt()
}
