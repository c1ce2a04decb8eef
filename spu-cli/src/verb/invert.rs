//! `spu invert`: inverts a matrix on one or more copies of a board.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use spu_driver::ensemble::invert_copies;
use spu_driver::invert::InvertOptions;

use super::invert_view::{InvertAnswer, Request};
use super::{BudgetArgs, DeviceArg, MatrixArg, TimeoutArg, Written, command};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::matrix_file;
use crate::progress::Meter;
use crate::report;

/// Invert a matrix on one or more copies of a board, and compare the copies
#[derive(Debug, Args)]
pub(crate) struct Invert {
    #[command(flatten)]
    matrix: MatrixArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Copies of the board that invert at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    copies: u8,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Seed of the boards' noise generators; each copy gets noise of its own
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write a report with plots: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the inverse (mean of the copies that agree): .npy, .mtx or .csv
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    timeout: TimeoutArg,
}

impl Invert {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<InvertAnswer, Failure> {
        self.check_outputs()?;
        let a = self.matrix.read()?;
        let mut devices = self.device.open_copies(usize::from(self.copies))?;
        interrupt.watch(&devices);
        let options = InvertOptions {
            budget: self.budget.budget(),
            seed: self.seed,
            timeout: self.timeout.timeout,
            ..InvertOptions::default()
        };
        let uris = devices.iter().map(|device| device.uri().to_owned()).collect();
        let meter = Meter::new(devices.len(), json);
        let started = Instant::now();
        let result = invert_copies(&mut devices, &a, &options, &meter);
        meter.finish();
        let request =
            Request { uris, seed: self.seed, command: command(), wall: started.elapsed() };
        let mut answer = InvertAnswer::new(&self.matrix, &a, &result?, request);
        self.write(&mut answer);
        Ok(answer)
    }

    /// Refuses what would fail after a long run.
    fn check_outputs(&self) -> Result<(), Failure> {
        if let Some(path) = &self.output {
            matrix_file::Format::of(path)?;
        }
        for path in self.output.iter().chain(&self.report) {
            matrix_file::check_writable(path)?;
        }
        Ok(())
    }

    fn write(&self, answer: &mut InvertAnswer) {
        if let Some(path) = &self.output {
            let result = matrix_file::write(path, &answer.mean_matrix);
            answer.files.push(Written::new(path, "inverse", result));
        }
        if let Some(path) = &self.report {
            let result = matrix_file::write_atomically(path, report::render(answer).as_bytes());
            answer.files.push(Written::new(path, "report", result));
        }
    }
}
