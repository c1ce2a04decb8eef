//! The simulated FPGA and the gateware, side by side.

use std::convert::Infallible;
use std::num::NonZeroU32;

use anyhow::{Result, bail};
use embedded_hal::spi::{Operation, SpiDevice};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_rtl::{GATEWARE_ID, RtlFpga, RtlSpi};
use spu_sim::converters::Converters;
use spu_sim::fpga::SimSpi;
use spu_sim::{Dispatch, Fpga, Profile};

use crate::vectors::Script;

/// What was compared.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(crate) struct Counts {
    /// Sample ticks that both ran.
    pub(crate) ticks: u64,
    /// Octets read over the SPI, each equal.
    pub(crate) octets: u64,
    /// Those of them out of the capture memory.
    pub(crate) fifo_octets: u64,
    /// Looks at the status, at equal ticks.
    pub(crate) looks: u64,
    /// Clocks of the core.
    pub(crate) clocks: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.octets += other.octets;
        self.fifo_octets += other.fifo_octets;
        self.looks += other.looks;
        self.clocks += other.clocks;
    }
}

/// Both devices, and where random numbers come from.
pub(crate) struct Pair<C> {
    sim: SimSpi<C>,
    /// None where the simulator's words are recorded only.
    rtl: Option<RtlSpi<C>>,
    recorded: Script,
    quantum: u32,
    random: Xoshiro256PlusPlus,
    /// The last transactions, for messages.
    log: Vec<String>,
    counts: Counts,
}

/// Transactions that a message has.
const LOG: usize = 40;

impl<C: Converters> Pair<C> {
    /// Both after power-up, the gateware with a planted mistake of this number (0: none).
    pub(crate) fn new(
        profile: &Profile,
        converters: impl Fn() -> C,
        seed: u64,
        mistake: u8,
    ) -> Result<Self> {
        let noise = Xoshiro256PlusPlus::seed_from_u64(!seed).next_u64() as u32;
        let serial = serial(seed);
        let rtl = RtlFpga::with_mistake(profile, serial, converters(), noise, mistake)?;
        let rtl = RtlSpi::new(rtl, NonZeroU32::MIN);
        Ok(Self { rtl: Some(rtl), ..Self::alone(profile, converters(), seed)? })
    }

