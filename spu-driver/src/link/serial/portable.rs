//! Serial ports of systems other than Unix, by the `serialport` crate.

use std::io::{self, ErrorKind};
use std::time::Duration;

use serialport::SerialPort;

use crate::device::Deadline;
use crate::error::Error;
use crate::link::ByteStream;

/// The system's waits have this resolution.
const SHORTEST: Duration = Duration::from_millis(1);

/// An open port.
pub struct Port(Box<dyn SerialPort>);

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Port").field(&self.0.name()).finish()
    }
}

impl Port {
    /// Opens and sets up the port; `uri` names it in errors.
    pub(super) fn open(path: &str, baud: u32, uri: &str) -> Result<Self, Error> {
        let port = serialport::new(path, baud).timeout(SHORTEST).dtr_on_open(true).open();
        let port = port.map_err(|error| refused(&error, path, uri))?;
        port.clear(serialport::ClearBuffer::All).map_err(|error| refused(&error, path, uri))?;
        Ok(Self(port))
    }
}

impl ByteStream for Port {
    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<bool> {
        while !bytes.is_empty() {
            self.0.set_timeout(deadline.left().max(SHORTEST))?;
            match self.0.write(bytes) {
                Ok(0) => return Ok(false),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::TimedOut => return Ok(false),
                    _ => return Err(error),
                },
            }
        }
        Ok(true)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        loop {
            let left = deadline.left();
            if left.is_zero() && self.0.bytes_to_read()? == 0 {
                return Ok(0);
            }
            self.0.set_timeout(left.max(SHORTEST))?;
            match self.0.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::TimedOut => return Ok(0),
                    _ => return Err(error),
                },
            }
        }
    }
}

fn refused(error: &serialport::Error, path: &str, uri: &str) -> Error {
    let uri = uri.to_owned();
    let listed = serialport::available_ports()
        .is_ok_and(|ports| ports.iter().any(|port| port.port_name.eq_ignore_ascii_case(path)));
    if listed {
        // The system gives one reason for both.
        return Error::Busy { uri, holder: "another program may have it open".into() };
    }
    Error::NotFound {
        uri,
        why: format!("there is no such port ({error}); `spu list --all` shows all ports"),
    }
}
