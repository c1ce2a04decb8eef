//! The covariance of an RLC board, as a [`Relaxer`] of t = ∞ and as an [`Inverter`].

use std::{num::NonZeroU64, sync::Arc, time::Instant};

use spu_driver::{
    Device, Error, Phases,
    blocks::{BlockError, BlockInversion, Boards, Trouble, invert_blocks},
    board_model::{MeasuredBoard, MeasuredBoards},
    invert::{InvertOptions, OperationError, Quiet},
    matrix::SpdMatrix,
    plan::Budget,
};
use spu_protocol::payload::info::BoardKind;

use super::{BackendError, Capabilities, Inverse, Inverter, Relaxation, Relaxed, Relaxer};

/// Times as many samples are taken once more where the first ones gave a covariance that no board can have.
const MORE: u64 = 8;

/// An RLC board. Its voltages have the mean 0, so there is nothing that relaxes to a solution: what it
/// holds is the inverse of its matrix, as the covariance of its noise at rest. That is read as by `spu
/// invert` (plan, settle, sample, correct by the calibration, check both halves against each other), and the
/// host multiplies: T⁻¹ b is the limit t = ∞ of a relaxation. Finite times are refused.
///
/// The samples leave an error of about √((n + 1)/N) in T⁻¹ b with N effective samples of n cells. It is
/// stated with each result; what the board's parts add is not, and is small only with a
/// calibration.
///
/// ```
/// use spu_driver::invert::InvertOptions;
/// use tngd::backend::{Evolution, Krylov, NaturalGradient, RlcBoard};
/// use tngd::curvature::Dense;
///
/// let device = spu_driver::open("sim:profile=ideal")?;
/// let board = RlcBoard::new(device, &InvertOptions::default())?;
/// let mut backend = Krylov::new(Box::new(board), 2)?;
/// let curvature = Dense::new(vec![2.0, -1.0, -1.0, 2.0], 2)?;
/// let at = Evolution { damping: 0.1, time: f64::INFINITY, noise: 0.0, seed: 1 };
/// let mut state = [0.0; 2];
/// let report = backend.evolve(&curvature, &[1.0, 1.0], &at, &mut state)?;
/// let error = report.statistical_error.expect("of samples");
/// assert!((f64::from(state[0]) - 1.0 / 1.1).abs() < 6.0 * error * 1.3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RlcBoard {
    devices: [Box<dyn Device>; 1],
    options: InvertOptions,
    ticks: u64,
    reads: u64,
}

impl RlcBoard {
    /// Effective samples of a read unless told otherwise.
    pub const EFFECTIVE: u64 = 10_000;

    /// Uses a board with the calibration, timeout and mitigations of `options`; their budget and seed have
    /// no part in it. [`spu_driver::prepare`] finds the calibration of a board.
    ///
    /// # Errors
    /// A board of RC cells, or a calibration that is not of this kind of board.
    pub fn new(device: Box<dyn Device>, options: &InvertOptions) -> Result<Self, Error> {
        let info = device.info();
        if info.kind() != BoardKind::Rlc {
            return Err(Error::Unsupported {
                reasons: vec![format!(
                    "a {} board has no RLC cells, so its covariance is not read; {}",
                    info.profile,
                    info.purpose()
                )],
            });
        }
        let mut measured = MeasuredBoards::new();
        if let Some(board) = options.measured.get(&info.serial) {
            board.check(info)?;
            // Draws would cost as much as all the rest, for an error that is not stated.
            let board = MeasuredBoard { draws: Vec::new(), ..MeasuredBoard::clone(board) };
            measured.insert(info.serial, Arc::new(board));
        }
        let budget = Budget { effective: Some(Self::EFFECTIVE), ..Budget::default() };
        let options = InvertOptions { budget, measured: Arc::new(measured), ..options.clone() };
        Ok(Self { devices: [device], options, ticks: 0, reads: 0 })
    }

    /// Takes so many effective samples in each read.
    #[must_use]
    pub fn effective(mut self, samples: NonZeroU64) -> Self {
        self.options.budget.effective = Some(samples.get());
        self
    }

    /// Ticks and reads of blocks so far.
    pub fn work(&self) -> (u64, u64) {
        (self.ticks, self.reads)
    }

    fn board_label(&self) -> String {
        let [device] = &self.devices;
        let calibrated = self.options.measured.contains_key(&device.info().serial);
        let state = if calibrated { "calibrated" } else { "not calibrated" };
        format!("{} board {} by its covariance ({state})", device.info().profile, device.uri())
    }

