//! The part of a step that eight cells can do: relax a small tridiagonal system.

use std::time::Duration;

use ndarray::Array2;

use super::{BackendError, Capabilities, Phases, law};
use crate::{krylov::Tridiagonal, random::normals};

/// A relaxation of k cells, k = [`Tridiagonal::len`]:
///
/// ```text
/// dy = −(T y − bias e₁) dt + N[0, 2 κ0 dt],   y(0) = 0
/// ```
///
/// T is positive definite and its off-diagonals are ≤ 0, so that T is an M-matrix: D T D with a
/// suitable positive diagonal D has no negative row sum, and is a network of positive conductances.
/// With the capacitor d² and the noise current √(2κ0) d in the cell whose entry of D is d, such a
/// network obeys the equation above in y = D v.
#[derive(Debug, Clone)]
pub struct Relaxation {
    /// T.
    pub matrix: Tridiagonal,
    /// Bias of the first cell; the others have none.
    pub bias: f64,
    /// Time in units of τ, ≥ 0; may be infinite.
    pub time: f64,
    /// κ0.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u64,
}

impl Relaxation {
    /// T as a full matrix, and the biases of all cells.
    pub fn system(&self) -> (Array2<f64>, Vec<f64>) {
        let n = self.matrix.len();
        let mut biases = vec![0.0; n];
        biases[0] = self.bias;
        (Array2::from_shape_fn((n, n), |(i, j)| self.matrix.entry(i, j)), biases)
    }

    /// The same relaxation of T/s, s = ‖T‖∞: conductances up to 1. Time and bias change so that y
    /// is the same at the end: time t s, bias/s, and noise κ0/s.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let scale = self.matrix.norm_inf();
        Self {
            matrix: self.matrix.scaled(1.0 / scale),
            bias: self.bias / scale,
            time: self.time * scale,
            noise: self.noise / scale,
            seed: self.seed,
        }
    }
}

/// Times that a relaxation took, and how well it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Relaxed {
    /// Digital work of the host: planning, turning samples into results.
    pub host: Duration,
    /// Setting the device.
    pub program: Duration,
    /// Evolving.
    pub evolve: Duration,
    /// Reading.
    pub read: Duration,
    /// Standard error of y that samples leave, over the size of y; `None` where nothing is sampled.
    pub statistical_error: Option<f64>,
}

impl Relaxed {
    /// Its times as those of a step.
    pub fn phases(&self) -> Phases {
        let &Self { host, program, evolve, read, .. } = self;
        Phases { factors: host, program, evolve, read, ..Phases::default() }
    }
}

/// What does a [`Relaxation`]: a board's cells, or a digital reference.
pub trait Relaxer: Send {
    /// One line for people and result files.
    fn label(&self) -> String;

    /// Whether y is read from a device's converters.
    fn is_device(&self) -> bool {
        false
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: true, equilibrium: true, noise: true }
    }

    /// Most cells k.
    fn cells(&self) -> usize;

    /// Relaxes and writes y(t) to `y`, which has as many entries as the matrix has rows, at most
    /// [`cells`](Self::cells).
    ///
    /// # Errors
    /// [`BackendError::Device`], with `y` unspecified.
    fn relax(&mut self, relaxation: &Relaxation, y: &mut [f64]) -> Result<Relaxed, BackendError>;
}

/// The reference: y(t) by the eigenvalues of T in f64, with exact noise.
#[derive(Debug, Clone, Copy)]
pub struct DigitalRelaxer {
    cells: usize,
}

impl DigitalRelaxer {
    /// A reference with as many cells.
    pub fn new(cells: usize) -> Self {
        Self { cells }
    }
}

impl Relaxer for DigitalRelaxer {
    fn label(&self) -> String {
        format!("digital emulation of {} cells", self.cells)
    }

    fn cells(&self) -> usize {
        self.cells
    }

    fn relax(&mut self, relaxation: &Relaxation, y: &mut [f64]) -> Result<Relaxed, BackendError> {
        let start = std::time::Instant::now();
        let eigen = relaxation.matrix.eigen();
        let mut modes: Vec<f64> = eigen
            .values
            .iter()
            .enumerate()
            .map(|(j, &a)| law::mean(a, relaxation.time) * relaxation.bias * eigen.entry(0, j))
            .collect();
        if relaxation.noise > 0.0 {
            let deviates = normals(relaxation.seed, modes.len());
            for ((mode, &a), z) in modes.iter_mut().zip(&eigen.values).zip(deviates) {
                *mode += (relaxation.noise * law::mean(a, 2.0 * relaxation.time)).sqrt() * z;
            }
        }
        for (i, y) in y.iter_mut().enumerate() {
            *y = modes.iter().enumerate().map(|(j, mode)| eigen.entry(i, j) * mode).sum();
        }
        Ok(Relaxed { evolve: start.elapsed(), ..Relaxed::default() })
    }
}
