//! Ctrl-C during a long run.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{example, json};

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_spu"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn press(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Samples that keep this machine busy for about so many seconds.
fn samples(seconds: f64) -> u64 {
    let laplacian = example("laplacian-8.mtx");
    let mut count = 20_000_u32;
    loop {
        let started = Instant::now();
        json(&["invert", &laplacian, "--device", "sim", "--samples", &count.to_string()], 0);
        let took = started.elapsed().as_secs_f64();
        if took > 0.5 {
            return (f64::from(count) * seconds / took) as u64;
        }
        count *= 4;
    }
}

#[test]
fn the_first_press_keeps_what_was_measured() {
    let laplacian = example("laplacian-8.mtx");
    let count = samples(12.0).to_string();
    let mut child = start(&["invert", &laplacian, "--device", "sim", "--samples", &count]);
    // The first line of progress comes after three seconds: a quarter is measured then, which is
    // enough.
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.contains(" samples, ") && line.contains(" left"), "{line}");
    let pressed = Instant::now();
    press(&child);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(7), "{text}");
    assert!(pressed.elapsed() < Duration::from_secs(5), "it stops soon");
    assert!(text.contains("Cancelled: the result is from the samples until then"), "{text}");
    assert!(text.contains("A⁻¹") && text.contains("Verdict"), "{text}");
    errors.read_to_string(&mut line).unwrap();
    assert!(line.contains("stopping the board"), "{line}");
}

#[test]
fn a_matrix_in_blocks_ends_with_how_far_it_came() {
    let directory = tempfile::tempdir().unwrap();
    let row =
        |i: usize| (0..12).map(|j| if i == j { "2" } else { "0" }).collect::<Vec<_>>().join(",");
    let rows = (0..12).map(row).collect::<Vec<_>>().join("\n");
    let a = crate::file(directory.path(), "a.csv", rows.as_bytes());
    let count = "4000000000";
    let mut child = start(&["invert", a.to_str().unwrap(), "--device", "sim", "--samples", count]);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    errors.read_line(&mut text).unwrap();
    assert!(text.contains(" samples, "), "{text}");
    press(&child);
    errors.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{text}");
    assert!(text.contains("a part of the reads gives no result"), "{text}");
    assert!(text.contains("cancelled after 0 of 2 blocks and 0.000 s of device time"), "{text}");
}

#[test]
fn the_second_press_quits() {
    let laplacian = example("laplacian-8.mtx");
    // So large a quantum, and samples so far apart, keep the simulator from hearing the first press.
    let device = "sim:quantum=4294967295";
    let samples = ["--samples", "4000000000", "--decimation", "1000000"];
    let mut child = start(&[&["invert", &laplacian, "--device", device][..], &samples].concat());
    std::thread::sleep(Duration::from_secs(1));
    press(&child);
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "the first press alone does not quit");
    press(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn too_early_a_press_says_that_nothing_is_kept() {
    let laplacian = example("laplacian-8.mtx");
    let mut child = start(&["invert", &laplacian, "--device", "sim", "--samples", "4000000000"]);
    std::thread::sleep(Duration::from_secs(1));
    press(&child);
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{error}");
    assert!(error.contains("nothing is kept"), "{error}");
}
