//! What a factored board says of its array.

use spu_protocol::code::full_scale_code;
use spu_protocol::regs::{self, array_bits};

use crate::device::{Deadline, Device};
use crate::error::Error;

/// Sizes and nominal values of a factored board's array. Transmissions are in units of 1/R.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descriptor {
    /// Most rows of J and H.
    pub rows: usize,
    /// Most columns of J: nodes.
    pub columns: usize,
    /// Bits of an element's code, sign included.
    pub bits: u8,
    /// Largest code of an element.
    pub top: i16,
    /// Transmission of an element at the largest code.
    pub element: f64,
    /// Largest damping code.
    pub damping_top: u32,
    /// Damping of code 1.
    pub damping_lsb: f64,
    /// A tick in units of τ = RC.
    pub tick: f64,
    /// Voltage R I of the largest DAC code.
    pub drive_volt: f64,
    /// Largest DAC code.
    pub dac_top: i16,
    /// Volts of ADC code 1.
    pub adc_lsb: f64,
    /// Largest ADC code.
    pub adc_top: i16,
    /// Rms of the noise generator's code before the gain.
    pub noise_rms: f64,
    /// Stated relative spread (1 σ) of an element.
    pub spread: f64,
}

impl Descriptor {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a board of another kind, [`Error::Corrupt`] for values that no array
    /// can have; link errors.
    pub fn read(device: &mut dyn Device, deadline: Deadline) -> Result<Self, Error> {
        device.bulk()?;
        let raw = device.info().raw;
        let mut words = [0; 4];
        device.read_regs(regs::ARRAY_ROWS_MAX, &mut words, deadline)?;
        let [rows, columns, bits, node] = words;
        let field = |shift: u32, mask: u32| bits >> shift & mask;
        let code_bits = field(array_bits::CODE_BITS_SHIFT, array_bits::CODE_BITS_MASK);
        let damping_bits = field(array_bits::DAMPING_BITS_SHIFT, array_bits::DAMPING_BITS_MASK);
        let node = f64::from(f32::from_bits(node));
        let good = rows > 0
            && columns > 0
            && (2..=16).contains(&code_bits)
            && (1..=31).contains(&damping_bits)
            && node.is_finite()
            && node > 0.0;
        if !good {
            return Err(Error::Corrupt {
                what: format!(
                    "array of {rows} x {columns} elements, {code_bits} bits, damping of {damping_bits} bits, \
                     nodes of {node} F"
                ),
            });
        }
        let top = full_scale_code(code_bits as u8);
        let dac_top = full_scale_code(raw.dac_bits);
        let r = f64::from(raw.r_ohm);
        Ok(Self {
            rows: rows as usize,
            columns: columns as usize,
            bits: code_bits as u8,
            top,
            element: f64::from(raw.self_lsb_farad) * f64::from(top) * r,
            damping_top: (1 << damping_bits) - 1,
            damping_lsb: f64::from(raw.coupling_lsb_farad) * r,
            tick: 1.0 / (f64::from(raw.sample_clock_hz) * r * node),
            drive_volt: f64::from(raw.dac_lsb_ampere) * f64::from(dac_top) * r,
            dac_top,
            adc_lsb: f64::from(raw.adc_lsb_volt),
            adc_top: full_scale_code(raw.adc_bits),
            noise_rms: f64::from(raw.noise_rms_code),
            spread: f64::from(raw.bank_spread),
        })
    }

    /// Refuses arrays that do not fit.
    pub(super) fn check(&self, rows: usize, columns: usize) -> Result<(), Error> {
        let mut reasons = Vec::new();
        if rows > self.rows {
            reasons.push(format!(
                "{rows} rows (examples of a batch times outputs) where the array has {}; take smaller \
                 batches",
                self.rows
            ));
        }
        if columns > self.columns {
            reasons.push(format!(
                "{columns} columns (parameters) where the array has {}; take a smaller model",
                self.columns
            ));
        }
        if reasons.is_empty() { Ok(()) } else { Err(Error::Unsupported { reasons }) }
    }
}
