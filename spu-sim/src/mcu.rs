//! The microcontroller's program over a board, as a link in the same process sees it.

use std::time::Instant;

use spu_firmware::{Activity, Board, Dispatcher, Transmit};

/// A whole board in this process: octets in, octets out, and a clock that can be another one.
pub trait InProcessBoard: Send {
    /// Takes octets from the host, for the next polls.
    fn receive(&mut self, bytes: &[u8]);

    /// Lets the firmware do one piece of work; what it sends is appended to `tx`.
    fn poll(&mut self, tx: &mut Vec<u8>) -> Activity;

    /// Gives the microcontroller another clock, for tests whose time is not this computer's.
    fn set_clock(&mut self, now: fn() -> Instant);
}

/// The firmware, and the octets from the host that it has not taken.
#[derive(Debug)]
pub struct Mcu<B> {
    dispatcher: Dispatcher<B>,
    waiting: Vec<u8>,
}

impl<B: Board> Mcu<B> {
    /// The firmware over this board, after power-up.
    pub const fn new(board: B) -> Self {
        Self { dispatcher: Dispatcher::new(board), waiting: Vec::new() }
    }

    /// The board.
    pub const fn board(&self) -> &B {
        self.dispatcher.board()
    }

    /// The board, to change.
    pub const fn board_mut(&mut self) -> &mut B {
        self.dispatcher.board_mut()
    }

    /// Takes octets from the host, for the next polls.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Octets from the host that the firmware has not taken.
    pub const fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// Lets the firmware do one piece of work; what it sends is appended to `tx`.
    pub fn poll(&mut self, tx: &mut Vec<u8>) -> Activity {
        if !self.waiting.is_empty() {
            let taken = self.waiting.len().min(self.dispatcher.room());
            self.dispatcher.receive(&self.waiting[..taken]);
            self.waiting.drain(..taken);
        }
        self.dispatcher.poll(&mut Sender(tx))
    }

    /// The firmware restarts: what it had not taken is gone.
    pub fn reboot(&mut self) {
        self.dispatcher.reboot();
        self.waiting.clear();
    }
}

/// A transmitter that never runs out of room.
struct Sender<'a>(&'a mut Vec<u8>);

impl Transmit for Sender<'_> {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
