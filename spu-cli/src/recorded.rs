//! Recordings that this run makes, and whether they are whole.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use spu_driver::open::OPEN;
use spu_driver::recording::Health;
use spu_driver::{Deadline, Device, DeviceUri};

use crate::exit::Failure;

/// Every verb opens devices, and only the end of the run knows whether a recording is whole.
static MADE: Mutex<Vec<(PathBuf, Health)>> = Mutex::new(Vec::new());

/// Opens a device, recorded to this file if there is one.
pub(crate) fn open(uri: &DeviceUri, file: Option<&Path>) -> Result<Box<dyn Device>, Failure> {
    let Some(file) = file else { return Ok(uri.open()?) };
    let (device, health) = uri.open_recorded(file, Deadline::after(OPEN))?;
    MADE.lock().unwrap_or_else(PoisonError::into_inner).push((file.into(), health));
    Ok(device)
}

/// What is wrong with the recordings made so far, a line each. Their devices are closed.
pub(crate) fn failures() -> Vec<String> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let failure = |(file, health): &(PathBuf, Health)| {
        let why = health.failure()?;
        Some(format!(
            "the recording {} is not whole: {why}; it can be read up to there, and the results \
             are not affected",
            file.display()
        ))
    };
    made.iter().filter_map(failure).collect()
}
