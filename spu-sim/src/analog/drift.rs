//! Values that drift with the sampled time.

use super::Parts;
use super::parts::{Deviates, Parameter};
use crate::fault::{Drift, Drifting, Law};

/// A drift under way.
#[derive(Debug, Clone)]
pub(super) struct Course {
    drift: Drift,
    steps: u64,
    /// Sum of the deviates of the steps.
    walked: f64,
    deviates: Deviates,
}

impl Course {
    /// The drift at its start, on the board of `seed` and `copy`.
    pub(super) fn new(drift: Drift, seed: u64, copy: u32) -> Self {
        let parameter = match drift.value {
            Drifting::DriveGain => Parameter::DriveWalk,
            Drifting::AdcOffset => Parameter::OffsetWalk,
        };
        let deviates = Deviates::of_cell(seed, copy, parameter, drift.cell);
        Self { drift, steps: 0, walked: 0.0, deviates }
    }

    pub(super) const fn drift(&self) -> &Drift {
        &self.drift
    }

    /// Goes on by a step of sampled time.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        if self.drift.law == Law::Walk {
            self.walked += self.deviates.next();
        }
    }

    /// How far the value is off, with `period` the seconds of a tick.
    fn offset(&self, period: f64) -> f64 {
        let step = Drift::STEP_TICKS as f64 * period;
        self.drift.rate
            * match self.drift.law {
                Law::Linear => self.steps as f64 * step,
                Law::Walk => self.walked * step.sqrt(),
            }
    }

    /// Sets the value in `parts`, whose converters make `codes_per_volt`.
    pub(super) fn apply(&self, parts: &mut Parts, period: f64, codes_per_volt: f64) {
        let (cell, offset) = (self.drift.cell, self.offset(period));
        match self.drift.value {
            Drifting::DriveGain => parts.drive_ampere[cell] *= (1.0 + offset).max(0.0),
            Drifting::AdcOffset => parts.adc_offset[cell] += offset * codes_per_volt,
        }
    }
}
