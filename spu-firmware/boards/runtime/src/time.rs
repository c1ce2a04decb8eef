//! The tick that paces the main loop, and how exact it is.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::Mutex;
use spu_firmware::Clock;

/// Ticks in a second.
pub const TICK_HZ: u32 = 1_000;

/// The board's timers, and which board it is.
pub trait Timer {
    /// The board's number.
    const BOARD: u32;
    /// Counts of the free-running counter in a second, a multiple of a million.
    const HZ: u32;
    /// Bits of the free-running counter; it wraps less often than once a tick.
    const BITS: u32;

    /// The free-running counter, counting up.
    fn counter() -> u32;

    /// Keeps the watchdog from restarting the microcontroller.
    fn feed_watchdog();

    /// Counts of the free-running counter between ticks.
    const PERIOD: u32 = Self::HZ / TICK_HZ;
}

/// Time since the start, and the ticks in it.
struct State {
    /// Counts since the start.
    now: u64,
    /// The counter when last read.
    last: u32,
    ticks: u32,
    lost: u32,
    /// When the next tick is due, once there was a first.
    due: Option<u64>,
    early: u32,
    late: u32,
    /// Longest piece of the main loop's work, in counts.
    service: u32,
}

static STATE: Mutex<RefCell<State>> = Mutex::new(RefCell::new(State {
    now: 0,
    last: 0,
    ticks: 0,
    lost: 0,
    due: None,
    early: 0,
    late: 0,
    service: 0,
}));

/// The main loop has gone round since the watchdog was fed.
static SERVED: AtomicBool = AtomicBool::new(false);
/// A tick came that the main loop has not seen.
static TICKED: AtomicBool = AtomicBool::new(false);

fn with<T>(what: impl FnOnce(&mut State) -> T) -> T {
    critical_section::with(|section| what(&mut STATE.borrow_ref_mut(section)))
}

/// Counts since the start.
pub(crate) fn now<T: Timer>() -> u64 {
    with(State::now::<T>)
}

impl State {
    fn now<T: Timer>(&mut self) -> u64 {
        let counter = T::counter();
        let passed = counter.wrapping_sub(self.last) & (u32::MAX >> 32_u32.saturating_sub(T::BITS));
        self.last = counter;
        self.now = self.now.wrapping_add(u64::from(passed));
        self.now
    }

    fn tick<T: Timer>(&mut self) {
        let now = self.now::<T>();
        let period = u64::from(T::PERIOD);
        self.ticks = self.ticks.wrapping_add(1);
        let mut due = self.due.unwrap_or(now);
        while now >= due.saturating_add(period) {
            self.lost = self.lost.saturating_add(1);
            due = due.saturating_add(period);
        }
        self.late = self.late.max(now.saturating_sub(due) as u32);
        self.early = self.early.max(due.saturating_sub(now) as u32);
        self.due = Some(due.saturating_add(period));
    }
}

/// The interrupt of the tick. Feeds the watchdog if the main loop went round since it was last fed:
/// it stops being fed when either of them stops.
pub fn on_tick<T: Timer>() {
    with(State::tick::<T>);
    TICKED.store(true, Ordering::Relaxed);
    if SERVED.swap(false, Ordering::Relaxed) {
        T::feed_watchdog();
    }
}

/// True if a tick came since this was last asked.
pub(crate) fn ticked() -> bool {
    TICKED.swap(false, Ordering::Relaxed)
}

/// A piece of the main loop's work that began at `start` is done.
pub(crate) fn served<T: Timer>(start: u64) {
    with(|state| {
        let took = state.now::<T>().saturating_sub(start);
        state.service = state.service.max(u32::try_from(took).unwrap_or(u32::MAX));
    });
    progress();
}

/// The main loop has got on.
pub(crate) fn progress() {
    SERVED.store(true, Ordering::Relaxed);
}

/// Starts the marks afresh; ticks go on.
pub(crate) fn clear() {
    with(|state| (state.early, state.late, state.service) = (0, 0, 0));
}

/// The counters: ticks, lost ticks, most counts early and late, longest service.
pub(crate) fn counters() -> [u32; 5] {
    with(|state| [state.ticks, state.lost, state.early, state.late, state.service])
}

/// The firmware's clock.
#[derive(Debug)]
pub(crate) struct BoardClock<T>(pub(crate) core::marker::PhantomData<T>);

impl<T: Timer> Clock for BoardClock<T> {
    fn now_us(&mut self) -> u64 {
        now::<T>() / u64::from(T::HZ / 1_000_000)
    }
}
