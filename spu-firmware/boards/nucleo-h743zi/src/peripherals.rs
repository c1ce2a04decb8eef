//! Timers, watchdog, log and unique id (ST RM0433).

use cortex_m::peripheral::Peripherals;
use embassy_stm32::pac::{self, iwdg::vals::Key};
use embassy_stm32::peripherals::{IWDG1, TIM2, TIM6, USART2};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, rcc};
use pac::gpio::Gpio;
use pac::gpio::vals::{Moder, Ospeedr};
use pac::usart::Usart;
use pac::usart::regs::Cr1;
use spu_board_runtime::{TICK_HZ, Timer};
use spu_protocol::image::BoardId;

use crate::clocks::{TIMER_HZ, UART_HZ};

/// Baud rate of both UARTs: a whole part of their clock.
const BAUD: u32 = 2_000_000;
/// Time after which the watchdog resets the microcontroller if nobody feeds it.
const WATCHDOG_MS: u32 = 4_000;
/// Counts of the tick's timer in a second.
const TICK_TIMER_HZ: u32 = 1_000_000;

/// The board's timers: TIM2, free running, and TIM6, the tick.
#[derive(Debug)]
pub(crate) struct Timers;

impl Timer for Timers {
    const BOARD: u32 = BoardId::NucleoH743Zi as u32;
    const HZ: u32 = TIMER_HZ;
    const BITS: u32 = 32;

    fn counter() -> u32 {
        pac::TIM2.cnt().read()
    }

    fn feed_watchdog() {
        pac::IWDG1.kr().write(|w| w.set_key(Key::RESET));
    }
}

/// True if the brown-out monitor reset the microcontroller, and not that power came on, which sets both
/// flags. Told once for each reset.
pub(crate) fn supply_dipped() -> bool {
    let causes = pac::RCC.rsr().read();
    pac::RCC.rsr().modify(|w| w.set_rmvf(true));
    causes.borrstf() && !causes.porrstf()
}

/// Lets the tick be acknowledged.
pub(crate) fn acknowledge_tick() {
    pac::TIM6.sr().write(|w| w.set_uif(false));
    // The write reaches the timer before the handler returns, or the interrupt came once more.
    let _ = pac::TIM6.sr().read();
}

/// Waits, in microseconds.
pub(crate) fn wait_us(time: u32) {
    let start = Timers::counter();
    let counts = time.saturating_mul(TIMER_HZ / 1_000_000);
    while Timers::counter().wrapping_sub(start) < counts {}
}

/// Starts timers and watchdog. The tick's interrupt stays off.
pub(crate) fn start(
    _counter: Peri<'static, TIM2>,
    _tick: Peri<'static, TIM6>,
    watchdog: Peri<'static, IWDG1>,
) {
    if let Some(mut core) = Peripherals::take() {
        core.SCB.enable_icache();
    }
    rcc::enable_and_reset::<TIM2>();
    pac::TIM2.arr().write_value(u32::MAX);
    pac::TIM2.cr1().modify(|w| w.set_cen(true));
    rcc::enable_and_reset::<TIM6>();
    pac::TIM6.psc().write_value((TIMER_HZ / TICK_TIMER_HZ - 1) as u16);
    pac::TIM6.arr().write(|w| w.set_arr((TICK_TIMER_HZ / TICK_HZ - 1) as u16));
    // The prescaler counts from an update on.
    pac::TIM6.egr().write(|w| w.set_ug(true));
    pac::TIM6.sr().write(|w| w.set_uif(false));
    pac::TIM6.dier().modify(|w| w.set_uie(true));
    pac::TIM6.cr1().modify(|w| w.set_cen(true));
    IndependentWatchdog::new(watchdog, WATCHDOG_MS * 1_000).unleash();
}

/// Gives a pin to a peripheral.
pub(crate) fn alternate(port: Gpio, pin: usize, function: u8) {
    port.afr(pin / 8).modify(|w| w.set_afr(pin % 8, function));
    port.ospeedr().modify(|w| w.set_ospeedr(pin, Ospeedr::VERY_HIGH_SPEED));
    port.moder().modify(|w| w.set_moder(pin, Moder::ALTERNATE));
}

/// Starts a UART, whose clock is on: 8 bits, no parity, with queues.
pub(crate) fn start_uart(uart: Usart, mode: impl FnOnce(&mut Cr1)) {
    uart.brr().write_value(pac::usart::regs::Brr((UART_HZ / BAUD) & 0xFFFF));
    uart.cr1().modify(|w| {
        w.set_fifoen(true);
        mode(w);
    });
    uart.cr1().modify(|w| w.set_ue(true));
}

/// Starts the UART of the log, on PD5.
pub(crate) fn start_log() {
    rcc::enable_and_reset::<USART2>();
    alternate(pac::GPIOD, 5, 7);
    start_uart(pac::USART2, |w| w.set_te(true));
}

/// Sends an octet of the log.
pub(crate) fn log(octet: u8) -> bool {
    let room = pac::USART2.isr().read().txe();
    if room {
        pac::USART2.tdr().write(|w| w.set_dr(u16::from(octet)));
    }
    room
}

/// A serial number out of the microcontroller's unique id: its 96 bits by FNV-1a.
pub(crate) fn unique() -> u64 {
    embassy_stm32::uid::uid().iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[allow(unsafe_code, reason = "interrupts by number")]
mod interrupts {
    use cortex_m::peripheral::NVIC;
    use embassy_stm32::interrupt;

    /// Interrupts come from here on.
    pub(crate) fn unmask() {
        for number in [interrupt::USART3, interrupt::OTG_FS, interrupt::TIM6_DAC] {
            // SAFETY: called once at the start, in no critical section.
            unsafe { NVIC::unmask(number) }
        }
    }
}

pub(crate) use interrupts::unmask;
