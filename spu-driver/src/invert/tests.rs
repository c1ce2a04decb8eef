use std::num::NonZeroU32;

use super::*;
use crate::testing::effective;

fn programmed(times: u32, options: InvertOptions) -> InvertOptions {
    InvertOptions { programmings: NonZeroU32::new(times).unwrap(), ..options }
}

#[test]
fn the_ledger_adds_up() {
    let mut device = crate::open("sim:profile=rev-b").unwrap();
    let a = crate::characterise::lively(4);
    let options = InvertOptions { settle: Settle::Ticks(321), ..effective(1000, 1) };
    let started = Instant::now();
    let result = invert(device.as_mut(), &a, &options, &Quiet).unwrap();
    let wall = started.elapsed();
    assert_eq!(result.settle_ticks, Ticks(321));
    // The last sample of each acquisition ends it; the next goes on a decimation later.
    let sampled = (result.plan.samples - 1) * u64::from(result.plan.decimation) + 1;
    assert_eq!(result.ticks.0, result.gain_ticks.0 + 321 + sampled);
    let told = result.phases.total() + result.host;
    assert!(told <= wall && told > wall / 2, "{told:?} of {wall:?}");
}

/// One run sets the gain of all programmings, and none of them drives the converters to their ends.
#[test]
fn an_ensemble_sets_its_gain_once() {
    let mut device = crate::open("sim:profile=rev-b").unwrap();
    let a = crate::characterise::lively(4);
    let mut read = |times| {
        let options = programmed(times, effective(4 * 1000, 1));
        invert(device.as_mut(), &a, &options, &Quiet).unwrap()
    };
    let (one, four) = (read(1), read(4));
    assert!(four.gain_ticks.0 < 2 * one.gain_ticks.0, "{:?} {:?}", four.gain_ticks, one.gain_ticks);
    assert_eq!(four.saturated, [0; 8]);
    // Four times the standard error of the difference in Frobenius norm, of ten entries.
    let off = relative_error(&four.inverse, &one.inverse);
    assert!(off < 4.0 * one.statistical_error.hypot(four.statistical_error), "{off}");
}

/// A short run with a short probe keeps to the converters' range, whatever the matrix.
#[test]
fn a_short_probe_saturates_nothing() {
    let mut device = crate::open("sim:profile=ideal").unwrap();
    for n in [2, 4, 8] {
        let a = crate::characterise::lively(n);
        let short = invert(device.as_mut(), &a, &effective(140, 1), &Quiet).unwrap();
        let long = invert(device.as_mut(), &a, &effective(3000, 1), &Quiet).unwrap();
        assert!(2 * short.gain_ticks.0 < long.gain_ticks.0, "{n}");
        assert_eq!(short.saturated, [0; 8], "{n}");
    }
}

/// Cells that are kept start where they were left: another record than from rest, of the same law.
#[test]
fn kept_cells_go_on() {
    let mut device = crate::open("sim:profile=rev-b,without=drive_mismatch").unwrap();
    let a = crate::characterise::lively(4);
    let read = |device: &mut dyn Device, settle| {
        let options = InvertOptions { settle, ..programmed(2, effective(4000, 1)) };
        invert(device, &a, &options, &Quiet).unwrap()
    };
    let kept = read(device.as_mut(), Settle::Keep);
    let again = read(device.as_mut(), Settle::Keep);
    let rest = read(device.as_mut(), Settle::Ticks(0));
    assert_eq!(kept.inverse, again.inverse, "nothing is left of runs before");
    assert_ne!(kept.inverse, rest.inverse);
    assert_eq!(kept.settle_ticks, Ticks(0));
    let off = relative_error(&kept.inverse, &rest.inverse);
    assert!(off < 4.0 * kept.statistical_error.hypot(rest.statistical_error), "{off}");
}
