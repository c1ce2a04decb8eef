//! The firmware on Arm's MPS2 board with application note 386 (Cortex-M4F), as QEMU emulates it.
#![no_std]
#![no_main]

mod bus;
mod peripherals;

use cortex_m_rt::{entry, exception};
use spu_board_runtime::{Idle, Node, on_receive, on_tick, on_transmit, run, set_log, starved};
use spu_firmware::Dispatcher;
use static_cell::ConstStaticCell;

use bus::FpgaBus;
use peripherals::{Host, Timers, irq};

static DISPATCHER: ConstStaticCell<Dispatcher<Node<FpgaBus, Timers>>> =
    ConstStaticCell::new(Dispatcher::new(Node::new(FpgaBus::new())));

#[entry]
fn main() -> ! {
    set_log(peripherals::log);
    let straps = peripherals::straps();
    let dispatcher = DISPATCHER.take();
    if straps.semihosting {
        dispatcher.board_mut().bus_mut().use_semihosting();
    }
    peripherals::start();
    let idle = if straps.spin { Idle::Spin } else { Idle::Sleep };
    run::<Host, Timers, _>(dispatcher, idle, straps.mishap)
}

#[exception]
#[allow(
    unsafe_code,
    reason = "the handler of all interrupts is unsafe to call, and only hardware does"
)]
unsafe fn DefaultHandler(number: i16) {
    match number {
        irq::WATCHDOG => starved(),
        irq::HOST_RECEIVE => on_receive::<Host>(),
        irq::HOST_TRANSMIT => on_transmit::<Host>(),
        irq::TICK => {
            peripherals::acknowledge_tick();
            on_tick::<Timers>();
        }
        other => defmt::panic!("interrupt {} that nobody turned on", other),
    }
}
