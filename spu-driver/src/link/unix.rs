//! Device servers on Unix sockets.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::{ByteStream, Endpoint};
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Wait where the server has not taken its last callers yet.
const BACKLOG_WAIT: Duration = Duration::from_millis(2);

/// A socket in the file system.
#[derive(Debug)]
pub struct Unix {
    path: PathBuf,
}

impl Unix {
    /// The socket at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn try_connect(&self) -> io::Result<UnixStream> {
        let address = SockAddr::unix(&self.path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // A full backlog would hold a blocking call for as long as the server likes.
        socket.set_nonblocking(true)?;
        socket.connect(&address)?;
        Ok(OwnedFd::from(socket).into())
    }

    fn refused(&self, error: &io::Error) -> Error {
        let (uri, path) = (self.describe(), self.path.display());
        let not_found = |why: String| Error::NotFound { uri: uri.clone(), why };
        let start = format!("`spu-sim serve --unix {path}`");
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                not_found(format!("there is no such socket; start a server: {start}"))
            }
            ErrorKind::ConnectionRefused => {
                not_found(format!("nothing listens on this file any more; start a server: {start}"))
            }
            ErrorKind::PermissionDenied => Error::Denied {
                uri,
                fix: format!("ask its owner for write access, e.g. `sudo chmod a+rw {path}`"),
            },
            ErrorKind::WouldBlock => {
                Error::Busy { uri, holder: "its server takes no more connections now".into() }
            }
            ErrorKind::InvalidInput => Error::BadUri { uri, why: format!("the path: {error}") },
            _ => not_found(format!("{error}; start a server: {start}")),
        }
    }
}

impl Endpoint for Unix {
    type Stream = UnixStream;

    fn connect(&mut self, deadline: Deadline) -> Result<UnixStream, Error> {
        loop {
            match self.try_connect() {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock && !deadline.passed() => {
                    time::sleep(BACKLOG_WAIT.min(deadline.left()));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(&error)),
            }
        }
    }

    fn describe(&self) -> String {
        format!("unix:{}", self.path.display())
    }
}

impl ByteStream for UnixStream {
    fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<bool> {
        super::nonblocking::send(self, bytes, deadline)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        super::nonblocking::receive(self, buffer, deadline)
    }
}
