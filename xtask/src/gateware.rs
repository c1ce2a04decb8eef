//! `cargo xtask gateware`: checks, proofs and build of the gateware, without a board.

mod build;
mod formal;
mod mutants;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::build::Built;
use self::mutants::Tried;
use crate::process::output;
use crate::{cache, cargo, root};

/// Board sizes to simulate the register block for: few cells, the published board, the map's
/// capacity for pairs, and its capacity for cells.
const CELLS: [usize; 4] = [2, 8, 32, 64];

/// The core's clock on the board, of which eight periods are one of the sample clock.
pub(crate) const CORE_MHZ: f64 = 96.0;

/// CI's run of the comparison, in arguments of `identity`: nearly all ticks in long runs, of which each
/// tick takes 8 clocks; a frame that is read takes 250.
const SHORT_RUN: [&str; 6] = ["--ticks", "1e7", "--long", "1e6", "--short", "300"];

/// What is done with the gateware.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Lint, test benches, vectors in Icarus
    Check,
    /// Prove properties of the blocks (Yosys and z3)
    Formal,
    /// Synthesise, place, route and pack for an LFE5U-25F (installs the tools, by pip)
    Build,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this part
    #[arg(value_enum)]
    part: Option<Part>,
    /// Plant mistakes, one at a time, each of which the co-simulation must find: so many of them
    /// [default: all]
    #[arg(long, num_args = 0..=1, default_missing_value = "1000")]
    mutants: Option<usize>,
    /// Print this figure alone as `cargo xtask figures` wants it: `rtl.identical_ticks`,
    /// `rtl.mutants_missed` or `rtl.fmax_ratio`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["part", "mutants"])]
    figure: Option<String>,
    /// Refuse, since it takes a minute: what `cargo xtask figures --quick` asks of every figure
    #[arg(long, requires = "figure")]
    quick: bool,
}

/// Checks and builds, or what of it was asked for.
///
/// # Errors
/// Where something fails. A tool that is missing for a check is reported as skipped.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(name) = &args.figure {
        return figure(name, args.quick);
    }
    if let Some(count) = args.mutants {
        if let Some(Tried { count, missed }) = mutants::run(count)? {
            if missed > 0 {
                bail!("{missed} of {count} mutants were not found");
            }
            println!("PASS {count} mutants found");
        }
        return Ok(());
    }
    // All of them, where none is asked for.
    let wanted = |part| args.part.is_none_or(|only| only == part);
    if wanted(Part::Check) {
        lint()?;
        benches()?;
        vectors::run()?;
    }
    if wanted(Part::Formal) {
        formal::run()?;
    }
    if wanted(Part::Build) {
        say(&build::run()?);
    }
    Ok(())
}

/// Prints how full the FPGA is, how fast its clocks may be, and where the image is.
fn say(built: &Built) {
    for (kind, used, available) in &built.used {
        println!("{kind:>12} {used:6} of {available:6}, {:2} %", 100 * used / available);
    }
    println!(
        "        core {:6.1} MHz, {:.2} times the board's clock",
        built.core_mhz,
        built.ratio()
    );
    println!("         SPI {:6.1} MHz", built.spi_mhz);
    let image = built.image.display();
    println!("PASS build {:08x} (seed {}): {image}", built.build_id, built.seed);
}

