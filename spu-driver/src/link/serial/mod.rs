//! Serial ports: 8 data bits, no parity, 1 stop bit, no flow control, raw, exclusive.

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "two ioctls of serial ports, for which no crate has a safe call")]
mod line;
#[cfg(unix)]
#[allow(unsafe_code, reason = "serialport gives its descriptor as a bare number")]
mod owned;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod tty;

#[cfg(not(unix))]
use portable as system;
#[cfg(unix)]
use tty as system;

use super::Endpoint;
use crate::device::Deadline;
use crate::discover::serial::{self, UsbIdentity};
use crate::error::Error;

/// Speed unless told otherwise. USB boards have no UART and ignore it.
const DEFAULT_BAUD: u32 = 115_200;

/// A serial port.
#[derive(Debug)]
pub struct Serial {
    port: String,
    baud: u32,
    /// What was found behind the port when it was first opened.
    identity: Option<UsbIdentity>,
}

impl Serial {
    /// The port of this path or name. `baud` matters where a UART is behind it.
    pub fn new(port: impl Into<String>, baud: Option<u32>) -> Self {
        Self { port: port.into(), baud: baud.unwrap_or(DEFAULT_BAUD), identity: None }
    }

    /// The port that the device has now. A device that was unplugged may come back under another
    /// name, and another one may have taken its name.
    fn locate(&self) -> Result<String, Error> {
        let Some(identity) = &self.identity else { return Ok(self.port.clone()) };
        serial::port_of(identity, &self.port).ok_or_else(|| Error::NotFound {
            uri: self.describe(),
            why: format!("{identity} is not plugged in"),
        })
    }
}

impl Endpoint for Serial {
    type Stream = system::Port;

    fn connect(&mut self, _deadline: Deadline) -> Result<system::Port, Error> {
        let path = self.locate()?;
        let port = system::Port::open(&path, self.baud, &self.describe())?;
        if self.identity.is_none() {
            self.identity = serial::identity(&path);
        }
        Ok(port)
    }

    fn describe(&self) -> String {
        format!("serial:{}", self.port)
    }
}
