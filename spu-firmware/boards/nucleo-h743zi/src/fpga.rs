//! The FPGA: its SPI, and the lines beside it.

use embassy_stm32::Peri;
use embassy_stm32::gpio::{Input, Level, Output, OutputOpenDrain, Pull, Speed};
use embassy_stm32::mode::Blocking;
use embassy_stm32::peripherals::{PA5, PA6, PB5, PD14, PD15, PE9, PF3, PG12, PG14, SPI1};
use embassy_stm32::spi::mode::Master;
use embassy_stm32::spi::{Config, MODE_0, Spi};
use embassy_stm32::time::Hertz;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};
use embedded_hal_bus::spi::{ExclusiveDevice, NoDelay};
use spu_firmware::Board;
use spu_protocol::regs;
use static_cell::StaticCell;

use crate::peripherals::wait_us;

/// Clock of the bus, in hertz, without and with the strap for long wires.
const CLOCK_HZ: [u32; 2] = [50_000_000, 12_500_000];
/// Longest wait for the FPGA's supply.
const POWER_MS: u32 = 500;
/// Length of the reset pulse.
const RESET_US: u32 = 10;

/// The FPGA's pins.
pub(crate) struct Pins {
    pub(crate) spi: Peri<'static, SPI1>,
    pub(crate) clock: Peri<'static, PA5>,
    pub(crate) output: Peri<'static, PB5>,
    pub(crate) input: Peri<'static, PA6>,
    pub(crate) select: Peri<'static, PD14>,
    pub(crate) interrupt: Peri<'static, PD15>,
    pub(crate) reset: Peri<'static, PF3>,
    pub(crate) flash_select: Peri<'static, PG12>,
    pub(crate) power_good: Peri<'static, PE9>,
    pub(crate) slow: Peri<'static, PG14>,
}

/// Lines that keep their level as long as the firmware runs.
struct Lines {
    _interrupt: Input<'static>,
    _reset: OutputOpenDrain<'static>,
    _flash_select: Output<'static>,
}

type Device = ExclusiveDevice<Spi<'static, Blocking, Master>, Output<'static>, NoDelay>;

static DEVICE: StaticCell<(Device, Lines)> = StaticCell::new();

/// The bus to the FPGA, once it is connected. Until then it is zero, as the memory that it is in.
pub(crate) struct FpgaBus(Option<&'static mut (Device, Lines)>);

impl FpgaBus {
    /// Not connected.
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Sets the pins up, waits for the FPGA's supply and resets it.
    pub(crate) fn connect(&mut self, pins: Pins) {
        let power_good = Input::new(pins.power_good, Pull::Down);
        let mut reset = OutputOpenDrain::new(pins.reset, Level::Low, Speed::Low);
        // Nothing but the boot loader talks to the configuration flash.
        let flash_select = Output::new(pins.flash_select, Level::High, Speed::VeryHigh);
        let interrupt = Input::new(pins.interrupt, Pull::Down);
        let slow = Input::new(pins.slow, Pull::Up).is_low();
        let mut config = Config::default();
        config.mode = MODE_0;
        config.frequency = Hertz(CLOCK_HZ[usize::from(slow)]);
        config.gpio_speed = Speed::VeryHigh;
        let spi = Spi::new_blocking(pins.spi, pins.clock, pins.output, pins.input, config);
        let select = Output::new(pins.select, Level::High, Speed::VeryHigh);
        if !(0..POWER_MS).any(|_| {
            power_good.is_high() || {
                wait_us(1_000);
                false
            }
        }) {
            defmt::warn!("the FPGA has no power");
        }
        wait_us(RESET_US);
        reset.set_high();
        wait_us(RESET_US);
        let lines = Lines { _interrupt: interrupt, _reset: reset, _flash_select: flash_select };
        // Setting the select line cannot fail.
        self.0 = ExclusiveDevice::new_no_delay(spi, select)
            .ok()
            .map(|device| DEVICE.init((device, lines)));
    }
}

/// The bus failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed(ErrorKind);

impl embedded_hal::spi::Error for Failed {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl ErrorType for FpgaBus {
    type Error = Failed;
}

impl SpiDevice<u8> for FpgaBus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Failed> {
        let (device, _) = self.0.as_mut().ok_or(Failed(ErrorKind::Other))?;
        device
            .transaction(operations)
            .map_err(|error| Failed(embedded_hal::spi::Error::kind(&error)))
    }
}

/// The serial number that the FPGA has, if there is gateware and it has one.
pub(crate) fn serial(board: &mut impl Board) -> Option<u64> {
    let mut word = |address| {
        let mut words = [0];
        board.read_regs(address, &mut words).ok().map(|()| words[0])
    };
    if word(regs::MAGIC)? != regs::MAGIC_VALUE {
        return None;
    }
    let serial = u64::from(word(regs::SERIAL_HI)?) << 32 | u64::from(word(regs::SERIAL_LO)?);
    (serial != 0).then_some(serial)
}
