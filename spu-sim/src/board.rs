//! A whole simulated board: firmware, FPGA and analog board in one process.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Instant;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_firmware::Activity;

use crate::control::SimControl;
use crate::converters::AnyAnalog;
use crate::dispatch::Dispatch;
use crate::error::SimError;
use crate::fault::{After, Fault};
use crate::fpga::{Fpga, SimSpi};
use crate::mcu::{InProcessBoard, Mcu};
use crate::node::{SimNode, Stores};
use crate::nonideality::NonIdeality;
use crate::profile::Profile;

/// Ticks that a board runs for each look at its status, unless told otherwise: about a
/// millisecond, so that a cancelled run stops soon.
pub const DEFAULT_QUANTUM: NonZeroU32 = NonZeroU32::new(32_768).expect("not zero");

/// Which board to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// The revision.
    pub profile: Profile,
    /// Seed of every draw.
    pub seed: u64,
    /// Which of the boards of this seed: copies differ as parts do.
    pub copy: u32,
    /// Non-idealities that are switched off.
    pub without: BTreeSet<NonIdeality>,
}

impl SimConfig {
    /// Serial number of this board: the seed, mixed, above the copy.
    pub fn serial(&self) -> u64 {
        let mixed = Xoshiro256PlusPlus::seed_from_u64(self.seed).next_u64();
        mixed & !0xFFFF | u64::from(self.copy & 0xFFFF)
    }
}

/// A simulated board as a link sees it: octets in, octets out.
#[derive(Debug)]
pub struct SimBoard {
    config: SimConfig,
    dispatch: Dispatch,
    mcu: Mcu<SimNode>,
    /// Faults that are in the board, and those that will happen once.
    faults: Vec<Fault>,
    events: Vec<Event>,
    quantum: NonZeroU32,
    now: fn() -> Instant,
}

impl SimBoard {
    /// The board of this configuration, after power-up.
    ///
    /// # Errors
    /// [`SimError::Profile`] if the profile is not usable.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        Self::with_dispatch(config, Dispatch::detect())
    }

    /// The same board on given instructions; the codes are the same bits.
    ///
    /// # Errors
    /// [`SimError::Profile`] if the profile is not usable.
    pub fn with_dispatch(config: SimConfig, dispatch: Dispatch) -> Result<Self, SimError> {
        let quantum = DEFAULT_QUANTUM;
        let mcu = power_up(&config, dispatch, quantum, Instant::now, Stores::default())?;
        let (faults, events) = (Vec::new(), Vec::new());
        Ok(Self { config, dispatch, mcu, faults, events, quantum, now: Instant::now })
    }

    /// What the board was made from.
    pub const fn config(&self) -> &SimConfig {
        &self.config
    }

    /// Gives the microcontroller another clock, for tests whose time is not this computer's.
    pub fn set_clock(&mut self, now: fn() -> Instant) {
        self.now = now;
        self.mcu.board_mut().set_clock(now);
    }

    /// Takes octets from the host, for the next polls.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.mcu.receive(bytes);
    }

    /// Octets from the host that the firmware has not taken.
    pub const fn queued(&self) -> usize {
        self.mcu.queued()
    }

    /// Lets the firmware do one piece of work; what it sends is appended to `tx`.
    pub fn poll(&mut self, tx: &mut Vec<u8>) -> Activity {
        if self.events.is_empty() {
            return self.mcu.poll(tx);
        }
        let before = tx.len();
        let activity = self.mcu.poll(tx);
        let progress = self.progress();
        let Some(index) = self.events.iter().position(|event| event.is_due(progress)) else {
            return activity;
        };
        // It happens while the last octets go out.
        tx.truncate(before + (tx.len() - before) / 2);
        match self.events.remove(index).what {
            Happening::BrownOut => self.power_cycle(),
            Happening::Restart => self.mcu.reboot(),
        }
        Activity::Worked
    }

    /// Faults and other things that only a simulated board can be told.
    pub fn control(&mut self) -> &mut dyn SimControl {
        self
    }

    /// The FPGA, past firmware and bus.
    pub const fn fpga(&self) -> &Fpga<AnyAnalog> {
        self.mcu.board().spi().fpga()
    }

    fn progress(&self) -> Progress {
        let spi = self.mcu.board().spi();
        Progress { ticks: spi.fpga().run_ticks(), blocks: spi.blocks() }
    }

    fn set_faults(&mut self) {
        self.mcu.board_mut().spi_mut().set_faults(&self.faults);
    }
}

