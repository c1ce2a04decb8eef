//! Cells of a board, real or simulated, as a [`Relaxer`].

use std::{num::NonZeroU32, time::Duration};

use ndarray::Array2;
use spu_driver::{
    Device, Phases,
    rc::{self, CalibratedRc, RcCalibrateOptions, RelaxOptions},
};

use super::{BackendError, Relaxation, Relaxed, Relaxer};

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

impl Relaxer for RcBoard {
    fn label(&self) -> String {
        format!("{} board {}", self.device.info().profile, self.device.uri())
    }

    fn is_device(&self) -> bool {
        true
    }

    fn cells(&self) -> usize {
        self.relaxer.cells()
    }

    fn relax(&mut self, relaxation: &Relaxation, y: &mut [f64]) -> Result<Relaxed, BackendError> {
        let Relaxation { matrix, bias, time, noise, seed } = relaxation;
        if *time <= 0.0 {
            y.fill(0.0);
            return Ok(Relaxed::default());
        }
        let n = matrix.len();
        let t = Array2::from_shape_fn((n, n), |(i, j)| matrix.entry(i, j));
        let mut b = vec![0.0; n];
        b[0] = *bias;
        let options = RelaxOptions {
            noise: *noise,
            reads: self.reads,
            seed: Some(*seed),
            timeout: self.timeout,
        };
        let device = self.device.as_mut();
        let relaxer = &mut self.relaxer;
        let read = relaxer.plan(&t).and_then(|plan| {
            if time.is_finite() {
                relaxer.relax(device, &plan, &b, *time, &options)
            } else {
                relaxer.solve(device, &plan, &b, &options)
            }
        });
        let read = read.map_err(|source| BackendError::Device {
            label: self.label(),
            source: source.into(),
        })?;
        y.copy_from_slice(&read.x);
        self.ticks += read.ticks;
        self.runs += u64::from(read.runs);
        let Phases { encode, program, acquire, transfer, decode } = read.phases;
        Ok(Relaxed { program: encode + program, evolve: acquire, read: transfer + decode })
    }
}
