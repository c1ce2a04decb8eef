//! Calibrations in every verb that measures, and the sentinel before each run.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{example, file, json, spu};

const BOARD: &str = "sim:profile=rev-b,seed=41";

/// The calibration of [`BOARD`], in a file.
fn calibration(directory: &Path) -> PathBuf {
    let path = directory.join("board.json");
    let output = ["--no-store", "--output", path.to_str().expect("UTF-8")];
    json(&[&["calibrate", "--device", BOARD][..], &output].concat(), 0);
    path
}

/// Every verb that measures, short.
fn verbs(directory: &Path) -> Vec<Vec<String>> {
    let laplacian = example("laplacian-8.mtx");
    let b = file(directory, "b.csv", b"1,2,3,4,5,6,7,8\n");
    let q = example("diffusion-8.csv");
    let samples = ["--samples", "20000"];
    let verb = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let large = directory.join("large.csv");
    let rows: Vec<String> = (0..10)
        .map(|i| {
            let entry = |j: i32| match i32::abs(i - j) {
                0 => "2.5",
                1 => "-1",
                _ => "0",
            };
            (0..10).map(entry).collect::<Vec<_>>().join(",")
        })
        .collect();
    std::fs::write(&large, rows.join("\n")).expect("a file");
    vec![
        verb(&[&["invert", &laplacian][..], &samples].concat()),
        verb(&[&["invert", large.to_str().expect("UTF-8")][..], &samples].concat()),
        verb(&[&["solve", &laplacian, b.to_str().expect("UTF-8")][..], &samples].concat()),
        verb(&["sample", &laplacian, "--count", "50"]),
        verb(&[&["logdet", &laplacian][..], &samples].concat()),
        verb(&[&["lyapunov", &laplacian, "--q", &q][..], &samples].concat()),
        verb(&[&["propagator", &laplacian, "--lags", "4"][..], &samples].concat()),
    ]
}

/// Numbers of an answer: without wall times, and what says how it came about.
fn numbers(mut answer: Value) -> Value {
    fn without_times(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| {
                    !key.contains("wall_s")
                        && !["phases_s", "digital_s", "calibration", "command"]
                            .contains(&key.as_str())
                });
                map.values_mut().for_each(without_times);
            }
            Value::Array(list) => list.iter_mut().for_each(without_times),
            _ => {}
        }
    }
    without_times(&mut answer);
    answer
}

#[test]
fn every_verb_says_which_calibration_it_used_and_whether_it_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = calibration(dir.path());
    let file = ["--calibration", path.to_str().expect("UTF-8")];
    let drifted = format!("{BOARD},fault=drive-gain.3.1.01");
    for verb in verbs(dir.path()) {
        let words: Vec<&str> = verb.iter().map(String::as_str).collect();
        let on = |device: &str, more: &[&str]| {
            json(&[&words[..], &["--device", device], more].concat(), 0)
        };
        let answer = on(BOARD, &file);
        let said = &answer["calibration"];
        assert_eq!(said["standing"], "calibrated", "{verb:?}: {said}");
        let board = &said["boards"][0];
        assert_eq!(board["source"], "user");
        assert_eq!(board["id"].as_str().map(str::len), Some(16));
        assert!(board["expires"].is_string() && board["created"].is_string());
        assert!(board["age_s"].as_u64().expect("an age") < 3600);
        let sentinel = &board["sentinel"];
        assert_eq!((&sentinel["run"], &sentinel["drifted"]), (&"done".into(), &false.into()));
        assert_eq!(
            (&sentinel["false_alarm_rate"], &sentinel["tested"]),
            (&1e-6.into(), &16.into())
        );
        assert!(sentinel["board_s"].as_f64().expect("seconds") > 1e-6);

        // Left out it says so, and the numbers are the same.
        let without = on(BOARD, &[&file[..], &["--no-sentinel"]].concat());
        assert_eq!(without["calibration"]["boards"][0]["sentinel"]["run"], "left-out", "{verb:?}");
        assert_eq!(numbers(without), numbers(answer), "{verb:?}");

        // A board whose drive has changed: named on both streams, and in the answer.
        let output = spu(&words).args(["--device", &drifted]).args(file).output().expect("runs");
        assert!(output.status.success(), "{verb:?}");
        let (text, error) = (
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        );
        let command = "run `spu calibrate --device sim:profile=rev-b,seed=41";
        assert!(error.contains("warning:") && error.contains(command), "{verb:?}: {error}");
        assert!(error.contains("drive of cell 3 by +1.0"), "{verb:?}: {error}");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("DRIFTED: drive of cell 3") && text.contains(command), "{text}");
        assert!(text.contains("what has changed is in no interval"), "{verb:?}: {text}");
        assert_eq!(on(&drifted, &file)["calibration"]["standing"], "drifted");

        let none = on(BOARD, &["--calibration", "none"]);
        assert_eq!(none["calibration"]["standing"], "uncalibrated");
        assert_eq!(none["calibration"]["boards"][0]["sentinel"]["run"], "no-calibration");
    }
}

/// A drifted board's intervals are statistical; so says the answer.
#[test]
fn a_drifted_board_is_not_called_calibrated() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = calibration(dir.path());
    let laplacian = example("laplacian-8.mtx");
    let run = |device: &str| {
        let file = path.to_str().expect("UTF-8");
        json(
            &[
                "invert",
                &laplacian,
                "--samples",
                "20000",
                "--device",
                device,
                "--calibration",
                file,
            ],
            0,
        )
    };
    let (good, drifted) = (run(BOARD), run(&format!("{BOARD},fault=drive-gain.3.1.01")));
    assert_eq!((&good["calibrated"], &drifted["calibrated"]), (&true.into(), &false.into()));
    let copy = &drifted["copies"][0];
    assert_eq!(copy["half_widths"], copy["statistical_half_widths"]);
    assert!(copy["calibration_sigma"].is_null() && copy["calibration"].is_string());
    let copy = &good["copies"][0];
    assert_ne!(copy["half_widths"], copy["statistical_half_widths"]);
    // Without a calibration that holds, the log-determinant sets drives by a reference.
    let method = |device: &str| {
        let file = path.to_str().expect("UTF-8");
        let arguments = ["logdet", &laplacian, "--samples", "20000", "--device", device];
        json(&[&arguments[..], &["--calibration", file]].concat(), 0)["method"].clone()
    };
    assert_eq!(method(BOARD), "covariance");
    assert_eq!(method(&format!("{BOARD},fault=drive-gain.3.1.01")), "reference");
}

#[test]
fn a_calibration_that_expired_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let run = |arguments: &[&str]| {
        let output = spu(arguments).env("SPU_CALIBRATIONS", &store).output().expect("spu runs");
        assert!(output.status.success(), "{arguments:?}");
        (
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    run(&["calibrate", "--device", BOARD, "--valid", "0"]);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let laplacian = example("laplacian-8.mtx");
    let sample = ["sample", &laplacian, "--count", "20", "--device", BOARD];
    let (answer, error) = run(&[&sample[..], &["--json"]].concat());
    assert!(error.contains("warning:") && error.contains("expired"), "{error}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["calibration"]["standing"], "uncalibrated");
    let unusable = answer["calibration"]["boards"][0]["unusable"][0].as_str().expect("why");
    assert!(unusable.contains("expired") && unusable.contains("spu calibrate"), "{unusable}");
    let (text, _) = run(&sample);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("none, nominal values are used") && text.contains("expired"), "{text}");
}
