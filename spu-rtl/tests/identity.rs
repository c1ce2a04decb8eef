//! The gateware and the simulated FPGA say the same bits, at the SPI and at the converters.
//!
//! Random traffic (programs, seeds, plans, commands, reads that end anywhere, stalls, overruns)
//! goes to both in lockstep; every octet that comes back is compared. `SPU_RTL_TICKS` and
//! `SPU_RTL_SEED` choose how long and which, `SPU_RTL_RUN` the most ticks of a run.

use std::num::NonZeroU32;

use embedded_hal::spi::{Operation, SpiDevice};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_protocol::code::{AdcCode, CouplingCode, full_scale_code};
use spu_protocol::regs::{self, control, mode};
use spu_rtl::{GATEWARE_ID, RtlFpga, RtlSpi};
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::fpga::SimSpi;
use spu_sim::{AdcRow, Analog, DacRow, Dispatch, Fpga, LANES, Profile};

/// Converters over cells of integer arithmetic: every bank, every code and the order of everything
/// show in the codes, which reach full scale now and then.
#[derive(Debug, Clone)]
struct Cells {
    full_scale: i32,
    storage: bool,
    state: [i32; LANES],
    banks: BankCodes,
}

impl Cells {
    fn new(profile: &Profile) -> Self {
        let full_scale = full_scale_code(profile.adc_bits()).into();
        let storage = profile.storage_bits() > 0;
        Self { full_scale, storage, state: [0; LANES], banks: BankCodes::OPEN }
    }
}

impl Converters for Cells {
    fn set_banks(&mut self, codes: &BankCodes) {
        self.banks = *codes;
        if !self.storage {
            // No switches belong to these registers, which keep what is written.
            self.banks.storage_codes = BankCodes::OPEN.storage_codes;
        }
    }

    fn discharge(&mut self) {
        self.state = [0; LANES];
    }

    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        let mut written = 0;
        let code = |codes: &[CouplingCode], k: usize| i32::from(codes[k % codes.len()].0);
        for (tick, row) in dac.iter().enumerate() {
            let before = self.state;
            for cell in 0..LANES {
                let other = before[(cell + 1) % LANES] / 16;
                let banks = &self.banks;
                let parts = code(&banks.self_codes, cell)
                    + 3 * code(&banks.storage_codes, cell)
                    + 5 * code(&banks.coupling_codes, 4 * cell + tick_free(before[cell]));
                self.state[cell] = before[cell] - before[cell] / 4
                    + i32::from(row[cell].0)
                    + other
                    + (parts & 0xFF);
            }
            if tick >= kept.first && (tick - kept.first).is_multiple_of(kept.every) {
                adc[written] = std::array::from_fn(|cell| {
                    let code = self.state[cell] >> 2;
                    AdcCode(code.clamp(-self.full_scale, self.full_scale) as i16)
                });
                written += 1;
            }
        }
        written
    }
}

/// A number from 0 to 3 that depends on the state alone.
fn tick_free(state: i32) -> usize {
    (state & 3) as usize
}

/// Both devices, and where random numbers come from.
struct Pair<C> {
    sim: SimSpi<C>,
    rtl: RtlSpi<C>,
    random: Xoshiro256PlusPlus,
    /// The last transactions, for messages.
    log: Vec<String>,
    compared: u64,
}

