//! Runs many random schedules on several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use spu_driver::time;

use super::{Cache, Plan, Tally, Violation, run};

/// How far calls may go beyond their deadlines on a virtual clock: one look at what has come and
/// one attempt to stop the board.
pub const VIRTUAL_SLACK: Duration = Duration::from_millis(50);
/// The same on the real clock.
pub const REAL_SLACK: Duration = Duration::from_secs(1);

/// The clock of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Time passes only by waiting: a seed repeats exactly.
    Virtual,
    /// Time passes as it does.
    Real,
}

/// Runs the schedule of a seed.
///
/// # Errors
/// The first [`Violation`].
pub fn run_seed(seed: u64, clock: Clock, cache: &mut Cache) -> Result<Tally, Violation> {
    // Schedules of few and of many faults differ in what they reach.
    let rate = [0.005, 0.02, 0.08][(seed % 3) as usize];
    match clock {
        Clock::Virtual => {
            let _paused = time::pause();
            run(&Plan::random(seed, 10, rate, Duration::from_secs(1)), VIRTUAL_SLACK, cache)
        }
        Clock::Real => {
            run(&Plan::random(seed, 6, rate, Duration::from_millis(100)), REAL_SLACK, cache)
        }
    }
}

/// Runs the schedules of the seeds from `first` on, on `threads` threads, while `go_on` holds for
/// the number begun so far; `seen` gets the tally now and then.
///
/// # Errors
/// A seed and its [`Violation`].
pub fn run_many(
    first: u64,
    clock: Clock,
    threads: usize,
    go_on: impl Fn(u64) -> bool + Sync,
    seen: impl Fn(&Tally) + Sync,
) -> Result<Tally, (u64, Violation)> {
    let (begun, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new(Tally::default());
    let violation = Mutex::new(None);
    let locked = |add: Tally| {
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        total.add(add);
        seen(&total);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut cache, mut own) = (Cache::default(), Tally::default());
                while !failed.load(Ordering::Relaxed) {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    if !go_on(number) {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    match run_seed(seed, clock, &mut cache) {
                        Ok(tally) => own.add(tally),
                        Err(what) => {
                            failed.store(true, Ordering::Relaxed);
                            *violation.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some((seed, what));
                        }
                    }
                    if own.schedules >= 64 {
                        locked(std::mem::take(&mut own));
                    }
                }
                locked(own);
            });
        }
    });
    match violation.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(found) => Err(found),
        None => Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
