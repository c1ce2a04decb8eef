//! The device: both functions and what they share.

use usb_device::LangID;
use usb_device::bus::{UsbBus, UsbBusAllocator};
use usb_device::class::{ControlOut, UsbClass};
use usb_device::control::{Recipient, Request, RequestType};
use usb_device::device::{
    StringDescriptors, UsbDevice, UsbDeviceBuilder, UsbDeviceState, UsbRev, UsbVidPid,
};
use usb_device::endpoint::EndpointAddress;
use usb_device::prelude::BuilderError;
use usbd_serial::CdcAcmClass;

use crate::function::Function;
use crate::ids;
use crate::pipe::PACKET;
use crate::vendor::Vendor;

/// What a controller does beyond [`UsbBus`]. Both are about one endpoint and come from within
/// [`Device::poll`] or [`Device::read`].
#[derive(Debug, Clone, Copy)]
pub struct Extras {
    /// Lets an OUT endpoint refuse packets (NAK), or take them again. Where a controller cannot,
    /// this may do nothing: what finds no room is then lost and counted.
    pub hold: fn(EndpointAddress, bool),
    /// Sets the data toggle of an endpoint to DATA0, as `CLEAR_FEATURE(ENDPOINT_HALT)` and
    /// `SET_CONFIGURATION` ask; drivers of `usb-device` only end the stall.
    pub reset_toggle: fn(EndpointAddress),
}

/// A function of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The vendor-specific interface.
    Bulk,
    /// The serial port.
    Serial,
}

/// Requests that concern endpoints, seen on their way to `usb-device`, which answers them.
struct Watch {
    extras: Extras,
    /// The host chose a configuration.
    configured: bool,
}

impl<B: UsbBus> UsbClass<B> for Watch {
    fn control_out(&mut self, transfer: ControlOut<'_, '_, '_, B>) {
        let request = transfer.request();
        if request.request_type != RequestType::Standard {
            return;
        }
        match (request.recipient, request.request, request.value) {
            (Recipient::Endpoint, Request::CLEAR_FEATURE, Request::FEATURE_ENDPOINT_HALT) => {
                (self.extras.reset_toggle)(EndpointAddress::from(request.index as u8));
            }
            (Recipient::Device, Request::SET_CONFIGURATION, _) => self.configured = true,
            _ => {}
        }
    }
}

/// The USB device of a board.
pub struct Device<'a, B: UsbBus> {
    core: UsbDevice<'a, B>,
    watch: Watch,
    bulk: Function<Vendor<'a, B>>,
    serial: Function<CdcAcmClass<'a, B>>,
    /// The host has configured the device, asleep or not.
    configured: bool,
}

impl<B: UsbBus> core::fmt::Debug for Device<'_, B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Device").field("configured", &self.configured).finish_non_exhaustive()
    }
}

impl<'a, B: UsbBus> Device<'a, B> {
    /// The device on this bus, whose endpoints nobody has allocated yet. `serial` is the board's
    /// serial number: [`ids::serial_digits`].
    ///
    /// # Errors
    /// Those of `usb-device`'s builder, of which none occurs with these strings.
    ///
    /// # Panics
    /// If the bus has too few endpoints.
    pub fn new(
        bus: &'a UsbBusAllocator<B>,
        serial: &'a str,
        extras: Extras,
    ) -> Result<Self, BuilderError> {
        let bulk = Function::new(Vendor::new(bus), extras);
        let port = Function::new(CdcAcmClass::new(bus, PACKET as u16), extras);
        let strings = StringDescriptors::new(LangID::EN_US)
            .manufacturer(ids::MANUFACTURER)
            .product(ids::PRODUCT)
            .serial_number(serial);
        let core = UsbDeviceBuilder::new(bus, UsbVidPid(ids::VENDOR, ids::BOARD))
            // The first revision with a BOS, which Windows needs.
            .usb_rev(UsbRev::Usb210)
            .composite_with_iads()
            .strings(&[strings])?
            .max_packet_size_0(64)?
            .max_power(500)?
            .build();
        let watch = Watch { extras, configured: false };
        Ok(Self { core, watch, bulk, serial: port, configured: false })
    }

    /// Does what the controller asks for: from its interrupt, or every few milliseconds.
    pub fn poll(&mut self) {
        self.core.poll(&mut [&mut self.watch, &mut self.bulk, &mut self.serial]);
        if core::mem::take(&mut self.watch.configured) {
            self.bulk.restart();
            self.serial.restart();
        }
        match self.core.state() {
            UsbDeviceState::Configured => self.configured = true,
            UsbDeviceState::Suspend => {}
            UsbDeviceState::Default | UsbDeviceState::Addressed => self.configured = false,
        }
    }

    /// True if the host has configured the device.
    pub const fn is_configured(&self) -> bool {
        self.configured
    }

    /// The next octet from the host.
    pub fn read(&mut self, port: Port) -> Option<u8> {
        match port {
            Port::Bulk => self.bulk.read(),
            Port::Serial => self.serial.read(),
        }
    }

    /// Sends an octet; false if there is no room now, and [`poll`](Self::poll) will make some.
    /// Without a host that has configured the device it is dropped.
    pub fn write(&mut self, port: Port, octet: u8) -> bool {
        if !self.configured {
            return true;
        }
        match port {
            Port::Bulk => self.bulk.write(octet),
            Port::Serial => self.serial.write(octet),
        }
    }

    /// Ends the transfer to the host: nothing follows for now.
    pub fn end(&mut self, port: Port) {
        if !self.configured {
            return;
        }
        match port {
            Port::Bulk => self.bulk.end(),
            Port::Serial => self.serial.end(),
        }
    }

    /// Octets from the host that found no room.
    pub const fn lost(&self) -> u32 {
        self.bulk.lost().saturating_add(self.serial.lost())
    }
}
