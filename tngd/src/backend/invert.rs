//! The part of a Kronecker-factored step that a board can do: invert a small positive definite matrix.

use std::time::Instant;

use ndarray::Array2;
use spu_driver::matrix::SpdMatrix;

use super::{BackendError, Relaxed};

/// An inverse, and what it took.
#[derive(Debug, Clone)]
pub struct Inverse {
    /// The estimate of A⁻¹, n × n, symmetric.
    pub inverse: Array2<f64>,
    /// What it took; its statistical error is that of the inverse, relative, by the Frobenius norm.
    pub spent: Relaxed,
}

/// What inverts: a board, by blocks where the matrix has more rows than the board has cells, or a digital
/// reference.
pub trait Inverter: Send {
    /// One line for people and result files.
    fn label(&self) -> String;

    /// Whether inverses are read from a device's converters.
    fn is_device(&self) -> bool {
        false
    }

    /// A⁻¹. `seed` is that of the noise that is sampled, if any.
    ///
    /// # Errors
    /// [`BackendError::Device`].
    fn invert(&mut self, a: &SpdMatrix, seed: u64) -> Result<Inverse, BackendError>;
}

/// The reference: Cholesky factorisation in f64.
#[derive(Debug, Clone, Copy, Default)]
pub struct DigitalInverter;

impl Inverter for DigitalInverter {
    fn label(&self) -> String {
        "a digital inverter".into()
    }

    fn invert(&mut self, a: &SpdMatrix, _seed: u64) -> Result<Inverse, BackendError> {
        let start = Instant::now();
        let inverse = a.digital_inverse();
        let spent = Relaxed { evolve: start.elapsed(), ..Relaxed::default() };
        Ok(Inverse { inverse, spent })
    }
}
