//! What the suites tell the computer outside: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

/// Writes results; they leave the machine at once.
pub(crate) struct Report {
    out: File,
}

impl Report {
    /// Results go to this file or port.
    pub(crate) fn to(path: &Path) -> anyhow::Result<Self> {
        let out = OpenOptions::new().append(true).create(true).open(path);
        Ok(Self { out: out.with_context(|| format!("{} does not open", path.display()))? })
    }

    fn line(&mut self, value: &Value) -> anyhow::Result<()> {
        self.out.write_all(format!("{value}\n").as_bytes()).context("the report cannot be written")
    }

    /// How a test ended.
    pub(crate) fn test(&mut self, name: &str, outcome: &Outcome) -> anyhow::Result<()> {
        let (word, why) = match outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(why) => ("failed", Some(why)),
            Outcome::Skipped(why) => ("skipped", Some(why)),
        };
        self.line(&json!({ "test": name, "outcome": word, "why": why }))
    }

    /// Runs a test.
    pub(crate) fn run(
        &mut self,
        name: &str,
        test: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let outcome = match test() {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        self.test(name, &outcome)
    }

    /// A measured value.
    pub(crate) fn figure(&mut self, name: &str, value: f64, detail: &str) -> anyhow::Result<()> {
        self.line(&json!({ "figure": name, "value": value, "detail": detail }))
    }

    /// Something to know.
    pub(crate) fn note(&mut self, text: &str) -> anyhow::Result<()> {
        self.line(&json!({ "note": text }))
    }

    /// Nothing follows.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.line(&json!({ "end": true }))
    }
}

/// How a test ended.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}
