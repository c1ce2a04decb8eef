//! The way to the FPGA, which the straps choose.

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use spu_board_runtime::bus::{NoAnswer, Semihosted, StreamSpi, Tunnel};
use static_cell::ConstStaticCell;

use crate::peripherals::{Bus, Timers};

static FILES: ConstStaticCell<StreamSpi<Semihosted>> =
    ConstStaticCell::new(StreamSpi::new(Semihosted::new()));

/// The FPGA over a UART or over semihosting.
#[derive(Debug)]
pub(crate) struct FpgaBus {
    uart: StreamSpi<Tunnel<Bus, Timers>>,
    files: Option<&'static mut StreamSpi<Semihosted>>,
}

impl FpgaBus {
    /// The UART.
    pub(crate) const fn new() -> Self {
        Self { uart: StreamSpi::new(Tunnel::new()), files: None }
    }

    /// Semihosting instead, from now on; called once.
    pub(crate) fn use_semihosting(&mut self) {
        self.files = Some(FILES.take());
    }
}

impl ErrorType for FpgaBus {
    type Error = NoAnswer;
}

impl SpiDevice<u8> for FpgaBus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), NoAnswer> {
        match &mut self.files {
            Some(files) => files.transaction(operations),
            None => self.uart.transaction(operations),
        }
    }
}
