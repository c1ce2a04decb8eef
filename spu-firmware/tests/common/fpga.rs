//! A small FPGA at register level, behind the SPI octets: written for these tests, with a
//! scripted sequencer and faults. Not the simulator's.

use std::collections::{BTreeMap, VecDeque};

use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};
use spu_protocol::code::{AdcCode, full_scale_code};
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::acquire::product_count;
use spu_protocol::regs::{self, Access, control, mode, status};

/// What can be broken.
#[derive(Debug, Default, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "independent faults")]
pub struct Faults {
    /// Bus transactions that still work; `None`: all.
    pub bus_after: Option<u64>,
    /// The sequencer does not advance.
    pub stuck: bool,
    /// `abort` does nothing.
    pub deaf: bool,
    /// Bits of scratch register 2 that stay low.
    pub scratch_low: u32,
    /// Bits of every self-term bank that stay low.
    pub bank_low: u32,
    /// One bit of frame 100 flips in the capture memory.
    pub flip_frame: bool,
    /// Added to the first sum.
    pub sum_error: i64,
    /// A cell whose noise does not reach the converter.
    pub dead_cell: Option<usize>,
    /// STATUS reads as a state of no map.
    pub unknown_state: bool,
}

pub struct Fpga {
    pub cells: usize,
    pub capture_frames: usize,
    /// Ticks that pass at each look at STATUS.
    pub quantum: u64,
    /// Looks that the sequencer stays in its first state.
    pub program_looks: u32,
    pub faults: Faults,
    /// Register writes (not SPI transactions), in order.
    pub writes: Vec<(u16, u32)>,
    pub transactions: u64,
    words: Vec<u32>,
    format: FrameFormat,
    fifo: VecDeque<u8>,
    state: u32,
    program_left: u32,
    stalled: bool,
    pub ticks: u64,
    kept: u32,
    lost: u32,
    latched: u32,
    sums: Vec<i64>,
    products: Vec<i64>,
    active_gain: Vec<u32>,
    random: u64,
    /// Bulk memory: by page register and place in the window.
    pub bulk: BTreeMap<(u32, u16), u32>,
}

pub const GATEWARE_ID: u32 = 0xC0FF_EE01;
pub const SERIAL: u64 = 0x0123_4567_89AB_CDEF;

impl Fpga {
    /// `word_bits`: N′. Converters have one bit for the over-range flag if N′ is 16, else none.
    pub fn new(cells: usize, word_bits: u8) -> Self {
        let (adc_bits, control_bits) = if word_bits == 16 { (14, 1) } else { (12, 0) };
        let mut words = vec![0; 0x1_0000 / 4];
        let mut set = |address: u16, word: u32| words[usize::from(address / 4)] = word;
        set(regs::MAGIC, regs::MAGIC_VALUE);
        set(regs::MAP_VERSION, regs::MAP_VERSION_VALUE);
        set(regs::GATEWARE_ID, GATEWARE_ID);
        set(regs::BOARD, 1 | (cells as u32) << 16);
        set(regs::BANKS, 4 | 6 << 8 | regs::banks::COUPLING_SIGNED);
        let converters = 0x0E | u32::from(adc_bits) << 8 | u32::from(word_bits) << 16;
        set(regs::CONVERTERS, converters | u32::from(control_bits) << 24 | 1 << 28);
        set(regs::SAMPLE_CLOCK_HZ, 12_000_000);
        set(regs::CAPTURE_FRAMES, 1024);
        set(regs::SERIAL_LO, SERIAL as u32);
        set(regs::SERIAL_HI, (SERIAL >> 32) as u32);
        set(regs::profile_name(0), u32::from_le_bytes(*b"test"));
        set(regs::R_OHM, 1500.0_f32.to_bits());
        Self {
            cells,
            capture_frames: 1024,
            quantum: 64,
            program_looks: 1,
            faults: Faults::default(),
            writes: Vec::new(),
            transactions: 0,
            words,
            format: FrameFormat::new(cells, 1, adc_bits, word_bits, control_bits).unwrap(),
            fifo: VecDeque::new(),
            state: status::STATE_IDLE,
            program_left: 0,
            stalled: false,
            ticks: 0,
            kept: 0,
            lost: 0,
            latched: 0,
            sums: vec![0; cells],
            products: vec![0; product_count(cells)],
            active_gain: vec![0; cells],
            random: 1,
            bulk: BTreeMap::new(),
        }
    }

    /// Makes it a factored board with so many rows and columns in use.
    pub fn factored(mut self, rows: u32, columns: u32) -> Self {
        self.set_word(regs::BOARD, 3 | 1 << 16);
        self.set_word(regs::BANKS, 0);
        self.set_word(regs::ARRAY_ROWS, rows);
        self.set_word(regs::ARRAY_COLUMNS, columns);
        self
    }

