//! The noise generators of the FPGA, in integer arithmetic only.
//!
//! Each cell has its own xoshiro128++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 36, 2021),
//! one 32-bit output r a tick. With x the sum of r's four octets minus 510 (an Irwin–Hall variate
//! of order 4, variance 21,845),
//!
//! ```text
//! y    = (x (K + x²) + 2¹⁶) >> 17                       K = 1,112,072
//! code = clamp((y · gain + 2¹¹) >> 12 + bias, ± full scale)
//! ```
//!
//! The cubic lifts the tails so that the fourth moment of y is Gaussian; K is the integer that
//! brings the kurtosis nearest to 3 among all, with the mean and every odd moment exactly zero.
//! y takes 1,021 values and lies within 4.04 standard deviations. All intermediate values fit 32
//! bits.

use spu_protocol::code::{DacCode, GainCode, full_scale_code};
use spu_protocol::payload::load::SeedWords;

use crate::dispatch::{Dispatch, Kernel, MulAdd};
use crate::{DacRow, LANES};

/// K of the cubic.
pub const CUBIC: i32 = 1_112_072;
/// Largest magnitude of y.
pub const PEAK: i32 = 5339;
/// Root mean square of y over all 2³² outputs.
pub const RMS: f64 = 1_321.336_432_901_609_4;
/// Fourth moment of y over the square of its second; 3 for the Gaussian.
pub const KURTOSIS: f64 = 3.000_001_947_951;

const OCTET_MEAN: i32 = 510;

/// y of a 32-bit random word: the noise before gain and bias.
pub const fn shape(word: u32) -> i32 {
    let pairs = (word & 0x00FF_00FF) + (word >> 8 & 0x00FF_00FF);
    let x = ((pairs & 0xFFFF) + (pairs >> 16)) as i32 - OCTET_MEAN;
    (x * (CUBIC + x * x) + (1 << 16)) >> 17
}

/// Generators, gains and biases of all cells.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct Noise {
    /// Word w of every lane's generator.
    state: [[u32; LANES]; 4],
    gain: [i32; LANES],
    bias: [i32; LANES],
    limit: i32,
}

impl Noise {
    /// Generators for DACs of `dac_bits` bits, with no gain, no bias and the
    /// seeds of power-up.
    pub fn new(dac_bits: u8) -> Self {
        let mut noise = Self {
            state: [[0; LANES]; 4],
            gain: [0; LANES],
            bias: [0; LANES],
            limit: i32::from(full_scale_code(dac_bits)),
        };
        noise.seed(&[[0; 4]; LANES]);
        noise
    }

    /// Loads seeds. The generator cannot leave the all-zero state, so a seed of zeros stands for
    /// the one of power-up: 0x9E3779B9, 0x243F6A88, 0xB7E15162 and the cell's number plus 1.
    pub fn seed(&mut self, seeds: &[SeedWords; LANES]) {
        for (lane, seed) in seeds.iter().enumerate() {
            let power_up = [0x9E37_79B9, 0x243F_6A88, 0xB7E1_5162, lane as u32 + 1];
            let seed = if *seed == [0; 4] { power_up } else { *seed };
            for (words, word) in self.state.iter_mut().zip(seed) {
                words[lane] = word;
            }
        }
    }

    /// Sets gains and biases.
    pub fn drive(&mut self, gains: &[GainCode; LANES], biases: &[DacCode; LANES]) {
        self.gain = gains.map(|gain| i32::from(gain.0));
        self.bias = biases.map(|bias| i32::from(bias.0));
    }

    /// Writes the codes of the next ticks, one row each.
    pub fn generate(&mut self, dac: &mut [DacRow], dispatch: Dispatch) {
        dispatch.run(Generate { noise: self, dac });
    }
}

struct Generate<'a> {
    noise: &'a mut Noise,
    dac: &'a mut [DacRow],
}

