//! The HTML report.

use std::fs;

use crate::{example, run};

/// Renders the report of a run with these arguments, twice, and returns both.
fn reports(arguments: &[&str], code: i32) -> [String; 2] {
    let directory = tempfile::tempdir().unwrap();
    [(); 2].map(|()| {
        let path = directory.path().join("report.html");
        let output = run(&[arguments, &["--report", path.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(code));
        fs::read_to_string(path).unwrap()
    })
}

fn check(report: &str) {
    well_formed(report, 4);
}

/// Well-formed, without anything to fetch, with this many figures, each within its frame.
pub(crate) fn well_formed(report: &str, count: usize) {
    let options =
        roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(report, options).expect("well-formed");
    for node in document.descendants() {
        let name = node.tag_name().name();
        assert!(
            !["script", "link", "img", "iframe", "object", "image", "use"].contains(&name),
            "{name}"
        );
        for attribute in node.attributes() {
            let fetches = ["src", "href", "srcset", "data", "action"].contains(&attribute.name());
            assert!(!fetches && !attribute.name().starts_with("on"), "{}", attribute.name());
        }
    }
    for reference in ["url(", "@import", "@font-face"] {
        assert!(!report.contains(reference), "{reference}");
    }
    for bad in ["NaN", "inf\"", "inf,"] {
        assert!(!report.contains(bad), "{bad}");
    }
    // All figures have their size and stay in it.
    let figures = document.descendants().filter(|n| n.tag_name().name() == "svg").count();
    assert_eq!(figures, count);
    for figure in document.descendants().filter(|n| n.tag_name().name() == "svg") {
        let limit = |name| figure.attribute(name).unwrap().parse::<f64>().unwrap();
        let (width, height) = (limit("width"), limit("height"));
        for line in figure.descendants().filter(|n| n.tag_name().name() == "line") {
            for (attribute, limit) in [("x1", width), ("x2", width), ("y1", height), ("y2", height)]
            {
                let value: f64 = line.attribute(attribute).unwrap().parse().unwrap();
                assert!((0.0..=limit).contains(&value), "{attribute} = {value}");
            }
        }
    }
}

#[test]
fn three_copies() {
    let laplacian = example("laplacian-8.mtx");
    let [first, second] =
        reports(&["invert", &laplacian, "--copies", "3", "--samples", "20000"], 0);
    check(&first);
    assert_eq!(first, second, "the same command gives the same file");
    for words in [
        "The 3 copies differ, by no more than the stated spread of profile rev-a explains.",
        "Copy 0 − reference",
        "Copy 1 − copy 2",
        "predicted statistical error",
        "Codes",
        "--copies 3 --samples 20000",
        "statistical only",
        "sim:profile=rev-a,seed=0,copy=2",
    ] {
        assert!(first.contains(words), "lacks {words:?}");
    }
    // 36 entries of three copies in two plots each, 7 points on the error curves, 3 in two keys.
    assert_eq!(first.matches("class=\"mark k0\"").count(), 36 * 2 + 7 + 2);
}

#[test]
fn one_copy_of_a_small_matrix() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate::file(directory.path(), "a<b&c.csv", b"2,-1\n-1,3\n");
    let [report, _] = reports(&["invert", path.to_str().unwrap(), "--samples", "20000"], 0);
    check(&report);
    assert!(report.contains("One copy: there is nothing to compare it with."));
    assert!(report.contains("a&lt;b&amp;c.csv"));
}

#[test]
fn an_outlier_and_a_silent_copy() {
    let laplacian = example("laplacian-8.mtx");
    for fault in ["drive-gain.2.10", "drive-gain.2.20", "stuck-adc.3.100"] {
        let devices = format!("sim,sim:copy=1,fault={fault},sim:copy=2");
        let run =
            ["invert", &laplacian, "--copies", "3", "--device", &devices, "--samples", "20000"];
        let [report, _] = reports(&run, 6);
        check(&report);
        assert!(report.contains("Copy 1 is an outlier,"));
        assert!(report.contains("class=\"verdict bad\""));
    }
}
