//! The way to the FPGA of an emulated board, which the straps choose.

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use static_cell::ConstStaticCell;

use super::{NoAnswer, Semihosted, StreamSpi, Tunnel};
use crate::time::Timer;
use crate::{Idle, Mishap, Uart};

static FILES: ConstStaticCell<StreamSpi<Semihosted>> =
    ConstStaticCell::new(StreamSpi::new(Semihosted::new()));

/// What the emulator was told to put into the board's strap word.
#[derive(Debug, Clone, Copy)]
pub struct Straps {
    /// The FPGA is behind semihosting and not behind the UART.
    pub semihosting: bool,
    /// What the main loop does when there is nothing to do.
    pub idle: Idle,
    /// What goes wrong soon after power-up.
    pub mishap: Option<Mishap>,
    /// The supply dipped before each start, as a microcontroller that watches it would say.
    pub dipped: bool,
}

impl Straps {
    /// The straps in this word. They count with `0x5350` in its high half only, so that memory that
    /// nobody set stands for none.
    pub const fn new(word: u32) -> Self {
        let word = if word >> 16 == 0x5350 { word } else { 0 };
        Self {
            semihosting: word & 1 != 0,
            idle: if word & 2 != 0 { Idle::Spin } else { Idle::Sleep },
            mishap: match word >> 4 & 0xF {
                1 => Some(Mishap::Panic),
                2 => Some(Mishap::Hang),
                3 => Some(Mishap::Fault),
                _ => None,
            },
            dipped: word >> 4 & 0xF == 4,
        }
    }
}

/// The FPGA over a UART or over semihosting.
#[derive(Debug)]
pub struct StrappedBus<U, T> {
    uart: StreamSpi<Tunnel<U, T>>,
    files: Option<&'static mut StreamSpi<Semihosted>>,
}

impl<U: Uart, T: Timer> StrappedBus<U, T> {
    /// The UART.
    pub const fn new() -> Self {
        Self { uart: StreamSpi::new(Tunnel::new()), files: None }
    }

    /// Semihosting instead, from now on; called once.
    pub fn use_semihosting(&mut self) {
        self.files = Some(FILES.take());
    }
}

impl<U: Uart, T: Timer> Default for StrappedBus<U, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U, T> ErrorType for StrappedBus<U, T> {
    type Error = NoAnswer;
}

impl<U: Uart, T: Timer> SpiDevice<u8> for StrappedBus<U, T> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), NoAnswer> {
        match &mut self.files {
            Some(files) => files.transaction(operations),
            None => self.uart.transaction(operations),
        }
    }
}
