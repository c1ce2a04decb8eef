//! The simulated board at the far end, and what happens to it.

use std::sync::{Arc, Mutex, PoisonError};

use spu_driver::link::InProcess;
use spu_driver::{CancelHandle, Deadline, Error, Link};
use spu_sim::{Fault, Profile, SimBoard, SimConfig};

/// Something that happens at the board or to the call, not on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The power goes off and on.
    PowerCycle,
    /// The sequencer stops advancing.
    Hang,
    /// Every fault is repaired.
    Repair,
    /// Another thread cancels.
    Cancel,
}

impl Event {
    /// Events, the frequent ones more than once.
    pub const ALL: [Self; 6] =
        [Self::PowerCycle, Self::Hang, Self::Repair, Self::Repair, Self::Cancel, Self::Cancel];
}

/// Where the cancel handle goes once there is one.
pub(super) type Canceller = Arc<Mutex<Option<CancelHandle>>>;

/// A board in this process at which events happen.
pub(super) struct EventfulBoard {
    board: InProcess,
    reads: u64,
    events: Vec<(u64, Event)>,
    canceller: Canceller,
}

impl EventfulBoard {
    pub(super) fn new(mut events: Vec<(u64, Event)>, canceller: Canceller) -> Self {
        // The next one last.
        events.sort_by_key(|(read, _)| std::cmp::Reverse(*read));
        let mut board = InProcess::new(board());
        board.control().record_writes(true);
        Self { board, reads: 0, events, canceller }
    }

    /// Register writes that reached the FPGA.
    pub(super) fn writes(&mut self) -> Vec<(u16, u32)> {
        self.board.control().take_writes()
    }

    /// Nothing happens any more, and nothing is broken.
    pub(super) fn settle(&mut self) {
        self.events.clear();
        self.board.control().clear_faults();
    }

    pub(super) fn power_cycle(&mut self) {
        self.board.control().power_cycle();
    }

    fn happen(&mut self) {
        while let Some((at, event)) = self.events.last().copied()
            && at <= self.reads
        {
            self.events.pop();
            match event {
                Event::PowerCycle => self.board.control().power_cycle(),
                // Every board has a sequencer that can hang.
                Event::Hang => self.board.control().inject(Fault::Hang).unwrap_or_default(),
                Event::Repair => self.board.control().clear_faults(),
                Event::Cancel => {
                    let handle = self.canceller.lock().unwrap_or_else(PoisonError::into_inner);
                    handle.iter().for_each(CancelHandle::cancel);
                }
            }
        }
        self.reads += 1;
    }
}

impl Link for EventfulBoard {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.board.write(bytes, deadline)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        self.happen();
        self.board.read(buffer, deadline)
    }

    fn describe(&self) -> String {
        self.board.describe()
    }
}

/// The board of every schedule: what differs is what is asked of it.
pub(crate) fn board() -> SimBoard {
    let profile = Profile::named("rev-a").expect("the profile comes with the simulator");
    let config = SimConfig { profile, seed: 1, copy: 0, without: [].into() };
    SimBoard::new(config).expect("the profile is usable")
}
