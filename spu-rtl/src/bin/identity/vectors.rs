//! The simulator's words as files, for another simulator of the gateware.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use spu_protocol::regs;
use spu_sim::analog::BankCodes;
use spu_sim::{LANES, Profile};

use crate::cells::Cells;
use crate::pair::{Counts, Pair};
use crate::traffic::Lengths;

/// What happens at the SPI, as words of `spi.hex` (`hardware/gateware/tests/spu_vectors_tb.v`).
#[derive(Debug, Default)]
pub(crate) struct Script(Vec<u32>);

impl Script {
    const ALLOW: u32 = 0x0100_0000;
    const RAN: u32 = 0x0200_0000;
    const HALF_PERIOD: u32 = 0x0300_0000;
    const SEND: u32 = 0x0400_0000;
    const RECEIVE: u32 = 0x0500_0000;
    const END: u32 = 0x0600_0000;

    /// At most `allowed` ticks begin, and `ran` did.
    pub(crate) fn advance(&mut self, allowed: u32, ran: u32) {
        self.0.extend([Self::ALLOW | allowed, Self::RAN | ran]);
    }

    /// Half a period of the SPI's clock from here, in picoseconds.
    pub(crate) fn half_period(&mut self, ps: u32) {
        self.0.push(Self::HALF_PERIOD | ps);
    }

    /// A transaction, with the octets that come: after those that are written, or in their turn.
    pub(crate) fn transaction(
        &mut self,
        command: [u8; 4],
        write: &[u8],
        read: &[u8],
        at_once: bool,
    ) {
        let receive = |(sent, got): (u8, u8)| Self::RECEIVE | u32::from(sent) << 8 | u32::from(got);
        let send = |octet: &u8| Self::SEND | u32::from(*octet);
        self.0.extend(command.iter().map(send));
        if at_once {
            self.0.extend(write.iter().copied().zip(read.iter().copied()).map(receive));
        } else {
            self.0.extend(write.iter().map(send));
            self.0.extend(read.iter().map(|got| receive((0, *got))));
        }
        self.0.push(Self::END);
    }
}

/// Writes the vectors of random traffic of so many ticks to `folder`.
pub(crate) fn write(
    folder: &Path,
    profile: &Profile,
    seed: u64,
    lengths: Lengths,
    ticks: u64,
) -> Result<Counts> {
    let mut pair = Pair::alone(profile, Cells::recording(profile), seed)?;
    let fpga = pair.sim_mut();
    let words = [
        regs::GATEWARE_ID,
        regs::BOARD,
        regs::BANKS,
        regs::CONVERTERS,
        regs::SAMPLE_CLOCK_HZ,
        regs::CAPTURE_FRAMES,
        regs::SERIAL_LO,
        regs::SERIAL_HI,
    ]
    .into_iter()
    .chain((0..4).map(regs::profile_name))
    .chain((regs::NOISE_RMS..=regs::STORAGE_LSB_FARAD).step_by(4));
    let board: Vec<u32> = words.map(|address| fpga.read(address)).collect();
    pair.begin()?;
    while pair.counts().ticks < ticks {
        pair.step(lengths)?;
    }
    let seen = pair.sim_mut().converters_mut().take_seen();
    // The banks are set at power-up too.
    let switches: Vec<bool> = [BankCodes::OPEN]
        .iter()
        .chain(&seen.banks)
        .flat_map(|codes| bits(profile, codes))
        .collect();
    let row = |codes: [i16; LANES]| {
        codes.iter().rev().fold(0, |row, code| row << 16 | u128::from(code.cast_unsigned()))
    };
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, digits, words) in [
        ("board.hex", 8, board.iter().map(|word| u128::from(*word)).collect::<Vec<_>>()),
        ("spi.hex", 8, pair.take_script().0.iter().map(|word| u128::from(*word)).collect()),
        ("adc.hex", 32, seen.adc.iter().map(|codes| row(codes.map(|code| code.0))).collect()),
        ("dac.hex", 32, seen.dac.iter().map(|codes| row(codes.map(|code| code.0))).collect()),
        ("switches.hex", 1, switches.iter().map(|bit| u128::from(*bit)).collect()),
    ] {
        let mut text = String::new();
        for word in words {
            writeln!(text, "{word:0digits$x}").expect("a string takes everything");
        }
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(pair.counts())
}

/// The bits that set the banks, in the order of `spu_switches.v`.
fn bits(profile: &Profile, codes: &BankCodes) -> Vec<bool> {
    let mut bits = Vec::new();
    let mut bank = |code: i16, size: u8, signed: bool| {
        if signed {
            bits.push(code < 0);
        }
        bits.extend((0..size).rev().map(|bit| code.unsigned_abs() >> bit & 1 != 0));
    };
    for code in codes.self_codes {
        bank(code.0, profile.self_bits(), false);
    }
    for code in codes.storage_codes {
        bank(code.0, profile.storage_bits(), false);
    }
    for code in codes.coupling_codes {
        bank(code.0, profile.coupling_bits(), profile.banks.coupling_signed);
    }
    bits
}
