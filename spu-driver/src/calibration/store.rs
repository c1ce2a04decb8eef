//! Where calibrations are kept, and which one applies to a board.

use std::fmt;
use std::path::{Path, PathBuf};

use spu_protocol::regs;

use super::Calibration;
use super::file::CalibrationError;
use crate::device::{BoardInfo, Deadline, Device, is_simulated};
use crate::error::Error;

/// Environment variable that names the folder of calibrations.
pub(super) const VARIABLE: &str = "SPU_CALIBRATIONS";

/// Where a calibration came from, in the order in which they are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that the user named.
    User(PathBuf),
    /// The board's memory names its hash; the file with this hash.
    Board(PathBuf),
    /// The file of this serial number in the host's store.
    Store(PathBuf),
    /// There is none.
    None,
    /// None was looked for: the user wants none.
    NotWanted,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(path) => write!(f, "file {}", path.display()),
            Self::Board(path) => write!(f, "board memory, file {}", path.display()),
            Self::Store(path) => write!(f, "host store, file {}", path.display()),
            Self::None => f.write_str("none"),
            Self::NotWanted => f.write_str("none, as wanted"),
        }
    }
}

/// What was found for a board.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The calibration to use.
    pub calibration: Option<Calibration>,
    /// Where it came from.
    pub source: Source,
    /// Why the sources before it were not taken.
    pub passed_over: Vec<String>,
    /// Those of them that are there and not usable: another board's, expired, damaged.
    pub unusable: Vec<String>,
}

impl Found {
    /// None, since none was wanted.
    pub(crate) fn not_wanted() -> Self {
        Self {
            calibration: None,
            source: Source::NotWanted,
            passed_over: Vec::new(),
            unusable: Vec::new(),
        }
    }
}

/// The host's folder of calibrations: `$SPU_CALIBRATIONS`, or a folder in the platform's place for data
/// of the user. `None` if none is known.
pub fn store_directory() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = || {
        if cfg!(windows) {
            return variable("LOCALAPPDATA").map(PathBuf::from);
        }
        let home = || variable("HOME").map(PathBuf::from);
        if cfg!(target_os = "macos") {
            return home().map(|home| home.join("Library/Application Support"));
        }
        variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| home().map(|home| home.join(".local/share")))
    };
    variable(VARIABLE)
        .map(PathBuf::from)
        .or_else(|| data().map(|data| data.join("spu").join("calibrations")))
}

/// The file of a board in a store: by serial number and profile, as simulated boards of one seed share
/// their serial number.
fn file_of(directory: &Path, serial: u64, profile: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let profile: String = profile.chars().map(plain).collect();
    directory.join(format!("{serial:016x}-{profile}.json"))
}

impl Calibration {
    /// Keeps it in the host's store; returns the file.
    ///
    /// # Errors
    /// [`CalibrationError::NoStore`], [`CalibrationError::Write`].
    pub fn store(&self) -> Result<PathBuf, CalibrationError> {
        self.store_in(&store_directory().ok_or(CalibrationError::NoStore)?)
    }

    /// Keeps it in this folder, which is made if there is none; returns the file.
    ///
    /// # Errors
    /// [`CalibrationError::Write`]; [`CalibrationError::Conflict`] if a board of this serial number was of
    /// another profile before.
    pub fn store_in(&self, directory: &Path) -> Result<PathBuf, CalibrationError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| CalibrationError::Write { path: directory.into(), source })?;
        let board = &self.record().board;
        if !is_simulated(board.gateware_id) {
            self.conflicts(directory)?;
        }
        let path = file_of(directory, board.serial, &board.profile);
        self.save(&path)?;
        Ok(path)
    }
}

