//! The firmware on ST's NUCLEO-H743ZI2 (STM32H743ZI, Cortex-M7). It is built, not run: nobody has
//! tried it on a board. Pins are in `hardware/wiring.md`.
#![no_std]
#![no_main]

mod clocks;
mod fpga;
mod links;
mod otg;
mod peripherals;

use cortex_m_rt::{entry, exception};
use embassy_stm32::interrupt;
use spu_board_runtime::{Idle, NoStorage, Node, on_receive, on_tick, on_transmit, run, set_log};
use spu_firmware::Dispatcher;
use static_cell::ConstStaticCell;

use fpga::FpgaBus;
use links::Host;
use peripherals::Timers;

static DISPATCHER: ConstStaticCell<Dispatcher<Node<FpgaBus, Timers, NoStorage>>> =
    ConstStaticCell::new(Dispatcher::new(Node::new(FpgaBus::new(), NoStorage)));

#[entry]
fn main() -> ! {
    let dipped = peripherals::supply_dipped();
    let pins = embassy_stm32::init(clocks::configuration());
    peripherals::start(pins.TIM2, pins.TIM6, pins.IWDG1);
    peripherals::start_log();
    set_log(peripherals::log);
    let dispatcher = DISPATCHER.take();
    let bus = dispatcher.board_mut().bus_mut();
    bus.connect(fpga::Pins {
        spi: pins.SPI1,
        clock: pins.PA5,
        output: pins.PB5,
        input: pins.PA6,
        select: pins.PD14,
        interrupt: pins.PD15,
        reset: pins.PF3,
        flash_select: pins.PG12,
        power_good: pins.PE9,
        slow: pins.PG14,
    });
    let serial = fpga::serial(dispatcher.board_mut()).unwrap_or_else(peripherals::unique);
    defmt::info!("serial {=u64:x}", serial);
    links::start(serial);
    peripherals::unmask();
    run::<Host, Timers, _, _>(dispatcher, Idle::Sleep, None, dipped)
}

const USART3: i16 = interrupt::USART3 as i16;
const OTG_FS: i16 = interrupt::OTG_FS as i16;
const TIM6: i16 = interrupt::TIM6_DAC as i16;

#[exception]
#[allow(
    unsafe_code,
    reason = "the handler of all interrupts is unsafe to call, and only hardware does"
)]
unsafe fn DefaultHandler(number: i16) {
    match number {
        USART3 | OTG_FS => {
            links::attend();
            on_receive::<Host>();
            on_transmit::<Host>();
        }
        TIM6 => {
            peripherals::acknowledge_tick();
            on_tick::<Timers>();
        }
        other => defmt::panic!("interrupt {} that nobody turned on", other),
    }
}
