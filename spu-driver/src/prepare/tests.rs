use super::*;
use crate::calibrate::{CalibrateOptions, calibrate};
use crate::calibration::Source;
use crate::invert::{InvertOptions, Quiet, invert};
use crate::matrix::SpdMatrix;
use crate::open;
use crate::ops::logdet::{LogDetMethod, logdet};
use crate::ops::lyapunov::lyapunov;
use crate::ops::propagator::propagator;
use crate::sample::sample_gaussian;
use crate::testing::effective;

const NOW: u64 = 1_700_000_000;

/// A folder with the calibrations of these boards.
fn store(uris: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for uri in uris {
        let mut device = open(uri).unwrap();
        let calibration = calibrate(device.as_mut(), &CalibrateOptions::at(NOW), &Quiet).unwrap();
        calibration.store_in(dir.path()).unwrap();
    }
    dir
}

fn options(store: &Path) -> PrepareOptions {
    PrepareOptions { store: Some(store.into()), ..PrepareOptions::at(NOW + 60) }
}

fn verdict(status: &BoardStatus) -> &Verdict {
    match &status.sentinel {
        Sentinel::Ran { verdict, .. } => verdict,
        other => panic!("no sentinel: {other:?}"),
    }
}

fn matrix() -> SpdMatrix {
    let a = ndarray::Array2::from_shape_fn((6, 6), |(i, j)| match i.abs_diff(j) {
        0 => 2.0 + 0.3 * i as f64,
        1 => -0.7,
        _ => 0.0,
    });
    SpdMatrix::new(&a, 0.0).unwrap()
}

/// All that operations on a device give, as text of their numbers to the last bit.
fn everything(device: &mut dyn Device, measured: &Arc<MeasuredBoards>) -> String {
    let a = matrix();
    let options = InvertOptions { measured: measured.clone(), ..effective(200, 3) };
    let inverse = invert(device, &a, &options, &Quiet).unwrap();
    let short = InvertOptions { measured: measured.clone(), ..effective(600, 3) };
    let logarithm = logdet(device, &a, LogDetMethod::Reference, &short, &Quiet).unwrap();
    let solution = lyapunov(device, &a, &[1.0, 0.5, 0.2, 1.0, 0.7, 0.4], &options, &Quiet).unwrap();
    let lags = propagator(device, &a, &[4, 12], &options, &Quiet).unwrap();
    let samples = sample_gaussian(device, &a, 40, &options, &Quiet).unwrap();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        inverse.inverse.as_slice(),
        inverse.intervals().as_slice(),
        (logarithm.value, logarithm.interval),
        (solution.solution.as_slice(), solution.intervals.as_slice()),
        lags.lags.iter().map(|lag| lag.propagator.as_slice()).collect::<Vec<_>>(),
        samples.values.as_slice(),
        samples.offsets,
    )
}

#[test]
fn results_are_the_same_with_and_without_sentinel() {
    for uri in ["sim:profile=rev-b,seed=3", "sim:profile=rev-a,seed=3"] {
        let store = store(&[uri]);
        let mut seen = Vec::new();
        for sentinel in [true, false] {
            let mut devices = [open(uri).unwrap()];
            let options = PrepareOptions { sentinel, ..options(store.path()) };
            let prepared = prepare(&mut devices, &options).unwrap();
            assert_eq!(prepared.standing(), Standing::Calibrated);
            let ran = matches!(prepared.boards[0].sentinel, Sentinel::Ran { .. });
            assert_eq!(ran, sentinel, "{:?}", prepared.boards[0].sentinel);
            seen.push(everything(devices[0].as_mut(), &prepared.measured));
        }
        assert_eq!(seen[0], seen[1], "{uri}");
    }
}

