//! The update operations of a device, one call each. [`flash`](crate::flash) puts them together.

use spu_protocol::image::ImageKind;
use spu_protocol::payload::{UpdateBegin, UpdateProgress, UpdateStatus};

use crate::device::Deadline;
use crate::error::Error;

/// Updates of a device's firmware and gateware, object-safe. An update belongs to the session: a
/// call that has to open another one finds no update.
pub trait Updates {
    /// Begins an update, in place of one that is going on.
    ///
    /// # Errors
    /// [`Error::Device`] with the reason of a refusal; link errors.
    fn begin(&mut self, begin: &UpdateBegin, deadline: Deadline) -> Result<UpdateProgress, Error>;

    /// Sends a piece of the image's payload.
    ///
    /// # Errors
    /// [`Error::Device`] with the reason of a refusal; link errors.
    fn write(
        &mut self,
        offset: u32,
        octets: &[u8],
        deadline: Deadline,
    ) -> Result<UpdateProgress, Error>;

    /// Asks to verify what was sent.
    ///
    /// # Errors
    /// [`Error::Device`] with the reason of a refusal; link errors.
    fn finish(&mut self, deadline: Deadline) -> Result<UpdateProgress, Error>;

    /// Reads how far the update is, and what the slots of this kind hold.
    ///
    /// # Errors
    /// [`Error::Device`] where the board has no such slots; link errors.
    fn status(&mut self, kind: ImageKind, deadline: Deadline) -> Result<UpdateStatus, Error>;

    /// Keeps the image of this kind that runs.
    ///
    /// # Errors
    /// [`Error::Device`] if that could not be marked; link errors.
    fn confirm(&mut self, kind: ImageKind, deadline: Deadline) -> Result<(), Error>;

    /// Tells the microcontroller to restart, once, and opens no session. It works on firmware of
    /// any version. Whether it happened is to be seen afterwards: the answer may be lost.
    ///
    /// # Errors
    /// [`Error::Device`] of a board that refuses; [`Error::Timeout`], [`Error::Disconnected`] if
    /// the request could not be sent.
    fn restart(&mut self, deadline: Deadline) -> Result<(), Error>;

    /// Opens another session with the same board, on a link that may first have to come back, and
    /// reads its identity again. Gives up an update that is going on.
    ///
    /// # Errors
    /// As opening a device; [`Error::Corrupt`] if another board answers.
    fn reopen(&mut self, deadline: Deadline) -> Result<(), Error>;
}
