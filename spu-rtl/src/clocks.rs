//! The gateware with a board around it: clocks, converters, switches.

use spu_protocol::code::{AdcCode, DacCode};
use spu_protocol::regs;
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::{AdcRow, DacRow, Dispatch, Fpga, LANES, Profile};

use crate::GATEWARE_ID;
use crate::chain::Chain;
use crate::error::RtlError;
use crate::model::Model;
use crate::pins::{Constants, Inputs, Outputs};

/// Half a period of the core's clock, in picoseconds: 96 MHz, eight to one of the sample clock.
const HALF_CORE_PS: u64 = 5_208;
/// Clocks of a period of the sample clock.
const SLOT: u32 = 8;
/// Clocks from a sample to its code on the bus.
const ADC_CLOCKS: u64 = 6;
/// Most ticks that wait for the analog board.
const PENDING: usize = 256;
/// Clocks by which every command is done: the longest switch chain takes some 5,000.
const PATIENCE: u32 = 100_000;

/// The gateware and the analog board at its pins.
#[derive(Debug)]
pub struct RtlFpga<C> {
    model: Model,
    inputs: Inputs,
    outputs: Outputs,
    converters: C,
    chain: Chain,
    /// Codes that the DACs took but do not show yet.
    dac: DacRow,
    /// Periods that the analog board has not run yet, the present one last.
    pending: Vec<DacRow>,
    /// Codes on the ADC bus, and those of the sample that is being converted with the clock in which
    /// they get there.
    adc: AdcRow,
    converting: Option<(u64, AdcRow)>,
    /// Time, and of the next edge of the core's clock, in picoseconds.
    now: u64,
    next_edge: u64,
    ticks: u64,
    clocks: u64,
}

impl<C: Converters> RtlFpga<C> {
    /// The gateware after power-up. `noise` decides what is in memory that no reset reaches.
    ///
    /// # Errors
    /// [`RtlError::Unavailable`] where it was not built; [`RtlError::Cells`] and
    /// [`RtlError::Capture`] for a profile that it does not fit; [`RtlError::Sim`] for one that is
    /// not usable.
    pub fn new(
        profile: &Profile,
        serial: u64,
        converters: C,
        noise: u32,
    ) -> Result<Self, RtlError> {
        let board = constants(profile, serial)?;
        let mut fpga = Self {
            model: Model::new(&board, noise)?,
            inputs: Inputs { reset: true, spi_select_n: true, ..Inputs::default() },
            outputs: Outputs::default(),
            converters,
            chain: Chain::new(profile),
            dac: DacRow::default(),
            pending: Vec::with_capacity(PENDING),
            adc: AdcRow::default(),
            converting: None,
            now: 0,
            next_edge: HALF_CORE_PS,
            ticks: 0,
            clocks: 0,
        };
        fpga.run_clocks(2 * SLOT);
        fpga.inputs.reset = false;
        fpga.run_clocks(SLOT);
        fpga.finish();
        Ok(fpga)
    }

    /// The analog board.
    pub const fn converters(&self) -> &C {
        &self.converters
    }

    /// The analog board, to change.
    pub const fn converters_mut(&mut self) -> &mut C {
        &mut self.converters
    }

    /// Ticks begun since power-up, of all runs.
    pub const fn run_ticks(&self) -> u64 {
        self.ticks
    }

    /// Clocks of the core since power-up.
    pub const fn clocks(&self) -> u64 {
        self.clocks
    }

    /// Runs up to `ticks` ticks of a started run, to the end of what they do; returns how many
    /// were. A full capture memory stops a lockstep run before the next kept tick.
    pub fn advance(&mut self, ticks: u64) -> u64 {
        let start = self.ticks;
        let end = start + ticks;
        let mut waited = 0;
        self.set_permit(true);
        while self.ticks < end && waited <= SLOT {
            let before = self.ticks;
            self.clock();
            waited = if self.ticks == before { waited + 1 } else { 0 };
        }
        self.set_permit(false);
        self.finish();
        self.ticks - start
    }

    /// Inputs change between two edges.
    fn set_permit(&mut self, permit: bool) {
        self.inputs.permit = permit;
        self.model.eval(&self.inputs, &mut self.outputs);
    }

    /// Lets time pass until nothing is being done.
    ///
    /// # Panics
    /// If that does not come, which is a mistake in the gateware.
    pub fn finish(&mut self) {
        for _ in 0..PATIENCE {
            if !self.outputs.busy {
                return;
            }
            self.clock();
        }
        panic!("the gateware is busy for ever");
    }

    /// Sets the pins of the SPI.
    pub(crate) fn set_spi(&mut self, select_n: bool, sck: bool, mosi: bool) {
        (self.inputs.spi_select_n, self.inputs.spi_sck, self.inputs.spi_mosi) =
            (select_n, sck, mosi);
        self.model.eval(&self.inputs, &mut self.outputs);
    }

