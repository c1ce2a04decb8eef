//! Measures how accurate results are and prints it, one JSON object a line. The boards are simulated.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use hil_tests::accuracy::boards::REV_A_8_BIT;
use hil_tests::accuracy::coverage::coverage;
use hil_tests::accuracy::errors::{Way, any_spd, well_conditioned};
use hil_tests::accuracy::large::large;
use hil_tests::accuracy::mitigation;
use hil_tests::accuracy::page::update;
use hil_tests::accuracy::record::{Measured, Origin, Part, Record};
use hil_tests::accuracy::refined::refined;
use hil_tests::accuracy::thermox::{self, REV_B_LOW_Q};
use hil_tests::accuracy::verdict::verdicts;
use hil_tests::accuracy::work::Workers;
use serde::Serialize;
use spu_driver::refine::RefineMethod;

/// Measures the accuracy of inverses on simulated boards, and says which goals hold. Results are lines of
/// JSON on standard output, verdicts the last of them; progress is on standard error.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer boards, matrices and samples
    #[arg(long)]
    quick: bool,
    /// Also write the results into this folder: README.md, plots, results.jsonl. Parts that are not measured
    /// now keep what is there
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Measure nothing; write the folder's README.md and plots anew from its results.jsonl
    #[arg(long, requires = "out", conflicts_with = "parts")]
    render: bool,
    /// Seed of the first board and matrix
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Threads; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// What to measure; all but the last unless told
    parts: Vec<Part>,
}

/// Not used while anything was tuned.
const SEED: u64 = 918_273_000;
/// Seed of the numbers in docs/mitigation.md.
const MITIGATION_SEED: u64 = 20_261_125;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut workers = Workers { progress: true, ..Workers::all() };
    workers.threads = arguments.threads.unwrap_or(workers.threads);
    let mut parts = arguments.parts.clone();
    if parts.is_empty() && !arguments.render {
        parts.extend(Part::ALL);
        if std::env::var_os(thermox::PYTHON).is_none() {
            eprintln!("thermox: skipped, {} is not set", thermox::PYTHON);
            parts.pop();
        }
    }
    // The sources may change while it runs.
    let here = Origin::here(arguments.quick);
    let mut records = Vec::new();
    if let Some(folder) = arguments.out.as_deref().filter(|_| arguments.render) {
        records = update(folder, &[])?;
    }
    for part in parts {
        let started = Instant::now();
        let measured = measure(part, arguments.quick, arguments.seed, &workers)?;
        let origin = Origin { seconds: started.elapsed().as_secs(), ..here.clone() };
        let new: Vec<Record> = measured
            .into_iter()
            .map(|measured| Record { part, origin: origin.clone(), measured })
            .collect();
        for record in &new {
            println!("{}", serde_json::to_string(record)?);
        }
        if let Some(folder) = &arguments.out {
            update(folder, &new)?;
        }
        records.extend(new);
    }
    for verdict in verdicts(&records) {
        println!("{}", serde_json::json!({ "verdict": verdict }));
        let holds = if verdict.holds { "holds" } else { "FALLS SHORT" };
        eprintln!("{holds}: {}: {}, to be {}", verdict.what, verdict.measured, verdict.goal);
    }
    Ok(())
}

fn measure(part: Part, quick: bool, seed: u64, workers: &Workers) -> Result<Vec<Measured>> {
    let pick = |few: usize, many: usize| if quick { few } else { many };
    let mut all = Vec::new();
    match part {
        Part::Calibrated => {
            let samples: &[u64] =
                if quick { &[12_000, 100_000] } else { &[3_000, 12_000, 100_000, 1_000_000] };
            let ways = [Way::Uncalibrated, Way::Calibrated, Way::Mitigated];
            let settings: Vec<(Way, u64)> =
                ways.iter().flat_map(|way| samples.iter().map(move |n| (*way, *n))).collect();
            for profile in ["rev-a", "rev-b"] {
                let errors = well_conditioned(profile, pick(4, 20), &settings, seed, workers)?;
                all.extend(errors.into_iter().map(Measured::WellConditioned));
            }
        }
        Part::Coverage => {
            let (boards, matrices) = if quick { (20, 3) } else { (200, 10) };
            for profile in ["rev-a", "rev-b"] {
                let found = coverage(profile, boards, matrices, seed, workers)?;
                all.push(Measured::Coverage(found));
            }
        }
        Part::Any => {
            let samples: &[u64] = if quick { &[12_000] } else { &[12_000, 1_000_000] };
            for profile in [REV_A_8_BIT, "rev-a"] {
                let errors = any_spd(profile, pick(8, 60), samples, seed, workers)?;
                all.extend(errors.into_iter().map(Measured::AnySpd));
            }
        }
        Part::Refine => {
            for (profile, method, count) in [
                ("rev-b", RefineMethod::NewtonSchulz, pick(10, 100)),
                ("rev-b", RefineMethod::FreshReads, pick(5, 40)),
                ("rev-a", RefineMethod::NewtonSchulz, pick(10, 100)),
            ] {
                all.push(Measured::Refined(refined(profile, method, count, seed, workers)?));
            }
        }
        Part::Large => {
            for condition in [10.0, 50.0] {
                for index in 0..pick(1, 3) as u64 {
                    eprintln!("large, condition {condition}, matrix {}", index + 1);
                    let found = large(pick(64, 256), condition, seed + index)?;
                    all.push(Measured::Large(found));
                }
            }
        }
        Part::Mitigation => mitigations(quick)?,
        Part::Thermox => {
            let cores = workers.threads as u32;
            let kinds = [("rev-b", 1), ("rev-b", cores), (REV_B_LOW_Q, cores)];
            for (n, samples) in [(8, pick(100_000, 1_000_000)), (50, pick(10_000, 100_000))] {
                eprintln!("thermox, {n} × {n}: its variants are compiled and run first");
                let rounds = pick(3, 7) as u64;
                let found = thermox::compare(n, samples as u64, rounds, &kinds, seed, quick)?;
                all.push(Measured::Thermox(found));
            }
        }
    }
    Ok(all)
}

fn mitigations(quick: bool) -> Result<()> {
    let (boards, runs) = if quick { (3, 20) } else { (24, 160) };
    for row in mitigation::programmings(boards, 100_000, MITIGATION_SEED)? {
        print("programmings", &row)?;
    }
    for (copies, noisier) in [(1, false), (2, false), (4, false), (2, true), (4, true)] {
        print("copies", &mitigation::copies(copies, noisier, boards, MITIGATION_SEED)?)?;
    }
    for effective in [140, 1_000, 12_000] {
        print("extrapolation", &mitigation::log_determinants(effective, runs, MITIGATION_SEED)?)?;
    }
    for (programmings, effective, runs) in
        [(1, 140, runs), (1, 1_000, runs), (1, 12_000, runs / 4), (64, 64 * 140, runs / 4)]
    {
        print(
            "extrapolation",
            &mitigation::inverses(programmings, effective, runs, MITIGATION_SEED)?,
        )?;
    }
    for (programmings, effective, runs) in
        [(1, 200, runs), (1, 1_000, runs), (1, 12_000, runs / 4), (64, 200, runs / 2)]
    {
        for row in mitigation::starts(programmings, effective, runs, MITIGATION_SEED)? {
            print("starts", &row)?;
        }
    }
    for row in mitigation::decimations(runs, MITIGATION_SEED)? {
        print("decimations", &row)?;
    }
    Ok(())
}

fn print(figure: &str, value: &impl Serialize) -> Result<()> {
    let mut object = serde_json::to_value(value)?;
    object["figure"] = figure.into();
    println!("{object}");
    Ok(())
}
