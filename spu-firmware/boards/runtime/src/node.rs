//! The board as the dispatcher sees it: the FPGA behind its bus, and the microcontroller.

use core::marker::PhantomData;

use cortex_m::peripheral::SCB;
use embedded_hal::spi::SpiDevice;
use spu_firmware::{Board, BoardError, FpgaBoard};

use crate::retained::{self, Cause};
use crate::serial;
use crate::time::{self, BoardClock, Timer};
use crate::vitals::Vitals;

/// Longest time that the last reply gets before a reset.
const LINGER_MS: u32 = 50;

/// A board of this bus and these timers.
#[derive(Debug)]
pub struct Node<BUS, T> {
    fpga: FpgaBoard<BUS, BoardClock<T>>,
    vitals: Vitals,
}

impl<BUS, T> Node<BUS, T> {
    /// A board behind this bus. All but the bus is zero, so that a static one takes no room in flash.
    pub const fn new(bus: BUS) -> Self {
        Self { fpga: FpgaBoard::new(bus, BoardClock(PhantomData)), vitals: Vitals::NONE }
    }

    pub(crate) const fn vitals_mut(&mut self) -> &mut Vitals {
        &mut self.vitals
    }

    /// The bus, to change.
    pub const fn bus_mut(&mut self) -> &mut BUS {
        self.fpga.spi_mut()
    }
}

impl<BUS: SpiDevice<u8>, T: Timer> Board for Node<BUS, T> {
    fn read_regs(&mut self, address: u16, out: &mut [u32]) -> Result<(), BoardError> {
        self.fpga.read_regs(address, out)
    }

    fn write_regs(&mut self, address: u16, words: &[u32]) -> Result<(), BoardError> {
        self.fpga.write_regs(address, words)
    }

    fn read_fifo(&mut self, out: &mut [u8]) -> Result<(), BoardError> {
        self.fpga.read_fifo(out)
    }

    fn now_us(&mut self) -> u64 {
        self.fpga.now_us()
    }

    fn reset(&mut self, level: u32) {
        if level < 2 {
            return;
        }
        let linger = u64::from(T::HZ / 1_000).saturating_mul(u64::from(LINGER_MS));
        let until = time::now::<T>().saturating_add(linger);
        while !serial::is_sent() && time::now::<T>() < until {}
        retained::note(Cause::Requested, &[]);
        SCB::sys_reset()
    }

    fn mcu_reg(&mut self, address: u16) -> u32 {
        self.vitals.read::<T>(address)
    }

    fn mcu_control(&mut self, bits: u32) {
        self.vitals.obey(bits);
    }

    fn progress(&mut self) {
        time::progress();
    }

    fn enter_bootloader(&mut self) -> bool {
        false
    }
}
