//! The sentinel: silent on a board that is as it was, and not on one that drifts.

use spu_sim::{After, Drift, Drifting, Fault, Law};

use super::{NOW, calibrated};
use crate::calibrate::{CalibrateOptions, calibrate, sentinel};
use crate::device::{Deadline, Device};
use crate::invert::Quiet;
use crate::sim::open_sim;
use crate::uri::SimOptions;

fn options(profile: &str, seed: u64) -> SimOptions {
    SimOptions { profile: profile.into(), seed, ..SimOptions::default() }
}

#[test]
fn boards_that_did_not_change_raise_no_alarm() {
    // Boards of the profile ideal are all the same.
    for (profile, boards) in [("rev-a", 4), ("rev-b", 4), ("ideal", 1)] {
        for seed in 21..21 + boards {
            let uri = format!("sim:profile={profile},seed={seed}");
            let mut device = crate::open(&uri).unwrap();
            let calibration =
                calibrate(device.as_mut(), &CalibrateOptions::at(NOW), &Quiet).unwrap();
            let verdict = sentinel(device.as_mut(), &calibration, None).unwrap();
            println!("{uri}: worst {:.2} σ, residual {:.3}", verdict.worst, verdict.residual);
            assert!(!verdict.drifted, "{uri}: {verdict:?}");
        }
    }
}

#[test]
fn changes_are_seen_and_measured() {
    for profile in ["rev-a", "rev-b"] {
        let drive = |factor| Fault::DriveGain { cell: 3, factor };
        for factor in [1.002, 0.998, 1.2] {
            let mut device = open_sim(&options(profile, 7), Deadline::after_secs(10)).unwrap();
            let calibration = calibrate(&mut device, &CalibrateOptions::at(NOW), &Quiet).unwrap();
            device.link_mut().control().inject(drive(factor)).unwrap();
            let verdict = sentinel(&mut device, &calibration, None).unwrap();
            assert!(verdict.drifted, "{profile} {factor}: {verdict:?}");
            let (change, sigma) = (verdict.drive_change[3], verdict.drive_sigma[3]);
            let off = change - (factor - 1.0);
            assert!(off.abs() < 5.5 * sigma, "{profile} {factor}: {change} ± {sigma}");
        }
        // An offset that walks off by a third of a code.
        let mut device = open_sim(&options(profile, 8), Deadline::after_secs(10)).unwrap();
        let calibration = calibrate(&mut device, &CalibrateOptions::at(NOW), &Quiet).unwrap();
        let lsb = f64::from(device.info().raw.adc_lsb_volt);
        let seconds = Drift::STEP_TICKS as f64 / 12e6;
        let drift = Drift {
            cell: 5,
            value: Drifting::AdcOffset,
            law: Law::Linear,
            rate: 0.34 * lsb / seconds,
        };
        device.link_mut().control().inject(Fault::Drift(drift)).unwrap();
        let mut verdict = sentinel(&mut device, &calibration, None).unwrap();
        for _ in 0..40 {
            if verdict.drifted {
                break;
            }
            verdict = sentinel(&mut device, &calibration, None).unwrap();
        }
        assert!(verdict.drifted && verdict.offset_change[5] > 0.05, "{profile}: {verdict:?}");
    }
}

#[test]
fn an_element_that_fails_later_is_seen() {
    let mut device = open_sim(&options("rev-a", 9), Deadline::after_secs(10)).unwrap();
    let calibration = calibrate(&mut device, &CalibrateOptions::at(NOW), &Quiet).unwrap();
    let code = calibration.record().sentinel.self_codes[2];
    let on = code & 1 == 0;
    let bank = spu_sim::Bank::SelfTerm { cell: 2 };
    device.link_mut().control().inject(Fault::StuckElement { bank, bit: 0, on }).unwrap();
    let verdict = sentinel(&mut device, &calibration, None).unwrap();
    assert!(verdict.drifted && verdict.residual > 2.0, "{verdict:?}");
    device.link_mut().control().clear_faults();
    device.link_mut().control().inject(Fault::Restart { after: After::Ticks(1 << 40) }).unwrap();
    assert!(!sentinel(&mut device, &calibration, None).unwrap().drifted);
}

#[test]
fn another_board_has_no_sentinel() {
    let calibration = calibrated("sim:profile=rev-a,seed=1").unwrap();
    let mut other = crate::open("sim:profile=rev-a,seed=2").unwrap();
    let error = sentinel(other.as_mut(), &calibration, None).unwrap_err().to_string();
    assert!(error.contains("serial number") && error.contains("spu calibrate"), "{error}");
}
