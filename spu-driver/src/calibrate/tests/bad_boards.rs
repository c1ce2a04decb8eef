//! Boards that calibration must refuse, and what it says of them.

use super::rigged::{Rig, Rigged};
use super::{NOW, calibrated};
use crate::calibrate::{CalibrateError, CalibrateOptions, Finding, calibrate};
use crate::error::Error;
use crate::invert::Quiet;

fn findings(uri: &str) -> Vec<Finding> {
    match calibrated(uri) {
        Err(CalibrateError::BadBoard { findings }) => findings,
        Err(error) => panic!("{uri}: {error}"),
        Ok(_) => panic!("{uri} was calibrated"),
    }
}

fn expect(profile: &str, faults: &[(&str, Finding)]) {
    for (seed, (fault, expected)) in (11..).zip(faults) {
        let uri = format!("sim:profile={profile},seed={seed},fault={fault}");
        assert_eq!(findings(&uri), std::slice::from_ref(expected), "{uri}");
    }
}

#[test]
fn dead_cells_and_converters_are_named() {
    for profile in ["rev-a", "rev-b"] {
        expect(
            profile,
            &[
                ("dead-cell.3", Finding::NoDrive { cell: 3 }),
                ("stuck-adc.2.100", Finding::AdcStuck { cell: 2, code: 100 }),
                ("stuck-adc.0.0", Finding::AdcStuck { cell: 0, code: 0 }),
                ("saturated-adc.1.high", Finding::AdcAtRail { cell: 1, high: true }),
                ("saturated-adc.7.low", Finding::AdcAtRail { cell: 7, high: false }),
                ("swapped-adc.5.2", Finding::AdcsSwapped { first: 2, second: 5 }),
                ("swapped-adc.0.1", Finding::AdcsSwapped { first: 0, second: 1 }),
            ],
        );
    }
}

#[test]
fn stuck_elements_are_named() {
    let own = |cell, bit, on| Finding::StuckSelf { cell, bit, on };
    let pair = |i, j, bit, on| Finding::StuckCoupling { i, j, bit, on };
    expect(
        "rev-a",
        &[
            ("stuck-self.2.3.off", own(2, 3, false)),
            ("stuck-self.2.3.on", own(2, 3, true)),
            ("stuck-self.0.0.off", own(0, 0, false)),
            ("stuck-self.7.0.on", own(7, 0, true)),
            ("stuck-coupling.1.4.3.off", pair(1, 4, 3, false)),
            ("stuck-coupling.1.4.3.on", pair(1, 4, 3, true)),
            ("stuck-coupling.6.7.0.off", pair(6, 7, 0, false)),
            ("stuck-coupling.0.7.0.on", pair(0, 7, 0, true)),
            ("stuck-coupling.0.7.1.on", pair(0, 7, 1, true)),
        ],
    );
    expect(
        "rev-b",
        &[
            ("stuck-self.2.7.off", own(2, 7, false)),
            ("stuck-self.2.7.on", own(2, 7, true)),
            ("stuck-self.0.0.off", own(0, 0, false)),
            ("stuck-self.7.0.on", own(7, 0, true)),
            ("stuck-coupling.1.4.7.off", pair(1, 4, 7, false)),
            ("stuck-coupling.1.4.7.on", pair(1, 4, 7, true)),
            ("stuck-coupling.6.7.0.off", pair(6, 7, 0, false)),
            ("stuck-coupling.0.7.0.on", pair(0, 7, 0, true)),
            ("stuck-coupling.0.7.3.on", pair(0, 7, 3, true)),
            ("stuck-coupling.2.3.5.on", pair(2, 3, 5, true)),
        ],
    );
}

