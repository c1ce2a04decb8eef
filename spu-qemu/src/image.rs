//! Boards that can be emulated, and where their images are.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use spu_boot::mps2::SLOT;

use crate::error::EmulatorError;

/// Environment variable that names the folder of the images.
pub const VARIABLE: &str = "SPU_FIRMWARE";

/// A board that QEMU emulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Board {
    /// Arm's MPS2 with application note 386, a Cortex-M4F.
    #[default]
    Mps2An386,
    /// TI's Stellaris LM3S6965 evaluation board, a Cortex-M3.
    Lm3s6965evb,
}

impl Board {
    /// Every board.
    pub const ALL: [Self; 2] = [Self::Mps2An386, Self::Lm3s6965evb];

    /// Its name, which is QEMU's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Lm3s6965evb => "lm3s6965evb",
        }
    }

    /// True of a board with a boot loader and flash memory that can be written: QEMU emulates none for
    /// the others, whose program starts by itself.
    pub const fn has_slots(self) -> bool {
        matches!(self, Self::Mps2An386)
    }
}

/// The contents of a flash memory whose first slot holds `image`, confirmed, and whose second is empty.
///
/// # Errors
/// [`EmulatorError::BadImage`].
pub fn flash_with(image: &[u8]) -> Result<Vec<u8>, EmulatorError> {
    let mut flash = spu_boot::pack::factory(image, SLOT)
        .map_err(|error| EmulatorError::BadImage { why: error.to_string() })?;
    flash.resize(2 * SLOT as usize, 0xFF);
    Ok(flash)
}

impl FromStr for Board {
    type Err = EmulatorError;

    fn from_str(name: &str) -> Result<Self, EmulatorError> {
        Self::ALL
            .into_iter()
            .find(|board| board.name() == name)
            .ok_or_else(|| EmulatorError::NoBoard { name: name.into() })
    }
}

/// Names of the boards, for messages.
pub(crate) fn names() -> String {
    Board::ALL.map(Board::name).join(", ")
}

/// The folder of the images: what [`VARIABLE`] names, or `target/firmware` of the source tree that
/// this was built from.
pub fn folder() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firmware"),
        PathBuf::from,
    )
}

/// The file of this name in that folder.
///
/// # Errors
/// [`EmulatorError::NoImage`].
pub fn find(name: &str) -> Result<PathBuf, EmulatorError> {
    let path = folder().join(name);
    // QEMU runs in another folder.
    path.canonicalize().map_err(|_| EmulatorError::NoImage { path })
}
