//! Flashes firmware and gateware through the running firmware: checks, transfer, restart, and
//! either confirmation or rollback.
//!
//! What runs is untouched until the new image is whole and verified in the other slot. After the
//! restart the new image is on trial; only when the same board answers with it is it confirmed.
//! Otherwise the next start goes back to what ran before, with or without a host.

mod image;
mod slots;
mod start;
mod transfer;

use serde::Serialize;
use spu_boot::pack::PackError;
use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageKind;

pub use image::{Image, ImageInfo, target_name};
pub use slots::{SlotInfo, SlotPair, confirm, slots};

use crate::device::{CancelHandle, Deadline, Device};
use crate::error::Error;

/// Why an image is not on the board afterwards. What ran goes on unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlashError {
    /// The file: no image, cut short, damaged, or not signed by a key that is accepted.
    #[error(transparent)]
    Image(#[from] PackError),
    /// An image of a kind that this release does not know.
    #[error("image of kind {0}, which this release does not know; flash it with a newer one")]
    UnknownKind(u16),
    /// For another board or FPGA.
    #[error("the image is for {image}, this is {board}; choose the file for {board}")]
    WrongTarget {
        /// What the image is for.
        image: String,
        /// What the board has.
        board: String,
    },
    /// Linked for another address than the board runs the free slot at.
    #[error(
        "the image is linked for {0:#010x}, where this board does not run it; build it for this \
         board's free slot"
    )]
    WrongAddress(u32),
    /// The slot is smaller.
    #[error(
        "the image has {length} octets, a slot of this board holds {room}; build a smaller one"
    )]
    TooLarge {
        /// Octets of the payload.
        length: u32,
        /// Most octets.
        room: u32,
    },
    /// Older than what runs.
    #[error(
        "the image is version {image}, {running} runs; `spu flash --allow-downgrade` flashes an \
         older one"
    )]
    Older {
        /// Version of the image.
        image: String,
        /// Version that runs.
        running: String,
    },
    /// What runs is on trial, and the other slot is what a rollback needs.
    #[error(
        "the {kind} that runs, {running}, is not confirmed; keep it with `spu flash --confirm`, or \
         restart the board to go back to the one before, then flash"
    )]
    OnTrial {
        /// Firmware or gateware.
        kind: &'static str,
        /// Version that runs.
        running: String,
    },
    /// The firmware knows no updates of this kind.
    #[error(
        "the firmware takes no {kind} over its link; flash with `spu flash --probe` or `--dfu`"
    )]
    NoUpdates {
        /// Firmware or gateware.
        kind: &'static str,
    },
    /// The board gave the update up.
    #[error("the board gave the update up: {0}; what ran before goes on")]
    GaveUp(ErrorCode),
    /// The device or its link.
    #[error("{0}; nothing was started, what ran before goes on: flash again")]
    Device(#[source] Error),
    /// The image is whole in its slot, but could not be started or withdrawn.
    #[error(
        "{why}; the new image is in its slot, and the next start may try it: flash again, or look \
         with `spu flash --status`"
    )]
    Undecided {
        /// What went wrong.
        why: String,
    },
    /// The new image did not prove itself.
    #[error("rolled back to {running}: {why}")]
    RolledBack {
        /// What was wrong with the new one, and what to do.
        why: String,
        /// Version that runs again.
        running: String,
    },
    /// The board was restarted and is not there.
    #[error(
        "the board did not come back after the restart: {why}; the new image is not confirmed: \
         power the board off and on, which goes back to the one before, and see `spu flash \
         --status`"
    )]
    Lost {
        /// What was seen last.
        why: String,
    },
    /// Cancelled before the restart.
    #[error("cancelled; what ran before goes on")]
    Cancelled,
}

/// Options of [`flash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashOptions {
    /// Take an image that is older than what runs.
    pub allow_downgrade: bool,
    /// Confirm the new image once it proved itself; otherwise it stays on trial.
    pub confirm: bool,
}

impl Default for FlashOptions {
    fn default() -> Self {
        Self { allow_downgrade: false, confirm: true }
    }
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The slot is being erased.
    Erase,
    /// The image is being sent.
    Send,
    /// The board verifies what is in its flash.
    Verify,
    /// The board restarts.
    Restart,
    /// The board answers again, and is being checked.
    Check,
    /// The new image did not prove itself.
    RollBack,
}

/// Hears how far flashing is, from the thread that flashes.
pub trait Progress {
    /// So many of so many octets, or 0 of 0 where there is nothing to count.
    fn update(&self, stage: Stage, done: u64, total: u64);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn update(&self, _stage: Stage, _done: u64, _total: u64) {}
}

/// An image that is on the board now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flashed {
    /// The image.
    pub image: ImageInfo,
    /// Version that ran before.
    pub previous: String,
    /// False if it is on trial still: the next start goes back.
    pub confirmed: bool,
}

/// Brings an image onto a board, starts it, and keeps it if it proves itself.
///
/// Everything happens by the deadline; only to take an image out of its slot again, after an error,
/// may take half a minute more. The device's cancel handle stops it before the restart and leaves
/// what ran.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// use spu_boot::pack::{Meta, SigningKey, pack};
/// use spu_driver::flash::{FlashOptions, Image, Quiet, flash};
/// use spu_driver::{Deadline, open};
/// use spu_protocol::image::{BoardId, ImageKind};
///
/// let meta = Meta {
///     kind: ImageKind::Firmware,
///     target: BoardId::Simulator as u32,
///     build_id: 1,
///     version: [9, 0, 0],
///     load_address: 0,
/// };
/// let file = pack(b"a firmware's binary", &meta, &SigningKey::development());
/// let mut device = open("sim")?;
/// let image = Image::check(&file)?;
/// let (options, deadline) = (FlashOptions::default(), Deadline::after_secs(60));
/// let flashed = flash(device.as_mut(), &image, &options, deadline, &Quiet)?;
/// assert!(flashed.confirmed && device.info().firmware == "9.0.0");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FlashError`].
pub fn flash(
    device: &mut dyn Device,
    image: &Image<'_>,
    options: &FlashOptions,
    deadline: Deadline,
    progress: &dyn Progress,
) -> Result<Flashed, FlashError> {
    let cancel = device.cancel_handle();
    Run { device, image, options, deadline, progress, cancel }.run()
}

/// One run of [`flash`].
struct Run<'a> {
    device: &'a mut dyn Device,
    image: &'a Image<'a>,
    options: &'a FlashOptions,
    deadline: Deadline,
    progress: &'a dyn Progress,
    cancel: CancelHandle,
}

impl Run<'_> {
    fn run(&mut self) -> Result<Flashed, FlashError> {
        let free = self.check()?;
        let previous = free.previous.clone();
        let sequence = self.transfer(&free)?;
        let confirmed = self.start(free.slot, sequence)?;
        Ok(Flashed { image: self.image.info(), previous, confirmed })
    }

    fn kind(&self) -> ImageKind {
        self.image.kind()
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// `1.2.3`.
pub(crate) fn version_text([major, minor, patch]: [u16; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}
