//! A board's USB interface: vendor-specific, with a bulk endpoint each way.

pub(crate) mod find;
#[allow(
    unsafe_code,
    reason = "several transfers in flight need libusb's asynchronous interface, which is C"
)]
mod transfer;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusb::{Context, DeviceHandle, UsbContext};

use self::find::Bulk;
use self::transfer::{End, Transfer};
use super::{Link, ids};
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Transfers towards the host that are always in flight: the device sends on while the host looks
/// at what came.
const IN_FLIGHT: usize = 16;
/// Bytes of one of them. Linux takes 16 KiB at once; a device that ends its frames with short
/// packets fills less.
const IN_BYTES: usize = 16 * 1024;
/// Bytes of one transfer towards the device.
const OUT_BYTES: usize = 16 * 1024;
/// Silence after which an interface that was just opened holds nothing old.
const QUIET: Duration = Duration::from_millis(20);
/// Longest wait for that silence.
const DRAIN: Duration = Duration::from_millis(500);
/// Wait between two looks for a device that is to come back.
const LOOK: Duration = Duration::from_millis(50);
/// Most that libusb is let wait at once; it takes whole milliseconds and rounds up.
const SLICE: Duration = Duration::from_secs(1);

/// A link to a board's USB interface.
///
/// Bytes that arrive are kept in order: transfers of one endpoint end in the order in which they
/// were started, and are emptied in that order. A write whose length is a multiple of the packet
/// size is followed by a packet of no length, so that the device does not wait for more.
pub struct UsbLink {
    vendor: u16,
    product: u16,
    /// Serial number of the device that was opened, or that is to be.
    serial: Option<String>,
    /// None after the link has broken.
    port: Option<Port>,
}

/// The claimed interface.
struct Port {
    /// Towards the host, in the order in which they were started. Emptied before the device is
    /// closed, as are the others.
    incoming: VecDeque<Transfer>,
    /// Bytes of the first of them that were read.
    taken: usize,
    outgoing: Transfer,
    /// A transfer could not be started again; what the others hold is still to be read.
    ending: bool,
    bulk: Bulk,
    context: Context,
}

impl UsbLink {
    /// Opens the board with these ids, and with this serial number if there is one. What the board
    /// had still to send is thrown away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] or [`Error::Busy`]; [`Error::BadUri`] where several
    /// boards have these ids and no serial number is given; [`Error::Disconnected`] if it vanishes.
    pub fn open(vendor: u16, product: u16, serial: Option<&str>) -> Result<Self, Error> {
        let mut link = Self { vendor, product, serial: serial.map(Into::into), port: None };
        link.connect()?;
        Ok(link)
    }

    fn uri(&self) -> String {
        uri(self.vendor, self.product, self.serial.as_deref())
    }

    /// Finds and claims the device.
    fn connect(&mut self) -> Result<(), Error> {
        let context = Context::new().map_err(|error| self.no_usb(error))?;
        let found = find::devices(&context, |vendor, product| {
            (vendor, product) == (self.vendor, self.product)
        });
        let device = self.choose(found.map_err(|error| self.no_usb(error))?)?;
        let (uri, node) = (device.uri(), device.node());
        let refuse = |error| refusal(error, &uri, &node);
        let config = device.configuration().map_err(refuse)?;
        let bulk = find::bulk(&config).ok_or_else(|| Error::NotFound {
            uri: uri.clone(),
            why:
                "the device is there, but has no vendor-specific interface with one bulk endpoint \
                  each way; if it is in its boot loader (see `spu list`), load the firmware first"
                    .into(),
        })?;
        let port = Port::open(context, device.handle.map_err(refuse)?, bulk).map_err(refuse)?;
        self.serial = device.serial;
        self.port = Some(port);
        Ok(())
    }

    fn no_usb(&self, error: rusb::Error) -> Error {
        Error::NotFound {
            uri: self.uri(),
            why: format!("this computer lists no USB devices ({error})"),
        }
    }

