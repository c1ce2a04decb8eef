//! Stated errors against true ones.

use std::sync::Arc;

use super::*;
use crate::board_model::{BoardModel, MeasuredBoard};
use crate::calibrate::{CalibrateOptions, calibrate};
use crate::device::Device;
use crate::invert::InvertOptions;
use crate::spread::normal;

/// On the ideal board the squared error over its estimate from the scatter has mean near 1. Over 12
/// runs of three leaves, each the sum of hundreds of squared normals with few dominant directions:
/// counted as 12 runs of 4 degrees of freedom, χ²₄₈ lies between 14 and 106 in all but 1e-6 of cases,
/// which is a mean between 0.29 and 2.2. The share of entries outside their 95 % intervals, counted as
/// 12 independent runs, has a standard deviation of at most 6.3 %: below 37 % but for 1e-6. Fixed
/// seeds.
#[test]
fn the_scatter_of_the_leaves_tells_the_error_of_the_whole() {
    let mut devices = open_copies("sim:profile=ideal", 2).unwrap();
    let (mut ratio, mut outside, mut entries) = (0.0, 0, 0);
    for seed in 0..12 {
        let a = random_spd(20, 10.0, 40 + seed);
        let mut boards = Boards::new(&mut devices, effective(1200, 70 + seed));
        let result = invert_blocks(&mut boards, &a, &Quiet).unwrap();
        let exact = exact_inverse(&a);
        ratio +=
            (relative_error(&result.inverse, &exact) / result.statistical_error).powi(2) / 12.0;
        for i in 0..20 {
            for j in i..20 {
                let error = (result.inverse[[i, j]] - exact[[i, j]]).abs();
                outside += i32::from(error > result.half_widths[[i, j]]);
                entries += 1;
            }
        }
        assert_eq!((result.leaves.len(), result.copies), (3, 2));
        assert!(result.quantisation_error < 1e-3 && result.flops.total() > 0);
        let b: Vec<f64> = (0..20).map(|i| f64::from(i % 3) - 1.0).collect();
        let widths = result.product_half_widths(&b);
        assert!(widths.iter().all(|w| *w > 0.0 && w.is_finite()));
    }
    assert!((0.29..2.2).contains(&ratio), "{ratio}");
    let share = f64::from(outside) / f64::from(entries);
    assert!(share < 0.37, "{share}");
}

/// A board as a calibration with these standard deviations has it: drive by a part in `1 / sd`, converter
/// and bank elements as much.
fn measured(truth: &BoardModel, sd: f64, rng: &mut Xoshiro256PlusPlus) -> BoardModel {
    let mut model = truth.clone();
    let mut off = |x: &mut f64| *x *= sd.mul_add(normal(rng), 1.0);
    for cell in &mut model.cells {
        off(&mut cell.drive_ampere);
        off(&mut cell.adc_gain);
    }
    for element in model.selves.iter_mut().chain(&mut model.couplings).flatten() {
        off(element);
    }
    model
}

