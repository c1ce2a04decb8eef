//! Stated errors against true ones.

use std::sync::Arc;

use super::*;
use crate::board_model::{BoardModel, MeasuredBoard};
use crate::device::Device;
use crate::invert::InvertOptions;
use crate::spread::normal;
use crate::testing::calibrated;

/// On the ideal board the squared error over its estimate from the scatter has mean near 1. Over 8 runs of
/// three leaves, each the sum of hundreds of squared normals with few dominant directions: counted as 8
/// runs of 4 degrees of freedom, χ²₃₂ lies between 6.7 and 88 in all but 1e-6 of cases, which is a mean
/// between 0.2 and 2.8. Counted alike, 11 or more of 32 independent entries outside of their 95 % intervals
/// have a probability of 3e-7. Fixed seeds.
#[test]
fn the_scatter_of_the_leaves_tells_the_error_of_the_whole() {
    let mut devices = open_copies("sim:profile=ideal", 2).unwrap();
    let (mut ratio, mut outside, mut entries) = (0.0, 0, 0);
    for seed in 0..8 {
        let a = random_spd(20, 10.0, 40 + seed);
        let mut boards = Boards::new(&mut devices, effective(1200, 70 + seed));
        let result = invert_blocks(&mut boards, &a, &Quiet).unwrap();
        let exact = exact_inverse(&a);
        ratio += (relative_error(&result.inverse, &exact) / result.statistical_error).powi(2) / 8.0;
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
    assert!((0.2..2.8).contains(&ratio), "{ratio}");
    let share = f64::from(outside) / f64::from(entries);
    assert!(share < 0.34, "{share}");
}

/// A board as a calibration has it that leaves this relative standard deviation in drive, converters and
/// bank elements.
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

/// Calibrations that are off by 3 % in every value, which is most of the error here. Five pairs of boards; each
/// squared error is a sum over two leaves and some hundred values of two boards, whose deviations add up in
/// few directions: counted as 6 degrees of freedom a run, and the stated one as those of its 8 draws, the
/// mean ratio has an F law with 30 and 40, which lies between 0.17 and 5.2 in all but 1e-6 of cases. Counted
/// alike, 11 or more of 30 independent entries outside of their 95 % intervals have a probability of 1e-7.
/// Fixed seeds.
#[test]
fn calibrations_are_in_the_stated_error() {
    const DRAWS: usize = 4;
    const SD: f64 = 0.03;
    let uri = "sim:profile=rev-b,without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+stray+adc_gain";
    let mut devices = open_copies(uri, 2).unwrap();
    let truth = BoardModel::nominal(devices[0].info());
    let (mut ratio, mut unstated, mut outside, mut entries) = (0.0, 0.0, 0, 0);
    for seed in 0..5 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(900 + seed);
        let mut options = effective(4000, 30 + seed);
        let boards = devices.iter().map(|device| {
            let model = measured(&truth, SD, &mut rng);
            let draws = (0..DRAWS).map(|_| measured(&model, SD, &mut rng)).collect();
            (device.info().serial, Arc::new(MeasuredBoard { id: seed, model, draws }))
        });
        options.measured = Arc::new(boards.collect());
        let a = random_spd(12, 10.0, 60 + seed);
        let result = invert_blocks(&mut Boards::new(&mut devices, options), &a, &Quiet).unwrap();
        let exact = exact_inverse(&a);
        let error = relative_error(&result.inverse, &exact);
        let calibration = result.calibration_error.unwrap();
        let parts = calibration.hypot(result.statistical_error).hypot(result.quantisation_error);
        assert!((parts / result.stated_error() - 1.0).abs() < 1e-12);
        ratio += (error / result.stated_error()).powi(2) / 5.0;
        let rest = result.statistical_error.hypot(result.quantisation_error);
        unstated += (error / rest).powi(2) / 5.0;
        assert!(result.leaves.iter().all(|leaf| leaf.calibration_error.unwrap() > 0.0));
        let widths = result.intervals();
        let b: Vec<f64> = (0..12).map(|i| f64::from(i % 3) - 1.0).collect();
        let narrow = result.product_half_widths(&b);
        let wide = result.product_intervals(&b);
        assert!(narrow.iter().zip(&wide).all(|(narrow, wide)| wide > narrow));
        for i in 0..12 {
            for j in i..12 {
                let error = (result.inverse[[i, j]] - exact[[i, j]]).abs();
                outside += i32::from(error > widths[[i, j]]);
                entries += 1;
            }
        }
    }
    let share = f64::from(outside) / f64::from(entries);
    println!("mean square {ratio:.2}, without calibration {unstated:.2}, outside {share:.3}");
    assert!((0.17..5.2).contains(&ratio), "{ratio}");
    assert!(unstated > 2.0 * ratio, "the calibration is no part of the error here: {unstated}");
    assert!(share < 0.36, "{share}");
}

/// A board with all its tolerances, calibrated in earnest. The stated error is of the size of the true one: a
/// squared error over its mean is beyond 36 with a probability of 2e-9 at most, and below 1/36 with less
/// than 1e-6 for the six and more degrees of freedom that it has. Fixed seeds.
#[test]
fn a_calibrated_board_is_off_by_what_is_stated() {
    let uri = "sim:profile=rev-a,seed=3";
    let mut devices = open_copies(uri, 1).unwrap();
    let a = random_spd(12, 8.0, 17);
    let error = |devices: &mut [Box<dyn Device>], measured| {
        let options = InvertOptions { measured, ..effective(20_000, 3) };
        let result = invert_blocks(&mut Boards::new(devices, options), &a, &Quiet).unwrap();
        (relative_error(&result.inverse, &exact_inverse(&a)), result)
    };
    let (plain, uncalibrated) = error(&mut devices, Arc::default());
    assert!(uncalibrated.calibration_error.is_none() && uncalibrated.calibration_sd.is_none());
    let (off, result) = error(&mut devices, calibrated(uri));
    assert!(result.calibration_error.is_some() && result.calibration.is_some());
    let ratio = off / result.stated_error();
    println!("{off:.4} of {plain:.4}, stated {:.4}", result.stated_error());
    assert!((1.0 / 6.0..6.0).contains(&ratio), "{ratio}");
}