/// Measures a figure, and prints it.
fn figure(name: &str, quick: bool) -> Result<()> {
    if quick {
        bail!("takes minutes: measured without --quick, by a stage of .ci/run");
    }
    match name {
        "rtl.identical_ticks" => {
            let mut command = Command::new(cargo());
            command
                .current_dir(root())
                .args(["run", "-q", "--bin", "identity", "--"])
                .args(SHORT_RUN);
            print!("{}", output(&mut command)?);
        }
        "rtl.mutants_missed" => {
            let Tried { count, missed } =
                mutants::run(usize::MAX)?.context("Verilator is not installed")?;
            println!("{}", serde_json::json!({ "value": missed, "detail": { "tried": count } }));
        }
        "rtl.fmax_ratio" => {
            let built = build::run()?;
            let detail = serde_json::json!({
                "core_mhz": built.core_mhz, "spi_mhz": built.spi_mhz, "seed": built.seed,
                "build_id": format!("{:08x}", built.build_id),
            });
            println!("{}", serde_json::json!({ "value": built.ratio(), "detail": detail }));
        }
        _ => bail!("no figure {name}"),
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("hardware/gateware")
}

/// The design's sources.
fn sources() -> Result<Vec<PathBuf>> {
    let mut sources = vec![folder().join("generated/spu_regs.v")];
    for entry in std::fs::read_dir(folder()).context("hardware/gateware")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "v") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

/// A text with something else in place of an expression that stands there once.
///
/// # Errors
/// Where it does not stand there once: the gateware of today needs another mistake.
fn planted(name: &str, text: &str, from: &str, to: &str) -> Result<String> {
    if text.matches(from).count() != 1 {
        bail!("{name} has not once {from:?}: choose another mistake");
    }
    Ok(text.replace(from, to))
}

/// True where a program is there; says what is skipped where it is not.
fn there(program: &str, flag: &str, what: &str, install: &str) -> bool {
    let there = Command::new(program).arg(flag).output().is_ok();
    if !there {
        println!("skipped: {what}: {program} is not installed ({install})");
    }
    there
}

/// Reads the design with every warning of Verilator, and with Icarus.
fn lint() -> Result<()> {
    if there("verilator", "--version", "lint", "Debian: `apt-get install verilator`") {
        output(
            Command::new("verilator")
                .args(["--lint-only", "-Wall", "--top-module", "spu_top"])
                .arg(folder().join("lint.vlt"))
                .args(sources()?),
        )?;
        println!("PASS lint, Verilator");
    }
    if there("iverilog", "-V", "reading by Icarus", "Debian: `apt-get install iverilog`") {
        output(
            Command::new("iverilog")
                .args(["-g2005", "-Wall", "-s", "spu_top", "-o"])
                .arg(cache("gateware")?.join("spu_top.vvp"))
                .args(sources()?),
        )?;
        println!("PASS reading, Icarus Verilog");
    }
    Ok(())
}

/// What the store's bench must find: what stands there once, what instead.
const STORE_MISTAKES: [(&str, &str); 3] =
    [("held && !load", "held"), ("(held && load)", "1'b0"), ("load && !bus_re", "load")];

/// Compiles and runs the test benches of blocks.
fn benches() -> Result<()> {
    if !there("iverilog", "-V", "test benches", "Debian: `apt-get install iverilog`") {
        return Ok(());
    }
    for cells in CELLS {
        let cells = [format!("-Pspu_regs_tb.CELLS={cells}")];
        passes(&bench("spu_regs_tb", &folder().join("generated/spu_regs.v"), &cells)?)?;
    }
    let store = folder().join("spu_store.v");
    passes(&bench("spu_store_tb", &store, &[])?)?;
    let text = std::fs::read_to_string(&store)?;
    let wrong = cache("gateware")?.join("spu_store.v");
    for (from, to) in STORE_MISTAKES {
        std::fs::write(&wrong, planted("spu_store.v", &text, from, to)?)?;
        if !bench("spu_store_tb", &wrong, &[])?.ends_with("FAIL spu_store\n") {
            bail!("spu_store.v: {to} in place of {from} is not found");
        }
    }
    println!("PASS {} mistakes in the store are found", STORE_MISTAKES.len());
    Ok(())
}

/// What a block's test bench says.
fn bench(name: &str, block: &Path, constants: &[String]) -> Result<String> {
    let program = cache("gateware")?.join(name).with_extension("vvp");
    output(
        Command::new("iverilog")
            .args(["-g2005", "-Wall", "-s", name])
            .args(constants)
            .arg("-o")
            .arg(&program)
            .arg(folder().join("tests").join(name).with_extension("v"))
            .arg(block),
    )?;
    output(Command::new("vvp").arg("-n").arg(&program))
}

/// Prints what was said.
///
/// # Errors
/// Where its last line is no PASS.
fn passes(said: &str) -> Result<()> {
    print!("{said}");
    if !said.lines().next_back().is_some_and(|line| line.starts_with("PASS")) {
        bail!("a test bench failed");
    }
    Ok(())
}