impl Kernel for Generate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let [mut s0, mut s1, mut s2, mut s3] = self.noise.state;
        let (gain, bias, limit) = (self.noise.gain, self.noise.bias, self.noise.limit);
        for row in self.dac {
            for lane in 0..LANES {
                let word = s0[lane].wrapping_add(s3[lane]).rotate_left(7).wrapping_add(s0[lane]);
                let shifted = s1[lane] << 9;
                s2[lane] ^= s0[lane];
                s3[lane] ^= s1[lane];
                s1[lane] ^= s2[lane];
                s0[lane] ^= s3[lane];
                s2[lane] ^= shifted;
                s3[lane] = s3[lane].rotate_left(11);
                let code = ((shape(word) * gain[lane] + (1 << 11)) >> 12) + bias[lane];
                row[lane].0 = code.clamp(-limit, limit) as i16;
            }
        }
        self.noise.state = [s0, s1, s2, s3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact moments of y by enumeration: number of words for each sum of octets.
    fn moments() -> [i128; 7] {
        let mut counts = vec![1_i128];
        for _ in 0..4 {
            let mut next = vec![0; counts.len() + 255];
            for (sum, count) in counts.iter().enumerate() {
                for octet in 0..256 {
                    next[sum + octet] += count;
                }
            }
            counts = next;
        }
        let mut moments = [0_i128; 7];
        for (sum, count) in counts.iter().enumerate() {
            // A word with this sum of octets.
            let octets: [usize; 4] = std::array::from_fn(|k| (sum - sum.min(255 * k)).min(255));
            let word = u32::from_le_bytes(octets.map(|octet| octet as u8));
            let y = i128::from(shape(word));
            for (k, moment) in moments.iter_mut().enumerate() {
                *moment += count * y.pow(k as u32);
            }
        }
        moments
    }

    #[test]
    fn exact_moments_are_the_published_constants() {
        let m = moments();
        assert_eq!(m[0], 1 << 32);
        assert_eq!((m[1], m[3], m[5]), (0, 0, 0));
        let n = m[0] as f64;
        let variance = m[2] as f64 / n;
        assert!((variance.sqrt() - RMS).abs() < 1e-9 * RMS, "{}", variance.sqrt());
        let kurtosis = m[4] as f64 / n / (variance * variance);
        assert!((kurtosis - KURTOSIS).abs() < 1e-11, "{kurtosis:.13}");
        // Sixth moment over σ⁶, 15 for the Gaussian: what a cut at 4 σ leaves.
        let sixth = m[6] as f64 / n / variance.powi(3);
        assert!((sixth - 14.460_172).abs() < 1e-5, "{sixth}");
    }

    #[test]
    fn extremes() {
        assert_eq!(shape(u32::MAX), PEAK);
        assert_eq!(shape(0), -PEAK);
        assert_eq!(shape(0x0000_FFFF), 0);
        assert!(f64::from(PEAK) / RMS < 4.05);
    }

    #[test]
    fn generator_is_xoshiro128plusplus() {
        use rand_core::{Rng, SeedableRng};
        use rand_xoshiro::Xoshiro128PlusPlus;
        let seeds: [SeedWords; LANES] =
            std::array::from_fn(|lane| [1, 2 + lane as u32, 0xDEAD_BEEF, 4 << lane]);
        let mut noise = Noise::new(16);
        noise.seed(&seeds);
        noise.drive(&[GainCode(4096); LANES], &[DacCode(0); LANES]);
        let mut rows = [DacRow::default(); 1000];
        noise.generate(&mut rows, Dispatch::detect());
        for lane in 0..LANES {
            let octets: Vec<u8> = seeds[lane].iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut reference = Xoshiro128PlusPlus::from_seed(octets.try_into().unwrap());
            for row in &rows {
                assert_eq!(i32::from(row[lane].0), shape(reference.next_u32()));
            }
        }
    }

    #[test]
    fn gain_bias_and_limit() {
        let mut noise = Noise::new(8);
        noise.drive(&[GainCode(u16::MAX); LANES], &[DacCode(5); LANES]);
        let mut rows = [DacRow::default(); 64];
        noise.generate(&mut rows, Dispatch::detect());
        assert!(rows.iter().flatten().all(|code| code.0.abs() <= 127));
        noise.drive(&[GainCode(0); LANES], &[DacCode(-5); LANES]);
        noise.generate(&mut rows, Dispatch::detect());
        assert!(rows.iter().flatten().all(|code| code.0 == -5));
    }

    #[test]
    fn a_seed_of_zeros_runs() {
        let mut noise = Noise::new(14);
        noise.drive(&[GainCode(4096); LANES], &[DacCode(0); LANES]);
        let mut rows = [DacRow::default(); 64];
        noise.generate(&mut rows, Dispatch::scalar());
        for lane in 1..LANES {
            assert!(rows.iter().any(|row| row[lane] != rows[0][lane]));
            assert!(rows.iter().any(|row| row[lane] != row[0]));
        }
    }
}
