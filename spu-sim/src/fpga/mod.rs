//! The FPGA, register by register and tick by tick.

mod capture;
mod moments;
mod registers;
mod sequencer;
mod spi;

use spu_protocol::code::{AdcCode, full_scale_code};
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::BulkRequest;
use spu_protocol::payload::bulk::Region;
use spu_protocol::regs::{self, Access, bulk_page, control, mode, status};

pub use registers::GATEWARE_ID;
pub use spi::SimSpi;

use crate::converters::Converters;
use crate::dispatch::Dispatch;
use crate::error::{ProfileError, SimError};
use crate::noise::Noise;
use crate::profile::Profile;
use crate::{AdcRow, BLOCK, DacRow, LANES};
use capture::Capture;
use moments::{Accumulate, Moments};
use registers::Registers;
use sequencer::{Run, Sequencer};

/// Ticks between two looks at the sequencer.
const CHUNK: usize = 4 * BLOCK;

/// The digital part of a board over its converters.
///
/// Sampled time advances only in [`advance`](Self::advance), so what is measured does not depend
/// on how often or when the bus looks.
#[derive(Debug, Clone)]
pub struct Fpga<C> {
    registers: Registers,
    converters: C,
    dispatch: Dispatch,
    noise: Noise,
    sequencer: Sequencer,
    capture: Capture,
    moments: Moments,
    /// Mode of the present run.
    mode: u32,
    lost: u32,
    ticks_high: u32,
    full_scale: i16,
    hung: bool,
    /// Ticks that pass while a frame is read, where that takes time.
    read_ticks: Option<f64>,
    /// Part of a tick that has passed.
    passed: f64,
    /// Ticks run since power-up.
    run_ticks: u64,
    dac: Box<[DacRow; CHUNK]>,
    adc: Box<[AdcRow; CHUNK]>,
}

impl<C: Converters> Fpga<C> {
    /// An FPGA after power-up.
    ///
    /// # Errors
    /// [`SimError::Profile`] if samples of the profile's converter cannot be packed as it says.
    pub fn new(
        profile: &Profile,
        serial: u64,
        converters: C,
        dispatch: Dispatch,
    ) -> Result<Self, SimError> {
        let format = FrameFormat::new(
            profile.cell_count(),
            1,
            profile.adc_bits(),
            profile.packing.word_bits.value as u8,
            profile.packing.control_bits.value as u8,
        )
        .map_err(|error| ProfileError::Field {
            file: None,
            field: "packing".to_owned(),
            why: error.to_string(),
        })?;
        let full_scale = full_scale_code(profile.adc_bits());
        let frames = profile.capture.frames.value as usize;
        Ok(Self {
            registers: Registers::new(profile.clone(), serial),
            converters,
            dispatch,
            noise: Noise::new(profile.dac_bits()),
            sequencer: Sequencer::new(),
            capture: Capture::new(format, frames, full_scale),
            moments: Moments::default(),
            mode: 0,
            lost: 0,
            ticks_high: 0,
            full_scale,
            hung: false,
            read_ticks: None,
            passed: 0.0,
            run_ticks: 0,
            dac: Box::new([DacRow::default(); CHUNK]),
            adc: Box::new([AdcRow::default(); CHUNK]),
        })
    }

    /// The analog board.
    pub const fn converters(&self) -> &C {
        &self.converters
    }

    /// The analog board, to change.
    pub const fn converters_mut(&mut self) -> &mut C {
        &mut self.converters
    }

    /// Keeps the sequencer from advancing, or lets it.
    pub const fn hang(&mut self, hung: bool) {
        self.hung = hung;
    }

    /// Lets ticks pass while a frame is read from the capture memory: so many, or none.
    pub const fn set_read_ticks(&mut self, ticks: Option<f64>) {
        self.read_ticks = ticks;
        self.passed = 0.0;
    }

    /// Sets what `GATEWARE_ID` reads, as another bitstream of the same register map does.
    pub const fn set_gateware_id(&mut self, id: u32) {
        self.registers.set_gateware_id(id);
    }

    /// Ticks run since power-up, of all runs.
    pub const fn run_ticks(&self) -> u64 {
        self.run_ticks
    }

