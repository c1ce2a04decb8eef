//! Board profiles: nominal values, spreads, units and provenance, read from TOML.

mod check;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use spu_protocol::code::full_scale_code;
use spu_protocol::payload::load::MAX_CELLS;

use crate::error::ProfileError;
use crate::nonideality::NonIdeality;

/// Names of the profiles that come with the simulator.
pub const NAMES: [&str; 5] = ["ideal", "rev-a", "rev-b", "rc-8", "rc-factored"];
/// Those of boards with cells and banks.
pub const CELL_NAMES: [&str; 4] = [NAMES[0], NAMES[1], NAMES[2], NAMES[3]];

const SHIPPED: [(&str, &str); 5] = [
    (NAMES[0], include_str!("../../hardware/profiles/ideal.toml")),
    (NAMES[1], include_str!("../../hardware/profiles/rev-a.toml")),
    (NAMES[2], include_str!("../../hardware/profiles/rev-b.toml")),
    (NAMES[3], include_str!("../../hardware/profiles/rc-8.toml")),
    (NAMES[4], include_str!("../../hardware/profiles/rc-factored.toml")),
];

/// Most characters of a profile's name: it is stored in four registers.
pub const MAX_NAME: usize = 16;
/// Most bits of a bank: its code is a signed 16-bit integer.
pub const MAX_BANK_BITS: u8 = 15;
/// Largest relative spread. Deviates are cut at 4 σ, so every drawn value stays positive.
pub const MAX_SPREAD: f64 = 0.24;

/// A value with its unit and where it comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// The nominal value.
    pub value: f64,
    /// Its unit, or `1`.
    pub unit: String,
    /// One standard deviation between parts: relative, or in `spread_unit`.
    #[serde(default)]
    pub spread: f64,
    /// Unit of `spread` where it is not relative.
    #[serde(default)]
    pub spread_unit: Option<String>,
    /// The source, or `design choice` with its reason.
    pub provenance: String,
}

/// A whole number with its unit and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The value.
    pub value: u32,
    /// Its unit, or `1`.
    pub unit: String,
    /// The source, or `design choice` with its reason.
    pub provenance: String,
}

/// A board profile. [`Profile::named`] and [`Profile::from_toml`] return checked ones only.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name, ASCII, at most [`MAX_NAME`] characters.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// Kind of the analog board.
    pub kind: Kind,
    /// Number of cells, 1 to [`MAX_CELLS`].
    pub cells: Count,
    /// Clocks.
    pub clock: Clock,
    /// Passive parts of a cell.
    pub cell: Cell,
    /// Switched banks; none on factored boards.
    #[serde(default = "Banks::none")]
    pub banks: Banks,
    /// The arrays of factored boards.
    pub array: Option<ArrayParts>,
    /// Noise and bias DAC.
    pub drive: Drive,
    /// Converter.
    pub adc: Adc,
    /// Sample packing.
    pub packing: Packing,
    /// Capture memory.
    pub capture: Capture,
}

/// Kind of the analog board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// RLC cells with capacitive couplings: self terms and couplings are capacitances.
    Rlc,
    /// RC cells with resistive couplings: self terms and couplings are conductances, and each cell's
    /// capacitance is a bank of its own.
    Rc,
    /// Three resistor arrays and as many RC nodes as the model has parameters.
    Factored,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rlc => "rlc",
            Self::Rc => "rc",
            Self::Factored => "factored",
        })
    }
}

/// Clocks of a board.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Sample clock, in hertz: one DAC code and one ADC code of each cell per period.
    pub sample: Quantity,
}

/// Passive parts of a cell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Parallel resistance, in ohms.
    pub r: Quantity,
    /// Parallel inductance, in henries; of RLC boards.
    pub l: Option<Quantity>,
    /// Stray capacitance to ground, in farads.
    pub stray: Quantity,
}

/// Switched banks: element k of a bank has 2ᵏ LSB. They hold capacitors on RLC boards, and
/// conductances on RC boards, whose storage banks hold capacitors.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Banks {
    /// Bits of a self-term bank.
    pub self_bits: Count,
    /// LSB of a self-term bank, in farads or siemens; its spread is that of each element.
    pub self_lsb: Quantity,
    /// Bits of a coupling bank, without sign.
    pub coupling_bits: Count,
    /// LSB of a coupling bank, in farads or siemens; its spread is that of each element.
    pub coupling_lsb: Quantity,
    /// Couplings can be cross-connected: negative codes.
    pub coupling_signed: bool,
    /// Storage banks; of RC boards.
    pub storage: Option<Storage>,
}