/// Calibrations that are off by 1 % in every value, which is most of the error here. Ten pairs of boards:
/// the squared error over the stated one, each a sum over three leaves and 160 values of two boards whose
/// deviations add up in no more than some tens of directions. Counted as 10 runs of 6 degrees of freedom
/// that are stated by 8 draws of each of two boards, of 16 (an F law with 60 and 160 degrees of
/// freedom), the mean lies between 0.43 and 2.5 in all but 1e-6 of cases. The share of entries outside
/// of their intervals, counted as 10 independent runs, has a standard deviation of at most 6.9 % and lies
/// below 40 % but for 1e-6. Fixed seeds.
#[test]
fn calibrations_are_in_the_stated_error() {
    const DRAWS: usize = 8;
    let uri = "sim:profile=rev-b,without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+stray+adc_gain";
    let mut devices = open_copies(uri, 2).unwrap();
    let truth = BoardModel::nominal(devices[0].info());
    let (mut ratio, mut unstated, mut outside, mut entries) = (0.0, 0.0, 0, 0);
    for seed in 0..10 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(900 + seed);
        let mut options = effective(6000, 30 + seed);
        let boards = devices.iter().map(|device| {
            let model = measured(&truth, 0.01, &mut rng);
            let draws = (0..DRAWS).map(|_| measured(&model, 0.01, &mut rng)).collect();
            (device.info().serial, Arc::new(MeasuredBoard { id: seed, model, draws }))
        });
        options.measured = Arc::new(boards.collect());
        let a = random_spd(20, 10.0, 60 + seed);
        let result = invert_blocks(&mut Boards::new(&mut devices, options), &a, &Quiet).unwrap();
        let exact = exact_inverse(&a);
        let error = relative_error(&result.inverse, &exact);
        let calibration = result.calibration_error.unwrap();
        let parts = calibration.hypot(result.statistical_error).hypot(result.quantisation_error);
        assert!((parts / result.stated_error() - 1.0).abs() < 1e-12);
        ratio += (error / result.stated_error()).powi(2) / 10.0;
        let rest = result.statistical_error.hypot(result.quantisation_error);
        unstated += (error / rest).powi(2) / 10.0;
        assert!(result.leaves.iter().all(|leaf| leaf.calibration_error.unwrap() > 0.0));
        let widths = result.intervals();
        let b: Vec<f64> = (0..20).map(|i| f64::from(i % 3) - 1.0).collect();
        let narrow = result.product_half_widths(&b);
        let wide = result.product_intervals(&b);
        assert!(narrow.iter().zip(&wide).all(|(narrow, wide)| wide > narrow));
        for i in 0..20 {
            for j in i..20 {
                let error = (result.inverse[[i, j]] - exact[[i, j]]).abs();
                outside += i32::from(error > widths[[i, j]]);
                entries += 1;
            }
        }
    }
    let share = f64::from(outside) / f64::from(entries);
    println!("mean square {ratio:.2}, without calibration {unstated:.2}, outside {share:.3}");
    assert!((0.43..2.5).contains(&ratio), "{ratio}");
    assert!(unstated > 2.0 * ratio, "the calibration is no part of the error here: {unstated}");
    assert!(share < 0.4, "{share}");
}

/// Boards with all their tolerances, calibrated in earnest. The stated error is of the size of the true one: a
/// squared error over its mean is beyond 36 with a probability of 2e-9 at most, and below 1/36 with less
/// than 1e-6 for the six and more degrees of freedom that it has. Fixed seeds.
#[test]
fn calibrated_boards_are_off_by_what_is_stated() {
    for (profile, seed) in [("rev-a", 3), ("rev-b", 4)] {
        let mut devices = open_copies(&format!("sim:profile={profile},seed={seed}"), 1).unwrap();
        let found = calibrate(devices[0].as_mut(), &CalibrateOptions::at(0), &Quiet).unwrap();
        let serial = devices[0].info().serial;
        let known = Arc::new([(serial, Arc::new(found.measured(8)))].into());
        let a = random_spd(12, 8.0, 17);
        let error = |devices: &mut [Box<dyn Device>], measured| {
            let options = InvertOptions { measured, ..effective(20_000, seed) };
            let result = invert_blocks(&mut Boards::new(devices, options), &a, &Quiet).unwrap();
            (relative_error(&result.inverse, &exact_inverse(&a)), result)
        };
        let (plain, uncalibrated) = error(&mut devices, Arc::default());
        assert!(uncalibrated.calibration_error.is_none() && uncalibrated.calibration_sd.is_none());
        let (off, result) = error(&mut devices, known);
        assert!(result.calibration_error.is_some() && result.calibration.is_some());
        let ratio = off / result.stated_error();
        println!("{profile}: {off:.4} of {plain:.4}, stated {:.4}", result.stated_error());
        assert!((1.0 / 6.0..6.0).contains(&ratio), "{profile}: {ratio}");
    }
}
