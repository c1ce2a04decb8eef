//! The bank settings of a calibration: random patterns from a fixed seed, in which every element is
//! on in half of the settings, and the elements of a bank can be told apart well.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::measure::Programming;
use crate::board_model::bank_top;
use crate::device::BoardInfo;
use crate::spd::Cholesky;

/// Seed of all designs: the same profile is always calibrated by the same settings.
const SEED: u64 = 0x5350_5543_414c_4942;
/// Patterns from which that of a bank is chosen.
const DRAWS: usize = 64;
/// Highest frequency of a mode over the sample clock, where self-term codes allow for it.
const MODE_RATIO: f64 = 1.0 / 25.0;

/// This many settings of all banks of a board.
pub(super) fn programmings(info: &BoardInfo, count: usize) -> Vec<Programming> {
    let raw = &info.raw;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let least = least_self_code(info);
    let selves: Vec<Vec<u16>> =
        (0..info.cells).map(|_| bank(&mut rng, raw.self_bits, count, least)).collect();
    let couplings: Vec<Vec<u16>> =
        (0..info.couplings).map(|_| bank(&mut rng, raw.coupling_bits, count, 0)).collect();
    (0..count)
        .map(|m| Programming {
            selves: selves.iter().map(|codes| codes[m] as i16).collect(),
            couplings: couplings
                .iter()
                .map(|codes| {
                    let crossed = raw.coupling_signed == 1 && rng.next_u64() >> 63 == 1;
                    if crossed { -(codes[m] as i16) } else { codes[m] as i16 }
                })
                .collect(),
        })
        .collect()
}

/// The self-term code from which on no mode is too fast.
fn least_self_code(info: &BoardInfo) -> u16 {
    let raw = &info.raw;
    let omega = 2.0 * std::f64::consts::PI * MODE_RATIO / info.sample_period_s();
    let farad = 1.0 / (omega * omega * f64::from(raw.l_henry));
    let top = bank_top(raw.self_bits).unsigned_abs();
    let code = ((farad - f64::from(raw.stray_farad)) / f64::from(raw.self_lsb_farad)).ceil();
    // Half of the range stays free to choose from.
    (code.max(1.0) as u32).min(u32::from(top.div_ceil(2))) as u16
}

/// Codes of one bank.
fn bank(rng: &mut Xoshiro256PlusPlus, bits: u8, count: usize, least: u16) -> Vec<u16> {
    let mut best = (f64::INFINITY, Vec::new());
    for _ in 0..DRAWS {
        let mut codes = vec![0_u16; count];
        for bit in 0..bits {
            let mut order: Vec<usize> = (0..count).collect();
            shuffle(rng, &mut order);
            let odd = usize::from(count % 2 == 1 && rng.next_u64() >> 63 == 1);
            for m in &order[..count / 2 + odd] {
                codes[*m] |= 1 << bit;
            }
        }
        // A code below the least has the highest bits of it switched on.
        for code in &mut codes {
            let mut bit = bits;
            while *code < least && bit > 0 {
                bit -= 1;
                *code |= 1 << bit;
            }
        }
        let worst = worst_variance(&codes, bits);
        if worst < best.0 || best.1.is_empty() {
            best = (worst, codes);
        }
    }
    best.1
}

fn shuffle(rng: &mut Xoshiro256PlusPlus, order: &mut [usize]) {
    for i in (1..order.len()).rev() {
        // The bias of the remainder is below 1e-17.
        order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}

/// Largest variance of an element or of the constant part, where the bank's value is measured with
/// variance 1 in each setting.
fn worst_variance(codes: &[u16], bits: u8) -> f64 {
    let size = usize::from(bits) + 1;
    let mut normal = vec![0.0; size * size];
    for code in codes {
        let on = |k: usize| k == size - 1 || code >> k & 1 == 1;
        for a in (0..size).filter(|a| on(*a)) {
            for b in (0..size).filter(|b| on(*b)) {
                normal[a * size + b] += 1.0;
            }
        }
    }
    Cholesky::new(&normal, size).map_or(f64::INFINITY, |factor| {
        let inverse = factor.inverse();
        (0..size).map(|a| inverse[a * size + a]).fold(0.0, f64::max)
    })
}
