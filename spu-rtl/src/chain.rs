//! The switch registers at the end of the gateware's serial chain.

use std::collections::VecDeque;

use spu_protocol::code::CouplingCode;
use spu_protocol::payload::load::MAX_COUPLINGS;
use spu_sim::analog::BankCodes;
use spu_sim::{LANES, Profile};

/// A chain of shift registers with a common latch.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The bit that came in first is at the front.
    bits: VecDeque<bool>,
    self_bits: u8,
    storage_bits: u8,
    coupling_bits: u8,
    coupling_signed: bool,
}

impl Chain {
    /// The chain of this board, every bit 0.
    pub(crate) fn new(profile: &Profile) -> Self {
        let mut chain = Self {
            bits: VecDeque::new(),
            self_bits: profile.self_bits(),
            storage_bits: profile.storage_bits(),
            coupling_bits: profile.coupling_bits(),
            coupling_signed: profile.banks.coupling_signed,
        };
        let cell = usize::from(chain.self_bits) + usize::from(chain.storage_bits);
        let pair = usize::from(chain.coupling_bits) + usize::from(chain.coupling_signed);
        chain.bits.resize(LANES * cell + MAX_COUPLINGS * pair, false);
        chain
    }

    /// A rising edge of the clock.
    pub(crate) fn shift(&mut self, bit: bool) {
        self.bits.pop_front();
        self.bits.push_back(bit);
    }

    /// What the switches show with the latch.
    pub(crate) fn codes(&self) -> BankCodes {
        let mut bits = self.bits.iter().copied();
        let mut number = |count: u8| {
            bits.by_ref().take(count.into()).fold(0_i16, |code, bit| code << 1 | i16::from(bit))
        };
        let mut codes = BankCodes::OPEN;
        for code in &mut codes.self_codes {
            *code = CouplingCode(number(self.self_bits));
        }
        for code in &mut codes.storage_codes {
            *code = CouplingCode(number(self.storage_bits));
        }
        for code in &mut codes.coupling_codes {
            let crossed = self.coupling_signed && number(1) != 0;
            let size = number(self.coupling_bits);
            *code = CouplingCode(if crossed { -size } else { size });
        }
        codes
    }
}
