//! Independent pieces of work on all cores. What a piece computes does not depend on which thread does it,
//! and results are in the order of the pieces.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Distance of two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Threads to work on, and whether to say how far it is.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Threads, at least 1.
    pub threads: usize,
    /// Lines on standard error.
    pub progress: bool,
}

impl Workers {
    /// One for each core, silent.
    pub fn all() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { threads, progress: false }
    }

    /// `piece(0)` to `piece(count − 1)`, in this order.
    ///
    /// # Errors
    /// Of the first piece, by number, that failed; the ones after a failure may not run.
    pub fn each<T: Send>(
        &self,
        what: &str,
        count: usize,
        piece: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let meter = Meter::new(what, count, self.progress);
        let work = || {
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                let result = piece(index);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                meter.one_more();
                done.push((index, result));
            }
            done
        };
        let mut done: Vec<(usize, Result<T>)> = thread::scope(|scope| {
            let running: Vec<_> =
                (0..self.threads.clamp(1, count.max(1))).map(|_| scope.spawn(work)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().flat_map(join).collect()
        });
        done.sort_by_key(|(index, _)| *index);
        meter.finish();
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Says now and then how far it is.
struct Meter<'a> {
    what: &'a str,
    count: usize,
    shown: bool,
    started: Instant,
    /// Pieces that are done, and when that was last said.
    state: Mutex<(usize, Instant)>,
}

impl<'a> Meter<'a> {
    fn new(what: &'a str, count: usize, shown: bool) -> Self {
        let started = Instant::now();
        Self { what, count, shown, started, state: Mutex::new((0, started)) }
    }

    fn one_more(&self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 += 1;
        if self.shown && state.1.elapsed() >= LINE_EVERY {
            state.1 = Instant::now();
            let left = self.started.elapsed().as_secs_f64() * (self.count - state.0) as f64
                / state.0 as f64;
            eprintln!("{}: {} of {}, {left:.0} s left", self.what, state.0, self.count);
        }
    }

    fn finish(&self) {
        if self.shown {
            eprintln!("{}: {:.0} s", self.what, self.started.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let workers = Workers { threads, progress: false };
            let squares = workers.each("squares", 100, |k| Ok(k * k)).unwrap();
            assert_eq!(squares, (0..100).map(|k| k * k).collect::<Vec<_>>());
            assert!(workers.each("none", 0, Ok).unwrap().is_empty());
        }
    }

    #[test]
    fn a_failure_stops_the_work() {
        let workers = Workers { threads: 2, progress: false };
        let result = workers.each("work", 1000, |k| {
            anyhow::ensure!(k < 10, "piece {k}");
            Ok(k)
        });
        assert_eq!(result.unwrap_err().to_string(), "piece 10");
    }
}
