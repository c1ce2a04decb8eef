//! The FPGA's end of the bus: transactions of an SPI device over a stream of octets.
//!
//! A transaction is one SLIP frame (RFC 1055): the number of octets to read, 16 bits little endian,
//! then the octets to write. The answer is the octets read. A frame that asks for 65,535 octets and
//! writes none asks for the eight octets `SPU-BUS\n`, by which both ends find out where an answer
//! begins. The other end is the firmware's (`spu-firmware/boards/runtime/src/bus`).

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use embedded_hal::spi::{Operation, SpiDevice};

const END: u8 = 0xC0;
const ESCAPE: u8 = 0xDB;
const ESCAPED_END: u8 = 0xDC;
const ESCAPED_ESCAPE: u8 = 0xDD;
const SYNC: &[u8; 8] = b"SPU-BUS\n";
/// Octets asked for by a request for synchronisation.
const ASK: usize = 0xFFFF;

/// Takes frames apart.
#[derive(Debug, Default)]
struct Unstuff {
    frame: Vec<u8>,
    escaped: bool,
}

impl Unstuff {
    /// The frame that `octet` ends, if it ends one.
    fn push(&mut self, octet: u8) -> Option<Vec<u8>> {
        match (octet, std::mem::take(&mut self.escaped)) {
            (END, _) => return Some(std::mem::take(&mut self.frame)).filter(|f| !f.is_empty()),
            (ESCAPE, false) => self.escaped = true,
            (ESCAPED_END, true) => self.frame.push(END),
            (ESCAPED_ESCAPE, true) => self.frame.push(ESCAPE),
            (octet, _) => self.frame.push(octet),
        }
        None
    }
}

/// Serves transactions until the stream ends.
///
/// # Errors
/// Those of the stream.
pub fn serve<S: SpiDevice<u8>>(
    spi: &Arc<Mutex<S>>,
    mut from: impl Read,
    mut to: impl Write,
) -> io::Result<()> {
    let mut unstuff = Unstuff::default();
    let mut buffer = [0; 4096];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for frame in buffer[..count].iter().filter_map(|octet| unstuff.push(*octet)) {
            let Some((count, written)) = frame.split_first_chunk() else {
                tracing::debug!(octets = frame.len(), "not a transaction on the bus");
                continue;
            };
            let count = usize::from(u16::from_le_bytes(*count));
            if count == ASK && written.is_empty() {
                to.write_all(SYNC)?;
                continue;
            }
            let mut read = vec![0; count];
            let mut spi = spi.lock().unwrap_or_else(PoisonError::into_inner);
            let operations = &mut [Operation::Write(written), Operation::Read(&mut read)];
            if let Err(error) = spi.transaction(operations) {
                // A bus without an answer is what the microcontroller sees then.
                tracing::debug!(?error, "the FPGA fails");
                continue;
            }
            drop(spi);
            to.write_all(&read)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with the octets written, as often as fits.
    struct Echo(Vec<Vec<u8>>);

    impl embedded_hal::spi::ErrorType for Echo {
        type Error = std::convert::Infallible;
    }

    impl SpiDevice<u8> for Echo {
        fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Self::Error> {
            for operation in operations {
                match operation {
                    Operation::Write(octets) => self.0.push(octets.to_vec()),
                    Operation::Read(octets) => {
                        let last = self.0.last().cloned().unwrap_or_default();
                        octets
                            .iter_mut()
                            .zip(last.iter().cycle())
                            .for_each(|(to, from)| *to = *from);
                    }
                    _ => panic!("not of the protocol"),
                }
            }
            Ok(())
        }
    }

    #[test]
    fn frames_are_transactions_whatever_octets_are_in_them() {
        let spi = Arc::new(Mutex::new(Echo(Vec::new())));
        let sent = [
            &[0x55, END, 0xFF, 0xFF, END][..],
            &[3, 0, ESCAPE, ESCAPED_END, ESCAPE, ESCAPED_ESCAPE, 7, END],
            &[END, END, 9, END],
            &[0, 0, 1, 2, END],
        ]
        .concat();
        let mut answers = Vec::new();
        serve(&spi, &sent[..], &mut answers).unwrap();
        // What comes before the first end is no whole frame, but its octets may look like one.
        assert_eq!(answers, [&SYNC[..], &[END, ESCAPE, 7]].concat());
        assert_eq!(spi.lock().unwrap().0, [vec![END, ESCAPE, 7], vec![1, 2]]);
    }
}