#[test]
fn several_faults_are_all_named() {
    let uri = "sim:profile=rev-a,seed=3,fault=dead-cell.1+stuck-adc.4.7+swapped-adc.5.6";
    let all = findings(uri);
    for finding in [
        Finding::NoDrive { cell: 1 },
        Finding::AdcStuck { cell: 4, code: 7 },
        Finding::AdcsSwapped { first: 5, second: 6 },
    ] {
        assert!(all.contains(&finding), "{finding}: {all:?}");
    }
    let error = CalibrateError::BadBoard { findings: all }.to_string();
    for part in ["cell 1 is dead", "cell 4 is stuck at code 7", "cells 5 and 6 are swapped"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn channels_in_a_circle_are_told() {
    let all = findings("sim:profile=rev-a,seed=3,fault=swapped-adc.0.1+swapped-adc.1.2");
    assert_eq!(all.len(), 3, "{all:?}");
    for cell in 0..3 {
        let shown = all.iter().any(|finding| {
            matches!(finding, Finding::ShownElsewhere { cell: found, shows: Some(other) }
                if *found == cell && *other < 3 && *other != cell)
        });
        assert!(shown, "{cell}: {all:?}");
    }
}

#[test]
fn a_board_that_drifts_meanwhile_is_no_board_of_constant_values() {
    for profile in ["rev-a", "rev-b"] {
        // 1 % in the 30 ms of a calibration.
        let all = findings(&format!("sim:profile={profile},seed=5,fault=drift-gain.2.0.3"));
        assert!(matches!(all[..], [Finding::Misfit { .. }]), "{all:?}");
    }
}

#[test]
fn a_drive_far_from_nominal_is_named() {
    for profile in ["rev-a", "rev-b"] {
        for factor in ["10", "0.05", "-1"] {
            let uri = format!("sim:profile={profile},seed=5,fault=drive-gain.6.{factor}");
            let all = findings(&uri);
            let Finding::Implausible { what, remedy, .. } = &all[0] else {
                panic!("{uri}: {all:?}");
            };
            assert!(what.contains("cell 6") && what.contains("drive"), "{uri}: {what}");
            assert!(remedy.contains("DAC"), "{remedy}");
            assert_eq!(all.len(), 1, "{uri}: {all:?}");
        }
    }
}

#[test]
fn a_dead_or_weak_noise_generator_is_named() {
    for (cell, part) in [(3, 0.0), (6, 0.8), (0, 1.2)] {
        let mut device = Rigged::open("sim:profile=rev-b,seed=5", Rig::Noise(cell, part));
        let error = calibrate(&mut device, &CalibrateOptions::at(NOW), &Quiet).unwrap_err();
        let CalibrateError::BadBoard { findings } = error else { panic!("{error}") };
        let [Finding::Noise { cell: found, ratio, .. }] = findings[..] else {
            panic!("{findings:?}")
        };
        assert_eq!(found, cell);
        assert!((ratio - part).abs() < 0.05, "{ratio}");
    }
}

#[test]
fn a_device_that_goes_or_is_cancelled_gives_no_calibration() {
    let options = CalibrateOptions::at(NOW);
    for at in [0, 17, 100] {
        let mut device = Rigged::open("sim:profile=rev-a", Rig::Disconnects(at));
        let error = calibrate(&mut device, &options, &Quiet).unwrap_err();
        let gone = matches!(error, CalibrateError::Device(Error::Disconnected { .. }));
        assert!(gone && device.hook.acquisitions == at, "{error}");
        let mut device = Rigged::open("sim:profile=rev-a", Rig::Cancelled(at));
        let error = calibrate(&mut device, &options, &Quiet).unwrap_err();
        assert!(matches!(error, CalibrateError::Device(Error::Cancelled)), "{error}");
    }
    // The last acquisition of all is that of the noise.
    let mut device = Rigged::open("sim:profile=rev-a", Rig::Disconnects(usize::MAX));
    calibrate(&mut device, &options, &Quiet).unwrap();
    let last = device.hook.acquisitions - 1;
    let mut device = Rigged::open("sim:profile=rev-a", Rig::Disconnects(last));
    let error = calibrate(&mut device, &options, &Quiet).unwrap_err();
    assert!(matches!(error, CalibrateError::Device(Error::Disconnected { .. })), "{error}");
}
