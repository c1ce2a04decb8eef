//! The files of metrics: lines of JSON, and event files for TensorBoard.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tngd::optim::Step;

use super::tensorboard::Events;
use super::view::Evaluation;
use crate::exit::{Exit, Failure};

/// What a run writes as it goes.
pub(super) struct Log {
    /// A JSON object a line.
    lines: Option<(BufWriter<File>, PathBuf)>,
    events: Events,
}

impl Log {
    pub(super) fn open(lines: Option<&PathBuf>, events: Option<&PathBuf>) -> Result<Self, Failure> {
        let create = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok((BufWriter::new(file), path.clone())),
            Err(error) => Err(unwritten(path, &error)),
        };
        Ok(Self { lines: lines.map(create).transpose()?, events: Events::open(events)? })
    }

    pub(super) fn step(&mut self, step: u64, done: &Step) -> Result<(), Failure> {
        self.line(&serde_json::json!({
            "step": step, "loss": done.loss, "damping": done.damping,
            "products": done.report.as_ref().map(|report| report.products),
            "statistical_error": done.report.as_ref().and_then(|report| report.statistical_error),
        }))?;
        let mut values = vec![("train/loss", done.loss)];
        values.extend(done.damping.map(|damping| ("train/damping", damping)));
        self.events.scalars(step, &values)
    }

    pub(super) fn evaluation(&mut self, at: Option<&Evaluation>) -> Result<(), Failure> {
        self.line(&serde_json::json!({ "evaluation": at }))?;
        let Some(at) = at else { return Ok(()) };
        let values = [("evaluation/loss", at.loss), ("evaluation/accuracy", at.accuracy)];
        self.events.scalars(at.step, &values)?;
        self.events.flush()
    }

    fn line(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.lines else { return Ok(()) };
        writeln!(file, "{value}").map_err(|error| unwritten(path, &error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        let Some((mut file, path)) = self.lines else { return Ok(()) };
        file.flush().map_err(|error| unwritten(&path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Output, format!("{}: {error}", path.display()))
}
