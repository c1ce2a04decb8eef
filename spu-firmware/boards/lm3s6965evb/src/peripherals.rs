//! Peripherals of the board: Stellaris system control, timers, UARTs and watchdog (TI SPMS200).

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use spu_board_runtime::{Timer, Uart};
use spu_protocol::image::BoardId;
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

/// Core and peripheral clock, in hertz: the fastest that there is.
const CLOCK_HZ: u32 = 50_000_000;
/// Baud rate of the UARTs; the emulator has none.
const BAUD: u32 = 3_000_000;

register_bitfields! { u32,
    Flags [ RX_EMPTY 4, TX_FULL 5 ],
    LineControl [ FIFO OFFSET(4) NUMBITS(1) [], BITS OFFSET(5) NUMBITS(2) [ Eight = 3 ] ],
    UartControl [ ENABLE 0, TX 8, RX 9 ],
    UartInterrupts [ RX 4, TX 5, RX_TIMEOUT 6 ],
    TimerMode [ MODE OFFSET(0) NUMBITS(2) [ Periodic = 2 ] ],
    TimerControl [ ENABLE 0 ],
    TimerInterrupts [ TIMEOUT 0 ],
    WatchdogControl [ COUNT 0, RESET 1 ],
    RunClock [
        OSCILLATOR OFFSET(4) NUMBITS(2) [ Main = 0 ],
        CRYSTAL OFFSET(6) NUMBITS(4) [ Mhz8 = 0xE ],
        BYPASS OFFSET(11) NUMBITS(1) [],
        POWER_DOWN OFFSET(13) NUMBITS(1) [],
        DIVIDE OFFSET(22) NUMBITS(1) [],
        DIVISOR OFFSET(23) NUMBITS(4) [ Four = 3 ],
        MAIN_OFF OFFSET(0) NUMBITS(1) [],
    ],
    RawInterrupts [ PLL_LOCKED 6 ],
    Gates0 [ WATCHDOG 3 ],
    Gates1 [ UART0 0, UART1 1, UART2 2, TIMER0 16 ],
    Gates2 [ PORTS_A_TO_G OFFSET(0) NUMBITS(7) [ All = 0x7F ] ],
}

register_structs! {
    /// A UART.
    UartBlock {
        (0x000 => data: ReadWrite<u32>),
        (0x004 => _reserved0),
        (0x018 => flags: ReadOnly<u32, Flags::Register>),
        (0x01C => _reserved1),
        (0x024 => divider: ReadWrite<u32>),
        (0x028 => divider_64ths: ReadWrite<u32>),
        (0x02C => line: ReadWrite<u32, LineControl::Register>),
        (0x030 => control: ReadWrite<u32, UartControl::Register>),
        (0x034 => _reserved2),
        (0x038 => mask: ReadWrite<u32, UartInterrupts::Register>),
        (0x03C => _reserved3),
        (0x044 => clear: WriteOnly<u32, UartInterrupts::Register>),
        (0x048 => @END),
    },
    /// A timer, as one of 32 bits.
    TimerBlock {
        (0x000 => configuration: ReadWrite<u32>),
        (0x004 => mode: ReadWrite<u32, TimerMode::Register>),
        (0x008 => _reserved0),
        (0x00C => control: ReadWrite<u32, TimerControl::Register>),
        (0x010 => _reserved1),
        (0x018 => mask: ReadWrite<u32, TimerInterrupts::Register>),
        (0x01C => _reserved2),
        (0x024 => clear: WriteOnly<u32, TimerInterrupts::Register>),
        (0x028 => interval: ReadWrite<u32>),
        (0x02C => @END),
    },
    /// The watchdog.
    WatchdogBlock {
        (0x000 => load: ReadWrite<u32>),
        (0x004 => value: ReadOnly<u32>),
        (0x008 => control: ReadWrite<u32, WatchdogControl::Register>),
        (0x00C => clear: WriteOnly<u32>),
        (0x010 => _reserved),
        (0xC00 => lock: WriteOnly<u32>),
        (0xC04 => @END),
    },
    /// System control.
    SystemBlock {
        (0x000 => _reserved0),
        (0x050 => raw: ReadOnly<u32, RawInterrupts::Register>),
        (0x054 => _reserved1),
        (0x060 => run_clock: ReadWrite<u32, RunClock::Register>),
        (0x064 => _reserved2),
        (0x100 => gates0: ReadWrite<u32, Gates0::Register>),
        (0x104 => gates1: ReadWrite<u32, Gates1::Register>),
        (0x108 => gates2: ReadWrite<u32, Gates2::Register>),
        (0x10C => @END),
    },
    /// What a port's pins do.
    PortBlock {
        (0x000 => _reserved0),
        (0x420 => alternate: ReadWrite<u32>),
        (0x424 => _reserved1),
        (0x51C => digital: ReadWrite<u32>),
        (0x520 => @END),
    }
}

