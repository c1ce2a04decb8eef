//! The clock tree: 400 MHz for the processor, 200 MHz for timers, 100 MHz for UARTs and the SPI's
//! kernel, 48 MHz for USB.

use embassy_stm32::Config;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv,
    PllSource, Sysclk, VoltageScale, mux,
};
use embassy_stm32::time::Hertz;

/// Clock of the timers, in hertz.
pub(crate) const TIMER_HZ: u32 = 200_000_000;

/// Clock of the UARTs, in hertz.
pub(crate) const UART_HZ: u32 = 100_000_000;

/// The clocks, from the 8 MHz that the board's ST-LINK gives.
pub(crate) fn configuration() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    // Trimmed by the host's frames: within what full speed allows without a crystal.
    rcc.hsi48 = Some(Hsi48Config { sync_from_usb: true });
    rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL200,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: Some(PllDiv::DIV8),
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale1;
    rcc.mux.spi123sel = mux::Saisel::PLL1_Q;
    rcc.mux.usbsel = mux::Usbsel::HSI48;
    rcc.mux.usart234578sel = mux::Usart234578sel::PCLK1;
    config
}
