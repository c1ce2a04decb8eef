//! One training run: a recipe, a seed, and what the network is worth at some steps.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use spu_driver::calibrate::{CalibrateOptions, calibrate};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::open;
use spu_driver::rc::RcCalibrateOptions;
use tngd::backend::{
    Array, BackendError, Cg, DigitalInverter, DigitalRelaxer, Euler, ExactLaw, Kfac, KfacSettings,
    Krylov, NaturalGradient, RcBoard, RlcBoard, Woodbury,
};
use tngd::data::{Examples, Mnist};
use tngd::loss::Loss;
use tngd::nn::NetworkModel;
use tngd::optim::{Descent, OptimError, Optimizer, Rule, Schedule, Settings, Tngd};
use tngd::train::{Batches, Course, evaluate};

use super::{EXAMPLES, Task};

/// What a network counts with whose loss is no number: guesses, of ten digits.
const CHANCE: f64 = 0.1;

/// What gives the natural gradient. A new backend is one more line here and in
/// [`open`](Self::open).
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Cells of a simulated board of this profile (a name, or the path of a file), as many as used.
    Board(String, usize),
    /// The covariance of a simulated board of RLC cells of this profile, calibrated: the limit t = ∞.
    Rlc(String),
    /// The simulated factored array of this profile.
    Array(String),
    /// Kronecker factors inverted on a simulated board of RC cells of this profile: the limit t = ∞.
    KfacBoard(String),
    /// Digital: Kronecker factors inverted by the host.
    Kfac,
    /// Digital: an ideal array of N cells in time steps of τ/100.
    Euler,
    /// Digital: the same with cells that are computed.
    Krylov(usize),
    /// Digital: an ideal array of N cells.
    ExactLaw,
    /// Digital solver of the limit t = ∞.
    Woodbury,
    /// Digital solver of the limit t = ∞, by so many iterations.
    Cg(usize),
}

impl Source {
    /// Eight cells of the standard board.
    pub fn board() -> Self {
        Self::Board("rc-8".into(), 8)
    }

    /// Opens it. A board has parts of its own, drawn from `seed`, and is calibrated.
    ///
    /// # Errors
    /// What keeps the board from running.
    pub fn open(&self, seed: u64) -> Result<Box<dyn NaturalGradient>> {
        Ok(match self {
            Self::Board(profile, cells) => {
                Box::new(Krylov::new(Box::new(rc_board(profile, seed)?), *cells)?)
            }
            Self::Rlc(profile) => {
                let mut device = open(&uri(profile, seed))?;
                // The day of the calibration, which nothing depends on.
                let options = CalibrateOptions::at(1_700_000_000);
                let measured = calibrate(device.as_mut(), &options, &Quiet)?.measured(0);
                let measured = [(device.info().serial, measured.into())].into();
                let options =
                    InvertOptions { measured: Arc::new(measured), ..InvertOptions::default() };
                let cells = device.info().cells;
                Box::new(Krylov::new(Box::new(RlcBoard::new(device, &options)?), cells)?)
            }
            Self::Array(profile) => Box::new(Array::new(open(&uri(profile, seed))?)?),
            Self::KfacBoard(profile) => {
                let board = rc_board(profile, seed)?;
                Box::new(Kfac::new(Box::new(board), KfacSettings::default())?)
            }
            Self::Kfac => Box::new(Kfac::new(Box::new(DigitalInverter), KfacSettings::default())?),
            Self::Euler => Box::new(Euler::new(0.01)?),
            Self::Krylov(cells) => {
                Box::new(Krylov::new(Box::new(DigitalRelaxer::new(*cells)), *cells)?)
            }
            Self::ExactLaw => Box::new(ExactLaw::default()),
            Self::Woodbury => Box::new(Woodbury),
            Self::Cg(iterations) => {
                Box::new(Cg { tolerance: 1e-8, most_iterations: *iterations, truncate: true })
            }
        })
    }

    /// What its figures were measured on.
    pub fn rung(&self) -> &'static str {
        match self {
            Self::Board(..) | Self::Rlc(_) | Self::Array(_) | Self::KfacBoard(_) => "sim",
            _ => "digital",
        }
    }
}

/// A board whose parts are drawn from `seed`.
fn uri(profile: &str, seed: u64) -> String {
    format!("sim:profile={profile},seed={seed}")
}

fn rc_board(profile: &str, seed: u64) -> Result<RcBoard> {
    Ok(RcBoard::calibrate(open(&uri(profile, seed))?, &RcCalibrateOptions::default())?)
}

/// What makes a step of a gradient.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// The gradient itself by a rule.
    Plain(Rule),
    /// The natural gradient, by SGD without momentum.
    Natural(Source, Settings),
}

/// An optimizer with all its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Name in tables and plots.
    pub name: String,
    /// What makes a step.
    pub method: Method,
    /// Learning rate.
    pub schedule: Schedule,
}

