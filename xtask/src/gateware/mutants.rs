//! Single-line mistakes in the gateware, each of which the co-simulation must find.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{folder, planted, there};
use crate::process::{self, End, output};
use crate::{cache, cargo, root};

/// A file, an expression that stands there once, and what the mutant has in its place. Where it is no
/// expression, the mutant's text has `CHOSEN` for the condition.
const MUTANTS: [(&str, &str, &str); 25] = [
    ("spu_noise.v", "CUBIC + {3'd0, square_late}", "CUBIC + 21'd128 + {3'd0, square_late}"),
    ("spu_sequencer.v", "left == 32'd0", "left == 32'd1"),
    ("spu_moments.v", "{{32{product_late[31]}}, product_late}", "{32'd0, product_late}"),
    ("spu_capture.v", "used < capacity[ADDRESS:0]", "used <= capacity[ADDRESS:0]"),
    ("spu_spi.v", "addr + 16'd4", "addr + 16'd8"),
    ("spu_noise.v", "{mixed3[20:0], mixed3[31:21]}", "{mixed3[21:0], mixed3[31:22]}"),
    ("spu_noise.v", "cubic + 32'sd65536", "cubic + 32'sd0"),
    ("spu_gain.v", "product_late + 31'sd2048", "product_late + 31'sd0"),
    ("spu_gain.v", "-high[15:0]", "high[15:0]"),
    ("spu_store.v", "32'h0000_FFFF", "32'h0000_7FFF"),
    ("spu_store.v", "coupling_signed ? -coupling_limit : 32'd0", "32'd0"),
    ("spu_store.v", "if (reset) written <= 128'd0;", "if (reset && !CHOSEN) written <= 128'd0;"),
    ("spu_sequencer.v", "until_kept <= between;", "until_kept <= CHOSEN ? decimation : between;"),
    ("spu_sequencer.v", "run_stream && !run_realtime", "run_stream"),
    ("spu_sequencer.v", "issue_kept && run_stream && room", "issue_kept && room"),
    ("spu_samples.v", "counter + 16'd1", "counter + 16'd2"),
    ("spu_samples.v", "given == high || given == low", "given == high"),
    (
        "spu_moments.v",
        "multiplied && multiplied_lane == 3'd7",
        "multiplied && multiplied_lane == 3'd6",
    ),
    (
        "spu_moments.v",
        "apart > 3'd4 ? found_second : found_first",
        "apart > 3'd4 ? found_first : found_second",
    ),
    ("spu_capture.v", "{rest[11:4], word_in[15:8]}", "{rest[11:4], word_in[7:0]}"),
    ("spu_capture.v", "read_taken && found[1]", "read_taken && found[0]"),
    ("spu_spi.v", "octet == 8'h80", "octet[7]"),
    ("spu_switches.v", "code[15] ? -code : code", "code"),
    ("spu_commands.v", "(codes ? 7'd91 : 7'd63)", "(codes ? 7'd90 : 7'd63)"),
    ("spu_ticks.v", "kept[FETCH]", "kept[FETCH-1]"),
];

/// Traffic that must find a mutant: without one, it takes some ten seconds.
const TRAFFIC: [&str; 6] = ["--ticks", "48000", "--short", "1000", "--long", "20000"];

/// What came of trying the mutants.
pub(super) struct Tried {
    pub(super) count: usize,
    pub(super) missed: usize,
}

/// Tries the first `count` mutants, and says of each whether it was found; none where a tool is missing.
///
/// All are in one copy of the gateware, which is compiled once: each mistake is made where
/// `spu_board.planted` has its number.
///
/// # Errors
/// Where a mutant stands for nothing in the gateware of today, and where the comparison fails without
/// one.
pub(super) fn run(count: usize) -> Result<Option<Tried>> {
    if !there("verilator", "--version", "mutants", "Debian: `apt-get install verilator`") {
        return Ok(None);
    }
    let copy = cache("mutants")?.join("gateware");
    plant(&copy)?;
    output(
        Command::new(cargo())
            .current_dir(root())
            .args(["build", "-q", "--bin", "identity"])
            .env("SPU_GATEWARE", &copy),
    )?;
    let binary = std::env::current_exe()?.with_file_name("identity");
    let identity = |mistake: usize| {
        let mut command = Command::new(&binary);
        command.args(["--mistake", &mistake.to_string()]).args(TRAFFIC);
        process::run(&mut command, None)
    };
    if let End::Failed(why) = identity(0)? {
        bail!("without a mistake: {why}");
    }
    let count = count.min(MUTANTS.len());
    let mut missed = 0;
    for (number, (file, _, to)) in (1..=count).zip(MUTANTS) {
        // The comparison ends with what differs; a gateware that stops answering, with a panic.
        let found = matches!(identity(number)?, End::Failed(_));
        println!("{} {file}: {to}", if found { "found " } else { "MISSED" });
        missed += usize::from(!found);
    }
    Ok(Some(Tried { count, missed }))
}

/// Writes the gateware with all mistakes to choose from.
fn plant(copy: &Path) -> Result<()> {
    fs::create_dir_all(copy.join("generated"))?;
    for source in super::sources()? {
        let name = source.strip_prefix(folder()).context("a source of the folder")?;
        let mut text = fs::read_to_string(&source)?;
        for (number, (file, from, to)) in (1..).zip(MUTANTS) {
            if name.as_os_str() != file {
                continue;
            }
            text = planted(file, &text, from, &either(number, from, to))?;
        }
        fs::write(copy.join(name), text)?;
    }
    Ok(())
}

/// The mutant in place of what stands there, where it is chosen.
fn either(number: usize, from: &str, to: &str) -> String {
    let chosen = format!("(spu_board.planted == 8'd{number})");
    if to.contains("CHOSEN") {
        to.replace("CHOSEN", &chosen)
    } else {
        format!("({chosen} ? ({to}) : ({from}))")
    }
}
