//! The serial port to the host: interrupts move octets, the main loop moves queues.
//!
//! An image implements [`Uart`] and calls [`on_receive`] and [`on_transmit`] from its interrupts; the
//! main loop calls [`receive`] and sends through [`Transmitter`]. One port to a program.

mod ring;

use core::cell::RefCell;
use core::marker::PhantomData;

use critical_section::Mutex;

use crate::{MAX_ENCODED, Transmit};
use ring::Ring;

/// Octets that may arrive while the main loop is busy: 1.5 ms at 3 Mbaud.
const RECEIVED: usize = 448;
/// Octets on their way to the host: the largest frame and some replies, so that the next block is
/// taken from the FPGA while the last one goes out.
const SENT: usize = MAX_ENCODED + 64;
/// Octets that move in one critical section: it delays the interrupts, and so the tick. Between
/// queues, and to the transmitter, which takes longer.
const AT_ONCE: usize = 64;
const SENT_AT_ONCE: usize = 32;
/// Octets that wait before the main loop is woken for them, unless they end a frame. The tick wakes it
/// too.
const WAKING: usize = 128;

/// A UART, as far as interrupts need it.
pub trait Uart {
    /// An octet that arrived.
    fn read() -> Option<u8>;

    /// Sends an octet; false if the transmitter is full.
    fn write(octet: u8) -> bool;

    /// Whether there is an interrupt when the transmitter gets room. One that would have come before
    /// this call need not come: the caller looks for room again.
    fn interrupt_when_empty(on: bool);

    /// True if what is not read waits, as on a link with flow control: then nothing is read that
    /// finds no room.
    fn waits() -> bool {
        false
    }
}

/// Both directions of the port.
struct Queues {
    received: Ring<RECEIVED>,
    sent: Ring<SENT>,
    overruns: u32,
    high_water: usize,
    /// A frame has ended, or much has arrived.
    arrived: bool,
    /// A block may be waiting for room, and now there is some.
    has_room: bool,
    /// The transmitter's interrupt is on.
    waiting: bool,
}

impl Queues {
    const NEW: Self = Self {
        received: Ring::new(),
        sent: Ring::new(),
        overruns: 0,
        high_water: 0,
        arrived: false,
        has_room: false,
        waiting: false,
    };

    /// Gives the transmitter an octet; false if there is none or it is full.
    fn send_one<U: Uart>(&mut self) -> bool {
        let Some(octet) = self.sent.first() else { return false };
        if !U::write(octet) {
            return false;
        }
        self.sent.consume(1);
        self.has_room |= self.sent.room() == MAX_ENCODED;
        true
    }
}

static QUEUES: Mutex<RefCell<Queues>> = Mutex::new(RefCell::new(Queues::NEW));

fn with<T>(what: impl FnOnce(&mut Queues) -> T) -> T {
    critical_section::with(|section| what(&mut QUEUES.borrow_ref_mut(section)))
}

/// The interrupt of an octet that arrived.
pub fn on_receive<U: Uart>() {
    with(take_in::<U>);
}

/// Takes what arrived.
fn take_in<U: Uart>(queues: &mut Queues) {
    while !(queues.received.room() == 0 && U::waits())
        && let Some(octet) = U::read()
    {
        if !queues.received.push(octet) {
            queues.overruns = queues.overruns.saturating_add(1);
        }
        queues.arrived |= octet == 0;
    }
    queues.arrived |= queues.received.len() >= WAKING;
    queues.high_water = queues.high_water.max(queues.received.len());
}

/// The interrupt of a transmitter that has room.
pub fn on_transmit<U: Uart>() {
    fill::<U>();
}

/// Gives the transmitter what it takes, a few octets to a critical section: a transmitter that
/// takes all at once must not hold back the tick.
fn fill<U: Uart>() {
    while with(fill_some::<U>) {}
}

/// True if the transmitter may take more at once.
fn fill_some<U: Uart>(queues: &mut Queues) -> bool {
    let more = (0..SENT_AT_ONCE).all(|_| queues.send_one::<U>());
    let waiting = !more && !queues.sent.is_empty();
    if waiting || queues.waiting {
        queues.waiting = waiting;
        U::interrupt_when_empty(waiting);
    }
    // The transmitter may have got room after the octet that it refused and before its interrupt was
    // on; then no interrupt comes, and if the queue is full nobody fills it again.
    more || waiting && queues.send_one::<U>()
}

/// Passes what arrived on, as much as `room` allows and one critical section moves; how much.
pub fn receive<U: Uart>(room: usize, take: impl FnOnce(&[u8])) -> usize {
    let mut octets = [0; AT_ONCE];
    let count = with(|queues| {
        let front = queues.received.front();
        let count = front.len().min(room).min(AT_ONCE);
        let (Some(to), Some(from)) = (octets.get_mut(..count), front.get(..count)) else {
            return 0;
        };
        to.copy_from_slice(from);
        queues.received.consume(count);
        if U::waits() {
            take_in::<U>(queues);
        }
        count
    });
    if count > 0 {
        take(octets.get(..count).unwrap_or_default());
    }
    count
}

/// True if octets have arrived, or a frame can be sent that could not.
pub fn is_wanted() -> bool {
    with(|queues| core::mem::take(&mut queues.has_room) | core::mem::take(&mut queues.arrived))
}

/// True if nothing is on its way to the host.
pub fn is_sent() -> bool {
    with(|queues| queues.sent.is_empty())
}

/// Starts the high-water mark afresh.
pub fn clear() {
    with(|queues| queues.high_water = 0);
}

/// Octets that found no room, and the most that waited.
pub fn receive_counters() -> (u32, u32) {
    with(|queues| (queues.overruns, queues.high_water as u32))
}

/// Takes frames for the host.
#[derive(Debug)]
pub struct Transmitter<U>(PhantomData<U>);

impl<U> Transmitter<U> {
    /// The port of this UART.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<U> Default for Transmitter<U> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U: Uart> Transmit for Transmitter<U> {
    fn room(&self) -> usize {
        with(|queues| queues.sent.room())
    }

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(AT_ONCE) {
            // The dispatcher asked for the room before.
            with(|queues| queues.sent.append(piece));
            fill::<U>();
        }
    }
}

#[cfg(test)]
mod tests;
