//! Register map of the FPGA and the microcontroller: addresses, fields and their descriptions.
//!
//! Written by `cargo xtask regs` from `hardware/registers/spu.rdl`; do not edit.
//!
//! Registers are 32 bits wide. A register is a constant with its byte address, an array a function
//! from index to byte address with its capacity in `…_LEN`; a board uses the first
//! [`Register::len`] elements. The module of a register's name holds its fields: `1 << n` for a bit,
//! `…_SHIFT` and the unshifted `…_MASK` for wider ones.

/// Names and descriptions are for hosts: in a microcontroller they would fill its flash.
const fn text(text: &'static str) -> &'static str {
    if cfg!(feature = "std") { text } else { "" }
}

/// What the bus may do with a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read only.
    Ro,
    /// Read and write.
    Rw,
    /// Write only; reads as 0.
    Wo,
}

/// How many registers of an array a board has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// As many as the map, whatever the board.
    Fixed,
    /// This many for each cell.
    Cells(u16),
    /// This many for each pair (0,1), (0,2) … (0,n−1), (1,2) ….
    Couplings(u16),
    /// This many for each pair (0,0), (0,1) … (0,n−1), (1,1) ….
    Products(u16),
}

/// A field of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name, lower case; empty without the feature `std`.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// What it means, in a line; empty where the register's text says it.
    pub doc: &'static str,
}

impl Field {
    /// The field's value in the register's value `word`.
    pub const fn of(&self, word: u32) -> u32 {
        (word >> self.shift) & (u32::MAX >> (32 - self.width as u32))
    }
}

/// A register, an array of them, or a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Name, upper case; empty without the feature `std`.
    pub name: &'static str,
    /// Byte address of the first element.
    pub address: u16,
    /// Number of elements in the map; 1 where it is no array.
    pub count: u16,
    /// Bytes from one element to the next.
    pub stride: u16,
    /// Elements that a board has.
    pub extent: Extent,
    /// What the bus may do.
    pub access: Access,
    /// Value after reset, and of constants always; 0 where hardware sets the value.
    pub reset: u32,
    /// Fields, in order of their bits; none for windows.
    pub fields: &'static [Field],
    /// The microcontroller answers for it; it is not in the FPGA.
    pub mcu: bool,
    /// What it is, in a line.
    pub doc: &'static str,
}

impl Register {
    /// Number of elements on a board of `cells` cells, at most [`count`](Self::count).
    pub const fn len(&self, cells: usize) -> usize {
        let count = self.count as usize;
        // No board has more than 2¹⁶ − 1 cells; the bound keeps the products below from overflow.
        let n = if cells > 0xFFFF { 0xFFFF } else { cells as u64 };
        let len = match self.extent {
            Extent::Fixed => return count,
            Extent::Cells(words) => words as u64 * n,
            Extent::Couplings(words) => words as u64 * (n * n.saturating_sub(1) / 2),
            Extent::Products(words) => words as u64 * (n * (n + 1) / 2),
        };
        if len < count as u64 { len as usize } else { count }
    }
}

/// The register at a byte address and the element's index; `None` outside the map or where the
/// address is not a multiple of 4.
pub fn find(address: u16) -> Option<(&'static Register, usize)> {
    if !address.is_multiple_of(4) {
        return None;
    }
    let after = MAP.partition_point(|register| register.address <= address);
    let register = MAP.get(after.checked_sub(1)?)?;
    let index = (address - register.address) / register.stride;
    (index < register.count).then_some((register, usize::from(index)))
}

/// Fixed word of this register map, ASCII `SPUF`. Read only.
pub const MAGIC: u16 = 0x0000;
/// Value of [`MAGIC`].
pub const MAGIC_VALUE: u32 = 0x5350_5546;

/// Version of this register map. Read only.
pub const MAP_VERSION: u16 = 0x0004;
/// Value of [`MAP_VERSION`].
pub const MAP_VERSION_VALUE: u32 = 0x0001_0002;

/// Identity of the gateware's build. Read only.
pub const GATEWARE_ID: u16 = 0x0008;

/// Kind and size of the analog board. Read only.
pub const BOARD: u16 = 0x000C;

/// Switched banks. Read only.
pub const BANKS: u16 = 0x0010;

/// Converters and sample packing (JESD204B transport layer). Read only.
pub const CONVERTERS: u16 = 0x0014;

/// Sample clock, in hertz. Read only.
pub const SAMPLE_CLOCK_HZ: u16 = 0x0018;

/// Frames that the capture memory holds. Read only.
pub const CAPTURE_FRAMES: u16 = 0x001C;

/// Serial number, low word. Read only.
pub const SERIAL_LO: u16 = 0x0020;

/// Serial number, high word. Read only.
pub const SERIAL_HI: u16 = 0x0024;

/// Content hash of the calibration, low word; 0 in both: none.
pub const CALIBRATION_ID_LO: u16 = 0x0028;

/// Content hash of the calibration, high word.
pub const CALIBRATION_ID_HI: u16 = 0x002C;

/// Profile name, ASCII, zero padded. First character in bits 7:0 of word 0. Read only.
pub const fn profile_name(index: usize) -> u16 {
    debug_assert!(index < PROFILE_NAME_LEN);
    0x0030 + 4 * index as u16
}
/// Elements of [`profile_name`] in the map.
pub const PROFILE_NAME_LEN: usize = 4;

/// Nominal rms of the noise generator's code before the gain, binary32. Read only.
pub const NOISE_RMS: u16 = 0x0040;

/// Nominal parallel resistance of a cell, in ohms, binary32. Read only.
pub const R_OHM: u16 = 0x0044;

