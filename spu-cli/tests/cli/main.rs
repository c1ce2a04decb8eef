//! The `spu` command as a user runs it, on the simulator.

mod any;
mod calibrate;
mod characterise;
mod files;
#[cfg(unix)]
mod flash;
mod inputs;
mod interrupt;
mod mitigation;
mod operations;
mod recording;
mod report;
mod sentinel;
mod stream;
mod train;
mod verbs;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

/// The command, on the simulator whatever the environment says.
fn spu(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_spu"));
    command.env("SPU_DEVICE", "sim").env("SPU_CALIBRATIONS", no_calibrations()).args(arguments);
    command
}

/// A store that is not there: nothing is ever written into that of who runs the tests, or read from it.
fn no_calibrations() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-calibrations")
}

/// Runs it and returns what came.
fn run(arguments: &[&str]) -> Output {
    spu(arguments).output().expect("spu runs")
}

/// Runs it, expects this exit code and returns standard error.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    error
}

/// Runs it with `--json`, expects this exit code and returns the object.
fn json(arguments: &[&str], code: i32) -> Value {
    let output = spu(arguments).arg("--json").output().expect("spu runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A matrix of the examples folder.
fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// A file with this content in a directory.
fn file(directory: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("a file can be written");
    path
}

/// Rows of numbers.
fn matrix(value: &Value) -> Vec<Vec<f64>> {
    let number = |x: &Value| x.as_f64().expect("a number");
    let row = |row: &Value| row.as_array().expect("a row").iter().map(number).collect();
    value.as_array().expect("rows").iter().map(row).collect()
}
