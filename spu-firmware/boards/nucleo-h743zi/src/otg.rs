//! The USB controller `OTG_FS` (ST RM0433, chapter 60), as `usb-device` and our device need it.

use embassy_stm32::peripherals::USB_OTG_FS;
use embassy_stm32::{pac, rcc};
use spu_firmware_usb::Extras;
use usb_device::endpoint::EndpointAddress;

use crate::peripherals::alternate;

/// Words in which the driver keeps packets from the host: those of the control endpoint and of two
/// bulk endpoints.
pub(crate) const MEMORY: usize = 3 * 64 / 4;

/// Clock of the controller's bus, in hertz.
const AHB_HZ: u32 = 200_000_000;

#[allow(unsafe_code, reason = "where the controller is")]
mod place {
    use embassy_stm32::pac;
    use synopsys_usb_otg::UsbPeripheral;

    /// The controller. There is one.
    #[derive(Debug)]
    pub(crate) struct Otg;

    // SAFETY: the registers are those of the controller, which nothing else uses but the two
    // functions of `EXTRAS`, within the same critical sections.
    unsafe impl UsbPeripheral for Otg {
        const REGISTERS: *const () = pac::USB_OTG_FS.as_ptr().cast_const();
        // Of the high-speed kind, with the full-speed transceiver alone.
        const HIGH_SPEED: bool = true;
        const FIFO_DEPTH_WORDS: usize = 1024;
        const ENDPOINT_COUNT: usize = 9;

        fn enable() {
            super::enable();
        }

        fn ahb_frequency_hz(&self) -> u32 {
            super::AHB_HZ
        }
    }
}

pub(crate) use place::Otg;

/// Supply, pins and clock of the controller.
fn enable() {
    pac::PWR.cr3().modify(|w| w.set_usb33den(true));
    while !pac::PWR.cr3().read().usb33rdy() {}
    for pin in [11, 12] {
        alternate(pac::GPIOA, pin, 10);
    }
    rcc::enable_and_reset::<USB_OTG_FS>();
    // With the clock of a transceiver that is not there the controller would stop when the
    // processor sleeps.
    pac::RCC.ahb1lpenr().modify(|w| w.set_usb_otg_fs_ulpilpen(false));
}

/// What the driver does not do.
pub(crate) const EXTRAS: Extras = Extras { hold, reset_toggle };

fn hold(endpoint: EndpointAddress, on: bool) {
    pac::USB_OTG_FS.doepctl(endpoint.index()).modify(|w| {
        if on {
            w.set_snak(true);
        } else {
            w.set_cnak(true);
            w.set_epena(true);
        }
    });
}

fn reset_toggle(endpoint: EndpointAddress) {
    // The host may name any endpoint; those that are there are few.
    let number = endpoint.index();
    if !(1..=3).contains(&number) {
        return;
    }
    if endpoint.is_in() {
        pac::USB_OTG_FS.diepctl(number).modify(|w| w.set_sd0pid_sevnfrm(true));
    } else {
        pac::USB_OTG_FS.doepctl(number).modify(|w| w.set_sd0pid_sevnfrm(true));
    }
}