    /// Reads the register at a byte address; 0 outside the board's map.
    pub fn read(&mut self, address: u16) -> u32 {
        if let Some((region, word)) = self.bulk(address) {
            return self.converters.read_bulk(region, word);
        }
        let Some((register, index)) = regs::find(address) else { return 0 };
        if index >= register.len(self.registers.cells()) {
            return 0;
        }
        match register.access {
            Access::Rw => return self.registers.stored(address),
            Access::Wo => return 0,
            Access::Ro => {}
        }
        if let Some(value) = self.registers.identity(register, index) {
            return value;
        }
        let half = |value: i64| if index.is_multiple_of(2) { value } else { value >> 32 } as u32;
        match register.address {
            regs::STATUS => self.status(),
            regs::FIFO_FRAMES => self.capture.frames() as u32,
            regs::KEPT => self.sequencer.kept(),
            regs::LOST => self.lost,
            regs::TICKS_LO => {
                let ticks = self.sequencer.ticks();
                self.ticks_high = (ticks >> 32) as u32;
                ticks as u32
            }
            regs::TICKS_HI => self.ticks_high,
            address if address == regs::saturated(0) => self.moments.saturated(index),
            address if address == regs::sum(0) => half(self.moments.sum(index / 2)),
            address if address == regs::product(0) => {
                let (i, j) = product_pair(self.registers.cells(), index / 2);
                half(self.moments.product(i, j))
            }
            _ => 0,
        }
    }

    /// Writes the register at a byte address; nothing happens outside the board's map or where it
    /// cannot be written.
    pub fn write(&mut self, address: u16, value: u32) {
        if let Some((region, word)) = self.bulk(address) {
            return self.converters.write_bulk(region, word, value);
        }
        let Some((register, index)) = regs::find(address) else { return };
        if index >= register.len(self.registers.cells()) {
            return;
        }
        if register.address == regs::CONTROL {
            self.command(value);
        } else if register.access == Access::Rw {
            self.registers.write(register, index, value);
            if matches!(address, regs::ARRAY_ROWS | regs::ARRAY_COLUMNS) {
                let [rows, columns] = [regs::ARRAY_ROWS, regs::ARRAY_COLUMNS]
                    .map(|address| self.registers.stored(address) as usize);
                self.converters.resize_array(rows, columns);
            }
        }
    }

    /// What of the bulk memory a byte address in its window is.
    fn bulk(&self, address: u16) -> Option<(Region, usize)> {
        let octets = address.checked_sub(regs::BULK)?;
        let within = u32::from(octets) / 4;
        if within >= BulkRequest::PAGE_WORDS {
            return None;
        }
        let page = self.registers.stored(regs::BULK_PAGE);
        let region = page >> bulk_page::REGION_SHIFT & bulk_page::REGION_MASK;
        let first = (page >> bulk_page::PAGE_SHIFT & bulk_page::PAGE_MASK) as usize;
        let word = first * BulkRequest::PAGE_WORDS as usize + within as usize;
        Some((Region::from_u16(region as u16)?, word))
    }

    /// Takes octets of the capture memory; beyond what is there they are 0.
    pub fn read_fifo(&mut self, out: &mut [u8]) {
        let Some(ticks) = self.read_ticks else { return self.capture.pop(out) };
        for frame in out.chunks_mut(self.capture.frame_octets()) {
            self.capture.pop(frame);
            self.passed += ticks;
            let whole = self.passed.floor();
            self.passed -= whole;
            self.advance(whole as u64);
        }
    }

    /// Runs up to `ticks` ticks of a started run; returns how many ran. A full capture memory
    /// stops a lockstep run before the next kept tick.
    pub fn advance(&mut self, ticks: u64) -> u64 {
        let mut ran = 0;
        while ran < ticks && !self.hung {
            let room = if self.waits_for_room() { self.capture.free() as u64 } else { u64::MAX };
            let here = self.sequencer.runnable(room).min(ticks - ran).min(CHUNK as u64) as usize;
            if here == 0 {
                break;
            }
            self.run(here);
            ran += here as u64;
        }
        ran
    }

