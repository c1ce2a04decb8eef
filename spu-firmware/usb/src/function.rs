//! One function of the device: a class that moves packets, with octets on the firmware's side.

use usb_device::Result;
use usb_device::class_prelude::*;
use usbd_serial::CdcAcmClass;

use crate::device::Extras;
use crate::pipe::{Incoming, Outgoing, PACKET};

/// A class with one bulk endpoint each way.
pub(crate) trait Packets<B: UsbBus>: UsbClass<B> {
    fn read_packet(&mut self, packet: &mut [u8]) -> Result<usize>;
    fn write_packet(&mut self, packet: &[u8]) -> Result<usize>;
    fn output(&self) -> EndpointAddress;
    fn input(&self) -> EndpointAddress;
}

impl<B: UsbBus> Packets<B> for CdcAcmClass<'_, B> {
    fn read_packet(&mut self, packet: &mut [u8]) -> Result<usize> {
        CdcAcmClass::read_packet(self, packet)
    }

    fn write_packet(&mut self, packet: &[u8]) -> Result<usize> {
        CdcAcmClass::write_packet(self, packet)
    }

    fn output(&self) -> EndpointAddress {
        self.read_ep().address()
    }

    fn input(&self) -> EndpointAddress {
        self.write_ep().address()
    }
}

/// A class and the octets on their way.
pub(crate) struct Function<C> {
    class: C,
    outgoing: Outgoing,
    incoming: Incoming,
    /// The endpoint to the device was told to hold.
    held: bool,
    extras: Extras,
}

impl<C> Function<C> {
    pub(crate) const fn new(class: C, extras: Extras) -> Self {
        Self { class, outgoing: Outgoing::new(), incoming: Incoming::new(), held: false, extras }
    }

    /// Octets from the host that found no room.
    pub(crate) const fn lost(&self) -> u32 {
        self.incoming.lost()
    }

    /// The next octet from the host.
    pub(crate) fn read<B: UsbBus>(&mut self) -> Option<u8>
    where
        C: Packets<B>,
    {
        let octet = self.incoming.pop();
        if self.held && self.incoming.has_enough() {
            self.held = false;
            (self.extras.hold)(self.class.output(), false);
        }
        octet
    }

    /// Sends an octet; false if there is no room.
    pub(crate) fn write<B: UsbBus>(&mut self, octet: u8) -> bool
    where
        C: Packets<B>,
    {
        let Self { class, outgoing, .. } = self;
        outgoing.push(octet, |packet| class.write_packet(packet).is_ok())
    }

    /// Nothing follows for now.
    pub(crate) fn end<B: UsbBus>(&mut self)
    where
        C: Packets<B>,
    {
        let Self { class, outgoing, .. } = self;
        outgoing.end(|packet| class.write_packet(packet).is_ok());
    }

    /// Begins anew, as the host does with a configuration.
    pub(crate) fn restart<B: UsbBus>(&mut self)
    where
        C: Packets<B>,
    {
        self.forget();
        (self.extras.hold)(self.class.output(), false);
        for endpoint in [self.class.output(), self.class.input()] {
            (self.extras.reset_toggle)(endpoint);
        }
    }

    /// Forgets the octets on their way.
    pub(crate) const fn forget(&mut self) {
        self.outgoing.clear();
        self.incoming.clear();
        self.held = false;
    }
}

impl<B: UsbBus, C: Packets<B>> UsbClass<B> for Function<C> {
    fn get_configuration_descriptors(&self, writer: &mut DescriptorWriter<'_>) -> Result<()> {
        self.class.get_configuration_descriptors(writer)
    }

    fn get_bos_descriptors(&self, writer: &mut BosWriter<'_, '_>) -> Result<()> {
        self.class.get_bos_descriptors(writer)
    }

    fn reset(&mut self) {
        self.class.reset();
        // The controller sets its endpoints up anew.
        self.forget();
    }

    fn control_in(&mut self, transfer: ControlIn<'_, '_, '_, B>) {
        self.class.control_in(transfer);
    }

    fn control_out(&mut self, transfer: ControlOut<'_, '_, '_, B>) {
        self.class.control_out(transfer);
    }

    fn endpoint_in_complete(&mut self, address: EndpointAddress) {
        self.class.endpoint_in_complete(address);
        if address == self.class.input() {
            let Self { class, outgoing, .. } = self;
            outgoing.advance(|packet| class.write_packet(packet).is_ok());
        }
    }

    fn endpoint_out(&mut self, address: EndpointAddress) {
        if address != self.class.output() {
            return;
        }
        let mut packet = [0; PACKET];
        // A packet is never left with the controller: behind it requests would wait, and its
        // interrupt would come for ever.
        if let Ok(count) = self.class.read_packet(&mut packet) {
            self.incoming.push(packet.get(..count).unwrap_or_default());
        }
        if !self.incoming.has_enough() {
            self.held = true;
            (self.extras.hold)(address, true);
        }
    }
}
