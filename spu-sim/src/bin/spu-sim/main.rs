//! The `spu-sim` command: serves simulated boards to hosts.

mod exit;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use exit::{Exit, Failure};

/// Simulated stochastic processing units (thermodynamic computers), bit for bit what the boards'
/// digital parts do.
#[derive(Debug, Parser)]
#[command(name = "spu-sim", version)]
struct Cli {
    /// Print one JSON object a line on standard output, errors too
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    let json = std::env::args_os().skip(1).any(|argument| argument == "--json");
    let parsed = Cli::command()
        .after_help(Exit::help())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let outcome = match parsed {
        Ok(Cli { verb: Verb::Serve(verb), json }) => verb.run(json),
        Err(error) if json && error.use_stderr() => {
            let message = error.to_string();
            let message = message.trim_start_matches("error: ").trim_end();
            Err(Failure::new(Exit::Usage, message))
        }
        Err(error) => error.exit(),
    };
    match outcome {
        Ok(()) => Exit::Success.into(),
        Err(failure) => failure.print(json),
    }
}
