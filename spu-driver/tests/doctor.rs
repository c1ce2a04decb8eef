//! The doctor on simulated boards, well and ill.
#![cfg(feature = "sim")]

use spu_driver::doctor::{Check, Diagnosis, State, examine};
use spu_driver::time;

fn diagnosis(uri: &str) -> Diagnosis {
    examine(&uri.parse().unwrap())
}

fn check<'a>(diagnosis: &'a Diagnosis, name: &str) -> &'a Check {
    let mut found = diagnosis.checks.iter().filter(|check| check.name == name);
    let check = found.next().unwrap_or_else(|| panic!("no check {name:?}"));
    assert!(found.next().is_none(), "{name:?} is there twice");
    check
}

#[test]
fn a_board_that_is_well() {
    let diagnosis = diagnosis("sim:profile=rev-b");
    assert!(diagnosis.works());
    for name in
        ["opening", "versions", "self test", "round trip", "throughput", "stream", "saturation"]
    {
        assert_eq!(check(&diagnosis, name).state, State::Ok, "{diagnosis:#?}");
    }
    assert_eq!(check(&diagnosis, "link counters").state, State::Ok, "{diagnosis:#?}");
    // Nothing of it applies, each with its reason.
    for name in ["access", "udev rule", "USB speed", "latency timer", "clock"] {
        let check = check(&diagnosis, name);
        assert_eq!(check.state, State::Skipped);
        assert!(!check.found.is_empty());
    }
    let [p50, p99] = &check(&diagnosis, "round trip").measured[..] else { panic!() };
    assert_eq!((p50.what, p50.unit, p99.what), ("p50", "µs", "p99"));
    assert!(0.0 < p50.value && p50.value <= p99.value, "{p50:?} {p99:?}");
    for name in ["throughput", "stream"] {
        let measure = check(&diagnosis, name).measured[0];
        assert!(measure.unit == "MB/s" && measure.value > 0.0, "{measure:?}");
    }
}

#[cfg(all(unix, feature = "net", feature = "serial"))]
#[test]
fn served_boards_on_every_link() {
    use std::collections::BTreeSet;

    use spu_sim::serve::{self, Endpoint};
    use spu_sim::{Profile, SimBoard, SimConfig};

    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("board.sock").display());
    for endpoint in ["tcp:127.0.0.1:0", &socket, "pty"] {
        let profile = Profile::named("rev-a").unwrap();
        let config = SimConfig { profile, seed: 3, copy: 0, without: BTreeSet::new() };
        let board = SimBoard::new(config).unwrap();
        let served = serve::spawn(board, &endpoint.parse::<Endpoint>().unwrap()).unwrap();
        let diagnosis = diagnosis(served.uri());
        assert!(diagnosis.works(), "{diagnosis:#?}");
        assert!(diagnosis.board.as_ref().unwrap().is_simulated());
        for name in ["opening", "versions", "self test", "stream", "link counters"] {
            assert_eq!(check(&diagnosis, name).state, State::Ok, "{diagnosis:#?}");
        }
        // None of these links is a cable, and simulated time runs by no clock.
        for name in ["access", "udev rule", "USB speed", "clock"] {
            assert_eq!(check(&diagnosis, name).state, State::Skipped, "{diagnosis:#?}");
        }
    }
}

#[test]
fn a_board_whose_sequencer_hangs() {
    // Its timeouts pass at once.
    let _paused = time::pause();
    let diagnosis = diagnosis("sim:fault=hang");
    assert!(!diagnosis.works());
    for name in ["opening", "versions", "self test", "round trip", "throughput", "link counters"] {
        assert_eq!(check(&diagnosis, name).state, State::Ok, "{diagnosis:#?}");
    }
    let stream = check(&diagnosis, "stream");
    assert_eq!(stream.state, State::Failed);
    assert!(stream.found.contains("stopped advancing; reset the board"), "{stream:?}");
}

#[test]
fn a_converter_at_its_end_is_seen() {
    let diagnosis = diagnosis("sim:profile=rev-a,fault=stuck-adc.3.2047");
    assert!(diagnosis.works());
    let saturation = check(&diagnosis, "saturation");
    assert_eq!(saturation.state, State::Warning);
    assert!(saturation.found.contains("cell 3 (100 %)"), "{saturation:?}");
    assert!(saturation.remedy.as_ref().unwrap().contains("spu selftest"), "{saturation:?}");
}

#[cfg(feature = "net")]
#[test]
fn an_absent_device_is_told_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let diagnosis = diagnosis(&format!("unix:{}/none.sock", directory.path().display()));
    assert!(!diagnosis.works());
    let opening = check(&diagnosis, "opening");
    assert_eq!(opening.state, State::Failed);
    assert!(opening.found.contains("spu-sim serve --unix"), "{opening:?}");
    for name in ["versions", "self test", "round trip", "throughput", "stream", "clock"] {
        let check = check(&diagnosis, name);
        assert_eq!(
            (check.state, check.found.as_str()),
            (State::Skipped, "the device did not open")
        );
    }
}
