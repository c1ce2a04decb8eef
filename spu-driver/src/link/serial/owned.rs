//! An open port of `serialport` as a file, whose waits have a resolution of microseconds where
//! `serialport`'s own have one of milliseconds.

use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd};

use serialport::TTYPort;

/// The port's file.
pub(super) fn file(port: TTYPort) -> File {
    // SAFETY: `into_raw_fd` gives up the port's open descriptor, which nobody else owns.
    unsafe { File::from_raw_fd(port.into_raw_fd()) }
}
