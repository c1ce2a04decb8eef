//! Peripherals of the board: CMSDK timers, UARTs and watchdog (Arm DDI 0479, DAI 0386).

use spu_board_runtime::{Timer, Uart};
use spu_protocol::image::BoardId;
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

/// Core and peripheral clock, in hertz.
const CLOCK_HZ: u32 = 25_000_000;

register_bitfields! { u32,
    State [ TX_FULL 0, RX_FULL 1 ],
    Control [ TX 0, RX 1, TX_INTERRUPT 2, RX_INTERRUPT 3 ],
    Interrupts [ TX 0, RX 1 ],
    TimerControl [ ENABLE 0, INTERRUPT 3 ],
    WatchdogControl [ COUNT 0, RESET 1 ],
}

register_structs! {
    /// A UART.
    UartBlock {
        (0x00 => data: ReadWrite<u32>),
        (0x04 => state: ReadWrite<u32, State::Register>),
        (0x08 => control: ReadWrite<u32, Control::Register>),
        (0x0C => interrupts: ReadWrite<u32, Interrupts::Register>),
        (0x10 => divider: ReadWrite<u32>),
        (0x14 => @END),
    },
    /// A timer that counts down.
    TimerBlock {
        (0x00 => control: ReadWrite<u32, TimerControl::Register>),
        (0x04 => value: ReadWrite<u32>),
        (0x08 => reload: ReadWrite<u32>),
        (0x0C => interrupt: WriteOnly<u32>),
        (0x10 => @END),
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
    }
}

/// Numbers of the interrupts.
pub(crate) mod irq {
    /// The watchdog's first stage is the non-maskable interrupt.
    pub(crate) const WATCHDOG: i16 = -14;
    pub(crate) const HOST_RECEIVE: i16 = 0;
    pub(crate) const HOST_TRANSMIT: i16 = 1;
    pub(crate) const TICK: i16 = 8;
}

#[allow(unsafe_code, reason = "where the peripherals and the straps are, and interrupts by number")]
mod places {
    use cortex_m::interrupt::InterruptNumber;
    use cortex_m::peripheral::NVIC;

    use super::{TimerBlock, UartBlock, WatchdogBlock};

    macro_rules! at {
        ($($name:ident: $block:ty = $address:literal;)*) => {$(
            pub(super) fn $name() -> &'static $block {
                // SAFETY: the board has this peripheral there, for ever; its registers are cells.
                unsafe { &*($address as *const $block) }
            }
        )*};
    }
    at! {
        tick: TimerBlock = 0x4000_0000;
        counter: TimerBlock = 0x4000_1000;
        host: UartBlock = 0x4000_4000;
        bus: UartBlock = 0x4000_5000;
        log: UartBlock = 0x4000_6000;
        watchdog: WatchdogBlock = 0x4000_8000;
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
    uart.state.is_set(State::RX_FULL).then(|| uart.data.get() as u8)
}

fn write(uart: &UartBlock, octet: u8) -> bool {
    let room = !uart.state.is_set(State::TX_FULL);
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

    // The emulator has no baud rate and gives no octet before the last one is read: how many come in
    // a time is for the load of its computer to say.
    fn waits() -> bool {
        true
    }

    fn interrupt_when_empty(on: bool) {
        places::host().interrupts.write(Interrupts::TX::SET);
        let field = if on { Control::TX_INTERRUPT::SET } else { Control::TX_INTERRUPT::CLEAR };
        places::host().control.modify(field);
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

/// Time after which the watchdog acts if nobody feeds it: first the non-maskable interrupt, then
/// the reset, each after half of it. Long, for an emulator on a busy computer.
const WATCHDOG_MS: u32 = 20_000;

impl Timer for Timers {
    const BOARD: u32 = BoardId::Mps2An386 as u32;
    const HZ: u32 = CLOCK_HZ;
    const BITS: u32 = 32;

    fn counter() -> u32 {
        !places::counter().value.get()
    }

    fn feed_watchdog() {
        places::watchdog().clear.set(1);
    }
}

/// Acknowledges the octet that came from the host, which may have to wait: what arrives from here on
/// makes another interrupt.
pub(crate) fn acknowledge_host() {
    places::host().interrupts.write(Interrupts::RX::SET);
}

/// Lets the tick be acknowledged.
pub(crate) fn acknowledge_tick() {
    places::tick().interrupt.set(1);
}

/// Sets all up; interrupts come from here on.
pub(crate) fn start() {
    for (uart, mode) in [
        (places::host(), Control::TX::SET + Control::RX::SET + Control::RX_INTERRUPT::SET),
        (places::bus(), Control::TX::SET + Control::RX::SET),
        (places::log(), Control::TX::SET),
    ] {
        // The fastest; the emulator has no baud rate.
        uart.divider.set(16);
        uart.control.write(mode);
        // The emulator holds octets back that came before, until this.
        let _ = uart.data.get();
    }
    let watchdog = places::watchdog();
    watchdog.lock.set(0x1ACC_E551);
    watchdog.load.set(CLOCK_HZ / 1_000 * (WATCHDOG_MS / 2));
    watchdog.control.write(WatchdogControl::COUNT::SET + WatchdogControl::RESET::SET);
    places::counter().reload.set(u32::MAX);
    places::counter().value.set(u32::MAX);
    places::counter().control.write(TimerControl::ENABLE::SET);
    places::tick().reload.set(Timers::PERIOD - 1);
    places::tick().value.set(Timers::PERIOD - 1);
    places::tick().control.write(TimerControl::ENABLE::SET + TimerControl::INTERRUPT::SET);
    // The tick first: nothing but critical sections holds it back.
    places::unmask(irq::TICK, 0);
    for irq in [irq::HOST_RECEIVE, irq::HOST_TRANSMIT] {
        places::unmask(irq, 0x80);
    }
}
