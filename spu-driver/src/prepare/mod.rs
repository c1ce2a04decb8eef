//! Devices made ready for a run: which calibration goes with each, and whether it still holds.
//!
//! [`prepare`] finds the calibration of each device (one that the user names, the one that the board's memory
//! names, the one in the host's store, none) and runs its [`sentinel`]: a board
//! that has drifted is named before the run, not after it. A run gives the same bits with and without a
//! sentinel before it, since it sets banks, drives and seeds of its own and starts from rest.

#[cfg(all(test, feature = "sim"))]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::board_model::MeasuredBoards;
use crate::calibrate::{CalibrateError, Verdict, sentinel};
use crate::calibration::{Calibration, CalibrationError, Found, find_in, store_directory};
use crate::device::Device;

/// Draws by which the uncertainty of a calibration is propagated, unless told otherwise.
pub const DRAWS: usize = 8;

/// Which calibrations are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// As [`find_in`] does.
    #[default]
    Search,
    /// These files for the boards that they are of; as [`find_in`] does for others.
    Files(Vec<PathBuf>),
    /// None: boards are taken for nominal.
    None,
}

/// Options of [`prepare`].
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// Which calibrations are looked for.
    pub choice: Choice,
    /// The folder of calibrations.
    pub store: Option<PathBuf>,
    /// The time now, in seconds since 1970.
    pub now: u64,
    /// Run the sentinels.
    pub sentinel: bool,
    /// Draws by which the uncertainty of a calibration is propagated.
    pub draws: usize,
    /// Longest time for one call on a device; `None` leaves ample time for a simulator.
    pub timeout: Option<Duration>,
}

impl PrepareOptions {
    /// Search, with sentinels, at this time, in seconds since 1970.
    pub fn at(now: u64) -> Self {
        Self {
            choice: Choice::Search,
            store: store_directory(),
            now,
            sentinel: true,
            draws: DRAWS,
            timeout: None,
        }
    }
}

/// Why devices were not made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A calibration that the user named.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A calibration that the user named, and no device is its board.
    #[error("calibration {} is of none of these boards", path.display())]
    NoBoard {
        /// The file.
        path: PathBuf,
    },
    /// The run of a sentinel.
    #[error(transparent)]
    Sentinel(#[from] CalibrateError),
}

/// What the sentinel of a board did.
#[derive(Debug, Clone, PartialEq)]
pub enum Sentinel {
    /// There is no calibration to compare the board with.
    NoCalibration,
    /// It was left out as asked: whether the board has drifted is not known.
    LeftOut,
    /// It ran.
    Ran {
        /// What it says.
        verdict: Verdict,
        /// Wall time.
        wall: Duration,
    },
}

/// What may be said of results by a board's calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Calibrated, and not known to have drifted.
    Calibrated,
    /// Not calibrated: nominal values are used.
    Uncalibrated,
    /// Drifted since its calibration: its values are still used, being nearer than nominal ones, but what
    /// its uncertainty says no longer holds.
    Drifted,
}

/// The calibration of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardStatus {
    /// Serial number of the board.
    pub serial: u64,
    /// URI of the device.
    pub uri: String,
    /// Its calibration, where it is from, and why others were not taken.
    pub found: Found,
    /// Whether it still holds.
    pub sentinel: Sentinel,
}

impl BoardStatus {
    /// What may be said of results.
    pub fn standing(&self) -> Standing {
        match (&self.found.calibration, &self.sentinel) {
            (None, _) => Standing::Uncalibrated,
            (_, Sentinel::Ran { verdict, .. }) if verdict.drifted => Standing::Drifted,
            _ => Standing::Calibrated,
        }
    }
}

/// What [`prepare`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// Device by device.
    pub boards: Vec<BoardStatus>,
    /// Measured values, as operations take them
    /// ([`InvertOptions::measured`](crate::invert::InvertOptions::measured)). A board that has drifted is
    /// among them without draws, so that no interval claims what no longer holds.
    pub measured: Arc<MeasuredBoards>,
}

impl Preparation {
    /// The least that may be said of any of the devices.
    pub fn standing(&self) -> Standing {
        self.boards.iter().map(BoardStatus::standing).max().unwrap_or(Standing::Uncalibrated)
    }
}

/// Finds the calibration of each device, and runs its sentinel. What is set on a board before is lost.
///
/// # Errors
/// [`PrepareError::Calibration`] and [`PrepareError::NoBoard`] for files that the user named and that are not
/// usable here; [`PrepareError::Sentinel`] for link errors, [`Error::Cancelled`](crate::Error::Cancelled), and
/// calibrations with values of no board.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use spu_driver::invert::InvertOptions;
/// use spu_driver::prepare::{PrepareOptions, Standing, prepare};
///
/// let mut devices = spu_driver::open_copies("sim:profile=rev-a,seed=5", 2)?;
/// # let store = None;
/// let prepared = prepare(&mut devices, &PrepareOptions { store, ..PrepareOptions::at(1_700_000_000) })?;
/// assert_eq!(prepared.standing(), Standing::Uncalibrated);
/// let options = InvertOptions { measured: prepared.measured.clone(), ..InvertOptions::default() };
/// # let _ = options;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn prepare(
    devices: &mut [Box<dyn Device>],
    options: &PrepareOptions,
) -> Result<Preparation, PrepareError> {
    let found = calibrations(devices, options)?;
    let mut measured = MeasuredBoards::new();
    let mut boards = Vec::new();
    for (device, found) in devices.iter_mut().zip(found) {
        let sentinel = match &found.calibration {
            None => Sentinel::NoCalibration,
            Some(_) if !options.sentinel => Sentinel::LeftOut,
            Some(calibration) => {
                let started = Instant::now();
                let verdict = sentinel(device.as_mut(), calibration, options.timeout)?;
                Sentinel::Ran { verdict, wall: started.elapsed() }
            }
        };
        let (serial, uri) = (device.info().serial, device.uri().to_owned());
        let board = BoardStatus { serial, uri, found, sentinel };
        if let Some(calibration) = &board.found.calibration {
            let drifted = board.standing() == Standing::Drifted;
            let draws = if drifted { 0 } else { options.draws };
            measured.insert(serial, Arc::new(calibration.measured(draws)));
        }
        boards.push(board);
    }
    Ok(Preparation { boards, measured: Arc::new(measured) })
}

/// What is found for each device, before anything runs on any.
fn calibrations(
    devices: &[Box<dyn Device>],
    options: &PrepareOptions,
) -> Result<Vec<Found>, PrepareError> {
    let files = match &options.choice {
        Choice::None => return Ok(vec![Found::not_wanted(); devices.len()]),
        Choice::Search => &[][..],
        Choice::Files(files) => files,
    };
    let mut named: BTreeMap<u64, &Path> = BTreeMap::new();
    for path in files {
        named.insert(Calibration::load(path)?.record().board.serial, path);
    }
    let mut found = Vec::new();
    let mut serials = Vec::new();
    for device in devices {
        let info = device.info();
        let file = named.get(&info.serial).copied();
        found.push(find_in(options.store.as_deref(), info, file, options.now)?);
        serials.push(info.serial);
    }
    match named.iter().find(|(serial, _)| !serials.contains(serial)) {
        Some((_, path)) => Err(PrepareError::NoBoard { path: path.to_path_buf() }),
        None => Ok(found),
    }
}