/// The drive of a cell drifts by five per cent a second from when the device is opened. The sentinel of the
/// first run comes before anything has moved, that of the second after a run: it names cell and change.
/// Boards without the drift, four of them twice each, are not named: each sentinel has a false-alarm rate of
/// about 1e-6.
#[test]
fn a_board_that_drifts_between_runs_is_named_and_others_are_not() {
    let boards = ["rev-a,seed=7", "rev-b,seed=8", "rev-a,seed=9", "rev-b,seed=10"];
    let uris = boards.map(|board| format!("sim:profile={board}"));
    let store = store(&uris.each_ref().map(String::as_str));
    let drifting = format!("{},fault=drift-gain.2.0.05", uris[0]);
    for (uri, drifts) in
        uris.iter().map(|uri| (uri, false)).chain(std::iter::once((&drifting, true)))
    {
        let mut devices = [open(uri).unwrap()];
        let before = prepare(&mut devices, &options(store.path())).unwrap();
        assert_eq!(before.standing(), Standing::Calibrated, "{uri}: {:?}", before.boards);
        let run = InvertOptions { measured: before.measured.clone(), ..effective(20_000, 1) };
        let result = invert(devices[0].as_mut(), &matrix(), &run, &Quiet).unwrap();
        let seconds = result.ticks.0 as f64 * result.board.sample_period_s();
        let after = prepare(&mut devices, &options(store.path())).unwrap();
        let verdict = verdict(&after.boards[0]);
        println!(
            "{uri}: worst {:.2} of {:.2}, residual {:.3}",
            verdict.worst, verdict.limit, verdict.residual
        );
        let measured = &after.measured[&devices[0].info().serial];
        if drifts {
            assert_eq!(after.standing(), Standing::Drifted, "{verdict:?}");
            assert!((verdict.drive_change[2] / (0.05 * seconds) - 1.0).abs() < 0.1, "{verdict:?}");
            let findings = verdict.findings();
            assert!(findings[0].starts_with("drive of cell 2 by +"), "{findings:?}");
            // What the calibration's uncertainty says holds no longer, so nothing is said of it.
            assert!(measured.draws.is_empty());
            let run = InvertOptions { measured: after.measured.clone(), ..effective(200, 1) };
            let result = invert(devices[0].as_mut(), &matrix(), &run, &Quiet).unwrap();
            assert!(result.systematic.calibration.is_none() && result.calibration.is_some());
        } else {
            assert_eq!(after.standing(), Standing::Calibrated, "{uri}: {verdict:?}");
            assert_eq!(measured.draws.len(), DRAWS);
            assert!(verdict.findings().is_empty());
        }
    }
}

#[test]
fn a_board_that_is_calibrated_again_has_not_drifted() {
    let uri = "sim:profile=rev-b,seed=11";
    let store = store(&[uri]);
    let mut devices = [open(&format!("{uri},fault=drive-gain.5.0.99")).unwrap()];
    let prepared = prepare(&mut devices, &options(store.path())).unwrap();
    let findings = verdict(&prepared.boards[0]).findings();
    assert!(
        findings.len() == 1 && findings[0].starts_with("drive of cell 5 by -1.0"),
        "{findings:?}"
    );
    let calibration =
        calibrate(devices[0].as_mut(), &CalibrateOptions::at(NOW + 90), &Quiet).unwrap();
    calibration.store_in(store.path()).unwrap();
    let again = PrepareOptions { now: NOW + 120, ..options(store.path()) };
    let again = prepare(&mut devices, &again).unwrap();
    assert_eq!(again.boards[0].found.calibration.as_ref(), Some(&calibration));
    assert_eq!(again.standing(), Standing::Calibrated);
}

#[test]
fn sources_are_told_copy_by_copy() {
    let [one, two] = ["sim:profile=rev-a,seed=21", "sim:profile=rev-a,seed=22"];
    let store = store(&[one]);
    let mut devices = [open(one).unwrap(), open(two).unwrap()];
    let prepared = prepare(&mut devices, &options(store.path())).unwrap();
    assert!(matches!(prepared.boards[0].found.source, Source::Store(_)));
    assert_eq!(prepared.boards[0].standing(), Standing::Calibrated);
    assert_eq!(prepared.boards[1].found.source, Source::None);
    assert_eq!(prepared.boards[1].sentinel, Sentinel::NoCalibration);
    // Of several, the least that may be said of any.
    assert_eq!(prepared.standing(), Standing::Uncalibrated);
    let file = match &prepared.boards[0].found.source {
        Source::Store(path) => path.clone(),
        other => panic!("{other}"),
    };

    let named = |choice| PrepareOptions { choice, store: None, ..options(store.path()) };
    let prepared = prepare(&mut devices, &named(Choice::Files(vec![file.clone()]))).unwrap();
    assert_eq!(prepared.boards[0].found.source, Source::User(file.clone()));
    let prepared = prepare(&mut devices, &named(Choice::None)).unwrap();
    assert!(prepared.measured.is_empty() && prepared.standing() == Standing::Uncalibrated);

    let error = prepare(&mut devices[1..], &named(Choice::Files(vec![file]))).unwrap_err();
    assert!(error.to_string().contains("is of none of these boards"), "{error}");
}

#[test]
fn an_expired_calibration_is_not_used_and_told() {
    let uri = "sim:profile=rev-a,seed=23";
    let store = store(&[uri]);
    let mut devices = [open(uri).unwrap()];
    let late = PrepareOptions { now: NOW + 40 * 86_400, ..options(store.path()) };
    let prepared = prepare(&mut devices, &late).unwrap();
    assert_eq!(prepared.standing(), Standing::Uncalibrated);
    let unusable = &prepared.boards[0].found.unusable;
    assert!(unusable[0].contains("expired 10 days ago; run `spu calibrate`"), "{unusable:?}");
}
