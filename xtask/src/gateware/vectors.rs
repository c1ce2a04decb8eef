//! The simulator's words, played to the gateware by Icarus Verilog: to the core, and to the FPGA between
//! models of the board's converters.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use super::{folder, planted, sources, there};
use crate::process::output;
use crate::{cache, cargo, root};

/// Profiles, and how much traffic there is of each, in arguments of `identity`: Icarus runs some 17,000
/// clocks a second.
const VECTORS: [(&str, &[&str]); 2] = [
    ("rev-a", &["--ticks", "40", "--short", "30", "--seed", "3"]),
    ("rev-b", &["--ticks", "40", "--short", "30", "--seed", "5"]),
];

/// Files with what is compared, in each of which a wrong word must be found.
const COMPARED: [&str; 3] = ["spi", "dac", "switches"];

/// Traffic for the FPGA with its pins: this seed has a discharge, 28 kept ticks and codes other than 0 in
/// a few octets.
const PINS_TRAFFIC: &[&str] = &["--ticks", "10", "--short", "30", "--seed", "204"];
/// Skew of the DACs' data to their strobes, and the way to the ADCs and back (`spu_top_tb.v`), in
/// picoseconds: near both ends of what the bridges allow.
const PINS: [(i32, u32); 2] = [(1_300, 0), (-1_300, 40_000)];
/// A way that is too long.
const NO_WAY: u32 = 43_000;
/// Mistakes in the bridges, each of which must be found: a file, what stands there once, what instead.
const MISTAKES: [(&str, &str, &str); 8] = [
    ("spu_dacs.v", "{!code[13], code[12:0]}", "code"),
    ("spu_dacs.v", "|updates[4:1]", "|updates[5:2]"),
    ("spu_dacs.v", "resting ? count == 3'd2 : update", "update"),
    ("spu_adcs.v", "{!lines[12 * part + 11], lines[12 * part +: 11]}", "lines[12 * part +: 12]"),
    ("spu_adcs.v", "phase >= 3'd3 && phase <= 3'd6", "phase == 3'd3"),
    // A clock earlier, and as soon as it is too late.
    ("spu_adcs.v", "TAKEN = 3'd2", "TAKEN = 3'd1"),
    ("spu_adcs.v", "TAKEN = 3'd2", "TAKEN = 3'd5"),
    ("spu_adcs.v", "KEPT = 3'd7", "KEPT = 3'd2"),
];

/// Writes vectors, plays them, and plays them with a mistake in each file.
pub(super) fn run() -> Result<()> {
    if !there("iverilog", "-V", "vectors", "Debian: `apt-get install iverilog`") {
        return Ok(());
    }
    let boards = at_once(VECTORS, |(profile, traffic)| compare(profile, traffic))?;
    print!("{}", boards.concat());
    for name in COMPARED {
        let wrong = cache("vectors")?.join("wrong");
        spoil(&cache("vectors")?.join(VECTORS[0].0), &wrong, name)?;
        if !play(&wrong)?.lines().any(|line| line == "FAIL spu_vectors") {
            bail!("a wrong word in {name}.hex is not found");
        }
    }
    println!("PASS a wrong word in each of {COMPARED:?} is found");
    pins()
}

