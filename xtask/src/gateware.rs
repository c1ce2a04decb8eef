//! `cargo xtask gateware`: test benches of the gateware under Icarus Verilog.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::output;
use crate::{cache, root};

/// Board sizes to simulate: few cells, the published board, the map's capacity for pairs, and its
/// capacity for cells.
const CELLS: [usize; 4] = [2, 8, 32, 64];

/// Compiles and runs the test bench of the register block.
///
/// # Errors
/// Where it does not compile or a check fails. A missing simulator is reported as skipped.
pub(crate) fn run() -> Result<()> {
    if Command::new("iverilog").arg("-V").output().is_err() {
        println!("skipped: iverilog is not installed (Debian: `apt-get install iverilog`)");
        return Ok(());
    }
    let gateware = root().join("hardware/gateware");
    let program = cache("gateware")?.join("spu_regs_tb.vvp");
    for cells in CELLS {
        output(
            Command::new("iverilog")
                .args(["-g2005", "-Wall", "-s", "spu_regs_tb"])
                .arg(format!("-Pspu_regs_tb.CELLS={cells}"))
                .arg("-o")
                .arg(&program)
                .arg(gateware.join("tests/spu_regs_tb.v"))
                .arg(gateware.join("generated/spu_regs.v")),
        )?;
        let log = output(Command::new("vvp").arg("-n").arg(&program))?;
        print!("{log}");
        if !log.lines().next_back().is_some_and(|line| line.starts_with("PASS")) {
            bail!("the test bench of the register block failed for {cells} cells");
        }
    }
    Ok(())
}
