//! How accurate results are, measured on simulated boards.

pub mod any;
pub mod calibrated;
pub mod mitigation;

use ndarray::Array2;
use spu_driver::linalg::frobenius;

/// Error that so many independent samples leave: `((tr S)^2 / tr S^2 + 1) / N`, its root.
pub fn bound(inverse: &Array2<f64>, effective: f64) -> f64 {
    let trace: f64 = inverse.diag().sum();
    ((trace * trace / frobenius(inverse).powi(2) + 1.0) / effective).sqrt()
}
