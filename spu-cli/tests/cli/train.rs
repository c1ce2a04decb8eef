//! `train`: on digits that are drawn here, small enough for a debug build.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::{fails, file, json, run};

const BOARD: [&str; 2] = ["--device", "sim:profile=rc-8,seed=5"];

/// An IDX file.
fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    [bytes, values.to_vec()].concat()
}

/// Images whose bright bar tells their label, 320 to learn from and 100 to test on.
fn digits() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (part, count) in [("train", 320_u32), ("t10k", 100)] {
        let labels: Vec<u8> = (0..count).map(|i| ((i * 7 + i / 13) % 10) as u8).collect();
        let mut images = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            for y in 0..28 {
                for x in 0..28 {
                    let bar = (2 * usize::from(*label) + 3..).take(4).any(|row| row == y);
                    let speck = (x * 31 + y * 17 + i * 7) % 11 == 0;
                    images.push(if bar { 230 } else { u8::from(speck) * 90 });
                }
            }
        }
        file(folder.path(), &format!("{part}-images-idx3-ubyte"), &idx(&[count, 28, 28], &images));
        file(folder.path(), &format!("{part}-labels-idx1-ubyte"), &idx(&[count], &labels));
    }
    folder
}

fn arguments<'a>(data: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let data = data.to_str().expect("UTF-8");
    let usual = ["train", "mnist", "--data", data, "--examples", "320"];
    let batch: &[&str] = if more.contains(&"--batch") { &[] } else { &["--batch", "32"] };
    [&usual[..], batch, more].concat()
}

fn last(answer: &Value) -> &Value {
    answer["evaluations"].as_array().and_then(|all| all.last()).expect("an evaluation")
}

#[test]
fn a_board_in_the_loop_learns() {
    let data = digits();
    let metrics = data.path().join("metrics.jsonl");
    let more = ["--steps", "30", "--metrics", metrics.to_str().unwrap()];
    let answer = json(&arguments(data.path(), &[&more[..], &BOARD].concat()), 0);
    assert_eq!(answer["is_device"], true);
    assert_eq!(answer["steps"], 30);
    assert!(last(&answer)["accuracy"].as_f64().unwrap() > 0.95, "{answer}");
    assert!(answer["phases"]["evolve"].as_f64().unwrap() > 0.0);
    let lines = fs::read_to_string(&metrics).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<u64> = lines.iter().filter_map(|line| line["step"].as_u64()).collect();
    assert_eq!(steps, (0..30).collect::<Vec<_>>());
    // Ten steps an epoch, an evaluation at each one's end.
    assert_eq!(lines.iter().filter(|line| line["evaluation"].is_object()).count(), 3);
    let text = run(&arguments(data.path(), &[&["--steps", "2"][..], &BOARD].concat()));
    let text = String::from_utf8(text.stdout).unwrap();
    for words in ["Training on 320 images", "krylov-8 on rc-8 board", "program", "accuracy"] {
        assert!(text.contains(words), "{text} lacks {words:?}");
    }
}

/// In the limit: an RLC board by its covariance, with the error of its samples; Kronecker factors on an RC board.
#[test]
fn boards_in_the_limit_learn() {
    let data = digits();
    let rlc = ["--device", "sim:profile=rev-b,seed=5", "--time", "inf", "--calibration", "none"];
    let sampled = ["--steps", "15", "--effective", "2000"];
    let answer = json(&arguments(data.path(), &[&sampled[..], &rlc].concat()), 0);
    assert!(answer["label"].as_str().unwrap().contains("covariance (not calibrated)"), "{answer}");
    assert!(last(&answer)["accuracy"].as_f64().unwrap() > 0.5, "{answer}");
    // √(9/2000) is 6.7 %.
    let error = answer["statistical_error"].as_f64().unwrap();
    assert!((0.01..0.3).contains(&error), "{error}");

    let kfac = ["--backend", "kfac-board", "--steps", "15", "--refresh", "8"];
    let answer = json(&arguments(data.path(), &[&kfac[..], &BOARD].concat()), 0);
    assert_eq!(answer["is_device"], true);
    assert!(answer["label"].as_str().unwrap().contains("kfac on rc-8 board"), "{answer}");
    assert!(last(&answer)["accuracy"].as_f64().unwrap() > 0.5, "{answer}");
    assert!(answer["phases"]["evolve"].as_f64().unwrap() > 0.0);
}

