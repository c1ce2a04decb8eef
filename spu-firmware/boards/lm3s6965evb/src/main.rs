//! The firmware on TI's evaluation board of the Stellaris LM3S6965 (Cortex-M3), as QEMU emulates it.
#![no_std]
#![no_main]

mod peripherals;

use cortex_m_rt::{entry, exception};
use spu_board_runtime::bus::{StrappedBus, Straps};
use spu_board_runtime::{NoStorage, Node, on_receive, on_tick, on_transmit, run, set_log};
use spu_firmware::Dispatcher;
use static_cell::ConstStaticCell;

use peripherals::{Bus, Host, Timers, irq};

type FpgaBus = StrappedBus<Bus, Timers>;

static DISPATCHER: ConstStaticCell<Dispatcher<Node<FpgaBus, Timers, NoStorage>>> =
    ConstStaticCell::new(Dispatcher::new(Node::new(FpgaBus::new(), NoStorage)));

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
        irq::HOST => {
            peripherals::acknowledge_host();
            on_receive::<Host>();
            on_transmit::<Host>();
        }
        irq::TICK => {
            peripherals::acknowledge_tick();
            on_tick::<Timers>();
        }
        other => defmt::panic!("interrupt {} that nobody turned on", other),
    }
}
