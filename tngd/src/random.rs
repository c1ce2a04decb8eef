//! Normal deviates from a seed.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

/// n standard normal deviates.
pub(crate) fn normals(seed: u64, n: usize) -> impl Iterator<Item = f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(move |_| StandardNormal.sample(&mut rng))
}