    fn run(&mut self, ticks: usize) {
        let dac = &mut self.dac[..ticks];
        self.noise.generate(dac, self.dispatch);
        let first_kept = self.sequencer.kept();
        let kept = self.converters.convert(dac, self.sequencer.kept_ticks(), &mut *self.adc);
        let rows = &mut self.adc[..kept];
        if self.mode & mode::PATTERN != 0 {
            pattern(rows, first_kept, self.registers.cells(), self.full_scale);
        }
        self.dispatch.run(Accumulate {
            moments: &mut self.moments,
            rows,
            full_scale: self.full_scale,
            products: self.mode & mode::MOMENTS != 0,
        });
        if self.mode & mode::STREAM != 0 {
            let stored = self.capture.push(rows);
            self.lost += (kept - stored) as u32;
        }
        self.sequencer.advance(ticks);
        self.run_ticks += ticks as u64;
    }

    /// True in a run whose tick waits where there is no room for its frame.
    const fn waits_for_room(&self) -> bool {
        self.mode & mode::STREAM != 0 && self.mode & mode::REALTIME == 0
    }

    fn status(&self) -> u32 {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        let frames = self.capture.frames();
        let stalled = self.waits_for_room()
            && self.sequencer.is_running()
            && self.sequencer.runnable(self.capture.free() as u64) == 0;
        self.sequencer.state_field() << status::STATE_SHIFT
            | bit(stalled, status::STALLED)
            | bit(self.lost > 0, status::OVERRUN)
            | bit(frames == 0, status::FIFO_EMPTY)
    }

    /// Acts on the bits of the control register, in the order in which one write of several is
    /// meant: reset and stop, then set, then start.
    fn command(&mut self, bits: u32) {
        let set = |bit: u32| bits & bit != 0;
        if set(control::SOFT_RESET) {
            self.registers.reset();
            self.converters.resize_array(0, 0);
            self.sequencer = Sequencer::new();
            self.capture.clear();
        }
        if set(control::ABORT) {
            self.sequencer.abort();
        }
        if set(control::APPLY) {
            self.converters.set_banks(&self.registers.bank_codes());
            self.converters.set_array(&self.registers.array_controls());
            self.noise.drive(&self.registers.gains(), &self.registers.biases());
        }
        if set(control::RESEED) {
            let seeds = self.registers.seeds();
            self.noise.seed(&seeds);
            self.converters.seed_array(&seeds[0]);
        }
        if set(control::DISCHARGE) {
            self.converters.discharge();
        }
        if set(control::INITIALISE) {
            self.converters.initialise_array();
        }
        if set(control::FIFO_CLEAR) {
            self.capture.clear();
        }
        if set(control::START) {
            self.mode = self.registers.stored(regs::MODE);
            self.capture.clear();
            self.moments = Moments::default();
            self.lost = 0;
            self.sequencer.start(Run {
                settle: self.registers.stored(regs::SETTLE),
                decimation: self.registers.stored(regs::DECIMATION).max(1),
                count: self.registers.stored(regs::COUNT).max(1),
            });
        }
    }
}

/// Test pattern in place of ADC codes: at kept index k, cell c, the low bits of k · cells + c as
/// two's complement, the most negative code cut to the symmetric range.
fn pattern(rows: &mut [AdcRow], first_kept: u32, cells: usize, full_scale: i16) {
    // Codes of N bits: full scale is 2^(N−1) − 1.
    let unused = u32::from(full_scale.cast_unsigned()).leading_zeros() - 1;
    for (row, kept) in rows.iter_mut().zip(first_kept..) {
        for (code, cell) in row[..cells].iter_mut().zip(0..) {
            let count = kept.wrapping_mul(cells as u32).wrapping_add(cell);
            let value = (count << unused).cast_signed() >> unused;
            *code = AdcCode(value.max(-i32::from(full_scale)) as i16);
        }
        row[cells..].fill(AdcCode(0));
    }
}

/// Cells of product `index` among (0,0), (0,1) … (0,n−1), (1,1) ….
fn product_pair(cells: usize, index: usize) -> (usize, usize) {
    let (mut i, mut rest) = (0, index);
    while rest >= cells - i {
        rest -= cells - i;
        i += 1;
    }
    (i.min(LANES - 1), (i + rest).min(LANES - 1))
}
