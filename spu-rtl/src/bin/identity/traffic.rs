//! Random programs, plans, commands and reads.

use std::num::NonZeroU32;

use anyhow::Result;
use spu_protocol::regs::{self, control, mode, status};
use spu_sim::converters::Converters;

use crate::pair::Pair;

/// Frames of a long run that are read: each takes some 250 clocks, a tick 8.
const LONG_FRAMES: u64 = 1500;
/// Looks at the status of a long run.
const LONG_LOOKS: u64 = 16;

/// How long runs are at most, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    /// With any plan and many reads.
    pub(crate) short: u64,
    /// With few reads; 0: there are none.
    pub(crate) long: u64,
}

/// What happens to both devices, at random.
impl<C: Converters> Pair<C> {
    /// Registers after power-up.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.read(0, 0x200)?;
        self.look()
    }

    /// A program and what may follow it.
    pub(crate) fn step(&mut self, lengths: Lengths) -> Result<()> {
        let half: u32 = [10_000, 10_000, 11_111, 40_000, 100_000][self.below(5) as usize];
        self.set_half_period(half);
        self.program()?;
        if !self.one_in(4) {
            self.drive()?;
        }
        match self.below(10) {
            0 => (0..12).try_for_each(|_| self.noise()),
            1 => self.command(),
            2 => self.read(regs::MAGIC, 0x90).map(drop),
            3 | 4 if lengths.long > 0 => self.long(lengths.long),
            _ => self.short(lengths.short),
        }
    }

    /// A code of any size, small ones more often.
    fn code(&mut self) -> u32 {
        let value = self.next() as u32 >> self.below(32);
        if self.one_in(2) { value } else { value.wrapping_neg() }
    }

    fn codes(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.code()).collect()
    }

    /// Writes arrays, or parts of them.
    fn program(&mut self) -> Result<()> {
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
            self.write(address + 4 * first as u16, &words)?;
            if self.one_in(2) {
                self.read(address, 4 * count as usize)?;
            }
        }
        if self.one_in(4) {
            let words = self.codes(6);
            self.write(regs::CALIBRATION_ID_LO, &words[..2])?;
            self.write(regs::scratch(0), &words[2..])?;
        }
        Ok(())
    }

    /// Gains at which the cells are driven and not always at the end of their range.
    fn drive(&mut self) -> Result<()> {
        let gains: Vec<u32> = (0..8).map(|_| self.below(9000) as u32).collect();
        self.write(regs::noise_gain(0), &gains)?;
        let biases: Vec<u32> = (0..8).map(|_| (self.below(200) as u32).wrapping_sub(100)).collect();
        self.write(regs::bias(0), &biases)
    }

    /// Reads of everything that a run changes.
    fn look(&mut self) -> Result<()> {
        self.read(regs::STATUS, 4 * 6)?;
        self.read(regs::saturated(0), 4 * 9)?;
        self.read(regs::sum(0), 4 * 17)?;
        self.read(regs::product(0), 4 * 73)?;
        self.read(regs::TICKS_LO, 4)?;
        self.read(regs::TICKS_HI, 4)?;
        Ok(())
    }

    /// A plan of at most so many ticks after its settling, and a run of it with many reads.
    fn short(&mut self, ticks: u64) -> Result<()> {
        let count = 1 + self.below(ticks);
        let decimation = if self.one_in(2) { 1 } else { self.below(9) };
        let settle = if self.one_in(3) { 0 } else { self.below(300) };
        let given = if self.one_in(20) { 0 } else { count / decimation.max(1) };
        let bits = [mode::STREAM, mode::MOMENTS, mode::REALTIME, mode::PATTERN];
        let mode = bits.iter().fold(0, |mode, bit| if self.one_in(2) { mode | bit } else { mode });
        let words = [mode, settle as u32, decimation as u32, given as u32];
        let bits = self.below(14);
        let quantum = 1 + self.below(1 << bits);
        self.run(words, quantum, 60)
    }

    /// A plan of about so many ticks, and a run of it with few reads: of frames, where they are kept,
    /// some.
    fn long(&mut self, most: u64) -> Result<()> {
        self.set_half_period(10_000);
        let ticks = most / 4 + self.below(most - most / 4);
        let bits = self.below(13);
        let decimation = 1 + self.below(1 << bits);
        let kept = ticks / decimation + 1;
        let mut mode = mode::MOMENTS;
        if kept <= LONG_FRAMES || self.one_in(2) {
            mode |= mode::STREAM;
        }
        if kept > LONG_FRAMES {
            // Otherwise it would stall until its frames are read.
            mode |= mode::REALTIME;
        }
        if self.one_in(16) {
            mode |= mode::PATTERN;
        }
        let bits = self.below(16);
        let settle = self.below(1 << bits);
        let words = [mode, settle as u32, decimation as u32, kept as u32];
        let quantum = 1 + ticks / LONG_LOOKS + self.below(1000);
        self.run(words, quantum, 1_000)
    }

    /// Starts and watches a run, with a command in its middle once in so many looks.
    fn run(&mut self, plan: [u32; 4], quantum: u64, peace: u64) -> Result<()> {
        self.write(regs::MODE, &plan)?;
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
        self.write(regs::CONTROL, &[commands])?;
        self.set_quantum(NonZeroU32::new(quantum as u32).unwrap_or(NonZeroU32::MIN));
        let mut looks = 0;
        loop {
            let status = self.read_word(regs::STATUS)?;
            self.count_look();
            looks += 1;
            let stalled = status & status::STALLED != 0;
            let state = status >> status::STATE_SHIFT & status::STATE_MASK;
            if state != status::STATE_SETTLE && state != status::STATE_ACQUIRE {
                break;
            }
            if stalled || self.one_in(4) {
                self.drain()?;
            }
            if self.one_in(30) {
                self.look()?;
            }
            if self.one_in(peace) || looks > 3000 {
                self.command()?;
            }
        }
        self.look()?;
        if self.one_in(2) {
            self.drain()?;
        }
        Ok(())
    }

    /// Reads part of the capture memory: what is said to be there, or more, or less.
    fn drain(&mut self) -> Result<()> {
        let frames = u64::from(self.read_word(regs::FIFO_FRAMES)?);
        let most = frames.min(1 + self.below(600));
        let octets = most * 16 + if self.one_in(3) { self.below(40) } else { 0 };
        let at = regs::FIFO + if self.one_in(2) { 0 } else { self.below(0x4000) as u16 };
        self.read(at, octets as usize)?;
        self.count_fifo(octets);
        self.read_word(regs::FIFO_FRAMES)?;
        Ok(())
    }

    /// A command in the middle of something.
    fn command(&mut self) -> Result<()> {
        let bit = 1 << self.below(7);
        let more = if self.one_in(2) { 1 << self.below(7) } else { 0 };
        self.write(regs::CONTROL, &[bit | more])
    }

    /// A transaction with no sense.
    fn noise(&mut self) -> Result<()> {
        let direction = if self.one_in(2) { 0x80 } else { self.next() as u8 };
        let address = self.next() as u16;
        let address = if self.one_in(3) { address } else { address & 0x1FC };
        if direction == 0x80 {
            let read = self.below(30) as usize;
            self.exchange(direction, address, &[], read)?;
        } else if !(regs::CONTROL.saturating_sub(28)..=regs::CONTROL + 3).contains(&address) {
            let octets: Vec<u8> = (0..self.below(28)).map(|_| self.next() as u8).collect();
            self.transfer(direction, address, &octets)?;
        }
        Ok(())
    }
}