impl Banks {
    /// No banks.
    fn none() -> Self {
        let bits = || Count { value: 0, unit: "bit".into(), provenance: "no such part".into() };
        let lsb = || Quantity {
            value: 0.0,
            unit: "S".into(),
            spread: 0.0,
            spread_unit: None,
            provenance: "no such part".into(),
        };
        Self {
            self_bits: bits(),
            self_lsb: lsb(),
            coupling_bits: bits(),
            coupling_lsb: lsb(),
            coupling_signed: false,
            storage: None,
        }
    }
}

/// The three resistor arrays of a factored board, and its nodes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayParts {
    /// Most rows of J and H.
    pub rows: Count,
    /// Most columns of J: nodes.
    pub columns: Count,
    /// Bits of an element's code, sign included.
    pub bits: Count,
    /// Conductance of an element at the largest code, in siemens; its spread is that of each.
    pub element: Quantity,
    /// Bits of the damping code, unsigned; its largest has the conductance of an element's.
    pub damping_bits: Count,
    /// Capacitance of a node, in farads.
    pub node: Quantity,
}

impl ArrayParts {
    /// Conductance of code 1 of an element, in siemens.
    pub fn lsb(&self) -> f64 {
        self.element.value / f64::from(full_scale_code(self.bits.value as u8))
    }

    /// Largest damping code.
    pub fn damping_top(&self) -> u32 {
        (1 << self.damping_bits.value) - 1
    }

    /// Conductance of code 1 of the damping, in siemens.
    pub fn damping_lsb(&self) -> f64 {
        self.element.value / f64::from(self.damping_top())
    }
}

/// Storage banks: the capacitance of each cell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Bits.
    pub bits: Count,
    /// LSB, in farads; its spread is that of each element.
    pub lsb: Quantity,
}

/// Noise and bias DAC, one of each per cell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// Bits of the code.
    pub dac_bits: Count,
    /// Current at the largest code, in amperes; its spread is that of the gain between cells.
    pub full_scale: Quantity,
}

/// Converter, one per cell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adc {
    /// Bits of the code: JESD204B's N.
    pub bits: Count,
    /// Voltage at the largest code; its spread is that of the gain between cells.
    pub full_scale: Quantity,
    /// Offset, in volts; spread in volts.
    pub offset: Quantity,
}

/// Sample packing by JESD204B's transport layer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packing {
    /// Bits of a packed sample: N′.
    pub word_bits: Count,
    /// Control bits of a packed sample: CS.
    pub control_bits: Count,
}

/// Capture memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Frames that fit.
    pub frames: Count,
}