impl Recipe {
    /// Adam, η of step k being `rate`/(1 + `decay` k).
    pub fn adam(rate: f64, decay: f64) -> Self {
        Self {
            name: "Adam".into(),
            method: Method::Plain(Rule::ADAM),
            schedule: Schedule { rate, decay },
        }
    }

    /// A natural gradient.
    pub fn natural(name: &str, source: Source, settings: Settings, rate: f64, decay: f64) -> Self {
        Self {
            name: name.into(),
            method: Method::Natural(source, settings),
            schedule: Schedule { rate, decay },
        }
    }

    /// Its rung: `digital`, or `sim` where a simulated board's converters are read.
    pub fn rung(&self) -> &'static str {
        match &self.method {
            Method::Plain(_) => "digital",
            Method::Natural(source, _) => source.rung(),
        }
    }

    /// The optimizer, for parameters in such number.
    ///
    /// # Errors
    /// Settings out of range, boards that do not run.
    pub fn open(&self, params: usize, seed: u64) -> Result<Box<dyn Optimizer<NetworkModel>>> {
        Ok(match &self.method {
            Method::Plain(rule) => Box::new(Descent::new(params, *rule, self.schedule)?),
            Method::Natural(source, settings) => {
                let descent = Descent::new(params, Rule::Sgd { momentum: 0.0 }, self.schedule)?;
                let settings = Settings { seed, ..*settings };
                Box::new(Tngd::new(source.open(seed)?, settings, descent)?)
            }
        })
    }
}

/// Images to train on and to judge by, and what learns them.
#[derive(Debug)]
pub struct Data {
    /// Network and batches.
    pub task: Task,
    /// Trained on.
    pub train: Examples,
    /// Judged by.
    pub judged: Examples,
}

impl Data {
    /// The first 10,000 training images, judged by the last 10,000 of the training set.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub fn validation(folder: &Path) -> Result<Self> {
        let (train, judged) = Mnist::read(folder)?.validation();
        Ok(Self { task: Task::CONVNET, train: train.split(EXAMPLES).0, judged })
    }

    /// The first `examples` training images, judged by the test set.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub fn test(folder: &Path, examples: usize) -> Result<Self> {
        let Mnist { train, test } = Mnist::read(folder)?;
        Ok(Self { task: Task::CONVNET, train: train.split(examples).0, judged: test })
    }

    /// The same images for another task.
    #[must_use]
    pub fn on(self, task: Task) -> Self {
        Self { task, ..self }
    }
}

/// A look at a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Wall time of the steps, without looks and the board's calibration.
    pub seconds: f64,
    /// Mean loss of the batches since the last look.
    pub loss: f64,
    /// Part of the judged images that the network gets right.
    pub accuracy: f64,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Looks.
    pub points: Vec<Point>,
    /// Whether it ended early since numbers were no longer finite; the last look stands for the rest.
    pub diverged: bool,
}

impl Run {
    /// The last look.
    ///
    /// # Panics
    /// There is none.
    pub fn last(&self) -> Point {
        *self.points.last().expect("a look")
    }

    /// The look at a step.
    ///
    /// # Panics
    /// There was none at this step.
    pub fn at(&self, step: u64) -> Point {
        *self.points.iter().find(|point| point.step == step).expect("a look at this step")
    }
}

/// Trains the task's network from the seed's parameters, on the seed's order of batches, and looks at
/// it after `looks` steps (ascending).
///
/// # Errors
/// What keeps it from running, divergence apart.
pub fn train(recipe: &Recipe, data: &Data, seed: u64, looks: &[u64]) -> Result<Run> {
    let model = NetworkModel::new((data.task.network)()?, Loss::SoftmaxCrossEntropy);
    let mut theta = model.network.init(seed);
    let mut optimizer = recipe.open(theta.len(), seed)?;
    let mut batches = Batches::new(&data.train, Course { batch: data.task.batch, seed })?;
    let (mut done, mut diverged, mut took) = (0, false, Duration::ZERO);
    let mut points = Vec::new();
    for &look in looks {
        let (mut losses, from) = (0.0, done);
        while done < look && !diverged {
            let batch = batches.of_step(done);
            let begun = Instant::now();
            match optimizer.step(&model, &mut theta, &batch) {
                Ok(step) => losses += step.loss,
                Err(error) if is_divergence(&error) => diverged = true,
                Err(error) => return Err(error.into()),
            }
            took += begun.elapsed();
            done += u64::from(!diverged);
        }
        let accuracy =
            evaluate(&model, &theta, &data.judged).map_or(CHANCE, |score| score.accuracy);
        let loss = losses / (done - from).max(1) as f64;
        points.push(Point { step: look, seconds: took.as_secs_f64(), loss, accuracy });
    }
    Ok(Run { points, diverged })
}

fn is_divergence(error: &OptimError) -> bool {
    matches!(
        error,
        OptimError::NotFinite { .. }
            | OptimError::Model(tngd::model::ModelError::NotFinite(_))
            | OptimError::Backend(
                BackendError::NotFinite(_) | BackendError::NotPositiveDefinite { .. }
            )
    )
}
