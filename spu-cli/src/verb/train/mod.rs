//! `spu train`: trains a network with a board in the optimizer's loop.

mod boards;
mod choices;
mod learner;
mod metrics;
mod plot;
mod seen;
mod tensorboard;
mod view;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use spu_driver::invert::Progress as _;
use spu_driver::{CancelHandle, Error};
use tngd::backend::{
    Array, BackendError, Cg, DigitalInverter, DigitalRelaxer, Euler, ExactLaw, Krylov,
    NaturalGradient, Relaxer, Woodbury,
};
use tngd::curvature::Damping;
use tngd::data::{Examples, Mnist};
use tngd::loss::Loss;
use tngd::model::Model as _;
use tngd::nn::{Network, NetworkModel};
use tngd::optim::{
    Checkpoint, Descent, OptimError, Optimizer as _, Rule, Schedule, Settings, Tngd,
};
use tngd::train::{Batches, Course, evaluate};

use super::DeviceArg;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file::{check_writable, write_atomically};
use crate::progress::Meter;
use boards::BoardArgs;
use choices::Set;
pub(crate) use choices::{BackendName, Method};
use learner::{Learner, Progress, Saved};
use metrics::Log;
use seen::Seen;
use view::{Evaluation, Seconds, TrainAnswer};

/// Train a network: the board does the natural gradient's relaxation, the host the rest
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// What to train on
    #[arg(value_enum)]
    set: Set,
    /// Folder of the IDX files; `cargo xtask data mnist` fetches them
    #[arg(long, value_name = "FOLDER", default_value = ".cache/mnist")]
    data: PathBuf,
    /// Training images to use, the first so many
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    examples: usize,
    /// Evaluate on the last 10,000 training images instead of the test set: to choose settings by
    #[arg(long)]
    validate: bool,
    #[arg(long, value_enum, default_value_t = Method::Tngd)]
    optimizer: Method,
    /// What relaxes (tngd): a board, or a digital emulation
    #[arg(long, value_enum, default_value_t = BackendName::Board)]
    backend: BackendName,
    /// Digital backend that goes on where the board fails
    #[arg(long, value_enum)]
    fallback: Option<BackendName>,
    /// Cells of the Krylov space (board, krylov)
    #[arg(long, value_name = "K", default_value_t = 8)]
    cells: usize,
    /// Examples of a batch
    #[arg(long, value_name = "B", default_value_t = 64)]
    batch: usize,
    /// Epochs
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "steps")]
    epochs: u64,
    /// Steps, instead of epochs
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Learning rate [default: 0.1 for tngd, 0.03 with a kfac backend, 0.001 for the Adam rules, 0.1 for sgd]
    #[arg(long, value_name = "ETA")]
    rate: Option<f64>,
    /// The rate of step k is ETA / (1 + DECAY k)
    #[arg(long, value_name = "DECAY", default_value_t = 0.01)]
    decay: f64,
    /// Momentum of the SGD rules
    #[arg(long, value_name = "MU", default_value_t = 0.0)]
    momentum: f64,
    /// Damping λ of the curvature
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.03)]
    damping: f64,
    /// Analog time of a step in units of τ; `inf` for the natural gradient itself, the only one of an RLC
    /// board [default: 1, inf for the kfac backends]
    #[arg(long, value_name = "T")]
    time: Option<f64>,
    /// Time in τ for which the last batch still acts after a read
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    delay: f64,
    /// Noise strength κ0 of the cells
    #[arg(long, value_name = "KAPPA", default_value_t = 0.0)]
    noise: f64,
    /// Seed of parameters, batches and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Evaluate each so many steps, and at the end [default: at each epoch's end]
    #[arg(long, value_name = "N")]
    evaluate_every: Option<u64>,
    /// Write a line of JSON for each step and each evaluation
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write event files for TensorBoard into this folder
    #[arg(long, value_name = "FOLDER")]
    tensorboard: Option<PathBuf>,
    /// Write an HTML page of loss and accuracy against steps and time
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write a checkpoint at each evaluation, and where the run stops early
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on from a checkpoint: bit for bit as if the run had not been stopped
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    boards: BoardArgs,
}