/// Nominal inductance of a cell, in henries (RC: 0), binary32. Read only.
pub const L_HENRY: u16 = 0x0048;

/// Nominal self-term bank LSB, in farads (RC: in siemens), binary32. Read only.
pub const SELF_LSB_FARAD: u16 = 0x004C;

/// Nominal coupling bank LSB, in farads (RC: in siemens), binary32. Read only.
pub const COUPLING_LSB_FARAD: u16 = 0x0050;

/// Nominal stray capacitance of a cell to ground, in farads, binary32. Read only.
pub const STRAY_FARAD: u16 = 0x0054;

/// Nominal DAC LSB, in amperes, binary32. Read only.
pub const DAC_LSB_AMPERE: u16 = 0x0058;

/// Nominal ADC LSB, in volts, binary32. Read only.
pub const ADC_LSB_VOLT: u16 = 0x005C;

/// Stated relative spread (1 sigma) of the drive gain, binary32. Read only.
pub const DRIVE_SPREAD: u16 = 0x0060;

/// Stated relative spread (1 sigma) of bank elements, binary32. Read only.
pub const BANK_SPREAD: u16 = 0x0064;

/// Stated relative spread (1 sigma) of the converter gain, binary32. Read only.
pub const ADC_GAIN_SPREAD: u16 = 0x0068;

/// Stated relative spread (1 sigma) of resistance, binary32. Read only.
pub const R_SPREAD: u16 = 0x006C;

/// Stated relative spread (1 sigma) of inductance, binary32. Read only.
pub const L_SPREAD: u16 = 0x0070;

/// Largest sustained rate of raw frames, per second; 0: sample clock. Read only.
pub const STREAM_FRAMES_PER_S: u16 = 0x0074;

/// Nominal storage bank LSB, in farads (RC only), binary32. Read only.
pub const STORAGE_LSB_FARAD: u16 = 0x0078;

/// Free words for bus tests.
pub const fn scratch(index: usize) -> u16 {
    debug_assert!(index < SCRATCH_LEN);
    0x0080 + 4 * index as u16
}
/// Elements of [`scratch`] in the map.
pub const SCRATCH_LEN: usize = 4;

/// Factored: most rows of the arrays J and H. Read only.
pub const ARRAY_ROWS_MAX: u16 = 0x00A0;

/// Factored: most columns of the array J, that is nodes. Read only.
pub const ARRAY_COLUMNS_MAX: u16 = 0x00A4;

/// Factored: bits of the arrays. Read only.
pub const ARRAY_BITS: u16 = 0x00A8;

/// Factored: nominal capacitance of a node, in farads, binary32. Read only.
pub const NODE_FARAD: u16 = 0x00AC;

/// Commands; a bit written as 1 acts once. Write only.
pub const CONTROL: u16 = 0x0100;

/// How the sequencer samples.
pub const MODE: u16 = 0x0104;

/// Ticks before the first kept one.
pub const SETTLE: u16 = 0x0108;

/// One tick in this many is kept; 0 acts as 1.
pub const DECIMATION: u16 = 0x010C;

/// Ticks to keep; 0 acts as 1.
pub const COUNT: u16 = 0x0110;

/// Factored: rows in use; a new number opens every switch.
pub const ARRAY_ROWS: u16 = 0x0120;

/// Factored: columns in use, that is nodes; a new number opens every switch.
pub const ARRAY_COLUMNS: u16 = 0x0124;

/// Factored: code of the resistor from each node to ground, unsigned.
pub const ARRAY_DAMPING: u16 = 0x0128;

/// Factored: ranges of the drive.
pub const ARRAY_RANGE: u16 = 0x012C;

/// Factored: noise gain of every node, in 1/4096, unsigned 16 bit.
pub const ARRAY_NOISE_GAIN: u16 = 0x0130;

/// What of the bulk memory is in the window BULK.
pub const BULK_PAGE: u16 = 0x0134;

/// State of the sequencer and the FIFO. Read only.
pub const STATUS: u16 = 0x0180;

/// Whole frames in the FIFO. Read only.
pub const FIFO_FRAMES: u16 = 0x0184;

/// Ticks kept since the start, lost ones included. Read only.
pub const KEPT: u16 = 0x0188;

/// Kept frames lost since the start. Read only.
pub const LOST: u16 = 0x018C;

/// Ticks run since the start, settling included, low word. Reading it captures the high word. Read only.
pub const TICKS_LO: u16 = 0x0190;

/// Ticks run since the start, high word as of the last read of the low word. Read only.
pub const TICKS_HI: u16 = 0x0194;

/// Kept ticks of the cell whose code was at full scale; stops at 2^32 - 1. Read only.
pub const fn saturated(index: usize) -> u16 {
    debug_assert!(index < SATURATED_LEN);
    0x0200 + 4 * index as u16
}
/// Elements of [`saturated`] in the map.
pub const SATURATED_LEN: usize = 64;

/// Self-term bank code, unsigned.
pub const fn self_bank(index: usize) -> u16 {
    debug_assert!(index < SELF_BANK_LEN);
    0x0400 + 4 * index as u16
}
/// Elements of [`self_bank`] in the map.
pub const SELF_BANK_LEN: usize = 64;

/// Coupling bank code, signed.
pub const fn coupling_bank(index: usize) -> u16 {
    debug_assert!(index < COUPLING_BANK_LEN);
    0x0800 + 4 * index as u16
}
/// Elements of [`coupling_bank`] in the map.
pub const COUPLING_BANK_LEN: usize = 512;

