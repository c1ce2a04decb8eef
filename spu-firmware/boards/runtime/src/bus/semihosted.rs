//! The bus over files of the emulator's host: the whole machine stops until the FPGA has answered,
//! so that answering takes no time of the machine.

use semihosting::fs::File;
use semihosting::io::{Error, ErrorKind, Read, Write};

use super::Stream;

/// Octets that are sent at once.
const AT_ONCE: usize = 192;

/// A pair of files, opened when first used.
#[derive(Debug)]
pub struct Semihosted {
    files: Option<(File, File)>,
    pending: [u8; AT_ONCE],
    filled: usize,
}

impl Semihosted {
    /// The bus over the files `bus.tx` and `bus.rx` in the emulator's folder.
    pub const fn new() -> Self {
        Self { files: None, pending: [0; AT_ONCE], filled: 0 }
    }

    fn files(&mut self) -> Result<&mut (File, File), Error> {
        if self.files.is_none() {
            // The other end opens them in this order too: opening a FIFO waits for that.
            let to = File::create(c"bus.tx")?;
            let from = File::open(c"bus.rx")?;
            self.files = Some((to, from));
        }
        self.files.as_mut().ok_or(ErrorKind::NotConnected.into())
    }
}

impl Default for Semihosted {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream for Semihosted {
    type Error = Error;

    fn send(&mut self, mut octets: &[u8]) -> Result<(), Error> {
        while !octets.is_empty() {
            let room = self.pending.get_mut(self.filled..).unwrap_or_default();
            let count = room.len().min(octets.len());
            let (now, later) = octets.split_at(count);
            if let Some(place) = room.get_mut(..count) {
                place.copy_from_slice(now);
            }
            self.filled = self.filled.saturating_add(count);
            octets = later;
            if self.filled >= AT_ONCE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let (pending, filled) = (self.pending, core::mem::take(&mut self.filled));
        self.files()?.0.write_all(pending.get(..filled).unwrap_or_default())
    }

    fn receive(&mut self, octets: &mut [u8]) -> Result<(), Error> {
        self.files()?.1.read_exact(octets)
    }
}
