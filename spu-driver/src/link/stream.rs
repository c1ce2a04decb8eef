//! Links over a stream of bytes that can be connected again: sockets and serial ports.

use std::io;
use std::time::Duration;

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// First wait between two tries to connect again; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// The other end of a link: knows how to connect to it.
pub trait Endpoint: Send {
    /// What a connection is.
    type Stream: ByteStream;

    /// Connects, to the same device as before if there was one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Busy`], each with its remedy.
    fn connect(&mut self, deadline: Deadline) -> Result<Self::Stream, Error>;

    /// What it is, for messages.
    fn describe(&self) -> String;
}

/// A connection that gives and takes bytes, each call ending by its deadline.
pub trait ByteStream: Send {
    /// Sends all of `bytes`; false if they were not taken by the deadline.
    ///
    /// # Errors
    /// Any error means that the connection has ended.
    fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<bool>;

    /// Takes what is there, waiting for it until the deadline: 0 if nothing came.
    ///
    /// # Errors
    /// Any error means that the connection has ended; [`io::ErrorKind::UnexpectedEof`] where the
    /// other end closed it.
    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize>;
}

/// A link over a connection to an [`Endpoint`].
#[derive(Debug)]
pub struct StreamLink<E: Endpoint> {
    endpoint: E,
    /// `None` once it has ended: a serial port that was pulled must be let go of, or the system
    /// gives the device another name when it is back.
    stream: Option<E::Stream>,
}

impl<E: Endpoint> StreamLink<E> {
    /// Connects.
    ///
    /// # Errors
    /// As [`Endpoint::connect`].
    pub fn connect(mut endpoint: E, deadline: Deadline) -> Result<Self, Error> {
        let stream = endpoint.connect(deadline)?;
        Ok(Self { endpoint, stream: Some(stream) })
    }

    /// What an operation on the connection said, in terms of the link.
    fn checked<T>(&mut self, result: io::Result<T>, during: &'static str) -> Result<T, Error> {
        result.map_err(|error| {
            tracing::debug!(link = %self.endpoint.describe(), %error, during, "the link ended");
            self.stream = None;
            Error::Disconnected { during }
        })
    }
}

impl<E: Endpoint> Link for StreamLink<E> {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        const DURING: &str = "sending";
        let stream = self.stream.as_mut().ok_or(Error::Disconnected { during: DURING })?;
        let sent = stream.send(bytes, deadline);
        if self.checked(sent, DURING)? { Ok(()) } else { Err(deadline.timeout(DURING)) }
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        const DURING: &str = "receiving";
        let stream = self.stream.as_mut().ok_or(Error::Disconnected { during: DURING })?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let received = stream.receive(buffer, deadline);
        self.checked(received, DURING)
    }

    fn describe(&self) -> String {
        self.endpoint.describe()
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.stream = None;
        let mut wait = FIRST_WAIT;
        loop {
            match self.endpoint.connect(deadline) {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) if deadline.passed() => {
                    return Err(match error {
                        // These have a remedy of their own.
                        Error::Denied { .. } | Error::Busy { .. } => error,
                        _ => Error::Disconnected { during: "reconnecting" },
                    });
                }
                Err(error) => tracing::trace!(%error, "not back yet"),
            }
            time::sleep(wait.min(deadline.left()));
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
