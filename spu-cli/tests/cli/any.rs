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
    for words in ["20 × 20", "3 leaves of at most 8 rows", "between blocks", "Cholesky"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    let report = directory.path().join("never.html");
    let error = fails(&["invert", a, "--report", report.to_str().unwrap()], 2);
    assert!(error.contains("--report"), "{error}");
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
