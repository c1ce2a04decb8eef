//! `spu calibrate`: measures the values of a board, and keeps or shows them.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use spu_driver::Device;
use spu_driver::calibrate::{CalibrateError, CalibrateOptions, calibrate};
use spu_driver::calibration::{
    Calibration, CalibrationError, DEFAULT_VALID_DAYS, Depth, find, write_to_board,
};
use spu_driver::rc::RcCalibrateOptions;
use spu_protocol::payload::info::BoardKind;

use super::calibrate_rc::{self, RcCalibrateAnswer};
use super::calibrate_view::CalibrateAnswer;
use super::calibrated::now;
use super::{DeviceArg, TimeoutArg, Written, rung};
use crate::answer::Either;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file;
use crate::progress::Meter;
use crate::report;

/// Measure the values of a board's parts, and keep them; or show what is kept
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    device: DeviceArg,
    /// As many bank settings as it takes (default)
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// About twice as many bank settings
    #[arg(long)]
    full: bool,
    /// Write the calibration to this file too
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    output: Option<PathBuf>,
    /// Keep it neither in this computer's store nor in the board's memory
    #[arg(long, conflicts_with = "show")]
    no_store: bool,
    /// Temperature of the board, in °C, to be kept with the values
    #[arg(long, value_name = "C", allow_negative_numbers = true, conflicts_with = "show")]
    temperature: Option<f64>,
    /// Days for which it holds
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_VALID_DAYS, conflicts_with = "show")]
    valid: u64,
    /// Measure nothing; show a calibration file, or without FILE the calibration that applies to the
    /// device
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["quick", "full"])]
    #[expect(clippy::option_option, reason = "an option whose value may be left out")]
    show: Option<Option<PathBuf>>,
    /// Write a report with plots: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    timeout: TimeoutArg,
}

impl Calibrate {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<Calibrated, Failure> {
        for path in self.output.iter().chain(&self.report) {
            matrix_file::check_writable(path)?;
        }
        let mut answer = match &self.show {
            Some(Some(path)) => {
                let calibration = Calibration::load(path)?;
                CalibrateAnswer::new(&calibration, format!("file {}", path.display()), now())
            }
            Some(None) => self.applied()?,
            None => {
                let mut devices = [self.device.open()?];
                interrupt.watch_saying(&devices, "stopping; nothing is kept; press again to quit");
                let [device] = &mut devices;
                if device.info().kind() == BoardKind::Rc {
                    return Ok(Calibrated::Second(Box::new(self.measure_rc(device.as_mut())?)));
                }
                self.measure(device.as_mut(), json)?
            }
        };
        if let (Some(path), true) = (&self.report, answer.values.is_some()) {
            let page = report::calibration::render(&answer);
            let result = matrix_file::write_atomically(path, page.as_bytes());
            answer.files.push(Written::new(path, "report", result));
        }
        Ok(Calibrated::First(Box::new(answer)))
    }

    /// The calibration that applies to the device.
    fn applied(&self) -> Result<CalibrateAnswer, Failure> {
        let device = self.device.open()?;
        if device.info().kind() == BoardKind::Rc {
            return Err(Failure::usage(
                "an RC board is measured anew before each run, and nothing of it is kept; leave out --show",
            ));
        }
        let found = find(device.info(), None, now())?;
        let Some(calibration) = found.calibration else {
            return Err(Failure::new(
                Exit::NotProgrammable,
                format!(
                    "board {:016x} is not calibrated: {}; run `spu calibrate`",
                    device.info().serial,
                    found.passed_over.join("; ")
                ),
            ));
        };
        let mut answer = CalibrateAnswer::new(&calibration, found.source.to_string(), now());
        answer.of_device(device.uri(), rung(device.uri(), Some(device.info())));
        answer.passed_over = found.passed_over;
        Ok(answer)
    }

    fn measure(&self, device: &mut dyn Device, json: bool) -> Result<CalibrateAnswer, Failure> {
        if self.temperature.is_some_and(|temperature| !temperature.is_finite()) {
            return Err(Failure::usage("the temperature must be a number"));
        }
        let options = CalibrateOptions {
            depth: if self.full { Depth::Full } else { Depth::Quick },
            valid_s: self.valid.saturating_mul(86_400),
            temperature_c: self.temperature,
            timeout: self.timeout.timeout,
            ..CalibrateOptions::at(now())
        };
        let meter = Meter::new(1, json);
        let result = calibrate(device, &options, &meter);
        meter.finish();
        let (uri, rung) = (device.uri().to_owned(), rung(device.uri(), Some(device.info())));
        let calibration = match result {
            Ok(calibration) => calibration,
            Err(CalibrateError::BadBoard { findings }) => {
                return Ok(CalibrateAnswer::refused(&uri, rung, &findings));
            }
            Err(error) => return Err(error.into()),
        };
        let mut answer = CalibrateAnswer::new(&calibration, "measured now".into(), now());
        answer.of_device(&uri, rung);
        if let Some(path) = &self.output {
            let result = calibration.save(path).map(|()| path.clone());
            answer.files.push(kept(path.clone(), "calibration", result));
        }
        if !self.no_store {
            let result = calibration.store();
            answer.files.push(kept(PathBuf::from("the store"), "calibration", result));
            write_to_board(device, &calibration, self.timeout.deadline())?;
            answer.in_board = true;
        }
        Ok(answer)
    }

    fn measure_rc(&self, device: &mut dyn Device) -> Result<RcCalibrateAnswer, Failure> {
        if self.report.is_some() || self.temperature.is_some() {
            return Err(Failure::usage(
                "the values of an RC board are not kept, so they take neither --report nor --temperature; \
                 --output FILE writes them",
            ));
        }
        let defaults = RcCalibrateOptions::default();
        let samples =
            defaults.samples.saturating_mul(NonZeroU32::MIN.saturating_add(self.full.into()));
        let timeout = self.timeout.timeout.unwrap_or(defaults.timeout);
        let options = RcCalibrateOptions { samples, timeout, ..defaults };
        let rung = rung(device.uri(), Some(device.info()));
        let mut answer = calibrate_rc::measure(device, rung, &options)?;
        if let Some(path) = &self.output {
            let json = format!("{}\n", json!(answer));
            let result = matrix_file::write_atomically(path, json.as_bytes());
            answer.files.push(Written::new(path, "calibration", result));
        }
        Ok(answer)
    }
}

/// What is shown of an RLC board, or of one of RC cells.
pub(crate) type Calibrated = Either<CalibrateAnswer, RcCalibrateAnswer>;

/// What became of a file.
fn kept(path: PathBuf, what: &'static str, result: Result<PathBuf, CalibrationError>) -> Written {
    match result {
        Ok(path) => Written { path, what, error: None },
        Err(error) => Written { path, what, error: Some(error.to_string()) },
    }
}
