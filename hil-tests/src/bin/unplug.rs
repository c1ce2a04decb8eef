//! Pulls the plug of served boards at random moments, as often as is asked.

use std::path::PathBuf;

use clap::Parser;
use hil_tests::unplug::{Plug, run, serve_forever};

/// Pulls the plug of a served board at random moments while calls and streams run: every call must
/// end as disconnected or be whole and right, and the device work once the plug is back. Prints
/// the counts of each link, and ends with exit code 1 if any call did not.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often, for each link.
    #[arg(long, default_value_t = 1000)]
    times: u64,
    /// Seed of calls and moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this way: pty, tcp, unix, or process, which kills the server.
    #[arg(long)]
    only: Option<String>,
    /// Serve a board on this Unix socket instead.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(socket) = arguments.serve {
        return serve_forever(&socket);
    }
    let chosen = |plug: &Plug| arguments.only.as_ref().is_none_or(|name| name == plug.name());
    let plugs: Vec<Plug> = Plug::ALL.into_iter().filter(chosen).collect();
    anyhow::ensure!(!plugs.is_empty(), "--only takes pty, tcp, unix or process");
    let own = std::env::current_exe()?;
    let mut wrong = 0;
    for plug in plugs {
        let counts = run(plug, arguments.times, arguments.seed, &own)?;
        println!("{}: {}", plug.name(), serde_json::to_string(&counts)?);
        wrong += counts.wrong.len();
    }
    anyhow::ensure!(wrong == 0, "{wrong} calls hung, were wrong or failed otherwise");
    Ok(())
}