    /// Makes it an RC board, with storage banks of 8 bits.
    pub fn rc(mut self) -> Self {
        self.set_word(regs::BOARD, 2 | (self.cells as u32) << 16);
        let banks = self.word(regs::BANKS) | 8 << regs::banks::STORAGE_BITS_SHIFT;
        self.set_word(regs::BANKS, banks);
        self
    }

    pub fn word(&self, address: u16) -> u32 {
        self.words[usize::from(address / 4)]
    }

    pub fn set_word(&mut self, address: u16, word: u32) {
        self.words[usize::from(address / 4)] = word;
    }

    pub fn format(&self) -> FrameFormat {
        self.format
    }

    pub fn state(&self) -> u32 {
        self.state
    }

    pub fn is_running(&self) -> bool {
        (status::STATE_PROGRAM..=status::STATE_ACQUIRE).contains(&self.state)
    }

    /// Code of kept tick `kept` in `cell`: distinct for neighbours, both signs.
    pub fn sample(&self, kept: u32, cell: usize) -> AdcCode {
        let bits = u32::from(self.format.sample_bits());
        let number = (kept.wrapping_mul(self.cells as u32) + cell as u32) << (32 - bits);
        let full_scale = full_scale_code(bits as u8);
        AdcCode(((number as i32 >> (32 - bits)) as i16).clamp(-full_scale, full_scale))
    }

    fn frame(&mut self) -> Vec<AdcCode> {
        let noisy = self.word(regs::MODE) & mode::PATTERN == 0
            && self.active_gain.iter().any(|gain| *gain > 0);
        let quiet = self.word(regs::MODE) & (mode::PATTERN | mode::STREAM) == 0 && !noisy;
        (0..self.cells)
            .map(|cell| {
                if noisy {
                    self.random =
                        self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let noise = (self.random >> 40) as i16 % 500;
                    AdcCode(if self.faults.dead_cell == Some(cell) { 3 } else { noise })
                } else if quiet {
                    AdcCode(3)
                } else {
                    self.sample(self.kept, cell)
                }
            })
            .collect()
    }

    fn keep(&mut self) {
        let codes = self.frame();
        let mode = self.word(regs::MODE);
        let full_scale = full_scale_code(self.format.sample_bits());
        let over: Vec<u8> = codes.iter().map(|code| u8::from(code.0.abs() == full_scale)).collect();
        for (cell, over) in over.iter().enumerate() {
            let address = regs::saturated(cell);
            self.set_word(address, self.word(address) + u32::from(*over));
        }
        if mode & mode::MOMENTS != 0 {
            let mut pair = 0;
            for i in 0..self.cells {
                self.sums[i] += i64::from(codes[i].0);
                for j in i..self.cells {
                    self.products[pair] += i64::from(codes[i].0) * i64::from(codes[j].0);
                    pair += 1;
                }
            }
        }
        if mode & mode::STREAM != 0 {
            if self.fifo_frames() == self.capture_frames {
                self.lost += 1;
            } else {
                let mut packed = vec![0; self.format.frame_octets()];
                self.format.pack(&codes, &over, &mut packed).unwrap();
                if self.faults.flip_frame && self.kept == 100 {
                    packed[3] ^= 0x10;
                }
                self.fifo.extend(packed);
            }
        }
        self.kept += 1;
    }

    pub fn fifo_frames(&self) -> usize {
        self.fifo.len() / self.format.frame_octets()
    }

    fn advance(&mut self) {
        if !self.is_running() || self.faults.stuck {
            return;
        }
        if self.program_left > 0 {
            self.program_left -= 1;
            return;
        }
        let mode = self.word(regs::MODE);
        let settle = u64::from(self.word(regs::SETTLE));
        let decimation = u64::from(self.word(regs::DECIMATION).max(1));
        let lockstep = mode & mode::STREAM != 0 && mode & mode::REALTIME == 0;
        for _ in 0..self.quantum {
            let kept = self.ticks >= settle && (self.ticks - settle).is_multiple_of(decimation);
            self.stalled = kept && lockstep && self.fifo_frames() == self.capture_frames;
            if self.stalled {
                return;
            }
            self.ticks += 1;
            if kept {
                self.keep();
                if self.kept == self.word(regs::COUNT).max(1) {
                    self.state = status::STATE_DONE;
                    return;
                }
            }
            self.state =
                if self.ticks < settle { status::STATE_SETTLE } else { status::STATE_ACQUIRE };
        }
    }

