//! Updates an emulated board again and again and kills the emulator at a random moment of each update;
//! the board must start by a whole image every time.

use clap::Parser;

/// Kills an emulated board at random moments of its updates, and prints what it started with
/// afterwards. Ends with exit code 1 if it ever did not start by a whole image.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often.
    #[arg(long, default_value_t = 50)]
    times: u32,
    /// Seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let Arguments { times, seed } = Arguments::parse();
    let kills = hil_tests::flashing::kills(times, seed)?;
    println!("{}", serde_json::to_string(&kills)?);
    anyhow::ensure!(kills.bricked == 0, "{} starts failed", kills.bricked);
    Ok(())
}