impl Calibration {
    /// Whether a real board of this serial number has a calibration as another profile.
    fn conflicts(&self, directory: &Path) -> Result<(), CalibrationError> {
        let board = &self.record().board;
        for (path, other) in all_in(directory) {
            let was = &other.record().board;
            if was.serial == board.serial && was.profile != board.profile {
                return Err(CalibrationError::Conflict {
                    path,
                    was: was.profile.clone(),
                    is: board.profile.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The calibration that applies to a board: the file that the user named, or else the one that the
/// board's memory names, or else the one of its serial number in the host's store.
///
/// # Errors
/// A file that the user named must be usable; what is wrong with the others is in
/// [`Found::passed_over`].
pub fn find(info: &BoardInfo, user: Option<&Path>, now: u64) -> Result<Found, CalibrationError> {
    find_in(store_directory().as_deref(), info, user, now)
}

/// As [`find`], with this store.
///
/// # Errors
/// As [`find`].
pub fn find_in(
    store: Option<&Path>,
    info: &BoardInfo,
    user: Option<&Path>,
    now: u64,
) -> Result<Found, CalibrationError> {
    let (mut passed_over, mut unusable) = (Vec::new(), Vec::new());
    if let Some(path) = user {
        let calibration = Calibration::load(path)?;
        calibration.check(info, now)?;
        let source = Source::User(path.into());
        return Ok(Found { calibration: Some(calibration), source, passed_over, unusable });
    }
    passed_over.push("no file was named".to_owned());
    match info.calibration_id {
        None => passed_over.push("the board's memory names no calibration".into()),
        Some(id) => match store.and_then(|store| file_with(store, id)) {
            None => unusable.push(format!(
                "the board's memory names calibration {id:016x}, which is not in the host's store"
            )),
            Some((path, calibration)) => match calibration.check(info, now) {
                Ok(()) => {
                    let source = Source::Board(path);
                    return Ok(Found {
                        calibration: Some(calibration),
                        source,
                        passed_over,
                        unusable,
                    });
                }
                Err(error) => unusable.push(format!("the board's memory: {error}")),
            },
        },
    }
    passed_over.extend(unusable.iter().cloned());
    match store {
        None => passed_over.push(CalibrationError::NoStore.to_string()),
        Some(store) => {
            let path = file_of(store, info.serial, &info.profile);
            let usable = Calibration::load(&path)
                .and_then(|calibration| calibration.check(info, now).map(|()| calibration));
            match usable {
                Ok(calibration) => {
                    let source = Source::Store(path);
                    return Ok(Found {
                        calibration: Some(calibration),
                        source,
                        passed_over,
                        unusable,
                    });
                }
                Err(CalibrationError::Read { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    passed_over.push(format!(
                        "the host's store {} has no calibration of board {:016x}",
                        store.display(),
                        info.serial
                    ));
                }
                Err(error) => {
                    unusable.push(format!("the host's store: {error}"));
                    passed_over.extend(unusable.last().cloned());
                }
            }
        }
    }
    Ok(Found { calibration: None, source: Source::None, passed_over, unusable })
}

/// The file in a folder whose calibration has this hash.
fn file_with(directory: &Path, id: u64) -> Option<(PathBuf, Calibration)> {
    all_in(directory).find(|(_, calibration)| calibration.id() == id)
}

/// The usable files of a folder, by name.
fn all_in(directory: &Path) -> impl Iterator<Item = (PathBuf, Calibration)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.into_iter().filter_map(|path| {
        let calibration = Calibration::load(&path).ok()?;
        Some((path, calibration))
    })
}

/// Writes hash, ADC offsets and ADC gains to the board's calibration memory, which keeps them until
/// power goes off.
///
/// # Errors
/// Link errors.
pub fn write_to_board(
    device: &mut dyn Device,
    calibration: &Calibration,
    deadline: Deadline,
) -> Result<(), Error> {
    let cells = &calibration.record().cells;
    let words = |value: fn(&super::CellEstimates) -> f64| -> Vec<u32> {
        cells.iter().map(|cell| (value(cell) as f32).to_bits()).collect()
    };
    device.write_regs(regs::adc_offset(0), &words(|cell| cell.adc_offset.value), deadline)?;
    device.write_regs(regs::adc_gain(0), &words(|cell| cell.adc_gain.value), deadline)?;
    let id = calibration.id();
    // The hash comes last: it says that the rest is there.
    device.write_regs(regs::CALIBRATION_ID_LO, &[id as u32, (id >> 32) as u32], deadline)
}
