//! A device that fails or lies at a chosen moment.

use crate::device::{AcquirePlan, Applied, Deadline, Program, Report, Sink};
use crate::error::Error;
use crate::testing::hooked::{AnyDevice, Hook, Hooked};

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
    rig: Rig,
    pub(super) acquisitions: usize,
}

impl Rigged {
    pub(super) fn open(uri: &str, rig: Rig) -> Hooked<AnyDevice, Self> {
        Hooked::new(crate::open(uri).unwrap(), Self { rig, acquisitions: 0 })
    }
}

impl Hook<AnyDevice> for Rigged {
    fn load(
        &mut self,
        device: &mut AnyDevice,
        program: &Program,
        deadline: Deadline,
    ) -> Result<Applied, Error> {
        let mut program = program.clone();
        if let Rig::Noise(cell, part) = self.rig {
            let gain = &mut program.gain_codes[cell].0;
            *gain = (f64::from(*gain) * part).round() as u16;
        }
        device.load(&program, deadline)
    }

    fn acquire(
        &mut self,
        device: &mut AnyDevice,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        match self.rig {
            Rig::Disconnects(at) if self.acquisitions >= at => {
                return Err(Error::Disconnected { during: "acquire" });
            }
            Rig::Cancelled(at) if self.acquisitions == at => device.cancel_handle().cancel(),
            _ => {}
        }
        self.acquisitions += 1;
        device.acquire(plan, sink, deadline)
    }
}
