//! `spu characterise`.

use std::fs;

use crate::report::well_formed;
use crate::{example, fails, file, json, run};

#[test]
fn an_ideal_board_and_its_report() {
    let directory = tempfile::tempdir().unwrap();
    let laplacian = example("laplacian-8.mtx");
    let write = |name: &str| {
        let path = directory.path().join(name);
        let arguments = [
            "characterise",
            &laplacian,
            "--device",
            "sim:profile=ideal",
            "--samples",
            "100000",
            "--report",
            path.to_str().unwrap(),
        ];
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        for words in
            ["Nothing deviates from the law", "agree bit for bit", "N_eff/s", "nominal values"]
        {
            assert!(text.contains(words), "{text} lacks {words:?}");
        }
        fs::read_to_string(path).unwrap()
    };
    let report = write("report.html");
    // Power, power over the law, coherence, Allan, fourth moments, symmetry, currents, error, histograms.
    well_formed(&report, 9);
    for words in [
        "Nothing deviates from the law of the board.",
        "Welch",
        "Isserlis",
        "∝ 1/√T",
        "Cell 7, χ² ",
        "digital, nominal values",
        "--samples 100000",
    ] {
        assert!(report.contains(words), "lacks {words:?}");
    }
    // The command line is in it; but for the file's name the same command gives the same file.
    let again = write("second.html");
    assert_eq!(report.replace("report.html", ""), again.replace("second.html", ""));
}

#[test]
fn json_has_every_pair_and_the_faulty_cell() {
    let device = "sim:profile=ideal,fault=stuck-adc.5.100";
    let answer = json(&["characterise", "--device", device, "--samples", "100000"], 0);
    assert_eq!(answer["silent"], serde_json::json!([5]));
    assert_eq!(answer["spectra"]["pairs"].as_array().unwrap().len(), 21);
    assert_eq!(answer["spectra"]["cells"].as_array().unwrap().len(), 8);
    assert_eq!(answer["stages"].as_array().unwrap().len(), 3);
    assert!(answer["floor"].is_null());
    assert!(answer["floor_missing"].as_str().unwrap().contains("cell 5"));
    let findings = answer["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["check"] == "converter" && f["cells"][0] == 5));
    assert_eq!(answer["law"], "digital, nominal values");
}

#[test]
fn a_faulty_board_has_a_report_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let device = "sim:profile=ideal,fault=stuck-adc.5.100";
    let arguments = ["characterise", "--device", device, "--samples", "100000", "--report"];
    let output = run(&[&arguments[..], &[path.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0));
    let report = fs::read_to_string(path).unwrap();
    well_formed(&report, 8);
    assert!(report.contains("Converter, cell 5: no signal"), "the finding is at the top");
}

#[test]
fn bad_inputs_are_refused_before_a_run() {
    let error = fails(&["characterise", "--samples", "1000"], 2);
    assert!(error.contains("too few") && error.contains("keep at least"), "{error}");
    let error = fails(&["characterise", &example("spd-mixed-sign-8.csv")], 5);
    assert!(error.contains("positive") && error.contains("rev-b"), "{error}");
    let error = fails(&["characterise", &example("not-symmetric.csv")], 3);
    assert!(error.contains("not-symmetric.csv"), "{error}");
    let error = fails(&["characterise", "--samples", "5000000000"], 5);
    assert!(error.contains("32 bits"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let blocked = file(directory.path(), "no-folder", b"");
    let path = blocked.join("report.html");
    let error = fails(&["characterise", "--report", path.to_str().unwrap()], 10);
    assert!(error.contains("report.html"), "{error}");
}
