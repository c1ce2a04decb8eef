//! A bounded queue between an acquisition and what takes its frames.
//!
//! The producer waits while the queue is full, unless the acquisition was cancelled: what is still
//! under way then is taken beyond the bound, so that nothing is lost and nobody waits for ever. Every
//! interleaving of producer, consumer and canceller is checked by `loom` (see the tests below).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(all(test, loom))]
use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, loom)))]
use std::sync::{Condvar, Mutex, MutexGuard};

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The consumer is gone.
    Left,
    /// There was no room in time.
    Full,
}

/// Items with a weight each, first in, first out.
#[derive(Debug)]
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    /// There is room, or a reason not to wait for it.
    room: Condvar,
    /// There is an item, or none will come.
    item: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    /// The producer is done.
    closed: bool,
    /// The consumer is gone.
    left: bool,
}

impl<T> State<T> {
    fn add(&mut self, item: T, weight: usize) {
        self.weight = self.weight.saturating_add(weight);
        self.items.push_back((item, weight));
    }

    fn take(&mut self) -> Option<T> {
        let (item, weight) = self.items.pop_front()?;
        self.weight = self.weight.saturating_sub(weight);
        Some(item)
    }
}

impl<T> Queue<T> {
    /// An empty queue that holds up to this weight, or one item that is heavier.
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), weight: 0, closed: false, left: false };
        Self { capacity, state: Mutex::new(state), room: Condvar::new(), item: Condvar::new() }
    }

    fn has_room(&self, state: &State<T>, weight: usize) -> bool {
        state.items.is_empty() || state.weight.saturating_add(weight) <= self.capacity
    }

    /// Adds an item, once there is room or `cancelled` says that there is no time to wait for it.
    /// [`wake`](Self::wake) makes it look at `cancelled` again.
    ///
    /// # Errors
    /// [`Refused::Left`], at once; [`Refused::Full`] if there was no room `within` this time.
    pub(super) fn push(
        &self,
        item: T,
        weight: usize,
        cancelled: impl Fn() -> bool,
        within: Duration,
    ) -> Result<(), Refused> {
        // None: further away than the clock goes.
        let until = Instant::now().checked_add(within);
        let mut state = self.lock();
        loop {
            if state.left {
                return Err(Refused::Left);
            }
            if self.has_room(&state, weight) || cancelled() {
                state.add(item, weight);
                self.item.notify_one();
                return Ok(());
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Refused::Full);
            }
            state = wait(&self.room, state, left);
        }
    }

    /// Adds an item in place of the oldest ones, as far as they leave no room.
    ///
    /// # Errors
    /// [`Refused::Left`].
    pub(super) fn replace(&self, item: T, weight: usize) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.left {
            return Err(Refused::Left);
        }
        while !self.has_room(&state, weight) {
            state.take();
        }
        state.add(item, weight);
        self.item.notify_one();
        Ok(())
    }

    /// Takes the oldest item, once there is one; `None` once the producer is done and all are taken.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.take() {
                self.room.notify_one();
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = wait(&self.item, state, None);
        }
    }

    /// Takes the oldest item, if there is one now.
    pub(super) fn try_pop(&self) -> Option<T> {
        let item = self.lock().take();
        if item.is_some() {
            self.room.notify_one();
        }
        item
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.item.notify_all();
    }

    /// Nothing more will be taken; what is queued is dropped.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.left = true;
        let items = std::mem::take(&mut state.items);
        state.weight = 0;
        drop(state);
        self.room.notify_all();
        drop(items);
    }

    /// Makes a waiting producer look again at whether it is cancelled.
    pub(super) fn wake(&self) {
        // With the lock held once after the cancellation, no producer is between its look at it
        // and its wait.
        drop(self.lock());
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while the lock is held, but for a `cancelled` that changes no state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(all(test, loom)))]
fn wait<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Option<Duration>,
) -> MutexGuard<'a, T> {
    match limit {
        None => condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(limit) => {
            condition.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// In the model no time passes: every wait must be ended by somebody.
#[cfg(all(test, loom))]
fn wait<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    _limit: Option<Duration>,
) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn items_come_out_in_order_and_the_bound_holds() {
        let queue = Queue::new(3);
        let push = |item, weight| queue.push(item, weight, || false, Duration::ZERO);
        assert_eq!(push(1, 1), Ok(()));
        assert_eq!(push(2, 2), Ok(()));
        assert_eq!(push(3, 1), Err(Refused::Full));
        assert_eq!(queue.push(4, 1, || true, LONG), Ok(()), "cancelled: beyond the bound");
        assert_eq!(
            [queue.pop(), queue.pop(), queue.try_pop(), queue.try_pop()],
            [Some(1), Some(2), Some(4), None]
        );
        assert_eq!(push(5, 100), Ok(()), "a heavy item passes alone");
        assert_eq!(push(6, 1), Err(Refused::Full));
        queue.close();
        assert_eq!([queue.pop(), queue.pop()], [Some(5), None]);
    }

    #[test]
    fn the_newest_replace_the_oldest() {
        let queue = Queue::new(4);
        for item in 1..=6 {
            queue.replace(item, if item == 6 { 3 } else { 1 }).unwrap();
        }
        queue.close();
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(5), Some(6), None]);
    }

    #[test]
    fn without_a_consumer_nothing_is_taken() {
        let queue = Queue::new(1);
        queue.push(1, 1, || false, LONG).unwrap();
        queue.leave();
        assert_eq!(queue.push(2, 1, || false, LONG), Err(Refused::Left));
        assert_eq!(queue.push(2, 1, || true, LONG), Err(Refused::Left));
        assert_eq!(queue.replace(2, 1), Err(Refused::Left));
    }
}