    /// What the gateware puts on the SPI's data.
    pub(crate) const fn miso(&self) -> bool {
        self.outputs.spi_miso
    }

    /// Lets so much time pass, in picoseconds.
    pub(crate) fn wait(&mut self, ps: u64) {
        let end = self.now + ps;
        while self.next_edge <= end {
            self.edge();
        }
        self.now = end;
    }

    fn run_clocks(&mut self, clocks: u32) {
        for _ in 0..clocks {
            self.clock();
        }
    }

    /// To the end of the next rising edge.
    fn clock(&mut self) {
        while !self.edge() {}
    }

    /// The next edge; true if it was a rising one.
    fn edge(&mut self) -> bool {
        self.now = self.now.max(self.next_edge);
        self.next_edge += HALF_CORE_PS;
        let rises = !self.inputs.clk;
        // Around the gateware everything has the same clock, and sees what it sees before the edge.
        let seen = self.outputs;
        self.inputs.clk = rises;
        self.model.eval(&self.inputs, &mut self.outputs);
        if rises {
            self.clocks += 1;
            self.board(&seen);
        }
        rises
    }

    /// A clock of what is around the gateware.
    fn board(&mut self, seen: &Outputs) {
        // Before the first clock of the reset the pins say anything.
        if self.inputs.reset {
            return;
        }
        if seen.tick {
            self.ticks += 1;
        }
        // The period ends before the next one begins.
        if seen.adc_sample {
            let last = self.pending.len() - 1;
            let mut adc = [AdcRow::default()];
            let kept = Kept { first: last, every: 1 };
            self.converters.convert(&self.pending, kept, &mut adc);
            self.pending.clear();
            let [adc] = adc;
            self.converting = Some((self.clocks + ADC_CLOCKS, adc));
        }
        if seen.dac_update {
            if self.pending.len() == PENDING {
                self.run_pending();
            }
            self.pending.push(self.dac);
        }
        if seen.dac_write {
            self.dac[usize::from(seen.dac_cell)] = DacCode(seen.dac_data);
        }
        if let Some((ready, adc)) = self.converting
            && self.clocks >= ready
        {
            self.adc = adc;
            self.converting = None;
        }
        if seen.adc_read {
            let AdcCode(code) = self.adc[usize::from(seen.adc_cell)];
            self.inputs.adc_data = code;
        }
        let now = self.outputs;
        if now.switch_clock && !seen.switch_clock {
            self.chain.shift(now.switch_data);
        }
        if now.switch_latch && !seen.switch_latch {
            self.run_pending();
            let codes: BankCodes = self.chain.codes();
            self.converters.set_banks(&codes);
        }
        if now.discharge && !seen.discharge {
            self.run_pending();
            self.converters.discharge();
        }
    }

    /// Runs the analog board over periods of which none is sampled.
    fn run_pending(&mut self) {
        let kept = Kept { first: self.pending.len(), every: 1 };
        self.converters.convert(&self.pending, kept, &mut []);
        self.pending.clear();
    }
}

/// Converters that are asked nothing.
struct NoConverters;

impl Converters for NoConverters {
    fn set_banks(&mut self, _codes: &BankCodes) {}

    fn discharge(&mut self) {}

    fn convert(&mut self, _dac: &[DacRow], _kept: Kept, _adc: &mut [AdcRow]) -> usize {
        0
    }
}

/// The constants that a build of the gateware for this board has: what the simulated FPGA says of
/// itself.
fn constants(profile: &Profile, serial: u64) -> Result<Constants, RtlError> {
    let cells = profile.cell_count();
    if cells != LANES {
        return Err(RtlError::Cells { profile: profile.name.clone(), cells });
    }
    let octets = cells as u32 * profile.packing.word_bits.value / 8;
    let frames = profile.capture.frames.value;
    if u64::from(frames) * u64::from(octets) > 1 << 16 {
        return Err(RtlError::Capture { profile: profile.name.clone(), frames, octets });
    }
    let mut sim = Fpga::new(profile, serial, NoConverters, Dispatch::scalar())?;
    let mut read = |address: u16| sim.read(address);
    Ok(Constants {
        gateware_id: GATEWARE_ID,
        board: read(regs::BOARD),
        banks: read(regs::BANKS),
        converters: read(regs::CONVERTERS),
        sample_clock_hz: read(regs::SAMPLE_CLOCK_HZ),
        capture_frames: read(regs::CAPTURE_FRAMES),
        serial_lo: read(regs::SERIAL_LO),
        serial_hi: read(regs::SERIAL_HI),
        profile_name: std::array::from_fn(|word| read(regs::profile_name(word))),
        real: std::array::from_fn(|word| read(regs::NOISE_RMS + 4 * word as u16)),
    })
}
