//! Register map of the FPGA: addresses, fields and their descriptions.
//!
//! Written by `cargo xtask regs` from `hardware/registers/spu.rdl`; do not edit.
//!
//! Registers are 32 bits wide. A register is a constant with its byte address, an array a function
//! from index to byte address with its capacity in `…_LEN`; a board uses the first
//! [`Register::len`] elements. The module of a register's name holds its fields: `1 << n` for a bit,
//! `…_SHIFT` and the unshifted `…_MASK` for wider ones.

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
    /// Name, lower case.
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
    /// Name, upper case.
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
pub const MAP_VERSION_VALUE: u32 = 0x0001_0000;

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

/// Nominal inductance of a cell, in henries, binary32. Read only.
pub const L_HENRY: u16 = 0x0048;

/// Nominal self-term bank LSB, in farads, binary32. Read only.
pub const SELF_LSB_FARAD: u16 = 0x004C;

/// Nominal coupling bank LSB, in farads, binary32. Read only.
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

/// Free words for bus tests.
pub const fn scratch(index: usize) -> u16 {
    debug_assert!(index < SCRATCH_LEN);
    0x0080 + 4 * index as u16
}
/// Elements of [`scratch`] in the map.
pub const SCRATCH_LEN: usize = 4;

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

/// Reserved: storage capacitor code of later kinds.
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

/// Calibration memory: ADC offset; kept for the host, not applied.
pub const fn adc_offset(index: usize) -> u16 {
    debug_assert!(index < ADC_OFFSET_LEN);
    0x1400 + 4 * index as u16
}
/// Elements of [`adc_offset`] in the map.
pub const ADC_OFFSET_LEN: usize = 64;

/// Calibration memory: ADC gain; kept for the host, not applied.
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

/// Reserved: bulk data of later kinds.
pub const BULK: u16 = 0x8000;
/// Octets of the window at [`BULK`].
pub const BULK_OCTETS: usize = 0x8000;

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
    /// Lowest bit of `cells`: Number of cells.
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

