//! The simulator in this process and thread: the board works while the host waits for it.

use std::time::Duration;

use spu_sim::{Activity, SimBoard, SimControl};

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Wait where the board has nothing to do until time passes.
const IDLE: Duration = Duration::from_micros(200);

/// Virtual time of one piece of the board's work.
const STEP: Duration = Duration::from_micros(1);

/// A link to a simulated board.
pub struct InProcess {
    board: SimBoard,
    /// What the board sent, and how much of it was read.
    sent: Vec<u8>,
    read: usize,
}

impl InProcess {
    /// A link to this board, whose microcontroller goes by the driver's clock.
    pub fn new(mut board: SimBoard) -> Self {
        board.set_clock(time::now);
        Self { board, sent: Vec::new(), read: 0 }
    }

    /// What the board can be told beside the wire.
    pub fn control(&mut self) -> &mut dyn SimControl {
        self.board.control()
    }
}

impl Link for InProcess {
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
        "simulator in this process".into()
    }
}
