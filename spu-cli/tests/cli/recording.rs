//! `--record`, `replay:` and `spu recording`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{example, fails, json, run};

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().expect("UTF-8").to_owned()
}

/// Takes out what names the device or the hour: the rest of an answer is the result.
fn result(answer: &Value) -> Value {
    match answer {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| {
                !["uri", "rung", "command", "wall_s", "phases_s"].contains(&key.as_str())
            })
            .map(|(key, value)| (key.clone(), result(value)))
            .collect(),
        Value::Array(values) => values.iter().map(result).collect(),
        value => value.clone(),
    }
}

#[test]
fn an_inversion_on_three_copies_comes_out_of_its_recordings_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let (matrix, file) = (example("laplacian-8.mtx"), path(directory.path(), "run.spu"));
    let invert = ["invert", &matrix, "--copies", "3", "--samples", "20000", "--seed", "4"];
    let recorded = json(&[&invert[..], &["--record", &file]].concat(), 0);
    let each = |name: &str| format!("replay:{}", path(directory.path(), name));
    let list = [each("run-1.spu"), each("run-2.spu"), each("run-3.spu")].join(",");
    for device in [list, each("run.spu")] {
        let replayed = json(&[&invert[..], &["--device", &device]].concat(), 0);
        assert_eq!(replayed["rung"], "replay (recording)");
        assert_eq!(result(&replayed), result(&recorded), "{device}");
    }
    // Recordings in another order are another run.
    let swapped = [each("run-2.spu"), each("run-1.spu"), each("run-3.spu")].join(",");
    let replayed = json(&[&invert[..], &["--device", &swapped]].concat(), 3);
    let message = replayed["error"]["message"].as_str().unwrap();
    assert!(message.contains("Load: seeds[0]"), "{message}");
}

#[test]
fn every_verb_records_and_replays() {
    let directory = tempfile::tempdir().unwrap();
    let matrix = example("laplacian-8.mtx");
    for (number, verb) in [
        &["info"][..],
        &["plan", &matrix],
        &["selftest"],
        &["sample", &matrix, "--count", "500"],
        &["regs", "read", "SCRATCH"],
        &["regs", "write", "SCRATCH[1]", "7"],
    ]
    .into_iter()
    .enumerate()
    {
        let file = path(directory.path(), &format!("{number}.spu"));
        let recorded = json(&[verb, &["--record", &file]].concat(), 0);
        let device = format!("replay:{file}");
        let replayed = json(&[verb, &["--device", &device]].concat(), 0);
        assert_eq!(result(&replayed), result(&recorded), "{verb:?}");
    }
}

#[test]
fn a_recording_is_shown_frame_by_frame() {
    let directory = tempfile::tempdir().unwrap();
    let file = path(directory.path(), "run.spu");
    json(&["regs", "write", "SCRATCH[1]", "7", "--record", &file], 0);
    let shown = json(&["recording", "show", &file], 0);
    assert_eq!(shown["uri"], "sim:profile=rev-a,seed=0,copy=0");
    assert_eq!((&shown["closed"], &shown["damage"]), (&Value::Bool(true), &Value::Null));
    let frames = shown["frames"].as_array().unwrap();
    let write = frames.iter().find(|frame| frame["operation"] == "WriteRegs").unwrap();
    assert_eq!(write["direction"], "to-device");
    assert_eq!(write["kind"], "request");
    assert_eq!(write["opcode"], 0x21);
    assert_eq!(write["fields"]["count"], 1);
    assert_eq!(write["fields"]["words"][0], "0x7");
    assert!(shown["summary"]["operations"]["33"]["replies"] == 1, "{}", shown["summary"]);

    let output = run(&["recording", "show", &file]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["-> WriteRegs request", "words [0x7]", "closed in order", "requests  repeats"] {
        assert!(text.contains(part), "{text} lacks {part:?}");
    }
    assert!(json(&["recording", "show", "--summary", &file], 0).get("frames").is_none());
}

/// What is there is shown and exported, and the damage is an error.
#[test]
fn a_damaged_recording_is_shown_up_to_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = path(directory.path(), "run.spu");
    json(&["info", "--record", &file], 0);
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 30);
    fs::write(&file, bytes).unwrap();
    let shown = json(&["recording", "show", &file], 3);
    assert_eq!(shown["frames"].as_array().unwrap().len(), 3);
    assert!(shown["damage"].as_str().unwrap().contains("cut short"), "{}", shown["damage"]);
    let out = path(directory.path(), "run.pcapng");
    assert_eq!(json(&["recording", "export", &file, "--pcapng", &out], 3)["packets"], 3);
    let replayed = fails(&["info", "--device", &format!("replay:{file}")], 3);
    assert!(replayed.contains("cut short"), "{replayed}");

    let matrix = example("laplacian-8.mtx");
    for arguments in [&["show", &matrix][..], &["export", &matrix, "--pcapng", &out]] {
        let error = fails(&[&["recording"], arguments].concat(), 3);
        assert!(error.contains("no recording") && error.contains(&matrix), "{error}");
    }
    let error = fails(&["recording", "show", "/nowhere/run.spu"], 3);
    assert!(error.contains("/nowhere/run.spu"), "{error}");
}

#[test]
fn recordings_that_cannot_be_made_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = path(directory.path(), "run.spu");
    let error = fails(&["info", "--record", "/nowhere/run.spu"], 10);
    assert!(error.contains("/nowhere/run.spu"), "{error}");
    json(&["info", "--record", &file], 0);
    let replay = format!("replay:{file}");
    let error = fails(&["info", "--device", &replay, "--record", &file], 2);
    assert!(error.contains("being replayed"), "{error}");
    json(&["info", "--device", &replay], 0);
}

/// The file outgrows what the system allows: the answer is whole, the recording readable as far as
/// it goes, and the exit code says that an output is not whole.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_recording_and_not_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let (matrix, file) = (example("laplacian-8.mtx"), path(directory.path(), "run.spu"));
    let spu = env!("CARGO_BIN_EXE_spu");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh", spu, "invert", &matrix, "--samples", "20000", "--json"])
        .args(["--device", "sim", "--record", &file])
        .env("SPU_CALIBRATIONS", crate::no_calibrations())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(10), "{error}");
    assert!(error.contains("is not whole") && error.contains(&file), "{error}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let plain = json(&["invert", &matrix, "--samples", "20000"], 0);
    assert_eq!(result(&answer), result(&plain));
    let shown = json(&["recording", "show", &file], 3);
    assert!(!shown["frames"].as_array().unwrap().is_empty());
}
