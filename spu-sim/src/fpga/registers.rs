//! Registers that the bus writes, and the identity of the board.

use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::load::{MAX_COUPLINGS, SeedWords};
use spu_protocol::regs::{
    self, Access, Register, array_bits, array_range, banks, board, converters,
};

use crate::LANES;
use crate::analog::BankCodes;
use crate::converters::ArrayControls;
use crate::noise::RMS;
use crate::profile::{ArrayParts, Kind, Profile};

/// Identity of the simulator in place of a gateware's build: ASCII `SIM1`.
pub const GATEWARE_ID: u32 = 0x5349_4D31;
/// Words below the moments, where every writable register is.
const STORED: usize = 0x2000 / 4;

/// Stored words and constants.
#[derive(Debug, Clone)]
pub(crate) struct Registers {
    profile: Profile,
    serial: u64,
    gateware_id: u32,
    stored: Box<[u32; STORED]>,
}

impl Registers {
    pub(crate) fn new(profile: Profile, serial: u64) -> Self {
        let mut registers =
            Self { profile, serial, gateware_id: GATEWARE_ID, stored: Box::new([0; STORED]) };
        registers.reset();
        registers
    }

    pub(crate) const fn set_gateware_id(&mut self, id: u32) {
        self.gateware_id = id;
    }

    /// Every writable register to its reset value.
    pub(crate) fn reset(&mut self) {
        for register in regs::MAP.iter().filter(|register| is_stored(register)) {
            for index in 0..register.len(self.cells()) {
                self.stored[word(register, index)] = register.reset;
            }
        }
    }

    pub(crate) fn cells(&self) -> usize {
        self.profile.cell_count()
    }

    /// Largest value of a register of the array, where there is one; other boards only store these.
    fn array_limit(&self, address: u16) -> Option<u32> {
        let array = self.profile.array.as_ref()?;
        Some(match address {
            regs::ARRAY_ROWS => array.rows.value,
            regs::ARRAY_COLUMNS => array.columns.value,
            regs::ARRAY_DAMPING => array.damping_top(),
            regs::ARRAY_NOISE_GAIN => u32::from(u16::MAX),
            _ => return None,
        })
    }

    /// Writes a stored register: codes are cut to what the board holds, unused bits are dropped.
    pub(crate) fn write(&mut self, register: &Register, index: usize, value: u32) {
        if !is_stored(register) {
            return;
        }
        if let Some(most) = self.array_limit(register.address) {
            self.stored[word(register, index)] = value.min(most);
            return;
        }
        let signed = |value: u32, limit: i16| {
            value.cast_signed().clamp(-i32::from(limit), i32::from(limit)).cast_unsigned()
        };
        let profile = &self.profile;
        let value = match register.address {
            address if address == regs::self_bank(0) => {
                value.min(u32::from(bank_limit(profile.self_bits()).cast_unsigned()))
            }
            address if address == regs::coupling_bank(0) => {
                let limit = bank_limit(profile.coupling_bits());
                let value = signed(value, limit);
                if profile.banks.coupling_signed {
                    value
                } else {
                    value.cast_signed().max(0) as u32
                }
            }
            address if address == regs::storage(0) && profile.storage_bits() > 0 => {
                value.min(u32::from(bank_limit(profile.storage_bits()).cast_unsigned()))
            }
            address if address == regs::noise_gain(0) => value.min(u32::from(u16::MAX)),
            address if address == regs::bias(0) => {
                signed(value, full_scale_code(profile.dac_bits()))
            }
            _ => {
                let mask = register.fields.iter().fold(0, |mask, field| {
                    mask | (u32::MAX >> (32 - u32::from(field.width))) << field.shift
                });
                value & mask
            }
        };
        self.stored[word(register, index)] = value;
    }

    /// The stored register at a byte address; 0 where there is none.
    pub(crate) fn stored(&self, address: u16) -> u32 {
        self.stored.get(usize::from(address) / 4).copied().unwrap_or(0)
    }

