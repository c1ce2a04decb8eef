//! The seam between the digital part and the analog board.

use crate::analog::BankCodes;
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
