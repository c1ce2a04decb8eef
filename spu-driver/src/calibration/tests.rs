//! Files and stores of calibrations.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::*;
use crate::calibrate::{CalibrateOptions, calibrate};
use crate::device::Deadline;
use crate::invert::Quiet;

const NOW: u64 = 1_700_000_000;
const URI: &str = "sim:profile=rev-a,seed=4";

fn calibration() -> Calibration {
    static ONE: OnceLock<Calibration> = OnceLock::new();
    ONE.get_or_init(|| of(URI)).clone()
}

fn of(uri: &str) -> Calibration {
    let mut device = crate::open(uri).unwrap();
    calibrate(device.as_mut(), &CalibrateOptions::at(NOW), &Quiet).unwrap()
}

fn info() -> BoardInfo {
    crate::open(URI).unwrap().info().clone()
}

/// Changes the content of a file, and its hash if it is to fit.
fn change(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

fn refused(path: &Path, part: &str) {
    let error = Calibration::load(path).unwrap_err().to_string();
    assert!(error.contains(part), "{error}: no {part:?}");
    assert!(error.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn files_are_read_back_to_the_bit_and_the_hash_is_of_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let one = calibration();
    one.save(&path).unwrap();
    let back = Calibration::load(&path).unwrap();
    assert_eq!(back, one);
    assert_eq!(back.id(), one.id());
    assert_ne!(of("sim:profile=rev-a,seed=5").id(), one.id());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    // The same measurement has the same hash.
    assert_eq!(of(URI).id(), one.id());
}

#[test]
fn what_was_edited_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let fresh = |edit: fn(&mut Value)| {
        calibration().save(&path).unwrap();
        change(&path, edit);
    };
    fresh(|file| file["content"]["cells"][0]["r_ohm"]["value"] = 1000.0.into());
    refused(&path, "was changed");
    fresh(|file| file["content"]["created"] = 5.into());
    refused(&path, "was changed");
    fresh(|file| file["content"]["cells"][0]["r_ohm"]["value"] = (-1000.0).into());
    refused(&path, "cannot be");
    fresh(|file| file["content"]["cells"][0]["r_ohm"]["value"] = Value::Null);
    refused(&path, "not a calibration");
    fresh(|file| file["content"]["cells"][0]["colour"] = "red".into());
    refused(&path, "colour");
    fresh(|file| file["version"] = 2.into());
    refused(&path, "version 2");
    fresh(|file| file["format"] = "spu-recording".into());
    refused(&path, "spu-recording");
    fresh(|file| {
        file["content"]["selves"].as_array_mut().unwrap().pop();
    });
    refused(&path, "7 self-term banks where 8 belong");
    calibration().save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"value\":", "\"value\":NaN,\"was\":", 1)).unwrap();
    refused(&path, "not a calibration");
    std::fs::write(&path, text.replacen("\"value\":", "\"value\":1e999,\"was\":", 1)).unwrap();
    refused(&path, "out of range");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    refused(&path, "not a calibration");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    refused(&path, "cannot be read");
    refused(&dir.path().join("none.json"), "cannot be read");
    let mut record = calibration().record().clone();
    record.cells[2].adc_offset.value = f64::NAN;
    assert!(Calibration::new(record).is_err());
}

#[test]
fn a_calibration_holds_for_one_board_and_some_time() {
    let (one, info) = (calibration(), info());
    one.check(&info, NOW).unwrap();
    one.check(&info, NOW + 30 * 86_400).unwrap();
    let error = one.check(&info, NOW + 33 * 86_400).unwrap_err().to_string();
    assert!(error.contains("expired 3 days ago"), "{error}");
    for (other, part) in [
        (BoardInfo { serial: 5, ..info.clone() }, "serial number"),
        (BoardInfo { profile: "rev-b".into(), ..info.clone() }, "profile was rev-a and is rev-b"),
        (BoardInfo { gateware_id: 5, ..info.clone() }, "gateware"),
        (BoardInfo { firmware: "9.9.9".into(), ..info.clone() }, "firmware"),
        (crate::open("sim:profile=rev-b").unwrap().info().clone(), "8 and 8 bits"),
    ] {
        let error = one.check(&other, NOW).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("spu calibrate"), "{error}: no {part:?}");
    }
}

