//! The matrices, by named generators. The same seed gives the same matrix everywhere.

use anyhow::Result;
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::linalg::large::multiply;
use spu_driver::matrix::SpdMatrix;

/// A uniform number between 0 and 1.
pub(super) fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const HALF: f64 = 0.5 / 9_007_199_254_740_992.0;
    let radius = (-2.0 * (uniform(rng) + HALF).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * (uniform(rng) + HALF)).cos()
}

/// The generator *programmable*: an 8×8 matrix that couplings of one sign hold as it is: off-diagonals
/// uniform from -1/2 to 0, row sums uniform from 1 to 2; condition 2 to 6.
///
/// # Errors
/// Never: it is positive definite.
pub fn programmable(seed: u64) -> Result<SpdMatrix> {
    dominant(8, seed)
}

/// The generator *dominant*: as *programmable*, with `n` rows.
///
/// # Errors
/// Never: it is positive definite.
pub fn dominant(n: usize, seed: u64) -> Result<SpdMatrix> {
    grounded(n, 1.0, &mut Xoshiro256PlusPlus::seed_from_u64(seed))
}

/// Condition that *grounded* matrices have at most.
pub const GROUNDED_CONDITION: f64 = 10.0;

/// The generator *grounded*: as *programmable*, with row sums between g and 2 g, log₁₀ g uniform from
/// -0.6 to 0, drawn again where the condition is above [`GROUNDED_CONDITION`].
///
/// # Errors
/// Never: it is positive definite.
pub fn well_conditioned(seed: u64) -> Result<SpdMatrix> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    loop {
        let ground = 10.0_f64.powf(-0.6 * uniform(&mut rng));
        let a = grounded(8, ground, &mut rng)?;
        if a.condition() <= GROUNDED_CONDITION {
            return Ok(a);
        }
    }
}

fn grounded(n: usize, ground: f64, rng: &mut Xoshiro256PlusPlus) -> Result<SpdMatrix> {
    let mut uniform = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let mut a = Array2::zeros((n, n));
    for i in 0..n {
        a[[i, i]] += ground * (1.0 + uniform());
        for j in i + 1..n {
            let coupling = 0.5 * uniform();
            a[[i, j]] = -coupling;
            a[[j, i]] = -coupling;
            a[[i, i]] += coupling;
            a[[j, j]] += coupling;
        }
    }
    Ok(SpdMatrix::new(&a, 0.0)?)
}

/// The generator *haar-log* with the condition drawn too: κ log-uniform from 1 to `most`.
///
/// # Errors
/// Never for κ below 1e12.
pub fn haar_log_up_to(n: usize, most: f64, seed: u64) -> Result<SpdMatrix> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    haar_log(n, most.powf(uniform(&mut rng)), rng.next_u64())
}

/// The generator *haar-log*: an `n × n` matrix of condition κ, eigenvalues from 1 to κ with evenly spaced
/// logarithms, eigenvectors uniform over the orthogonal group: entries of both signs.
///
/// # Errors
/// Never for κ below 1e12.
pub fn haar_log(n: usize, condition: f64, seed: u64) -> Result<SpdMatrix> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut rows: Vec<Vec<f64>> =
        (0..n).map(|_| (0..n).map(|_| normal(&mut rng)).collect()).collect();
    // Gram–Schmidt, each row twice: uniform, since the rows are normal.
    for k in 0..n {
        let (done, rest) = rows.split_at_mut(k);
        let row = &mut rest[0];
        for _ in 0..2 {
            for other in &*done {
                let dot: f64 = row.iter().zip(other).map(|(x, y)| x * y).sum();
                for (x, y) in row.iter_mut().zip(other) {
                    *x -= dot * y;
                }
            }
        }
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        for x in row.iter_mut() {
            *x /= norm;
        }
    }
    let last = (n.max(2) - 1) as f64;
    let basis = Array2::from_shape_fn((n, n), |(i, j)| rows[i][j]);
    let scaled =
        Array2::from_shape_fn((n, n), |(i, j)| rows[i][j] * condition.powf(i as f64 / last));
    Ok(SpdMatrix::new(&multiply(&basis.t(), &scaled), 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_keep_to_their_conditions() {
        for seed in 0..20 {
            let a = well_conditioned(seed).unwrap();
            assert!(a.condition() <= GROUNDED_CONDITION && a.entries()[[0, 1]] <= 0.0);
            let a = haar_log(8, 50.0, seed).unwrap();
            assert!((a.condition() / 50.0 - 1.0).abs() < 1e-9, "{}", a.condition());
            assert!(haar_log_up_to(8, 30.0, seed).unwrap().condition() < 30.0);
        }
        let conditions = (0..20).map(|seed| well_conditioned(seed).unwrap().condition());
        assert!(conditions.fold(0.0, f64::max) > 6.0);
    }
}
