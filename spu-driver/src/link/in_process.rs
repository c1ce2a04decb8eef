//! A board in this process and thread: it works while the host waits for it.

use std::time::Duration;

use spu_sim::{Activity, InProcessBoard, SimBoard, SimControl};

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Wait where the board has nothing to do until time passes.
const IDLE: Duration = Duration::from_micros(200);

/// Virtual time of one piece of the board's work.
const STEP: Duration = Duration::from_micros(1);

/// A link to a board in this process: the simulator, the gateware under Verilator, or any other.
pub struct InProcess<B = SimBoard> {
    board: B,
    what: &'static str,
    /// What the board sent, and how much of it was read.
    sent: Vec<u8>,
    read: usize,
}

impl<B: InProcessBoard> InProcess<B> {
    /// A link to this board, which is `what`; its microcontroller goes by the driver's clock.
    pub fn to(mut board: B, what: &'static str) -> Self {
        board.set_clock(time::now);
        Self { board, what, sent: Vec::new(), read: 0 }
    }
}

impl InProcess {
    /// A link to this board, whose microcontroller goes by the driver's clock.
    pub fn new(board: SimBoard) -> Self {
        Self::to(board, "simulator in this process")
    }

    /// What the board can be told beside the wire.
    pub fn control(&mut self) -> &mut dyn SimControl {
        self.board.control()
    }
}

impl<B: InProcessBoard> Link for InProcess<B> {
    fn write(&mut self, bytes: &[u8], _deadline: Deadline) -> Result<(), Error> {
        self.board.receive(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        loop {
            let waiting = &self.sent[self.read..];
            if !waiting.is_empty() {
                let count = waiting.len().min(buffer.len());
                buffer[..count].copy_from_slice(&waiting[..count]);
                self.read += count;
                return Ok(count);
            }
            self.sent.clear();
            self.read = 0;
            time::advance(STEP);
            let activity = self.board.poll(&mut self.sent);
            if !self.sent.is_empty() {
                continue;
            }
            let left = deadline.left();
            if left.is_zero() {
                return Ok(0);
            }
            if activity == Activity::Idle {
                time::sleep(IDLE.min(left));
            }
        }
    }

    fn describe(&self) -> String {
        self.what.into()
    }
}
