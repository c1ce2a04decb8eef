//! Code generation, checks and figures: `cargo xtask --help`.

mod board;
mod data;
mod figures;
mod firmware;
mod gateware;
mod guest;
mod netlist;
mod panics;
mod process;
mod readme;
mod regs;
mod schematic;
mod soak;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Code generation, checks and figures")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write what is generated from the register map (needs Python 3)
    Regs(regs::Args),
    /// Write bills of materials, pin table and budgets of the board's hardware
    Board(board::Args),
    /// Draw the board's schematics, as SVG and PDF in .cache/schematic (needs Python 3.11)
    Schematic {
        /// Profile whose values are written
        #[arg(long, default_value = "rev-a")]
        profile: String,
    },
    /// Check, prove and build the gateware (needs Verilator, Icarus Verilog, Yosys and z3)
    Gateware(gateware::Args),
    /// Write the analog board as a SPICE netlist, from its profile
    Netlist(netlist::Args),
    /// Build the firmware images, and report how much of the microcontrollers they fill
    Firmware(firmware::Arguments),
    /// Test the USB and serial links in a virtual machine (needs QEMU)
    Guest(guest::Args),
    /// Fetch a public data set
    Data(data::Args),
    /// Measure the project's headline figures
    Figures(figures::Args),
    /// Run the commands of the README
    Readme {
        /// Leave out commands that start so
        #[arg(long)]
        except: Vec<String>,
    },
    /// Run random schedules of calls and faults for a while (`--help` after `--` says how)
    Soak {
        /// Passed on, e.g. `--minutes 20`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Regs(args) => regs::run(&args),
        Task::Board(args) => board::run(&args),
        Task::Schematic { profile } => schematic::run(&profile),
        Task::Gateware(args) => gateware::run(&args),
        Task::Netlist(args) => netlist::run(&args),
        Task::Firmware(args) => firmware::run(&args),
        Task::Guest(args) => guest::run(&args),
        Task::Data(args) => data::run(&args),
        Task::Figures(args) => figures::run(&args),
        Task::Readme { except } => readme::run(&except),
        Task::Soak { arguments } => soak::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root.
fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir)
}

/// The cargo that runs this task.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A folder under the git-ignored cache, created if missing.
fn cache(name: &str) -> std::io::Result<PathBuf> {
    let path = root().join(".cache").join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
