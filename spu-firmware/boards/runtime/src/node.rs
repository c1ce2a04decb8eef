//! The board as the dispatcher sees it: the FPGA behind its bus, and the microcontroller.

use core::marker::PhantomData;

use cortex_m::peripheral::SCB;
use embedded_hal::spi::SpiDevice;
use spu_boot::Slots;
use spu_firmware::{Board, BoardError, FIRMWARE_VERSION, FpgaBoard, serial};
use spu_protocol::image::ImageKind;

use crate::retained::{self, Cause};
use crate::storage::Storage;
use crate::time::{self, BoardClock, Timer};
use crate::vitals::Vitals;

/// Longest time that the last reply gets before a reset.
const LINGER_MS: u32 = 50;

/// A board of this bus, these timers and these memories.
#[derive(Debug)]
pub struct Node<BUS, T, S> {
    fpga: FpgaBoard<BUS, BoardClock<T>>,
    storage: S,
    /// Of the image that runs; zeros where there are no slots.
    version: [u16; 3],
    vitals: Vitals,
}

impl<BUS, T, S> Node<BUS, T, S> {
    /// A board behind this bus. All but bus and storage is zero, so that a static one takes no room
    /// in flash.
    pub const fn new(bus: BUS, storage: S) -> Self {
        Self {
            fpga: FpgaBoard::new(bus, BoardClock(PhantomData)),
            storage,
            version: [0; 3],
            vitals: Vitals::NONE,
        }
    }

    pub(crate) const fn vitals_mut(&mut self) -> &mut Vitals {
        &mut self.vitals
    }

    /// The bus, to change.
    pub const fn bus_mut(&mut self) -> &mut BUS {
        self.fpga.spi_mut()
    }
}

impl<BUS, T, S: Storage> Node<BUS, T, S> {
    /// Learns the version of the image that runs.
    pub(crate) fn find_version(&mut self) {
        if S::UPDATES
            && let Some(mut slots) = self.storage.slots(ImageKind::Firmware)
        {
            let running = slots.running();
            self.version = slots.status(running).version;
        }
    }
}

impl<BUS: SpiDevice<u8>, T: Timer, S: Storage> Board for Node<BUS, T, S> {
    const UPDATES: bool = S::UPDATES;

    fn slots(&mut self, kind: ImageKind) -> Option<Slots<'_>> {
        self.storage.slots(kind)
    }

    fn firmware_version(&self) -> [u16; 3] {
        if self.version == [0; 3] { FIRMWARE_VERSION } else { self.version }
    }

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
