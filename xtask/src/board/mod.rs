//! `cargo xtask board`: bills of materials, pin table and budgets of the board's hardware, from the
//! profiles, `hardware/board/parts.toml`, the gateware's top and its pin constraints.

mod bom;
mod budget;
mod pins;
mod profile;
mod timing;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::root;
use profile::Profile;

/// Profiles that a board is described for.
pub(crate) const BOARDS: [&str; 2] = ["rev-a", "rev-b"];

/// What to do with the generated files.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail where a committed file differs from what would be generated
    #[arg(long)]
    check: bool,
}

/// Generates, and compares or writes.
///
/// # Errors
/// Where a source cannot be read or does not fit another, and with `--check` where a file is stale.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stale: Vec<_> =
        generate()?.into_iter().filter(|(path, text)| !is_fresh(path, text)).collect();
    if args.check && !stale.is_empty() {
        let names: Vec<_> = stale.iter().map(|(path, _)| path.display().to_string()).collect();
        bail!("stale: {}; run `cargo xtask board` and commit", names.join(", "));
    }
    for (path, text) in stale {
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Where the board's files are.
fn folder() -> PathBuf {
    root().join("hardware/board")
}

/// A source as text.
fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// True where the committed file is `text`; line endings do not count.
fn is_fresh(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|old| old.lines().eq(text.lines()))
}

/// Every generated file with its text.
fn generate() -> Result<Vec<(PathBuf, String)>> {
    let parts = bom::parts(&read(&folder().join("parts.toml"))?)?;
    let mut files = Vec::new();
    let mut budgets = String::from(budget::HEAD);
    for name in BOARDS {
        let profile = Profile::named(name)?;
        let lines = bom::lines(&parts, &profile)?;
        files.push((folder().join(format!("bom-{name}.csv")), bom::csv(&lines)));
        budgets += &budget::page(&profile);
    }
    budgets += &timing::page();
    files.push((folder().join("budget.md"), budgets));
    let gateware = root().join("hardware/gateware");
    let table = pins::table(
        &read(&gateware.join("spu_top.v"))?,
        &read(&gateware.join("ecp5-25f.lpf"))?,
        &read(&folder().join("connections.csv"))?,
    )?;
    files.push((folder().join("pins.csv"), table));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_files_are_what_is_generated() {
        for (path, text) in generate().unwrap() {
            assert!(is_fresh(&path, &text), "{}: run `cargo xtask board`", path.display());
        }
    }
}
