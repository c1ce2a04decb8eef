//! Everything that can be wrong with what the command is given, with its exit code and remedy.

use std::fs;

use crate::{example, fails, file, json};

/// Refused with this exit code and these words.
fn refused(name: &str, content: &str, code: i32, words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), name, content.as_bytes());
    let error = fails(&["invert", path.to_str().unwrap()], code);
    assert!(error.starts_with("error: "), "{error}");
    for word in words {
        assert!(error.contains(word), "{error} lacks {word:?}");
    }
}

#[test]
fn a_matrix_that_is_not_square() {
    refused("a.csv", "1,0,0\n0,1,0\n", 3, &["a.csv", "2 × 3", "only a square matrix"]);
}

#[test]
fn a_matrix_that_is_not_symmetric() {
    let error = fails(&["invert", &example("not-symmetric.csv")], 3);
    for word in ["not-symmetric.csv", "(0, 4) is -1.1", "(4, 0) is -1", "(A + Aᵀ)/2"] {
        assert!(error.contains(word), "{error} lacks {word:?}");
    }
}

#[test]
fn a_matrix_with_nan() {
    refused("a.csv", "1,0\n0,NaN\n", 3, &["a.csv:2", "NaN is not finite", "replace it"]);
    let head = "%%MatrixMarket matrix array real general\n2 2\n1\n0\n0\ninf\n";
    refused("a.mtx", head, 3, &["a.mtx:6", "inf is not finite"]);
}

#[test]
fn nan_in_a_binary_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    ndarray_npy::write_npy(&path, &ndarray::array![[1.0, 0.0], [0.0, f64::NAN]]).unwrap();
    let error = fails(&["invert", path.to_str().unwrap()], 3);
    assert!(error.contains("a.npy") && error.contains("entry (1, 1) is NaN"), "{error}");
}

#[test]
fn a_matrix_that_is_not_positive_definite() {
    refused("a.csv", "1,2\n2,1\n", 3, &["not positive definite", "--damping"]);
}

#[test]
fn a_semi_definite_matrix_asks_for_damping_that_helps() {
    let path = example("semi-definite.mtx");
    let error = fails(&["invert", &path], 3);
    assert!(error.contains("semi-definite"), "{error}");
    let damping = error.split("--damping ").nth(1).unwrap().trim();
    let answer = json(&["plan", &path, "--damping", damping], 0);
    assert_eq!(answer["matrix"]["damping"].as_f64(), damping.parse().ok());
}

#[test]
fn damping_that_is_no_damping() {
    let error = fails(&["invert", &example("laplacian-8.mtx"), "--damping=-1"], 2);
    assert!(error.contains("damping -1 is not valid"), "{error}");
}

#[test]
fn a_matrix_that_a_route_cannot_take() {
    let path = example("spd-mixed-sign-8.csv");
    for route in ["direct", "scaled"] {
        let error = fails(&["invert", &path, "--route", route], 5);
        assert!(error.contains("positive") && error.contains("rev-b"), "{error}");
    }
    // The board that the message names can hold it.
    json(&["plan", &path, "--device", "sim:profile=rev-b", "--route", "direct"], 0);
    let error = fails(&["invert", &path, "--route", "splitting"], 2);
    assert!(error.contains("add --refine"), "{error}");
    let error = fails(&["invert", &path, "--refine", "2"], 2);
    assert!(error.contains("tolerance 2 is not valid"), "{error}");
}