    /// The device that was asked for.
    fn choose(&self, mut found: Vec<find::Device>) -> Result<find::Device, Error> {
        let all: Vec<String> = found.iter().map(find::Device::uri).collect();
        if let Some(wanted) = &self.serial {
            // One whose serial number cannot be read may be the one.
            found.retain(|device| device.serial.as_ref().is_none_or(|serial| serial == wanted));
            found.sort_by_key(|device| device.serial.is_none());
            found.truncate(1);
            let hidden = |device: &find::Device| device.serial.is_none() && device.handle.is_ok();
            found.retain(|device| !hidden(device));
        }
        if found.len() > 1 {
            return Err(Error::BadUri {
                uri: self.uri(),
                why: format!(
                    "{} devices have these ids; add the serial number of one: {}",
                    found.len(),
                    all.join(", ")
                ),
            });
        }
        found.pop().ok_or_else(|| Error::NotFound {
            uri: self.uri(),
            why: match &all[..] {
                [] => "no USB device with these ids is plugged in; see `spu list`".into(),
                others => format!("plugged in are {}; see `spu list`", others.join(", ")),
            },
        })
    }

    /// The port, while the link is whole.
    fn port(&mut self, during: &'static str) -> Result<&mut Port, Error> {
        self.port.as_mut().ok_or(Error::Disconnected { during })
    }
}

impl Link for UsbLink {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        const DURING: &str = "sending over USB";
        let result = self.port(DURING)?.write(bytes, deadline);
        result.map_err(|broken| match broken {
            Broken::Late => deadline.timeout(DURING),
            Broken::Ended => {
                self.port = None;
                Error::Disconnected { during: DURING }
            }
        })
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        const DURING: &str = "receiving over USB";
        let result = self.port(DURING)?.read(buffer, deadline);
        result.map_err(|_| {
            self.port = None;
            Error::Disconnected { during: DURING }
        })
    }

    fn describe(&self) -> String {
        self.uri()
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.port = None;
        loop {
            let error = match self.connect() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if deadline.passed() {
                // Access rules apply a moment after a device comes, so only the last word counts.
                return Err(match error {
                    Error::Denied { .. } | Error::Busy { .. } => error,
                    _ => Error::Disconnected { during: "waiting for the USB device to come back" },
                });
            }
            time::sleep(LOOK.min(deadline.left()));
        }
    }
}

/// Why bytes could not be moved.
enum Broken {
    /// The deadline passed.
    Late,
    /// The device is gone, or this interface of it.
    Ended,
}

impl Port {
    /// Claims the interface, clears it, and throws away what it still holds.
    fn open(
        context: Context,
        handle: DeviceHandle<Context>,
        bulk: Bulk,
    ) -> Result<Self, rusb::Error> {
        // Detaches the kernel's driver from this interface alone, until it is released. Where that
        // is not supported there is no such driver.
        let _ = handle.set_auto_detach_kernel_driver(true);
        handle.claim_interface(bulk.interface)?;
        if bulk.setting != 0 {
            handle.set_alternate_setting(bulk.interface, bulk.setting)?;
        }
        handle.clear_halt(bulk.input)?;
        handle.clear_halt(bulk.output)?;
        let handle = Arc::new(handle);
        let capacity = IN_BYTES.next_multiple_of(bulk.input_packet);
        let incoming = (0..IN_FLIGHT)
            .map(|_| {
                let mut transfer = Transfer::new(&handle, bulk.input, capacity)?;
                transfer.receive()?;
                Ok(transfer)
            })
            .collect::<Result<_, rusb::Error>>()?;
        let outgoing = Transfer::new(&handle, bulk.output, OUT_BYTES)?;
        let mut port = Self { incoming, taken: 0, outgoing, ending: false, bulk, context };
        port.drain().map_err(|_| rusb::Error::NoDevice)?;
        Ok(port)
    }

    fn drain(&mut self) -> Result<(), Broken> {
        let mut scrap = vec![0; IN_BYTES];
        let deadline = Deadline::after(DRAIN);
        while !deadline.passed() && self.read(&mut scrap, deadline.within(QUIET))? > 0 {}
        Ok(())
    }

