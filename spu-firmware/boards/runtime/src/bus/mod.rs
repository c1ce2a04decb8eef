//! The bus to an FPGA that is another process beside the emulator: transactions of an SPI device
//! carried by a stream of octets.
//!
//! A transaction is one SLIP frame (RFC 1055) towards the FPGA: the number of octets to read, 16
//! bits little endian, then the octets to write. The answer is the octets read, as they are. A frame
//! that asks to read 65,535 octets and writes none is a request for [`SYNC`], by which both ends
//! find out where an answer begins after one of them restarted.

mod semihosted;
mod strapped;
mod tunnel;

use embedded_hal::spi::{self, ErrorKind, ErrorType, Operation, SpiDevice};

pub use semihosted::Semihosted;
pub use strapped::{StrappedBus, Straps};
pub use tunnel::Tunnel;

/// Answer to a request for synchronisation.
const SYNC: [u8; 8] = *b"SPU-BUS\n";
/// What asks for it.
const ASK: [u8; 2] = [0xFF; 2];

/// A stream of octets to the FPGA and back.
pub trait Stream {
    /// Why it failed.
    type Error;

    /// Sends octets.
    ///
    /// # Errors
    /// The stream's own.
    fn send(&mut self, octets: &[u8]) -> Result<(), Self::Error>;

    /// Makes sure that what was sent is on its way.
    ///
    /// # Errors
    /// The stream's own.
    fn flush(&mut self) -> Result<(), Self::Error>;

    /// Receives octets, all of them.
    ///
    /// # Errors
    /// The stream's own; that they did not come in time is one.
    fn receive(&mut self, octets: &mut [u8]) -> Result<(), Self::Error>;
}

/// The FPGA at the other end of a stream.
#[derive(Debug)]
pub struct StreamSpi<S> {
    stream: S,
    /// Both ends agree on where an answer begins.
    in_step: bool,
}

/// The bus failed: the other end is not there or does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl spi::Error for NoAnswer {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

const END: u8 = 0xC0;
const ESCAPE: u8 = 0xDB;
const ESCAPED_END: u8 = 0xDC;
const ESCAPED_ESCAPE: u8 = 0xDD;

impl<S: Stream> StreamSpi<S> {
    /// A device at the end of this stream.
    pub const fn new(stream: S) -> Self {
        Self { stream, in_step: false }
    }

    fn exchange(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), S::Error> {
        if !self.in_step {
            self.synchronise()?;
        }
        let reads: usize = operations
            .iter()
            .map(|operation| if let Operation::Read(octets) = operation { octets.len() } else { 0 })
            .sum();
        self.stream.send(&[END])?;
        self.stuff(&(reads as u16).to_le_bytes())?;
        for operation in operations.iter() {
            if let Operation::Write(octets) = operation {
                self.stuff(octets)?;
            }
        }
        self.stream.send(&[END])?;
        self.stream.flush()?;
        for operation in operations {
            if let Operation::Read(octets) = operation {
                self.stream.receive(octets)?;
            }
        }
        Ok(())
    }

    /// Sends octets so that none looks like the end of a frame.
    fn stuff(&mut self, mut octets: &[u8]) -> Result<(), S::Error> {
        while let Some(at) = octets.iter().position(|octet| matches!(*octet, END | ESCAPE)) {
            let (plain, rest) = octets.split_at(at);
            self.stream.send(plain)?;
            let Some((special, rest)) = rest.split_first() else { return Ok(()) };
            let escaped = if *special == END { ESCAPED_END } else { ESCAPED_ESCAPE };
            self.stream.send(&[ESCAPE, escaped])?;
            octets = rest;
        }
        self.stream.send(octets)
    }

    /// Throws away what is on its way from before.
    fn synchronise(&mut self) -> Result<(), S::Error> {
        self.stream.send(&[END, ASK[0], ASK[1], END])?;
        self.stream.flush()?;
        let mut seen = [0; SYNC.len()];
        while seen != SYNC {
            let mut next = [0];
            self.stream.receive(&mut next)?;
            seen.rotate_left(1);
            if let Some(last) = seen.last_mut() {
                *last = next[0];
            }
        }
        self.in_step = true;
        Ok(())
    }
}

impl<S> ErrorType for StreamSpi<S> {
    type Error = NoAnswer;
}

impl<S: Stream> SpiDevice<u8> for StreamSpi<S> {
    /// Writes, then reads: the firmware's only kind of transaction.
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), NoAnswer> {
        let writes_first = operations.is_sorted_by_key(|operation| match operation {
            Operation::Write(_) => 0,
            Operation::Read(_) => 1,
            _ => 2,
        });
        if !writes_first || operations.iter().any(|operation| !plain(operation)) {
            return Err(NoAnswer);
        }
        self.exchange(operations).map_err(|_| {
            self.in_step = false;
            NoAnswer
        })
    }
}

const fn plain(operation: &Operation<'_, u8>) -> bool {
    matches!(operation, Operation::Write(_) | Operation::Read(_))
}
