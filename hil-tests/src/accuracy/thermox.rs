//! Side by side with thermox (arXiv 2308.05660's sampler on a digital computer): the same matrix and the
//! same number of independent samples, in turns on the same machine.
//!
//! Both sides run in processes that are warm: thermox after each variant was compiled and run once, the
//! board opened and calibrated. A board's time is that of planning, programming, settling, sampling and
//! reading the inverse with its error bars.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use spu_driver::blocks::{Boards, invert_blocks};
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::linalg::relative_error;
use spu_driver::matrix::SpdMatrix;
use spu_driver::route::{Route, RouteChoice};

use super::boards::{Calibrated, calibrated_copies, effective};
use super::errors::profile_name;
use super::matrices;

/// Environment variable that names a Python which has thermox.
pub const PYTHON: &str = "SPU_THERMOX_PYTHON";
/// `rev-b` with so little resistance that samples decorrelate soon.
pub const REV_B_LOW_Q: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/accuracy/rev-b-low-q.toml");
/// The script that runs thermox.
const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/thermox/worker.py");

/// One side's rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Wall time of each round, in seconds.
    pub seconds: Vec<f64>,
    /// Relative Frobenius error of each round.
    pub errors: Vec<f64>,
}

impl Side {
    const fn new() -> Self {
        Self { seconds: Vec::new(), errors: Vec::new() }
    }

    /// The shortest round.
    pub fn shortest(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Root mean square error.
    pub fn error(&self) -> f64 {
        let squares: f64 = self.errors.iter().map(|error| error * error).sum();
        (squares / self.errors.len() as f64).sqrt()
    }
}

/// Boards of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardSide {
    /// Profile of the boards, all calibrated.
    pub profile: String,
    /// Simulated copies at work at once, whose inverses are averaged; they share the samples.
    pub copies: u32,
    /// Ticks of each copy.
    pub ticks: u64,
    /// Their rounds.
    pub rounds: Side,
    /// thermox's shortest time over theirs.
    pub speedup: f64,
    /// The same at the error of thermox: their time scaled as the square of the error.
    pub speedup_at_equal_error: f64,
}

/// A variant of thermox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Double precision.
    pub double: bool,
    /// By an associative scan.
    pub associative_scan: bool,
    /// The whole call compiled as one program.
    pub one_program: bool,
    /// Wall time of one run after that which compiles it, in seconds.
    pub seconds: f64,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Rows.
    pub n: usize,
    /// Generator of the matrix.
    pub generator: String,
    /// Seed of matrix and boards.
    pub seed: u64,
    /// Condition number.
    pub condition: f64,
    /// Independent samples of each side; of matrices larger than a board those of each leaf.
    pub samples: u64,
    /// Versions of thermox and jax.
    pub versions: String,
    /// Variants of thermox.
    pub variants: Vec<Variant>,
    /// Rounds of the fastest of them.
    pub thermox: Side,
    /// Boards.
    pub boards: Vec<BoardSide>,
}

/// What thermox's process says when it is ready.
#[derive(Deserialize)]
struct Ready {
    versions: String,
    variants: Vec<Variant>,
}

/// What it says after a round.
#[derive(Deserialize)]
struct Round {
    seconds: f64,
    inverse: Vec<Vec<f64>>,
}

/// thermox, in a process of its own.
struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(a: &SpdMatrix, samples: u64, few: bool) -> Result<(Self, Ready)> {
        let python = std::env::var_os(PYTHON).with_context(|| {
            format!(
                "{PYTHON} is not set: a Python that has thermox (python3 -m venv venv && \
                 venv/bin/pip install thermox==0.0.6)"
            )
        })?;
        let mut process = Command::new(&python)
            .arg(WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", python.display()))?;
        let orders = process.stdin.take().context("no input")?;
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        let mut worker = Self { process, orders, answers };
        let rows: Vec<Vec<f64>> = a.entries().rows().into_iter().map(|r| r.to_vec()).collect();
        let order = serde_json::json!({ "matrix": rows, "samples": samples, "few": few });
        let ready = worker.order(&order.to_string()).context("thermox did not start")?;
        Ok((worker, ready))
    }

    fn order<T: serde::de::DeserializeOwned>(&mut self, line: &str) -> Result<T> {
        writeln!(self.orders, "{line}")?;
        self.orders.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        anyhow::ensure!(!answer.is_empty(), "it ended; what it said is above");
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Boards of one kind at work.
struct Contender {
    side: BoardSide,
    boards: Calibrated,
}

impl Contender {
    fn new(profile: &str, copies: u32, seed: u64) -> Result<Self> {
        let side = BoardSide {
            profile: profile_name(profile),
            copies,
            ticks: 0,
            rounds: Side::new(),
            speedup: f64::NAN,
            speedup_at_equal_error: f64::NAN,
        };
        Ok(Self { side, boards: calibrated_copies(profile, seed, copies)? })
    }

    fn round(&mut self, a: &SpdMatrix, truth: &Array2<f64>, samples: u64, seed: u64) -> Result<()> {
        let options =
            InvertOptions { seed, budget: effective(samples), ..self.boards.options.clone() };
        let started = Instant::now();
        let mut boards = Boards::new(&mut self.boards.devices, options);
        if a.n() <= boards.cells()? {
            // The board holds the matrix as it is; other routes need not be planned.
            boards = boards.by(RouteChoice::Only(Route::Direct));
        }
        let result = invert_blocks(&mut boards, a, &Quiet)?;
        let rounds = &mut self.side.rounds;
        rounds.seconds.push(started.elapsed().as_secs_f64());
        rounds.errors.push(relative_error(&result.inverse, truth));
        self.side.ticks = result.ticks.0;
        Ok(())
    }
}

/// Compares on a matrix that couplings of one sign hold: diagonally dominant, of `n` rows. With `few` only
/// the variants of thermox in single precision, compiled as one program, take part: as a rule the fastest is
/// among them.
///
/// # Errors
/// Where there is no thermox; what keeps a board from running.
pub fn compare(
    n: usize,
    samples: u64,
    rounds: u64,
    kinds: &[(&str, u32)],
    seed: u64,
    few: bool,
) -> Result<Comparison> {
    let a = matrices::dominant(n, seed)?;
    let truth = a.digital_inverse();
    let (mut thermox, ready) = Worker::start(&a, samples, few)?;
    let mut contenders = kinds
        .iter()
        .map(|&(profile, copies)| Contender::new(profile, copies, seed))
        .collect::<Result<Vec<_>>>()?;
    let mut theirs = Side::new();
    for round in 0..rounds {
        for contender in &mut contenders {
            contender.round(&a, &truth, samples, seed + round)?;
        }
        let answer: Round = thermox.order(&format!("{{\"seed\": {}}}", seed + round))?;
        theirs.seconds.push(answer.seconds);
        let flat = answer.inverse.into_iter().flatten().collect();
        theirs.errors.push(relative_error(&Array2::from_shape_vec((n, n), flat)?, &truth));
    }
    let boards = contenders.into_iter().map(|Contender { mut side, .. }| {
        side.speedup = theirs.shortest() / side.rounds.shortest();
        side.speedup_at_equal_error = side.speedup * (theirs.error() / side.rounds.error()).powi(2);
        side
    });
    Ok(Comparison {
        n,
        generator: "dominant".into(),
        seed,
        condition: a.condition(),
        samples,
        versions: ready.versions,
        variants: ready.variants,
        boards: boards.collect(),
        thermox: theirs,
    })
}
