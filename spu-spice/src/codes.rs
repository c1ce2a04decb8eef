//! Bank and DAC codes to compare boards with.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_sim::analog::BankCodes;
use spu_sim::noise::Noise;
use spu_sim::profile::Profile;
use spu_sim::{DacRow, Dispatch, LANES};

/// Switches of a board whose cells are all different and, but for a few pairs, coupled, with either
/// sign where the board has both: the example of the committed netlists.
pub fn example(profile: &Profile) -> BankCodes {
    let cells = profile.cell_count();
    let part = |bits: u8, numerator: usize, denominator: usize| {
        let top = (1_usize << bits) - 1;
        (top * numerator / denominator) as i16
    };
    let mut codes = BankCodes::OPEN;
    let mut pair = 0;
    for i in 0..cells {
        codes.self_codes[i] = CouplingCode(part(profile.self_bits(), 5 + 3 * i % 8, 12));
        codes.storage_codes[i] = CouplingCode(part(profile.storage_bits(), 5 + 5 * i % 8, 12));
        for j in i + 1..cells {
            let value = part(profile.coupling_bits(), (5 * i + 3 * j) % 4, 15);
            let crossed = profile.banks.coupling_signed && (i + j) % 3 == 0;
            codes.coupling_codes[pair] = CouplingCode(if crossed { -value } else { value });
            pair += 1;
        }
    }
    codes
}

/// Levels of all cells, up to a quarter of the DAC's full scale, that change at random after 1 to 12
/// ticks.
pub fn steps(profile: &Profile, seed: u64, ticks: usize) -> Vec<DacRow> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let most = 1_i64 << (profile.dac_bits() - 3);
    let mut below = |n: u64| (generator.next_u64() >> 32) % n;
    let mut row = DacRow::default();
    let mut left = [0_u64; LANES];
    (0..ticks)
        .map(|_| {
            for cell in 0..profile.cell_count() {
                if left[cell] == 0 {
                    row[cell] = DacCode((below(2 * most as u64 + 1) as i64 - most) as i16);
                    left[cell] = 1 + below(12);
                }
                left[cell] -= 1;
            }
            row
        })
        .collect()
}

/// What the FPGA's noise generators, seeded from `seed`, send to the DACs with this gain.
pub fn noise(profile: &Profile, seed: u64, gain: GainCode, ticks: usize) -> Vec<DacRow> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let seeds = std::array::from_fn(|_| std::array::from_fn(|_| generator.next_u64() as u32));
    let mut noise = Noise::new(profile.dac_bits());
    noise.seed(&seeds);
    noise.drive(&[gain; LANES], &[DacCode(0); LANES]);
    let mut codes = vec![DacRow::default(); ticks];
    noise.generate(&mut codes, Dispatch::detect());
    codes
}
