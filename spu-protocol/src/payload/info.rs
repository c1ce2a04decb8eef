//! What a board says of itself.

use bytemuck::{Pod, Zeroable};

/// Kind of the analog board, in [`InfoReply::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum BoardKind {
    /// RLC cells with capacitive couplings: inverts by its covariance.
    Rlc = 1,
    /// RC cells with resistive couplings and storage banks: solves by its mean.
    Rc = 2,
    /// Three resistor arrays of the factored curvature. Reserved.
    Factored = 3,
}

impl BoardKind {
    /// The kind with this number.
    pub const fn from_u16(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Rlc,
            2 => Self::Rc,
            3 => Self::Factored,
            _ => return None,
        })
    }
}

/// Identity and nominal values of a board. The nominal values are its profile's: what the board
/// was designed to be, not what this copy of it measures.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct InfoReply {
    /// Serial number.
    pub serial: u64,
    /// Content hash of the calibration in board memory; 0 if there is none.
    pub calibration_id: u64,
    /// Name of the profile, ASCII, padded with zeros.
    pub profile: [u8; 16],
    /// Identity of the gateware's build.
    pub gateware_id: u32,
    /// Sample clock, in hertz.
    pub sample_clock_hz: u32,
    /// Frames (ticks) that the capture memory holds.
    pub capture_frames: u32,
    /// Largest sustained rate of raw frames over this rung, per second; 0 means the sample clock.
    pub stream_frames_per_s: u32,
    /// Firmware version: major, minor, patch.
    pub firmware: [u16; 3],
    /// A [`BoardKind`].
    pub kind: u16,
    /// Number of cells.
    pub cells: u16,
    /// Number of couplings, `cells (cells − 1) / 2`: pairs (0,1), (0,2) … (0,n−1), (1,2) ….
    pub couplings: u16,
    /// Bits of a self-term bank.
    pub self_bits: u8,
    /// Bits of a coupling bank, without sign.
    pub coupling_bits: u8,
    /// 1 if couplings have a sign.
    pub coupling_signed: u8,
    /// Bits of the noise and bias DAC codes.
    pub dac_bits: u8,
    /// Bits of an ADC code: JESD204B's N.
    pub adc_bits: u8,
    /// Bits of a packed sample: JESD204B's N′, 12 or 16.
    pub sample_bits: u8,
    /// Control bits of a packed sample: JESD204B's CS.
    pub control_bits: u8,
    /// Samples of a converter in a frame: JESD204B's S.
    pub samples_per_frame: u8,
    /// Root mean square of the noise generator's code, before the gain.
    pub noise_rms_code: f32,
    /// Parallel resistance of a cell, in ohms.
    pub r_ohm: f32,
    /// Inductance of a cell, in henries; 0 of RC boards.
    pub l_henry: f32,
    /// Self-term bank LSB, in farads; of RC boards, in siemens.
    pub self_lsb_farad: f32,
    /// Coupling bank LSB, in farads; of RC boards, in siemens.
    pub coupling_lsb_farad: f32,
    /// Stray capacitance of a cell to ground, in farads.
    pub stray_farad: f32,
    /// DAC LSB, in amperes.
    pub dac_lsb_ampere: f32,
    /// ADC LSB, in volts.
    pub adc_lsb_volt: f32,
    /// Stated spread (1 σ, relative) of the drive gain between cells.
    pub drive_spread: f32,
    /// Stated spread (1 σ, relative) of bank elements.
    pub bank_spread: f32,
    /// Stated spread (1 σ, relative) of the converter gain between cells.
    pub adc_gain_spread: f32,
    /// Stated spread (1 σ, relative) of resistance between cells.
    pub r_spread: f32,
    /// Stated spread (1 σ, relative) of inductance between cells.
    pub l_spread: f32,
    /// Octets of a report on how the last run of the microcontroller ended, in the register
    /// [`MCU_REPORT`](crate::regs::mcu_report); 0 if there is none that is not yet read.
    pub report: u32,
    /// Bits of a storage bank; 0 where the kind has none.
    pub storage_bits: u8,
    /// Zero.
    pub reserved: [u8; 3],
}
const _: () = assert!(size_of::<InfoReply>() == 128);
