//! The file of metrics.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tngd::optim::Step;

use super::view::Evaluation;
use crate::exit::{Exit, Failure};

/// A file of metrics, a JSON object a line.
pub(super) struct Log(Option<(BufWriter<File>, PathBuf)>);

impl Log {
    pub(super) fn open(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = File::create(path).map_err(|error| unwritten(path, &error))?;
        Ok(Self(Some((BufWriter::new(file), path.clone()))))
    }

    pub(super) fn step(&mut self, step: u64, done: &Step) -> Result<(), Failure> {
        self.line(&serde_json::json!({
            "step": step, "loss": done.loss, "damping": done.damping,
            "products": done.report.as_ref().map(|report| report.products),
            "statistical_error": done.report.as_ref().and_then(|report| report.statistical_error),
        }))
    }

    pub(super) fn evaluation(&mut self, at: Option<&Evaluation>) -> Result<(), Failure> {
        self.line(&serde_json::json!({ "evaluation": at }))
    }

    fn line(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.0 else { return Ok(()) };
        writeln!(file, "{value}").map_err(|error| unwritten(path, &error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        let Some((mut file, path)) = self.0 else { return Ok(()) };
        file.flush().map_err(|error| unwritten(&path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Output, format!("{}: {error}", path.display()))
}
