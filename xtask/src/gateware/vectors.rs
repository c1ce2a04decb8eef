//! The simulator's words, played to the gateware by Icarus Verilog.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{folder, sources, there};
use crate::process::output;
use crate::{cache, cargo, root};

/// Profiles, and how much traffic there is of each, in arguments of `identity`: Icarus runs some 17,000
/// clocks a second.
const VECTORS: [(&str, &[&str]); 2] = [
    ("rev-a", &["--ticks", "100", "--short", "60", "--seed", "3"]),
    ("rev-b", &["--ticks", "60", "--short", "40", "--seed", "10"]),
];

/// Files with what is compared, in each of which a wrong word must be found.
const COMPARED: [&str; 3] = ["spi", "dac", "switches"];

/// Writes vectors, plays them, and plays them with a mistake in each file.
pub(super) fn run() -> Result<()> {
    if !there("iverilog", "-V", "vectors", "Debian: `apt-get install iverilog`") {
        return Ok(());
    }
    for (index, (profile, traffic)) in VECTORS.into_iter().enumerate() {
        let vectors = cache("vectors")?.join(profile);
        output(
            Command::new(cargo())
                .current_dir(root())
                .args(["run", "-q", "--bin", "identity", "--", "--profile", profile])
                .args(traffic)
                .arg("--vectors")
                .arg(&vectors),
        )?;
        let said = play(&vectors)?;
        if !said.lines().any(|line| line.starts_with("PASS")) {
            bail!("the gateware does not say the simulator's words for {profile}:\n{said}");
        }
        print!("{said}");
        for name in COMPARED.into_iter().filter(|_| index == 0) {
            let wrong = cache("vectors")?.join("wrong");
            spoil(&vectors, &wrong, name)?;
            if !play(&wrong)?.lines().any(|line| line == "FAIL spu_vectors") {
                bail!("a wrong word in {name}.hex is not found");
            }
        }
    }
    println!("PASS a wrong word in each of {COMPARED:?} is found");
    Ok(())
}

/// What the test bench says of these vectors.
fn play(vectors: &Path) -> Result<String> {
    let program = cache("gateware")?.join("spu_vectors_tb.vvp");
    let tests = folder().join("tests");
    let mut command = Command::new("iverilog");
    command.args(["-g2005", "-Wall", "-Wno-timescale", "-s", "spu_vectors_tb"]);
    command.arg(format!("-Pspu_vectors_tb.VECTORS=\"{}\"", vectors.display()));
    for (name, parameter) in
        [("spi", "SPI"), ("adc", "ADC"), ("dac", "DAC"), ("switches", "SWITCHES")]
    {
        let words = fs::read_to_string(hex(vectors, name))?.lines().count();
        command.arg(format!("-Pspu_vectors_tb.{parameter}={words}"));
    }
    command.arg("-o").arg(&program);
    command.args([tests.join("spu_vectors_tb.v"), tests.join("spu_board.v")]);
    command.args(sources()?.iter().filter(|path| !path.ends_with("spu_top.v")));
    output(&mut command)?;
    output(Command::new("vvp").arg("-n").arg(&program))
}

fn hex(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("hex")
}

/// Copies vectors, with a mistake in the first word of one file that is compared.
fn spoil(vectors: &Path, wrong: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(wrong)?;
    for entry in fs::read_dir(vectors)? {
        let path = entry?.path();
        let mut text = fs::read_to_string(&path)?;
        if path == hex(vectors, name) {
            // Of the SPI's words, the first octet that comes.
            let at = if name == "spi" { text.find("\n05").map(|at| at + 1) } else { Some(0) };
            let line = at.context("vectors that read something")?;
            let end = text[line..].find('\n').context("whole lines")? + line;
            let last = text.as_bytes()[end - 1];
            text.replace_range(end - 1..end, if last == b'0' { "1" } else { "0" });
        }
        let file = path.file_name().context("a file")?;
        fs::write(wrong.join(file), text)?;
    }
    Ok(())
}
