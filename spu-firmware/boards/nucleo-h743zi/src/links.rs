//! The links to the host: the ST-LINK's serial port, USB bulk and USB serial port. One at a time has
//! the board.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_stm32::peripherals::USART3;
use embassy_stm32::{pac, rcc};
use spu_firmware_usb::{Device, Port, Turns, ids};
use static_cell::{ConstStaticCell, StaticCell};
use synopsys_usb_otg::UsbBus;
use usb_device::bus::UsbBusAllocator;

use crate::otg::{self, Otg};
use crate::peripherals::{alternate, start_uart};

/// Number of the UART among the links.
const UART: usize = 0;

type Usb = Device<'static, UsbBus<Otg>>;

struct Links {
    /// Once it is plugged in. Until then all of this is zero, as the memory that it is in.
    usb: Option<&'static mut Usb>,
    turns: Turns<3>,
}

static LINKS: Mutex<RefCell<Links>> =
    Mutex::new(RefCell::new(Links { usb: None, turns: Turns::new() }));
static USB: StaticCell<Usb> = StaticCell::new();
static BUS: StaticCell<UsbBusAllocator<UsbBus<Otg>>> = StaticCell::new();
static SERIAL: StaticCell<[u8; 16]> = StaticCell::new();
static MEMORY: ConstStaticCell<[u32; otg::MEMORY]> = ConstStaticCell::new([0; otg::MEMORY]);

fn with<T>(what: impl FnOnce(&mut Links) -> T) -> T {
    critical_section::with(|section| what(&mut LINKS.borrow_ref_mut(section)))
}

/// The USB function behind a link.
const fn port(link: usize) -> Port {
    if link == 1 { Port::Bulk } else { Port::Serial }
}

impl Links {
    fn listen(&mut self) {
        let Self { usb, turns } = self;
        if turns.listen(|link| read(usb, link)) {
            defmt::info!("link {} takes over", turns.holder());
        }
    }
}

fn read(usb: &mut Option<&'static mut Usb>, link: usize) -> Option<u8> {
    if link != UART {
        return usb.as_mut()?.read(port(link));
    }
    let state = pac::USART3.isr().read();
    if state.ore() {
        pac::USART3.icr().write(|w| w.set_ore(true));
    }
    state.rxne().then(|| pac::USART3.rdr().read().dr() as u8)
}

/// Does what USB asks for and hears whether another link takes over.
pub(crate) fn attend() {
    with(|links| {
        if let Some(usb) = &mut links.usb {
            usb.poll();
        }
        links.listen();
    });
}

/// The link that has the board.
#[derive(Debug)]
pub(crate) struct Host;

impl spu_board_runtime::Uart for Host {
    fn read() -> Option<u8> {
        with(|links| {
            let Links { usb, turns } = links;
            turns.next(|link| read(usb, link))
        })
    }

    fn write(octet: u8) -> bool {
        with(|links| {
            let link = links.turns.holder();
            if link != UART {
                return links.usb.as_mut().is_none_or(|usb| usb.write(port(link), octet));
            }
            let room = pac::USART3.isr().read().txe();
            if room {
                pac::USART3.tdr().write(|w| w.set_dr(u16::from(octet)));
            }
            room
        })
    }

    fn interrupt_when_empty(on: bool) {
        with(|links| {
            let link = links.turns.holder();
            pac::USART3.cr1().modify(|w| w.set_txeie(on && link == UART));
            // USB has an interrupt for each packet that went out anyway.
            if !on
                && link != UART
                && let Some(usb) = &mut links.usb
            {
                usb.end(port(link));
            }
        });
    }

    fn waits() -> bool {
        with(|links| links.turns.holder() != UART)
    }
}

/// Starts the UART and plugs the USB device in. Interrupts are still off.
pub(crate) fn start(serial: u64) {
    rcc::enable_and_reset::<USART3>();
    // PD8 transmits, PD9 receives.
    for pin in [8, 9] {
        alternate(pac::GPIOD, pin, 7);
    }
    start_uart(pac::USART3, |w| {
        w.set_te(true);
        w.set_re(true);
        w.set_rxneie(true);
    });
    let digits = SERIAL.init(ids::serial_digits(serial));
    let serial = core::str::from_utf8(digits).unwrap_or_default();
    let bus = BUS.init(UsbBus::new(Otg, MEMORY.take()));
    if let Ok(usb) = Device::new(bus, serial, otg::EXTRAS) {
        let usb = USB.init(usb);
        with(|links| links.usb = Some(usb));
    } else {
        defmt::error!("the USB device has too many strings");
    }
}
