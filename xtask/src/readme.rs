//! Runs every command that the README tells a reader to type.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{cache, root};

/// Commands in the README's `sh` blocks, one a line. Blocks of other languages show output or
/// commands for hardware that is not at hand.
fn commands(readme: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            found.push(line);
        }
    }
    found
}

/// Runs them in order, from the workspace's root; those that start with a prefix of `except` are
/// named and left out.
///
/// # Errors
/// The first command that fails.
pub(crate) fn run(except: &[String]) -> Result<()> {
    let text = std::fs::read_to_string(root().join("README.md")).context("README.md")?;
    let commands = commands(&text);
    ensure!(!commands.is_empty(), "README.md has no `sh` block");
    let calibrations = cache("readme")?.join("calibrations");
    if calibrations.exists() {
        std::fs::remove_dir_all(&calibrations)?;
    }
    for command in commands {
        if except.iter().any(|prefix| command.starts_with(prefix)) {
            println!("README: left out: {command}");
            continue;
        }
        println!("README: {command}");
        let start = Instant::now();
        let status = Command::new("sh")
            .args(["-c", command])
            // Not those of who runs this, and not among them.
            .env("SPU_CALIBRATIONS", &calibrations)
            .current_dir(root())
            .status()?;
        ensure!(status.success(), "README command failed ({status}): {command}");
        println!("README: done in {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn only_sh_blocks_are_run() {
        let text = "```sh\n# a comment\ncargo a\n\ncargo b\n```\ntext\n```console\ncargo c\n```\n";
        assert_eq!(commands(text), ["cargo a", "cargo b"]);
    }
}