impl InProcessBoard for SimBoard {
    fn receive(&mut self, bytes: &[u8]) {
        Self::receive(self, bytes);
    }

    fn poll(&mut self, tx: &mut Vec<u8>) -> Activity {
        Self::poll(self, tx)
    }

    fn set_clock(&mut self, now: fn() -> Instant) {
        Self::set_clock(self, now);
    }
}

impl SimControl for SimBoard {
    fn inject(&mut self, fault: Fault) -> Result<(), SimError> {
        fault.check(&self.config.profile)?;
        if let Some(event) = Event::new(fault, self.progress()) {
            self.events.push(event);
        } else {
            self.faults.push(fault);
            self.set_faults();
        }
        Ok(())
    }

    fn clear_faults(&mut self) {
        self.events.clear();
        self.faults.clear();
        self.set_faults();
    }

    fn power_cycle(&mut self) {
        let before = self.progress();
        let written = self.mcu.board_mut().spi_mut().written_mut().take();
        let stores = self.mcu.board_mut().take_stores();
        self.mcu = power_up(&self.config, self.dispatch, self.quantum, self.now, stores)
            .expect("the same configuration powered up before");
        *self.mcu.board_mut().spi_mut().written_mut() = written;
        // The counters start from 0.
        for event in &mut self.events {
            event.at = event.at.saturating_sub(before.of(event.unit));
        }
        self.set_faults();
    }

    fn record_writes(&mut self, on: bool) {
        let written = self.mcu.board_mut().spi_mut().written_mut();
        *written = on.then(Vec::new);
    }

    fn take_writes(&mut self) -> Vec<(u16, u32)> {
        let written = self.mcu.board_mut().spi_mut().written_mut();
        written.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn set_quantum(&mut self, ticks: NonZeroU32) {
        self.quantum = ticks;
        self.mcu.board_mut().spi_mut().set_quantum(ticks);
    }

    fn ticks(&self) -> u64 {
        self.fpga().run_ticks()
    }
}

fn power_up(
    config: &SimConfig,
    dispatch: Dispatch,
    quantum: NonZeroU32,
    now: fn() -> Instant,
    stores: Stores,
) -> Result<Mcu<SimNode>, SimError> {
    let spi = SimSpi::power_up(config, dispatch, quantum)?;
    Ok(Mcu::new(SimNode::new(spi, now, stores)))
}

/// A fault that will happen once.
#[derive(Debug, Clone, Copy)]
struct Event {
    what: Happening,
    unit: Unit,
    /// Count at which it does, since power-up.
    at: u64,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    BrownOut,
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Ticks,
    Blocks,
}

/// What a board has done since power-up.
#[derive(Debug, Clone, Copy)]
struct Progress {
    ticks: u64,
    blocks: u64,
}

impl Progress {
    const fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Ticks => self.ticks,
            Unit::Blocks => self.blocks,
        }
    }
}

impl Event {
    /// The event of a fault that is one.
    fn new(fault: Fault, progress: Progress) -> Option<Self> {
        let (what, after) = match fault {
            Fault::BrownOut { after } => (Happening::BrownOut, after),
            Fault::Restart { after } => (Happening::Restart, after),
            _ => return None,
        };
        let (unit, more) = match after {
            After::Ticks(more) => (Unit::Ticks, more),
            After::Blocks(more) => (Unit::Blocks, more),
        };
        Some(Self { what, unit, at: progress.of(unit).saturating_add(more) })
    }

    const fn is_due(&self, progress: Progress) -> bool {
        progress.of(self.unit) >= self.at
    }
}
