//! The values of a board profile that its hardware follows from.

use anyhow::{Context, Result, ensure};

use super::read;
use crate::root;

/// Nominal values; see `hardware/profiles` for what they are.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) cells: u32,
    pub(super) sample_hz: f64,
    pub(super) r: f64,
    pub(super) l: f64,
    pub(super) stray: f64,
    pub(super) self_bits: u32,
    pub(super) self_lsb: f64,
    pub(super) coupling_bits: u32,
    pub(super) coupling_lsb: f64,
    pub(super) coupling_signed: bool,
    pub(super) dac_bits: u32,
    pub(super) dac_full_scale: f64,
    pub(super) adc_bits: u32,
    pub(super) adc_full_scale: f64,
}

impl Profile {
    /// The profile of that name.
    ///
    /// # Errors
    /// Where it cannot be read, or is not one of RLC cells.
    pub(super) fn named(name: &str) -> Result<Self> {
        let path = root().join("hardware/profiles").join(format!("{name}.toml"));
        Self::parse(&read(&path)?).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let at = |keys: &[&str]| {
            let (last, path) = keys.split_last().context("no key")?;
            let mut table = &table;
            for key in path {
                table =
                    table.get(*key).and_then(|value| value.as_table()).context(key.to_string())?;
            }
            table.get(*last).context(last.to_string())
        };
        let number = |keys: &[&str]| {
            let value = at(keys)?.get("value").with_context(|| keys.join("."))?;
            let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
            number.with_context(|| format!("{}: not a number", keys.join(".")))
        };
        ensure!(at(&["kind"])?.as_str() == Some("rlc"), "not a board of RLC cells");
        Ok(Self {
            name: at(&["name"])?.as_str().context("name")?.to_owned(),
            cells: number(&["cells"])? as u32,
            sample_hz: number(&["clock", "sample"])?,
            r: number(&["cell", "r"])?,
            l: number(&["cell", "l"])?,
            stray: number(&["cell", "stray"])?,
            self_bits: number(&["banks", "self_bits"])? as u32,
            self_lsb: number(&["banks", "self_lsb"])?,
            coupling_bits: number(&["banks", "coupling_bits"])? as u32,
            coupling_lsb: number(&["banks", "coupling_lsb"])?,
            coupling_signed: at(&["banks", "coupling_signed"])?.as_bool().context("signed")?,
            dac_bits: number(&["drive", "dac_bits"])? as u32,
            dac_full_scale: number(&["drive", "full_scale"])?,
            adc_bits: number(&["adc", "bits"])? as u32,
            adc_full_scale: number(&["adc", "full_scale"])?,
        })
    }

    /// Couplings: one for each pair of cells.
    pub(super) fn pairs(&self) -> u32 {
        self.cells * (self.cells - 1) / 2
    }

    /// Bits of the chain of bank switches, signs included.
    pub(super) fn chain(&self) -> u32 {
        self.cells * self.self_bits
            + self.pairs() * (self.coupling_bits + u32::from(self.coupling_signed))
    }

    /// Elements of a differential board are two capacitors of twice the value in series.
    pub(super) fn differential(&self) -> bool {
        self.coupling_signed
    }
}
