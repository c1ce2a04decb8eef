//! A UART of the emulator, which is a socket here, as a pseudo-terminal.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Octets that are under way in one direction at most.
const BUFFER: usize = 4096;

/// A pseudo-terminal whose other end is relayed.
pub(crate) struct Terminal {
    master: File,
    /// Kept open: a master without a slave has no peace.
    _slave: File,
    path: PathBuf,
}

impl Terminal {
    /// A new one, in raw mode.
    pub(crate) fn open() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&master, true)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut mode = tcgetattr(&slave)?;
        mode.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &mode)?;
        Ok(Self { master: master.into(), _slave: slave.into(), path })
    }

    /// The device node for the driver.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Relays octets until the socket ends; the terminal goes away then.
    pub(crate) fn relay(self, uart: &UnixStream) -> io::Result<()> {
        uart.set_nonblocking(true)?;
        let (mut up, mut down) = (Pipe::default(), Pipe::default());
        loop {
            let mut wanted = [PollFlags::empty(); 2];
            wanted[0].set(PollFlags::IN, up.has_room());
            wanted[0].set(PollFlags::OUT, !down.is_empty());
            wanted[1].set(PollFlags::IN, down.has_room());
            wanted[1].set(PollFlags::OUT, !up.is_empty());
            let mut fds = [
                PollFd::from_borrowed_fd(self.master.as_fd(), wanted[0]),
                PollFd::from_borrowed_fd(uart.as_fd(), wanted[1]),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let open = up.fill(&self.master)? && down.fill(uart)?;
            up.empty(uart)?;
            down.empty(&self.master)?;
            if !open {
                return Ok(());
            }
        }
    }
}

/// Octets in one direction.
#[derive(Default)]
struct Pipe(Vec<u8>);

impl Pipe {
    fn has_room(&self) -> bool {
        self.0.len() < BUFFER
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what is there; false at the end.
    fn fill(&mut self, mut from: impl Read) -> io::Result<bool> {
        let mut buffer = [0; BUFFER];
        while self.has_room() {
            match from.read(&mut buffer[self.0.len()..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    let start = self.0.len();
                    self.0.extend_from_slice(&buffer[start..start + count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Gives what is taken.
    fn empty(&mut self, mut to: impl Write) -> io::Result<()> {
        while !self.0.is_empty() {
            match to.write(&self.0) {
                Ok(count) => drop(self.0.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
