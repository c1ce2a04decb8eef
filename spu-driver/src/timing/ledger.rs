//! Where the time of a copy went.

use std::time::Duration;

use crate::device::Phases;
use crate::invert::Inversion;

/// Time of one copy over one read or several: ticks of the board's sample clock, and wall time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TimeLedger {
    /// Ticks of the runs that set the noise gain.
    pub gain_ticks: u64,
    /// Ticks of settling before measurements.
    pub settle_ticks: u64,
    /// All ticks.
    pub ticks: u64,
    /// Wall time on the device, by phase.
    pub phases: Phases,
    /// Wall time of the host's own work: planning, read-out, error bars.
    pub host: Duration,
    /// Effective independent samples, by the scatter of the batches.
    pub effective: f64,
}

impl TimeLedger {
    /// Ticks of sampling.
    pub fn sample_ticks(&self) -> u64 {
        self.ticks.saturating_sub(self.gain_ticks + self.settle_ticks)
    }

    /// Adds another read by the same copy.
    pub fn add(&mut self, other: &Self) {
        self.gain_ticks += other.gain_ticks;
        self.settle_ticks += other.settle_ticks;
        self.ticks += other.ticks;
        self.phases.add(&other.phases);
        self.host += other.host;
        self.effective += other.effective;
    }
}

impl Inversion {
    /// Where the time of this read went.
    pub fn time(&self) -> TimeLedger {
        TimeLedger {
            gain_ticks: self.gain_ticks.0,
            settle_ticks: self.settle_ticks.0,
            ticks: self.ticks.0,
            phases: self.phases,
            host: self.host,
            effective: self.effective_measured,
        }
    }
}
