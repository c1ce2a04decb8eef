//! `cargo xtask soak`: random schedules of calls and faults, for as long as is asked.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::root;

/// Builds the soak with optimisation and hands it `arguments`.
///
/// # Errors
/// Where it does not build, or finds a violation.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root())
        .args(["run", "-q", "--release", "--bin", "soak", "--"])
        .args(arguments)
        .status()?;
    ensure!(status.success(), "the soak ended with {status}");
    Ok(())
}