#[test]
fn files_that_cannot_be_read() {
    let error = fails(&["invert", "no-such-file.mtx"], 3);
    assert!(error.contains("no-such-file.mtx") && error.contains("check the path"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("folder.mtx");
    fs::create_dir(&folder).unwrap();
    let error = fails(&["invert", folder.to_str().unwrap()], 3);
    assert!(error.contains("cannot read") && error.contains("folder.mtx"), "{error}");
    refused("a.csv", "", 3, &["a.csv", "empty"]);
    refused("a.txt", "1\n", 2, &["a.txt", ".mtx", ".npy", ".csv"]);
}

#[test]
fn files_that_are_truncated() {
    let whole = fs::read(example("laplacian-8.mtx")).unwrap();
    let text = String::from_utf8(whole).unwrap();
    let cut: Vec<&str> = text.lines().take(text.lines().count() - 3).collect();
    refused("a.mtx", &cut.join("\n"), 3, &["a.mtx", "promises 18", "15 follow", "truncated"]);
    refused("a.csv", "2,-1\n-1", 3, &["a.csv:2", "truncated"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    ndarray_npy::write_npy(&path, &ndarray::array![[2.0, 0.0], [0.0, 1.0]]).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in [5, 40, bytes.len() - 8, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = fails(&["invert", path.to_str().unwrap()], 3);
        assert!(error.contains("numpy.save"), "{length}: {error}");
    }
}

#[test]
fn device_uris_that_name_nothing() {
    let matrix = example("laplacian-8.mtx");
    for (uri, code, word) in [
        ("warp:9", 2, "unknown scheme"),
        ("sim:profile=rev-z", 2, "rev-a"),
        ("sim:sed=7", 2, "valid are profile"),
        ("sim:fault=gremlin", 2, "dead-cell"),
        ("sim,sim", 2, "3 copies"),
        ("serial:/dev/ttyNONE,serial:/dev/ttyNONE,serial:/dev/ttyNONE", 4, "no such port"),
        ("rtl,rtl,rtl", 5, "this build has no RTL simulator"),
    ] {
        let error = fails(&["invert", &matrix, "--copies", "3", "--device", uri], code);
        assert!(error.contains(word), "{uri}: {error} lacks {word:?}");
    }
}

#[test]
fn the_environment_names_the_default_device() {
    let output = crate::spu(&["info"]).env("SPU_DEVICE", "warp:9").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output =
        crate::spu(&["info", "--device", "sim"]).env("SPU_DEVICE", "warp:9").output().unwrap();
    assert!(output.status.success());
    let output = crate::spu(&["info"]).env("SPU_DEVICE", "").output().unwrap();
    assert!(output.status.success());
}

#[test]
fn budgets_that_give_no_error_bar() {
    let matrix = example("laplacian-8.mtx");
    let error = fails(&["invert", &matrix, "--samples", "50"], 2);
    assert!(error.contains("keep at least"), "{error}");
    fails(&["invert", &matrix, "--samples", "50", "--effective", "9"], 2);
    let error = fails(&["invert", &matrix, "--samples", "0"], 5);
    assert!(error.contains("at least 1"), "{error}");
    fails(&["sample", &matrix, "--count", "0"], 2);
    fails(&["invert", &matrix, "--timeout", "0"], 2);
    fails(&["invert", &matrix, "--copies", "0"], 2);
}

#[test]
fn a_copy_that_is_an_outlier() {
    let matrix = example("laplacian-8.mtx");
    let devices = "sim,sim:copy=1,fault=drive-gain.2.10,sim:copy=2";
    let run = ["invert", &matrix, "--copies", "3", "--device", devices, "--samples", "20000"];
    let answer = json(&run, 6);
    assert_eq!(answer["verdict"], "outlier");
    assert_eq!(answer["copies"].as_array().unwrap().len(), 3);
    assert_eq!(answer["outliers"], serde_json::json!([1]));
    assert_eq!(answer["mean"]["of_copies"], serde_json::json!([0, 2]));
    let output = crate::run(&run);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Verdict: copy 1 is an outlier"), "{text}");
    assert!(text.contains("mean of copies 0 and 2"), "{text}");
}

#[test]
fn a_copy_without_signal() {
    let matrix = example("laplacian-8.mtx");
    let dead = "sim:copy=1,fault=stuck-adc.3.100";
    let answer = json(
        &[
            "invert",
            &matrix,
            "--copies",
            "3",
            "--samples",
            "20000",
            "--device",
            &format!("sim,{dead},sim:copy=2"),
        ],
        6,
    );
    let error = answer["copies"][1]["error"].as_str().unwrap();
    assert!(error.contains("cell 3"), "{error}");
    assert!(answer["copies"][1].get("inverse").is_none());
    // Alone it is no answer at all.
    let error = fails(&["invert", &matrix, "--samples", "20000", "--device", dead], 9);
    assert!(error.contains("cell 3") && error.contains("selftest"), "{error}");
}

#[test]
fn errors_are_json_too() {
    for (arguments, code, kind) in [
        (vec!["invert", "no-such-file.mtx"], 3, "input"),
        (vec!["info", "--device", "warp:9"], 2, "usage"),
        (vec!["frobnicate"], 2, "usage"),
        (vec!["invert"], 2, "usage"),
    ] {
        let answer = json(&arguments, code);
        assert_eq!(answer["error"]["kind"], kind);
        assert_eq!(answer["error"]["exit_code"], code);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.starts_with("error"), "{message}");
    }
}