impl Profile {
    /// A profile that comes with the simulator: one of [`NAMES`], or `rc-N`, that is `rc-8` with N
    /// cells, 1 to [`MAX_CELLS`], or `rc-factored-B`, that is `rc-factored` with arrays of B bits, 2
    /// to 16.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`] if there is none of this name.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let fewer = name.strip_prefix("rc-").and_then(|cells| cells.parse::<u32>().ok());
        if let Some(cells) = fewer.filter(|cells| (1..MAX_CELLS as u32).contains(cells)) {
            let mut profile = Self::named("rc-8")?;
            profile.name = format!("rc-{cells}");
            profile.cells.value = cells;
            return Ok(profile);
        }
        let bits = name.strip_prefix("rc-factored-").and_then(|bits| bits.parse::<u32>().ok());
        if let Some(bits) = bits.filter(|bits| (2..=16).contains(bits)) {
            let mut profile = Self::named("rc-factored")?;
            profile.name = format!("rc-factored-{bits}");
            if let Some(array) = &mut profile.array {
                array.bits.value = bits;
            }
            return Ok(profile);
        }
        let (name, text) = SHIPPED
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ProfileError::Unknown { name: name.to_owned() })?;
        Self::from_toml(text).map_err(|error| error.in_file(&format!("{name}.toml")))
    }

    /// The profile of this name, or the one in the file of this path, which ends in `.toml`.
    ///
    /// # Errors
    /// [`ProfileError::Read`] for a file that cannot be read; as [`Self::named`] and
    /// [`Self::from_toml`].
    pub fn find(name: &str) -> Result<Self, ProfileError> {
        if Path::new(name).extension().is_none_or(|extension| extension != "toml") {
            return Self::named(name);
        }
        let text = std::fs::read_to_string(name)
            .map_err(|error| ProfileError::Read { file: name.into(), why: error.to_string() })?;
        Self::from_toml(&text).map_err(|error| error.in_file(name))
    }

    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileError::Syntax`] with line and field for what is not such a TOML document,
    /// [`ProfileError::Field`] for a value, unit or spread that a board cannot have.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)
            .map_err(|error| ProfileError::Syntax { file: None, message: error.to_string() })?;
        profile.check()?;
        Ok(profile)
    }

    /// The profile with these non-idealities switched off: their spreads are zero, the stray
    /// capacitance is zero, the converter has 16 bits.
    #[must_use]
    pub fn without(mut self, switched_off: &BTreeSet<NonIdeality>) -> Self {
        for what in switched_off {
            match what {
                NonIdeality::BankTolerance => {
                    self.banks.self_lsb.spread = 0.0;
                    self.banks.coupling_lsb.spread = 0.0;
                    if let Some(storage) = &mut self.banks.storage {
                        storage.lsb.spread = 0.0;
                    }
                    if let Some(array) = &mut self.array {
                        array.element.spread = 0.0;
                    }
                }
                NonIdeality::DriveMismatch => self.drive.full_scale.spread = 0.0,
                NonIdeality::RTolerance => self.cell.r.spread = 0.0,
                NonIdeality::LTolerance => {
                    if let Some(l) = &mut self.cell.l {
                        l.spread = 0.0;
                    }
                }
                NonIdeality::Stray => {
                    self.cell.stray.value = 0.0;
                    self.cell.stray.spread = 0.0;
                }
                NonIdeality::AdcGain => self.adc.full_scale.spread = 0.0,
                NonIdeality::AdcOffset => {
                    self.adc.offset.value = 0.0;
                    self.adc.offset.spread = 0.0;
                }
                NonIdeality::AdcQuantisation => {
                    self.adc.bits.value = 16;
                    self.packing.word_bits.value = 16;
                    self.packing.control_bits.value = 0;
                }
            }
        }
        self
    }

    /// Number of cells.
    pub fn cell_count(&self) -> usize {
        self.cells.value as usize
    }

    /// DAC LSB, in amperes.
    pub fn dac_lsb_ampere(&self) -> f64 {
        self.drive.full_scale.value / f64::from(full_scale_code(self.dac_bits()))
    }

    /// ADC LSB, in volts.
    pub fn adc_lsb_volt(&self) -> f64 {
        self.adc.full_scale.value / f64::from(full_scale_code(self.adc_bits()))
    }

    /// Sample period, in seconds.
    pub fn sample_period_s(&self) -> f64 {
        1.0 / self.clock.sample.value
    }

    /// Bits of the noise and bias DAC.
    pub fn dac_bits(&self) -> u8 {
        self.drive.dac_bits.value as u8
    }

    /// Bits of the ADC.
    pub fn adc_bits(&self) -> u8 {
        self.adc.bits.value as u8
    }

    /// Bits of a self-term bank.
    pub fn self_bits(&self) -> u8 {
        self.banks.self_bits.value as u8
    }

    /// Bits of a coupling bank.
    pub fn coupling_bits(&self) -> u8 {
        self.banks.coupling_bits.value as u8
    }

    /// Bits of a storage bank; 0 where there is none.
    pub fn storage_bits(&self) -> u8 {
        self.banks.storage.as_ref().map_or(0, |storage| storage.bits.value as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_profiles_are_valid_and_named_as_their_files() {
        for name in NAMES {
            assert_eq!(Profile::named(name).unwrap().name, name);
        }
        let error = Profile::named("rev-z").unwrap_err().to_string();
        assert!(error.contains("rev-z") && error.contains("rev-a"), "{error}");
    }

    #[test]
    fn errors_name_the_field() {
        let text = SHIPPED[1].1;
        for (from, to, expect) in [
            ("unit = \"ohm\"", "unit = \"kohm\"", "cell.r"),
            ("value = 820e-6", "value = -1.0", "cell.l"),
            ("spread = 0.22", "spread = 0.5", "drive.full_scale"),
            ("spread_unit = \"V\", ", "", "adc.offset"),
            (
                "value = 12, unit = \"bit\", provenance = \"design choice\" }\nfull_scale",
                "value = 13, unit = \"bit\", provenance = \"design choice\" }\nfull_scale",
                "packing.word_bits",
            ),
            ("value = 8, unit", "value = 9, unit", "cells"),
            ("[capture]", "[capture]\ndepth = 1", "depth"),
            ("coupling_signed = false\n", "", "coupling_signed"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = Profile::from_toml(&changed).unwrap_err().to_string();
            assert!(error.contains(expect), "{expect}: {error}");
        }
    }

    #[test]
    fn switching_off_all_leaves_no_spread() {
        let profile = Profile::named("rev-a").unwrap().without(&NonIdeality::ALL.into());
        let spreads = [
            &profile.cell.r,
            profile.cell.l.as_ref().unwrap(),
            &profile.cell.stray,
            &profile.banks.self_lsb,
            &profile.banks.coupling_lsb,
            &profile.drive.full_scale,
            &profile.adc.full_scale,
            &profile.adc.offset,
        ];
        assert!(spreads.iter().all(|quantity| quantity.spread == 0.0));
        profile.check().unwrap();
    }
}
