//! Logging over a UART that is polled, so that what is logged before a reset gets out.

use core::cell::{Cell, RefCell};

use critical_section::{Mutex, RestoreState};
use defmt::Encoder;

/// Sends an octet of the log; false if it cannot be taken now.
pub type Log = fn(u8) -> bool;

/// Attempts to send an octet before it is dropped: the log must not stop the firmware.
const ATTEMPTS: u32 = 100_000;

static OUTPUT: Mutex<Cell<Option<Log>>> = Mutex::new(Cell::new(None));

/// Where the log goes; nowhere before this.
pub fn set_log(log: Log) {
    critical_section::with(|section| OUTPUT.borrow(section).set(Some(log)));
}

/// What a log frame needs while it is being written.
struct Frame {
    encoder: Encoder,
    /// From the beginning of a frame to its end no interrupt comes between.
    restore: Option<RestoreState>,
}

static FRAME: Mutex<RefCell<Frame>> =
    Mutex::new(RefCell::new(Frame { encoder: Encoder::new(), restore: None }));

/// Sends octets of the log.
fn send(octets: &[u8]) {
    let Some(output) = critical_section::with(|section| OUTPUT.borrow(section).get()) else {
        return;
    };
    for &octet in octets {
        let _ = (0..ATTEMPTS).any(|_| output(octet));
    }
}

fn with(what: impl FnOnce(&mut Frame)) {
    critical_section::with(|section| what(&mut FRAME.borrow_ref_mut(section)));
}

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` turns interrupts off and `release` turns them on again, on a machine with one
// core, so frames are never interleaved. A log line within a log line, which `acquire` may refuse by
// a panic only, does not occur: no `Format` of this firmware logs.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: released in `release`, which defmt calls after `acquire` in the same order.
        let restore = unsafe { critical_section::acquire() };
        with(|frame| {
            frame.restore = Some(restore);
            frame.encoder.start_frame(send);
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        let mut restore = None;
        with(|frame| {
            frame.encoder.end_frame(send);
            restore = frame.restore.take();
        });
        if let Some(restore) = restore {
            // SAFETY: `restore` is from the `acquire` that this ends.
            unsafe { critical_section::release(restore) };
        }
    }

    unsafe fn write(bytes: &[u8]) {
        with(|frame| frame.encoder.write(bytes, send));
    }
}