    fn read(
        &mut self,
        a: &SpdMatrix,
        seed: u64,
    ) -> Result<(BlockInversion, Relaxed), BackendError> {
        let start = Instant::now();
        let mut options = InvertOptions { seed, ..self.options.clone() };
        let most = self.options.budget.effective.map(|samples| samples * MORE);
        let result = loop {
            let mut boards = Boards::new(&mut self.devices, options.clone());
            match invert_blocks(&mut boards, a, &Quiet) {
                Ok(result) => break result,
                Err(error) if is_scatter(&error) && options.budget.effective < most => {
                    options.budget.effective = most;
                }
                Err(error) => {
                    let source = if is_scatter(&error) { edge(a, &error) } else { cause(error) };
                    return Err(BackendError::Device { label: self.board_label(), source });
                }
            }
        };
        self.ticks += result.ticks.0;
        self.reads += result.leaves.len() as u64;
        let Phases { encode, program, acquire, transfer, decode } = result.phases;
        let spent = Relaxed {
            host: start.elapsed().saturating_sub(result.phases.total()),
            program: encode + program,
            evolve: acquire,
            read: transfer + decode,
            statistical_error: Some(result.statistical_error),
        };
        Ok((result, spent))
    }
}

/// A covariance that no board can have: too few samples, at the edge of what the cells hold.
fn is_scatter(error: &BlockError) -> bool {
    let (BlockError::Operation(error) | BlockError::Leaf { source: Trouble::Operation(error), .. }) =
        error
    else {
        return false;
    };
    matches!(error, OperationError::Inconsistent)
}

/// Says what to do about it.
fn edge(a: &SpdMatrix, error: &BlockError) -> Box<dyn std::error::Error + Send + Sync> {
    format!(
        "the matrix's condition number, {:.0}, is at the edge of what these cells hold: raise the damping, or \
         take more samples; where that does not help: {error}",
        a.condition()
    )
    .into()
}

/// What the device said, where it did.
fn cause(error: BlockError) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        BlockError::Cancelled(_) => Error::Cancelled.into(),
        BlockError::Operation(OperationError::Device(error))
        | BlockError::Leaf { source: Trouble::Operation(OperationError::Device(error)), .. } => {
            error.into()
        }
        error => error.into(),
    }
}

impl Relaxer for RlcBoard {
    fn label(&self) -> String {
        self.board_label()
    }

    fn is_device(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: false, equilibrium: true, noise: false }
    }

    fn cells(&self) -> usize {
        self.devices[0].info().cells
    }

    fn relax(&mut self, relaxation: &Relaxation, y: &mut [f64]) -> Result<Relaxed, BackendError> {
        let Relaxation { bias, time, seed, .. } = relaxation;
        if time.is_finite() {
            return Err(BackendError::EquilibriumOnly { label: self.board_label(), time: *time });
        }
        let (t, b) = relaxation.system();
        let t = SpdMatrix::new(&t, 0.0).map_err(|why| BackendError::Device {
            label: self.board_label(),
            source: why.into(),
        })?;
        let (result, mut spent) = self.read(&t, *seed)?;
        for (y, entry) in y.iter_mut().zip(result.inverse.column(0)) {
            *y = bias * entry;
        }
        spent.statistical_error = Some(result.product_error(&b));
        Ok(spent)
    }
}

impl Inverter for RlcBoard {
    fn label(&self) -> String {
        self.board_label()
    }

    fn is_device(&self) -> bool {
        true
    }

    fn invert(&mut self, a: &SpdMatrix, seed: u64) -> Result<Inverse, BackendError> {
        let (result, spent) = self.read(a, seed)?;
        Ok(Inverse { inverse: result.inverse, spent })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_matrix_at_the_edge_of_the_cells_says_what_to_do() {
        let error = BlockError::Operation(OperationError::Inconsistent);
        assert!(is_scatter(&error) && !is_scatter(&BlockError::Operation(Error::Cancelled.into())));
        let a = SpdMatrix::new(&array![[600.0, 0.0], [0.0, 1.0]], 0.0).unwrap();
        let text = edge(&a, &error).to_string();
        assert!(
            text.contains("condition number, 600,") && text.contains("raise the damping"),
            "{text}"
        );
        assert!(text.contains(&error.to_string()) && !text.contains("  "), "{text}");
    }
}
