//! What the dispatcher needs of a board, and a board over an SPI device.

use embedded_hal::spi::{ErrorKind, Operation, SpiDevice};
use spu_boot::Slots;
use spu_protocol::image::ImageKind;
use spu_protocol::regs;

use crate::FIRMWARE_VERSION;

/// Why a board operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// The bus to the FPGA failed.
    #[error("the SPI bus to the FPGA failed: {0}")]
    Bus(ErrorKind),
}

/// A board as its microcontroller sees it: the FPGA's registers, a clock, and itself.
pub trait Board {
    /// Reads `out.len()` consecutive registers from byte address `address`, in one transaction.
    ///
    /// # Errors
    /// [`BoardError::Bus`]; `out` is unspecified then.
    fn read_regs(&mut self, address: u16, out: &mut [u32]) -> Result<(), BoardError>;

    /// Writes consecutive registers from byte address `address`.
    ///
    /// # Errors
    /// [`BoardError::Bus`]; some of the words may have been written.
    fn write_regs(&mut self, address: u16, words: &[u32]) -> Result<(), BoardError>;

    /// Takes `out.len()` octets, whole frames, from the capture memory.
    ///
    /// # Errors
    /// [`BoardError::Bus`]; some frames may be gone from the memory.
    fn read_fifo(&mut self, out: &mut [u8]) -> Result<(), BoardError>;

    /// Monotonic time, in microseconds.
    fn now_us(&mut self) -> u64;

    /// The part of a reset that is outside the FPGA's registers, after the reply went to the
    /// [`Transmit`](crate::Transmit): level 2 restarts the microcontroller (and need not return),
    /// levels 0 and 1 leave it alone.
    fn reset(&mut self, level: u32);

    /// A register of the microcontroller itself (those of the map that are marked so); 0 where
    /// there is none.
    fn mcu_reg(&mut self, address: u16) -> u32 {
        let _ = address;
        0
    }

    /// Bits written to [`regs::MCU_CONTROL`].
    fn mcu_control(&mut self, bits: u32) {
        let _ = bits;
    }

    /// A bounded piece of a longer operation is done. A target that watches for progress counts
    /// it, as it counts a poll.
    fn progress(&mut self) {}

    /// Arranges that the boot loader starts once the reply is out; false if there is none.
    fn enter_bootloader(&mut self) -> bool;

    /// Whether this firmware drives a board with a bulk memory, that is a factored one: images for
    /// other boards carry no code for it.
    const BULK: bool = false;

    /// Whether [`slots`](Self::slots) ever gives any: a board without them carries no code to
    /// update.
    const UPDATES: bool = false;

    /// The slots of images of a kind, in flash that can be written while this runs; none where the
    /// board cannot be updated by itself. They are the same at each call.
    fn slots(&mut self, _kind: ImageKind) -> Option<Slots<'_>> {
        None
    }

    /// Version of the firmware that runs: this crate's, unless the image says another.
    fn firmware_version(&self) -> [u16; 3] {
        FIRMWARE_VERSION
    }
}

/// A monotonic clock.
pub trait Clock {
    /// Microseconds since some fixed moment.
    fn now_us(&mut self) -> u64;
}

/// A board whose FPGA is behind an SPI device.
///
/// One transaction is four command octets (`0x80` read or `0x00` write, address most significant
/// octet first, 0), then data: registers as 32-bit words, most significant octet first, at
/// ascending addresses; captured frames as stored. Restarting a microcontroller and its boot
/// loader belong to each target: a target wraps this board and implements
/// [`reset`](Board::reset) and [`enter_bootloader`](Board::enter_bootloader), which do nothing
/// here.
#[derive(Debug)]
pub struct FpgaBoard<SPI, CLOCK> {
    spi: SPI,
    clock: CLOCK,
}

/// First command octet of a read.
const READ: u8 = 0x80;
/// First command octet of a write.
const WRITE: u8 = 0x00;
/// Words of one write transaction: bounds the buffer that turns them to wire order.
const WRITE_WORDS: usize = 32;

impl<SPI, CLOCK> FpgaBoard<SPI, CLOCK> {
    /// A board over this bus and clock.
    pub const fn new(spi: SPI, clock: CLOCK) -> Self {
        Self { spi, clock }
    }

    /// The bus.
    pub const fn spi(&self) -> &SPI {
        &self.spi
    }

    /// The bus, to change.
    pub const fn spi_mut(&mut self) -> &mut SPI {
        &mut self.spi
    }

    /// The clock, to change.
    pub const fn clock_mut(&mut self) -> &mut CLOCK {
        &mut self.clock
    }
}

/// The command octets of a transaction.
const fn command(direction: u8, address: u16) -> [u8; 4] {
    let [high, low] = address.to_be_bytes();
    [direction, high, low, 0]
}

fn bus<E: embedded_hal::spi::Error>(error: &E) -> BoardError {
    BoardError::Bus(error.kind())
}

impl<SPI: SpiDevice<u8>, CLOCK: Clock> Board for FpgaBoard<SPI, CLOCK> {
    fn read_regs(&mut self, address: u16, out: &mut [u32]) -> Result<(), BoardError> {
        let octets = bytemuck::cast_slice_mut::<u32, u8>(out);
        self.spi
            .transaction(&mut [Operation::Write(&command(READ, address)), Operation::Read(octets)])
            .map_err(|error| bus(&error))?;
        for word in out {
            *word = u32::from_be(*word);
        }
        Ok(())
    }

    fn write_regs(&mut self, address: u16, words: &[u32]) -> Result<(), BoardError> {
        let mut address = address;
        for chunk in words.chunks(WRITE_WORDS) {
            let mut octets = [[0_u8; 4]; WRITE_WORDS];
            for (to, word) in octets.iter_mut().zip(chunk) {
                *to = word.to_be_bytes();
            }
            let octets = octets.as_flattened();
            let octets = octets.get(..size_of_val(chunk)).unwrap_or(octets);
            self.spi
                .transaction(&mut [
                    Operation::Write(&command(WRITE, address)),
                    Operation::Write(octets),
                ])
                .map_err(|error| bus(&error))?;
            address = address.wrapping_add(octets.len() as u16);
        }
        Ok(())
    }

    fn read_fifo(&mut self, out: &mut [u8]) -> Result<(), BoardError> {
        self.spi
            .transaction(&mut [Operation::Write(&command(READ, regs::FIFO)), Operation::Read(out)])
            .map_err(|error| bus(&error))
    }

    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn reset(&mut self, _level: u32) {}

    fn enter_bootloader(&mut self) -> bool {
        false
    }
}
