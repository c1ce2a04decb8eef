//! `spu stream`: files that are whole whatever ends the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ndarray::Array2;
use ndarray_npy::ReadNpyExt as _;
use serde_json::Value;

use crate::{example, fails, json, run};

/// A directory, and a path in it as text.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn meta(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The rows that a `.npy` file counts, and their bytes; a kill may leave others behind them.
fn npy(path: &Path) -> (u64, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let header = String::from_utf8(bytes[10..128].to_vec()).unwrap();
    let rows: u64 =
        header.split(['(', ',']).find_map(|part| part.trim().parse().ok()).expect("a shape");
    let whole = &bytes[..128 + rows as usize * 16];
    let array = Array2::<i16>::read_npy(whole).unwrap();
    assert_eq!(array.dim(), (rows as usize, 8));
    (rows, whole[128..].to_vec())
}

/// Streams the laplacian with noise of seed 7, at full rate.
fn arguments(out: &str, samples: &str) -> Vec<String> {
    let laplacian = example("laplacian-8.mtx");
    ["stream", &laplacian, "--seed", "7", "--out", out, "--samples", samples]
        .map(str::to_owned)
        .to_vec()
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Frames of a run that nothing disturbs.
fn undisturbed(frames: u32) -> Vec<u8> {
    let place = Place::new();
    let all = arguments(&place.text("a.sigmf"), &frames.to_string());
    let answer = json(&strings(&all), 0);
    assert_eq!(answer["frames"], frames);
    fs::read(place.path("a.sigmf-data")).unwrap()
}

/// True if `found` and `expected` are the same as far as both go.
fn agree(found: &[u8], expected: &[u8]) -> bool {
    let common = found.len().min(expected.len());
    found[..common] == expected[..common]
}

#[test]
fn both_formats_hold_the_same_frames() {
    let place = Place::new();
    let mut answers = Vec::new();
    for name in ["a.sigmf", "a.npy"] {
        let all = arguments(&place.text(name), "30000");
        let answer = json(&[&strings(&all)[..], &["--decimation", "3"]].concat(), 0);
        assert_eq!((&answer["frames"], &answer["kept"]), (&30_000.into(), &30_000.into()));
        assert_eq!((&answer["lost"], &answer["gaps"]), (&0.into(), &0.into()));
        assert_eq!(answer["outcome"], "complete");
        for file in answer["files"].as_array().unwrap() {
            let size = fs::metadata(file["path"].as_str().unwrap()).unwrap().len();
            assert_eq!(file["bytes"], size);
        }
        answers.push(answer);
    }
    assert_eq!(place.files(), ["a.npy", "a.sigmf-data", "a.sigmf-meta"]);
    let (rows, bytes) = npy(&place.path("a.npy"));
    assert_eq!(rows, 30_000);
    assert!(bytes == fs::read(place.path("a.sigmf-data")).unwrap());
    assert!(bytes.iter().any(|byte| *byte != 0), "the cells move");
    let meta = place.meta("a.sigmf-meta");
    assert_eq!(meta["global"]["core:sha512"], answers[0]["sha512"]);
    assert_eq!(meta["global"]["core:sample_rate"], 4e6);
    assert_eq!(meta["global"]["spu:settle"], answers[0]["plan"]["settle"]);
}

#[test]
fn what_the_board_holds_is_streamed_without_a_matrix() {
    let place = Place::new();
    let out = place.text("a");
    let answer = json(&["stream", "--format", "sigmf", "--out", &out, "--seconds", "0.001"], 0);
    assert_eq!((&answer["frames"], &answer["programmed"]), (&12_000.into(), &Value::Null));
    assert_eq!(place.meta("a.sigmf-meta")["global"]["spu:program"], Value::Null);
    let text = run(&["stream", "--force", "--out", &place.text("a.sigmf"), "--samples", "1000"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in ["1,000 of 1,000", "lost       none", "what the board held", "SHA-512"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
}

#[test]
fn files_that_are_there_are_safe() {
    let place = Place::new();
    for (out, there) in
        [("a.sigmf", "a.sigmf-meta"), ("a.sigmf", "a.sigmf-data"), ("b.npy", "b.npy")]
    {
        fs::write(place.path(there), "precious").unwrap();
        // Nothing is opened either: this device does not exist.
        let device = ["--device", "unix:/nowhere/socket"];
        let error = fails(&[&["stream", "--out", &place.text(out)][..], &device].concat(), 2);
        assert!(error.contains("--force") && error.contains(there), "{error}");
        assert_eq!(fs::read(place.path(there)).unwrap(), b"precious");
        fs::remove_file(place.path(there)).unwrap();
    }
    assert!(place.files().is_empty());
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_written() {
    let place = Place::new();
    let out = place.text("a.sigmf");
    for (more, code, expect) in [
        (&["--out", &place.text("a.wav")][..], 2, "use .sigmf or .npy"),
        (&["--out", &out, "--samples", "0"], 2, "1 to 4,294,967,295"),
        (&["--out", &out, "--samples", "4294967296"], 2, "1 to 4,294,967,295"),
        (&["--out", &out, "--samples", "5", "--seconds", "5"], 2, "cannot be used with"),
        (&["--out", &out, "--decimation", "0"], 2, "zero"),
        (&["--out", &out, "--queue", "much"], 2, "64M"),
        (&["--out", &out, "--damping", "1"], 2, "MATRIX"),
        (&["--out", "/nowhere/a.sigmf"], 10, "create its directory first"),
    ] {
        let error = fails(&[&["stream"], more].concat(), code);
        assert!(error.contains(expect), "{more:?}: {error}");
    }
    assert!(place.files().is_empty());
}

#[test]
fn losses_in_real_time_are_placed_and_no_failure() {
    let place = Place::new();
    let all = arguments(&place.text("a.sigmf"), "2000000");
    let device = ["--realtime", "--device", "sim:quantum=200000"];
    let answer = json(&[&strings(&all)[..], &device].concat(), 0);
    let number = |key: &str| answer[key].as_u64().unwrap();
    assert!(number("lost_in_gaps") > 0 && number("gaps") > 0);
    assert_eq!(number("frames") + number("lost"), number("kept"));
    let meta = place.meta("a.sigmf-meta");
    let captures = meta["captures"].as_array().unwrap();
    let lost = |capture: &Value| capture["spu:lost_before"].as_u64().unwrap();
    assert_eq!(captures.iter().map(lost).sum::<u64>(), number("lost_in_gaps"));
    let last = captures.last().unwrap();
    assert_eq!(
        last["core:global_index"].as_u64().unwrap() - last["core:sample_start"].as_u64().unwrap(),
        number("lost_in_gaps")
    );
}

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_spu"))
        .args(arguments)
        .env("SPU_DEVICE", "sim")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until this holds; a run that ended before it did is a failure.
fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_mins(2);
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended too early");
        assert!(Instant::now() < limit, "it did not start");
        sleep(Duration::from_millis(2));
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// So many frames that no run comes to its end; a file of them would take 64 GB.
const ENDLESS: &str = "4000000000";

#[cfg(unix)]
#[test]
fn a_killed_process_leaves_readable_files() {
    let expected = undisturbed(2_000_000);
    let mut counted = 0;
    for kill in 0..20_u64 {
        let place = Place::new();
        let name = if kill % 2 == 0 { "a.sigmf" } else { "a.npy" };
        let file = place.path(if kill % 2 == 0 { "a.sigmf-data" } else { "a.npy" });
        let all = arguments(&place.text(name), ENDLESS);
        let mut child = start(&strings(&all));
        wait_until(&mut child, || file.exists());
        // Somewhere in the first checkpoint, the first block, or later.
        sleep(Duration::from_millis(kill * kill * 3 / 2));
        child.kill().unwrap();
        child.wait().unwrap();
        let frames = if name == "a.npy" {
            if length(&file) < 128 {
                // Killed before the header: nothing was begun.
                continue;
            }
            let (rows, bytes) = npy(&file);
            assert!(agree(&bytes, &expected), "kill {kill}");
            rows
        } else {
            let bytes = fs::read(&file).unwrap();
            assert_eq!(bytes.len() % 16, 0, "kill {kill}: whole frames");
            assert!(agree(&bytes, &expected), "kill {kill}");
            let meta = place.path("a.sigmf-meta");
            if !meta.exists() {
                assert!(bytes.is_empty(), "kill {kill}: no frames without metadata");
                continue;
            }
            let meta = place.meta("a.sigmf-meta");
            assert_eq!(meta["global"]["spu:state"], "recording");
            assert_eq!(meta["captures"].as_array().unwrap().len(), 1);
            let frames = meta["global"]["spu:frames"].as_u64().unwrap();
            assert!(frames <= bytes.len() as u64 / 16, "kill {kill}");
            frames
        };
        counted += u64::from(frames > 0);
    }
    assert!(counted > 0, "no run had counted frames");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_stored_and_says_so() {
    for name in ["a.sigmf", "a.npy"] {
        let place = Place::new();
        let all = arguments(&place.text(name), ENDLESS);
        let mut child = start(&[&strings(&all)[..], &["--json"]].concat());
        let file = place.path(if name == "a.npy" { "a.npy" } else { "a.sigmf-data" });
        wait_until(&mut child, || length(&file) > 1000);
        let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(status.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{errors}");
        assert!(errors.contains("keeping what was measured"), "{errors}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["outcome"], "cancelled");
        let frames = answer["frames"].as_u64().unwrap();
        assert!(frames > 0);
        if name == "a.npy" {
            let bytes = fs::read(&file).unwrap();
            let array = Array2::<i16>::read_npy(&bytes[..]).unwrap();
            assert_eq!(array.nrows() as u64, frames);
        } else {
            assert_eq!(length(&file), frames * 16);
            let meta = place.meta("a.sigmf-meta");
            assert_eq!(meta["global"]["spu:state"], "cancelled");
            assert_eq!(meta["global"]["spu:frames"], frames);
            assert_eq!(meta["global"]["core:sha512"], answer["sha512"]);
        }
    }
}

/// The limit on the size of a file stands for a disk that is full at that size: a write ends within
/// a frame and fails after.
#[cfg(unix)]
#[test]
fn a_full_disk_keeps_whole_frames_and_says_how_many() {
    let expected = undisturbed(100_000);
    for name in ["a.sigmf", "a.npy"] {
        for blocks in [64, 601] {
            let place = Place::new();
            let all = arguments(&place.text(name), ENDLESS);
            // Units of 512 bytes, as POSIX has it; the signal is ignored, as a full disk sends none.
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            let output = Command::new("sh")
                .args(["-c", &script, env!("CARGO_BIN_EXE_spu")])
                .args(&all)
                .env("SPU_DEVICE", "sim")
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(10), "{errors}");
            let file = place.path(if name == "a.npy" { "a.npy" } else { "a.sigmf-data" });
            let (frames, bytes) = if name == "a.npy" {
                let bytes = fs::read(&file).unwrap();
                let array = Array2::<i16>::read_npy(&bytes[..]).unwrap();
                (array.nrows(), bytes[128..].to_vec())
            } else {
                let bytes = fs::read(&file).unwrap();
                let meta = place.meta("a.sigmf-meta");
                assert_eq!(meta["global"]["spu:state"], "failed");
                assert_eq!(meta["global"]["spu:frames"], bytes.len() / 16);
                (bytes.len() / 16, bytes)
            };
            assert_eq!(bytes.len() % 16, 0);
            assert!(frames > 1000, "{frames}: a block or more was stored");
            assert!(agree(&bytes, &expected));
            let text = frames.to_string();
            let thousands = format!("{},{}", &text[..text.len() - 3], &text[text.len() - 3..]);
            let said = format!("{thousands} whole frames are in {}", file.display());
            assert!(errors.contains(&said), "{errors} lacks {said:?}");
            assert!(errors.contains("free some space"), "{errors}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_any_room_is_told() {
    let error = fails(&["stream", "--out", "/dev/full", "--format", "npy", "--force"], 10);
    assert!(error.contains("No space left") && error.contains("0 whole frames"), "{error}");
}

/// The reference implementation reads it, checks it against the format's schema, and its hash.
#[test]
fn the_sigmf_package_accepts_the_files() {
    let python = std::env::var("SPU_SIGMF_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import sigmf"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no package sigmf; set SPU_SIGMF_PYTHON to one that has");
        return;
    }
    let place = Place::new();
    for (name, more) in [
        ("whole.sigmf", &[][..]),
        ("gaps.sigmf", &["--realtime", "--device", "sim:quantum=200000"]),
    ] {
        let all = arguments(&place.text(name), "2000000");
        let answer = json(&[&strings(&all)[..], more].concat(), 0);
        let script = "import sys, sigmf\n\
                      f = sigmf.fromfile(sys.argv[1])\n\
                      f.validate()\n\
                      print(f.read_samples().shape, len(f.get_captures()))";
        let meta = place.path(name).with_extension("sigmf-meta");
        let output = Command::new(&python).args(["-W", "error", "-c", script]).arg(&meta).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let gaps = answer["gaps"].as_u64().unwrap();
        let captures = place.meta(&format!("{name}-meta"))["captures"].as_array().unwrap().len();
        let expected = format!("({}, 8) {captures}\n", answer["frames"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{gaps} gaps");
    }
}
