//! The devices of a run: which they are, which calibrations they use, and whether these still hold.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use spu_driver::Device;
use spu_driver::invert::InvertOptions;
use spu_driver::plan::Budget;
use spu_driver::prepare::{Choice, Preparation, PrepareOptions, prepare};

use super::calibration_view::CalibrationView;
use super::{DeviceArg, TimeoutArg, rung};
use crate::exit::Failure;
use crate::interrupt::Interrupt;

/// What every verb that measures takes.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    calibration: CalibrationArg,
    /// Seed of the boards' noise generators; each copy gets noise of its own
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) timeout: TimeoutArg,
}

/// The calibrations of the boards.
#[derive(Debug, Args)]
pub(crate) struct CalibrationArg {
    /// Calibration file of a board (may be given again for other copies), or `none` [default: the one
    /// that the board's memory names, else that of its serial number in this computer's store]
    #[arg(long, value_name = "FILE|none")]
    calibration: Vec<PathBuf>,
    /// Leave out the short run that tells whether a board has drifted since its calibration
    #[arg(long)]
    no_sentinel: bool,
}

/// Devices, ready for a run.
pub(crate) struct Ready {
    pub(crate) devices: Vec<Box<dyn Device>>,
    /// With the values of their calibrations.
    pub(crate) options: InvertOptions,
    /// What is known of these.
    pub(crate) calibration: CalibrationView,
}

impl RunArgs {
    /// Opens so many copies, finds their calibrations, and runs the sentinels of these.
    pub(crate) fn open(
        &self,
        copies: usize,
        budget: Budget,
        interrupt: &Interrupt,
    ) -> Result<Ready, Failure> {
        let mut devices = self.device.open_copies(copies)?;
        interrupt.watch(&devices);
        let (prepared, calibration) =
            self.calibration.prepare(&mut devices, self.timeout.timeout)?;
        let options = InvertOptions {
            budget,
            seed: self.seed,
            timeout: self.timeout.timeout,
            measured: prepared.measured,
            ..InvertOptions::default()
        };
        Ok(Ready { devices, options, calibration })
    }
}

impl Ready {
    /// The only device.
    pub(crate) fn device(&mut self) -> &mut dyn Device {
        self.devices[0].as_mut()
    }

    /// URIs of the devices.
    pub(crate) fn uris(&self) -> Vec<String> {
        self.devices.iter().map(|device| device.uri().to_owned()).collect()
    }

    /// Where the numbers of the first device come from.
    pub(crate) fn rung(&self) -> &'static str {
        rung(self.devices[0].uri(), Some(self.devices[0].info()))
    }
}

impl CalibrationArg {
    /// Finds the calibrations of devices and runs their sentinels; warns of what is wrong with them.
    pub(crate) fn prepare(
        &self,
        devices: &mut [Box<dyn Device>],
        timeout: Option<Duration>,
    ) -> Result<(Preparation, CalibrationView), Failure> {
        let options = PrepareOptions {
            choice: self.choice()?,
            sentinel: !self.no_sentinel,
            timeout,
            ..PrepareOptions::at(now())
        };
        let prepared = prepare(devices, &options)?;
        let calibration = CalibrationView::new(&prepared, options.now);
        calibration.warn();
        Ok((prepared, calibration))
    }

    fn choice(&self) -> Result<Choice, Failure> {
        let none = self.calibration.iter().any(|path| path.as_os_str() == "none");
        match self.calibration.as_slice() {
            [] => Ok(Choice::Search),
            [_] if none => Ok(Choice::None),
            _ if none => Err(Failure::usage("--calibration none goes with no other calibration")),
            files => Ok(Choice::Files(files.to_vec())),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}