    fn control(&mut self, word: u32) {
        if word & control::SOFT_RESET != 0 {
            for register in regs::MAP {
                if register.access == Access::Rw && register.address < regs::FIFO {
                    for index in 0..register.count {
                        self.set_word(register.address + 4 * index, register.reset);
                    }
                }
            }
            if !self.faults.deaf {
                self.state = status::STATE_IDLE;
            }
            self.fifo.clear();
        }
        if word & control::ABORT != 0 && self.is_running() && !self.faults.deaf {
            self.state = status::STATE_ABORTED;
            self.stalled = false;
        }
        if word & control::FIFO_CLEAR != 0 {
            self.fifo.clear();
        }
        if word & control::APPLY != 0 {
            self.active_gain =
                (0..self.cells).map(|cell| self.word(regs::noise_gain(cell))).collect();
        }
        if word & control::START != 0 {
            self.state = status::STATE_PROGRAM;
            self.program_left = self.program_looks;
            self.stalled = false;
            (self.ticks, self.kept, self.lost) = (0, 0, 0);
            self.fifo.clear();
            self.sums.fill(0);
            self.products.fill(0);
            for cell in 0..self.cells {
                self.set_word(regs::saturated(cell), 0);
            }
        }
    }

    fn read(&mut self, address: u16) -> u32 {
        let long = |values: &[i64], at: usize| {
            let value = values.get(at / 2).copied().unwrap_or(0);
            if at.is_multiple_of(2) { value as u32 } else { (value >> 32) as u32 }
        };
        let Some((register, index)) = regs::find(address) else {
            return 0;
        };
        if register.address == regs::BULK {
            let place = (self.word(regs::BULK_PAGE), address - regs::BULK);
            return self.bulk.get(&place).copied().unwrap_or(0);
        }
        match register.address {
            regs::STATUS if self.faults.unknown_state => 7,
            regs::STATUS => {
                self.state
                    | if self.stalled { status::STALLED } else { 0 }
                    | if self.lost > 0 { status::OVERRUN } else { 0 }
                    | if self.fifo.is_empty() { status::FIFO_EMPTY } else { 0 }
            }
            regs::FIFO_FRAMES => self.fifo_frames() as u32,
            regs::KEPT => self.kept,
            regs::LOST => self.lost,
            regs::TICKS_LO => {
                self.latched = (self.ticks >> 32) as u32;
                self.ticks as u32
            }
            regs::TICKS_HI => self.latched,
            regs::CONTROL => 0,
            first if first == regs::sum(0) => long(&self.sums, index).wrapping_add(if index == 0 {
                self.faults.sum_error as u32
            } else {
                0
            }),
            first if first == regs::product(0) => long(&self.products, index),
            _ => self.word(address),
        }
    }

    fn write(&mut self, address: u16, word: u32) {
        self.writes.push((address, word));
        let Some((register, index)) = regs::find(address) else {
            return;
        };
        if register.address == regs::BULK {
            self.bulk.insert((self.word(regs::BULK_PAGE), address - regs::BULK), word);
            return;
        }
        if register.access == Access::Ro || index >= register.len(self.cells) {
            return;
        }
        let word = match register.address {
            regs::CONTROL => return self.control(word),
            first if first == regs::scratch(0) && index == 2 => word & !self.faults.scratch_low,
            first if first == regs::self_bank(0) => word & !self.faults.bank_low,
            _ => word,
        };
        self.set_word(address, word);
    }

    /// Words written to `address` since the last [`Fpga::forget_writes`].
    pub fn written(&self, address: u16) -> Vec<u32> {
        self.writes.iter().filter(|write| write.0 == address).map(|write| write.1).collect()
    }

    pub fn forget_writes(&mut self) {
        self.writes.clear();
    }
}

impl ErrorType for Fpga {
    type Error = ErrorKind;
}

impl SpiDevice<u8> for Fpga {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        self.transactions += 1;
        if let Some(left) = &mut self.faults.bus_after {
            *left = left.checked_sub(1).ok_or(ErrorKind::ModeFault)?;
        }
        let [Operation::Write(command), data] = operations else {
            panic!("a transaction is a command and its data")
        };
        let [direction, high, low, 0] = **command else { panic!("four command octets") };
        let mut address = u16::from_be_bytes([high, low]);
        match (direction, data) {
            (0x80, Operation::Read(out)) if (regs::FIFO..regs::BULK).contains(&address) => {
                assert!(
                    out.len().is_multiple_of(self.format.frame_octets()),
                    "only whole frames leave the FIFO"
                );
                assert!(out.len() <= self.fifo.len(), "the FIFO holds less");
                for octet in out.iter_mut() {
                    *octet = self.fifo.pop_front().unwrap();
                }
            }
            (0x80, Operation::Read(out)) => {
                let (words, []) = out.as_chunks_mut::<4>() else { panic!("whole words") };
                let status = usize::from(regs::STATUS);
                let first = usize::from(address);
                if (first..first + 4 * words.len()).contains(&status) {
                    self.advance();
                }
                for word in words {
                    *word = self.read(address).to_be_bytes();
                    address = address.wrapping_add(4);
                }
            }
            (0x00, Operation::Write(octets)) => {
                let (words, []) = octets.as_chunks::<4>() else { panic!("whole words") };
                for word in words {
                    self.write(address, u32::from_be_bytes(*word));
                    address = address.wrapping_add(4);
                }
            }
            _ => panic!("not a transaction of this bus"),
        }
        Ok(())
    }
}