/// Noise gain, in 1/4096, unsigned 16 bit.
pub const fn noise_gain(index: usize) -> u16 {
    debug_assert!(index < NOISE_GAIN_LEN);
    0x1000 + 4 * index as u16
}
/// Elements of [`noise_gain`] in the map.
pub const NOISE_GAIN_LEN: usize = 64;

/// Bias DAC code, signed.
pub const fn bias(index: usize) -> u16 {
    debug_assert!(index < BIAS_LEN);
    0x1100 + 4 * index as u16
}
/// Elements of [`bias`] in the map.
pub const BIAS_LEN: usize = 64;

/// Storage bank code, unsigned (RC: the capacitance of the cell).
pub const fn storage(index: usize) -> u16 {
    debug_assert!(index < STORAGE_LEN);
    0x1200 + 4 * index as u16
}
/// Elements of [`storage`] in the map.
pub const STORAGE_LEN: usize = 64;

/// Reserved: initial state of later kinds.
pub const fn initial(index: usize) -> u16 {
    debug_assert!(index < INITIAL_LEN);
    0x1300 + 4 * index as u16
}
/// Elements of [`initial`] in the map.
pub const INITIAL_LEN: usize = 64;

/// Calibration memory: ADC code at 0 V, binary32; kept for the host, not applied.
pub const fn adc_offset(index: usize) -> u16 {
    debug_assert!(index < ADC_OFFSET_LEN);
    0x1400 + 4 * index as u16
}
/// Elements of [`adc_offset`] in the map.
pub const ADC_OFFSET_LEN: usize = 64;

/// Calibration memory: ADC gain in codes per volt, binary32; kept for the host, not applied.
pub const fn adc_gain(index: usize) -> u16 {
    debug_assert!(index < ADC_GAIN_LEN);
    0x1500 + 4 * index as u16
}
/// Elements of [`adc_gain`] in the map.
pub const ADC_GAIN_LEN: usize = 64;

/// Noise generator seed, word w of cell c at index 4 c + w; all zero: that of power-up.
pub const fn noise_seed(index: usize) -> u16 {
    debug_assert!(index < NOISE_SEED_LEN);
    0x1800 + 4 * index as u16
}
/// Elements of [`noise_seed`] in the map.
pub const NOISE_SEED_LEN: usize = 256;

/// Sum of the cell's codes, signed 64 bit: low word at 2 c, high word at 2 c + 1. Read only.
pub const fn sum(index: usize) -> u16 {
    debug_assert!(index < SUM_LEN);
    0x2000 + 4 * index as u16
}
/// Elements of [`sum`] in the map.
pub const SUM_LEN: usize = 128;

/// Sum of the pair's code products, signed 64 bit: low word at 2 p, high word at 2 p + 1. Read only.
pub const fn product(index: usize) -> u16 {
    debug_assert!(index < PRODUCT_LEN);
    0x2400 + 4 * index as u16
}
/// Elements of [`product`] in the map.
pub const PRODUCT_LEN: usize = 1056;

/// Capture FIFO: reads take packed octets, whole frames, whatever the address. Read only.
pub const FIFO: u16 = 0x4000;
/// Octets of the window at [`FIFO`].
pub const FIFO_OCTETS: usize = 0x4000;

/// Factored: a page of the bulk memory, in its first 4096 words; two codes a word, the first one low.
pub const BULK: u16 = 0x8000;
/// Octets of the window at [`BULK`].
pub const BULK_OCTETS: usize = 0x7C00;

/// Number of the microcontroller's board; 0: there is none. Read only.
pub const MCU_BOARD: u16 = 0xFC00;

/// Why the microcontroller last started. Read only.
pub const MCU_START: u16 = 0xFC04;

/// Rate of the counter in which times are told, in hertz. Read only.
pub const MCU_COUNTER_HZ: u16 = 0xFC08;

/// Rate of the tick that paces the firmware, in hertz. Read only.
pub const MCU_TICK_HZ: u16 = 0xFC0C;

/// Ticks that came. Read only.
pub const MCU_TICKS: u16 = 0xFC10;

/// Ticks that did not come. Read only.
pub const MCU_TICKS_LOST: u16 = 0xFC14;

/// Most that a tick came early, in counts. Read only.
pub const MCU_TICK_EARLY: u16 = 0xFC18;

/// Most that a tick came late, in counts. Read only.
pub const MCU_TICK_LATE: u16 = 0xFC1C;

/// Longest piece of work of the main loop, in counts. Read only.
pub const MCU_SERVICE: u16 = 0xFC20;

/// Most octets of the stack that were ever used. Read only.
pub const MCU_STACK_USED: u16 = 0xFC24;

/// Octets of the stack. Read only.
pub const MCU_STACK_SIZE: u16 = 0xFC28;

/// Octets from the host that found no room. Read only.
pub const MCU_RX_OVERRUNS: u16 = 0xFC2C;

/// Most octets from the host that waited. Read only.
pub const MCU_RX_HIGH: u16 = 0xFC30;

/// Most frames seen in the capture memory. Read only.
pub const MCU_FIFO_HIGH: u16 = 0xFC34;

/// Commands to the microcontroller; a bit written as 1 acts once. Write only.
pub const MCU_CONTROL: u16 = 0xFC38;

/// Octets of the report on how the last run ended. Read only.
pub const MCU_REPORT_OCTETS: u16 = 0xFC3C;

/// The report, ASCII: where the firmware panicked, or what fault it met. First character in bits 7:0 of word 0. Read only.
pub const fn mcu_report(index: usize) -> u16 {
    debug_assert!(index < MCU_REPORT_LEN);
    0xFC40 + 4 * index as u16
}
/// Elements of [`mcu_report`] in the map.
pub const MCU_REPORT_LEN: usize = 28;

