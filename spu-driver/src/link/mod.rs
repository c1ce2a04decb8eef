//! Links: how bytes travel between this host and a device.

pub mod faulty;
pub mod ids;
#[cfg(feature = "sim")]
mod in_process;
#[cfg(all(unix, any(feature = "net", feature = "serial")))]
mod nonblocking;
#[cfg(all(unix, feature = "qemu"))]
mod qemu;
mod replay;
#[cfg(feature = "serial")]
mod serial;
mod stats;
#[cfg(any(feature = "net", feature = "serial"))]
mod stream;
mod tap;
#[cfg(feature = "net")]
mod tcp;
#[cfg(all(unix, feature = "net"))]
mod unix;
#[cfg(feature = "usb")]
pub(crate) mod usb;

pub use faulty::FaultyLink;
#[cfg(feature = "sim")]
pub use in_process::InProcess;
#[cfg(all(unix, feature = "qemu"))]
pub use qemu::Qemu;
pub use replay::Replay;
#[cfg(feature = "serial")]
pub use serial::Serial;
pub use stats::LinkStats;
#[cfg(any(feature = "net", feature = "serial"))]
pub use stream::{ByteStream, Endpoint, StreamLink};
pub use tap::Tap;
#[cfg(feature = "net")]
pub use tcp::Tcp;
#[cfg(all(unix, feature = "net"))]
pub use unix::Unix;
#[cfg(feature = "usb")]
pub use usb::UsbLink;

use crate::device::Deadline;
use crate::error::Error;

/// An ordered stream of bytes to and from a device. What is in the bytes is not its business.
pub trait Link: Send {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if the other end is gone, [`Error::Timeout`] if the bytes were not
    /// taken by the deadline.
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error>;

    /// Waits until there are bytes or the deadline has passed, and moves what is there to the
    /// start of `buffer`. Returns the number of bytes; 0 means that none came by the deadline. A
    /// deadline that has already passed takes what is there without waiting.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if the other end is gone.
    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error>;

    /// What this link is, for messages.
    fn describe(&self) -> String;

    /// After [`Error::Disconnected`], waits until the same device is back, by its serial number
    /// where the link knows it, and connects to it. The device may have lost its state.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if it is not back by the deadline, or if this link cannot come back.
    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        let _ = deadline;
        Err(Error::Disconnected { during: "reconnecting" })
    }

    /// Nonce for opening a session, from a link whose conversations must repeat byte by byte:
    /// recordings, and faults from a seed. Otherwise it is drawn at random.
    fn nonce(&mut self) -> Option<u64> {
        None
    }
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        (**self).write(bytes, deadline)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        (**self).read(buffer, deadline)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        (**self).reconnect(deadline)
    }

    fn nonce(&mut self) -> Option<u64> {
        (**self).nonce()
    }
}
