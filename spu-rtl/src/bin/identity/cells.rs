//! Cells of integer arithmetic.

use spu_protocol::code::{AdcCode, CouplingCode, full_scale_code};
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::{AdcRow, DacRow, LANES, Profile};

/// Converters over cells of integer arithmetic: every bank, every code and the order of everything
/// show in the codes, which reach full scale now and then.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    full_scale: i32,
    storage: bool,
    state: [i32; LANES],
    banks: BankCodes,
    seen: Option<Seen>,
}

/// What came to the converters and what they gave, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Of every tick.
    pub(crate) dac: Vec<DacRow>,
    /// Of the kept ticks.
    pub(crate) adc: Vec<AdcRow>,
    /// Each time that they were set.
    pub(crate) banks: Vec<BankCodes>,
}

impl Cells {
    pub(crate) fn new(profile: &Profile) -> Self {
        let full_scale = full_scale_code(profile.adc_bits()).into();
        let storage = profile.storage_bits() > 0;
        Self { full_scale, storage, state: [0; LANES], banks: BankCodes::OPEN, seen: None }
    }

    /// The same, recording what it sees.
    pub(crate) fn recording(profile: &Profile) -> Self {
        Self { seen: Some(Seen::default()), ..Self::new(profile) }
    }

    /// What was recorded.
    pub(crate) fn take_seen(&mut self) -> Seen {
        self.seen.take().unwrap_or_default()
    }
}

impl Converters for Cells {
    fn set_banks(&mut self, codes: &BankCodes) {
        if let Some(seen) = &mut self.seen {
            seen.banks.push(*codes);
        }
        self.banks = *codes;
        if !self.storage {
            // No switches belong to these registers, which keep what is written.
            self.banks.storage_codes = BankCodes::OPEN.storage_codes;
        }
    }

    fn discharge(&mut self) {
        self.state = [0; LANES];
    }

    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        let banks = &self.banks;
        let code = |codes: &[CouplingCode], k: usize| i32::from(codes[k % codes.len()].0);
        // What the banks add to a cell in each of four states.
        let parts: [[i32; 4]; LANES] = std::array::from_fn(|cell| {
            std::array::from_fn(|state| {
                let sum = code(&banks.self_codes, cell)
                    + 3 * code(&banks.storage_codes, cell)
                    + 5 * code(&banks.coupling_codes, 4 * cell + state);
                sum & 0xFF
            })
        });
        let mut written = 0;
        let mut next = kept.first;
        for (tick, row) in dac.iter().enumerate() {
            let before = self.state;
            self.state = std::array::from_fn(|cell| {
                let here = before[cell];
                here - here / 4
                    + i32::from(row[cell].0)
                    + before[(cell + 1) % LANES] / 16
                    + parts[cell][(here & 3) as usize]
            });
            if tick == next {
                adc[written] = std::array::from_fn(|cell| {
                    let code = self.state[cell] >> 2;
                    AdcCode(code.clamp(-self.full_scale, self.full_scale) as i16)
                });
                written += 1;
                next += kept.every;
            }
        }
        if let Some(seen) = &mut self.seen {
            seen.dac.extend_from_slice(dac);
            seen.adc.extend_from_slice(&adc[..written]);
        }
        written
    }
}