/// The whole map, by ascending address.
pub static MAP: &[Register] = &[
    Register {
        name: "MAGIC",
        address: 0x0000,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0x5350_5546,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Fixed word of this register map, ASCII `SPUF`",
    },
    Register {
        name: "MAP_VERSION",
        address: 0x0004,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0x0001_0000,
        fields: &[
            Field {
                name: "minor",
                shift: 0,
                width: 16,
                doc: "Changes where registers were added.",
            },
            Field {
                name: "major",
                shift: 16,
                width: 16,
                doc: "Changes where old firmware no longer works.",
            },
        ],
        doc: "Version of this register map",
    },
    Register {
        name: "GATEWARE_ID",
        address: 0x0008,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Identity of the gateware's build",
    },
    Register {
        name: "BOARD",
        address: 0x000C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: "kind",
                shift: 0,
                width: 16,
                doc: "Kind of the analog board: 1 RLC, 2 RC, 3 factored.",
            },
            Field { name: "cells", shift: 16, width: 16, doc: "Number of cells." },
        ],
        doc: "Kind and size of the analog board",
    },
    Register {
        name: "BANKS",
        address: 0x0010,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field { name: "self_bits", shift: 0, width: 8, doc: "Bits of a self-term bank." },
            Field {
                name: "coupling_bits",
                shift: 8,
                width: 8,
                doc: "Bits of a coupling bank, without sign.",
            },
            Field { name: "coupling_signed", shift: 16, width: 1, doc: "Couplings have a sign." },
        ],
        doc: "Switched banks",
    },
    Register {
        name: "CONVERTERS",
        address: 0x0014,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field {
                name: "dac_bits",
                shift: 0,
                width: 8,
                doc: "Bits of the noise and bias DAC codes.",
            },
            Field { name: "adc_bits", shift: 8, width: 8, doc: "Bits of an ADC code, N." },
            Field {
                name: "sample_bits",
                shift: 16,
                width: 8,
                doc: "Bits of a packed sample, N', 12 or 16.",
            },
            Field {
                name: "control_bits",
                shift: 24,
                width: 4,
                doc: "Control bits of a packed sample, CS.",
            },
            Field {
                name: "samples_per_frame",
                shift: 28,
                width: 4,
                doc: "Samples of a converter in a frame, S.",
            },
        ],
        doc: "Converters and sample packing (JESD204B transport layer)",
    },
    Register {
        name: "SAMPLE_CLOCK_HZ",
        address: 0x0018,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Sample clock, in hertz",
    },
    Register {
        name: "CAPTURE_FRAMES",
        address: 0x001C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Frames that the capture memory holds",
    },
    Register {
        name: "SERIAL_LO",
        address: 0x0020,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Serial number, low word",
    },
    Register {
        name: "SERIAL_HI",
        address: 0x0024,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Serial number, high word",
    },
    Register {
        name: "CALIBRATION_ID_LO",
        address: 0x0028,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Content hash of the calibration, low word; 0 in both: none",
    },
    Register {
        name: "CALIBRATION_ID_HI",
        address: 0x002C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Content hash of the calibration, high word",
    },
    Register {
        name: "PROFILE_NAME",
        address: 0x0030,
        count: 4,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Profile name, ASCII, zero padded",
    },
    Register {
        name: "NOISE_RMS",
        address: 0x0040,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal rms of the noise generator's code before the gain, binary32",
    },
    Register {
        name: "R_OHM",
        address: 0x0044,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal parallel resistance of a cell, in ohms, binary32",
    },
    Register {
        name: "L_HENRY",
        address: 0x0048,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal inductance of a cell, in henries, binary32",
    },
    Register {
        name: "SELF_LSB_FARAD",
        address: 0x004C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal self-term bank LSB, in farads, binary32",
    },
    Register {
        name: "COUPLING_LSB_FARAD",
        address: 0x0050,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal coupling bank LSB, in farads, binary32",
    },
    Register {
        name: "STRAY_FARAD",
        address: 0x0054,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal stray capacitance of a cell to ground, in farads, binary32",
    },
    Register {
        name: "DAC_LSB_AMPERE",
        address: 0x0058,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal DAC LSB, in amperes, binary32",
    },
    Register {
        name: "ADC_LSB_VOLT",
        address: 0x005C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Nominal ADC LSB, in volts, binary32",
    },
    Register {
        name: "DRIVE_SPREAD",
        address: 0x0060,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Stated relative spread (1 sigma) of the drive gain, binary32",
    },
    Register {
        name: "BANK_SPREAD",
        address: 0x0064,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Stated relative spread (1 sigma) of bank elements, binary32",
    },
    Register {
        name: "ADC_GAIN_SPREAD",
        address: 0x0068,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Stated relative spread (1 sigma) of the converter gain, binary32",
    },
    Register {
        name: "R_SPREAD",
        address: 0x006C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Stated relative spread (1 sigma) of resistance, binary32",
    },
    Register {
        name: "L_SPREAD",
        address: 0x0070,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Stated relative spread (1 sigma) of inductance, binary32",
    },
    Register {
        name: "STREAM_FRAMES_PER_S",
        address: 0x0074,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Largest sustained rate of raw frames, per second; 0: sample clock",
    },
    Register {
        name: "SCRATCH",
        address: 0x0080,
        count: 4,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Free words for bus tests",
    },
    Register {
        name: "CONTROL",
        address: 0x0100,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Wo,
        reset: 0,
        fields: &[
            Field {
                name: "start",
                shift: 0,
                width: 1,
                doc: "Clears counters, moments and FIFO, then runs the sequencer.",
            },
            Field {
                name: "abort",
                shift: 1,
                width: 1,
                doc: "Stops the sequencer; what was measured stays readable.",
            },
            Field {
                name: "apply",
                shift: 2,
                width: 1,
                doc: "Bank, gain and bias registers become active.",
            },
            Field {
                name: "reseed",
                shift: 3,
                width: 1,
                doc: "Seed registers are loaded into the noise generators.",
            },
            Field { name: "discharge", shift: 4, width: 1, doc: "Cells go to 0 V and 0 A." },
            Field { name: "fifo_clear", shift: 5, width: 1, doc: "Empties the FIFO." },
            Field {
                name: "soft_reset",
                shift: 6,
                width: 1,
                doc: "Writable registers to reset values, sequencer idle, FIFO empty.",
            },
        ],
        doc: "Commands; a bit written as 1 acts once",
    },
    Register {
        name: "MODE",
        address: 0x0104,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[
            Field {
                name: "stream",
                shift: 0,
                width: 1,
                doc: "Kept frames enter the capture memory.",
            },
            Field {
                name: "moments",
                shift: 1,
                width: 1,
                doc: "Kept ticks are added to the moments.",
            },
            Field {
                name: "realtime",
                shift: 2,
                width: 1,
                doc: "A full capture memory loses frames (counted) instead of stalling the tick.",
            },
            Field {
                name: "pattern",
                shift: 3,
                width: 1,
                doc: "A test pattern replaces the ADC codes.",
            },
        ],
        doc: "How the sequencer samples",
    },
    Register {
        name: "SETTLE",
        address: 0x0108,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Ticks before the first kept one",
    },
    Register {
        name: "DECIMATION",
        address: 0x010C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "One tick in this many is kept; 0 acts as 1",
    },
    Register {
        name: "COUNT",
        address: 0x0110,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Ticks to keep; 0 acts as 1",
    },
    Register {
        name: "STATUS",
        address: 0x0180,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[
            Field { name: "state", shift: 0, width: 3, doc: "State of the sequencer." },
            Field {
                name: "stalled",
                shift: 8,
                width: 1,
                doc: "The tick waits for room in the capture memory.",
            },
            Field { name: "overrun", shift: 9, width: 1, doc: "Frames were lost since the start." },
            Field {
                name: "fifo_empty",
                shift: 10,
                width: 1,
                doc: "The FIFO holds no whole frame.",
            },
        ],
        doc: "State of the sequencer and the FIFO",
    },
    Register {
        name: "FIFO_FRAMES",
        address: 0x0184,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Whole frames in the FIFO",
    },
    Register {
        name: "KEPT",
        address: 0x0188,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Ticks kept since the start, lost ones included",
    },
    Register {
        name: "LOST",
        address: 0x018C,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Kept frames lost since the start",
    },
    Register {
        name: "TICKS_LO",
        address: 0x0190,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Ticks run since the start, settling included, low word",
    },
    Register {
        name: "TICKS_HI",
        address: 0x0194,
        count: 1,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Ticks run since the start, high word as of the last read of the low word",
    },
    Register {
        name: "SATURATED",
        address: 0x0200,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Kept ticks of the cell whose code was at full scale; stops at 2^32 - 1",
    },
    Register {
        name: "SELF_BANK",
        address: 0x0400,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Self-term bank code, unsigned",
    },
    Register {
        name: "COUPLING_BANK",
        address: 0x0800,
        count: 512,
        stride: 4,
        extent: Extent::Couplings(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Coupling bank code, signed",
    },
    Register {
        name: "NOISE_GAIN",
        address: 0x1000,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Noise gain, in 1/4096, unsigned 16 bit",
    },
    Register {
        name: "BIAS",
        address: 0x1100,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Bias DAC code, signed",
    },
    Register {
        name: "STORAGE",
        address: 0x1200,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Reserved: storage capacitor code of later kinds",
    },
    Register {
        name: "INITIAL",
        address: 0x1300,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Reserved: initial state of later kinds",
    },
    Register {
        name: "ADC_OFFSET",
        address: 0x1400,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Calibration memory: ADC offset; kept for the host, not applied",
    },
    Register {
        name: "ADC_GAIN",
        address: 0x1500,
        count: 64,
        stride: 4,
        extent: Extent::Cells(1),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Calibration memory: ADC gain; kept for the host, not applied",
    },
    Register {
        name: "NOISE_SEED",
        address: 0x1800,
        count: 256,
        stride: 4,
        extent: Extent::Cells(4),
        access: Access::Rw,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Noise generator seed, word w of cell c at index 4 c + w; all zero: that of power-up",
    },
    Register {
        name: "SUM",
        address: 0x2000,
        count: 128,
        stride: 4,
        extent: Extent::Cells(2),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Sum of the cell's codes, signed 64 bit: low word at 2 c, high word at 2 c + 1",
    },
    Register {
        name: "PRODUCT",
        address: 0x2400,
        count: 1056,
        stride: 4,
        extent: Extent::Products(2),
        access: Access::Ro,
        reset: 0,
        fields: &[Field { name: "value", shift: 0, width: 32, doc: "" }],
        doc: "Sum of the pair's code products, signed 64 bit: low word at 2 p, high word at 2 p + 1",
    },
    Register {
        name: "FIFO",
        address: 0x4000,
        count: 4096,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Ro,
        reset: 0,
        fields: &[],
        doc: "Capture FIFO: reads take packed octets, whole frames, whatever the address",
    },
    Register {
        name: "BULK",
        address: 0x8000,
        count: 8192,
        stride: 4,
        extent: Extent::Fixed,
        access: Access::Rw,
        reset: 0,
        fields: &[],
        doc: "Reserved: bulk data of later kinds",
    },
];
