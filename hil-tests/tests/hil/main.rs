//! One suite for every rung; the device comes from `SPU_DEVICE` (default `sim`).
//!
//! ```text
//! cargo test -p hil-tests                                   # every simulated profile, and rev-a
//!                                                           # served over each link and behind
//!                                                           # emulated microcontrollers
//! SPU_DEVICE=unix:/tmp/spu.sock cargo test -p hil-tests     # a board that `spu-sim` serves there
//! SPU_DEVICE=serial:/dev/ttyACM0 cargo test -p hil-tests    # a board
//! SPU_DEVICE=qemu cargo test -p hil-tests                   # the firmware's image, emulated
//! SPU_DEVICE=rtl cargo test -p hil-tests                    # the gateware under Verilator, whose every
//!                                                           # octet is compared with the simulator's
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
mod relaxation;
mod rtl;
mod served;
mod statistics;
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Trial};
use spu_driver::Error;
use spu_qemu::Board;

use crate::bench::{Bench, Case};

/// Tests of one kind, and its name.
type Suite = (&'static str, &'static [Case]);

/// Suites that run on one board.
const SUITES: [Suite; 4] = [
    ("conformance", conformance::CASES),
    ("inversion", inversion::CASES),
    ("statistics", statistics::CASES),
    ("relaxation", relaxation::CASES),
];

/// The suite that runs on several copies.
const COPIES: Suite = ("copies", copies::CASES);

/// A device and what runs on it.
struct Rung {
    /// Profile of the board and name of the rung, for the names of tests.
    name: String,
    /// The device, or why there is none.
    bench: Result<Arc<Bench>, String>,
    suites: Vec<Suite>,
}

/// What `uris` names; with the simulator come the rungs that start by themselves.
fn rungs(uris: &str) -> Result<Vec<Rung>, Error> {
    let (alone, together) = bench::open(uris)?;
    let opened =
        |bench: Arc<Bench>, suites| Rung { name: bench.name().into(), bench: Ok(bench), suites };
    let mut rungs: Vec<Rung> = alone
        .into_iter()
        .map(|bench| {
            let suites = qemu::board(&bench).map(qemu::suites).or_else(|| rtl::suites(&bench));
            opened(bench, suites.unwrap_or_else(|| SUITES.into()))
        })
        .collect();
    rungs.extend(together.into_iter().map(|bench| opened(bench, vec![COPIES])));
    if uris == "sim" {
        rungs.extend(served::open().into_iter().map(|(name, bench)| Rung {
            name: format!("rev-a.{name}"),
            bench,
            suites: served::SUITES.into(),
        }));
        rungs.push(Rung {
            name: "rev-a.rtl".into(),
            bench: rtl::open(),
            suites: rtl::SUITES.into(),
        });
        rungs.extend(qemu::BOARDS.map(|(name, board)| {
            let copies = (board == Board::default()).then_some(COPIES);
            Rung {
                name: format!("rev-a.{name}"),
                bench: qemu::open(name, board),
                suites: qemu::suites(board).into_iter().chain(copies).collect(),
            }
        }));
    }
    Ok(rungs)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let uris = spu_driver::default_uri();
    let rungs = match rungs(&uris) {
        Ok(rungs) => rungs,
        Err(error) => {
            eprintln!("error: no test was run, {uris} does not open: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut skipped = Skipped::default();
    // Tests of a board wait for each other, and much of the time for its emulator.
    arguments.test_threads.get_or_insert(rungs.len().max(2));
    let mut queues = Vec::new();
    for Rung { name, bench, suites } in rungs {
        let mut trials = VecDeque::new();
        let cases = suites
            .into_iter()
            .flat_map(|(suite, cases)| cases.iter().map(move |case| (suite, case)));
        for (suite, case) in cases {
            let name = format!("{name}::{suite}::{}", case.name);
            trials.push_back(match &bench {
                Ok(bench) => trial(bench, name, case, &arguments, &mut skipped),
                Err(reason) => skip(name, reason.clone(), &arguments, &mut skipped),
            });
        }
        queues.push(trials);
    }
    let conclusion = libtest_mimic::run(&arguments, in_turn(queues));
    if !arguments.list {
        skipped.print();
    }
    conclusion.exit_code()
}

/// One of each queue, then the next of each, so that several boards are at work at once.
fn in_turn(mut queues: Vec<VecDeque<Trial>>) -> Vec<Trial> {
    let mut trials = Vec::new();
    while !queues.is_empty() {
        trials.extend(queues.iter_mut().filter_map(VecDeque::pop_front));
        queues.retain(|queue| !queue.is_empty());
    }
    trials
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

/// A test on this device.
fn trial(
    bench: &Arc<Bench>,
    name: String,
    case: &'static Case,
    arguments: &Arguments,
    skipped: &mut Skipped,
) -> Trial {
    let missing: Vec<String> = case.needs.iter().filter_map(|need| bench.lacks(*need)).collect();
    if !missing.is_empty() {
        return skip(name, missing.join("; "), arguments, skipped);
    }
    let bench = Arc::clone(bench);
    Trial::test(name, move || {
        (case.run)(&bench)?;
        Ok(())
    })
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
