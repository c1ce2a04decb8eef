//! The microcontroller of a simulated board: its clock, its flash, and the FPGA behind its bus.

use std::time::Instant;

use spu_boot::model::ModelFlash;
use spu_boot::pack::{Meta, SigningKey, factory, pack};
use spu_boot::{KEYS, Layout, Slots, boot, ed25519};
use spu_firmware::{Board, BoardError, Clock, FIRMWARE_VERSION, FpgaBoard};
use spu_protocol::image::{Accepts, BoardId, FpgaId, ImageKind};

use crate::converters::AnyAnalog;
use crate::fpga::{GATEWARE_ID, SimSpi};

/// Octets of a page of both memories (design choice: a usual serial flash).
const PAGE: u32 = 4096;
/// Octets of a firmware slot: an image of 64 KiB.
const FIRMWARE_SLOT: u32 = 17 * PAGE;
/// Octets of a gateware slot: an uncompressed bitstream of the LFE5U-25F has some 570 KiB.
const GATEWARE_SLOT: u32 = 160 * PAGE;

/// What the slots of the simulator take. Its firmware runs nowhere: only header, hash and
/// signature of an image count.
pub const fn accepts(kind: ImageKind) -> Accepts {
    let target = match kind {
        ImageKind::Firmware => BoardId::Simulator as u32,
        ImageKind::Gateware => FpgaId::Ecp5U25 as u32,
    };
    Accepts { kind, target, load_address: 0 }
}

/// A flash memory with two slots.
#[derive(Debug, Clone)]
struct Store {
    flash: ModelFlash,
    size: u32,
    kind: ImageKind,
}

impl Store {
    /// As it left the factory.
    fn new(kind: ImageKind) -> Self {
        let (size, build_id, version) = match kind {
            ImageKind::Firmware => (FIRMWARE_SLOT, 0, FIRMWARE_VERSION),
            ImageKind::Gateware => (GATEWARE_SLOT, GATEWARE_ID, [0, 1, 0]),
        };
        let Accepts { target, load_address, .. } = accepts(kind);
        let meta = Meta { kind, target, build_id, version, load_address };
        let image = pack(b"built into the simulator", &meta, &SigningKey::development());
        let mut flash = ModelFlash::new(PAGE, 2 * size / PAGE, 32);
        flash.fill(0, &factory(&image, size).expect("it fits"));
        Self { flash, size, kind }
    }

    fn slots(&mut self) -> Slots<'_> {
        Slots {
            flash: &mut self.flash,
            layout: Layout { a: 0, b: self.size, size: self.size },
            accepts: accepts(self.kind),
            keys: KEYS,
            verify: ed25519,
        }
    }
}

/// The flash memories of a board. Nothing is in memory until somebody asks for slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stores {
    firmware: Option<Box<Store>>,
    gateware: Option<Box<Store>>,
}

/// The board as the firmware sees it.
#[derive(Debug)]
pub(crate) struct SimNode {
    fpga: FpgaBoard<SimSpi<AnyAnalog>, SimClock>,
    stores: Stores,
    version: [u16; 3],
}

impl SimNode {
    /// A board after power-up.
    pub(crate) fn new(spi: SimSpi<AnyAnalog>, now: fn() -> Instant, stores: Stores) -> Self {
        let fpga = FpgaBoard::new(spi, SimClock::new(now));
        let mut node = Self { fpga, stores, version: FIRMWARE_VERSION };
        node.start();
        node
    }

    pub(crate) const fn spi(&self) -> &SimSpi<AnyAnalog> {
        self.fpga.spi()
    }

    pub(crate) const fn spi_mut(&mut self) -> &mut SimSpi<AnyAnalog> {
        self.fpga.spi_mut()
    }

    pub(crate) fn set_clock(&mut self, now: fn() -> Instant) {
        *self.fpga.clock_mut() = SimClock::new(now);
    }

    /// Takes the flash memories out, for the board's next life.
    pub(crate) fn take_stores(&mut self) -> Stores {
        std::mem::take(&mut self.stores)
    }

    /// What the boot loader does: chooses the firmware that starts and loads the gateware.
    fn start(&mut self) {
        let started = |store: &mut Option<Box<Store>>| {
            let store = store.as_mut()?;
            boot(&mut store.slots(), None).ok().map(|boot| boot.header)
        };
        if let Some(header) = started(&mut self.stores.firmware) {
            self.version = header.version;
        }
        if let Some(header) = started(&mut self.stores.gateware) {
            self.fpga.spi_mut().fpga_mut().set_gateware_id(header.build_id);
        }
    }
}

impl Board for SimNode {
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
        if level == 2 {
            self.start();
        }
    }

    fn enter_bootloader(&mut self) -> bool {
        false
    }

    const UPDATES: bool = true;
    const BULK: bool = true;

    fn slots(&mut self, kind: ImageKind) -> Option<Slots<'_>> {
        let store = match kind {
            ImageKind::Firmware => &mut self.stores.firmware,
            ImageKind::Gateware => &mut self.stores.gateware,
        };
        Some(store.get_or_insert_with(|| Box::new(Store::new(kind))).slots())
    }

    fn firmware_version(&self) -> [u16; 3] {
        self.version
    }
}

/// The microcontroller's clock: this computer's, unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    start: Instant,
    now: fn() -> Instant,
}

impl SimClock {
    /// A clock that starts now, by `now`.
    pub fn new(now: fn() -> Instant) -> Self {
        Self { start: now(), now }
    }
}

impl Clock for SimClock {
    fn now_us(&mut self) -> u64 {
        let elapsed = (self.now)().saturating_duration_since(self.start);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }
}
