//! Which calibration a read-out uses, and how often a matrix is programmed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use spu_driver::Device;
use spu_driver::board_model::MeasuredBoards;
use spu_driver::calibration::{Calibration, find};
use spu_driver::invert::InvertOptions;

use crate::exit::Failure;

/// Draws by which the uncertainty of a calibration is propagated.
const DRAWS: usize = 8;
/// Programmings where `--mitigate` names no number.
const PROGRAMMINGS: &str = "16";

/// The calibrations of the boards.
#[derive(Debug, Args)]
pub(crate) struct CalibrationArg {
    /// Calibration file of a board (may be given again for other copies), or `none` [default: the one
    /// that the board's memory names, else that of its serial number in this computer's store]
    #[arg(long, value_name = "FILE|none")]
    calibration: Vec<PathBuf>,
}

/// How an error of the board is made smaller.
#[derive(Debug, Args)]
pub(crate) struct MitigateArg {
    /// Average N programmings of the matrix whose errors of quantisation make up for each other
    /// [default without N: 16]; the samples are divided among them
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = PROGRAMMINGS, value_parser = clap::value_parser!(u32).range(1..=4096))]
    mitigate: Option<u32>,
}

impl MitigateArg {
    /// How often the matrix is programmed.
    pub(crate) fn programmings(&self) -> NonZeroU32 {
        self.mitigate.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

impl CalibrationArg {
    /// Adds to `options` what these devices' calibrations say.
    pub(crate) fn apply(
        &self,
        devices: &[Box<dyn Device>],
        options: &mut InvertOptions,
    ) -> Result<(), Failure> {
        if self.calibration.iter().any(|path| path.as_os_str() == "none") {
            if self.calibration.len() > 1 {
                return Err(Failure::usage("--calibration none goes with no other calibration"));
            }
            return Ok(());
        }
        let mut named: BTreeMap<u64, &PathBuf> = BTreeMap::new();
        for path in &self.calibration {
            named.insert(Calibration::load(path)?.record().board.serial, path);
        }
        let mut measured = MeasuredBoards::new();
        for device in devices {
            let info = device.info();
            let file = named.remove(&info.serial);
            let found = find(info, file.map(PathBuf::as_path), now())?;
            for why in &found.unusable {
                eprintln!("warning: {why}");
            }
            if let Some(calibration) = found.calibration {
                measured.insert(info.serial, Arc::new(calibration.measured(DRAWS)));
            }
        }
        if let Some(path) = named.values().next() {
            return Err(Failure::usage(format!(
                "calibration {} is of none of these boards",
                path.display()
            )));
        }
        options.measured = Arc::new(measured);
        Ok(())
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}