/// Fields of [`MAP_VERSION`].
pub mod map_version {
    /// Lowest bit of `minor`: Changes where registers were added.
    pub const MINOR_SHIFT: u32 = 0;
    /// Unshifted mask of `minor`.
    pub const MINOR_MASK: u32 = 0xFFFF;
    /// Lowest bit of `major`: Changes where old firmware no longer works.
    pub const MAJOR_SHIFT: u32 = 16;
    /// Unshifted mask of `major`.
    pub const MAJOR_MASK: u32 = 0xFFFF;
}

/// Fields of [`BOARD`].
pub mod board {
    /// Lowest bit of `kind`: Kind of the analog board: 1 RLC, 2 RC, 3 factored.
    pub const KIND_SHIFT: u32 = 0;
    /// Unshifted mask of `kind`.
    pub const KIND_MASK: u32 = 0xFFFF;
    /// Lowest bit of `cells`: Number of cells (factored: of nodes that are also sampled at each tick).
    pub const CELLS_SHIFT: u32 = 16;
    /// Unshifted mask of `cells`.
    pub const CELLS_MASK: u32 = 0xFFFF;
}

/// Fields of [`BANKS`].
pub mod banks {
    /// Lowest bit of `self_bits`: Bits of a self-term bank.
    pub const SELF_BITS_SHIFT: u32 = 0;
    /// Unshifted mask of `self_bits`.
    pub const SELF_BITS_MASK: u32 = 0xFF;
    /// Lowest bit of `coupling_bits`: Bits of a coupling bank, without sign.
    pub const COUPLING_BITS_SHIFT: u32 = 8;
    /// Unshifted mask of `coupling_bits`.
    pub const COUPLING_BITS_MASK: u32 = 0xFF;
    /// Couplings have a sign.
    pub const COUPLING_SIGNED: u32 = 1 << 16;
    /// Lowest bit of `storage_bits`: Bits of a storage bank; 0 where the kind has none.
    pub const STORAGE_BITS_SHIFT: u32 = 24;
    /// Unshifted mask of `storage_bits`.
    pub const STORAGE_BITS_MASK: u32 = 0xFF;
}

/// Fields of [`CONVERTERS`].
pub mod converters {
    /// Lowest bit of `dac_bits`: Bits of the noise and bias DAC codes.
    pub const DAC_BITS_SHIFT: u32 = 0;
    /// Unshifted mask of `dac_bits`.
    pub const DAC_BITS_MASK: u32 = 0xFF;
    /// Lowest bit of `adc_bits`: Bits of an ADC code, N.
    pub const ADC_BITS_SHIFT: u32 = 8;
    /// Unshifted mask of `adc_bits`.
    pub const ADC_BITS_MASK: u32 = 0xFF;
    /// Lowest bit of `sample_bits`: Bits of a packed sample, N', 12 or 16.
    pub const SAMPLE_BITS_SHIFT: u32 = 16;
    /// Unshifted mask of `sample_bits`.
    pub const SAMPLE_BITS_MASK: u32 = 0xFF;
    /// Lowest bit of `control_bits`: Control bits of a packed sample, CS.
    pub const CONTROL_BITS_SHIFT: u32 = 24;
    /// Unshifted mask of `control_bits`.
    pub const CONTROL_BITS_MASK: u32 = 0xF;
    /// Lowest bit of `samples_per_frame`: Samples of a converter in a frame, S.
    pub const SAMPLES_PER_FRAME_SHIFT: u32 = 28;
    /// Unshifted mask of `samples_per_frame`.
    pub const SAMPLES_PER_FRAME_MASK: u32 = 0xF;
}

/// Fields of [`ARRAY_BITS`].
pub mod array_bits {
    /// Lowest bit of `code_bits`: Bits of a code of J, H or J transposed, sign included.
    pub const CODE_BITS_SHIFT: u32 = 0;
    /// Unshifted mask of `code_bits`.
    pub const CODE_BITS_MASK: u32 = 0xFF;
    /// Lowest bit of `damping_bits`: Bits of the damping code, unsigned.
    pub const DAMPING_BITS_SHIFT: u32 = 8;
    /// Unshifted mask of `damping_bits`.
    pub const DAMPING_BITS_MASK: u32 = 0xFF;
}

/// Fields of [`CONTROL`].
pub mod control {
    /// Clears counters, moments and FIFO, then runs the sequencer.
    pub const START: u32 = 1 << 0;
    /// Stops the sequencer; what was measured stays readable.
    pub const ABORT: u32 = 1 << 1;
    /// Bank, gain and bias registers become active.
    pub const APPLY: u32 = 1 << 2;
    /// Seed registers are loaded into the noise generators.
    pub const RESEED: u32 = 1 << 3;
    /// Cells go to 0 V and 0 A.
    pub const DISCHARGE: u32 = 1 << 4;
    /// Empties the FIFO.
    pub const FIFO_CLEAR: u32 = 1 << 5;
    /// Writable registers to reset values, sequencer idle, FIFO empty.
    pub const SOFT_RESET: u32 = 1 << 6;
    /// Factored: nodes take the voltages of the bulk region `initial`.
    pub const INITIALISE: u32 = 1 << 7;
}

/// Fields of [`MODE`].
pub mod mode {
    /// Kept frames enter the capture memory.
    pub const STREAM: u32 = 1 << 0;
    /// Kept ticks are added to the moments.
    pub const MOMENTS: u32 = 1 << 1;
    /// A full capture memory loses frames (counted) instead of stalling the tick.
    pub const REALTIME: u32 = 1 << 2;
    /// A test pattern replaces the ADC codes.
    pub const PATTERN: u32 = 1 << 3;
}

