//! Flash memory as the slots need it.

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

/// Why flash memory failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// An address that is no multiple of what is read, written or erased at once.
    #[error("flash address not aligned; the slots' layout does not suit this flash")]
    NotAligned,
    /// An address beyond the end.
    #[error("flash address out of range; the slots' layout does not suit this flash")]
    OutOfRange,
    /// The memory reports an error: an uncorrectable word, protection, or no power.
    #[error("the flash memory failed; try again, then replace the board")]
    Failed,
}

/// NOR flash: an erase sets the octets of a page to `0xFF`, a write clears bits. Object-safe, so
/// that firmware and gateware slots in different memories share one updater.
pub trait Flash {
    /// Octets that are erased at once.
    fn page(&self) -> u32;

    /// Octets that are written at once: 1 to 32, a divisor of 32.
    fn granule(&self) -> u32;

    /// Reads from `offset` on; both it and the length are multiples of 32.
    ///
    /// # Errors
    /// [`FlashError`]; `out` is unspecified then.
    fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), FlashError>;

    /// Erases the page that starts at `offset`.
    ///
    /// # Errors
    /// [`FlashError`]; the page is unspecified then.
    fn erase_page(&mut self, offset: u32) -> Result<(), FlashError>;

    /// Writes erased octets from `offset` on; both it and the length are multiples of 32.
    ///
    /// # Errors
    /// [`FlashError`]; what was written is unspecified then.
    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), FlashError>;
}

/// Any flash of `embedded-storage` that is written by at most 32 octets at once.
#[derive(Debug)]
pub struct Nor<F>(pub F);

impl<F: NorFlash> Nor<F> {
    const FITS: () = assert!(
        F::WRITE_SIZE >= 1 && 32 % F::WRITE_SIZE == 0 && 32 % F::READ_SIZE == 0,
        "slots are read and written by 32 octets"
    );
}

fn failed(error: &impl NorFlashError) -> FlashError {
    match error.kind() {
        NorFlashErrorKind::NotAligned => FlashError::NotAligned,
        NorFlashErrorKind::OutOfBounds => FlashError::OutOfRange,
        _ => FlashError::Failed,
    }
}

impl<F: NorFlash> Flash for Nor<F> {
    fn page(&self) -> u32 {
        F::ERASE_SIZE as u32
    }

    fn granule(&self) -> u32 {
        let () = Self::FITS;
        F::WRITE_SIZE as u32
    }

    fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        self.0.read(offset, out).map_err(|error| failed(&error))
    }

    fn erase_page(&mut self, offset: u32) -> Result<(), FlashError> {
        let end = offset.checked_add(self.page()).ok_or(FlashError::OutOfRange)?;
        self.0.erase(offset, end).map_err(|error| failed(&error))
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), FlashError> {
        self.0.write(offset, octets).map_err(|error| failed(&error))
    }
}
