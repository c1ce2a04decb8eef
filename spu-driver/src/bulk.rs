//! The bulk memory of a factored board, one call each. [`factored`](crate::factored) puts it to use.

use spu_protocol::payload::bulk::Region;

use crate::device::Deadline;
use crate::error::Error;

/// The bulk memory of a device, object-safe.
pub trait Bulk {
    /// Writes whole words of two codes from word `first` of a region on. An odd code at the end
    /// has a zero beside it.
    ///
    /// # Errors
    /// [`Error::Device`] beyond the region; link errors.
    fn write(
        &mut self,
        region: Region,
        first: usize,
        codes: &[i16],
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Reads codes from word `first` of a region on.
    ///
    /// # Errors
    /// [`Error::Device`] beyond the region; link errors.
    fn read(
        &mut self,
        region: Region,
        first: usize,
        codes: &mut [i16],
        deadline: Deadline,
    ) -> Result<(), Error>;
}
