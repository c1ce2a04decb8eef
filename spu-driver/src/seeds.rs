//! Seeds of the noise generators from one number.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use spu_protocol::payload::load::SeedWords;

/// Seed words for each cell of a copy. One seed gives the same words everywhere; other copies
/// and other cells get unrelated ones.
pub fn noise_seeds(seed: u64, copy: u32, cells: usize) -> Vec<SeedWords> {
    // The copy enters through a generator of its own, so that (seed, copy) pairs do not collide.
    let mut of_seed = SplitMix64::seed_from_u64(seed);
    let mut words = SplitMix64::seed_from_u64(of_seed.next_u64() ^ u64::from(copy));
    (0..cells)
        .map(|_| {
            let (a, b) = (words.next_u64(), words.next_u64());
            // The generator's state may not be all zero.
            [a as u32 | 1, (a >> 32) as u32, b as u32, (b >> 32) as u32]
        })
        .collect()
}

/// Seed of one of several reads of an operation, by its number: the first has the operation's own, and
/// steps of an odd constant visit every seed, so that small seeds and small numbers do not meet.
pub(crate) fn seed_of_read(seed: u64, read: u64) -> u64 {
    seed.wrapping_add(read.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_fixed_distinct_and_never_zero() {
        let all: Vec<SeedWords> = (0..50)
            .flat_map(|seed| (0..3).flat_map(move |copy| noise_seeds(seed, copy, 8)))
            .collect();
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|words| *words != [0; 4]));
        assert_eq!(noise_seeds(7, 1, 8), noise_seeds(7, 1, 8));
    }
}