/// Numbers of the interrupts.
pub(crate) mod irq {
    pub(crate) const HOST: i16 = 5;
    pub(crate) const TICK: i16 = 19;
}

#[allow(unsafe_code, reason = "where the peripherals and the straps are, and interrupts by number")]
mod places {
    use cortex_m::interrupt::InterruptNumber;
    use cortex_m::peripheral::NVIC;

    use super::{PortBlock, SystemBlock, TimerBlock, UartBlock, WatchdogBlock};

    macro_rules! at {
        ($($name:ident: $block:ty = $address:literal;)*) => {$(
            pub(super) fn $name() -> &'static $block {
                // SAFETY: the board has this peripheral there, for ever; its registers are cells.
                unsafe { &*($address as *const $block) }
            }
        )*};
    }
    at! {
        watchdog: WatchdogBlock = 0x4000_0000;
        port_a: PortBlock = 0x4000_4000;
        port_d: PortBlock = 0x4000_7000;
        host: UartBlock = 0x4000_C000;
        bus: UartBlock = 0x4000_D000;
        log: UartBlock = 0x4000_E000;
        port_g: PortBlock = 0x4002_6000;
        tick: TimerBlock = 0x4003_0000;
        system: SystemBlock = 0x400F_E000;
    }

    /// The strap word: what the emulator was told to put behind the memory.
    pub(crate) fn strap() -> u32 {
        // SAFETY: memory of the board that the linker script gives to nobody.
        unsafe { core::ptr::read_volatile(0x2000_FFF0 as *const u32) }
    }

    #[derive(Clone, Copy)]
    struct Number(u16);

    // SAFETY: the number is constant and one that the board has.
    unsafe impl InterruptNumber for Number {
        fn number(self) -> u16 {
            self.0
        }
    }

    /// Turns an interrupt on; a lower `priority` comes first.
    pub(super) fn unmask(irq: i16, priority: u8) {
        let number = Number(irq.cast_unsigned());
        // SAFETY: called at the start only, in no critical section and before any interrupt; nobody
        // else has the controller.
        unsafe {
            cortex_m::Peripherals::steal().NVIC.set_priority(number, priority);
            NVIC::unmask(number);
        }
    }
}

pub(crate) use places::strap;

/// The UART to the host.
#[derive(Debug)]
pub(crate) struct Host;
/// The UART to the FPGA.
#[derive(Debug)]
pub(crate) struct Bus;

fn read(uart: &UartBlock) -> Option<u8> {
    (!uart.flags.is_set(Flags::RX_EMPTY)).then(|| uart.data.get() as u8)
}

fn write(uart: &UartBlock, octet: u8) -> bool {
    let room = !uart.flags.is_set(Flags::TX_FULL);
    if room {
        uart.data.set(u32::from(octet));
    }
    room
}

/// Sends an octet of the log.
pub(crate) fn log(octet: u8) -> bool {
    write(places::log(), octet)
}

impl Uart for Host {
    fn read() -> Option<u8> {
        read(places::host())
    }

    fn write(octet: u8) -> bool {
        write(places::host(), octet)
    }

    // The emulator has no baud rate and gives no octet that its queue has no room for: how many come
    // in a time is for the load of its computer to say.
    fn waits() -> bool {
        true
    }

    fn interrupt_when_empty(on: bool) {
        // It comes when the transmitter's queue, full before, has drained to its mark.
        let field = if on { UartInterrupts::TX::SET } else { UartInterrupts::TX::CLEAR };
        places::host().mask.modify(field);
    }
}

impl Uart for Bus {
    fn read() -> Option<u8> {
        read(places::bus())
    }

    fn write(octet: u8) -> bool {
        write(places::bus(), octet)
    }

    fn interrupt_when_empty(_on: bool) {}
}

/// The board's timers.
#[derive(Debug)]
pub(crate) struct Timers;

