//! The gateware with a board around it: clocks, converters, switches.

use spu_protocol::regs;
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::{AdcRow, DacRow, Dispatch, Fpga, LANES, Profile};

use crate::GATEWARE_ID;
use crate::chain::Chain;
use crate::error::RtlError;
use crate::model::Model;
use crate::pins::{Constants, Inputs, Run, event};

/// Half a period of the core's clock, in picoseconds: 96 MHz, eight to one of the sample clock.
const HALF_CORE_PS: u64 = 5_208;
/// Clocks of a period of the sample clock.
const SLOT: u32 = 8;
/// Most ticks that wait for the analog board.
const PENDING: usize = 256;
/// Clocks by which every command is done: the longest switch chain takes some 5,000.
const PATIENCE: u64 = 100_000;

/// The gateware and the analog board at its pins.
#[derive(Debug)]
pub struct RtlFpga<C> {
    model: Model,
    inputs: Inputs,
    converters: C,
    chain: Chain,
    /// Periods that the analog board has not run yet; `run` has their number.
    pending: Box<[DacRow; PENDING]>,
    run: Run,
    /// Time, and of the next edge of the core's clock, in picoseconds.
    now: u64,
    next_edge: u64,
    edges: u64,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// After so many edges of the core's clock.
    Edges(u64),
    /// When the gateware is not busy.
    Done,
    /// When so many ticks were begun since power-up, or none is any more.
    Ticks(u64),
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
        Self::with_mistake(profile, serial, converters, noise, 0)
    }

    /// The same of a gateware in which mistakes are planted, with the one of this number, from 1; 0
    /// stands for none, and any other for none in the gateware as it is.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_mistake(
        profile: &Profile,
        serial: u64,
        converters: C,
        noise: u32,
        mistake: u8,
    ) -> Result<Self, RtlError> {
        let board = Constants { mistake: mistake.into(), ..constants(profile, serial)? };
        let mut fpga = Self {
            model: Model::new(&board, noise)?,
            inputs: Inputs { reset: true, spi_select_n: true, ..Inputs::default() },
            converters,
            chain: Chain::new(profile),
            pending: Box::new([DacRow::default(); PENDING]),
            run: Run::default(),
            now: 0,
            next_edge: HALF_CORE_PS,
            edges: 0,
        };
        fpga.model.set(&fpga.inputs);
        fpga.run(Until::Edges(4 * u64::from(SLOT)));
        fpga.inputs.reset = false;
        fpga.model.set(&fpga.inputs);
        fpga.run(Until::Edges(2 * u64::from(SLOT)));
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
        self.run.ticks
    }

    /// Clocks of the core since power-up.
    pub const fn clocks(&self) -> u64 {
        self.edges / 2
    }

    /// Runs up to `ticks` ticks of a started run, to the end of what they do; returns how many
    /// were. A full capture memory stops a lockstep run before the next kept tick.
    pub fn advance(&mut self, ticks: u64) -> u64 {
        let start = self.run.ticks;
        self.set_permit(true);
        self.run(Until::Ticks(start + ticks));
        self.set_permit(false);
        self.finish();
        self.run.ticks - start
    }

    /// Inputs change between two edges.
    fn set_permit(&mut self, permit: bool) {
        self.inputs.permit = permit;
        self.model.set(&self.inputs);
    }

    /// Lets time pass until nothing is being done.
    ///
    /// # Panics
    /// If that does not come, which is a mistake in the gateware.
    pub fn finish(&mut self) {
        let start = self.edges;
        self.run(Until::Done);
        assert!(self.edges - start < 2 * PATIENCE, "the gateware is busy for ever");
    }

    /// Sets the pins of the SPI.
    pub(crate) fn set_spi(&mut self, select_n: bool, sck: bool, mosi: bool) {
        (self.inputs.spi_select_n, self.inputs.spi_sck, self.inputs.spi_mosi) =
            (select_n, sck, mosi);
        self.model.set(&self.inputs);
    }

    /// What the gateware puts on the SPI's data.
    pub(crate) fn miso(&self) -> bool {
        self.model.miso()
    }

    /// Lets so much time pass, in picoseconds.
    pub(crate) fn wait(&mut self, ps: u64) {
        let end = self.now + ps;
        if self.next_edge <= end {
            self.run(Until::Edges((end - self.next_edge) / HALF_CORE_PS + 1));
        }
        self.now = end;
    }

    /// Lets time pass until what is given, or for [`PATIENCE`].
    fn run(&mut self, until: Until) {
        self.run.edges = if let Until::Edges(edges) = until { edges } else { 2 * PATIENCE };
        (self.run.end_ticks, self.run.most_waited) =
            if let Until::Ticks(end) = until { (end, 2 * SLOT) } else { (u64::MAX, u32::MAX) };
        self.run.until_done = matches!(until, Until::Done).into();
        loop {
            let (edges, ticks) = (self.run.edges, self.run.ticks);
            let happened = self.model.run(&mut self.run, &mut *self.pending);
            let ran = edges - self.run.edges;
            self.edges += ran;
            self.next_edge += ran * HALF_CORE_PS;
            if happened == 0 {
                break;
            }
            self.board(happened);
            // Patience is with the time between ticks.
            if matches!(until, Until::Ticks(_)) && self.run.ticks != ticks {
                self.run.edges = 2 * PATIENCE;
            }
        }
        self.now = self.now.max(self.next_edge - HALF_CORE_PS);
    }

    /// What is around the gateware does what it saw in a clock.
    fn board(&mut self, happened: u32) {
        let rows = self.run.rows as usize;
        if happened & event::SAMPLED != 0 {
            // The period that the sample ends is the last one.
            let kept = Kept { first: rows - 1, every: 1 };
            let mut adc = [AdcRow::default()];
            self.converters.convert(&self.pending[..rows], kept, &mut adc);
            self.run.rows = 0;
            let [adc] = adc;
            self.model.set_codes(&adc);
        }
        if happened & event::SHIFTED != 0 {
            self.chain.shift(happened & event::SHIFTED_BIT != 0);
        }
        if happened & (event::FULL | event::LATCHED | event::DISCHARGED) != 0 {
            self.run_pending();
        }
        if happened & event::LATCHED != 0 {
            let codes: BankCodes = self.chain.codes();
            self.converters.set_banks(&codes);
        }
        if happened & event::DISCHARGED != 0 {
            self.converters.discharge();
        }
    }

    /// Runs the analog board over periods of which none is sampled.
    fn run_pending(&mut self) {
        let rows = self.run.rows as usize;
        let kept = Kept { first: rows, every: 1 };
        self.converters.convert(&self.pending[..rows], kept, &mut []);
        self.run.rows = 0;
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
        serial: [read(regs::SERIAL_LO), read(regs::SERIAL_HI)],
        profile_name: std::array::from_fn(|word| read(regs::profile_name(word))),
        real: std::array::from_fn(|word| read(regs::NOISE_RMS + 4 * word as u16)),
        mistake: 0,
    })
}