/// Every interleaving of a producer, a consumer and a canceller:
/// `cargo rustc -p spu-driver --no-default-features --lib --profile test -- --cfg loom` builds the
/// program, whose argument is `loom`.
/// A lost wake-up is a deadlock of the model, which loom reports. With three threads, those with up
/// to three preemptions; `SPU_LOOM=all` leaves that bound out, which takes minutes.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// The queue and the flag of a cancel handle.
    struct Shared {
        queue: Queue<u32>,
        cancelled: AtomicBool,
    }

    fn shared(capacity: usize) -> Arc<Shared> {
        Arc::new(Shared { queue: Queue::new(capacity), cancelled: AtomicBool::new(false) })
    }

    impl Shared {
        fn push(&self, item: u32) -> Result<(), Refused> {
            let cancelled = || self.cancelled.load(Ordering::Acquire);
            self.queue.push(item, 1, cancelled, LONG)
        }

        fn cancel(&self) {
            self.cancelled.store(true, Ordering::Release);
            self.queue.wake();
        }
    }

    /// Checks a model of three threads.
    fn three_threads(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        if std::env::var_os("SPU_LOOM").is_none_or(|value| value != "all") {
            builder.preemption_bound = Some(3);
        }
        builder.check(model);
    }

    fn drain(shared: &Shared) -> Vec<u32> {
        std::iter::from_fn(|| shared.queue.pop()).collect()
    }

    #[test]
    fn loom_every_item_comes_out_once_and_in_order() {
        for capacity in [1, 2] {
            loom::model(move || {
                let shared = shared(capacity);
                let writer = thread::spawn({
                    let shared = shared.clone();
                    move || drain(&shared)
                });
                for item in 0..4 {
                    assert_eq!(shared.push(item), Ok(()));
                }
                shared.queue.close();
                assert_eq!(writer.join().unwrap(), [0, 1, 2, 3]);
            });
        }
    }

    #[test]
    fn loom_a_cancel_ends_the_wait_and_loses_nothing() {
        three_threads(|| {
            let shared = shared(1);
            let canceller = thread::spawn({
                let shared = shared.clone();
                move || shared.cancel()
            });
            let writer = thread::spawn({
                let shared = shared.clone();
                move || drain(&shared)
            });
            for item in 0..2 {
                assert_eq!(shared.push(item), Ok(()));
            }
            shared.queue.close();
            assert_eq!(writer.join().unwrap(), [0, 1]);
            canceller.join().unwrap();
        });
    }

    #[test]
    fn loom_a_cancel_ends_the_wait_for_a_writer_that_hangs() {
        loom::model(|| {
            let shared = shared(1);
            let canceller = thread::spawn({
                let shared = shared.clone();
                move || shared.cancel()
            });
            // Nobody takes anything: the second one waits until it is cancelled.
            for item in 0..3 {
                assert_eq!(shared.push(item), Ok(()));
            }
            assert!(shared.cancelled.load(Ordering::Acquire));
            canceller.join().unwrap();
            shared.queue.close();
            assert_eq!(drain(&shared), [0, 1, 2]);
        });
    }

    #[test]
    fn loom_a_writer_that_fails_is_seen() {
        for taken in [0, 1, 2] {
            loom::model(move || {
                let shared = shared(1);
                let writer = thread::spawn({
                    let shared = shared.clone();
                    move || {
                        let items: Vec<_> =
                            (0..taken).map(|_| shared.queue.pop().unwrap()).collect();
                        shared.queue.leave();
                        items
                    }
                });
                // One that is taken makes room for one more: the error is seen by the one after.
                let pushed = (0..).map_while(|item| shared.push(item).ok()).count();
                assert!((taken..=taken + 1).contains(&pushed), "{pushed} of {taken}");
                let items: Vec<_> = (0..taken as u32).collect();
                assert_eq!(writer.join().unwrap(), items);
            });
        }
    }

    #[test]
    fn loom_failure_and_cancel_at_once() {
        three_threads(|| {
            let shared = shared(1);
            let writer = thread::spawn({
                let shared = shared.clone();
                move || {
                    let item = shared.queue.pop();
                    shared.queue.leave();
                    item
                }
            });
            let canceller = thread::spawn({
                let shared = shared.clone();
                move || shared.cancel()
            });
            // Two, and then whatever happened is seen: either nothing is taken any more, or this
            // goes beyond the bound.
            let pushed: Vec<_> = (0..2).map(|item| shared.push(item)).collect();
            assert_eq!(pushed[0], Ok(()));
            assert!(!pushed.contains(&Err(Refused::Full)));
            let first = pushed.iter().position(Result::is_err).unwrap_or(2);
            assert!(pushed[first..].iter().all(Result::is_err), "{pushed:?}");
            assert_eq!(writer.join().unwrap(), Some(0));
            canceller.join().unwrap();
            assert_eq!(shared.push(2), Err(Refused::Left));
        });
    }

    #[test]
    fn loom_the_newest_are_kept() {
        loom::model(|| {
            let shared = shared(2);
            let reader = thread::spawn({
                let shared = shared.clone();
                move || drain(&shared)
            });
            for item in 0..4 {
                assert_eq!(shared.queue.replace(item, 1), Ok(()));
            }
            shared.queue.close();
            let items = reader.join().unwrap();
            assert!(items.is_sorted() && items.ends_with(&[2, 3]), "{items:?}");
        });
    }
}