impl<C: Converters> Pair<C> {
    fn new(profile: &Profile, converters: impl Fn() -> C, seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let serial = random.next_u64();
        let mut sim = Fpga::new(profile, serial, converters(), Dispatch::detect()).unwrap();
        sim.set_gateware_id(GATEWARE_ID);
        let rtl = RtlFpga::new(profile, serial, converters(), random.next_u64() as u32).unwrap();
        let one = NonZeroU32::MIN;
        let (sim, rtl) = (SimSpi::new(sim, one), RtlSpi::new(rtl, one));
        Self { sim, rtl, random, log: Vec::new(), compared: 0 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn write(&mut self, address: u16, words: &[u32]) {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.exchange(0, address, &octets, 0);
    }

    fn read(&mut self, address: u16, octets: usize) -> Vec<u8> {
        self.exchange(0x80, address, &[], octets)
    }

    fn read_word(&mut self, address: u16) -> u32 {
        let octets = self.read(address, 4);
        u32::from_be_bytes(octets.try_into().unwrap())
    }

    /// A transaction of both; what they answer is equal.
    fn exchange(&mut self, direction: u8, address: u16, write: &[u8], read: usize) -> Vec<u8> {
        let [high, low] = address.to_be_bytes();
        let command = [direction, high, low, 0];
        let (mut from_sim, mut from_rtl) = (vec![0; read], vec![0; read]);
        for (device, got) in [
            (&mut self.sim as &mut dyn SpiDevice<u8, Error = _>, &mut from_sim),
            (&mut self.rtl, &mut from_rtl),
        ] {
            device
                .transaction(&mut [
                    Operation::Write(&command),
                    Operation::Write(write),
                    Operation::Read(got),
                ])
                .unwrap();
        }
        self.log.push(format!("{command:02X?} {write:02X?} {read}"));
        if from_sim != from_rtl {
            let log = &self.log[self.log.len().saturating_sub(40)..];
            let at = from_sim.iter().zip(&from_rtl).take_while(|(sim, rtl)| sim == rtl).count();
            let part = at / 16 * 16..read.min(at / 16 * 16 + 32);
            panic!(
                "octets {part:?} after {} ticks: the simulator {:02X?}, the gateware {:02X?}; the \
                 last transactions:\n{}",
                self.sim.fpga().run_ticks(),
                &from_sim[part.clone()],
                &from_rtl[part.clone()],
                log.join("\n")
            );
        }
        let ticks = (self.sim.fpga().run_ticks(), self.rtl.fpga().run_ticks());
        assert_eq!(ticks.0, ticks.1, "ticks run, after\n{}", self.log.last().unwrap());
        self.compared += read as u64;
        from_sim
    }

    fn set_quantum(&mut self, ticks: u32) {
        let ticks = NonZeroU32::new(ticks).unwrap();
        self.sim.set_quantum(ticks);
        self.rtl.set_quantum(ticks);
    }

    /// A code of any size, small ones more often.
    fn code(&mut self) -> u32 {
        let value = self.random.next_u64() as u32 >> self.below(32);
        if self.one_in(2) { value } else { value.wrapping_neg() }
    }

    fn codes(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.code()).collect()
    }

    /// Writes arrays, or parts of them.
    fn program(&mut self) {
        for (address, count) in [
            (regs::self_bank(0), 8),
            (regs::coupling_bank(0), 28),
            (regs::noise_gain(0), 8),
            (regs::bias(0), 8),
            (regs::storage(0), 8),
            (regs::initial(0), 8),
            (regs::adc_offset(0), 8),
            (regs::adc_gain(0), 8),
            (regs::noise_seed(0), 32),
        ] {
            if self.one_in(3) {
                continue;
            }
            let first = if self.one_in(2) { 0 } else { self.below(count) };
            // Past the end of the array now and then: what follows is not written.
            let length = if self.one_in(2) { count - first } else { 1 + self.below(count) };
            let words =
                if self.one_in(8) { vec![0; length as usize] } else { self.codes(length as usize) };
            self.write(address + 4 * first as u16, &words);
            if self.one_in(2) {
                self.read(address, 4 * count as usize);
            }
        }
        if self.one_in(4) {
            let words = self.codes(6);
            self.write(regs::CALIBRATION_ID_LO, &words[..2]);
            self.write(regs::scratch(0), &words[2..]);
        }
    }

    /// Gains at which the cells are driven and not always at the end of their range.
    fn drive(&mut self) {
        let gains: Vec<u32> = (0..8).map(|_| self.below(9000) as u32).collect();
        self.write(regs::noise_gain(0), &gains);
        let biases: Vec<u32> = (0..8).map(|_| (self.below(200) as u32).wrapping_sub(100)).collect();
        self.write(regs::bias(0), &biases);
    }

    /// Reads of everything that a run changes.
    fn look(&mut self) {
        self.read(regs::STATUS, 4 * 6);
        self.read(regs::saturated(0), 4 * 9);
        self.read(regs::sum(0), 4 * 17);
        self.read(regs::product(0), 4 * 73);
        self.read(regs::TICKS_LO, 4);
        self.read(regs::TICKS_HI, 4);
    }

    /// A plan, a run of it with looks and reads in between.
    fn run(&mut self, ticks: u64) {
        let count = 1 + self.below(ticks);
        let decimation = if self.one_in(2) { 1 } else { self.below(9) };
        let settle = if self.one_in(3) { 0 } else { self.below(300) };
        let given = if self.one_in(20) { 0 } else { count / decimation.max(1) };
        let bits = [mode::STREAM, mode::MOMENTS, mode::REALTIME, mode::PATTERN];
        let mode = bits.iter().fold(0, |mode, bit| if self.one_in(2) { mode | bit } else { mode });
        self.write(regs::MODE, &[mode, settle as u32, decimation as u32, given as u32]);
        let mut commands = control::START;
        for bit in [
            control::APPLY,
            control::RESEED,
            control::DISCHARGE,
            control::FIFO_CLEAR,
            control::ABORT,
        ] {
            if self.one_in(3) {
                commands |= bit;
            }
        }
        self.write(regs::CONTROL, &[commands]);
        let bits = self.below(14);
        let quantum = 1 + self.below(1 << bits);
        self.set_quantum(quantum as u32);
        let mut looks = 0;
        loop {
            let status = self.read_word(regs::STATUS);
            looks += 1;
            let stalled = status & regs::status::STALLED != 0;
            let state = status >> regs::status::STATE_SHIFT & regs::status::STATE_MASK;
            if state != regs::status::STATE_SETTLE && state != regs::status::STATE_ACQUIRE {
                break;
            }
            if stalled || self.one_in(4) {
                self.drain();
            }
            if self.one_in(30) {
                self.look();
            }
            if self.one_in(60) || looks > 3000 {
                self.command();
            }
        }
        self.look();
        if self.one_in(2) {
            self.drain();
        }
    }

    /// Reads part of the capture memory: what is said to be there, or more, or less.
    fn drain(&mut self) {
        let frames = u64::from(self.read_word(regs::FIFO_FRAMES));
        let most = frames.min(1 + self.below(600));
        let octets = most * 16 + if self.one_in(3) { self.below(40) } else { 0 };
        let at = regs::FIFO + if self.one_in(2) { 0 } else { self.below(0x4000) as u16 };
        self.read(at, octets as usize);
        self.read_word(regs::FIFO_FRAMES);
    }

    /// A command in the middle of something.
    fn command(&mut self) {
        let bit = 1 << self.below(7);
        let more = if self.one_in(2) { 1 << self.below(7) } else { 0 };
        self.write(regs::CONTROL, &[bit | more]);
    }

    /// A transaction with no sense.
    fn noise(&mut self) {
        let direction = if self.one_in(2) { 0x80 } else { self.random.next_u64() as u8 };
        let address = self.random.next_u64() as u16;
        let address = if self.one_in(3) { address } else { address & 0x1FC };
        let read = self.below(30) as usize;
        let write: Vec<u8> = (0..self.below(9)).map(|_| self.random.next_u64() as u8).collect();
        if direction == 0x80 {
            self.exchange(direction, address, &[], read);
        } else if !(regs::CONTROL.saturating_sub(8)..=regs::CONTROL + 3).contains(&address) {
            self.exchange(direction, address, &write, 0);
            self.exchange(direction, address, &[], read);
        }
    }

    fn step(&mut self, ticks: u64) {
        let half = [10_000, 10_000, 11_111, 40_000, 100_000][self.below(5) as usize];
        self.rtl.set_half_period(half);
        self.program();
        if !self.one_in(4) {
            self.drive();
        }
        match self.below(10) {
            0 => self.noise(),
            1 => self.command(),
            2 => {
                self.read(regs::MAGIC, 0x90);
            }
            _ => self.run(ticks),
        }
    }
}

fn profile(name: &str, capture: u32) -> Profile {
    let mut profile = Profile::named(name).unwrap();
    profile.capture.frames.value = capture;
    profile
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn skipped() -> bool {
    if let Err(why) = spu_rtl::available() {
        println!("skipped: {why}");
        return true;
    }
    false
}

/// Random traffic until so many ticks have run.
fn traffic<C: Converters>(profile: &Profile, make: impl Fn() -> C, seed: u64, ticks: u64) {
    let mut pair = Pair::new(profile, make, seed);
    pair.read(0, 0x200);
    pair.look();
    let run = number("SPU_RTL_RUN", 6000);
    while pair.sim.fpga().run_ticks() < ticks {
        pair.step(run);
    }
    println!(
        "{}: {} ticks, {} octets compared, {} clocks",
        profile.name,
        pair.sim.fpga().run_ticks(),
        pair.compared,
        pair.rtl.fpga().clocks()
    );
}

#[test]
fn random_traffic_gets_the_same_answers() {
    if skipped() {
        return;
    }
    let (ticks, seed) = (number("SPU_RTL_TICKS", 60_000), number("SPU_RTL_SEED", 1));
    for (k, (name, capture)) in
        [("rev-a", 4096), ("rev-b", 100), ("ideal", 7), ("rc-8", 1000)].into_iter().enumerate()
    {
        let profile = profile(name, capture);
        let cells = || Cells::new(&profile);
        traffic(&profile, cells, seed.wrapping_mul(4).wrapping_add(k as u64), ticks / 4);
    }
}

#[test]
fn the_analog_board_at_the_pins_gives_the_same_codes() {
    if skipped() {
        return;
    }
    for name in ["rev-b", "rc-8"] {
        let profile = profile(name, 500);
        let analog = || Analog::new(profile.clone(), 7, 1, Dispatch::detect());
        traffic(&profile, analog, 11, 6_000);
    }
}
