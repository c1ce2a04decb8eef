//! Prints how accurate inverses are, one JSON object a line. The boards are simulated.
//!
//! `cargo run --release --bin accuracy -- [--quick] [calibrated] [coverage] [any] [large] [refine]
//! [mitigation]`

use anyhow::Result;
use clap::{Parser, ValueEnum};
use hil_tests::accuracy::any::{
    SIGNED_8_BIT, UNIPOLAR_4_BIT, UNIPOLAR_8_BIT, any_spd, large, refined,
};
use hil_tests::accuracy::calibrated::{coverage, medians};
use hil_tests::accuracy::mitigation;
use serde::Serialize;
use spu_driver::refine::RefineMethod;

/// Measures the accuracy of inverses on simulated boards
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer matrices
    #[arg(long)]
    quick: bool,
    /// What to measure; all of it unless told
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Calibrated boards, with and without mitigation
    Calibrated,
    /// Coverage of the 95 % intervals of calibrated boards
    Coverage,
    /// 8×8 matrices of mixed signs on unipolar couplings
    Any,
    /// 256×256 matrices in blocks
    Large,
    /// Refinement to 1e-6
    Refine,
    /// Gain and cost of each mitigation, starts and decimations of runs
    Mitigation,
}

/// Seed of the first matrix.
const SEED: u64 = 20_261_125;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let matrices = if arguments.quick { 12 } else { 60 };
    if wanted(Part::Calibrated) {
        let boards = if arguments.quick { 5 } else { 20 };
        for profile in ["rev-a", "rev-b"] {
            for (effective, programmings) in [(12_000, 1), (1_000_000, 1), (1_000_000, 16)] {
                print("calibrated", &medians(profile, boards, effective, programmings, SEED)?)?;
            }
        }
    }
    if wanted(Part::Coverage) {
        let (boards, matrices) = if arguments.quick { (20, 3) } else { (200, 10) };
        for profile in ["rev-a", "rev-b"] {
            print("coverage", &coverage(profile, boards, matrices, SEED)?)?;
        }
    }
    if wanted(Part::Any) {
        for uri in [UNIPOLAR_8_BIT, UNIPOLAR_4_BIT] {
            for effective in [12_000, 1_000_000] {
                let few = if effective > 100_000 { matrices / 2 } else { matrices };
                print("any_spd", &any_spd(uri, few, effective, SEED)?)?;
            }
        }
    }
    if wanted(Part::Large) {
        let n = if arguments.quick { 64 } else { 256 };
        for condition in [10.0, 50.0] {
            print("large", &large(SIGNED_8_BIT, n, condition, 100_000, 2, SEED)?)?;
        }
    }
    if wanted(Part::Refine) {
        for uri in [SIGNED_8_BIT, UNIPOLAR_8_BIT, UNIPOLAR_4_BIT, "sim:profile=rev-b"] {
            let method = RefineMethod::NewtonSchulz;
            print("refined", &refined(uri, method, matrices, 12_000, SEED)?)?;
        }
        let method = RefineMethod::FreshReads;
        print("refined", &refined(SIGNED_8_BIT, method, matrices / 3, 12_000, SEED)?)?;
    }
    if wanted(Part::Mitigation) {
        mitigations(arguments.quick)?;
    }
    Ok(())
}

fn mitigations(quick: bool) -> Result<()> {
    let (boards, runs) = if quick { (3, 20) } else { (24, 160) };
    for row in mitigation::programmings(boards, 100_000, SEED)? {
        print("programmings", &row)?;
    }
    for (copies, noisier) in [(1, false), (2, false), (4, false), (2, true), (4, true)] {
        print("copies", &mitigation::copies(copies, noisier, boards, SEED)?)?;
    }
    for effective in [140, 1_000, 12_000] {
        print("extrapolation", &mitigation::log_determinants(effective, runs, SEED)?)?;
    }
    for (programmings, effective, runs) in
        [(1, 140, runs), (1, 1_000, runs), (1, 12_000, runs / 4), (64, 64 * 140, runs / 4)]
    {
        print("extrapolation", &mitigation::inverses(programmings, effective, runs, SEED)?)?;
    }
    for (programmings, effective, runs) in
        [(1, 200, runs), (1, 1_000, runs), (1, 12_000, runs / 4), (64, 200, runs / 2)]
    {
        for row in mitigation::starts(programmings, effective, runs, SEED)? {
            print("starts", &row)?;
        }
    }
    for row in mitigation::decimations(runs, SEED)? {
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
