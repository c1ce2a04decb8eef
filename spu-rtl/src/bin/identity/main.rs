//! The gateware and the simulated FPGA say the same bits, at the SPI and at the converters.
//!
//! Random traffic (programs, seeds, plans, commands, reads that end anywhere, stalls, overruns) goes to
//! both in lockstep; every octet that comes back is compared. The converters are cells of integer
//! arithmetic (in `--analog` the simulated board), so that every DAC code, every bank and the order of
//! everything show in the codes.
//!
//! Where a status, a counter or a timestamp is read while a run is on, both have run the same ticks: the
//! first edge of select comes after the quantum of ticks and after the work of the last of them.

mod cells;
mod pair;
mod traffic;
mod vectors;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Parser;
use spu_sim::converters::Converters;
use spu_sim::{Analog, Dispatch, Profile};

use crate::cells::Cells;
use crate::pair::{Counts, Pair};
use crate::traffic::Lengths;

/// Boards: a profile, and frames of its capture memory.
const BOARDS: [(&str, u32); 4] = [("rev-a", 4096), ("rev-b", 100), ("ideal", 7), ("rc-8", 1000)];

/// Compares the Verilated gateware with the simulated FPGA, octet by octet.
///
/// Ends with one line of JSON: what was compared. Fails where anything differs.
#[derive(Debug, Parser)]
struct Args {
    /// Sample ticks to run, of all boards together
    #[arg(long, default_value = "100000", value_parser = count)]
    ticks: u64,
    /// Seed of the traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most ticks of a run with many reads
    #[arg(long, default_value = "6000", value_parser = count)]
    short: u64,
    /// Most ticks of a run with few reads; 0: no such runs
    #[arg(long, default_value = "0", value_parser = count)]
    long: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The simulated analog board at the pins, in place of cells of integer arithmetic
    #[arg(long)]
    analog: bool,
    /// A mistake that is planted in this build's gateware, by number; 0: none
    #[arg(long, default_value_t = 0)]
    mistake: u8,
    /// Write the simulator's words for the traffic of this profile to a folder, for
    /// `hardware/gateware/tests/spu_vectors_tb.v`, and compare nothing
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["threads", "analog", "mistake"])]
    vectors: Option<PathBuf>,
    /// Profile of the vectors
    #[arg(long, default_value = "rev-a", requires = "vectors")]
    profile: String,
}

impl Args {
    /// Lengths of runs, so that the last one does not go far past so many ticks.
    fn lengths(&self, ticks: u64) -> Lengths {
        Lengths { short: self.short, long: self.long.min(ticks / 8) }
    }
}

/// A whole number, also as 1e7.
fn count(text: &str) -> Result<u64, String> {
    let value = text.parse::<f64>().map_err(|error| error.to_string())?;
    if value.fract() == 0.0 && (0.0..=1e15).contains(&value) {
        Ok(value as u64)
    } else {
        Err("a whole number up to 1e15, as 20000 or 1e7".into())
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(counts) => {
            println!("{}", serde_json::json!({ "value": counts.ticks, "detail": counts }));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the boards' traffic on the threads, each board's part in pieces that start from power-up.
fn run(args: &Args) -> Result<Counts> {
    if let Some(folder) = &args.vectors {
        let profile = Profile::named(&args.profile)?;
        return vectors::write(folder, &profile, args.seed, args.lengths(args.ticks), args.ticks);
    }
    spu_rtl::available()?;
    let threads = args.threads.max(1);
    let parts: Vec<Result<Counts>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(args, thread as u64, threads as u64)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("the gateware stopped")))
            .collect()
    });
    let mut counts = Counts::default();
    for part in parts {
        counts += part?;
    }
    Ok(counts)
}

/// One thread's part: every board in turn.
fn part(args: &Args, thread: u64, threads: u64) -> Result<Counts> {
    let mut counts = Counts::default();
    let ticks = args.ticks / threads / BOARDS.len() as u64;
    for (index, (name, frames)) in (0..).zip(BOARDS) {
        let mut profile = Profile::named(name)?;
        profile.capture.frames.value = frames;
        let seed = (args.seed * threads + thread) * BOARDS.len() as u64 + index;
        counts += if args.analog {
            let analog = || Analog::new(profile.clone(), 7, 1, Dispatch::detect());
            traffic(args, &profile, analog, seed, ticks)
        } else {
            traffic(args, &profile, || Cells::new(&profile), seed, ticks)
        }
        .with_context(|| format!("{name}, seed {seed}"))?;
    }
    Ok(counts)
}

/// Random traffic until so many ticks have run.
fn traffic<C: Converters>(
    args: &Args,
    profile: &Profile,
    make: impl Fn() -> C,
    seed: u64,
    ticks: u64,
) -> Result<Counts> {
    let mut pair = Pair::new(profile, make, seed, args.mistake)?;
    pair.begin()?;
    while pair.counts().ticks < ticks {
        pair.step(args.lengths(ticks))?;
    }
    Ok(pair.counts())
}