#[test]
fn sources_are_taken_in_order_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let (one, info) = (calibration(), info());
    let find = |info: &BoardInfo, user: Option<&Path>, now| find_in(Some(&store), info, user, now);
    let none = find(&info, None, NOW).unwrap();
    assert_eq!((none.calibration, none.source), (None, Source::None));
    assert_eq!(none.passed_over.len(), 3);

    let kept = one.store_in(&store).unwrap();
    assert_eq!(kept, store.join(format!("{:016x}-rev-a.json", info.serial)));
    let found = find(&info, None, NOW).unwrap();
    assert_eq!((found.calibration, found.source), (Some(one.clone()), Source::Store(kept.clone())));
    assert_eq!(found.passed_over.len(), 2, "{:?}", found.passed_over);

    let named = BoardInfo { calibration_id: Some(one.id()), ..info.clone() };
    let found = find(&named, None, NOW).unwrap();
    assert_eq!(found.source, Source::Board(kept.clone()));
    let stranger = BoardInfo { calibration_id: Some(77), ..info.clone() };
    let found = find(&stranger, None, NOW).unwrap();
    assert_eq!(found.source, Source::Store(kept.clone()));
    assert!(found.passed_over[1].contains("000000000000004d"), "{:?}", found.passed_over);

    let mine = dir.path().join("mine.json");
    one.save(&mine).unwrap();
    let found = find(&named, Some(&mine), NOW).unwrap();
    assert_eq!(found.source, Source::User(mine.clone()));

    // A file that was named must be usable; others are passed over.
    let late = NOW + 40 * 86_400;
    assert!(matches!(find(&info, Some(&mine), late), Err(CalibrationError::Expired { .. })));
    let found = find(&named, None, late).unwrap();
    assert_eq!(found.source, Source::None);
    assert!(found.passed_over.iter().filter(|why| why.contains("expired")).count() == 2);
    let other = crate::open("sim:profile=rev-a,seed=6").unwrap().info().clone();
    assert!(matches!(find(&other, Some(&mine), NOW), Err(CalibrationError::OtherBoard { .. })));
    std::fs::write(&kept, "{}").unwrap();
    let found = find(&info, None, NOW).unwrap();
    assert_eq!(found.source, Source::None);
    assert!(found.passed_over[2].contains("not a calibration"), "{:?}", found.passed_over);
}

#[test]
fn a_real_board_does_not_change_its_profile_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let of = |profile: &str, gateware_id: u32| {
        let mut record = calibration().record().clone();
        record.board.profile = profile.into();
        record.board.gateware_id = gateware_id;
        Calibration::new(record).unwrap()
    };
    let kept = of("rev-a", 7).store_in(dir.path()).unwrap();
    let error = of("rev-c/x", 7).store_in(dir.path()).unwrap_err();
    assert!(matches!(&error, CalibrationError::Conflict { path, .. } if *path == kept), "{error}");
    assert!(error.to_string().contains("profile rev-a and is of profile rev-c/x"), "{error}");
    of("rev-a", 8).store_in(dir.path()).unwrap();
    // Simulated boards of one seed share a serial number.
    let simulated = u32::from_be_bytes(*b"SIM1");
    of("rev-c/x", simulated).store_in(dir.path()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn the_board_remembers_which_calibration_it_has() {
    let one = calibration();
    let mut device = crate::open(URI).unwrap();
    let soon = Deadline::after_secs(10);
    write_to_board(device.as_mut(), &one, soon).unwrap();
    let mut words = [0; 2];
    device.read_regs(spu_protocol::regs::CALIBRATION_ID_LO, &mut words, soon).unwrap();
    assert_eq!(u64::from(words[1]) << 32 | u64::from(words[0]), one.id());
    for (cell, values) in one.record().cells.iter().enumerate() {
        for (address, value) in [
            (spu_protocol::regs::adc_offset(cell), values.adc_offset.value),
            (spu_protocol::regs::adc_gain(cell), values.adc_gain.value),
        ] {
            device.read_regs(address, &mut words[..1], soon).unwrap();
            assert_eq!(words[0], (value as f32).to_bits());
        }
    }
    // A session that opens later tells it.
    device.reset(crate::ResetLevel::Session, soon).unwrap();
    assert_eq!(device.info().calibration_id, Some(one.id()));
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a.json");
    std::fs::create_dir(&folder).unwrap();
    let error = calibration().save(&folder).unwrap_err();
    assert!(matches!(error, CalibrationError::Write { .. }), "{error}");
    assert!(calibration().save(&dir.path().join("none").join("a.json")).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn shifts_and_resonances_follow_from_the_values() {
    let one = calibration();
    let layout = one.layout();
    let nominal = one.record().nominal;
    let mut shift = vec![0.0; layout.count()];
    assert_eq!(one.shifted(&shift).couplings, one.model().couplings);
    shift[layout.coupling(3, 1)] = 0.01;
    shift[layout.stray(2)] = 0.5;
    shift[layout.gain(4)] = -0.02;
    let (before, after) = (one.model(), one.shifted(&shift));
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * b.abs();
    let lsb = nominal.coupling_lsb_farad;
    assert!(close(after.couplings[3][1] - before.couplings[3][1], 0.02 * lsb));
    let stray = after.cells[2].stray_farad - before.cells[2].stray_farad;
    assert!(close(stray, 0.5 * nominal.self_lsb_farad));
    assert!(close(after.cells[4].adc_gain, before.cells[4].adc_gain - 0.02 * nominal.adc_gain));
    let [(hertz, hertz_sigma), (q, q_sigma)] = one.resonance(1);
    let c = before.self_farad(1, 15);
    let expected = 1.0 / (std::f64::consts::TAU * (before.cells[1].l_henry * c).sqrt());
    assert!(close(hertz, expected) && hertz_sigma > 0.0 && hertz_sigma < 1e-3 * hertz);
    assert!(q > 1.0 && q < 4.0 && q_sigma > 0.0 && q_sigma < 1e-3 * q, "{q} ± {q_sigma}");
}
