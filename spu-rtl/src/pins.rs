//! What goes to the Verilated model and comes back, as the shim has it.

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
    pub(crate) serial: [u32; 2],
    pub(crate) profile_name: [u32; 4],
    /// From `NOISE_RMS` to `STORAGE_LSB_FARAD`.
    pub(crate) real: [u32; 15],
    /// Number of a planted mistake, from 1; 0: none.
    pub(crate) mistake: u32,
}

/// Inputs that change.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Inputs {
    pub(crate) reset: bool,
    pub(crate) spi_sck: bool,
    pub(crate) spi_select_n: bool,
    pub(crate) spi_mosi: bool,
    pub(crate) permit: bool,
}

/// What the board around the core is to do before the next clock.
pub(crate) mod event {
    pub(crate) const SAMPLED: u32 = 1;
    pub(crate) const SHIFTED: u32 = 2;
    pub(crate) const SHIFTED_BIT: u32 = 4;
    pub(crate) const LATCHED: u32 = 8;
    pub(crate) const DISCHARGED: u32 = 16;
    pub(crate) const FULL: u32 = 32;
}

/// How long to run, and what came of it.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Run {
    /// Edges of the core's clock to go.
    pub(crate) edges: u64,
    /// Ticks begun since power-up, and by which to stop.
    pub(crate) ticks: u64,
    pub(crate) end_ticks: u64,
    /// Clocks without a tick after which to stop.
    pub(crate) most_waited: u32,
    /// 1: stop where the gateware is not busy.
    pub(crate) until_done: u32,
    /// Rows that the DACs showed since the analog board last ran.
    pub(crate) rows: u32,
}
