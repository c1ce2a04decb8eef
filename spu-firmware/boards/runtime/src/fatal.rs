//! The ends of the firmware: panic and processor fault. Both are noted, logged, and end in a reset.

use core::panic::PanicInfo;

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};

use crate::retained::{self, Cause};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    retained::note_panic(info);
    if let Some(place) = info.location() {
        defmt::error!("panic at {=str}:{=u32}", place.file(), place.line());
    }
    SCB::sys_reset()
}

#[defmt::panic_handler]
fn defmt_panic() -> ! {
    // Formatting has logged the message; the place is that of the caller.
    core::panic!("defmt")
}

#[exception]
#[allow(unsafe_code, reason = "the handler is unsafe to call, and only hardware does")]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    cortex_m::interrupt::disable();
    retained::note(
        Cause::Fault,
        &[b"pc ", &hexadecimal(frame.pc()), b" lr ", &hexadecimal(frame.lr())],
    );
    defmt::error!("processor fault, pc {=u32:#x}, lr {=u32:#x}", frame.pc(), frame.lr());
    SCB::sys_reset()
}

/// The watchdog's warning, where it gives one: nothing has got on for too long. Restarts now, with
/// the right cause.
pub fn starved() -> ! {
    cortex_m::interrupt::disable();
    retained::note(Cause::Watchdog, &[]);
    defmt::error!("watchdog: no progress");
    SCB::sys_reset()
}

fn hexadecimal(word: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    for (k, digit) in digits.iter_mut().enumerate() {
        let nibble = (word >> (28 - 4 * k) & 0xF) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}
