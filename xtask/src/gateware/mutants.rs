//! Single-line mistakes in the gateware, each of which the co-simulation must find.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{folder, there};
use crate::{cache, root};

/// A file, what stands there once, and what the mutant has in its place. The first few are CI's.
const MUTANTS: [(&str, &str, &str); 24] = [
    ("spu_noise.v", "21'd1112072", "21'd1112200"),
    ("spu_sequencer.v", "last <= left == 32'd0;", "last <= left == 32'd1;"),
    ("spu_moments.v", "{{32{product_late[31]}}, product_late}", "{32'd0, product_late}"),
    ("spu_capture.v", "used < capacity", "used <= capacity"),
    ("spu_spi.v", "addr <= addr + 16'd4", "addr <= addr + 16'd8"),
    ("spu_noise.v", "{mixed3[20:0], mixed3[31:21]}", "{mixed3[21:0], mixed3[31:22]}"),
    ("spu_noise.v", "cubic + 32'sd65536", "cubic + 32'sd0"),
    ("spu_gain.v", "product_late + 31'sd2048", "product_late + 31'sd0"),
    ("spu_gain.v", "below ? -high[15:0]", "below ? high[15:0]"),
    ("spu_store.v", "32'h0000_FFFF", "32'h0000_7FFF"),
    ("spu_store.v", "coupling_signed ? -coupling_limit", "1'b0 ? -coupling_limit"),
    ("spu_store.v", "if (reset) written <= 128'd0;", "if (1'b0) written <= 128'd0;"),
    ("spu_sequencer.v", "until_kept <= between;", "until_kept <= decimation;"),
    ("spu_sequencer.v", "run_stream && !run_realtime;", "run_stream;"),
    ("spu_sequencer.v", "issue_kept && run_stream && room", "issue_kept && room"),
    ("spu_samples.v", "counter <= counter + 16'd1", "counter <= counter + 16'd2"),
    ("spu_samples.v", "given >= high || given <= -high", "given >= high || given < -high"),
    ("spu_moments.v", "multiplied_lane == 3'd7) fresh", "multiplied_lane == 3'd6) fresh"),
    ("spu_moments.v", "4 ? found_second : found_first", "4 ? found_first : found_second"),
    ("spu_capture.v", "{rest[11:4], word_in[15:8]}", "{rest[11:4], word_in[7:0]}"),
    ("spu_capture.v", "read_taken && found[1]", "read_taken && found[0]"),
    ("spu_spi.v", "octet == 8'h80", "octet[7]"),
    ("spu_switches.v", "code[15] ? -code : code", "code"),
    ("spu_commands.v", "7'd63 : 7'd91", "7'd63 : 7'd90"),
];

/// Tries the first `count` mutants.
///
/// # Errors
/// Where one is not found, or stands for nothing in the gateware of today.
pub(super) fn run(count: usize) -> Result<()> {
    if !there("verilator", "--version", "mutants", "Debian: `apt-get install verilator`") {
        return Ok(());
    }
    let copy = cache("mutants")?.join("gateware");
    let mut missed = 0;
    let tried = &MUTANTS[..count.min(MUTANTS.len())];
    for (file, from, to) in tried {
        fs::create_dir_all(copy.join("generated"))?;
        for source in super::sources()? {
            let name = source.strip_prefix(folder()).context("a source of the folder")?;
            let mut text = fs::read_to_string(&source)?;
            if name.as_os_str() == *file {
                if text.matches(from).count() != 1 {
                    bail!("{file} has not once {from:?}: choose another mutant");
                }
                text = text.replace(from, to);
            }
            fs::write(copy.join(name), text)?;
        }
        let test = Command::new("cargo")
            .current_dir(root())
            .args(["test", "-q", "-p", "spu-rtl", "--test", "identity"])
            .env("SPU_GATEWARE", &copy)
            .output()
            .context("cargo cannot be started")?;
        let said = String::from_utf8_lossy(&test.stdout);
        // A mutant that does not compile would prove nothing.
        let found = said.contains("test result: FAILED");
        if !found && !said.contains("test result: ok") {
            bail!("{file}, {to:?}: {}", String::from_utf8_lossy(&test.stderr));
        }
        println!("{} {file}: {to}", if found { "found " } else { "MISSED" });
        missed += usize::from(!found);
    }
    if missed > 0 {
        bail!("{missed} of {} mutants were not found", tried.len());
    }
    println!("PASS {} mutants found", tried.len());
    Ok(())
}
