//! The simulated FPGA and the gateware, side by side.

use std::num::NonZeroU32;

use anyhow::{Result, bail};
use embedded_hal::spi::{Operation, SpiDevice};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_rtl::{GATEWARE_ID, RtlFpga, RtlSpi};
use spu_sim::converters::Converters;
use spu_sim::fpga::SimSpi;
use spu_sim::{Dispatch, Fpga, Profile};

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
    rtl: RtlSpi<C>,
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
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let serial = random.next_u64();
        let mut sim = Fpga::new(profile, serial, converters(), Dispatch::detect())?;
        sim.set_gateware_id(GATEWARE_ID);
        let noise = random.next_u64() as u32;
        let rtl = RtlFpga::with_mistake(profile, serial, converters(), noise, mistake)?;
        let one = NonZeroU32::MIN;
        let (sim, rtl) = (SimSpi::new(sim, one), RtlSpi::new(rtl, one));
        Ok(Self { sim, rtl, random, log: Vec::new(), counts: Counts::default() })
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            ticks: self.sim.fpga().run_ticks(),
            clocks: self.rtl.fpga().clocks(),
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

    /// A transaction of both; what they answer is equal, and so are the ticks at which they do.
    pub(crate) fn exchange(
        &mut self,
        direction: u8,
        address: u16,
        write: &[u8],
        read: usize,
    ) -> Result<Vec<u8>> {
        let [high, low] = address.to_be_bytes();
        let command = [direction, high, low, 0];
        let (mut from_sim, mut from_rtl) = (vec![0; read], vec![0; read]);
        for (device, got) in [
            (&mut self.sim as &mut dyn SpiDevice<u8, Error = _>, &mut from_sim),
            (&mut self.rtl, &mut from_rtl),
        ] {
            let Ok(()) = device.transaction(&mut [
                Operation::Write(&command),
                Operation::Write(write),
                Operation::Read(got),
            ]);
        }
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
        let ticks = (self.sim.fpga().run_ticks(), self.rtl.fpga().run_ticks());
        if ticks.0 != ticks.1 {
            bail!("ticks run, {ticks:?}, differ after\n{}", self.log.join("\n"));
        }
        self.counts.octets += read as u64;
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
        self.sim.set_quantum(ticks);
        self.rtl.set_quantum(ticks);
    }

    /// Sets half a period of the SPI's clock, in picoseconds.
    pub(crate) const fn set_half_period(&mut self, ps: u64) {
        self.rtl.set_half_period(ps);
    }
}