/// Time after which the watchdog acts if nobody feeds it: first an interrupt that is off, then the
/// reset, each after half of it. Long, for an emulator on a busy computer.
const WATCHDOG_MS: u32 = 20_000;

impl Timer for Timers {
    const BOARD: u32 = BoardId::Lm3s6965Evb as u32;
    const HZ: u32 = CLOCK_HZ;
    // The processor's own counter: the emulator's timers cannot be read.
    const BITS: u32 = 24;

    fn counter() -> u32 {
        !SYST::get_current() & 0x00FF_FFFF
    }

    fn feed_watchdog() {
        places::watchdog().clear.set(1);
    }
}

/// Acknowledges the host's UART: what arrives from here on makes another interrupt.
pub(crate) fn acknowledge_host() {
    places::host()
        .clear
        .write(UartInterrupts::RX::SET + UartInterrupts::TX::SET + UartInterrupts::RX_TIMEOUT::SET);
}

/// Lets the tick be acknowledged.
pub(crate) fn acknowledge_tick() {
    places::tick().clear.write(TimerInterrupts::TIMEOUT::SET);
}

/// The system clock from the crystal by the PLL, clocks for the peripherals, pins for the UARTs.
fn power() {
    let system = places::system();
    system.run_clock.modify(
        RunClock::MAIN_OFF::CLEAR
            + RunClock::CRYSTAL::Mhz8
            + RunClock::OSCILLATOR::Main
            + RunClock::POWER_DOWN::CLEAR
            + RunClock::DIVIDE::SET
            + RunClock::DIVISOR::Four,
    );
    while !system.raw.is_set(RawInterrupts::PLL_LOCKED) {}
    system.run_clock.modify(RunClock::BYPASS::CLEAR);
    system.gates0.write(Gates0::WATCHDOG::SET);
    system
        .gates1
        .write(Gates1::UART0::SET + Gates1::UART1::SET + Gates1::UART2::SET + Gates1::TIMER0::SET);
    system.gates2.write(Gates2::PORTS_A_TO_G::All);
    // Until the gates are open: reading back is longer than the three clocks that it takes.
    let _ = system.gates2.get();
    for (port, pins) in
        [(places::port_a(), 0b11), (places::port_d(), 0b1100), (places::port_g(), 0b11)]
    {
        port.alternate.set(port.alternate.get() | pins);
        port.digital.set(port.digital.get() | pins);
    }
}

/// Sets all up; interrupts come from here on.
pub(crate) fn start() {
    power();
    for uart in [places::host(), places::bus(), places::log()] {
        uart.control.set(0);
        // In 64ths of the clock's sixteenth: 1 and 3/64 for 3 Mbaud, 0.5 % off.
        let divider = (CLOCK_HZ * 4 + BAUD / 2) / BAUD;
        uart.divider.set(divider / 64);
        uart.divider_64ths.set(divider % 64);
        // Turned off and on, the queues are empty: the emulator keeps them over a reset, and a full one
        // would make no interrupt.
        uart.line.write(LineControl::BITS::Eight);
        uart.line.write(LineControl::FIFO::SET + LineControl::BITS::Eight);
        uart.control.write(UartControl::ENABLE::SET + UartControl::TX::SET + UartControl::RX::SET);
    }
    places::host().mask.write(UartInterrupts::RX::SET + UartInterrupts::RX_TIMEOUT::SET);
    let watchdog = places::watchdog();
    watchdog.lock.set(0x1ACC_E551);
    watchdog.load.set(CLOCK_HZ / 1_000 * (WATCHDOG_MS / 2));
    watchdog.control.write(WatchdogControl::COUNT::SET + WatchdogControl::RESET::SET);
    if let Some(Peripherals { SYST: mut counter, .. }) = Peripherals::take() {
        counter.set_clock_source(SystClkSource::Core);
        counter.set_reload(0x00FF_FFFF);
        counter.clear_current();
        counter.enable_counter();
    }
    let tick = places::tick();
    tick.configuration.set(0);
    tick.mode.write(TimerMode::MODE::Periodic);
    // The emulator's period is what is loaded; the microcontroller's is one clock longer, 20 ppm.
    tick.interval.set(Timers::PERIOD);
    tick.mask.write(TimerInterrupts::TIMEOUT::SET);
    tick.control.write(TimerControl::ENABLE::SET);
    // The tick first: nothing but critical sections holds it back.
    places::unmask(irq::TICK, 0);
    places::unmask(irq::HOST, 0x80);
}
