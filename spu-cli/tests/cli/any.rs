//! Matrices of any sign and size, refinement and solutions.

use serde_json::Value;

use crate::{example, fails, file, json, matrix, run};

/// Without the spread that keeps an uncalibrated board from being refined.
const BOARD: &str = "sim:profile=rev-b,without=drive_mismatch";

/// A chain with couplings of both signs, `n × n`.
fn chain(n: usize) -> String {
    let entry = |i: usize, j: usize| match i.abs_diff(j) {
        0 => "3",
        1 if i.min(j).is_multiple_of(2) => "1",
        1 => "-1",
        2 => "0.25",
        _ => "0",
    };
    let row = |i: usize| (0..n).map(|j| entry(i, j)).collect::<Vec<_>>().join(",");
    (0..n).map(row).collect::<Vec<_>>().join("\n")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn mixed_signs_come_onto_unipolar_couplings_by_tridiagonalisation() {
    let path = example("spd-mixed-sign-8.csv");
    let answer = json(&["plan", &path], 0);
    assert_eq!(answer["route"], "tridiagonal");
    let names: Vec<&Value> =
        answer["impossible"].as_array().unwrap().iter().map(|route| &route["route"]).collect();
    assert_eq!(names, ["direct", "scaled"]);
    let expected = number(&answer["routes"][0]["predicted_error"]);
    let uri = "sim:profile=rev-a,\
               without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+stray+adc_gain";
    let answer = json(&["invert", &path, "--device", uri], 0);
    assert_eq!(answer["route"]["route"], "tridiagonal");
    // Six times the expected error: beyond 1e-6 for a sum of squares of normals.
    let error = number(&answer["mean"]["error_against_reference"]);
    assert!(error < 6.0 * expected, "{error} {expected}");
    let shown = run(&["plan", &path]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for words in ["tridiagonal (taken)", "Impossible on this board", "splitting", "quantisation"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
}

#[test]
fn refinement_reaches_the_tolerance_or_says_why_not() {
    let path = example("spd-mixed-sign-8.csv");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("x.npy");
    let out = out.to_str().unwrap();
    let arguments = ["invert", &path, "--device", BOARD, "--refine", "1e-9", "--output", out];
    let answer = json(&arguments, 0);
    let refined = &answer["refinement"];
    assert!(number(&refined["error_against_reference"]) <= 1e-9);
    assert_eq!(refined["label"], "digital, board-started");
    let written: ndarray::Array2<f64> = ndarray_npy::read_npy(out).unwrap();
    assert_eq!(written[[0, 1]].to_bits(), matrix(&refined["inverse"])[0][1].to_bits());
    let fresh = ["invert", &path, "--device", BOARD, "--samples", "20000", "--refine", "1e-5"];
    let answer = json(&[&fresh[..], &["--refine-by", "fresh-reads"]].concat(), 0);
    let refined = &answer["refinement"];
    assert_eq!(refined["label"], "digital residual, analog correction");
    assert!(refined["reads"].as_u64() > Some(0));
    // A board that is driven ten times too strongly in one cell.
    let wrong = "sim:profile=rev-b,fault=drive-gain.2.10";
    let error = fails(&["invert", &path, "--device", wrong, "--refine", "1e-6"], 5);
    assert!(error.contains("refinement cannot converge"), "{error}");
}

#[test]
fn matrices_larger_than_the_board() {
    let directory = tempfile::tempdir().unwrap();
    let a = file(directory.path(), "a.csv", chain(20).as_bytes());
    let a = a.to_str().unwrap();
    let plan = json(&["plan", a, "--device", BOARD, "--copies", "2"], 0);
    assert_eq!(plan["blocks"]["leaves"].as_array().unwrap().len(), 3);
    let answer = json(&["invert", a, "--device", BOARD, "--copies", "2", "--refine", "1e-8"], 0);
    assert_eq!(answer["blocks"]["leaves"].as_array().unwrap().len(), 3);
    assert_eq!(matrix(&answer["inverse"]).len(), 20);
    let error = number(&answer["error_against_reference"]);
    assert!(error < 0.2, "{error}");
    assert!(number(&answer["refinement"]["error_against_reference"]) <= 1e-8);
    let shown = run(&["invert", a, "--samples", "20000"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for words in
        ["20 × 20", "3 leaves of at most 8 rows", "between blocks", "Cholesky", "Time on the board"]
    {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    let blocks = &answer["blocks"];
    let [stated, samples, banks] =
        ["stated_error", "measured_statistical_error", "quantisation_error"]
            .map(|part| number(&blocks[part]));
    assert!((stated - samples.hypot(banks)).abs() < 1e-12 && blocks["calibration_error"].is_null());
    for work in ["planning", "elimination", "read_out", "checks", "error_bars"] {
        assert!(blocks["digital_flops"][work].as_u64() > Some(0), "{blocks}");
    }
    assert!(plan["blocks"]["planning_flops"].as_u64() > Some(0), "{plan}");
    // The ledger: its parts are the whole, and the busiest copy's is the time of the boards.
    let times = blocks["times"].as_array().unwrap();
    let of = |time: &Value, part: &str| time["ticks"][part].as_u64().unwrap();
    for time in times {
        let parts = ["gain", "settle", "sample"].map(|part| of(time, part));
        assert!(parts[0] > 0 && parts[2] > 0, "{time}");
        assert_eq!(parts.iter().sum::<u64>(), of(time, "all"));
    }
    let busiest = times.iter().map(|time| of(time, "all")).max();
    assert_eq!(busiest, blocks["board_ticks"].as_u64());
    for words in ["calibration none", "digital", "planning", "read again at the end"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    let report = directory.path().join("never.html");
    let error = fails(&["invert", a, "--report", report.to_str().unwrap()], 2);
    assert!(error.contains("--report"), "{error}");
}

#[test]
fn a_copy_that_fails_is_left_out_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let a = file(directory.path(), "a.csv", chain(12).as_bytes());
    let a = a.to_str().unwrap();
    let ideal = "sim:profile=ideal";
    let copies =
        [ideal, "sim:profile=ideal,copy=1,fault=stuck-adc.2.100", "sim:profile=ideal,copy=2"];
    let devices = copies.join(",");
    let arguments = ["invert", a, "--device", &devices, "--copies", "3", "--samples", "30000"];
    let answer = json(&arguments, 6);
    let left_out = answer["blocks"]["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1);
    assert_eq!((left_out[0]["copy"].as_u64(), left_out[0]["first"].as_u64()), (Some(1), Some(0)));
    let why = left_out[0]["why"].as_str().unwrap();
    assert!(why.contains("no independent signal from cell 2"), "{why}");
    assert!(number(&answer["error_against_reference"]) < 0.1);
    let shown = run(&arguments);
    assert_eq!(shown.status.code(), Some(6));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let serial = left_out[0]["serial"].as_u64().unwrap();
    assert!(shown.contains("left out") && shown.contains(&format!("{serial:016x}")), "{shown}");
    // Alone there is nothing left, and two that do not agree leave no majority.
    let error = fails(&["invert", a, "--device", copies[1], "--samples", "20000"], 9);
    assert!(error.contains("after 0 of 2 blocks"), "{error}");
    let apart = format!("{ideal},sim:profile=ideal,copy=1,fault=drive-gain.2.3");
    let error = fails(&["invert", a, "--device", &apart, "--copies", "2"], 6);
    assert!(error.contains("rows 0 to 7: the copies do not agree"), "{error}");
}

#[test]
fn right_sides_of_one_dimension() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let a = path("a.csv");
    std::fs::write(&a, chain(3)).unwrap();
    let b = ndarray::Array1::from(vec![1.0, 2.0, -1.0]);
    let (column, row) =
        (b.clone().insert_axis(ndarray::Axis(1)), b.clone().insert_axis(ndarray::Axis(0)));
    let files = [path("b.npy"), path("column.npy"), path("row.npy"), path("cube.npy")];
    ndarray_npy::write_npy(&files[0], &b).unwrap();
    ndarray_npy::write_npy(&files[1], &column).unwrap();
    ndarray_npy::write_npy(&files[2], &row).unwrap();
    ndarray_npy::write_npy(&files[3], &row.insert_axis(ndarray::Axis(0))).unwrap();
    let solve = |b: &str| json(&["solve", &a, b, "--device", BOARD, "--samples", "20000"], 0);
    let x = solve(&files[0])["x"].clone();
    assert_eq!(x.as_array().unwrap().len(), 3);
    assert_eq!((solve(&files[1])["x"].clone(), solve(&files[2])["x"].clone()), (x.clone(), x));
    let error = fails(&["solve", &a, &files[3]], 3);
    assert!(error.contains("3 dimensions; a vector has 1"), "{error}");
    // A matrix is still one.
    let error = fails(&["invert", &files[0]], 3);
    assert!(error.contains("1 dimensions; a matrix has 2"), "{error}");
}

#[test]
fn solutions_of_linear_systems() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name, content: String| {
        let path = file(directory.path(), name, content.as_bytes());
        path.to_str().unwrap().to_owned()
    };
    let a = path("a.csv", chain(12));
    let b = path("b.csv", "0\n1\n2\n3\n".repeat(3));
    let answer = json(&["solve", &a, &b, "--device", BOARD], 0);
    assert_eq!(answer["half_widths"].as_array().unwrap().len(), 12);
    assert!(number(&answer["error_against_reference"]) < 0.2);
    let out = directory.path().join("x.csv");
    let out = out.to_str().unwrap();
    for method in ["conjugate-gradient", "iterative-refinement"] {
        let how = ["--refine", "1e-10", "--refine-by", method, "--output", out];
        let answer = json(&[&["solve", &a, &b, "--device", BOARD][..], &how].concat(), 0);
        assert!(number(&answer["residual"]) <= 1e-10);
        assert!(number(&answer["error_against_reference"]) < 1e-8);
        assert_eq!(answer["half_widths"], Value::Null);
        let steps = answer["refinement"]["digital"]["steps"].as_u64().unwrap();
        assert!(
            steps > 0 && answer["refinement"]["conjugate_gradient"]["steps"].as_u64() > Some(0)
        );
    }
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), 12);
    let short = path("short.csv", "1\n2\n".into());
    let error = fails(&["solve", &a, &short], 3);
    assert!(error.contains("b has 2 entries") && error.contains("12 rows"), "{error}");
    let error = fails(&["solve", &a, &a], 3);
    assert!(error.contains("b is 12 × 12; give one column or one row"), "{error}");
    let nan = path("nan.csv", "NaN\n".into());
    let error = fails(&["solve", &a, &nan], 3);
    assert!(error.contains("NaN is not finite"), "{error}");
    let singular = example("semi-definite.mtx");
    let error = fails(&["solve", &singular, &short], 3);
    assert!(error.contains("not positive definite"), "{error}");
    let error = fails(&["solve", &example("not-symmetric.csv"), &short], 3);
    assert!(error.contains("not symmetric"), "{error}");
}
