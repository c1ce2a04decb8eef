//! The simulator against ngspice. Where ngspice is missing the tests say that they are skipped.

use spu_sim::profile::Profile;
use spu_spice::codes;
use spu_spice::compare::{self, EFFECTIVE, STEPS, Z_BOUND};
use spu_spice::{Circuit, SpiceError, ngspice};

fn skipped() -> bool {
    match ngspice::version() {
        Ok(_) => false,
        Err(SpiceError::Missing) => {
            println!("skipped: {}", SpiceError::Missing);
            true
        }
        Err(error) => panic!("{error}"),
    }
}

fn circuit(profile: &str) -> Circuit {
    let profile = Profile::named(profile).unwrap();
    let codes = codes::example(&profile);
    Circuit::new(profile, 3, 1, codes).unwrap()
}

#[test]
fn resonance_quality_and_splitting_agree() {
    if skipped() {
        return;
    }
    for (profile, self_codes, coupling) in [
        ("rev-a", &[15][..], 0),
        ("rev-a", &[6], 0),
        ("rev-a", &[12, 9], 5),
        ("rev-a", &[12, 12], 1),
        ("rev-b", &[200, 120], 90),
        ("rev-b", &[200, 120], -90),
    ] {
        let codes = compare::lone(self_codes, coupling);
        let circuit = Circuit::new(Profile::named(profile).unwrap(), 3, 1, codes).unwrap();
        let found = compare::resonance(&circuit, self_codes.len()).unwrap();
        println!(
            "{profile} {self_codes:?} {coupling}: {:?} f {:.1e} Q {:.1e} splitting {:.1e}",
            found.simulator,
            found.hertz_error(),
            found.q_error(),
            found.splitting_error()
        );
        assert!(found.hertz_error() < 1e-4, "{found:?}");
        assert!(found.q_error() < 1e-3 && found.splitting_error() < 1e-3, "{found:?}");
        if self_codes.len() == 1 {
            let (curve, fitted) = (found.curve, found.ngspice[0]);
            assert!((curve.hertz / fitted.hertz - 1.0).abs() < 1e-4, "{found:?}");
            assert!((curve.q / fitted.q - 1.0).abs() < 1e-3, "{found:?}");
        }
    }
}

#[test]
fn samples_agree_under_the_held_codes() {
    if skipped() {
        return;
    }
    for (profile, ticks) in [("rev-a", 300), ("rev-b", 60), ("rc-8", 60)] {
        let circuit = circuit(profile);
        let codes = codes::steps(&circuit.profile, 5, ticks);
        let samples = compare::samples(&circuit, &codes, STEPS).unwrap();
        println!(
            "{profile}: {:.1e} of full scale, largest {:.2}",
            samples.error(),
            samples.largest()
        );
        assert!(samples.largest() > 0.1, "nothing to compare");
        assert!(samples.error() < 1e-3);
    }
}

#[test]
fn half_the_step_changes_nothing() {
    if skipped() {
        return;
    }
    let circuit = circuit("rev-a");
    let codes = codes::steps(&circuit.profile, 6, 60);
    let [whole, half] = [STEPS, 2 * STEPS].map(|s| compare::samples(&circuit, &codes, s).unwrap());
    let change = (whole.error() - half.error()).abs();
    println!("error {:.1e}, with half the step {:.1e}", whole.error(), half.error());
    assert!(change < 1e-4);
}

#[test]
fn stationary_covariance_agrees() {
    if skipped() {
        return;
    }
    let found = compare::stationary(&circuit("rev-a"), 7, 5000, 200).unwrap();
    println!("{found:?}");
    // Two false alarms in ten million (see `Z_BOUND`).
    assert!(found.effective >= EFFECTIVE);
    assert!(found.z < Z_BOUND);
    assert!(found.same_codes < 1e-3 && found.sample_error < 1e-3);
}

#[test]
fn boards_and_codes_without_a_netlist_are_refused() {
    let named = |name| Profile::named(name).unwrap();
    let codes = compare::lone(&[16], 0);
    let error = Circuit::new(named("rev-a"), 1, 0, codes).unwrap_err().to_string();
    assert!(error.contains("16") && error.contains("0 to 15"), "{error}");
    let error = Circuit::new(named("rev-a"), 1, 0, compare::lone(&[15], -1)).unwrap_err();
    assert!(error.to_string().contains("coupling code -1"), "{error}");
    let codes = compare::lone(&[], 0);
    let error = Circuit::new(named("rc-factored"), 1, 0, codes).unwrap_err().to_string();
    assert!(error.contains("factored"), "{error}");
}
