//! What the images for microcontrollers share.
//!
//! An image sets its peripherals up, connects interrupts to [`on_receive`], [`on_transmit`] and
//! [`on_tick`], and calls [`run`].
#![no_std]

pub mod bus;
mod fatal;
#[allow(unsafe_code, reason = "a global logger is an unsafe trait")]
mod log;
mod node;
#[allow(unsafe_code, reason = "memory from before the program's start")]
mod retained;
#[allow(unsafe_code, reason = "reads the unused part of the stack")]
mod stack;
mod storage;
mod time;
mod vitals;

use embedded_hal::spi::SpiDevice;
use spu_firmware::{Activity, Dispatcher, serial};

pub use fatal::starved;
pub use log::{Log, set_log};
pub use node::Node;
pub use retained::{Cause, Start};
pub use spu_firmware::serial::{Uart, on_receive, on_transmit};
pub use storage::{NoStorage, Storage};
pub use time::{TICK_HZ, Timer, on_tick};

/// What the main loop does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Sleeps until an interrupt.
    Sleep,
    /// Goes round: an emulator that counts instructions as time needs some.
    Spin,
}

/// What goes wrong soon after power-up, once: an emulator's strap asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// A panic.
    Panic,
    /// The main loop stops.
    Hang,
    /// An instruction that there is not.
    Fault,
}

/// Time from the start to a mishap, in milliseconds.
const MISHAP_MS: u32 = 200;

impl Mishap {
    fn happen(self) -> ! {
        match self {
            Self::Panic => panic!("asked for by the strap"),
            Self::Hang => loop {
                cortex_m::asm::nop();
            },
            Self::Fault => cortex_m::asm::udf(),
        }
    }
}

/// Serves the host for ever. Interrupts are on. `dipped` says that the supply did, and that this is
/// why the microcontroller starts.
pub fn run<U, T, BUS, S>(
    dispatcher: &mut Dispatcher<Node<BUS, T, S>>,
    idle: Idle,
    mishap: Option<Mishap>,
    dipped: bool,
) -> !
where
    U: Uart,
    T: Timer,
    BUS: SpiDevice<u8>,
    S: Storage,
{
    let start = retained::take(dipped);
    if let Some(cause) = start.cause {
        defmt::info!("start {}: {}", start.starts, cause);
    }
    if !start.text().is_empty() {
        defmt::warn!("last run ended: {=[u8]:a}", start.text());
    }
    dispatcher.board_mut().vitals_mut().set(T::BOARD, &start);
    dispatcher.board_mut().find_version();
    let mishap = mishap.filter(|_| start.cause == Some(Cause::PowerOn));
    let mut transmitter = serial::Transmitter::<U>::new();
    loop {
        let begun = time::now::<T>();
        let heard =
            serial::receive::<U>(dispatcher.room(), |octets| dispatcher.receive(octets)) > 0;
        let worked = dispatcher.poll(&mut transmitter) == Activity::Worked;
        time::served::<T>(begun);
        if let Some(mishap) = mishap
            && begun >= u64::from(T::HZ / 1_000).saturating_mul(u64::from(MISHAP_MS))
        {
            mishap.happen();
        }
        if heard || worked {
            continue;
        }
        // With interrupts off what comes between the questions and the sleep ends the sleep.
        while !cortex_m::interrupt::free(|_| {
            let wanted = time::ticked() || serial::is_wanted();
            if !wanted && idle == Idle::Sleep {
                cortex_m::asm::wfi();
            }
            wanted
        }) {}
    }
}