impl Train {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<TrainAnswer, Failure> {
        for path in self.metrics.iter().chain(&self.checkpoint).chain(&self.plot) {
            check_writable(path)?;
        }
        if self.batch == 0 {
            return Err(Failure::usage(
                "a batch of 0 examples has no gradient; give --batch 1 or more",
            ));
        }
        if self.fallback.is_some_and(BackendName::is_board) {
            return Err(Failure::usage("a fallback is a digital backend, not the board itself"));
        }
        let (examples, judged) = self.read()?;
        let mut log = Log::open(self.metrics.as_ref(), self.tensorboard.as_ref())?;
        let model = NetworkModel::new(Network::mnist_convnet(), Loss::SoftmaxCrossEntropy);
        let cancel = CancelHandle::new();
        interrupt
            .says("stopping after this step and keeping what was trained; press again to quit");
        interrupt.watch_handle(cancel.clone());
        let started = Instant::now();
        let (mut theta, mut learner, from) = self.start(&model)?;
        let prepared_s = started.elapsed().as_secs_f64();
        let course = Course { batch: self.batch, seed: self.seed };
        let mut batches =
            Batches::new(&examples, course).map_err(|error| Failure::usage(error.to_string()))?;
        let per_epoch = batches.per_epoch();
        let steps = self.steps.unwrap_or(self.epochs.saturating_mul(per_epoch));
        let every = self.evaluate_every.unwrap_or(per_epoch).max(1);
        let meter = Meter::counting(1, json, "steps");
        let mut seen = Seen::default();
        let mut done = from;
        while done < steps && !cancel.is_cancelled() {
            let batch = batches.of_step(done);
            let begun = Instant::now();
            let step = match learner.step(&model, &mut theta, &batch) {
                Ok(step) => step,
                Err(OptimError::Backend(BackendError::Device { label, source }))
                    if self.fallback.is_some() && learner.is_device() =>
                {
                    eprintln!("{label} failed at step {done}: {source}; going on digitally");
                    learner = self.fall_back(learner)?;
                    seen.fell_back_at = Some(done);
                    continue;
                }
                Err(error) => {
                    meter.finish();
                    self.save(&theta, &learner, done)?;
                    return Err(self.failure(&error, done));
                }
            };
            seen.add(done, &step, begun.elapsed());
            let wrote = log.step(done, &step);
            done += 1;
            meter.update(0, done, steps);
            let mut due = done.is_multiple_of(every) || done == steps;
            due |= cancel.is_cancelled() || wrote.is_err();
            if due {
                let score = evaluate(&model, &theta, &judged)
                    .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
                let seconds = seen.training.as_secs_f64();
                seen.evaluations.push(Evaluation::new(done, per_epoch, seconds, score));
                self.save(&theta, &learner, done)?;
                wrote.and_then(|()| log.evaluation(seen.evaluations.last()))?;
            }
        }
        meter.finish();
        log.finish()?;
        let answer = TrainAnswer {
            optimizer: self.optimizer,
            backend: self.optimizer.is_natural().then_some(self.backend),
            label: learner.label(),
            is_device: learner.is_device(),
            fell_back_at: seen.fell_back_at,
            examples: examples.len(),
            judged_on: if self.validate { "validation images" } else { "test images" },
            parameters: theta.len(),
            batch: self.batch,
            steps: done,
            resumed_from: (from > 0).then_some(from),
            stopped: done < steps,
            seed: self.seed,
            evaluations: seen.evaluations,
            last_loss: seen.last_loss,
            prepared_s,
            training_s: seen.training.as_secs_f64(),
            phases: Seconds::of(seen.gradient, &seen.phases, seen.update),
            products: seen.products,
            statistical_error: seen.statistical_error,
            drift: seen.drift,
            damping: self.damping,
            checkpoint: self.checkpoint.clone(),
            metrics: self.metrics.clone(),
            tensorboard: self.tensorboard.clone(),
            plot: self.plot.clone(),
            version: env!("CARGO_PKG_VERSION"),
        };
        if let Some(path) = &self.plot {
            write_atomically(path, plot::render(&answer, &seen.losses).as_bytes())?;
        }
        Ok(answer)
    }

    /// Training examples, and those that it is judged by.
    fn read(&self) -> Result<(Examples, Examples), Failure> {
        let Set::Mnist = self.set;
        let mnist = Mnist::read(&self.data)
            .map_err(|error| Failure::new(Exit::Input, error.to_string()))?;
        let all = mnist.train.len();
        let usable = if self.validate { all.saturating_sub(Mnist::HELD_OUT) } else { all };
        if self.examples == 0 || self.examples > usable {
            return Err(Failure::usage(format!(
                "--examples {}: there are {usable} to train on; give 1 to {usable}",
                self.examples
            )));
        }
        if !self.validate {
            return Ok((mnist.train.split(self.examples).0, mnist.test));
        }
        let (train, held_out) = mnist.validation();
        Ok((train.split(self.examples).0, held_out))
    }