    /// Lets libusb end transfers, for at most this long.
    fn handle_events(&self, left: Duration) -> Result<(), Broken> {
        match self.context.handle_events(Some(left.min(SLICE))) {
            Ok(()) | Err(rusb::Error::Interrupted) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "USB events cannot be handled");
                Err(Broken::Ended)
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Broken> {
        loop {
            let count = self.take(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let left = deadline.left();
            self.handle_events(left)?;
            if left.is_zero() {
                return self.take(buffer);
            }
        }
    }

    /// Moves what has arrived to `buffer` and starts the emptied transfers again.
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let mut count = 0;
        while count < buffer.len() {
            let Some(first) = self.incoming.front() else {
                break;
            };
            let Some(end) = first.end() else { break };
            let waiting = &first.moved()[self.taken..];
            let length = waiting.len().min(buffer.len() - count);
            buffer[count..count + length].copy_from_slice(&waiting[..length]);
            count += length;
            if length < waiting.len() {
                self.taken += length;
                break;
            }
            self.taken = 0;
            let Some(mut emptied) = self.incoming.pop_front() else { break };
            if end != End::Whole {
                // What came before is whole; what comes after may have a gap.
                tracing::debug!(?end, "a USB transfer failed");
                self.incoming.clear();
                self.ending = true;
            } else if !self.ending {
                match emptied.receive() {
                    Ok(()) => self.incoming.push_back(emptied),
                    Err(error) => {
                        tracing::debug!(%error, "a USB transfer cannot be started");
                        self.ending = true;
                    }
                }
            }
        }
        if count == 0 && self.incoming.is_empty() { Err(Broken::Ended) } else { Ok(count) }
    }

    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Broken> {
        for chunk in bytes.chunks(OUT_BYTES) {
            self.send(chunk, deadline)?;
        }
        if !bytes.is_empty() && bytes.len().is_multiple_of(self.bulk.output_packet) {
            self.send(&[], deadline)?;
        }
        Ok(())
    }

    fn send(&mut self, chunk: &[u8], deadline: Deadline) -> Result<(), Broken> {
        if self.ending || self.outgoing.send(chunk).is_err() {
            return Err(Broken::Ended);
        }
        loop {
            if let Some(end) = self.outgoing.end() {
                return if end == End::Whole { Ok(()) } else { Err(Broken::Ended) };
            }
            let left = deadline.left();
            self.handle_events(left)?;
            if left.is_zero() {
                break;
            }
        }
        // A transfer that ended while it was cancelled is sent, and one that does not end is lost.
        if !self.outgoing.stop() {
            return Err(Broken::Ended);
        }
        match self.outgoing.end() {
            Some(End::Gone | End::Stalled) => Err(Broken::Ended),
            _ if self.outgoing.moved().len() == chunk.len() && !chunk.is_empty() => Ok(()),
            Some(End::Whole) => Ok(()),
            _ => Err(Broken::Late),
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // All at once, so that they are waited for together.
        self.incoming.iter_mut().for_each(Transfer::cancel);
    }
}

/// The URI of a device.
fn uri(vendor: u16, product: u16, serial: Option<&str>) -> String {
    let serial = serial.map(Into::into);
    crate::DeviceUri::Usb { vendor, product, serial }.to_string()
}

/// Why libusb refuses a device that is there.
fn refusal(error: rusb::Error, uri: &str, node: &Path) -> Error {
    let uri = uri.to_owned();
    match error {
        rusb::Error::Access => Error::Denied { uri, fix: ids::access_fix() },
        rusb::Error::Busy => Error::Busy { uri, holder: find::holder(node) },
        rusb::Error::NotSupported => {
            let fix = "it has no driver that libusb can use (on Windows: WinUSB, see \
                       hardware/udev/README.md)";
            Error::Denied { uri, fix: fix.into() }
        }
        _ => Error::Disconnected { during: "opening a USB device" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_device_is_not_found_with_or_without_usb() {
        // Ids of a vendor who does not exist.
        for serial in [None, Some("A1")] {
            let error =
                UsbLink::open(0xFFFF, 0xFFFF, serial).err().expect("there is no such device");
            let Error::NotFound { uri, why } = &error else { panic!("{error}") };
            assert!(uri.starts_with("usb:ffff:ffff"), "{error}");
            assert!(why.contains("spu list") || why.contains("no USB"), "{error}");
        }
    }

    #[test]
    fn a_link_does_not_wait_for_an_absent_device_beyond_the_deadline() {
        let mut link = UsbLink { vendor: 0xFFFF, product: 0xFFFF, serial: None, port: None };
        let deadline = Deadline::after(Duration::from_millis(5));
        assert!(matches!(link.reconnect(deadline), Err(Error::Disconnected { .. })));
        assert!(matches!(link.write(&[0], deadline), Err(Error::Disconnected { .. })));
        assert!(matches!(link.read(&mut [0], deadline), Err(Error::Disconnected { .. })));
    }
}
