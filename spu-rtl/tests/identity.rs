//! The gateware and the simulated FPGA say the same bits: the binary `identity`, for a short time.

use std::process::Command;

/// Runs it; what it has compared, or nothing where this build lacks the gateware.
fn identity(arguments: &[&str]) -> Option<serde_json::Value> {
    if let Err(why) = spu_rtl::available() {
        println!("skipped: {why}");
        return None;
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_identity")).args(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    Some(serde_json::from_str(said.lines().next_back().expect("a line")).expect("JSON"))
}

#[test]
fn random_traffic_gets_the_same_answers() {
    let Some(counts) = identity(&["--ticks", "40000"]) else { return };
    assert!(counts["value"].as_u64() >= Some(40_000));
    assert!(counts["detail"]["fifo_octets"].as_u64() > Some(10_000));
}

#[test]
fn the_analog_board_at_the_pins_gives_the_same_codes() {
    let Some(counts) = identity(&["--analog", "--ticks", "16000", "--short", "2000"]) else {
        return;
    };
    assert!(counts["value"].as_u64() >= Some(16_000));
}
