//! Typed codes and ticks: no bare integer crosses a module boundary.

use bytemuck::{Pod, Zeroable};

macro_rules! code {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub $inner);
    };
}

code!(
    /// Code of a current-output DAC: signed, LSB in amperes in the board's profile.
    DacCode(i16)
);
code!(
    /// Code of an ADC: signed two's complement, LSB in volts in the board's profile.
    AdcCode(i16)
);
code!(
    /// Code of a switched bank: LSB in farads (RLC) in the board's profile. Negative only where
    /// the profile's couplings have a sign (differential cells, cross-connected).
    CouplingCode(i16)
);
code!(
    /// Noise gain of a cell: the generator's code is multiplied by `gain / 2^GAIN_FRACTION_BITS`.
    GainCode(u16)
);
code!(
    /// A number of sample-clock periods.
    Ticks(u64)
);

impl GainCode {
    /// Fraction bits of the gain: code 4096 is a gain of one.
    pub const FRACTION_BITS: u32 = 12;

    /// The gain as a factor.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / f64::from(1_u32 << Self::FRACTION_BITS)
    }
}

/// Largest code of a signed converter of `bits` bits; the smallest is its negative, so that the
/// range is symmetric and a product of two codes never overflows 31 bits.
pub const fn full_scale_code(bits: u8) -> i16 {
    ((1_i32 << (bits - 1)) - 1) as i16
}
