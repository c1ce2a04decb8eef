//! The gateware as an SPI device, bit by bit.

use std::convert::Infallible;
use std::num::NonZeroU32;

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use spu_protocol::regs;
use spu_sim::analog::Analog;
use spu_sim::converters::Converters;
use spu_sim::{Dispatch, SimConfig};

use crate::clocks::RtlFpga;
use crate::error::RtlError;

/// First command octet of a read.
const READ: u8 = 0x80;
/// Command octets.
const COMMAND: usize = 4;
/// Half a period of the SPI's clock unless told otherwise, in picoseconds: 50 MHz, the fastest that
/// `hardware/wiring.md` has.
const HALF_SPI_PS: u64 = 10_000;
/// Select stays high so long between two transactions: three periods of the core's clock and a bit.
const DESELECTED_PS: u64 = 40_000;

/// The gateware behind its SPI pins, in place of [`SimSpi`](spu_sim::fpga::SimSpi): at the start of
/// a transaction that reads the status register of a running sequencer, it advances by
/// [`quantum`](Self::set_quantum) ticks. After each transaction it has time to do what was asked.
#[derive(Debug)]
pub struct RtlSpi<C> {
    fpga: RtlFpga<C>,
    quantum: NonZeroU32,
    half_ps: u64,
}

impl<C: Converters> RtlSpi<C> {
    /// The bus in front of `fpga`, which advances by `quantum` ticks.
    pub const fn new(fpga: RtlFpga<C>, quantum: NonZeroU32) -> Self {
        Self { fpga, quantum, half_ps: HALF_SPI_PS }
    }

    /// The gateware.
    pub const fn fpga(&self) -> &RtlFpga<C> {
        &self.fpga
    }

    /// The gateware, to change.
    pub const fn fpga_mut(&mut self) -> &mut RtlFpga<C> {
        &mut self.fpga
    }

    /// Sets the ticks by which a look at the status advances a run.
    pub const fn set_quantum(&mut self, ticks: NonZeroU32) {
        self.quantum = ticks;
    }

    /// Sets half a period of the SPI's clock, in picoseconds.
    pub const fn set_half_period(&mut self, ps: u64) {
        self.half_ps = ps;
    }

    /// One octet each way; returns the one that came in.
    fn exchange(&mut self, octet: u8) -> u8 {
        let mut got = 0;
        for bit in (0..8).rev() {
            let mosi = octet >> bit & 1 != 0;
            self.fpga.set_spi(false, false, mosi);
            self.fpga.wait(self.half_ps);
            got = got << 1 | u8::from(self.fpga.miso());
            self.fpga.set_spi(false, true, mosi);
            self.fpga.wait(self.half_ps);
        }
        got
    }
}

impl RtlSpi<Analog> {
    /// The gateware and the cells of this board, after power-up.
    ///
    /// # Errors
    /// As [`RtlFpga::new`].
    pub fn power_up(
        config: &SimConfig,
        dispatch: Dispatch,
        quantum: NonZeroU32,
    ) -> Result<Self, RtlError> {
        let profile = config.profile.clone().without(&config.without);
        let analog = Analog::new(profile.clone(), config.seed, config.copy, dispatch);
        let fpga = RtlFpga::new(&profile, config.serial(), analog, config.seed as u32)?;
        Ok(Self::new(fpga, quantum))
    }
}

impl<C> ErrorType for RtlSpi<C> {
    type Error = Infallible;
}

impl<C: Converters> SpiDevice<u8> for RtlSpi<C> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        if reads_status(operations) {
            self.fpga.advance(self.quantum.get().into());
        }
        self.fpga.set_spi(false, false, false);
        self.fpga.wait(self.half_ps);
        for operation in operations {
            match operation {
                Operation::Read(buffer) => {
                    for octet in buffer.iter_mut() {
                        *octet = self.exchange(0);
                    }
                }
                Operation::Write(octets) => {
                    for &octet in *octets {
                        self.exchange(octet);
                    }
                }
                Operation::Transfer(read, write) => {
                    for k in 0..read.len().max(write.len()) {
                        let got = self.exchange(write.get(k).copied().unwrap_or(0));
                        if let Some(octet) = read.get_mut(k) {
                            *octet = got;
                        }
                    }
                }
                Operation::TransferInPlace(buffer) => {
                    for octet in buffer.iter_mut() {
                        *octet = self.exchange(*octet);
                    }
                }
                Operation::DelayNs(ns) => self.fpga.wait(u64::from(*ns) * 1_000),
            }
        }
        self.fpga.set_spi(false, false, false);
        self.fpga.wait(self.half_ps);
        self.fpga.set_spi(true, false, false);
        self.fpga.wait(DESELECTED_PS);
        self.fpga.finish();
        Ok(())
    }
}

/// True for a transaction that reads the status register.
fn reads_status(operations: &[Operation<'_, u8>]) -> bool {
    let mut command = [0; COMMAND];
    let (mut sent, mut read) = (0, 0);
    for operation in operations {
        let out: &[u8] = match operation {
            Operation::Write(octets) | Operation::Transfer(_, octets) => octets,
            Operation::TransferInPlace(octets) => octets,
            Operation::Read(_) | Operation::DelayNs(_) => &[],
        };
        for &octet in out.iter().take(COMMAND - sent.min(COMMAND)) {
            command[sent] = octet;
            sent += 1;
        }
        read += match operation {
            Operation::Read(buffer)
            | Operation::Transfer(buffer, _)
            | Operation::TransferInPlace(buffer) => buffer.len(),
            Operation::Write(_) | Operation::DelayNs(_) => 0,
        };
    }
    let [direction, high, low, _] = command;
    let address = usize::from(u16::from_be_bytes([high, low]));
    sent == COMMAND
        && direction == READ
        && !(usize::from(regs::FIFO)..usize::from(regs::FIFO) + regs::FIFO_OCTETS)
            .contains(&address)
        && (address..address + read).contains(&usize::from(regs::STATUS))
}
