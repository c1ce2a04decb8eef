//! Memory of the program, and its start.

use cortex_m::peripheral::SCB;
use spu_boot::mps2::{LOAD_ADDRESS, LOAD_SIZE};

/// Registers of the watchdog (CMSDK, Arm DDI 0479): load, control, lock.
const WATCHDOG_LOAD: *mut u32 = 0x4000_8000 as *mut u32;
const WATCHDOG_CONTROL: *mut u32 = 0x4000_8008 as *mut u32;
const WATCHDOG_LOCK: *mut u32 = 0x4000_8C00 as *mut u32;
const WATCHDOG_KEY: u32 = 0x1ACC_E551;
/// Half of the time that boot loader and program get together before a reset, in cycles: 10 s, for an
/// emulator on a busy computer.
const HALF: u32 = 250_000_000;

/// Starts the watchdog: an image that does not feed it is restarted, and rolled back if it is on trial.
pub(crate) fn watchdog() {
    // SAFETY: the board has these registers there, and nobody else uses them yet.
    unsafe {
        WATCHDOG_LOCK.write_volatile(WATCHDOG_KEY);
        WATCHDOG_LOAD.write_volatile(HALF);
        WATCHDOG_CONTROL.write_volatile(3);
    }
}

/// Memory for the program; called once.
pub(crate) fn memory() -> &'static mut [u8] {
    // SAFETY: memory behind this program that the linker gives to nobody; called once, so there is
    // one reference.
    unsafe { core::slice::from_raw_parts_mut(LOAD_ADDRESS as *mut u8, LOAD_SIZE) }
}

/// Starts what was loaded.
pub(crate) fn program() -> ! {
    // SAFETY: what is there was verified: a vector table of this board's firmware. No interrupt is
    // on, and nothing of this program is used any more.
    unsafe {
        (*SCB::PTR).vtor.write(LOAD_ADDRESS);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        cortex_m::asm::bootload(LOAD_ADDRESS as *const u32)
    }
}
