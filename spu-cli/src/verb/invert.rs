//! `spu invert`: inverts a matrix on one or more copies of a board.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use ndarray::Array2;
use spu_driver::blocks::{Boards, invert_blocks};
use spu_driver::ensemble::invert_copies_by;
use spu_driver::matrix::SpdMatrix;
use spu_driver::refine::{Refinement, refine};
use spu_driver::route::RouteChoice;

use super::calibrated::{Ready, RunArgs};
use super::invert_large::{LargeAnswer, LargeRun};
use super::invert_view::{InvertAnswer, Request};
use super::mitigate::MitigateArg;
use super::route::{MethodName, RefineView, RouteArg};
use super::{BudgetArgs, MatrixArg, Written, command};
use crate::answer::Either;
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
    /// Copies of the board that invert at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    copies: u8,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    mitigate: MitigateArg,
    #[command(flatten)]
    route: RouteArg,
    /// Refine the inverse until ‖I − A X‖ (Frobenius) is at most TOL, e.g. 1e-6
    #[arg(long, value_name = "TOL")]
    refine: Option<f64>,
    /// How it is refined
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = MethodName::NewtonSchulz, requires = "refine")]
    refine_by: MethodName,
    /// Write a report with plots: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the inverse (mean of the copies that agree): .npy, .mtx or .csv
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// The inverse of a matrix that fits the board, or of a larger one.
pub(crate) type Inverted = Either<InvertAnswer, LargeAnswer>;

impl Invert {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<Inverted, Failure> {
        self.check_outputs()?;
        if self.route.needs_refinement() && self.refine.is_none() {
            return Err(Failure::usage(
                "by splitting the board holds another matrix; add --refine TOL, or take another route",
            ));
        }
        let a = self.matrix.read()?;
        self.mitigate.check()?;
        let mut ready = self.run.open(usize::from(self.copies), self.budget.budget(), interrupt)?;
        ready.options = self.mitigate.apply(ready.options);
        let meter = Meter::new(ready.devices.len(), json);
        let cells = ready.devices.iter().map(|device| device.info().cells).min().unwrap_or(0);
        let result = if a.n() > cells {
            interrupt.says(super::blocks_view::ON_INTERRUPT);
            self.blocks(ready, &a, &meter)
        } else {
            self.whole(ready, &a, &meter)
        };
        meter.finish();
        result
    }

    /// A matrix that fits the board.
    fn whole(&self, mut ready: Ready, a: &SpdMatrix, meter: &Meter) -> Result<Inverted, Failure> {
        let uris = ready.uris();
        let choice = self.route.choice(self.refine.is_some());
        let started = Instant::now();
        let result = invert_copies_by(&mut ready.devices, a, &ready.options, choice, meter)?;
        let before = ready.calibration.wall_s();
        let request = Request {
            uris,
            seed: self.run.seed,
            command: command(),
            wall_s: before + started.elapsed().as_secs_f64(),
            calibration: ready.calibration,
        };
        let mut answer = InvertAnswer::new(&self.matrix, a, &result, request);
        let mut inverse = result.mean;
        if let Some(tolerance) = self.refine.filter(|_| !answer.cancelled()) {
            // The first read is the one that was just made.
            let mut boards = Boards::new(&mut ready.devices, ready.options).by(choice).after(1);
            let refined = self.refined(&mut boards, a, &inverse, tolerance, meter)?;
            answer.refinement = Some(RefineView::new(&refined, tolerance, &result.reference));
            inverse = refined.inverse;
            answer.wall_s = before + started.elapsed().as_secs_f64();
        }
        answer.files.extend(self.write_inverse(&inverse));
        if let Some(path) = &self.report {
            let result = matrix_file::write_atomically(path, report::render(&answer).as_bytes());
            answer.files.push(Written::new(path, "report", result));
        }
        Ok(Inverted::First(Box::new(answer)))
    }

    /// A larger matrix.
    fn blocks(&self, mut ready: Ready, a: &SpdMatrix, meter: &Meter) -> Result<Inverted, Failure> {
        if self.report.is_some() {
            return Err(Failure::usage(
                "--report shows matrices that fit the board; use --output or --json",
            ));
        }
        let uris = ready.uris();
        // What is refined is the whole, so its leaves are chosen for their own error.
        let choice = self.route.choice(false);
        if choice == RouteChoice::Only(spu_driver::route::Route::Splitting) {
            return Err(Failure::usage("blocks are not split; take another route"));
        }
        let rung = ready.rung();
        let started = Instant::now();
        let mut boards = Boards::new(&mut ready.devices, ready.options).by(choice);
        let result = invert_blocks(&mut boards, a, meter)?;
        let reference = a.digital_inverse();
        let before = ready.calibration.wall_s();
        let run = LargeRun { uris, rung, seed: self.run.seed, calibration: ready.calibration };
        let mut answer = LargeAnswer::new(&self.matrix, a, &result, &reference, run);
        let mut inverse = result.inverse;
        if let Some(tolerance) = self.refine {
            let refined = self.refined(&mut boards, a, &inverse, tolerance, meter)?;
            answer.refinement = Some(RefineView::new(&refined, tolerance, &reference));
            inverse = refined.inverse;
        }
        answer.wall_s = before + started.elapsed().as_secs_f64();
        answer.files.extend(self.write_inverse(&inverse));
        Ok(Inverted::Second(Box::new(answer)))
    }

    fn refined(
        &self,
        boards: &mut Boards<'_>,
        a: &SpdMatrix,
        start: &Array2<f64>,
        tolerance: f64,
        meter: &Meter,
    ) -> Result<Refinement, Failure> {
        Ok(refine(boards, a, start, tolerance, self.refine_by.into(), meter)?)
    }

    /// Refuses what would fail after a long run.
    fn check_outputs(&self) -> Result<(), Failure> {
        if let Some(path) = &self.output {
            matrix_file::Format::of(path)?;
        }
        if let Some(tolerance) = self.refine {
            super::check_tolerance(tolerance)?;
        }
        for path in self.output.iter().chain(&self.report) {
            matrix_file::check_writable(path)?;
        }
        Ok(())
    }

    fn write_inverse(&self, inverse: &Array2<f64>) -> Option<Written> {
        let path = self.output.as_ref()?;
        Some(Written::new(path, "inverse", matrix_file::write(path, inverse)))
    }
}
