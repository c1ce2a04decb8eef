//! The seam between the digital part and the analog board.

use spu_protocol::code::GainCode;
use spu_protocol::payload::bulk::Region;
use spu_protocol::payload::load::SeedWords;

use crate::analog::{Analog, BankCodes};
use crate::array::Array;
use crate::fault::Fault;
use crate::{AdcRow, DacRow};

/// An analog board as its converters show it.
pub trait Converters: Send {
    /// Sets the bank switches between two ticks.
    fn set_banks(&mut self, codes: &BankCodes);

    /// Shorts the cells: 0 V, 0 A.
    fn discharge(&mut self);

    /// Runs one tick per row of `dac` and writes the ADC codes of the kept ones to the start of
    /// `adc`, which has room for them; returns their number.
    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize;

    /// Sets the rows and columns in use of a factored array; new ones open every switch.
    fn resize_array(&mut self, _rows: usize, _columns: usize) {}

    /// Sets what of a factored array is in registers.
    fn set_array(&mut self, _controls: &ArrayControls) {}

    /// Seeds the noise of a factored array's nodes.
    fn seed_array(&mut self, _seed: &SeedWords) {}

    /// Sets the nodes of a factored array to their initial voltages.
    fn initialise_array(&mut self) {}

    /// Writes a word of the bulk memory.
    fn write_bulk(&mut self, _region: Region, _word: usize, _value: u32) {}

    /// Reads a word of the bulk memory; 0 where there is none.
    fn read_bulk(&mut self, _region: Region, _word: usize) -> u32 {
        0
    }
}

/// What of a factored array is in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrayControls {
    /// Damping code.
    pub damping: u32,
    /// The input DACs' full scale is divided by 2 to this power.
    pub input_range: u8,
    /// The noise DACs' full scale is divided by 2 to this power.
    pub noise_range: u8,
    /// Noise gain of every node.
    pub noise_gain: GainCode,
}

/// The analog part of a board of any kind.
#[derive(Debug, Clone)]
pub enum AnyAnalog {
    /// Cells with couplings.
    Cells(Box<Analog>),
    /// A factored array.
    Array(Box<Array>),
}

impl AnyAnalog {
    /// The cells, of a board that has them.
    pub fn cells(&self) -> Option<&Analog> {
        match self {
            Self::Cells(cells) => Some(cells),
            Self::Array(_) => None,
        }
    }

    /// The array, of a board that has one.
    pub fn array(&self) -> Option<&Array> {
        match self {
            Self::Cells(_) => None,
            Self::Array(array) => Some(array),
        }
    }

    /// Sets the faults that are in the cells.
    pub fn set_faults(&mut self, faults: &[Fault]) {
        if let Self::Cells(cells) = self {
            cells.set_faults(faults);
        }
    }

    fn converters(&mut self) -> &mut dyn Converters {
        match self {
            Self::Cells(cells) => cells.as_mut(),
            Self::Array(array) => array.as_mut(),
        }
    }
}

impl Converters for AnyAnalog {
    fn set_banks(&mut self, codes: &BankCodes) {
        self.converters().set_banks(codes);
    }

    fn discharge(&mut self) {
        self.converters().discharge();
    }

    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        self.converters().convert(dac, kept, adc)
    }

    fn resize_array(&mut self, rows: usize, columns: usize) {
        self.converters().resize_array(rows, columns);
    }

    fn set_array(&mut self, controls: &ArrayControls) {
        self.converters().set_array(controls);
    }

    fn seed_array(&mut self, seed: &SeedWords) {
        self.converters().seed_array(seed);
    }

    fn initialise_array(&mut self) {
        self.converters().initialise_array();
    }

    fn write_bulk(&mut self, region: Region, word: usize, value: u32) {
        self.converters().write_bulk(region, word, value);
    }

    fn read_bulk(&mut self, region: Region, word: usize) -> u32 {
        self.converters().read_bulk(region, word)
    }
}

/// Which of the next ticks are kept: `first`, `first + every` ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Ticks before the first kept one.
    pub first: usize,
    /// Ticks from one kept one to the next, at least 1.
    pub every: usize,
}

impl Kept {
    /// Every tick.
    pub const ALL: Self = Self { first: 0, every: 1 };

    /// Number of kept ticks among the next `ticks`.
    pub const fn count(self, ticks: usize) -> usize {
        if ticks <= self.first { 0 } else { (ticks - self.first - 1) / self.every + 1 }
    }

    /// The same ticks as seen `ticks` later.
    #[must_use]
    pub const fn after(self, ticks: usize) -> Self {
        let first = self.first + self.count(ticks) * self.every - ticks;
        Self { first, every: self.every }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_the_same_ticks_as_the_whole() {
        for first in 0..7 {
            for every in 1..6 {
                let whole: Vec<usize> = (first..40).step_by(every).collect();
                for piece in 1..13 {
                    let mut kept = Kept { first, every };
                    let mut ticks = Vec::new();
                    let mut start = 0;
                    while start < 40 {
                        let length = piece.min(40 - start);
                        for k in 0..kept.count(length) {
                            ticks.push(start + kept.first + k * every);
                        }
                        kept = kept.after(length);
                        start += length;
                    }
                    assert_eq!(ticks, whole);
                }
            }
        }
    }
}
