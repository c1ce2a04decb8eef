//! Pins of `spu_core`, as the shim has them.

/// What the board is: the constant inputs.
#[derive(Debug, Clone, Default)]
#[repr(C)]
pub(crate) struct Constants {
    pub(crate) gateware_id: u32,
    pub(crate) board: u32,
    pub(crate) banks: u32,
    pub(crate) converters: u32,
    pub(crate) sample_clock_hz: u32,
    pub(crate) capture_frames: u32,
    pub(crate) serial_lo: u32,
    pub(crate) serial_hi: u32,
    pub(crate) profile_name: [u32; 4],
    /// From `NOISE_RMS` to `STORAGE_LSB_FARAD`.
    pub(crate) real: [u32; 15],
}

/// Inputs that change.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Inputs {
    pub(crate) clk: bool,
    pub(crate) reset: bool,
    pub(crate) spi_sck: bool,
    pub(crate) spi_select_n: bool,
    pub(crate) spi_mosi: bool,
    pub(crate) permit: bool,
    pub(crate) adc_data: i16,
}

/// Outputs.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Outputs {
    pub(crate) spi_miso: bool,
    pub(crate) tick: bool,
    pub(crate) dac_write: bool,
    pub(crate) dac_cell: u8,
    pub(crate) dac_update: bool,
    pub(crate) adc_sample: bool,
    pub(crate) adc_read: bool,
    pub(crate) adc_cell: u8,
    pub(crate) discharge: bool,
    pub(crate) switch_clock: bool,
    pub(crate) switch_data: bool,
    pub(crate) switch_latch: bool,
    pub(crate) busy: bool,
    pub(crate) dac_data: i16,
}
