//! Boards of RC cells: they are measured, run the law of their matrix for a given time, and relax to
//! its mean.

use std::num::NonZeroU32;

use ndarray::Array2;
use spu_driver::linalg::{exponential, solve};
use spu_driver::rc::{RcCalibrateOptions, RelaxOptions, Relaxation, Relaxer, calibrate};
use spu_driver::{Device, Error};

use crate::bench::{Bench, Case, Need, Outcome};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    Case { name: "a_measured_board_runs_the_law", needs: &[Need::Rc], run: law },
    Case { name: "the_mean_solves", needs: &[Need::Rc], run: mean },
    Case { name: "noise_has_the_laws_variance", needs: &[Need::Rc], run: noise },
    Case { name: "same_seed_same_read", needs: &[Need::Rc, Need::SimulatedCells], run: repeatable },
    Case {
        name: "calibration_names_what_is_broken",
        needs: &[Need::Rc, Need::Faults, Need::Cells(2)],
        run: broken,
    },
];

/// Relative error that is left after calibration: 8-bit banks, measured to some 0.2 % of full scale.
const MEASURED: f64 = 0.01;

/// A chain, as Lanczos steps make them: positive definite, with entries beside the diagonal below 0.
fn chain(n: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
        0 => 0.5 + 0.06 * i as f64,
        1 => -0.18 - 0.02 * i.min(j) as f64,
        _ => 0.0,
    })
}

fn first(n: usize) -> Vec<f64> {
    (0..n).map(|i| if i == 0 { 2.5 } else { 0.0 }).collect()
}

/// `(1 − e^{−T t}) T⁻¹ b`.
fn at(t: &Array2<f64>, b: &[f64], time: f64) -> Vec<f64> {
    let n = t.nrows();
    let limit = solve(t, &Array2::from_shape_fn((n, 1), |(i, _)| b[i]));
    let decay = exponential(&(t * -time));
    (&limit - &decay.dot(&limit)).iter().copied().collect()
}

fn measured(device: &mut dyn Device) -> Result<Relaxer, Error> {
    let calibrated = calibrate(device, &RcCalibrateOptions::default())?;
    Relaxer::new(device.info(), calibrated.model)
}

/// Within half a converter step of what the law says of the matrix as held, and the calibration's error.
fn close(read: &Relaxation, law: &[f64]) {
    let size = law.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for ((x, law), step) in read.x.iter().zip(law).zip(&read.steps) {
        let off = (x - law).abs();
        assert!(off <= 0.55 * step + MEASURED * size, "{x} for {law}, a step of {step}");
    }
}

fn law(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let relaxer = measured(device)?;
    let (t, b) = (chain(device.info().cells), first(device.info().cells));
    let plan = relaxer.plan(&t)?;
    for time in [0.5, 3.0, 20.0] {
        let read = relaxer.relax(device, &plan, &b, time, &RelaxOptions::default())?;
        close(&read, &at(plan.held(), &b, read.time));
    }
    Ok(())
}

fn mean(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let relaxer = measured(device)?;
    let n = device.info().cells;
    let plan = relaxer.plan(&chain(n))?;
    let b: Vec<f64> = (0..n).map(|i| 1.0 - 0.3 * i as f64).collect();
    let read = relaxer.solve(device, &plan, &b, &RelaxOptions::default())?;
    close(&read, &at(plan.held(), &b, 1e4));
    Ok(())
}

/// Variance of the first cell at the end of independent runs. Of R runs the relative error of a normal
/// law's variance has the standard deviation √(2 / (R − 1)); the limit is 5.5 of those and the calibration's
/// error: false alarms below 1e-6 (χ² of 400 degrees, upper tail).
fn noise(bench: &Bench) -> Outcome {
    const RUNS: u32 = 400;
    let mut lease = bench.device()?;
    let device = lease.board();
    let relaxer = measured(device)?;
    let n = device.info().cells;
    let (plan, b) = (relaxer.plan(&chain(n))?, first(n));
    let (time, strength) = (6.0, 0.05);
    let mut reads = Vec::new();
    for run in 0..RUNS {
        // Each run goes on with the noise of the one before.
        let seed = (run == 0).then_some(3);
        let options = RelaxOptions { noise: strength, seed, ..RelaxOptions::default() };
        reads.push(relaxer.relax(device, &plan, &b, time, &options)?);
    }
    let values: Vec<f64> = reads.iter().map(|read| read.x[0]).collect();
    let mean = values.iter().sum::<f64>() / f64::from(RUNS);
    let found = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(RUNS - 1);
    // κ₀ T⁻¹ (1 − e^{−2 T t}), and the converter's rounding.
    let ends = at(plan.held(), &first(n), 2.0 * reads[0].time);
    let law = strength * ends[0] / first(n)[0] + reads[0].steps[0].powi(2) / 12.0;
    let limit = 5.5 * (2.0 / f64::from(RUNS - 1)).sqrt() + 2.0 * MEASURED + 0.02;
    assert!((found / law - 1.0).abs() < limit, "variance {found} for {law}");
    Ok(())
}

fn repeatable(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let relaxer = measured(device)?;
    let n = device.info().cells;
    let (plan, b) = (relaxer.plan(&chain(n))?, first(n));
    let reads = NonZeroU32::new(5).expect("not zero");
    let options = RelaxOptions { noise: 0.02, reads, seed: Some(11), ..RelaxOptions::default() };
    let one = relaxer.relax(device, &plan, &b, 4.0, &options)?;
    // Whatever ran in between.
    relaxer.relax(device, &plan, &b, 0.1, &options)?;
    let other = relaxer.relax(device, &plan, &b, 4.0, &options)?;
    assert_eq!(one.x, other.x);
    Ok(())
}

fn broken(bench: &Bench) -> Outcome {
    let bits = bench.info().raw.self_bits;
    let high = bits - 1;
    for (fault, part) in [
        ("dead-cell.1".to_owned(), "cell 1"),
        (format!("stuck-self.0.{high}.off"), "self-term bank 0"),
        (format!("stuck-coupling.0.1.{high}.off"), "cells 0 and 1"),
        ("stuck-adc.1.3".to_owned(), "cell 1"),
        ("saturated-adc.0.high".to_owned(), "cell 0"),
        ("swapped-adc.0.1".to_owned(), "swapped"),
    ] {
        let mut copies = bench.copies_with(&fault, 0)?;
        let refusal = calibrate(copies[0].as_mut(), &RcCalibrateOptions::default());
        match refusal {
            Err(Error::Uncalibrated { why }) => assert!(why.contains(part), "{fault}: {why}"),
            other => panic!("{fault}: {other:?}"),
        }
        // The others are whole.
        calibrate(copies[1].as_mut(), &RcCalibrateOptions::default())?;
    }
    Ok(())
}
