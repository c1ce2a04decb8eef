//! Runs random schedules of calls and faults for as long as is asked, and prints what was counted.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use hil_tests::schedules::{Cache, Clock, Tally, run_many, run_seed};

/// Random schedules of calls and faults against a simulated board, for a while. Every call must
/// end by its deadline with its own answer, every write happen at most once, and every frame be
/// delivered or reported lost. Ends with exit code 1 at the first that does not.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Seed of the first schedule; by default another each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads on virtual clocks.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Threads on the real clock, which mostly wait.
    #[arg(long, default_value_t = 8)]
    real_threads: usize,
    /// Run the schedule of this seed once, and nothing else.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Replay on the real clock.
    #[arg(long, requires = "replay")]
    real: bool,
}

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.replay {
        let clock = if arguments.real { Clock::Real } else { Clock::Virtual };
        let tally = run_seed(seed, clock, &mut Cache::default())?;
        println!("{}", serde_json::to_string(&tally)?);
        return Ok(());
    }
    let first = match arguments.seed {
        Some(seed) => seed,
        None => u64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_nanos() & u128::from(u64::MAX))?,
    };
    anyhow::ensure!(
        arguments.minutes.is_finite() && (0.0..1e6).contains(&arguments.minutes),
        "--minutes is a number from 0 to a million, not {}",
        arguments.minutes
    );
    let time = Duration::from_secs_f64(60.0 * arguments.minutes);
    println!("soak: {} minutes from seed {first}", arguments.minutes);
    let started = Instant::now();
    let shown = Mutex::new(started);
    let progress = |tally: &Tally| {
        let mut shown = shown.lock().expect("no thread panics with it");
        if shown.elapsed() >= PROGRESS {
            *shown = Instant::now();
            let seconds = started.elapsed().as_secs_f64();
            let rate = tally.schedules as f64 / seconds;
            println!("{seconds:.0} s: {} schedules, {rate:.0} a second", tally.schedules);
        }
    };
    let go_on = |_| started.elapsed() < time;
    let (virtual_clock, real_clock) = std::thread::scope(|scope| {
        let real = scope
            .spawn(|| run_many(first, Clock::Real, arguments.real_threads, go_on, |_: &Tally| ()));
        let ours = run_many(first, Clock::Virtual, arguments.threads, go_on, progress);
        (ours, real.join().expect("the other threads do not panic"))
    });
    for (clock, option, result) in [("virtual", "", virtual_clock), ("real", " --real", real_clock)]
    {
        let tally = result.map_err(|(seed, violation)| {
            anyhow::anyhow!(
                "{clock} clock, seed {seed}: {violation}\nto repeat it: cargo xtask soak \
                 --replay {seed}{option}"
            )
        })?;
        println!(
            "{clock} clock: {}, overshoot p99.9 {} us, worst {} us",
            serde_json::to_string(&tally)?,
            tally.overshoot_us(0.999),
            tally.overshoot_us(1.0)
        );
    }
    Ok(())
}