/// Fields of [`ARRAY_RANGE`].
pub mod array_range {
    /// Lowest bit of `input`: The input DACs' full scale is divided by 2 to this power.
    pub const INPUT_SHIFT: u32 = 0;
    /// Unshifted mask of `input`.
    pub const INPUT_MASK: u32 = 0xF;
    /// Lowest bit of `noise`: The noise DACs' full scale is divided by 2 to this power.
    pub const NOISE_SHIFT: u32 = 8;
    /// Unshifted mask of `noise`.
    pub const NOISE_MASK: u32 = 0xF;
}

/// Fields of [`BULK_PAGE`].
pub mod bulk_page {
    /// Lowest bit of `page`: Page of 4096 words.
    pub const PAGE_SHIFT: u32 = 0;
    /// Unshifted mask of `page`.
    pub const PAGE_MASK: u32 = 0x00FF_FFFF;
    /// Lowest bit of `region`: Region: 0 J, 1 H, 2 J transposed, 3 input, 4 initial, 5 state (read only).
    pub const REGION_SHIFT: u32 = 24;
    /// Unshifted mask of `region`.
    pub const REGION_MASK: u32 = 0xFF;
}

/// Fields of [`STATUS`].
pub mod status {
    /// Lowest bit of `state`: State of the sequencer.
    pub const STATE_SHIFT: u32 = 0;
    /// Unshifted mask of `state`.
    pub const STATE_MASK: u32 = 0x7;
    /// Value of `state`: Nothing was started.
    pub const STATE_IDLE: u32 = 0;
    /// Value of `state`: Bank switches are being set.
    pub const STATE_PROGRAM: u32 = 1;
    /// Value of `state`: Waiting for the cells to settle.
    pub const STATE_SETTLE: u32 = 2;
    /// Value of `state`: Sampling.
    pub const STATE_ACQUIRE: u32 = 3;
    /// Value of `state`: All ticks were kept.
    pub const STATE_DONE: u32 = 4;
    /// Value of `state`: Stopped by `abort`.
    pub const STATE_ABORTED: u32 = 5;
    /// The tick waits for room in the capture memory.
    pub const STALLED: u32 = 1 << 8;
    /// Frames were lost since the start.
    pub const OVERRUN: u32 = 1 << 9;
    /// The FIFO holds no whole frame.
    pub const FIFO_EMPTY: u32 = 1 << 10;
}

/// Fields of [`MCU_START`].
pub mod mcu_start {
    /// Lowest bit of `cause`: Cause of the last start.
    pub const CAUSE_SHIFT: u32 = 0;
    /// Unshifted mask of `cause`.
    pub const CAUSE_MASK: u32 = 0xFF;
    /// Value of `cause`: Power came on.
    pub const CAUSE_POWER_ON: u32 = 1;
    /// Value of `cause`: The host asked for a reset.
    pub const CAUSE_REQUESTED: u32 = 2;
    /// Value of `cause`: The firmware panicked.
    pub const CAUSE_PANIC: u32 = 3;
    /// Value of `cause`: The processor met a fault.
    pub const CAUSE_FAULT: u32 = 4;
    /// Value of `cause`: The watchdog, the reset pin or a debugger.
    pub const CAUSE_WATCHDOG: u32 = 5;
    /// Value of `cause`: The supply dipped.
    pub const CAUSE_BROWN_OUT: u32 = 6;
    /// Lowest bit of `starts`: Starts since power came on, before this one.
    pub const STARTS_SHIFT: u32 = 8;
    /// Unshifted mask of `starts`.
    pub const STARTS_MASK: u32 = 0x00FF_FFFF;
}

/// Fields of [`MCU_CONTROL`].
pub mod mcu_control {
    /// The report has been read: its length becomes 0.
    pub const CLEAR_REPORT: u32 = 1 << 0;
    /// Early, late, service and high-water marks start afresh.
    pub const CLEAR_TIMING: u32 = 1 << 1;
}

