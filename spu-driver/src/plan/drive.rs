//! How strongly cells are driven.

use spu_protocol::code::{GainCode, full_scale_code};

use crate::board_model::BoardModel;
use crate::device::BoardInfo;
use crate::model::CellModel;

/// Root mean square that the strongest cell is driven to, as a part of the ADC's full scale: five
/// sigma fit.
pub const TARGET_RMS: f64 = 0.2;

/// Peak of the noise generator's code over its root mean square: 4.04, a little more here (see
/// `hardware/README.md`).
pub(crate) const NOISE_PEAK: f64 = 4.05;

/// Relative drive of each cell, at most 1: noise currents whose squares go as 1/R, which is what makes
/// cells of unlike R and L settle to a Boltzmann distribution (Johnson noise of one temperature).
pub(super) fn drive(model: &BoardModel) -> Vec<f64> {
    let wanted: Vec<f64> =
        model.cells.iter().map(|cell| 1.0 / (cell.drive_ampere * cell.r_ohm.sqrt())).collect();
    let most = wanted.iter().fold(0.0_f64, |most, x| most.max(*x));
    wanted.iter().map(|x| x / most).collect()
}

/// Gain at which no cell can exceed [`TARGET_RMS`]: no variance is above the one of the smallest
/// capacitance.
pub(super) fn safe_gain(info: &BoardInfo, cell: &CellModel, smallest: f64) -> GainCode {
    let target = TARGET_RMS
        * f64::from(full_scale_code(info.raw.adc_bits))
        * f64::from(info.raw.adc_lsb_volt);
    let rms_per_gain = f64::from(info.raw.noise_rms_code) * f64::from(info.raw.dac_lsb_ampere);
    let variance_per_gain = cell.mode(smallest).variance(rms_per_gain);
    limit_gain(info, target / variance_per_gain.sqrt())
}

/// The gain code for this factor, at most the one at which the noise's peak reaches the DAC's
/// full scale, at least 1.
pub(crate) fn limit_gain(info: &BoardInfo, factor: f64) -> GainCode {
    let most = f64::from(full_scale_code(info.raw.dac_bits))
        / (NOISE_PEAK * f64::from(info.raw.noise_rms_code));
    let code = factor.min(most) * f64::from(1_u32 << GainCode::FRACTION_BITS);
    GainCode(code.round().clamp(1.0, f64::from(u16::MAX)) as u16)
}
