//! The firmware on Arm's MPS2 board with application note 386 (Cortex-M4F), as QEMU emulates it.
#![no_std]
#![no_main]

mod flash;
mod peripherals;

use cortex_m_rt::{entry, exception};
use spu_board_runtime::bus::{StrappedBus, Straps};
use spu_board_runtime::{Node, Storage, on_receive, on_tick, on_transmit, run, set_log, starved};
use spu_boot::Slots;
use spu_firmware::Dispatcher;
use spu_protocol::image::ImageKind;
use static_cell::ConstStaticCell;

use flash::Psram;
use peripherals::{Bus, Host, Timers, irq};

type FpgaBus = StrappedBus<Bus, Timers>;

static DISPATCHER: ConstStaticCell<Dispatcher<Node<FpgaBus, Timers, Psram>>> =
    ConstStaticCell::new(Dispatcher::new(Node::new(FpgaBus::new(), Psram)));

impl Storage for Psram {
    const UPDATES: bool = true;

    fn slots(&mut self, kind: ImageKind) -> Option<Slots<'_>> {
        // The FPGA's own flash is not reached from here.
        (kind == ImageKind::Firmware).then(|| flash::slots(self))
    }
}

#[entry]
fn main() -> ! {
    set_log(peripherals::log);
    let straps = Straps::new(peripherals::strap());
    let dispatcher = DISPATCHER.take();
    if straps.semihosting {
        dispatcher.board_mut().bus_mut().use_semihosting();
    }
    peripherals::start();
    run::<Host, Timers, _, _>(dispatcher, straps.idle, straps.mishap, straps.dipped)
}

#[exception]
#[allow(
    unsafe_code,
    reason = "the handler of all interrupts is unsafe to call, and only hardware does"
)]
unsafe fn DefaultHandler(number: i16) {
    match number {
        irq::WATCHDOG => starved(),
        irq::HOST_RECEIVE => {
            peripherals::acknowledge_host();
            on_receive::<Host>();
        }
        irq::HOST_TRANSMIT => on_transmit::<Host>(),
        irq::TICK => {
            peripherals::acknowledge_tick();
            on_tick::<Timers>();
        }
        other => defmt::panic!("interrupt {} that nobody turned on", other),
    }
}
