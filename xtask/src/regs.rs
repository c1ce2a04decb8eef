//! `cargo xtask regs`: Rust constants, register block and reference pages from `spu.rdl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::output;
use crate::{cache, root};

/// What to do with the generated files.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail where a committed file differs from what would be generated
    #[arg(long, conflicts_with = "html")]
    check: bool,
    /// Also write reference pages to .cache/regs-html
    #[arg(long)]
    html: bool,
}

/// A generated file and the generator's option for it.
const GENERATED: [(&str, &str); 2] = [
    ("--rust", "spu-protocol/src/regs.rs"),
    ("--verilog", "hardware/gateware/generated/spu_regs.v"),
];

/// Generates, and compares or writes.
///
/// # Errors
/// Where a tool is missing or fails, and with `--check` where a file is stale.
pub(crate) fn run(args: &Args) -> Result<()> {
    let source = root().join("hardware/registers");
    let python = environment(&source.join("requirements.txt"), "regs-python")?;
    let fresh = cache("regs")?;
    let mut generate = Command::new(&python);
    generate.arg("-B").arg(source.join("generate.py"));
    for (option, file) in GENERATED {
        generate.arg(option).arg(scratch(&fresh, file));
    }
    output(&mut generate)?;
    output(
        Command::new("rustfmt")
            .args(["--edition", "2024", "--config-path"])
            .arg(root().join("rustfmt.toml"))
            .arg(scratch(&fresh, GENERATED[0].1)),
    )
    .context("rustfmt is needed: `rustup component add rustfmt`")?;

    let mut stale = Vec::new();
    for (_, file) in GENERATED {
        let new = fs::read_to_string(scratch(&fresh, file))?;
        // A file that is not there yet differs from any text.
        let old = fs::read_to_string(root().join(file)).unwrap_or_default();
        match first_difference(&old, &new) {
            None => {}
            Some(line) if args.check => stale.push(format!("{file} (line {line})")),
            Some(_) => {
                fs::write(root().join(file), new).with_context(|| format!("writing {file}"))?;
                println!("wrote {file}");
            }
        }
    }
    if !stale.is_empty() {
        bail!(
            "not what hardware/registers/spu.rdl generates: {}; run `cargo xtask regs` and commit",
            stale.join(", ")
        );
    }
    if args.html {
        let pages = cache("regs-html")?;
        let python = environment(&source.join("requirements-html.txt"), "regs-html-python")?;
        output(
            Command::new(&python)
                .args(["-m", "peakrdl", "html", "--title", "spu registers"])
                .arg(source.join("spu.rdl"))
                .arg("-o")
                .arg(&pages),
        )?;
        println!("wrote {}", pages.join("index.html").display());
    }
    Ok(())
}

/// Where a generated file is put before it is compared.
fn scratch(folder: &Path, file: &str) -> PathBuf {
    folder.join(Path::new(file).file_name().unwrap_or_default())
}

/// Number of the first line that differs, from 1. Line endings do not count, since a checkout may
/// have changed them.
pub(crate) fn first_difference(old: &str, new: &str) -> Option<usize> {
    let (mut old, mut new) = (old.lines(), new.lines());
    let mut line = 1;
    loop {
        match (old.next(), new.next()) {
            (None, None) => return None,
            (a, b) if a != b => return Some(line),
            _ => line += 1,
        }
    }
}

/// Python of a virtual environment, in the cache under `name`, with the pinned packages.
///
/// # Errors
/// Where Python, `venv` or a package cannot be had.
pub(crate) fn environment(requirements: &Path, name: &str) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let folder = cache(name)?;
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // The stamp is written last: an interrupted installation is done again.
    let stamp = folder.join("installed.txt");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let system = if cfg!(windows) { "python" } else { "python3" };
    output(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder))
        .context("Python 3 with venv is needed (Debian: `apt-get install python3-venv`)")?;
    output(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements),
    )
    .with_context(|| {
        format!("the packages of {} could not be installed", requirements.display())
    })?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_difference_counts_lines_and_ignores_their_endings() {
        assert_eq!(first_difference("a\nb\n", "a\r\nb\r\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }
}