    /// Parameters, learner and the step to go on from.
    fn start(&self, model: &NetworkModel) -> Result<(Vec<f32>, Learner, u64), Failure> {
        if let Some(path) = &self.resume {
            let saved = Checkpoint::<Progress>::load(path)
                .map_err(|error| Failure::new(Exit::Input, error.to_string()))?;
            let Progress { step, course_seed, learner } = saved.state;
            if course_seed != self.seed || saved.theta.len() != model.params() {
                return Err(Failure::new(
                    Exit::Input,
                    format!(
                        "{} is of a run with --seed {course_seed} and {} parameters, this one has --seed \
                         {} and {}; give the options of that run",
                        path.display(),
                        saved.theta.len(),
                        self.seed,
                        model.params()
                    ),
                ));
            }
            let learner = match learner {
                Saved::Plain(descent) if !self.optimizer.is_natural() => Learner::Plain(descent),
                Saved::Natural(state) if self.optimizer.is_natural() => {
                    let backend = self.backend(self.backend)?;
                    Learner::Natural(Tngd::resume(backend, state).map_err(|error| refused(&error))?)
                }
                _ => {
                    return Err(Failure::new(
                        Exit::Input,
                        format!("{} is of another optimizer; give its --optimizer", path.display()),
                    ));
                }
            };
            return Ok((saved.theta, learner, step));
        }
        let theta = model.network.init(self.seed);
        let rate = self.rate.unwrap_or(match self.optimizer {
            Method::TngdAdam | Method::Adam => 1e-3,
            Method::Tngd if self.backend.is_kfac() => 0.03,
            Method::Tngd | Method::Sgd => 0.1,
        });
        let rule = if self.optimizer.is_adam() {
            Rule::ADAM
        } else {
            Rule::Sgd { momentum: self.momentum }
        };
        let descent = Descent::new(theta.len(), rule, Schedule { rate, decay: self.decay })
            .map_err(|error| refused(&error))?;
        if !self.optimizer.is_natural() {
            return Ok((theta, Learner::Plain(descent), 0));
        }
        let settings = Settings {
            damping: Damping::Constant(self.damping),
            time: self.time(),
            delay: self.delay,
            noise: self.noise,
            seed: self.seed,
            ..Settings::default()
        };
        // Settings first: nothing is opened for a run that cannot be.
        Tngd::new(Box::new(Woodbury), settings, descent.clone())
            .map_err(|error| refused(&error))?;
        let backend = self.backend(self.backend)?;
        let tngd = Tngd::new(backend, settings, descent).map_err(|error| refused(&error))?;
        Ok((theta, Learner::Natural(tngd), 0))
    }

    fn backend(&self, name: BackendName) -> Result<Box<dyn NaturalGradient>, Failure> {
        let krylov = |relaxer: Box<dyn Relaxer>| -> Result<Box<dyn NaturalGradient>, Failure> {
            let krylov = Krylov::new(relaxer, self.cells)
                .map_err(|error| Failure::new(Exit::NotProgrammable, error.to_string()))?;
            Ok(Box::new(krylov))
        };
        match name {
            BackendName::Board => {
                krylov(self.boards.relaxer(|label| self.equilibrium_only(label))?)
            }
            BackendName::KfacBoard => {
                self.equilibrium_only("kfac-board".into())?;
                self.boards.kfac(self.boards.inverter()?)
            }
            BackendName::Array => Ok(Box::new(Array::new(self.boards.device.open()?)?)),
            BackendName::Krylov => krylov(Box::new(DigitalRelaxer::new(self.cells))),
            BackendName::ExactLaw => Ok(Box::new(ExactLaw::default())),
            BackendName::Euler => Ok(Box::new(Euler::default())),
            BackendName::Woodbury => {
                self.equilibrium_only(Woodbury.label())?;
                Ok(Box::new(Woodbury))
            }
            BackendName::Cg => {
                self.equilibrium_only(Cg::default().label())?;
                Ok(Box::new(Cg::default()))
            }
            BackendName::Kfac => {
                self.equilibrium_only("kfac".into())?;
                self.boards.kfac(Box::new(DigitalInverter))
            }
        }
    }

    fn time(&self) -> f64 {
        self.time.unwrap_or(if self.backend.is_kfac() { f64::INFINITY } else { 1.0 })
    }

    /// Refuses finite times for what has none.
    fn equilibrium_only(&self, label: String) -> Result<(), Failure> {
        let time = if self.time().is_finite() { self.time() } else { self.delay };
        if self.time().is_infinite() && time == 0.0 {
            return Ok(());
        }
        Err(refused_by(&BackendError::EquilibriumOnly { label, time }))
    }

    /// The same learner on the digital backend that was asked for.
    fn fall_back(&self, learner: Learner) -> Result<Learner, Failure> {
        let (Learner::Natural(mut tngd), Some(name)) = (learner, self.fallback) else {
            return Err(Failure::new(Exit::Unexpected, "there is no backend to fall back from"));
        };
        tngd.set_backend(self.backend(name)?);
        Ok(Learner::Natural(tngd))
    }

    fn save(&self, theta: &[f32], learner: &Learner, step: u64) -> Result<(), Failure> {
        let Some(path) = &self.checkpoint else { return Ok(()) };
        let state = Progress { step, course_seed: self.seed, learner: learner.saved() };
        Checkpoint::new(theta.to_vec(), state)
            .save(path)
            .map_err(|error| Failure::new(Exit::Output, error.to_string()))
    }

    fn failure(&self, error: &OptimError, done: u64) -> Failure {
        let exit = match error {
            OptimError::Backend(BackendError::Device { source, .. }) => {
                source.downcast_ref::<Error>().map_or(Exit::Fault, Exit::from)
            }
            _ => Exit::Fault,
        };
        let kept = match &self.checkpoint {
            Some(path) => format!("{done} steps are kept in {}", path.display()),
            None => "nothing is kept, for want of --checkpoint".into(),
        };
        Failure::new(exit, format!("{error}; {kept}"))
    }
}

/// A setting that the optimizer refuses.
fn refused(error: &OptimError) -> Failure {
    Failure::usage(error.to_string())
}

/// What a backend refuses.
fn refused_by(error: &BackendError) -> Failure {
    Failure::usage(error.to_string())
}
