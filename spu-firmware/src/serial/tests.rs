//! The queues against a transmitter of one octet whose interrupt is latched when its octet has gone and
//! forgotten when it is turned on or off, as the CMSDK UART's is; the octet goes at any moment.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Port {
    busy: bool,
    enabled: bool,
    latched: bool,
    /// What went out.
    out: Vec<u8>,
    /// What is to come in.
    input: VecDeque<u8>,
    /// Whether the octet in the transmitter goes before each look at it.
    goes: VecDeque<bool>,
}

std::thread_local! {
    static PORT: RefCell<Port> = RefCell::new(Port::default());
}

fn port<T>(what: impl FnOnce(&mut Port) -> T) -> T {
    PORT.with_borrow_mut(what)
}

impl Port {
    fn drain(&mut self) {
        self.latched |= self.busy && self.enabled;
        self.busy = false;
    }

    fn time_passes(&mut self) {
        if self.goes.pop_front().unwrap_or(false) {
            self.drain();
        }
    }
}

struct Mock;

impl Uart for Mock {
    fn read() -> Option<u8> {
        port(|port| port.input.pop_front())
    }

    fn write(octet: u8) -> bool {
        port(|port| {
            port.time_passes();
            let room = !port.busy;
            if room {
                port.busy = true;
                port.out.push(octet);
            }
            room
        })
    }

    fn interrupt_when_empty(on: bool) {
        port(|port| {
            port.time_passes();
            (port.latched, port.enabled) = (false, on);
        });
    }
}

/// The same with a link that holds back what is not read.
struct Waiting;

impl Uart for Waiting {
    fn read() -> Option<u8> {
        Mock::read()
    }

    fn write(octet: u8) -> bool {
        Mock::write(octet)
    }

    fn interrupt_when_empty(on: bool) {
        Mock::interrupt_when_empty(on);
    }

    fn waits() -> bool {
        true
    }
}

/// The queues are static: one test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    with(|queues| *queues = Queues::NEW);
    port(|port| *port = Port::default());
    turn
}

/// Serves interrupts and lets octets go until neither does anything.
fn settle() {
    loop {
        if port(|port| port.latched && port.enabled) {
            on_transmit::<Mock>();
        } else if port(|port| port.busy) {
            port(Port::drain);
        } else {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whenever an octet goes out, the rest follow without another call of the main loop.
    #[test]
    fn every_octet_goes_out(goes in prop::collection::vec(any::<bool>(), 0..2 * SENT)) {
        let _turn = turn();
        port(|port| port.goes = goes.into());
        let octets: Vec<u8> = (0..SENT).map(|k| k as u8).collect();
        Transmitter::<Mock>::new().write(&octets);
        settle();
        prop_assert!(is_sent());
        prop_assert_eq!(port(|port| port.out.clone()), octets);
        prop_assert!(!port(|port| port.enabled), "an interrupt that nobody needs");
    }
}

#[test]
fn an_octet_that_goes_before_its_interrupt_is_on_does_not_stop_the_rest() {
    let _turn = turn();
    // The first octet is taken, the second refused; the first goes before the interrupt is on.
    port(|port| port.goes = [false, false, true].into());
    Transmitter::<Mock>::new().write(&[1, 2, 3]);
    settle();
    assert_eq!(port(|port| port.out.clone()), [1, 2, 3]);
}

#[test]
fn what_finds_no_room_is_counted() {
    let _turn = turn();
    port(|port| port.input = std::vec![7; RECEIVED + 3].into());
    on_receive::<Mock>();
    assert_eq!(receive_counters(), (3, RECEIVED as u32));
    assert!(is_wanted());
    let mut got = Vec::new();
    while receive::<Mock>(1_000, |octets| got.extend_from_slice(octets)) > 0 {}
    assert_eq!(got, std::vec![7; RECEIVED]);
    assert!(!is_wanted());
    // The mark starts afresh, what was lost stays counted.
    clear();
    assert_eq!(receive_counters(), (3, 0));
}

#[test]
fn what_finds_no_room_waits_where_it_can() {
    let _turn = turn();
    let octets: Vec<u8> = (0..2 * RECEIVED + 3).map(|k| k as u8).collect();
    port(|port| port.input = octets.clone().into());
    on_receive::<Waiting>();
    assert_eq!(port(|port| port.input.len()), RECEIVED + 3, "read without room");
    // The main loop takes all, and no other interrupt comes.
    let mut got = Vec::new();
    while receive::<Waiting>(1_000, |octets| got.extend_from_slice(octets)) > 0 {}
    assert_eq!(got, octets);
    assert_eq!(receive_counters(), (0, RECEIVED as u32));
}
