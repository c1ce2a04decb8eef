//! `logdet`, `lyapunov`, `propagator`, and samples with a mean and tests.

use crate::{example, fails, file, json, matrix, run};

const IDEAL: [&str; 2] = ["--device", "sim:profile=ideal,seed=2"];

/// Seven standard errors: beyond chance (1e-9 at 63 degrees of freedom). Fixed seeds.
#[test]
fn logdet_by_every_method() {
    let laplacian = example("laplacian-8.mtx");
    for method in ["covariance", "reference", "integration"] {
        let arguments =
            ["logdet", &laplacian, "--method", method, "--samples", "80000", "--nodes", "6"];
        let answer = json(&[&arguments[..], &IDEAL].concat(), 0);
        let number = |name: &str| answer[name].as_f64().unwrap();
        let off = number("value") - number("digital") - number("quadrature");
        assert!(off.abs() < 7.0 * number("standard_error"), "{method}: {off}");
        assert!(number("standard_error") < 0.1, "{method}");
        assert_eq!(answer["gains"].is_array(), method == "reference");
        let reads = if method == "covariance" { 1 } else { 2 };
        assert_eq!(answer["reads"], if method == "integration" { 6 } else { reads });
    }
    let arguments = ["logdet", &laplacian, "--samples", "40000"];
    let output = run(&[&arguments[..], &IDEAL].concat());
    let shown = String::from_utf8(output.stdout).unwrap();
    for words in ["Log-determinant of ", "(95 %, statistical)", "digital ", "of the model's"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    assert!(
        fails(&["logdet", &laplacian, "--method", "integration", "--nodes", "0"], 5)
            .contains("points of a quadrature")
    );
}

#[test]
fn lyapunov_against_the_digital_solution() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("x.csv");
    let (laplacian, q) = (example("laplacian-8.mtx"), example("diffusion-8.csv"));
    let arguments = ["lyapunov", &laplacian, "--q", &q, "--output", output.to_str().unwrap()];
    let answer = json(&[&arguments[..], &IDEAL].concat(), 0);
    let number = |name: &str| answer[name].as_f64().unwrap();
    assert!(number("error") < 4.0 * number("statistical_error"), "{}", number("error"));
    assert!(number("largest_z") < 8.0);
    // The digital solution solves the equation.
    let (a, x) = (matrix(&answer["matrix"]["entries"]), matrix(&answer["digital"]));
    let entry =
        |i: usize, j: usize| -> f64 { (0..8).map(|k| a[i][k] * x[k][j] + x[i][k] * a[k][j]).sum() };
    assert!((entry(0, 0) - 1.0).abs() < 1e-9 && (entry(3, 3) - 0.1).abs() < 1e-9);
    assert!(entry(2, 5).abs() < 1e-9);
    assert!(output.exists());

    let short = file(directory.path(), "q.csv", b"1,2,3\n");
    let error = fails(&["lyapunov", &laplacian, "--q", short.to_str().unwrap()], 3);
    assert!(error.contains("3 values for a matrix of 8 rows"), "{error}");
    let square = file(directory.path(), "square.csv", b"1,2\n3,4\n");
    let error = fails(&["lyapunov", &laplacian, "--q", square.to_str().unwrap()], 3);
    assert!(error.contains("2 × 2 is no vector"), "{error}");
    let negative = file(directory.path(), "negative.csv", b"1,1,1,-1,1,1,1,1\n");
    let error = fails(&["lyapunov", &laplacian, "--q", negative.to_str().unwrap()], 5);
    assert!(error.contains("q[3] is -1"), "{error}");
}

#[test]
fn propagators_by_the_law_of_the_board() {
    let laplacian = example("laplacian-8.mtx");
    let arguments = ["propagator", &laplacian, "--lags", "5,20", "--samples", "60000"];
    let answer = json(&[&arguments[..], &IDEAL].concat(), 0);
    let lags = answer["lags"].as_array().unwrap();
    assert_eq!(lags.len(), 2);
    for lag in lags {
        assert!(lag["largest_z"].as_f64().unwrap() < 8.0, "{lag}");
    }
    assert!((lags[1]["seconds"].as_f64().unwrap() - 20.0 / 12e6).abs() < 1e-12);
    let near = matrix(&lags[0]["propagator"]);
    let far = matrix(&lags[1]["propagator"]);
    assert!(near[0][0] > 0.6 && far[0][0] < near[0][0]);
    let error = fails(&["propagator", &laplacian, "--lags", "5,7", "--decimation", "5"], 5);
    assert!(error.contains("common divisor is 1"), "{error}");
}

#[test]
fn samples_have_the_mean_and_pass_their_tests() {
    let (laplacian, mean) = (example("laplacian-8.mtx"), example("mean-8.csv"));
    let arguments = ["sample", &laplacian, "--mean", &mean, "--check"];
    let answer = json(&[&arguments[..], &IDEAL].concat(), 0);
    assert_eq!(answer["check"]["gaussian"], true);
    assert_eq!(answer["check"]["as_asked"], true);
    let rows = matrix(&answer["samples"]);
    let column: f64 = rows.iter().map(|row| row[7]).sum::<f64>() / rows.len() as f64;
    assert!((column - 3.0).abs() < 0.2, "{column}");
    // A cell that is driven tenfold is Gaussian still, but not of the law that was asked for.
    let broken = ["--device", "sim:profile=ideal,fault=drive-gain.2.10"];
    let answer = json(&[&arguments[..], &broken].concat(), 6);
    assert_eq!(answer["check"]["as_asked"], false);
    let few = ["sample", &laplacian, "--count", "20", "--check"];
    assert!(fails(&few, 2).contains("too few to test"));
}

/// An RC board relaxes to the solution.
#[test]
fn solve_by_the_mean_of_an_rc_board() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("x.csv");
    let (mixed, b) = (example("spd-mixed-sign-8.csv"), example("mean-8.csv"));
    let board = ["--device", "sim:profile=rc-8,seed=3"];
    let arguments = ["solve", &mixed, &b, "--output", output.to_str().unwrap()];
    let answer = json(&[&arguments[..], &board].concat(), 0);
    assert_eq!(
        (answer["by"].as_str(), answer["tridiagonalised"].as_bool()),
        (Some("mean"), Some(true))
    );
    let off = answer["error_against_reference"].as_f64().unwrap();
    assert!(off < 0.1 && off <= answer["error_bound"].as_f64().unwrap(), "{answer}");
    assert!(output.exists());
    let refined = ["solve", &mixed, &b, "--refine", "1e-9"];
    let text = String::from_utf8(run(&[&refined[..], &board].concat()).stdout).unwrap();
    for words in ["by the mean", "its tridiagonal form", "after each pass", "digital"] {
        assert!(text.contains(words), "{text} lacks {words:?}");
    }
    let sampled = ["solve", &mixed, &b, "--samples", "1000"];
    assert!(fails(&[&sampled[..], &board].concat(), 2).contains("without samples"));
    let small = ["solve", &mixed, &b, "--device", "sim:profile=rc-4"];
    assert!(fails(&small, 5).contains("8 rows"));
    let inverted = ["invert", &mixed];
    assert!(fails(&[&inverted[..], &board].concat(), 5).contains("not an RLC board"));
}
