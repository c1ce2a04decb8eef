//! Pseudo-terminals: serial ports without a cable.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use super::ServeError;
use super::port::{Port, Wire, fd};

/// A pseudo-terminal, whose slave a host may open and close again and again.
pub(super) struct PtyPort {
    link: Option<PathBuf>,
    open: Option<Open>,
    /// Name of the slave, of the last one while unplugged.
    slave: PathBuf,
}

struct Open {
    master: File,
    slave: PathBuf,
}

impl PtyPort {
    pub(super) fn open(link: Option<&Path>) -> Result<Self, ServeError> {
        let open = Open::new()?;
        if let Some(link) = link {
            remove_stale(link)?;
            make_link(link, &open.slave)?;
        }
        Ok(Self { link: link.map(Into::into), slave: open.slave.clone(), open: Some(open) })
    }
}

fn error(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> ServeError {
    move |source| ServeError::Io { uri: "pty".into(), what, source: source.into() }
}

impl Open {
    fn new() -> Result<Self, ServeError> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .map_err(error("opening a pseudo-terminal"))?;
        // Not every system opens one so.
        rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC).map_err(error("setting the mode"))?;
        grantpt(&master).map_err(error("granting the terminal"))?;
        unlockpt(&master).map_err(error("unlocking the terminal"))?;
        rustix::io::ioctl_fionbio(&master, true).map_err(error("setting the mode"))?;
        let slave = ptsname(&master, Vec::new()).map_err(error("finding the terminal's name"))?;
        let slave = PathBuf::from(OsStr::from_bytes(slave.as_bytes()));
        make_raw(&slave).map_err(error("setting the mode of the terminal"))?;
        Ok(Self { master: master.into(), slave })
    }
}

/// Octets pass unchanged, at once and without echo. The mode outlives the descriptor that set it,
/// and closing that leaves the terminal without a host, as it is to be found.
fn make_raw(slave: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(slave, flags, Mode::empty())?;
    let mut mode = tcgetattr(&slave)?;
    mode.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &mode)
}

/// Removes a link to a terminal that is gone.
fn remove_stale(link: &Path) -> Result<(), ServeError> {
    let occupied = |what: String| Err(ServeError::Occupied { path: link.into(), what });
    let Ok(file) = fs::symlink_metadata(link) else { return Ok(()) };
    if !file.file_type().is_symlink() {
        return occupied("is no link to a terminal".into());
    }
    if link.exists() {
        let target = fs::read_link(link).unwrap_or_default();
        return occupied(format!("points to {}, which may be in use", target.display()));
    }
    fs::remove_file(link).map_err(|source| link_error(link, source))
}

fn make_link(link: &Path, slave: &Path) -> Result<(), ServeError> {
    symlink(slave, link).map_err(|source| link_error(link, source))
}

fn link_error(link: &Path, source: io::Error) -> ServeError {
    let uri = format!("pty:{}", link.display());
    match source.kind() {
        ErrorKind::PermissionDenied => ServeError::Denied {
            uri,
            remedy: "a link in a directory that may be written, e.g. under /tmp",
        },
        _ => ServeError::Io { uri, what: "making the link", source },
    }
}

impl Port for PtyPort {
    fn uri(&self) -> String {
        format!("serial:{}", self.link.as_ref().unwrap_or(&self.slave).display())
    }

    /// None: a master without a host is readable all the time, to say so.
    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn accept(&mut self, occupied: bool) -> io::Result<Option<Box<dyn Wire>>> {
        let Some(open) = self.open.as_ref().filter(|_| !occupied) else { return Ok(None) };
        let mut fds = [PollFd::new(&open.master, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default()))?;
        if fds[0].revents().contains(PollFlags::HUP) {
            return Ok(None);
        }
        Ok(Some(Box::new(Terminal(open.master.try_clone()?))))
    }

    fn hang_up(&mut self) -> Result<(), ServeError> {
        self.unplug();
        self.plug_in()
    }

    fn unplug(&mut self) {
        let Some(Open { slave, .. }) = self.open.take() else { return };
        if let Some(link) = &self.link
            && fs::read_link(link).is_ok_and(|target| target == slave)
        {
            // What is left is replaced by the next server.
            let _ = fs::remove_file(link);
        }
    }

    fn plug_in(&mut self) -> Result<(), ServeError> {
        if self.open.is_none() {
            *self = Self::open(self.link.as_deref())?;
        }
        Ok(())
    }
}

impl Drop for PtyPort {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// The master's end while a host has the slave open.
struct Terminal(File);

impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for Terminal {
    fn fd(&self) -> BorrowedFd<'_> {
        fd(&self.0)
    }

    /// A terminal holds about 10 KiB.
    fn batch(&self) -> usize {
        8 * 1024
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What the last host has not read is not for the next one.
        let _ = tcflush(&self.0, QueueSelector::OFlush);
    }
}
