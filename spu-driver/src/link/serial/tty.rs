//! Serial ports of Unix systems.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_getfl, fcntl_setfl, flock, open};
use rustix::io::Errno;
use rustix::termios::{
    InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocnxcl, tcflush,
    tcgetattr, tcsetattr,
};

use super::owned;
use crate::device::Deadline;
use crate::discover::{access, holders};
use crate::error::Error;
use crate::link::{ByteStream, nonblocking};
use crate::time;

/// Time that bytes on their way out get when a port is closed.
const LINGER: Duration = Duration::from_millis(20);

/// An open port.
#[derive(Debug)]
pub struct Port {
    file: File,
}

impl Port {
    /// Opens and sets up the port at `path`; `uri` names it in errors.
    pub(super) fn open(path: &str, baud: u32, uri: &str) -> Result<Self, Error> {
        // A pseudo-terminal whose other end outlives us would stay exclusive for ever; the lock
        // that is taken below goes with us.
        let port = serialport::new(path, baud)
            .exclusive(!is_pseudo(path))
            .open_native()
            .map_err(|error| Self::why_not(&error, path, uri))?;
        let port = Self { file: owned::file(port) };
        let runs_at = port.set_up().map_err(|errno| refused(errno, path, uri))?;
        if runs_at.abs_diff(baud) > baud / 50 {
            return Err(Error::Unsupported {
                reasons: vec![format!("{uri} runs at {runs_at} baud, it has no {baud}")],
            });
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = super::line::low_latency(&port.file) {
            tracing::debug!(path, %error, "no low-latency mode");
        }
        Ok(port)
    }

    /// Why a port does not open. `serialport` has one kind of error for a port that is in use and
    /// for one that is no port; the system, asked again, tells them apart.
    fn why_not(error: &serialport::Error, path: &str, uri: &str) -> Error {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match open(path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(errno) => return refused(errno, path, uri),
        };
        match tcgetattr(&file).and_then(|_| flock(&file, FlockOperation::NonBlockingLockExclusive))
        {
            Err(errno) => refused(errno, path, uri),
            Ok(()) => Error::Unsupported { reasons: vec![format!("{uri}: {error}")] },
        }
    }

    /// What `serialport` leaves open: waits are ours to time, software flow control is off in both
    /// directions, and nobody else has the port. Clears the buffers and returns the speed.
    fn set_up(&self) -> rustix::io::Result<u32> {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive)?;
        fcntl_setfl(&self.file, fcntl_getfl(&self.file)? | OFlags::NONBLOCK)?;
        let mut line = tcgetattr(&self.file)?;
        line.input_modes &= !(InputModes::IXOFF | InputModes::IXANY);
        // Otherwise reading where there is nothing would look like the end of the file.
        line.special_codes[SpecialCodeIndex::VMIN] = 1;
        line.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&self.file, OptionalActions::Now, &line)?;
        tcflush(&self.file, QueueSelector::IOFlush)?;
        Ok(tcgetattr(&self.file)?.output_speed())
    }
}

impl ByteStream for Port {
    fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<bool> {
        nonblocking::send(&self.file, bytes, deadline)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        nonblocking::receive(&self.file, buffer, deadline)
    }
}

impl Drop for Port {
    /// Closing a port waits until the device has taken everything, for up to 30 s. What a device
    /// does not take soon it gets no more.
    fn drop(&mut self) {
        let deadline = Deadline::after(LINGER);
        #[cfg(target_os = "linux")]
        let done = || super::line::unsent(&self.file) == Ok(0);
        #[cfg(not(target_os = "linux"))]
        let done = || false;
        while !done() && !deadline.passed() {
            time::sleep(Duration::from_millis(1));
        }
        // Both fail where the device is gone, and then nothing is left to do.
        let _ = tcflush(&self.file, QueueSelector::OFlush);
        let _ = ioctl_tiocnxcl(&self.file);
    }
}

fn is_pseudo(path: &str) -> bool {
    let real = Path::new(path).canonicalize();
    real.is_ok_and(|path| path.starts_with("/dev/pts"))
}

fn refused(errno: Errno, path: &str, uri: &str) -> Error {
    let uri = uri.to_owned();
    let not_found = |why: String| Error::NotFound { uri: uri.clone(), why };
    match errno {
        Errno::NOENT | Errno::NOTDIR => {
            not_found("there is no such port; `spu list --all` shows all ports".into())
        }
        Errno::NXIO | Errno::NODEV | Errno::IO => {
            not_found("no device is behind this port; check cable and power".into())
        }
        Errno::NOTTY | Errno::INVAL => {
            not_found(format!("{path} is no serial port; `spu list --all` shows all ports"))
        }
        Errno::ACCESS | Errno::PERM => Error::Denied { uri, fix: access::fix(Path::new(path)) },
        Errno::BUSY | Errno::WOULDBLOCK => {
            let holder = holders::of(Path::new(path));
            Error::Busy {
                uri,
                holder: holder.map_or_else(
                    || "another program has it open".into(),
                    |holder| format!("{holder} has it open"),
                ),
            }
        }
        other => not_found(format!("{other}; check cable and power")),
    }
}
