//! Matrices and reports in files: every format, and disks that are full.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{example, fails, json, matrix, run};

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| name(entry).into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_inverse_goes_through_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let mut inverses = Vec::new();
    for name in ["inverse.npy", "inverse.mtx", "inverse.csv"] {
        let path = directory.path().join(name);
        let path = path.to_str().unwrap();
        let laplacian = example("laplacian-8.mtx");
        let answer = json(&["invert", &laplacian, "--samples", "20000", "--output", path], 0);
        let printed = matrix(&answer["mean"]["inverse"]);
        // Read back by the command itself; the inverse of a matrix is positive definite too.
        let read = json(&["plan", path, "--device", "sim:profile=ideal", "--damping", "3"], 0);
        let mut entries = matrix(&read["matrix"]["entries"]);
        for (i, row) in entries.iter_mut().enumerate() {
            row[i] -= 3.0;
            for (j, x) in row.iter().enumerate() {
                assert!((x - printed[i][j]).abs() < 1e-12, "{name}: ({i}, {j})");
            }
        }
        inverses.push(printed);
    }
    assert_eq!(inverses[0], inverses[1]);
    assert_eq!(inverses[0], inverses[2]);
    assert_eq!(names(directory.path()), ["inverse.csv", "inverse.mtx", "inverse.npy"]);
}

#[test]
fn samples_go_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.npy");
    let laplacian = example("laplacian-8.mtx");
    let answer =
        json(&["sample", &laplacian, "--count", "300", "--output", path.to_str().unwrap()], 0);
    assert!(answer.get("samples").is_none());
    let samples: ndarray::Array2<f64> = ndarray_npy::read_npy(&path).unwrap();
    assert_eq!(samples.dim(), (300, 8));
    // The same samples as without a file.
    let answer = json(&["sample", &laplacian, "--count", "300"], 0);
    for (a, b) in matrix(&answer["samples"])[299].iter().zip(samples.row(299)) {
        // The parser of JSON may be off by a bit.
        assert!((a - b).abs() < 1e-15 * b.abs(), "{a} {b}");
    }
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_run() {
    let laplacian = example("laplacian-8.mtx");
    // So long a run would end the test by its time.
    let long = ["invert", &laplacian, "--samples", "4000000000"];
    for (arguments, code, word) in [
        (["--output", "/nowhere/x.npy"], 10, "create its directory first"),
        (["--report", "/nowhere/x.html"], 10, "create its directory first"),
        (["--output", "x.txt"], 2, ".npy"),
        (["--output", "/"], 2, ".npy"),
        (["--report", "/"], 10, "name a file"),
    ] {
        let error = fails(&[&long[..], &arguments[..]].concat(), code);
        assert!(error.contains(word), "{arguments:?}: {error} lacks {word:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_the_answer_and_leaves_no_half_file() {
    let directory = tempfile::tempdir().unwrap();
    let before = directory.path().join("x.npy");
    fs::write(&before, "from before").unwrap();
    // Files may grow to 0 blocks only, and the signal about it is ignored: writing fails as on a
    // full disk.
    let script = "ulimit -f 0; trap '' XFSZ; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_spu"), "invert"])
        .args([&example("laplacian-8.mtx"), "--samples", "20000", "--device", "sim"])
        .args(["--output", "x.npy", "--report", "x.html"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(10), "{text}");
    assert!(text.contains("Verdict:"), "{text}");
    assert!(text.contains("inverse not written: cannot write x.npy"), "{text}");
    assert!(text.contains("report not written: cannot write x.html"), "{text}");
    assert!(text.contains("free some space"), "{text}");
    assert_eq!(fs::read_to_string(&before).unwrap(), "from before");
    assert_eq!(names(directory.path()), ["x.npy"]);
}

#[cfg(target_os = "linux")]
#[test]
fn devices_as_outputs_are_written_to_and_stay() {
    let laplacian = example("laplacian-8.mtx");
    let output = run(&["invert", &laplacian, "--samples", "20000", "--report", "/dev/full"]);
    assert_eq!(output.status.code(), Some(10));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("/dev/full") && text.contains("free some space"), "{text}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_spu"))
        .args(["regs", "list"])
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(10));
}