    /// A constant of the board; `None` if the register is none.
    pub(crate) fn identity(&self, register: &Register, index: usize) -> Option<u32> {
        let profile = &self.profile;
        let real = |value: f64| (value as f32).to_bits();
        Some(match register.address {
            regs::MAGIC => regs::MAGIC_VALUE,
            regs::MAP_VERSION => regs::MAP_VERSION_VALUE,
            regs::GATEWARE_ID => self.gateware_id,
            regs::BOARD => {
                let kind = match profile.kind {
                    Kind::Rlc => BoardKind::Rlc,
                    Kind::Rc => BoardKind::Rc,
                    Kind::Factored => BoardKind::Factored,
                };
                (kind as u32) << board::KIND_SHIFT | profile.cells.value << board::CELLS_SHIFT
            }
            regs::BANKS => {
                let signed = if profile.banks.coupling_signed { banks::COUPLING_SIGNED } else { 0 };
                profile.banks.self_bits.value << banks::SELF_BITS_SHIFT
                    | profile.banks.coupling_bits.value << banks::COUPLING_BITS_SHIFT
                    | u32::from(profile.storage_bits()) << banks::STORAGE_BITS_SHIFT
                    | signed
            }
            regs::CONVERTERS => {
                profile.drive.dac_bits.value << converters::DAC_BITS_SHIFT
                    | profile.adc.bits.value << converters::ADC_BITS_SHIFT
                    | profile.packing.word_bits.value << converters::SAMPLE_BITS_SHIFT
                    | profile.packing.control_bits.value << converters::CONTROL_BITS_SHIFT
                    | 1 << converters::SAMPLES_PER_FRAME_SHIFT
            }
            regs::SAMPLE_CLOCK_HZ => profile.clock.sample.value as u32,
            regs::CAPTURE_FRAMES => profile.capture.frames.value,
            regs::SERIAL_LO => self.serial as u32,
            regs::SERIAL_HI => (self.serial >> 32) as u32,
            regs::NOISE_RMS => real(RMS),
            regs::R_OHM => real(profile.cell.r.value),
            regs::L_HENRY => real(profile.cell.l.as_ref().map_or(0.0, |l| l.value)),
            regs::SELF_LSB_FARAD => {
                real(profile.array.as_ref().map_or(profile.banks.self_lsb.value, ArrayParts::lsb))
            }
            regs::COUPLING_LSB_FARAD => {
                let banks = profile.banks.coupling_lsb.value;
                real(profile.array.as_ref().map_or(banks, ArrayParts::damping_lsb))
            }
            regs::STRAY_FARAD => real(profile.cell.stray.value),
            regs::DAC_LSB_AMPERE => real(profile.dac_lsb_ampere()),
            regs::ADC_LSB_VOLT => real(profile.adc_lsb_volt()),
            regs::DRIVE_SPREAD => real(profile.drive.full_scale.spread),
            regs::BANK_SPREAD => {
                let banks = profile.banks.self_lsb.spread;
                real(profile.array.as_ref().map_or(banks, |array| array.element.spread))
            }
            regs::ARRAY_ROWS_MAX => profile.array.as_ref().map_or(0, |array| array.rows.value),
            regs::ARRAY_COLUMNS_MAX => {
                profile.array.as_ref().map_or(0, |array| array.columns.value)
            }
            regs::ARRAY_BITS => profile.array.as_ref().map_or(0, |array| {
                array.bits.value << array_bits::CODE_BITS_SHIFT
                    | array.damping_bits.value << array_bits::DAMPING_BITS_SHIFT
            }),
            regs::NODE_FARAD => real(profile.array.as_ref().map_or(0.0, |array| array.node.value)),
            regs::ADC_GAIN_SPREAD => real(profile.adc.full_scale.spread),
            regs::R_SPREAD => real(profile.cell.r.spread),
            regs::L_SPREAD => real(profile.cell.l.as_ref().map_or(0.0, |l| l.spread)),
            regs::STORAGE_LSB_FARAD => {
                real(profile.banks.storage.as_ref().map_or(0.0, |storage| storage.lsb.value))
            }
            // No bus limits the simulator: the sample clock.
            regs::STREAM_FRAMES_PER_S => 0,
            address if address == regs::profile_name(0) => {
                let mut name = [0; 4 * regs::PROFILE_NAME_LEN];
                name[..profile.name.len()].copy_from_slice(profile.name.as_bytes());
                u32::from_le_bytes(std::array::from_fn(|octet| name[4 * index + octet]))
            }
            _ => return None,
        })
    }

    /// Bank codes as written.
    pub(crate) fn bank_codes(&self) -> BankCodes {
        let code = |address| CouplingCode(self.stored(address) as i16);
        let mut codes = BankCodes::OPEN;
        for cell in 0..LANES {
            codes.self_codes[cell] = code(regs::self_bank(cell));
        }
        for cell in 0..LANES {
            codes.storage_codes[cell] = code(regs::storage(cell));
        }
        for pair in 0..MAX_COUPLINGS {
            codes.coupling_codes[pair] = code(regs::coupling_bank(pair));
        }
        codes
    }

    /// What of a factored array is in registers, as written.
    pub(crate) fn array_controls(&self) -> ArrayControls {
        let range = self.stored(regs::ARRAY_RANGE);
        ArrayControls {
            damping: self.stored(regs::ARRAY_DAMPING),
            input_range: (range >> array_range::INPUT_SHIFT & array_range::INPUT_MASK) as u8,
            noise_range: (range >> array_range::NOISE_SHIFT & array_range::NOISE_MASK) as u8,
            noise_gain: GainCode(self.stored(regs::ARRAY_NOISE_GAIN) as u16),
        }
    }

    /// Noise gains as written.
    pub(crate) fn gains(&self) -> [GainCode; LANES] {
        std::array::from_fn(|cell| GainCode(self.stored(regs::noise_gain(cell)) as u16))
    }

    /// Biases as written.
    pub(crate) fn biases(&self) -> [DacCode; LANES] {
        std::array::from_fn(|cell| DacCode(self.stored(regs::bias(cell)) as i16))
    }

    /// Seeds as written.
    pub(crate) fn seeds(&self) -> [SeedWords; LANES] {
        std::array::from_fn(|cell| {
            std::array::from_fn(|w| self.stored(regs::noise_seed(4 * cell + w)))
        })
    }
}

/// True for a writable register; the reserved bulk window is none.
fn is_stored(register: &Register) -> bool {
    register.access == Access::Rw && register.address != regs::BULK
}

/// Place of a stored register.
fn word(register: &Register, index: usize) -> usize {
    (usize::from(register.address) + index * usize::from(register.stride)) / 4
}

/// Largest code of a bank.
const fn bank_limit(bits: u8) -> i16 {
    ((1_u16 << bits) - 1) as i16
}
