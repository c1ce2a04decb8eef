//! Deviations from the ideal board that can be switched off one by one.

use std::fmt;
use std::str::FromStr;

use crate::error::SimError;

/// A deviation from the ideal board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NonIdeality {
    /// Spread of each switched bank element.
    BankTolerance,
    /// Spread of the drive gain between cells.
    DriveMismatch,
    /// Spread of resistance between cells.
    RTolerance,
    /// Spread of inductance between cells.
    LTolerance,
    /// Stray capacitance to ground, with its spread.
    Stray,
    /// Spread of the converter gain between cells.
    AdcGain,
    /// Offset of the converter.
    AdcOffset,
    /// Coarse converter: switched off, it has 16 bits.
    AdcQuantisation,
}

impl NonIdeality {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::BankTolerance,
        Self::DriveMismatch,
        Self::RTolerance,
        Self::LTolerance,
        Self::Stray,
        Self::AdcGain,
        Self::AdcOffset,
        Self::AdcQuantisation,
    ];

    /// Its name, as in a device URI's `without`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BankTolerance => "bank_tolerance",
            Self::DriveMismatch => "drive_mismatch",
            Self::RTolerance => "r_tolerance",
            Self::LTolerance => "l_tolerance",
            Self::Stray => "stray",
            Self::AdcGain => "adc_gain",
            Self::AdcOffset => "adc_offset",
            Self::AdcQuantisation => "adc_quantisation",
        }
    }
}

impl fmt::Display for NonIdeality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NonIdeality {
    type Err = SimError;

    fn from_str(name: &str) -> Result<Self, SimError> {
        Self::ALL.into_iter().find(|what| what.name() == name).ok_or_else(|| {
            SimError::UnknownNonIdeality {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for what in NonIdeality::ALL {
            assert_eq!(what.to_string().parse(), Ok(what));
        }
        assert!("gain".parse::<NonIdeality>().unwrap_err().to_string().contains("adc_gain"));
    }
}
