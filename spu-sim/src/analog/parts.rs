//! The parts of one copy of a board, drawn from its profile's spreads.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_protocol::payload::load::MAX_COUPLINGS;

use crate::LANES;
use crate::profile::{MAX_BANK_BITS, Profile, Quantity};

const BITS: usize = MAX_BANK_BITS as usize;

/// True values of the parts of one board. The first [`Profile::cell_count`] cells count.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Parallel resistance, in ohms.
    pub r_ohm: [f64; LANES],
    /// Parallel inductance, in henries; 0 on RC boards.
    pub l_henry: [f64; LANES],
    /// Stray capacitance to ground, in farads.
    pub stray_farad: [f64; LANES],
    /// Elements of each self-term bank, in farads or, on RC boards, siemens; element k is switched by
    /// bit k.
    pub self_elements: [[f64; BITS]; LANES],
    /// Elements of each coupling bank, likewise.
    pub coupling_elements: [[f64; BITS]; MAX_COUPLINGS],
    /// Elements of each storage bank, in farads; 0 where there are none.
    pub storage_elements: [[f64; BITS]; LANES],
    /// Drive current, in amperes per DAC code.
    pub drive_ampere: [f64; LANES],
    /// Converter gain, in codes per volt.
    pub adc_gain: [f64; LANES],
    /// Converter offset, in codes.
    pub adc_offset: [f64; LANES],
}

/// What is drawn. Each parameter has its own stream of deviates, so leaving one out changes no
/// other; a number, once given, never changes its meaning.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum Parameter {
    R = 1,
    L = 2,
    Stray = 3,
    SelfElements = 4,
    CouplingElements = 5,
    Drive = 6,
    AdcGain = 7,
    AdcOffset = 8,
    DriveWalk = 9,
    OffsetWalk = 10,
    StorageElements = 11,
}

impl Parts {
    /// The parts of copy `copy` of the boards of seed `seed`.
    pub fn draw(profile: &Profile, seed: u64, copy: u32) -> Self {
        let deviates = |parameter| Deviates::new(seed, copy, parameter);
        let codes_per_volt = 1.0 / profile.adc_lsb_volt();
        let per_cell = |parameter, quantity: &Quantity, nominal: f64| {
            let mut deviates = deviates(parameter);
            std::array::from_fn(|_| nominal * deviates.factor(quantity.spread))
        };
        let mut offsets = deviates(Parameter::AdcOffset);
        let offset = &profile.adc.offset;
        Self {
            r_ohm: per_cell(Parameter::R, &profile.cell.r, profile.cell.r.value),
            l_henry: match &profile.cell.l {
                Some(l) => per_cell(Parameter::L, l, l.value),
                None => [0.0; LANES],
            },
            stray_farad: per_cell(Parameter::Stray, &profile.cell.stray, profile.cell.stray.value),
            self_elements: elements(deviates(Parameter::SelfElements), &profile.banks.self_lsb),
            coupling_elements: elements(
                deviates(Parameter::CouplingElements),
                &profile.banks.coupling_lsb,
            ),
            storage_elements: match &profile.banks.storage {
                Some(storage) => elements(deviates(Parameter::StorageElements), &storage.lsb),
                None => [[0.0; BITS]; LANES],
            },
            drive_ampere: per_cell(
                Parameter::Drive,
                &profile.drive.full_scale,
                profile.dac_lsb_ampere(),
            ),
            adc_gain: per_cell(Parameter::AdcGain, &profile.adc.full_scale, codes_per_volt),
            adc_offset: std::array::from_fn(|_| {
                (offset.value + offset.spread * offsets.next()) * codes_per_volt
            }),
        }
    }
}

fn elements<const N: usize>(mut deviates: Deviates, lsb: &Quantity) -> [[f64; BITS]; N] {
    std::array::from_fn(|_| {
        std::array::from_fn(|bit| lsb.value * f64::from(1_u32 << bit) * deviates.factor(lsb.spread))
    })
}

/// Normal deviates, cut at [`Deviates::CUT`].
#[derive(Debug, Clone)]
pub(super) struct Deviates {
    generator: Xoshiro256PlusPlus,
}

