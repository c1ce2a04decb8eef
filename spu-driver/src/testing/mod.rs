//! Matrices, options and devices that unit tests share.

pub(crate) mod hooked;

use std::sync::Arc;

use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::board_model::{BoardModel, MeasuredBoards};
use crate::device::BoardInfo;
use crate::invert::{InvertOptions, Quiet};
use crate::linalg::{from_eigen, symmetric_eigen};
use crate::matrix::SpdMatrix;
use crate::plan::Budget;

pub(crate) fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0
}

/// A random matrix with eigenvalues from 1 to `condition`, their logarithms evenly spaced.
pub(crate) fn random_spd(n: usize, condition: f64, seed: u64) -> SpdMatrix {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut noise = Array2::zeros((n, n));
    for i in 0..n {
        for j in i..n {
            noise[[i, j]] = uniform(&mut rng) - 0.5;
            noise[[j, i]] = noise[[i, j]];
        }
    }
    let (_, vectors) = symmetric_eigen(&noise);
    let values = (0..n).map(|k| condition.powf(k as f64 / (n as f64 - 1.0))).collect();
    SpdMatrix::new(&from_eigen(&values, &vectors), 0.0).expect("positive definite")
}

pub(crate) fn effective(samples: u64, seed: u64) -> InvertOptions {
    let budget = Budget { effective: Some(samples), ..Budget::default() };
    InvertOptions { budget, seed, ..InvertOptions::default() }
}

/// What a quick calibration says of this board.
pub(crate) fn calibrated(uri: &str) -> Arc<MeasuredBoards> {
    let mut device = crate::open(uri).expect("opens");
    let options = crate::calibrate::CalibrateOptions::at(1_700_000_000);
    let calibration = crate::calibrate::calibrate(device.as_mut(), &options, &Quiet).expect("good");
    let board = calibration.measured(crate::prepare::DRAWS);
    Arc::new([(device.info().serial, Arc::new(board))].into())
}

/// The values that the parts of a simulated board have.
pub(crate) fn true_model(profile: &str, seed: u64, info: &BoardInfo) -> BoardModel {
    let profile = spu_sim::Profile::named(profile).expect("a profile");
    let parts = spu_sim::analog::Parts::draw(&profile, seed, 0);
    let mut model = BoardModel::nominal(info);
    for (i, cell) in model.cells.iter_mut().enumerate() {
        cell.r_ohm = parts.r_ohm[i];
        cell.l_henry = parts.l_henry[i];
        cell.stray_farad = parts.stray_farad[i];
        cell.drive_ampere = parts.drive_ampere[i];
        cell.adc_gain = parts.adc_gain[i];
        cell.adc_offset = parts.adc_offset[i];
    }
    let selves = model.selves.iter_mut().zip(&parts.self_elements);
    let couplings = model.couplings.iter_mut().zip(&parts.coupling_elements);
    for (bank, farads) in selves.chain(couplings) {
        for (farad, own) in bank.iter_mut().zip(farads) {
            *farad = *own;
        }
    }
    model
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
