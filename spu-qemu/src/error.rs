//! Why there is no emulated board.

use std::io;
use std::path::PathBuf;

use spu_sim::SimError;

/// Why the emulator did not start or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// QEMU is not installed.
    #[error(
        "{program} is not installed (on Debian: apt-get install qemu-system-arm; on macOS: brew \
         install qemu)"
    )]
    NoQemu {
        /// What was looked for.
        program: &'static str,
    },
    /// No image for the board.
    #[error(
        "there is no firmware image {}; `cargo xtask firmware` builds it, SPU_FIRMWARE names \
         another folder",
        path.display()
    )]
    NoImage {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An image that its slot does not take.
    #[error("the firmware image is not usable: {why}")]
    BadImage {
        /// What is wrong.
        why: String,
    },
    /// A board that is not known.
    #[error("no emulated board {name:?}; there are {}", crate::image::names())]
    NoBoard {
        /// The name.
        name: String,
    },
    /// The simulated FPGA cannot be made.
    #[error(transparent)]
    Fpga(#[from] SimError),
    /// QEMU ended.
    #[error("QEMU ended at once: {why}")]
    Ended {
        /// What it said.
        why: String,
    },
    /// Something of the operating system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl EmulatorError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
