//! Calibrated boards.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use spu_driver::board_model::MeasuredBoards;
use spu_driver::calibrate::{CalibrateOptions, calibrate};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::plan::Budget;
use spu_driver::prepare::DRAWS;
use spu_driver::{Device, open};

/// `rev-a` with banks of 8 bits, unipolar.
pub const REV_A_8_BIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/accuracy/rev-a-8bit.toml");

/// A simulated board of this profile without spread of its parts.
pub fn without_spread(profile: &str) -> String {
    format!(
        "sim:profile={profile},without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+adc_gain"
    )
}

/// Boards that were calibrated, and options that know their values.
pub struct Calibrated {
    /// The boards.
    pub devices: Vec<Box<dyn Device>>,
    /// Options for all of them.
    pub options: InvertOptions,
}

/// A simulated board of this profile with the parts that `seed` draws, calibrated.
///
/// # Errors
/// What keeps it from running.
pub fn calibrated(profile: &str, seed: u64) -> Result<Calibrated> {
    calibrated_copies(profile, seed, 1)
}

/// `copies` boards with parts of their own, each calibrated.
///
/// # Errors
/// What keeps one from running.
pub fn calibrated_copies(profile: &str, seed: u64, copies: u32) -> Result<Calibrated> {
    let mut devices = Vec::new();
    let mut measured = MeasuredBoards::default();
    for copy in 0..copies {
        let uri = format!("sim:profile={profile},seed={seed},copy={copy}");
        let mut device = open(&uri)?;
        let calibration = calibrate(device.as_mut(), &CalibrateOptions::at(0), &Quiet)
            .with_context(|| format!("calibrating {uri}"))?;
        measured.insert(device.info().serial, Arc::new(calibration.measured(DRAWS)));
        devices.push(device);
    }
    let options = InvertOptions { seed, measured: Arc::new(measured), ..InvertOptions::default() };
    Ok(Calibrated { devices, options })
}

/// So many effective independent samples.
pub fn effective(samples: u64) -> Budget {
    Budget { effective: Some(samples), ..Budget::default() }
}