/// The whole map, by ascending address.
pub static MAP: &[Register] = &[
    Register {
        name: text("MAGIC"),
        address: 0x0000,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0x5350_5546,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Fixed word of this register map, ASCII `SPUF`"),
    },
    Register {
        name: text("MAP_VERSION"),
        address: 0x0004,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0x0001_0002,
        fields: &[
            Field {
                name: text("minor"),
                shift: 0,
                width: 16,
                doc: text("Changes where registers were added."),
            },
            Field {
                name: text("major"),
                shift: 16,
                width: 16,
                doc: text("Changes where old firmware no longer works."),
            },
        ],
        mcu: false,
        doc: text("Version of this register map"),
    },
    Register {
        name: text("GATEWARE_ID"),
        address: 0x0008,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Identity of the gateware's build"),
    },
    Register {
        name: text("BOARD"),
        address: 0x000C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: text("kind"),
                shift: 0,
                width: 16,
                doc: text("Kind of the analog board: 1 RLC, 2 RC, 3 factored."),
            },
            Field {
                name: text("cells"),
                shift: 16,
                width: 16,
                doc: text(
                    "Number of cells (factored: of nodes that are also sampled at each tick).",
                ),
            },
        ],
        mcu: false,
        doc: text("Kind and size of the analog board"),
    },
    Register {
        name: text("BANKS"),
        address: 0x0010,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: text("self_bits"),
                shift: 0,
                width: 8,
                doc: text("Bits of a self-term bank."),
            },
            Field {
                name: text("coupling_bits"),
                shift: 8,
                width: 8,
                doc: text("Bits of a coupling bank, without sign."),
            },
            Field {
                name: text("coupling_signed"),
                shift: 16,
                width: 1,
                doc: text("Couplings have a sign."),
            },
            Field {
                name: text("storage_bits"),
                shift: 24,
                width: 8,
                doc: text("Bits of a storage bank; 0 where the kind has none."),
            },
        ],
        mcu: false,
        doc: text("Switched banks"),
    },
    Register {
        name: text("CONVERTERS"),
        address: 0x0014,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: text("dac_bits"),
                shift: 0,
                width: 8,
                doc: text("Bits of the noise and bias DAC codes."),
            },
            Field {
                name: text("adc_bits"),
                shift: 8,
                width: 8,
                doc: text("Bits of an ADC code, N."),
            },
            Field {
                name: text("sample_bits"),
                shift: 16,
                width: 8,
                doc: text("Bits of a packed sample, N', 12 or 16."),
            },
            Field {
                name: text("control_bits"),
                shift: 24,
                width: 4,
                doc: text("Control bits of a packed sample, CS."),
            },
            Field {
                name: text("samples_per_frame"),
                shift: 28,
                width: 4,
                doc: text("Samples of a converter in a frame, S."),
            },
        ],
        mcu: false,
        doc: text("Converters and sample packing (JESD204B transport layer)"),
    },
    Register {
        name: text("SAMPLE_CLOCK_HZ"),
        address: 0x0018,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Sample clock, in hertz"),
    },
    Register {
        name: text("CAPTURE_FRAMES"),
        address: 0x001C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Frames that the capture memory holds"),
    },
    Register {
        name: text("SERIAL_LO"),
        address: 0x0020,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Serial number, low word"),
    },
    Register {
        name: text("SERIAL_HI"),
        address: 0x0024,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Serial number, high word"),
    },
    Register {
        name: text("CALIBRATION_ID_LO"),
        address: 0x0028,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Content hash of the calibration, low word; 0 in both: none"),
    },
    Register {
        name: text("CALIBRATION_ID_HI"),
        address: 0x002C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Content hash of the calibration, high word"),
    },
    Register {
        name: text("PROFILE_NAME"),
        address: 0x0030,
        count: 4,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Profile name, ASCII, zero padded"),
    },
    Register {
        name: text("NOISE_RMS"),
        address: 0x0040,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal rms of the noise generator's code before the gain, binary32"),
    },
    Register {
        name: text("R_OHM"),
        address: 0x0044,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal parallel resistance of a cell, in ohms, binary32"),
    },
    Register {
        name: text("L_HENRY"),
        address: 0x0048,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal inductance of a cell, in henries (RC: 0), binary32"),
    },
    Register {
        name: text("SELF_LSB_FARAD"),
        address: 0x004C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal self-term bank LSB, in farads (RC: in siemens), binary32"),
    },
    Register {
        name: text("COUPLING_LSB_FARAD"),
        address: 0x0050,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal coupling bank LSB, in farads (RC: in siemens), binary32"),
    },
    Register {
        name: text("STRAY_FARAD"),
        address: 0x0054,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal stray capacitance of a cell to ground, in farads, binary32"),
    },
    Register {
        name: text("DAC_LSB_AMPERE"),
        address: 0x0058,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal DAC LSB, in amperes, binary32"),
    },
    Register {
        name: text("ADC_LSB_VOLT"),
        address: 0x005C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal ADC LSB, in volts, binary32"),
    },
    Register {
        name: text("DRIVE_SPREAD"),
        address: 0x0060,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Stated relative spread (1 sigma) of the drive gain, binary32"),
    },
    Register {
        name: text("BANK_SPREAD"),
        address: 0x0064,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Stated relative spread (1 sigma) of bank elements, binary32"),
    },
    Register {
        name: text("ADC_GAIN_SPREAD"),
        address: 0x0068,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Stated relative spread (1 sigma) of the converter gain, binary32"),
    },
    Register {
        name: text("R_SPREAD"),
        address: 0x006C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Stated relative spread (1 sigma) of resistance, binary32"),
    },
    Register {
        name: text("L_SPREAD"),
        address: 0x0070,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Stated relative spread (1 sigma) of inductance, binary32"),
    },
    Register {
        name: text("STREAM_FRAMES_PER_S"),
        address: 0x0074,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Largest sustained rate of raw frames, per second; 0: sample clock"),
    },
    Register {
        name: text("STORAGE_LSB_FARAD"),
        address: 0x0078,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Nominal storage bank LSB, in farads (RC only), binary32"),
    },
    Register {
        name: text("SCRATCH"),
        address: 0x0080,
        count: 4,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Free words for bus tests"),
    },
    Register {
        name: text("ARRAY_ROWS_MAX"),
        address: 0x00A0,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: most rows of the arrays J and H"),
    },
    Register {
        name: text("ARRAY_COLUMNS_MAX"),
        address: 0x00A4,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: most columns of the array J, that is nodes"),
    },
    Register {
        name: text("ARRAY_BITS"),
        address: 0x00A8,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: text("code_bits"),
                shift: 0,
                width: 8,
                doc: text("Bits of a code of J, H or J transposed, sign included."),
            },
            Field {
                name: text("damping_bits"),
                shift: 8,
                width: 8,
                doc: text("Bits of the damping code, unsigned."),
            },
        ],
        mcu: false,
        doc: text("Factored: bits of the arrays"),
    },
    Register {
        name: text("NODE_FARAD"),
        address: 0x00AC,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: nominal capacitance of a node, in farads, binary32"),
    },
    Register {
        name: text("CONTROL"),
        address: 0x0100,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Wo,
        reset: 0,
        fields: &[
            Field {
                name: text("start"),
                shift: 0,
                width: 1,
                doc: text("Clears counters, moments and FIFO, then runs the sequencer."),
            },
            Field {
                name: text("abort"),
                shift: 1,
                width: 1,
                doc: text("Stops the sequencer; what was measured stays readable."),
            },
            Field {
                name: text("apply"),
                shift: 2,
                width: 1,
                doc: text("Bank, gain and bias registers become active."),
            },
            Field {
                name: text("reseed"),
                shift: 3,
                width: 1,
                doc: text("Seed registers are loaded into the noise generators."),
            },
            Field {
                name: text("discharge"),
                shift: 4,
                width: 1,
                doc: text("Cells go to 0 V and 0 A."),
            },
            Field { name: text("fifo_clear"), shift: 5, width: 1, doc: text("Empties the FIFO.") },
            Field {
                name: text("soft_reset"),
                shift: 6,
                width: 1,
                doc: text("Writable registers to reset values, sequencer idle, FIFO empty."),
            },
            Field {
                name: text("initialise"),
                shift: 7,
                width: 1,
                doc: text("Factored: nodes take the voltages of the bulk region `initial`."),
            },
        ],
        mcu: false,
        doc: text("Commands; a bit written as 1 acts once"),
    },
    Register {
        name: text("MODE"),
        address: 0x0104,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[
            Field {
                name: text("stream"),
                shift: 0,
                width: 1,
                doc: text("Kept frames enter the capture memory."),
            },
            Field {
                name: text("moments"),
                shift: 1,
                width: 1,
                doc: text("Kept ticks are added to the moments."),
            },
            Field {
                name: text("realtime"),
                shift: 2,
                width: 1,
                doc: text(
                    "A full capture memory loses frames (counted) instead of stalling the tick.",
                ),
            },
            Field {
                name: text("pattern"),
                shift: 3,
                width: 1,
                doc: text("A test pattern replaces the ADC codes."),
            },
        ],
        mcu: false,
        doc: text("How the sequencer samples"),
    },
    Register {
        name: text("SETTLE"),
        address: 0x0108,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Ticks before the first kept one"),
    },
    Register {
        name: text("DECIMATION"),
        address: 0x010C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("One tick in this many is kept; 0 acts as 1"),
    },
    Register {
        name: text("COUNT"),
        address: 0x0110,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Ticks to keep; 0 acts as 1"),
    },
    Register {
        name: text("ARRAY_ROWS"),
        address: 0x0120,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: rows in use; a new number opens every switch"),
    },
    Register {
        name: text("ARRAY_COLUMNS"),
        address: 0x0124,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: columns in use, that is nodes; a new number opens every switch"),
    },
    Register {
        name: text("ARRAY_DAMPING"),
        address: 0x0128,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: code of the resistor from each node to ground, unsigned"),
    },
    Register {
        name: text("ARRAY_RANGE"),
        address: 0x012C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[
            Field {
                name: text("input"),
                shift: 0,
                width: 4,
                doc: text("The input DACs' full scale is divided by 2 to this power."),
            },
            Field {
                name: text("noise"),
                shift: 8,
                width: 4,
                doc: text("The noise DACs' full scale is divided by 2 to this power."),
            },
        ],
        mcu: false,
        doc: text("Factored: ranges of the drive"),
    },
    Register {
        name: text("ARRAY_NOISE_GAIN"),
        address: 0x0130,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Factored: noise gain of every node, in 1/4096, unsigned 16 bit"),
    },
    Register {
        name: text("BULK_PAGE"),
        address: 0x0134,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[
            Field { name: text("page"), shift: 0, width: 24, doc: text("Page of 4096 words.") },
            Field {
                name: text("region"),
                shift: 24,
                width: 8,
                doc: text(
                    "Region: 0 J, 1 H, 2 J transposed, 3 input, 4 initial, 5 state (read only).",
                ),
            },
        ],
        mcu: false,
        doc: text("What of the bulk memory is in the window BULK"),
    },
    Register {
        name: text("STATUS"),
        address: 0x0180,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field { name: text("state"), shift: 0, width: 3, doc: text("State of the sequencer.") },
            Field {
                name: text("stalled"),
                shift: 8,
                width: 1,
                doc: text("The tick waits for room in the capture memory."),
            },
            Field {
                name: text("overrun"),
                shift: 9,
                width: 1,
                doc: text("Frames were lost since the start."),
            },
            Field {
                name: text("fifo_empty"),
                shift: 10,
                width: 1,
                doc: text("The FIFO holds no whole frame."),
            },
        ],
        mcu: false,
        doc: text("State of the sequencer and the FIFO"),
    },
    Register {
        name: text("FIFO_FRAMES"),
        address: 0x0184,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Whole frames in the FIFO"),
    },
    Register {
        name: text("KEPT"),
        address: 0x0188,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Ticks kept since the start, lost ones included"),
    },
    Register {
        name: text("LOST"),
        address: 0x018C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Kept frames lost since the start"),
    },
    Register {
        name: text("TICKS_LO"),
        address: 0x0190,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Ticks run since the start, settling included, low word"),
    },
    Register {
        name: text("TICKS_HI"),
        address: 0x0194,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Ticks run since the start, high word as of the last read of the low word"),
    },
    Register {
        name: text("SATURATED"),
        address: 0x0200,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Kept ticks of the cell whose code was at full scale; stops at 2^32 - 1"),
    },
    Register {
        name: text("SELF_BANK"),
        address: 0x0400,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Self-term bank code, unsigned"),
    },
    Register {
        name: text("COUPLING_BANK"),
        address: 0x0800,
        count: 512,
        stride: 4,
        extent: Extent::Couplings(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Coupling bank code, signed"),
    },
    Register {
        name: text("NOISE_GAIN"),
        address: 0x1000,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Noise gain, in 1/4096, unsigned 16 bit"),
    },
    Register {
        name: text("BIAS"),
        address: 0x1100,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Bias DAC code, signed"),
    },
    Register {
        name: text("STORAGE"),
        address: 0x1200,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Storage bank code, unsigned (RC: the capacitance of the cell)"),
    },
    Register {
        name: text("INITIAL"),
        address: 0x1300,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Reserved: initial state of later kinds"),
    },
    Register {
        name: text("ADC_OFFSET"),
        address: 0x1400,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Calibration memory: ADC code at 0 V, binary32; kept for the host, not applied"),
    },
    Register {
        name: text("ADC_GAIN"),
        address: 0x1500,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text(
            "Calibration memory: ADC gain in codes per volt, binary32; kept for the host, not applied",
        ),
    },
    Register {
        name: text("NOISE_SEED"),
        address: 0x1800,
        count: 256,
        stride: 4,
        extent: Extent::Cells(4),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text(
            "Noise generator seed, word w of cell c at index 4 c + w; all zero: that of power-up",
        ),
    },
    Register {
        name: text("SUM"),
        address: 0x2000,
        count: 128,
        stride: 4,
        extent: Extent::Cells(2),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text("Sum of the cell's codes, signed 64 bit: low word at 2 c, high word at 2 c + 1"),
    },
    Register {
        name: text("PRODUCT"),
        address: 0x2400,
        count: 1056,
        stride: 4,
        extent: Extent::Products(2),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: false,
        doc: text(
            "Sum of the pair's code products, signed 64 bit: low word at 2 p, high word at 2 p + 1",
        ),
    },
    Register {
        name: text("FIFO"),
        address: 0x4000,
        count: 4096,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[],
        mcu: false,
        doc: text("Capture FIFO: reads take packed octets, whole frames, whatever the address"),
    },
    Register {
        name: text("BULK"),
        address: 0x8000,
        count: 7936,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[],
        mcu: false,
        doc: text(
            "Factored: a page of the bulk memory, in its first 4096 words; two codes a word, the first one low",
        ),
    },
    Register {
        name: text("MCU_BOARD"),
        address: 0xFC00,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Number of the microcontroller's board; 0: there is none"),
    },
    Register {
        name: text("MCU_START"),
        address: 0xFC04,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: text("cause"),
                shift: 0,
                width: 8,
                doc: text("Cause of the last start."),
            },
            Field {
                name: text("starts"),
                shift: 8,
                width: 24,
                doc: text("Starts since power came on, before this one."),
            },
        ],
        mcu: true,
        doc: text("Why the microcontroller last started"),
    },
    Register {
        name: text("MCU_COUNTER_HZ"),
        address: 0xFC08,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Rate of the counter in which times are told, in hertz"),
    },
    Register {
        name: text("MCU_TICK_HZ"),
        address: 0xFC0C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Rate of the tick that paces the firmware, in hertz"),
    },
    Register {
        name: text("MCU_TICKS"),
        address: 0xFC10,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Ticks that came"),
    },
    Register {
        name: text("MCU_TICKS_LOST"),
        address: 0xFC14,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Ticks that did not come"),
    },
    Register {
        name: text("MCU_TICK_EARLY"),
        address: 0xFC18,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Most that a tick came early, in counts"),
    },
    Register {
        name: text("MCU_TICK_LATE"),
        address: 0xFC1C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Most that a tick came late, in counts"),
    },
    Register {
        name: text("MCU_SERVICE"),
        address: 0xFC20,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Longest piece of work of the main loop, in counts"),
    },
    Register {
        name: text("MCU_STACK_USED"),
        address: 0xFC24,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Most octets of the stack that were ever used"),
    },
    Register {
        name: text("MCU_STACK_SIZE"),
        address: 0xFC28,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Octets of the stack"),
    },
    Register {
        name: text("MCU_RX_OVERRUNS"),
        address: 0xFC2C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Octets from the host that found no room"),
    },
    Register {
        name: text("MCU_RX_HIGH"),
        address: 0xFC30,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Most octets from the host that waited"),
    },
    Register {
        name: text("MCU_FIFO_HIGH"),
        address: 0xFC34,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Most frames seen in the capture memory"),
    },
    Register {
        name: text("MCU_CONTROL"),
        address: 0xFC38,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Wo,
        reset: 0,
        fields: &[
            Field {
                name: text("clear_report"),
                shift: 0,
                width: 1,
                doc: text("The report has been read: its length becomes 0."),
            },
            Field {
                name: text("clear_timing"),
                shift: 1,
                width: 1,
                doc: text("Early, late, service and high-water marks start afresh."),
            },
        ],
        mcu: true,
        doc: text("Commands to the microcontroller; a bit written as 1 acts once"),
    },
    Register {
        name: text("MCU_REPORT_OCTETS"),
        address: 0xFC3C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("Octets of the report on how the last run ended"),
    },
    Register {
        name: text("MCU_REPORT"),
        address: 0xFC40,
        count: 28,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: text("value"), shift: 0, width: 32, doc: text("") }],
        mcu: true,
        doc: text("The report, ASCII: where the firmware panicked, or what fault it met"),
    },
];
