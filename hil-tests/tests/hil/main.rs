//! One suite for every rung; the device comes from `SPU_DEVICE` (default `sim`).
//!
//! ```text
//! cargo test -p hil-tests                                   # every simulated profile, and rev-a
//!                                                           # served over each link
//! SPU_DEVICE=unix:/tmp/spu.sock cargo test -p hil-tests     # a board that `spu-sim` serves there
//! SPU_DEVICE=serial:/dev/ttyACM0 cargo test -p hil-tests    # a board
//! cargo test -p hil-tests -- rev-b::conformance             # a part, by name
//! ```
//!
//! Several devices, separated by commas, are each tested alone and together as copies. A test that
//! a rung cannot run is reported as ignored, with the reason, and counted on standard error; it is
//! never counted as passed. Where every test is a process of its own (nextest), give a board one
//! at a time: `-j 1`.

mod bench;
mod conformance;
mod copies;
mod flashing;
mod inversion;
mod qemu;
mod served;
mod statistics;
mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Trial};

use crate::bench::{Bench, Case};

/// Suites that run on one board.
const SUITES: [(&str, &[Case]); 3] = [
    ("conformance", conformance::CASES),
    ("inversion", inversion::CASES),
    ("statistics", statistics::CASES),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let uris = spu_driver::default_uri();
    let (alone, together) = match bench::open(&uris) {
        Ok(benches) => benches,
        Err(error) => {
            eprintln!("error: no test was run, {uris} does not open: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut skipped = Skipped::default();
    let mut trials = Vec::new();
    for bench in alone {
        for (suite, cases) in SUITES {
            add(&bench, suite, cases, &arguments, &mut trials, &mut skipped);
        }
    }
    for bench in together {
        add(&bench, "copies", copies::CASES, &arguments, &mut trials, &mut skipped);
    }
    if uris == "sim" {
        for (name, bench) in served::open() {
            match bench {
                Ok(bench) => {
                    for (suite, cases) in served::SUITES {
                        add(&bench, suite, cases, &arguments, &mut trials, &mut skipped);
                    }
                }
                Err(reason) => {
                    for case in served::SUITES.iter().flat_map(|(_, cases)| *cases) {
                        let name = format!("rev-a.{name}::{}", case.name);
                        trials.push(skip(name, reason.clone(), &arguments, &mut skipped));
                    }
                }
            }
        }
    }
    if uris == "sim" || uris == "qemu" {
        match qemu::open() {
            Ok(bench) => {
                // The statistics are the FPGA's and the cells', which are those in process.
                let suites =
                    SUITES.into_iter().filter(|(suite, _)| uris == "sim" && *suite != "statistics");
                for (suite, cases) in suites.chain([
                    ("copies", copies::CASES),
                    ("qemu", qemu::CASES),
                    ("flashing", flashing::CASES),
                ]) {
                    add(&bench, suite, cases, &arguments, &mut trials, &mut skipped);
                }
            }
            Err(reason) => {
                for case in SUITES.iter().flat_map(|(_, cases)| *cases).chain(qemu::CASES) {
                    let name = format!("rev-a.qemu::{}", case.name);
                    trials.push(skip(name, reason.clone(), &arguments, &mut skipped));
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        skipped.print();
    }
    conclusion.exit_code()
}

/// Names of the tests that were skipped, by reason.
#[derive(Default)]
struct Skipped(BTreeMap<String, Vec<String>>);

impl Skipped {
    fn print(&self) {
        let count: usize = self.0.values().map(Vec::len).sum();
        eprintln!("{count} tests skipped, which says nothing about the device");
        for (reason, names) in &self.0 {
            eprintln!("  {} skipped: {reason}", names.len());
            for name in names {
                eprintln!("    {name}");
            }
        }
    }
}

fn add(
    bench: &Arc<Bench>,
    suite: &str,
    cases: &'static [Case],
    arguments: &Arguments,
    trials: &mut Vec<Trial>,
    skipped: &mut Skipped,
) {
    for case in cases {
        let name = format!("{}::{suite}::{}", bench.name(), case.name);
        let missing: Vec<String> =
            case.needs.iter().filter_map(|need| bench.lacks(*need)).collect();
        let trial = if missing.is_empty() {
            let bench = Arc::clone(bench);
            Trial::test(name, move || {
                (case.run)(&bench)?;
                Ok(())
            })
        } else {
            skip(name, missing.join("; "), arguments, skipped)
        };
        trials.push(trial);
    }
}

/// A test that cannot run.
fn skip(name: String, reason: String, arguments: &Arguments, skipped: &mut Skipped) -> Trial {
    let shown = format!("skipped: {reason}");
    let trial = Trial::ignorable_test(name.clone(), || Ok(Completion::ignored_with(shown)));
    if !arguments.is_filtered_out(&trial) {
        skipped.0.entry(reason).or_default().push(name);
    }
    trial
}