    /// The simulated FPGA alone, recorded.
    pub(crate) fn alone(profile: &Profile, converters: C, seed: u64) -> Result<Self> {
        let mut sim = Fpga::new(profile, serial(seed), converters, Dispatch::detect())?;
        sim.set_gateware_id(GATEWARE_ID);
        Ok(Self {
            sim: SimSpi::new(sim, NonZeroU32::MIN),
            rtl: None,
            recorded: Script::default(),
            quantum: 1,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            log: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// The simulated FPGA.
    pub(crate) const fn sim_mut(&mut self) -> &mut Fpga<C> {
        self.sim.fpga_mut()
    }

    /// What was recorded.
    pub(crate) fn take_script(&mut self) -> Script {
        std::mem::take(&mut self.recorded)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            ticks: self.sim.fpga().run_ticks(),
            clocks: self.rtl.as_ref().map_or(0, |rtl| rtl.fpga().clocks()),
            ..self.counts
        }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.random.next_u64()
    }

    pub(crate) fn write(&mut self, address: u16, words: &[u32]) -> Result<()> {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.exchange(0, address, &octets, 0)?;
        Ok(())
    }

    pub(crate) fn read(&mut self, address: u16, octets: usize) -> Result<Vec<u8>> {
        self.exchange(0x80, address, &[], octets)
    }

    pub(crate) fn read_word(&mut self, address: u16) -> Result<u32> {
        let octets = self.read(address, 4)?;
        Ok(octets.iter().fold(0, |word, octet| word << 8 | u32::from(*octet)))
    }

    /// A transaction of both, which read after they write.
    pub(crate) fn exchange(
        &mut self,
        direction: u8,
        address: u16,
        write: &[u8],
        read: usize,
    ) -> Result<Vec<u8>> {
        self.compare(direction, address, write, read, false)
    }

    /// A transaction of both, which write and read at once: what a bus sends while it only reads is
    /// not said.
    pub(crate) fn transfer(&mut self, direction: u8, address: u16, write: &[u8]) -> Result<()> {
        self.compare(direction, address, write, write.len(), true)?;
        Ok(())
    }

    /// A transaction of both; what they answer is equal, and so are the ticks at which they do.
    fn compare(
        &mut self,
        direction: u8,
        address: u16,
        write: &[u8],
        read: usize,
        at_once: bool,
    ) -> Result<Vec<u8>> {
        let [high, low] = address.to_be_bytes();
        let command = [direction, high, low, 0];
        let before = self.sim.fpga().run_ticks();
        let mut from_sim = vec![0; read];
        transaction(&mut self.sim, command, write, &mut from_sim, at_once);
        let ran = self.sim.fpga().run_ticks() - before;
        self.counts.octets += read as u64;
        let Some(rtl) = &mut self.rtl else {
            if ran > 0 {
                self.recorded.advance(self.quantum, ran as u32);
            }
            self.recorded.transaction(command, write, &from_sim, at_once);
            return Ok(from_sim);
        };
        let mut from_rtl = vec![0; read];
        transaction(rtl, command, write, &mut from_rtl, at_once);
        let rtl_ticks = rtl.fpga().run_ticks();
        if self.log.len() == LOG {
            self.log.remove(0);
        }
        self.log.push(format!("{command:02X?} {write:02X?} {read}"));
        if from_sim != from_rtl {
            let at = from_sim.iter().zip(&from_rtl).take_while(|(sim, rtl)| sim == rtl).count();
            let part = at / 16 * 16..read.min(at / 16 * 16 + 32);
            bail!(
                "octets {part:?} after {} ticks: the simulator {:02X?}, the gateware {:02X?}; the \
                 last transactions:\n{}",
                self.sim.fpga().run_ticks(),
                &from_sim[part.clone()],
                &from_rtl[part.clone()],
                self.log.join("\n")
            );
        }
        let ticks = (self.sim.fpga().run_ticks(), rtl_ticks);
        if ticks.0 != ticks.1 {
            bail!("ticks run, {ticks:?}, differ after\n{}", self.log.join("\n"));
        }
        Ok(from_sim)
    }

    /// Counts octets of the capture memory.
    pub(crate) const fn count_fifo(&mut self, octets: u64) {
        self.counts.fifo_octets += octets;
    }

    /// Counts a look at the status.
    pub(crate) const fn count_look(&mut self) {
        self.counts.looks += 1;
    }

    /// Sets the ticks by which a look at the status advances a run.
    pub(crate) fn set_quantum(&mut self, ticks: NonZeroU32) {
        self.quantum = ticks.get();
        self.sim.set_quantum(ticks);
        if let Some(rtl) = &mut self.rtl {
            rtl.set_quantum(ticks);
        }
    }

    /// Sets half a period of the SPI's clock, in picoseconds.
    pub(crate) fn set_half_period(&mut self, ps: u32) {
        match &mut self.rtl {
            Some(rtl) => rtl.set_half_period(ps.into()),
            None => self.recorded.half_period(ps),
        }
    }
}

/// Serial number of the board.
fn serial(seed: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn transaction(
    device: &mut dyn SpiDevice<u8, Error = Infallible>,
    command: [u8; 4],
    write: &[u8],
    read: &mut [u8],
    at_once: bool,
) {
    let command = Operation::Write(&command);
    let Ok(()) = if at_once {
        device.transaction(&mut [command, Operation::Transfer(read, write)])
    } else {
        device.transaction(&mut [command, Operation::Write(write), Operation::Read(read)])
    };
}
