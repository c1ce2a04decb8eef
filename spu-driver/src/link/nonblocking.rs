//! Reading and writing a nonblocking descriptor by a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::device::Deadline;

/// As [`super::ByteStream::send`].
pub(super) fn send<S>(stream: &S, mut bytes: &[u8], deadline: Deadline) -> io::Result<bool>
where
    S: AsFd,
    for<'a> &'a S: Write,
{
    let mut hung_up = false;
    while !bytes.is_empty() {
        let mut writer = stream;
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if hung_up => return Err(ErrorKind::BrokenPipe.into()),
            Err(_) => match wait(stream, PollFlags::OUT, deadline)? {
                Ready::No => return Ok(false),
                Ready::Yes => {}
                Ready::HungUp => hung_up = true,
            },
        }
    }
    Ok(true)
}

/// As [`super::ByteStream::receive`].
pub(super) fn receive<S>(stream: &S, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize>
where
    S: AsFd,
    for<'a> &'a S: Read,
{
    let mut hung_up = false;
    loop {
        let mut reader = stream;
        match reader.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if hung_up => return Err(ErrorKind::UnexpectedEof.into()),
            Err(_) => match wait(stream, PollFlags::IN, deadline)? {
                Ready::No => return Ok(0),
                Ready::Yes => {}
                Ready::HungUp => hung_up = true,
            },
        }
    }
}

enum Ready {
    Yes,
    /// The deadline passed.
    No,
    /// The next call tells why; it never has to be waited for.
    HungUp,
}

/// Waits until the descriptor is ready. The wait itself tells that the deadline has passed: it runs
/// on real time whatever the driver's clock says.
fn wait(stream: &impl AsFd, what: PollFlags, deadline: Deadline) -> io::Result<Ready> {
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return Ok(Ready::No);
        }
        let timeout = Timespec::try_from(left).ok();
        let mut polled = [PollFd::new(stream, what)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) => return Ok(Ready::No),
            Ok(_) if polled[0].revents().contains(what) => return Ok(Ready::Yes),
            Ok(_) => return Ok(Ready::HungUp),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
