//! Cells of an RC board, real or simulated, as a [`Relaxer`] and as an [`Inverter`].

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use spu_driver::{
    Device, Phases,
    matrix::SpdMatrix,
    rc::{self, CalibratedRc, RcCalibrateOptions, RelaxOptions},
};

use super::{BackendError, Inverse, Inverter, Relaxation, Relaxed, Relaxer};

/// Residual `‖e_j − A x_j‖` to which columns of an inverse are refined, by further passes of the board.
const COLUMN: f64 = 1e-3;

/// An RC board: its cells relax to the mean, for the time that is asked for.
pub struct RcBoard {
    device: Box<dyn Device>,
    relaxer: rc::Relaxer,
    reads: NonZeroU32,
    timeout: Duration,
    ticks: u64,
    runs: u64,
}

impl RcBoard {
    /// Measures the board's parts, then uses it.
    ///
    /// # Errors
    /// As [`rc::calibrate`].
    pub fn calibrate(
        mut device: Box<dyn Device>,
        options: &RcCalibrateOptions,
    ) -> Result<Self, spu_driver::Error> {
        let calibrated = rc::calibrate(device.as_mut(), options)?;
        Self::calibrated(device, &calibrated)
    }

    /// Uses a board whose parts were measured.
    ///
    /// # Errors
    /// A board of another kind, or another board than the measured one.
    pub fn calibrated(
        device: Box<dyn Device>,
        calibrated: &CalibratedRc,
    ) -> Result<Self, spu_driver::Error> {
        let serial = device.info().serial;
        if serial != calibrated.serial {
            return Err(spu_driver::Error::Uncalibrated {
                why: format!(
                    "the calibration is of board {:016x}, this is {serial:016x}; calibrate it",
                    calibrated.serial
                ),
            });
        }
        let relaxer = rc::Relaxer::new(device.info(), calibrated.model.clone())?;
        let timeout = Duration::from_secs(30);
        Ok(Self { device, relaxer, reads: NonZeroU32::MIN, timeout, ticks: 0, runs: 0 })
    }

    /// Averages so many runs.
    #[must_use]
    pub fn reads(mut self, reads: NonZeroU32) -> Self {
        self.reads = reads;
        self
    }

    /// Ticks and runs so far.
    pub fn work(&self) -> (u64, u64) {
        (self.ticks, self.runs)
    }
}

impl RcBoard {
    fn board_label(&self) -> String {
        format!("{} board {}", self.device.info().profile, self.device.uri())
    }

    fn failed(&self, source: spu_driver::Error) -> BackendError {
        BackendError::Device { label: self.board_label(), source: source.into() }
    }
}

impl Relaxer for RcBoard {
    fn label(&self) -> String {
        self.board_label()
    }

    fn is_device(&self) -> bool {
        true
    }

    fn cells(&self) -> usize {
        self.relaxer.cells()
    }

    fn relax(&mut self, relaxation: &Relaxation, y: &mut [f64]) -> Result<Relaxed, BackendError> {
        let Relaxation { time, noise, seed, .. } = relaxation;
        if *time <= 0.0 {
            y.fill(0.0);
            return Ok(Relaxed::default());
        }
        let (t, b) = relaxation.system();
        let options = RelaxOptions {
            noise: *noise,
            reads: self.reads,
            seed: Some(*seed),
            timeout: self.timeout,
        };
        let device = self.device.as_mut();
        let relaxer = &self.relaxer;
        let read = if time.is_finite() {
            let plan = relaxer.plan_for(&t, *time);
            plan.and_then(|plan| relaxer.relax(device, &plan, &b, *time, &options))
        } else {
            relaxer.plan(&t).and_then(|plan| relaxer.solve(device, &plan, &b, &options))
        };
        let read = read.map_err(|source| self.failed(source))?;
        y.copy_from_slice(&read.x);
        self.ticks += read.ticks;
        self.runs += u64::from(read.runs);
        Ok(spent(&read.phases))
    }
}

impl Inverter for RcBoard {
    fn label(&self) -> String {
        format!("{} by its mean", self.board_label())
    }

    fn is_device(&self) -> bool {
        true
    }

    /// Column by column, without noise: what is left is the rounding of converters and banks, to a residual
    /// of 0.1 %.
    fn invert(&mut self, a: &SpdMatrix, _seed: u64) -> Result<Inverse, BackendError> {
        let start = Instant::now();
        let options = RelaxOptions { timeout: self.timeout, ..RelaxOptions::default() };
        let (device, relaxer) = (self.device.as_mut(), &self.relaxer);
        let result = rc::invert_by_mean(device, relaxer, a, Some(COLUMN), &options)
            .map_err(|source| self.failed(source))?;
        self.ticks += result.ticks;
        self.runs += u64::from(result.runs);
        let host = start.elapsed().saturating_sub(result.phases.total());
        let spent = Relaxed { host, ..spent(&result.phases) };
        Ok(Inverse { inverse: result.inverse, spent })
    }
}

fn spent(phases: &Phases) -> Relaxed {
    let Phases { encode, program, acquire, transfer, decode } = *phases;
    let (program, read) = (encode + program, transfer + decode);
    Relaxed { program, evolve: acquire, read, ..Relaxed::default() }
}
