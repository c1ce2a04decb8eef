//! Matrices and options that unit tests share.

use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::invert::InvertOptions;
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
