//! The `spu` command: inverts matrices on stochastic processing units, and looks after the boards.
//!
//! One file a verb under `verb/`; every verb returns an [`Answer`] that one printer shows as text or
//! JSON.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "text is rendered once a run; a line that reads well is worth its allocation"
)]

mod answer;
mod exit;
mod interrupt;
mod log;
mod progress;
mod recorded;
mod report;
mod verb;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use spu_cli::{matrix_file, text};

use answer::{Answer, Printer};
use exit::{Exit, Failure};
use interrupt::Interrupt;

/// Inverts matrices on stochastic processing units (thermodynamic computers), and looks after the
/// boards.
#[derive(Debug, Parser)]
#[command(name = "spu", version)]
struct Cli {
    /// Print one JSON object on standard output, errors too
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Invert(verb::invert::Invert),
    Solve(verb::solve::Solve),
    Sample(verb::sample::Sample),
    Logdet(verb::logdet::LogDetVerb),
    Lyapunov(verb::lyapunov::LyapunovVerb),
    Propagator(verb::propagator::PropagatorVerb),
    Stream(verb::stream::Stream),
    Train(Box<verb::train::Train>),
    Plan(verb::plan::Plan),
    Calibrate(verb::calibrate::Calibrate),
    Characterise(verb::characterise::Characterise),
    Info(verb::info::Info),
    List(verb::list::List),
    Doctor(verb::doctor::Doctor),
    Flash(verb::flash::Flash),
    Image(verb::image::ImageVerb),
    Selftest(verb::selftest::SelfTest),
    Regs(verb::regs::Regs),
    Recording(verb::recording::Recording),
}

fn main() -> ExitCode {
    let json = std::env::args_os().skip(1).any(|argument| argument == "--json");
    let parsed = Cli::command()
        .after_help(Exit::help())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let printer = Printer::new(json);
    match parsed {
        Ok(cli) => run(cli, printer),
        Err(error) if json && error.use_stderr() => {
            let message = error.to_string();
            printer.failure(&Failure::usage(message.trim_start_matches("error: ").trim_end()))
        }
        Err(error) => error.exit(),
    }
}

fn run(cli: Cli, printer: Printer) -> ExitCode {
    if let Err(failure) = log::install() {
        return printer.failure(&failure);
    }
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(failure) => return printer.failure(&failure),
    };
    match cli.verb {
        Verb::Invert(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Solve(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Sample(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Logdet(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Lyapunov(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Propagator(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Stream(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Train(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Plan(verb) => finish(verb.run(), printer),
        Verb::Calibrate(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Characterise(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Info(verb) => finish(verb.run(), printer),
        Verb::List(verb) => finish(Ok(verb.run()), printer),
        Verb::Doctor(verb) => finish(verb.run(), printer),
        Verb::Flash(verb) => finish(verb.run(&interrupt, cli.json), printer),
        Verb::Image(verb) => finish(verb.run(), printer),
        Verb::Selftest(verb) => finish(verb.run(&interrupt), printer),
        Verb::Regs(verb) => finish(verb.run(), printer),
        Verb::Recording(verb) => finish(verb.run(), printer),
    }
}

fn finish<A: Answer>(result: Result<A, Failure>, printer: Printer) -> ExitCode {
    let good = result.as_ref().is_ok_and(|answer| answer.exit() == Exit::Success);
    let code = match result {
        Ok(answer) => printer.answer(&answer),
        Err(failure) => printer.failure(&failure),
    };
    let failures = recorded::failures();
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    if good && !failures.is_empty() { Exit::Output.into() } else { code }
}
