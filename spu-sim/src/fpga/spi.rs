//! The FPGA as an SPI device.

use std::convert::Infallible;
use std::num::NonZeroU32;

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use spu_protocol::regs;

use crate::analog::Analog;
use crate::array::Array;
use crate::board::SimConfig;
use crate::converters::{AnyAnalog, Converters};
use crate::dispatch::Dispatch;
use crate::error::SimError;
use crate::fault::Fault;
use crate::fpga::Fpga;

/// First command octet of a read.
const READ: u8 = 0x80;

/// The FPGA behind its SPI slave: four command octets, then registers as 32-bit words, most
/// significant octet first, at ascending addresses; in the FIFO window octets as stored.
///
/// At the start of a transaction that reads the status register of a running sequencer, the FPGA
/// advances by [`quantum`](Self::set_quantum) ticks.
#[derive(Debug)]
pub struct SimSpi<C> {
    fpga: Fpga<C>,
    quantum: NonZeroU32,
    /// Reads of the capture memory.
    blocks: u64,
    /// Words written, where they are recorded.
    written: Option<Vec<(u16, u32)>>,
}

impl<C: Converters> SimSpi<C> {
    /// A slave in front of `fpga` that advances by `quantum` ticks.
    pub const fn new(fpga: Fpga<C>, quantum: NonZeroU32) -> Self {
        Self { fpga, quantum, blocks: 0, written: None }
    }

    /// The FPGA.
    pub const fn fpga(&self) -> &Fpga<C> {
        &self.fpga
    }

    /// The FPGA, to change.
    pub const fn fpga_mut(&mut self) -> &mut Fpga<C> {
        &mut self.fpga
    }

    /// The record of words written, address and value, in order: `None` where none is kept.
    pub const fn written_mut(&mut self) -> &mut Option<Vec<(u16, u32)>> {
        &mut self.written
    }

    /// Sets the ticks by which a look at the status advances a run.
    pub const fn set_quantum(&mut self, ticks: NonZeroU32) {
        self.quantum = ticks;
    }

    /// Reads of the capture memory so far.
    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }
}

impl SimSpi<AnyAnalog> {
    /// The FPGA and the cells of this board, after power-up.
    ///
    /// # Errors
    /// [`SimError::Profile`] if the profile is not usable.
    pub fn power_up(
        config: &SimConfig,
        dispatch: Dispatch,
        quantum: NonZeroU32,
    ) -> Result<Self, SimError> {
        let profile = config.profile.clone().without(&config.without);
        let (seed, copy) = (config.seed, config.copy);
        let analog = match &profile.array {
            Some(parts) => {
                AnyAnalog::Array(Box::new(Array::new(&profile, parts, seed, copy, dispatch)))
            }
            None => AnyAnalog::Cells(Box::new(Analog::new(profile.clone(), seed, copy, dispatch))),
        };
        Ok(Self::new(Fpga::new(&profile, config.serial(), analog, dispatch)?, quantum))
    }

    /// Puts the FPGA and the cells into the state of these faults, and of no others. Those that
    /// happen once are not the FPGA's to know.
    pub fn set_faults(&mut self, faults: &[Fault]) {
        self.fpga.hang(faults.contains(&Fault::Hang));
        self.fpga.set_read_ticks(faults.iter().find_map(|fault| match fault {
            Fault::SlowFifo { part } => Some(part.recip()),
            _ => None,
        }));
        self.fpga.converters_mut().set_faults(faults);
    }
}

impl<C> ErrorType for SimSpi<C> {
    type Error = Infallible;
}

impl<C: Converters> SpiDevice<u8> for SimSpi<C> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let read: usize = operations
            .iter()
            .map(|operation| match operation {
                Operation::Read(read) | Operation::Transfer(read, _) => read.len(),
                Operation::TransferInPlace(buffer) => buffer.len(),
                Operation::Write(_) | Operation::DelayNs(_) => 0,
            })
            .sum();
        let mut slave = Slave { spi: self, read, phase: Phase::Command([0; 4], 0) };
        for operation in operations {
            match operation {
                Operation::Read(buffer) => slave.read(buffer),
                Operation::Write(octets) => octets.iter().for_each(|&octet| slave.write(octet)),
                Operation::Transfer(read, write) => {
                    for k in 0..read.len().max(write.len()) {
                        let got = slave.exchange(write.get(k).copied().unwrap_or(0));
                        if let Some(octet) = read.get_mut(k) {
                            *octet = got;
                        }
                    }
                }
                Operation::TransferInPlace(buffer) => {
                    for octet in buffer.iter_mut() {
                        *octet = slave.exchange(*octet);
                    }
                }
                Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Command octets so far.
    Command([u8; 4], usize),
    /// The word that is going out, and octets of it that are out.
    Read { address: u16, word: [u8; 4], out: usize },
    /// Octets out of the capture memory.
    Fifo,
    /// The word that is coming in, and octets of it that are in.
    Write { address: u16, word: [u8; 4], taken: usize },
}

struct Slave<'a, C> {
    spi: &'a mut SimSpi<C>,
    /// Octets that the transaction reads.
    read: usize,
    phase: Phase,
}

impl<C: Converters> Slave<'_, C> {
    fn write(&mut self, octet: u8) {
        match &mut self.phase {
            Phase::Command(octets, count) => {
                octets[*count] = octet;
                *count += 1;
                if *count == octets.len() {
                    let [direction, high, low, _] = *octets;
                    self.begin(direction, u16::from_be_bytes([high, low]));
                }
            }
            Phase::Write { address, word, taken } => {
                word[*taken] = octet;
                *taken += 1;
                if *taken == word.len() {
                    let value = u32::from_be_bytes(*word);
                    if let Some(written) = &mut self.spi.written {
                        written.push((*address, value));
                    }
                    self.spi.fpga.write(*address, value);
                    *address = address.wrapping_add(4);
                    *taken = 0;
                }
            }
            Phase::Read { .. } | Phase::Fifo => {}
        }
    }

    fn begin(&mut self, direction: u8, address: u16) {
        let in_fifo = (regs::FIFO..regs::FIFO + regs::FIFO_OCTETS as u16).contains(&address);
        self.phase = if direction != READ {
            Phase::Write { address, word: [0; 4], taken: 0 }
        } else if in_fifo {
            self.spi.blocks += 1;
            Phase::Fifo
        } else {
            let end = usize::from(address) + self.read;
            if (usize::from(address)..end).contains(&usize::from(regs::STATUS)) {
                let ticks = u64::from(self.spi.quantum.get());
                self.spi.fpga.advance(ticks);
            }
            Phase::Read { address, word: [0; 4], out: 4 }
        };
    }

    fn read(&mut self, buffer: &mut [u8]) {
        match &mut self.phase {
            Phase::Fifo => self.spi.fpga.read_fifo(buffer),
            Phase::Read { address, word, out } => {
                for octet in buffer {
                    if *out == word.len() {
                        *word = self.spi.fpga.read(*address).to_be_bytes();
                        *address = address.wrapping_add(4);
                        *out = 0;
                    }
                    *octet = word[*out];
                    *out += 1;
                }
            }
            Phase::Command(..) | Phase::Write { .. } => buffer.fill(0),
        }
    }

    fn exchange(&mut self, octet: u8) -> u8 {
        let mut got = [0];
        match self.phase {
            Phase::Read { .. } | Phase::Fifo => self.read(&mut got),
            Phase::Command(..) | Phase::Write { .. } => self.write(octet),
        }
        let [got] = got;
        got
    }
}
