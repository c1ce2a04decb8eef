//! What the host believes of an RC board's parts.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use spu_protocol::payload::info::BoardKind;
use spu_protocol::regs;

use crate::board_model::{bank, network, nominal_bank, signed};
use crate::device::{BoardInfo, Deadline, Device};
use crate::error::Error;

/// The values of one RC cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RcCell {
    /// Conductance to ground with every switch open, in siemens.
    pub leak_siemens: f64,
    /// Capacitance to ground with every switch open, in farads.
    pub stray_farad: f64,
    /// Current of the DAC, in amperes per code.
    pub drive_ampere: f64,
    /// Gain of the ADC, in codes per volt.
    pub adc_gain: f64,
    /// ADC code at 0 V.
    pub adc_offset: f64,
}

/// The values of one RC board: nominal ones, or measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RcModel {
    /// Cell by cell.
    pub cells: Vec<RcCell>,
    /// Elements of each cell's self-term bank, in siemens; element k is switched by bit k.
    pub selves: Vec<Vec<f64>>,
    /// Elements of each coupling bank, in siemens, by pair as [`pair_index`](crate::device::pair_index) orders them.
    pub couplings: Vec<Vec<f64>>,
    /// Elements of each cell's storage bank, in farads.
    pub storage: Vec<Vec<f64>>,
    /// Sample period, in seconds.
    pub period_s: f64,
}

/// Refuses boards of another kind.
///
/// # Errors
/// [`Error::Unsupported`], which names what to use instead.
pub(super) fn require_rc(info: &BoardInfo) -> Result<(), Error> {
    if info.kind() == BoardKind::Rc {
        return Ok(());
    }
    Err(Error::Unsupported {
        reasons: vec![format!(
            "a {} board has no RC cells that relax to a mean; {}, or use an RC board \
             (`--device sim:profile=rc-8`)",
            info.profile,
            info.purpose()
        )],
    })
}

impl RcModel {
    /// The nominal values of a board's profile.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a board that is not of RC cells; link errors.
    pub fn nominal(device: &mut dyn Device, deadline: Deadline) -> Result<Self, Error> {
        require_rc(device.info())?;
        let mut word = [0];
        device.read_regs(regs::STORAGE_LSB_FARAD, &mut word, deadline)?;
        let storage_lsb = f32::from_bits(word[0]);
        if !(storage_lsb.is_finite() && storage_lsb > 0.0) {
            return Err(Error::Corrupt { what: format!("a storage LSB of {storage_lsb} F") });
        }
        let info = device.info();
        let raw = &info.raw;
        let cell = RcCell {
            leak_siemens: 1.0 / f64::from(raw.r_ohm),
            stray_farad: f64::from(raw.stray_farad),
            drive_ampere: f64::from(raw.dac_lsb_ampere),
            adc_gain: 1.0 / f64::from(raw.adc_lsb_volt),
            adc_offset: 0.0,
        };
        Ok(Self {
            cells: vec![cell; info.cells],
            selves: vec![nominal_bank(raw.self_bits, raw.self_lsb_farad); info.cells],
            couplings: vec![
                nominal_bank(raw.coupling_bits, raw.coupling_lsb_farad);
                info.couplings
            ],
            storage: vec![nominal_bank(raw.storage_bits, storage_lsb); info.cells],
            period_s: info.sample_period_s(),
        })
    }

    /// Number of cells.
    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// Conductance to ground that a self-term code gives cell `cell`, leakage included, in siemens.
    pub fn self_siemens(&self, cell: usize, code: i16) -> f64 {
        self.cells[cell].leak_siemens + bank(&self.selves[cell], code)
    }

    /// Capacitance that a storage code gives cell `cell`, stray capacitance included, in farads.
    pub fn farad(&self, cell: usize, code: i16) -> f64 {
        self.cells[cell].stray_farad + bank(&self.storage[cell], code)
    }

    /// Capacitances of storage codes, in farads, one a cell.
    pub fn capacitances(&self, storage: &[i16]) -> Array1<f64> {
        storage.iter().enumerate().map(|(cell, code)| self.farad(cell, *code)).collect()
    }

    /// Conductance matrix of codes of all cells, in siemens:
    /// `G_ii = self_i + Σ_j g_ij`, `G_ij = ∓g_ij` for a straight (crossed) coupling.
    pub fn conductance(&self, selves: &[i16], couplings: &[i16]) -> Array2<f64> {
        let coupling =
            |pair: usize| signed(couplings[pair], bank(&self.couplings[pair], couplings[pair]));
        network(self.cell_count(), |cell| self.self_siemens(cell, selves[cell]), coupling)
    }
}
