//! A device that fails or lies at a chosen moment.

use crate::device::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, Program, Report, ResetLevel,
    SelfTestReport, Sink,
};
use crate::error::Error;
use crate::link::LinkStats;

/// What is wrong with a rigged device.
pub(super) enum Rig {
    /// It disconnects at this acquisition, from 0.
    Disconnects(usize),
    /// It is cancelled at this acquisition.
    Cancelled(usize),
    /// The noise of a cell has this part of its gain.
    Noise(usize, f64),
}

pub(super) struct Rigged {
    pub(super) inner: Box<dyn Device>,
    pub(super) rig: Rig,
    pub(super) acquisitions: usize,
}

impl Rigged {
    pub(super) fn new(uri: &str, rig: Rig) -> Self {
        Self { inner: crate::open(uri).unwrap(), rig, acquisitions: 0 }
    }
}

impl Device for Rigged {
    fn info(&self) -> &BoardInfo {
        self.inner.info()
    }

    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn load(&mut self, program: &Program, deadline: Deadline) -> Result<Applied, Error> {
        let mut program = program.clone();
        if let Rig::Noise(cell, part) = self.rig {
            let gain = &mut program.gain_codes[cell].0;
            *gain = (f64::from(*gain) * part).round() as u16;
        }
        self.inner.load(&program, deadline)
    }

    fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        match self.rig {
            Rig::Disconnects(at) if self.acquisitions >= at => {
                return Err(Error::Disconnected { during: "acquire" });
            }
            Rig::Cancelled(at) if self.acquisitions == at => self.inner.cancel_handle().cancel(),
            _ => {}
        }
        self.acquisitions += 1;
        self.inner.acquire(plan, sink, deadline)
    }

    fn read_regs(
        &mut self,
        address: u16,
        out: &mut [u32],
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.inner.read_regs(address, out, deadline)
    }

    fn write_regs(&mut self, address: u16, words: &[u32], deadline: Deadline) -> Result<(), Error> {
        self.inner.write_regs(address, words, deadline)
    }

    fn self_test(&mut self, level: u32, deadline: Deadline) -> Result<SelfTestReport, Error> {
        self.inner.self_test(level, deadline)
    }

    fn reset(&mut self, level: ResetLevel, deadline: Deadline) -> Result<(), Error> {
        self.inner.reset(level, deadline)
    }

    fn ping(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.inner.ping(payload, deadline)
    }

    fn link_stats(&self) -> LinkStats {
        self.inner.link_stats()
    }

    fn cancel_handle(&self) -> CancelHandle {
        self.inner.cancel_handle()
    }
}