impl Deviates {
    /// A part further from its nominal value than this many σ is rejected in test: it is set to
    /// the limit. Two in 30,000 are.
    const CUT: f64 = 4.0;

    fn new(seed: u64, copy: u32, parameter: Parameter) -> Self {
        let mut mixer = Xoshiro256PlusPlus::seed_from_u64(seed);
        let label = u64::from(copy) << 32 | u64::from(parameter as u32);
        Self { generator: Xoshiro256PlusPlus::seed_from_u64(mixer.next_u64() ^ label) }
    }

    /// A stream of its own for each cell.
    pub(super) fn of_cell(seed: u64, copy: u32, parameter: Parameter, cell: usize) -> Self {
        let mut mixer = Self::new(seed, copy, parameter).generator;
        let label = mixer.next_u64() ^ cell as u64;
        Self { generator: Xoshiro256PlusPlus::seed_from_u64(label) }
    }

    /// A standard normal deviate, by Box and Muller.
    pub(super) fn next(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
        // The first is in (0, 1], so that its logarithm is finite.
        let first = ((self.generator.next_u64() >> 11) + 1) as f64 * SCALE;
        let second = (self.generator.next_u64() >> 11) as f64 * SCALE;
        let radius = (-2.0 * libm::log(first)).sqrt();
        let deviate = radius * libm::cos(2.0 * std::f64::consts::PI * second);
        deviate.clamp(-Self::CUT, Self::CUT)
    }

    /// A factor around 1.
    fn factor(&mut self, spread: f64) -> f64 {
        1.0 + spread * self.next()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the same operations give the same bits")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::nonideality::NonIdeality;

    #[test]
    fn deviates_have_the_moments_of_the_normal_law() {
        let mut deviates = Deviates::new(5, 0, Parameter::R);
        let n = 200_000;
        let mut sums = [0.0; 4];
        for _ in 0..n {
            let x = deviates.next();
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += x.powi(k as i32 + 1);
            }
        }
        let moments = sums.map(|sum| sum / f64::from(n));
        // 5 σ of each estimate, σ² = E x^2k − (E x^k)²; false alarms 2.3e-6 in all four. The cut
        // at 4 σ lowers the fourth moment by 0.02, which is allowed for.
        let root = f64::from(n).sqrt();
        assert!(moments[0].abs() < 5.0 / root);
        assert!((moments[1] - 1.0).abs() < 5.0 * 2.0_f64.sqrt() / root + 1e-3);
        assert!(moments[2].abs() < 5.0 * 15.0_f64.sqrt() / root);
        assert!((moments[3] - 3.0).abs() < 5.0 * 96.0_f64.sqrt() / root + 0.02);
    }

    #[test]
    fn switching_one_non_ideality_off_leaves_the_others() {
        let profile = Profile::named("rev-a").unwrap();
        let whole = Parts::draw(&profile, 7, 1);
        let without = BTreeSet::from([NonIdeality::DriveMismatch]);
        let parts = Parts::draw(&profile.clone().without(&without), 7, 1);
        assert!(parts.drive_ampere.iter().all(|&gain| gain == profile.dac_lsb_ampere()));
        assert_ne!(whole.drive_ampere, parts.drive_ampere);
        assert_eq!(Parts { drive_ampere: whole.drive_ampere, ..parts }, whole);
    }

    #[test]
    fn copies_and_seeds_differ_and_repeat() {
        let profile = Profile::named("rev-a").unwrap();
        let draw = |seed, copy| Parts::draw(&profile, seed, copy);
        assert_eq!(draw(3, 2), draw(3, 2));
        assert_ne!(draw(3, 2).r_ohm, draw(3, 1).r_ohm);
        assert_ne!(draw(3, 2).r_ohm, draw(2, 2).r_ohm);
    }

    #[test]
    fn ideal_parts_are_nominal() {
        let profile = Profile::named("ideal").unwrap();
        let parts = Parts::draw(&profile, 1, 0);
        assert_eq!(parts.r_ohm, [1200.0; LANES]);
        assert_eq!(parts.adc_offset, [0.0; LANES]);
        assert_eq!(parts.self_elements[3][2], 4.0 * profile.banks.self_lsb.value);
    }
}
