//! `cargo xtask schematic`: the board's schematics as SVG and PDF, drawn by schemdraw (MIT licence).

use std::process::Command;

use anyhow::Result;

use crate::process::output;
use crate::regs::environment;
use crate::{cache, root};

/// Draws the sheets into `.cache/schematic`.
///
/// # Errors
/// Where Python or its packages are missing, or the profile is not one that is drawn.
pub(crate) fn run(profile: &str) -> Result<()> {
    let source = root().join("hardware/board");
    let python = environment(&source.join("requirements.txt"), "schematic-python")?;
    let folder = cache("schematic")?;
    output(
        Command::new(python)
            .arg("-B")
            .arg(source.join("schematic.py"))
            .arg(root().join("hardware/profiles").join(format!("{profile}.toml")))
            .arg(&folder)
            // No date in the PDF.
            .env("SOURCE_DATE_EPOCH", "0"),
    )?;
    println!("wrote the sheets to {}", folder.display());
    Ok(())
}