/// Does the same with all of an array at once.
fn at_once<T: Send, R: Send, const N: usize>(
    all: [T; N],
    each: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let each = &each;
    thread::scope(|scope| {
        let threads = all.map(|one| scope.spawn(move || each(one)));
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

/// Writes the vectors of a board, and returns their folder.
fn write(name: &str, profile: &str, traffic: &[&str]) -> Result<PathBuf> {
    let vectors = cache("vectors")?.join(name);
    output(
        Command::new(cargo())
            .current_dir(root())
            .args(["run", "-q", "--bin", "identity", "--", "--profile", profile])
            .args(traffic)
            .arg("--vectors")
            .arg(&vectors),
    )?;
    Ok(vectors)
}

/// Writes the vectors of a board and plays them; what the test bench says.
fn compare(profile: &str, traffic: &[&str]) -> Result<String> {
    let said = play(&write(profile, profile, traffic)?)?;
    if !said.lines().any(|line| line.starts_with("PASS")) {
        bail!("the gateware does not say the simulator's words for {profile}:\n{said}");
    }
    Ok(said)
}

/// The FPGA with the board's converters at its pins, as it is and with mistakes.
fn pins() -> Result<()> {
    let vectors = &write("pins", "rev-a", PINS_TRAFFIC)?;
    let played = at_once(PINS, |(skew, way)| {
        play_pins(vectors, &format!("pins{way}"), &sources()?, skew, way)
    })?;
    for said in played {
        if !said.lines().any(|line| line.starts_with("PASS")) {
            bail!("the FPGA does not say the simulator's words at its pins:\n{said}");
        }
        print!("{said}");
    }
    let found = |said: &str| {
        said.lines().any(|line| line.starts_with("FAIL"))
            && !said.lines().any(|line| line.starts_with("PASS"))
    };
    if !found(&play_pins(vectors, "pins-no-way", &sources()?, 0, NO_WAY)?) {
        bail!("a way of {NO_WAY} ps to the ADCs and back is not found");
    }
    println!("PASS a way too long is found");
    for (number, (file, from, to)) in MISTAKES.into_iter().enumerate() {
        let name = format!("pins-mistake{number}");
        let changed = change(&cache("vectors")?.join(&name), file, from, to)?;
        if !found(&play_pins(vectors, &name, &changed, 0, PINS[1].1)?) {
            bail!("{file}: {to} in place of {from} is not found");
        }
    }
    println!("PASS {} mistakes in the bridges are found", MISTAKES.len());
    Ok(())
}

/// The design's sources, with something else in one of them, which is in this folder.
fn change(folder: &Path, file: &str, from: &str, to: &str) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut sources = sources()?;
    let source = sources.iter_mut().find(|path| path.ends_with(file)).context("no such file")?;
    let text = fs::read_to_string(&source)?;
    *source = folder.join(file);
    fs::write(&source, planted(file, &text, from, to)?)?;
    Ok(sources)
}

/// What the test bench of the core says of these vectors.
fn play(vectors: &Path) -> Result<String> {
    let tests = folder().join("tests");
    let mut files = vec![tests.join("spu_vectors_tb.v"), tests.join("spu_board.v")];
    files.extend(sources()?.into_iter().filter(|path| !path.ends_with("spu_top.v")));
    simulate("spu_vectors_tb", vectors, &vectors.with_extension("vvp"), &[], &files)
}

/// What the test bench of the FPGA with its pins says of them.
fn play_pins(
    vectors: &Path,
    name: &str,
    sources: &[PathBuf],
    skew: i32,
    way: u32,
) -> Result<String> {
    let tests = folder().join("tests");
    let mut files = vec![tests.join("spu_top_tb.v"), tests.join("spu_converters.v")];
    files.extend_from_slice(sources);
    let board = fs::read_to_string(hex(vectors, "board"))?;
    let board: Vec<_> = board.lines().collect();
    // Of the constants only these are not those of spu_top.
    let constants = [
        format!("GATEWARE_ID=32'h{}", board[0]),
        format!("SERIAL=64'h{}{}", board[7], board[6]),
        format!("SKEW={skew}"),
        format!("WAY={way}"),
    ];
    let program = vectors.with_file_name(name).with_extension("vvp");
    simulate("spu_top_tb", vectors, &program, &constants, &files)
}

/// Compiles a test bench for vectors, and runs it.
fn simulate(
    bench: &str,
    vectors: &Path,
    program: &Path,
    constants: &[String],
    files: &[PathBuf],
) -> Result<String> {
    let mut command = Command::new("iverilog");
    command.args(["-g2005", "-Wall", "-Wno-timescale", "-s", bench]);
    command.arg("-I").arg(folder().join("tests"));
    command.arg(format!("-P{bench}.VECTORS=\"{}\"", vectors.display()));
    for (name, parameter) in
        [("spi", "SPI"), ("adc", "ADC"), ("dac", "DAC"), ("switches", "SWITCHES")]
    {
        let words = fs::read_to_string(hex(vectors, name))?.lines().count();
        command.arg(format!("-P{bench}.{parameter}={words}"));
    }
    command.args(constants.iter().map(|constant| format!("-P{bench}.{constant}")));
    command.arg("-o").arg(program).args(files);
    output(&mut command)?;
    output(Command::new("vvp").arg("-n").arg(program))
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
