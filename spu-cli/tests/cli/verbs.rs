//! Every verb at work.

use serde_json::json;

use crate::{example, fails, json, matrix, run, spu};

fn text(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn invert_three_copies() {
    let laplacian = example("laplacian-8.mtx");
    let run = ["invert", &laplacian, "--copies", "3", "--device", "sim:profile=ideal,seed=5"];
    let run = [&run[..], &["--samples", "60000"]].concat();
    let answer = json(&run, 0);
    assert_eq!(answer["verdict"], "equal-within-noise");
    assert_eq!(answer["calibrated"], false);
    assert!(answer["intervals"].as_str().unwrap().contains("statistical only"));
    assert!(answer["rung"].as_str().unwrap().starts_with("sim"));
    assert_eq!(answer["copies"].as_array().unwrap().len(), 3);
    let predicted = answer["copies"][0]["predicted_statistical_error"].as_f64().unwrap();
    for copy in answer["copies"].as_array().unwrap() {
        // Five times the predicted error is beyond chance for a board without deviations.
        let error = copy["error_against_reference"].as_f64().unwrap();
        assert!(error < 5.0 * predicted, "{error} against {predicted}");
        assert_eq!(copy["kept"], 60_000);
    }
    // The product with the matrix is the identity, roughly.
    let (a, x) = (matrix(&answer["matrix"]["entries"]), matrix(&answer["mean"]["inverse"]));
    for i in 0..8 {
        let diagonal: f64 = (0..8).map(|k| a[i][k] * x[k][i]).sum();
        assert!((diagonal - 1.0).abs() < 0.3, "{diagonal}");
    }

    let shown = text(&run);
    for words in [
        "Inverse of ",
        "8 × 8, condition 17.0",
        "3 copies of ideal",
        "sim (simulated board, in process)",
        "settle ",
        "N_eff measured",
        "Digital, on the host",
        "Verdict: the 3 copies are equal within noise",
        "95 % intervals are statistical only; uncalibrated",
    ] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    // But for the path of the matrix in the first line.
    assert!(shown.lines().skip(1).all(|line| line.chars().count() <= 106), "{shown}");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let laplacian = example("laplacian-8.mtx");
    let inverse = |seed| {
        let answer = json(&["invert", &laplacian, "--samples", "20000", "--seed", seed], 0);
        answer["mean"]["inverse"].clone()
    };
    assert_eq!(inverse("3"), inverse("3"));
    assert_ne!(inverse("3"), inverse("4"));
}

#[test]
fn effective_samples_are_aimed_at() {
    let laplacian = example("laplacian-8.mtx");
    let answer = json(&["plan", &laplacian, "--effective", "5000"], 0);
    let effective = answer["plan"]["effective"].as_f64().unwrap();
    assert!((5000.0..5010.0).contains(&effective), "{effective}");
    assert!(text(&["plan", &laplacian]).contains("Codes ("));
}

#[test]
fn sample_text_shows_the_first_rows() {
    let shown = text(&["sample", &example("laplacian-8.mtx"), "--count", "100"]);
    assert!(shown.contains("… 92 more") && shown.contains("off the digital inverse"), "{shown}");
}

#[test]
fn info_and_list() {
    let answer = json(&["info", "--device", "sim:profile=rev-b"], 0);
    assert_eq!(answer["profile"], "rev-b");
    assert_eq!(answer["cells"], 8);
    assert_eq!(answer["nominal"]["coupling_signed"], true);
    assert!(text(&["info"]).contains("12 MHz"));
    let answer = json(&["list"], 0);
    assert!(!answer["devices"].as_array().unwrap().is_empty());
    for device in answer["devices"].as_array().unwrap() {
        let uri = device["uri"].as_str().unwrap();
        // This machine may have boards too; they may be in use.
        if uri.starts_with("sim:") {
            assert_eq!(device["state"], "present");
            json(&["info", "--device", uri], 0);
        }
    }
    assert_eq!(answer["others"], json!([]));
    assert!(json(&["list", "--all"], 0)["others"].is_array());
    let shown = text(&["list"]);
    assert!(shown.starts_with("present\n  sim:") && shown.contains("not searched"), "{shown}");
    assert!(text(&["list", "--udev-rule"]).contains("SUBSYSTEM==\"tty\""));
    fails(&["list", "--udev-rule", "--all"], 2);
}

#[test]
fn doctor() {
    let answer = json(&["doctor"], 0);
    assert_eq!(answer["works"], true);
    let checks = answer["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "stream" && check["state"] == "ok"));
    let shown = text(&["doctor"]);
    assert!(
        shown.contains("  ok    round trip     p50 ") && shown.contains(" 0 failed"),
        "{shown}"
    );

    let answer = json(&["doctor", "--device", "serial:/dev/ttyNONE7"], 11);
    assert_eq!(answer["works"], false);
    let opening = answer["checks"].as_array().unwrap().iter().find(|c| c["name"] == "opening");
    let found = opening.unwrap()["found"].as_str().unwrap();
    assert!(found.contains("no such port"), "{found}");
    fails(&["doctor", "--device", "nonsense"], 2);
}

#[test]
fn selftest() {
    for level in ["0", "1", "2"] {
        let answer = json(&["selftest", "--level", level], 0);
        assert_eq!(answer["passed"], true, "level {level}");
    }
    assert!(text(&["selftest"]).contains(", 0 failed"));
    let answer = json(&["selftest", "--device", "sim:fault=stuck-adc.3.100"], 8);
    assert_eq!(answer["passed"], false);
    fails(&["selftest", "--level", "3"], 2);
}

#[test]
fn registers_by_name() {
    let answer = json(&["regs", "read", "magic", "scratch", "converters.adc_bits", "r_ohm"], 0);
    let values = answer["values"].as_array().unwrap();
    assert_eq!(values.len(), 7);
    assert_eq!(values[0]["value"], 0x5350_5546);
    assert_eq!(values[4]["name"], "SCRATCH[3]");
    assert_eq!(values[5]["value"], 12);
    assert!(values[6]["float"].as_f64().unwrap() > 0.0);

    let answer = json(&["regs", "write", "scratch[2]", "-2"], 0);
    assert_eq!(
        answer["values"],
        json!([{ "name": "SCRATCH[2]", "address": 0x88, "value": 0xFFFF_FFFE_u32 }])
    );
    let answer = json(&["regs", "write", "mode.moments", "1"], 0);
    assert_eq!(answer["values"][0]["value"], 1);
    json(&["regs", "write", "control.soft_reset", "1"], 0);

    let all = text(&["regs"]);
    assert!(
        all.contains("COUPLING_BANK[512]") && all.contains(".settle") == all.contains(".SETTLE")
    );
    for (arguments, word) in [
        (vec!["read", "nonsense"], "regs list"),
        (vec!["read", "control"], "write only"),
        (vec!["read", "fifo"], "window"),
        (vec!["write", "magic", "1"], "read only"),
        (vec!["write", "scratch", "1"], "SCRATCH[0]"),
        (vec!["write", "mode.moments", "2"], "does not fit"),
        (vec!["write", "scratch[0]", "many"], "no 32-bit number"),
    ] {
        let error = fails(&[&["regs"], &arguments[..]].concat(), 2);
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let shown = text(&["--help"]);
    for words in ["Exit codes:", "6  disagreement", "10  output"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_spu"))
        .args(["regs", "list", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn progress_stays_off_standard_output() {
    let output = spu(&["invert", &example("laplacian-8.mtx"), "--samples", "20000", "--json"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
