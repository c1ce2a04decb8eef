//! The values of a board profile that its hardware follows from.

use anyhow::{Context, Result, ensure};

use spu_sim::profile::Kind;

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
    /// Where there is none, or it is not one of RLC cells.
    pub(super) fn named(name: &str) -> Result<Self> {
        let spu_sim::Profile { kind, cells, clock, cell, banks, drive, adc, .. } =
            spu_sim::Profile::named(name)?;
        ensure!(kind == Kind::Rlc, "{name} is not a board of RLC cells");
        Ok(Self {
            name: name.to_owned(),
            cells: cells.value,
            sample_hz: clock.sample.value,
            r: cell.r.value,
            l: cell.l.context("RLC cells have an inductor")?.value,
            stray: cell.stray.value,
            self_bits: banks.self_bits.value,
            self_lsb: banks.self_lsb.value,
            coupling_bits: banks.coupling_bits.value,
            coupling_lsb: banks.coupling_lsb.value,
            coupling_signed: banks.coupling_signed,
            dac_bits: drive.dac_bits.value,
            dac_full_scale: drive.full_scale.value,
            adc_bits: adc.bits.value,
            adc_full_scale: adc.full_scale.value,
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
