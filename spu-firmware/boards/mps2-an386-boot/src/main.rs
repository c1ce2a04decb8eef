//! The boot loader of the emulated MPS2 board: chooses the image, loads it, verifies what it loaded, and
//! starts it under a watchdog. Without an image it waits for that watchdog, and looks again.
#![no_std]
#![no_main]

#[allow(dead_code, reason = "the firmware uses the rest")]
#[path = "../../mps2-an386/src/flash.rs"]
mod flash;
#[allow(
    unsafe_code,
    reason = "writes a program into memory and starts it; the watchdog's registers"
)]
mod start;

use core::panic::PanicInfo;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    start::watchdog();
    let memory = start::memory();
    if spu_boot::boot(&mut flash::slots(&mut flash::Psram), Some(memory)).is_ok() {
        start::program()
    }
    wait()
}

fn wait() -> ! {
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    wait()
}
