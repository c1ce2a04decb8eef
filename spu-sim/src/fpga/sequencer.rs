//! Timing of a run, to the tick.

use spu_protocol::regs::status;

use crate::converters::Kept;

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Ticks before the first kept one.
    pub(crate) settle: u32,
    /// One tick in this many is kept; at least 1.
    pub(crate) decimation: u32,
    /// Ticks to keep; at least 1.
    pub(crate) count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running,
    Done,
    Aborted,
}

/// The sequencer: settle, then keep ticks 0, D, 2 D … until the count is reached; the tick after
/// the last kept one is not run.
#[derive(Debug, Clone)]
pub(crate) struct Sequencer {
    state: State,
    run: Run,
    kept: u32,
    ticks: u64,
    /// Ticks before the next kept one.
    until_kept: u64,
}

impl Sequencer {
    pub(crate) const fn new() -> Self {
        let run = Run { settle: 0, decimation: 1, count: 1 };
        Self { state: State::Idle, run, kept: 0, ticks: 0, until_kept: 0 }
    }

    pub(crate) const fn start(&mut self, run: Run) {
        let until_kept = run.settle as u64;
        *self = Self { state: State::Running, run, kept: 0, ticks: 0, until_kept };
    }

    pub(crate) fn abort(&mut self) {
        if self.is_running() {
            self.state = State::Aborted;
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// The `state` field of the status register.
    pub(crate) fn state_field(&self) -> u32 {
        match self.state {
            State::Idle => status::STATE_IDLE,
            State::Running if self.ticks < u64::from(self.run.settle) => status::STATE_SETTLE,
            State::Running => status::STATE_ACQUIRE,
            State::Done => status::STATE_DONE,
            State::Aborted => status::STATE_ABORTED,
        }
    }

    pub(crate) const fn kept(&self) -> u32 {
        self.kept
    }

    pub(crate) const fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Ticks that can run now if at most `room` more may be kept.
    pub(crate) fn runnable(&self, room: u64) -> u64 {
        if !self.is_running() {
            return 0;
        }
        let every = u64::from(self.run.decimation);
        let left = u64::from(self.run.count - self.kept);
        if left <= room {
            // Up to and with the last kept tick.
            self.until_kept + (left - 1) * every + 1
        } else {
            // Up to the first kept tick that has no room.
            self.until_kept + room * every
        }
    }

    /// Which of the next ticks are kept, as far as they are fewer than 2³².
    pub(crate) fn kept_ticks(&self) -> Kept {
        Kept {
            first: usize::try_from(self.until_kept).unwrap_or(usize::MAX),
            every: self.run.decimation as usize,
        }
    }

    /// Counts `ticks` ticks, as many as [`runnable`](Self::runnable) allowed.
    pub(crate) fn advance(&mut self, ticks: usize) {
        let kept = self.kept_ticks();
        let count = kept.count(ticks);
        self.kept += count as u32;
        self.ticks += ticks as u64;
        self.until_kept = kept.after(ticks).first as u64;
        if self.kept == self.run.count {
            self.state = State::Done;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_the_ticks_of_the_plan_and_no_more() {
        for (settle, decimation, count) in [(0, 1, 1), (5, 1, 3), (0, 7, 4), (3, 2, 1), (9, 3, 5)] {
            let mut sequencer = Sequencer::new();
            sequencer.start(Run { settle, decimation, count });
            let mut ticks = 0;
            while sequencer.is_running() {
                let settling = ticks < u64::from(settle);
                let state = if settling { status::STATE_SETTLE } else { status::STATE_ACQUIRE };
                assert_eq!(sequencer.state_field(), state);
                assert!(sequencer.runnable(u64::MAX) >= 1);
                sequencer.advance(1);
                ticks += 1;
            }
            let expected = settle + (count - 1) * decimation + 1;
            assert_eq!((ticks, sequencer.kept()), (u64::from(expected), count));
            let mut whole = Sequencer::new();
            whole.start(Run { settle, decimation, count });
            assert_eq!(whole.runnable(u64::from(count)), ticks);
            whole.advance(ticks as usize);
            assert_eq!(whole.state_field(), status::STATE_DONE);
        }
    }

    #[test]
    fn without_room_the_tick_that_would_be_kept_waits() {
        let mut sequencer = Sequencer::new();
        sequencer.start(Run { settle: 4, decimation: 3, count: 10 });
        assert_eq!(sequencer.runnable(0), 4);
        assert_eq!(sequencer.runnable(2), 4 + 6);
        sequencer.advance(10);
        assert_eq!((sequencer.kept(), sequencer.runnable(0)), (2, 0));
    }
}
