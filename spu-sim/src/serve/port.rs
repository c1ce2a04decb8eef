//! Endpoints and connections as the engine sees them.

use std::io::{self, Read, Write};

use rustix::fd::{AsFd, BorrowedFd};

use super::{Endpoint, ServeError};

/// An open endpoint. Dropped, it leaves nothing in the file system.
pub(super) trait Port: Send {
    /// URI by which the driver opens the board.
    fn uri(&self) -> String;

    /// True if other computers can reach it.
    fn is_public(&self) -> bool {
        false
    }

    /// What becomes readable when a host comes, if there is such a thing.
    fn source(&self) -> Option<BorrowedFd<'_>>;

    /// The next host that came; `occupied` if one is connected.
    ///
    /// # Errors
    /// What the operating system says; another host may come nevertheless.
    fn accept(&mut self, occupied: bool) -> io::Result<Option<Box<dyn Wire>>>;

    /// Makes sure that the host whose connection was dropped notices.
    ///
    /// # Errors
    /// As [`plug_in`](Self::plug_in), where the endpoint must be opened again for it.
    fn hang_up(&mut self) -> Result<(), ServeError> {
        Ok(())
    }

    /// Lets no host in any more.
    fn unplug(&mut self);

    /// Lets hosts in again; nothing is done where they are.
    fn plug_in(&mut self) -> Result<(), ServeError>;
}

/// A connection that never blocks.
pub(super) trait Wire: Read + Write + Send {
    /// What to wait for.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Octets for which the board is left at work before they are sent: many frames in a system
    /// call, but so few that the connection does not run empty meanwhile.
    fn batch(&self) -> usize {
        64 * 1024
    }

    /// Ends the connection with what is on its way; dropping it would send that first.
    fn cut(&mut self) {}
}

/// Opens an endpoint.
pub(super) fn open(endpoint: &Endpoint) -> Result<Box<dyn Port>, ServeError> {
    Ok(match endpoint {
        Endpoint::Tcp { host, port } => Box::new(super::tcp::TcpPort::open(host, *port)?),
        #[cfg(unix)]
        Endpoint::Unix { path } => Box::new(super::unix::UnixPort::open(path)?),
        #[cfg(unix)]
        Endpoint::Pty { link } => Box::new(super::pty::PtyPort::open(link.as_deref())?),
        #[cfg(not(unix))]
        Endpoint::Unix { .. } => return Err(ServeError::Absent { what: "Unix sockets" }),
        #[cfg(not(unix))]
        Endpoint::Pty { .. } => return Err(ServeError::Absent { what: "pseudo-terminals" }),
    })
}

/// The file descriptor of a socket.
pub(super) fn fd(socket: &impl AsFd) -> BorrowedFd<'_> {
    socket.as_fd()
}