#[test]
fn digital_rules_and_backends_say_so() {
    let data = digits();
    for (options, label) in [
        (&["--optimizer", "adam", "--rate", "0.01"][..], "digital"),
        (&["--optimizer", "sgd"], "digital"),
        (&["--backend", "krylov"], "digital emulation"),
        (&["--backend", "exact-law"], "exact-law"),
        (&["--backend", "woodbury", "--time", "inf"], "woodbury"),
        (&["--backend", "kfac"], "kfac (digital"),
        (&["--backend", "krylov", "--optimizer", "tngd-adam"], "digital emulation"),
    ] {
        let answer = json(&arguments(data.path(), &[&["--steps", "2"], options].concat()), 0);
        assert_eq!(answer["is_device"], false);
        assert!(answer["label"].as_str().unwrap().contains(label), "{answer}");
    }
}

#[test]
fn plots_and_event_files_are_written() {
    let data = digits();
    let (page, folder) = (data.path().join("plot.html"), data.path().join("runs/first"));
    let krylov = ["--backend", "krylov", "--steps", "6", "--evaluate-every", "3"];
    let events = ["--tensorboard", folder.to_str().unwrap()];
    let more = [&krylov[..], &["--plot", page.to_str().unwrap()], &events].concat();
    let answer = json(&arguments(data.path(), &more), 0);
    for phase in ["gradient", "factors", "update"] {
        assert!(answer["phases"][phase].as_f64().unwrap() > 0.0, "{phase}: {answer}");
    }
    let page = fs::read_to_string(page).unwrap();
    let page = roxmltree::Document::parse_with_options(
        &page,
        roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() },
    )
    .unwrap();
    assert_eq!(page.descendants().filter(|node| node.tag_name().name() == "svg").count(), 4);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let bytes = fs::read(&files[0]).unwrap();
    // A length, its check, the record, its check.
    let mut records = 0;
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        rest = &after[4 + u64::from_le_bytes(*length) as usize + 4..];
        records += 1;
    }
    assert_eq!(records, 1 + 6 + 2, "the version, steps, evaluations");

    let taken = ["--tensorboard", files[0].to_str().unwrap()];
    let error = fails(&arguments(data.path(), &[&krylov[..], &taken].concat()), 10);
    assert!(error.contains("a folder that can be written"), "{error}");
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let data = digits();
    let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let (whole, half, end) = (path("whole.json"), path("half.json"), path("end.json"));
    for backend in [
        &["--backend", "krylov", "--noise", "0.001"][..],
        &["--backend", "kfac", "--refresh", "3"],
        &[
            "--backend",
            "board",
            "--device",
            "sim:profile=rc-2,seed=4",
            "--cells",
            "2",
            "--noise",
            "1e-3",
        ],
        // The last, for what follows.
        &["--optimizer", "adam"],
    ] {
        let train = |more: &[&str]| json(&arguments(data.path(), &[backend, more].concat()), 0);
        train(&["--steps", "12", "--checkpoint", &whole, "--evaluate-every", "12"]);
        train(&["--steps", "5", "--checkpoint", &half]);
        let answer = train(&["--steps", "12", "--resume", &half, "--checkpoint", &end]);
        assert_eq!(answer["resumed_from"], 5);
        assert_eq!(fs::read(&whole).unwrap(), fs::read(&end).unwrap(), "{backend:?}");
    }
    let other = ["--resume", &half, "--seed", "2", "--optimizer", "adam"];
    assert!(fails(&arguments(data.path(), &other), 3).contains("--seed 1"));
    let other = ["--resume", &half, "--backend", "krylov"];
    assert!(fails(&arguments(data.path(), &other), 3).contains("another optimizer"));
    let damaged = file(data.path(), "damaged.json", b"{\"version\": 1");
    let other = ["--resume", damaged.to_str().unwrap(), "--backend", "krylov"];
    assert!(fails(&arguments(data.path(), &other), 3).contains("damaged"));
}

