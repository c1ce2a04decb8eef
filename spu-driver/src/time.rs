//! The driver's clock: real, or virtual on a thread that asked for it.
//!
//! Deadlines, retries and polling read [`now`] and wait by [`sleep`]. A test that [`pause`]s the
//! clock of its thread sees time advance only by waiting, so that hours of timeouts pass at once
//! and a failing run repeats exactly.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

thread_local! {
    static VIRTUAL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The present moment.
pub fn now() -> Instant {
    VIRTUAL.get().unwrap_or_else(Instant::now)
}

/// Waits this long.
pub fn sleep(duration: Duration) {
    if !advance(duration) {
        std::thread::sleep(duration);
    }
}

/// Lets this much virtual time pass; false, and nothing done, where the clock is real. For links
/// without a device outside this thread, whose work takes no virtual time of its own.
pub fn advance(duration: Duration) -> bool {
    let Some(moment) = VIRTUAL.get() else { return false };
    VIRTUAL.set(Some(moment + duration));
    true
}

/// Makes the clock of this thread virtual until the guard is dropped.
///
/// ```
/// use std::time::{Duration, Instant};
/// use spu_driver::time;
///
/// let started = Instant::now();
/// let paused = time::pause();
/// let before = time::now();
/// time::sleep(Duration::from_secs(3600));
/// assert_eq!(time::now() - before, Duration::from_secs(3600));
/// drop(paused);
/// assert!(started.elapsed() < Duration::from_secs(60));
/// ```
#[must_use]
pub fn pause() -> Paused {
    let outer = VIRTUAL.replace(Some(now()));
    Paused { outer, thread: PhantomData }
}

/// Guard of [`pause`]; bound to its thread.
#[derive(Debug)]
pub struct Paused {
    outer: Option<Instant>,
    thread: PhantomData<*const ()>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        VIRTUAL.set(self.outer);
    }
}
