//! Calibration files.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BoardKey, Calibration, Record};
use crate::device::BoardInfo;

/// What the file says it is.
const FORMAT: &str = "spu-calibration";
/// Version of the files that this driver reads and writes.
const VERSION: u32 = 1;

/// Why a calibration cannot be used or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no calibration.
    #[error("{}: not a calibration: {why}; run `spu calibrate` again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file has another version.
    #[error(
        "{}: a calibration file of version {found}, and this program reads version {VERSION}; run \
         `spu calibrate` again",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The content is not the one that its hash was made of.
    #[error(
        "{}: the content was changed: its hash is {is:016x}, and the file says {says:016x}; restore the \
         file or run `spu calibrate` again",
        path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
        /// The hash in the file.
        says: u64,
        /// The hash of the content.
        is: u64,
    },
    /// The calibration is of another board, or of another state of this one.
    #[error("calibration {id:016x} does not hold for this board: {why}; run `spu calibrate`")]
    OtherBoard {
        /// The calibration.
        id: u64,
        /// What differs.
        why: String,
    },
    /// The calibration is too old.
    #[error(
        "calibration {id:016x} expired {} days ago; run `spu calibrate`",
        (now - expired) / 86_400
    )]
    Expired {
        /// The calibration.
        id: u64,
        /// When it expired, in seconds since 1970.
        expired: u64,
        /// The time now.
        now: u64,
    },
    /// A board of this serial number was of another profile before.
    #[error(
        "{}: the board of this serial number was of profile {was} and is of profile {is} now: it is \
         another board or was changed; remove the file if that is meant",
        path.display()
    )]
    Conflict {
        /// The file of the calibration before.
        path: PathBuf,
        /// Its profile.
        was: String,
        /// The profile now.
        is: String,
    },
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no folder for calibrations.
    #[error("no folder for calibrations is known; set {} to one", super::store::VARIABLE)]
    NoStore,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    format: String,
    version: u32,
    id: String,
    content: T,
}

/// The start of a file, whatever else it holds.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl Calibration {
    /// Reads a file and checks it.
    ///
    /// # Errors
    /// [`CalibrationError::Read`], [`CalibrationError::Content`], [`CalibrationError::Version`],
    /// [`CalibrationError::Edited`].
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CalibrationError::Read { path: path.into(), source })?;
        let content = |why: String| CalibrationError::Content { path: path.into(), why };
        let head: Head = serde_json::from_str(&text).map_err(|error| content(error.to_string()))?;
        if head.format != FORMAT {
            return Err(content(format!("its format is {:?}", head.format)));
        }
        if head.version != u64::from(VERSION) {
            return Err(CalibrationError::Version { path: path.into(), found: head.version });
        }
        let file: File<Record> =
            serde_json::from_str(&text).map_err(|error| content(error.to_string()))?;
        let says = u64::from_str_radix(&file.id, 16)
            .map_err(|_| content(format!("{:?} is no hash", file.id)))?;
        let calibration = Self::new(file.content).map_err(content)?;
        if calibration.id() != says {
            return Err(CalibrationError::Edited { path: path.into(), says, is: calibration.id() });
        }
        Ok(calibration)
    }

    /// Writes it to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`CalibrationError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), CalibrationError> {
        let file = File {
            format: FORMAT.into(),
            version: VERSION,
            id: format!("{:016x}", self.id()),
            content: self.record(),
        };
        serde_json::to_vec(&file)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(path, &bytes))
            .map_err(|source| CalibrationError::Write { path: path.into(), source })
    }

    /// Checks that it holds for this board now.
    ///
    /// # Errors
    /// [`CalibrationError::OtherBoard`], [`CalibrationError::Expired`].
    pub fn check(&self, info: &BoardInfo, now: u64) -> Result<(), CalibrationError> {
        self.check_board(info)?;
        let expired = self.expires();
        if now > expired {
            return Err(CalibrationError::Expired { id: self.id(), expired, now });
        }
        Ok(())
    }

    /// Checks that it is of this board.
    ///
    /// # Errors
    /// [`CalibrationError::OtherBoard`].
    pub fn check_board(&self, info: &BoardInfo) -> Result<(), CalibrationError> {
        let (of, is) = (&self.record().board, BoardKey::of(info));
        let mut differences = Vec::new();
        let mut compare = |what: &str, of: String, is: String| {
            if of != is {
                differences.push(format!("{what} was {of} and is {is}"));
            }
        };
        compare("its serial number", format!("{:016x}", of.serial), format!("{:016x}", is.serial));
        compare("its profile", of.profile.clone(), is.profile);
        compare(
            "its gateware",
            format!("{:08x}", of.gateware_id),
            format!("{:08x}", is.gateware_id),
        );
        compare("its firmware", of.firmware.clone(), is.firmware);
        let shape = |cells: usize, selves: usize, couplings: usize| {
            format!("{cells} cells with {selves} and {couplings} bits")
        };
        let layout = self.layout();
        compare(
            "its size",
            shape(layout.n, layout.self_bits, layout.coupling_bits),
            shape(info.cells, usize::from(info.raw.self_bits), usize::from(info.raw.coupling_bits)),
        );
        if differences.is_empty() {
            return Ok(());
        }
        Err(CalibrationError::OtherBoard { id: self.id(), why: differences.join(", ") })
    }
}

/// Writes a file beside its place and moves it there.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    let result = write();
    if result.is_err() {
        // What was begun is of no use; that it cannot be removed either adds nothing.
        let _ = std::fs::remove_file(&beside);
    }
    result
}
