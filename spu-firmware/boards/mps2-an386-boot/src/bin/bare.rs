//! What the board itself can do: no frames, no sessions, no interrupts. It sends every message back
//! that ends with a zero, and to `S` with a count it sends so many blocks out of the FPGA's capture
//! memory, by the transactions that the firmware makes. The firmware is measured against this
//! (`cargo xtask figures qemu.throughput_ratio`).
#![no_std]
#![no_main]

#[allow(dead_code, reason = "the firmware uses the rest")]
#[path = "../../../mps2-an386/src/peripherals.rs"]
mod peripherals;

use cortex_m_rt::entry;
use embedded_hal::spi::{Operation, SpiDevice};
use spu_board_runtime::bus::{StrappedBus, Straps};
use spu_board_runtime::{Timer as _, Uart as _};
use spu_protocol::regs::{self, control, mode};
use static_cell::ConstStaticCell;

use peripherals::{Bus, Host, Timers};

/// Octets of a block: 338 frames of 12 octets, as many as the firmware's blocks hold.
const BLOCK: usize = 338 * FRAME;
const FRAME: usize = 12;
/// Cycles between two looks at the UART.
const PAUSE: u32 = 1_000;
/// Octets that a frame of the wire adds to them.
const AROUND: usize = 80;

static MESSAGE: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
static FRAMES: ConstStaticCell<[u8; BLOCK]> = ConstStaticCell::new([0; BLOCK]);

type Spi = StrappedBus<Bus, Timers>;

#[entry]
fn main() -> ! {
    let straps = Straps::new(peripherals::strap());
    let mut spi = Spi::new();
    if straps.semihosting {
        spi.use_semihosting();
    }
    // There are no handlers.
    cortex_m::interrupt::disable();
    peripherals::start();
    let (message, frames) = (MESSAGE.take(), FRAMES.take());
    let mut length = 0;
    loop {
        Timers::feed_watchdog();
        let Some(octet) = Host::read() else {
            // An emulator delivers octets while nobody looks.
            cortex_m::asm::delay(PAUSE);
            continue;
        };
        if let Some(place) = message.get_mut(length) {
            *place = octet;
            length += 1;
        }
        if octet != 0 {
            continue;
        }
        match message.get(..length) {
            Some([b'S', blocks, 0]) => stream(&mut spi, *blocks, frames),
            Some(whole) => send(whole),
            None => {}
        }
        length = 0;
    }
}

fn send(octets: &[u8]) {
    for octet in octets {
        while !Host::write(*octet) {}
    }
}

/// Sends blocks of frames, and zeros for what would be around them.
fn stream(spi: &mut Spi, blocks: u8, frames: &mut [u8; BLOCK]) {
    let count = u32::from(blocks) * (BLOCK / FRAME) as u32;
    let run = [mode::STREAM, 0, 1, count];
    write(spi, regs::MODE, &run);
    write(spi, regs::CONTROL, &[control::START]);
    let mut held = 0;
    for _ in 0..blocks {
        while held < BLOCK / FRAME {
            let mut words = [[0; 4]; 6];
            read(spi, regs::STATUS, words.as_flattened_mut());
            held = u32::from_be_bytes(words[1]) as usize;
        }
        read(spi, regs::FIFO, frames);
        held -= BLOCK / FRAME;
        send(frames);
        send(&[0; AROUND]);
        Timers::feed_watchdog();
    }
}

fn read(spi: &mut Spi, address: u16, octets: &mut [u8]) {
    let [high, low] = address.to_be_bytes();
    let command = [0x80, high, low, 0];
    // What fails shows at the host, which gets too little.
    let _ = spi.transaction(&mut [Operation::Write(&command), Operation::Read(octets)]);
}

fn write(spi: &mut Spi, address: u16, words: &[u32]) {
    for (word, offset) in words.iter().zip((0..).step_by(4)) {
        let [high, low] = (address + offset).to_be_bytes();
        let octets = word.to_be_bytes();
        let operations = &mut [Operation::Write(&[0x00, high, low, 0]), Operation::Write(&octets)];
        let _ = spi.transaction(operations);
    }
}
