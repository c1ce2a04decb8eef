//! What a run has seen so far.

use std::time::Duration;

use tngd::backend::{Drift, Phases};
use tngd::optim::Step;

use super::plot;
use super::view::Evaluation;

/// What the steps told.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) last_loss: Option<f64>,
    pub(super) products: u64,
    pub(super) gradient: Duration,
    pub(super) phases: Phases,
    pub(super) update: Duration,
    pub(super) losses: Vec<plot::Trained>,
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) training: Duration,
    pub(super) fell_back_at: Option<u64>,
    pub(super) statistical_error: Option<f64>,
    /// The worst of all steps.
    pub(super) drift: Option<Drift>,
}

impl Seen {
    /// Adds a step, which has this number.
    pub(super) fn add(&mut self, number: u64, step: &Step, took: Duration) {
        self.training += took;
        let seconds = self.training.as_secs_f64();
        self.losses.push(plot::Trained { step: number, seconds, loss: step.loss });
        self.gradient += step.gradient;
        self.update += step.update;
        self.last_loss = Some(step.loss);
        if let Some(report) = &step.report {
            self.products += report.products as u64;
            self.phases.add(&report.phases);
            self.statistical_error = report.statistical_error;
            self.drift = Drift::worst(self.drift, report.drift);
        }
    }
}
