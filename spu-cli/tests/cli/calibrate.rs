//! `spu calibrate`: measured, kept, shown, refused.

use std::path::Path;

use serde_json::Value;

use crate::{json, spu};

const BOARD: &str = "sim:profile=rev-a,seed=31";

/// Runs it with this store; standard output, whatever the exit code, which must be this one.
fn with_store(store: &Path, arguments: &[&str], code: i32) -> String {
    let output = spu(arguments).env("SPU_CALIBRATIONS", store).output().expect("spu runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text") + &error
}

fn files(store: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(store) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn what_is_measured_is_kept_and_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, file) = (dir.path().join("store"), dir.path().join("a.json"));
    let (page, shown) = (dir.path().join("a.html"), dir.path().join("b.html"));
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let measured = with_store(
        &store,
        &[
            "calibrate",
            "--device",
            BOARD,
            "--temperature",
            "-3.5",
            "--output",
            &path(&file),
            "--report",
            &path(&page),
            "--json",
        ],
        0,
    );
    let measured: Value = serde_json::from_str(&measured).expect("one JSON object");
    assert_eq!(measured["calibrated"], true);
    assert_eq!(measured["in_board"], true);
    assert_eq!(measured["record"]["temperature_c"], -3.5);
    assert_eq!(measured["record"]["cells"].as_array().map(Vec::len), Some(8));
    assert_eq!(measured["record"]["couplings"].as_array().map(Vec::len), Some(28));
    let kept = files(&store);
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).expect("kept"), std::fs::read(&file).expect("written"));

    let id = measured["id"].as_str().expect("a hash");
    let text =
        with_store(&store, &["calibrate", "--show", &path(&file), "--report", &path(&shown)], 0);
    assert!(text.contains(id) && text.contains("L / µH") && text.contains("-3.5 °C"), "{text}");
    // Blocks carry what it leaves open.
    let row =
        |i: usize| (0..12).map(|j| if i == j { "2" } else { "-0.1" }).collect::<Vec<_>>().join(",");
    let rows = (0..12).map(row).collect::<Vec<_>>().join("\n");
    let matrix = crate::file(dir.path(), "m.csv", rows.as_bytes());
    let arguments = ["invert", &path(&matrix), "--device", BOARD, "--samples", "20000", "--json"];
    let large: Value = serde_json::from_str(&with_store(&store, &arguments, 0)).expect("JSON");
    let part = |name: &str| large["blocks"][name].as_f64().expect(name);
    let random = part("calibration_error").hypot(part("measured_statistical_error"));
    assert!(part("calibration_error") > 0.0);
    assert!((part("stated_error") - random.hypot(part("quantisation_error"))).abs() < 1e-12);
    let width = |name: &str| large[name][0][1].as_f64().expect(name);
    assert!(width("half_widths") > width("statistical_half_widths"));
    assert!(width("calibration_sigma") > 0.0);
    // A device opened afresh has forgotten what was in its memory; the store has not.
    let text = with_store(&store, &["calibrate", "--show", "--device", BOARD], 0);
    assert!(text.contains(id) && text.contains("host store"), "{text}");
    assert!(text.contains("memory names no calibration"), "{text}");

    for page in [page, shown] {
        let page = std::fs::read_to_string(page).expect("a page");
        let page = page.replace("<!DOCTYPE html>\n", "");
        let page = roxmltree::Document::parse(&page).expect("well-formed");
        let marks = page
            .descendants()
            .filter(|node| node.attribute("class").is_some_and(|class| class.starts_with("mark")));
        // 36 banks of 4 elements, 8 cells of 4 values, 8 bank settings.
        assert_eq!(marks.count(), 36 * 4 + 8 * 4 + 8);
    }
}

#[test]
fn a_board_without_calibration_says_where_was_looked() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = with_store(dir.path(), &["calibrate", "--show", "--device", BOARD], 5);
    assert!(text.contains("not calibrated") && text.contains("run `spu calibrate`"), "{text}");
    assert!(text.contains(dir.path().to_str().expect("UTF-8")), "{text}");
}

#[test]
fn nothing_is_kept_of_a_bad_board_or_without_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let file = dir.path().join("a.json");
    let bad = format!("{BOARD},fault=stuck-coupling.1.4.2.on");
    let output = ["--output", file.to_str().expect("UTF-8")];
    let text = with_store(&store, &[&["calibrate", "--device", &bad][..], &output].concat(), 11);
    assert!(text.contains("element 2 of the coupling bank of cells 1 and 4"), "{text}");
    assert!(!file.exists() && files(&store).is_empty());
    let answer = json(&["calibrate", "--device", &bad, "--no-store"], 11);
    assert_eq!(answer["calibrated"], false);
    assert_eq!(answer["findings"][0]["kind"], "stuck-coupling");
    assert_eq!(
        (&answer["findings"][0]["bit"], &answer["findings"][0]["on"]),
        (&2.into(), &true.into())
    );

    let text = with_store(&store, &["calibrate", "--device", BOARD, "--no-store"], 0);
    assert!(!text.contains("board memory") && files(&store).is_empty(), "{text}");
}

#[test]
fn files_that_are_not_usable_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("a.json");
    let path = file.to_str().expect("UTF-8");
    let text = with_store(dir.path(), &["calibrate", "--show", path], 3);
    assert!(text.contains("a.json") && text.contains("cannot be read"), "{text}");
    std::fs::write(&file, "{}").expect("a file");
    let text = with_store(dir.path(), &["calibrate", "--show", path], 3);
    assert!(text.contains("not a calibration"), "{text}");
    let text = with_store(dir.path(), &["calibrate", "--quick", "--full"], 2);
    assert!(text.contains("cannot be used with"), "{text}");
    let text = with_store(
        dir.path(),
        &["calibrate", "--device", BOARD, "--no-store", "--output", "/nowhere/a.json"],
        10,
    );
    assert!(text.contains("/nowhere/a.json"), "{text}");
}

/// An RC board is measured, shown and written to a file; nothing of it is kept.
#[test]
fn an_rc_board_is_measured_and_not_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, file) = (dir.path().join("store"), dir.path().join("rc.json"));
    let board = ["calibrate", "--device", "sim:profile=rc-8,seed=5"];
    let output = ["--output", file.to_str().expect("UTF-8")];
    let text = with_store(&store, &[&board[..], &output].concat(), 0);
    for words in ["leak / µS", "storage", "each run of `spu solve`"] {
        assert!(text.contains(words), "{text} lacks {words:?}");
    }
    assert!(files(&store).is_empty());
    let written = std::fs::read_to_string(&file).expect("written");
    let written: Value = serde_json::from_str(&written).expect("one JSON object");
    assert_eq!(written["model"]["storage"].as_array().map(Vec::len), Some(8));
    assert!(written["residual"].as_f64() < Some(0.05), "{written}");
    for (option, words) in [("--show", "measured anew"), ("--report=x.html", "not kept")] {
        let refused = with_store(&store, &[&board[..], &[option]].concat(), 2);
        assert!(refused.contains(words), "{refused}");
    }
}
