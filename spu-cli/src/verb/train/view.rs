//! What `spu train` answers.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tngd::backend::{Drift, Phases};
use tngd::train::Score;

use super::{BackendName, Method};
use crate::answer::Answer;
use crate::exit::Exit;
use crate::text::{count, duration, facts, percent, table};

/// A look at the network on examples that it does not learn from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Evaluation {
    /// Steps done.
    pub(super) step: u64,
    /// Epochs done, parts included.
    epoch: f64,
    /// Wall time of the steps of this run until here.
    pub(super) seconds: f64,
    pub(super) loss: f64,
    pub(super) accuracy: f64,
}

impl Evaluation {
    pub(crate) fn new(step: u64, per_epoch: u64, seconds: f64, score: Score) -> Self {
        let epoch = step as f64 / per_epoch as f64;
        Self { step, epoch, seconds, loss: score.loss, accuracy: score.accuracy }
    }
}

/// Wall time by phase, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Seconds {
    /// Host: loss and gradient.
    gradient: f64,
    /// Host: Lanczos vectors, Gram matrices, products with the curvature.
    factors: f64,
    /// Setting the device.
    program: f64,
    /// The device's own, or that of computing what it would do.
    evolve: f64,
    /// Reading it.
    read: f64,
    /// Host: the step along what was read.
    update: f64,
    /// Of a factored array: what the paper's hardware would take, by its model (not measured).
    #[serde(skip_serializing_if = "Option::is_none")]
    paper: Option<Paper>,
}

/// Modelled time of arXiv 2405.13817, appendix C, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Paper {
    upload: f64,
    analog: f64,
}

impl Seconds {
    pub(crate) fn of(gradient: Duration, phases: &Phases, update: Duration) -> Self {
        Self {
            gradient: gradient.as_secs_f64(),
            update: update.as_secs_f64(),
            factors: phases.factors.as_secs_f64(),
            program: phases.program.as_secs_f64(),
            evolve: phases.evolve.as_secs_f64(),
            read: phases.read.as_secs_f64(),
            paper: (!phases.paper.upload.is_zero()).then_some(Paper {
                upload: phases.paper.upload.as_secs_f64(),
                analog: phases.paper.analog.as_secs_f64(),
            }),
        }
    }
}

/// Result of a training run.
#[derive(Debug, Serialize)]
pub(crate) struct TrainAnswer {
    pub(crate) optimizer: Method,
    pub(crate) backend: Option<BackendName>,
    pub(crate) label: String,
    /// What relaxes has been read from a device's converters.
    pub(crate) is_device: bool,
    /// Step at which the digital fallback took over.
    pub(crate) fell_back_at: Option<u64>,
    pub(crate) examples: usize,
    pub(crate) judged_on: &'static str,
    pub(crate) parameters: usize,
    pub(crate) batch: usize,
    pub(crate) steps: u64,
    pub(crate) resumed_from: Option<u64>,
    /// Stopped before its last step.
    pub(crate) stopped: bool,
    pub(crate) seed: u64,
    pub(crate) evaluations: Vec<Evaluation>,
    /// Loss of the last batch.
    pub(crate) last_loss: Option<f64>,
    /// Opening and calibrating the board.
    pub(crate) prepared_s: f64,
    /// Steps alone, without evaluations.
    pub(crate) training_s: f64,
    pub(crate) phases: Seconds,
    /// Products with the curvature.
    pub(crate) products: u64,
    /// Standard error that the board's samples left in what the last step read, relative.
    pub(crate) statistical_error: Option<f64>,
    /// What tolerances do to the drift of a factored array, the worst of all steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drift: Option<Drift>,
    /// λ.
    pub(crate) damping: f64,
    pub(crate) checkpoint: Option<PathBuf>,
    pub(crate) metrics: Option<PathBuf>,
    pub(crate) tensorboard: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) version: &'static str,
}

fn told(drift: Drift, damping: f64) -> String {
    let symmetry = match drift.asymmetry {
        Some(found) => format!("{} from symmetric, measured at the first step", percent(found)),
        None => "asymmetry not measured, for want of a gradient".into(),
    };
    let stability = if drift.may_be_unstable {
        "more than λ: whether it is stable depends on the board"
    } else {
        "less than λ: it is stable"
    };
    let bound = drift.bound;
    format!("{symmetry}; tolerances move it by at most {bound:.3} (λ = {damping}), {stability}")
}

impl Answer for TrainAnswer {
    fn text(&self) -> String {
        let kind = if self.is_device { "" } else { " (digital)" };
        let mut all = vec![
            (
                "network",
                format!("{} parameters, batches of {}", count(self.parameters as u64), self.batch),
            ),
            ("relaxes", format!("{}{kind}", self.label)),
            (
                "time",
                format!(
                    "{} for {} steps, after {} of preparation",
                    duration(self.training_s),
                    count(self.steps - self.resumed_from.unwrap_or(0)),
                    duration(self.prepared_s)
                ),
            ),
        ];
        let Seconds { gradient, factors, program, evolve, read, update, paper } = self.phases;
        let mut spent = format!("gradient {}", duration(gradient));
        if factors + program + evolve + read > 0.0 {
            spent += &format!(
                ", factors of the curvature {} (digital); program {}, evolve {}, read {}",
                duration(factors),
                duration(program),
                duration(evolve),
                duration(read)
            );
        }
        all.push(("of which", format!("{spent}; update {}", duration(update))));
        if let Some(Paper { upload, analog }) = paper {
            all.push((
                "paper's model",
                format!(
                    "upload {}, analog {} for all steps (arXiv 2405.13817, appendix C: 16 bits, 50 Gb/s, \
                     RC = 1 us; not measured)",
                    duration(upload),
                    duration(analog)
                ),
            ));
        }
        if let Some(error) = self.statistical_error {
            all.push(("samples", format!("leave {} in what the last step read", percent(error))));
        }
        if let Some(drift) = self.drift {
            all.push(("drift", told(drift, self.damping)));
        }
        if let Some(step) = self.fell_back_at {
            all.push(("fell back", format!("at step {step}: digital from there on")));
        }
        if let Some(path) = &self.checkpoint {
            all.push(("checkpoint", path.display().to_string()));
        }
        let rows: Vec<Vec<String>> = self
            .evaluations
            .iter()
            .map(|at| {
                vec![
                    count(at.step),
                    format!("{:.2}", at.epoch),
                    format!("{:.4}", at.loss),
                    percent(at.accuracy),
                ]
            })
            .collect();
        let stopped = if self.stopped { "\nstopped before the last step\n" } else { "" };
        format!(
            "Training on {} images, judged on {}\n{}\n{}{stopped}",
            count(self.examples as u64),
            self.judged_on,
            facts(&all),
            table(&["step", "epoch", "loss", "accuracy"], &rows)
        )
    }

    fn exit(&self) -> Exit {
        if self.stopped { Exit::Cancelled } else { Exit::Success }
    }
}
