//! The example `gaussian_process` against dense algebra.

#[path = "../examples/gaussian_process/markov.rs"]
mod markov;

use markov::{digital, nile, regress};
use spu_driver::invert::InvertOptions;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// 161 comparisons; false-alarm rate 1e-6 over all of them (Bonferroni). Fixed seed.
#[test]
fn the_posterior_of_the_nile_is_the_digital_one_within_its_errors() {
    let (rows, prior) = nile();
    assert_eq!((rows[0], rows[79]), ((1871, 1120.0), (1950, 890.0)));
    let y: Vec<f64> = rows.iter().map(|(_, flow)| *flow).collect();
    let mut device = spu_driver::open("sim:profile=ideal").unwrap();
    let found = regress(device.as_mut(), &y, &prior, &InvertOptions::default()).unwrap();
    // The gains, nine blocks and their separators, none larger than a board.
    assert_eq!((found.reads, found.kept), (11, 2_000_000));
    let reference = digital(&y, &prior);
    let law = StudentsT::new(0.0, 1.0, 63.0).unwrap();
    let limit = law.inverse_cdf(1.0 - 0.5e-6 / 161.0);
    let check = |found: f64, expected: f64, error: f64, what: &str| {
        let z = (found - expected) / error;
        assert!(z.abs() < limit, "{what}: {found} ± {error}, digital {expected}");
    };
    for i in 0..y.len() {
        let (value, error) = (&found.posterior, &found.errors);
        check(value.mean[i], reference.mean[i], error.mean[i], "mean");
        check(value.variance[i], reference.variance[i], error.variance[i], "variance");
        // Small against the posterior's own deviation, so that the check has power.
        assert!(error.mean[i] < 0.1 * reference.variance[i].sqrt());
    }
    check(
        found.posterior.log_likelihood,
        reference.log_likelihood,
        found.errors.log_likelihood,
        "log p(y)",
    );
    assert!(found.errors.log_likelihood < 0.5);
}
