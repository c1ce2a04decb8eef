//! Calibrations of simulated boards.

mod bad_boards;
mod drift;
mod responses;
mod rigged;
mod values;

use super::{CalibrateError, CalibrateOptions, calibrate};
use crate::calibration::Calibration;
use crate::invert::Quiet;

const NOW: u64 = 1_700_000_000;

fn calibrated(uri: &str) -> Result<Calibration, CalibrateError> {
    calibrate(crate::open(uri).unwrap().as_mut(), &CalibrateOptions::at(NOW), &Quiet)
}