fn of(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn the_factored_array_is_a_device() {
    let data = digits();
    let with = |device, batch| {
        let array = ["--backend", "array", "--device", device, "--batch", batch, "--steps", "2"];
        arguments(data.path(), &array).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let tolerant = with("sim:profile=rc-factored,seed=2", "4");
    let answer = json(&of(&tolerant), 0);
    assert_eq!((answer["is_device"].as_bool(), answer["steps"].as_u64()), (Some(true), Some(2)));
    // 4 examples of rank 9, resistors of 1 %: neither symmetric nor far from it.
    assert_eq!(answer["products"], 72);
    let asymmetry = answer["drift"]["asymmetry"].as_f64().unwrap();
    assert!((1e-5..0.1).contains(&asymmetry), "{answer}");
    assert_eq!(answer["drift"]["may_be_unstable"], true);
    // Appendix C, both steps: 36 (36 + 2 · 37,434) values of 16 bits by 50 Gb/s.
    let upload = answer["phases"]["paper"]["upload"].as_f64().unwrap();
    assert!((upload / (2.0 * 36.0 * 74_904.0 * 16.0 / 50e9) - 1.0).abs() < 1e-3, "{upload}");
    let text = String::from_utf8(run(&of(&tolerant)).stdout).unwrap();
    assert!(text.contains("from symmetric") && text.contains("paper's model"), "{text}");

    let exact = with("sim:profile=rc-factored,without=bank_tolerance", "4");
    let answer = json(&of(&exact), 0);
    assert!(answer["drift"]["asymmetry"].as_f64().unwrap() < 1e-3, "{answer}");
    assert_eq!(
        (&answer["drift"]["bound"], &answer["drift"]["may_be_unstable"]),
        (&0.0.into(), &false.into())
    );
    let cells = with("sim:profile=rc-8", "4");
    assert!(fails(&of(&cells), 5).contains("rc-factored"));
    let rows = with("sim:profile=rc-factored", "200");
    assert!(fails(&of(&rows), 5).contains("1800 rows"));
}

/// A microcontroller that restarts ends the session, so that the step fails.
#[test]
fn a_board_that_is_lost_leaves_a_checkpoint_or_a_digital_run() {
    let data = digits();
    let checkpoint = data.path().join("lost.json");
    // Past the calibration, which takes 2,191,752 ticks; a step takes some hundred.
    let device = ["--device", "sim:profile=rc-8,seed=5,fault=restart.ticks.2192400"];
    let saved = ["--steps", "40", "--evaluate-every", "40"];
    let keep = ["--checkpoint", checkpoint.to_str().unwrap()];
    let error = fails(&arguments(data.path(), &[&saved[..], &device, &keep].concat()), 9);
    assert!(error.contains("steps are kept in") && error.contains("lost.json"), "{error}");
    assert!(checkpoint.exists());

    let fallback = ["--fallback", "krylov"];
    let answer = json(&arguments(data.path(), &[&saved[..], &device, &fallback].concat()), 0);
    assert_eq!((answer["is_device"].as_bool(), answer["steps"].as_u64()), (Some(false), Some(40)));
    assert!(answer["fell_back_at"].as_u64().unwrap() > 0);
}

#[test]
fn bad_input_names_cause_and_remedy() {
    let data = digits();
    let krylov = ["--backend", "krylov"];
    let usage = |more: &[&str], part: &str| {
        let error = fails(&arguments(data.path(), &[&krylov[..], more].concat()), 2);
        assert!(error.contains(part), "{more:?}: {error}");
    };
    usage(&["--damping", "0"], "choose λ > 0");
    usage(&["--time=-1"], "the analog time t is -1");
    usage(&["--rate", "0"], "the learning rate is 0");
    usage(&["--noise=-1"], "the noise");
    usage(&["--fallback", "board"], "a digital backend");
    usage(&["--fallback", "kfac-board"], "a digital backend");
    usage(&["--effective", "0"], "--effective");
    usage(&["--validate"], "there are 0 to train on");
    let few = ["train", "mnist", "--data", data.path().to_str().unwrap()];
    assert!(fails(&few, 2).contains("there are 320 to train on"));
    assert!(fails(&[&few[..], &["--batch", "0"]].concat(), 2).contains("a batch of 0"));

    let small = ["--device", "sim:profile=rc-4"];
    let error = fails(&arguments(data.path(), &small), 5);
    assert!(error.contains("ask for at most 4"), "{error}");
    // RLC cells have no finite times, Kronecker factors neither.
    for finite in [
        &["--device", "sim"][..],
        &["--device", "sim", "--time", "inf", "--delay", "1"],
        &["--backend", "kfac", "--time", "1"],
        &["--backend", "kfac-board", "--device", "sim:profile=rc-8", "--time", "1"],
        &["--backend", "woodbury"],
    ] {
        let error = fails(&arguments(data.path(), finite), 2);
        assert!(error.contains("t = 1 is finite: give t = inf"), "{error}");
    }
    let dead = ["--device", "sim:profile=rc-8,fault=dead-cell.2"];
    assert!(fails(&arguments(data.path(), &dead), 5).contains("cell 2"));

    let missing = ["train", "mnist", "--data", "/nowhere"];
    assert!(fails(&missing, 3).contains("cargo xtask data mnist"));
    let labels = data.path().join("train-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8 + 3] = 10;
    fs::write(&labels, &bytes).unwrap();
    assert!(fails(&arguments(data.path(), &krylov), 3).contains("label 3 is 10"));
    bytes.pop();
    fs::write(&labels, &bytes).unwrap();
    assert!(fails(&arguments(data.path(), &krylov), 3).contains("cut off"));
}
