//! The vendor-specific interface, and the descriptors by which Windows gives it `WinUSB`.

use usb_device::Result;
use usb_device::class_prelude::*;
use usb_device::control::{Recipient, RequestType};

use crate::function::Packets;
use crate::pipe::PACKET;

/// Request for [`MICROSOFT_SET`], to the device, vendor-specific.
pub const MICROSOFT_REQUEST: u8 = 0x20;
/// Its index (`MS_OS_20_DESCRIPTOR_INDEX`).
const MICROSOFT_INDEX: u16 = 7;
/// Number of the interface: it is the first that is allocated, as the set says.
const INTERFACE: u8 = 0;
/// Windows 8.1, the first that asks.
const WINDOWS: [u8; 4] = 0x0603_0000_u32.to_le_bytes();
/// Type of a platform's capability in the BOS (USB 3.2, table 9-14).
const PLATFORM: u8 = 5;
/// `{D8DD60DF-4589-4CC7-9CD2-659D9E648A9F}`: the capability is Microsoft OS 2.0 descriptors.
const MICROSOFT_20: [u8; 16] = [
    0xDF, 0x60, 0xDD, 0xD8, 0x89, 0x45, 0xC7, 0x4C, 0x9C, 0xD2, 0x65, 0x9D, 0x9E, 0x64, 0x8A, 0x9F,
];

const NAME: &str = "DeviceInterfaceGUIDs";
/// Chosen at random for this project: by it libusb finds the interface.
const GUID: &str = "{6B4F0A52-8C1D-4E3B-9A77-2D5E10C3F8B6}";

const HEADER_LEN: usize = 10;
const COMPATIBLE_LEN: usize = 20;
/// A name with its end, and a list of strings with its two ends, in UTF-16.
const NAME_LEN: usize = 2 * (NAME.len() + 1);
const LIST_LEN: usize = 2 * (GUID.len() + 2);
const PROPERTY_LEN: usize = 10 + NAME_LEN + LIST_LEN;
const FUNCTION_LEN: usize = 8 + COMPATIBLE_LEN + PROPERTY_LEN;
const CONFIGURATION_LEN: usize = 8 + FUNCTION_LEN;
const SET_LEN: usize = HEADER_LEN + CONFIGURATION_LEN;

/// The Microsoft OS 2.0 descriptor set: the interface is compatible with `WINUSB`.
pub static MICROSOFT_SET: [u8; SET_LEN] = microsoft_set();

/// Octets that are written one after another, when compiling.
struct Text {
    octets: [u8; SET_LEN],
    len: usize,
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, which refuses what goes wrong"
)]
impl Text {
    const fn octets(mut self, octets: &[u8]) -> Self {
        let mut k = 0;
        while k < octets.len() {
            self.octets[self.len] = octets[k];
            self.len += 1;
            k += 1;
        }
        self
    }

    const fn words(mut self, words: &[usize]) -> Self {
        let mut k = 0;
        while k < words.len() {
            self = self.octets(&(words[k] as u16).to_le_bytes());
            k += 1;
        }
        self
    }

    /// A string of ASCII in UTF-16, and that many zeros.
    const fn utf16(mut self, text: &str, zeros: usize) -> Self {
        let mut k = 0;
        while k < text.len() {
            self = self.octets(&[text.as_bytes()[k], 0]);
            k += 1;
        }
        k = 0;
        while k < zeros {
            self = self.octets(&[0, 0]);
            k += 1;
        }
        self
    }
}

const fn microsoft_set() -> [u8; SET_LEN] {
    Text { octets: [0; SET_LEN], len: 0 }
        // Set header.
        .words(&[HEADER_LEN, 0])
        .octets(&WINDOWS)
        .words(&[SET_LEN])
        // The configuration with index 0, in it the function at our interface.
        .words(&[8, 1, 0, CONFIGURATION_LEN])
        .words(&[8, 2, INTERFACE as usize, FUNCTION_LEN])
        // Compatible id.
        .words(&[COMPATIBLE_LEN, 3])
        .octets(b"WINUSB\0\0\0\0\0\0\0\0\0\0")
        // Registry property, of type REG_MULTI_SZ.
        .words(&[PROPERTY_LEN, 4, 7, NAME_LEN])
        .utf16(NAME, 1)
        .words(&[LIST_LEN])
        .utf16(GUID, 2)
        .octets
}

/// The interface: one bulk endpoint each way, no requests.
pub(crate) struct Vendor<'a, B: UsbBus> {
    interface: InterfaceNumber,
    output: EndpointOut<'a, B>,
    input: EndpointIn<'a, B>,
}

impl<'a, B: UsbBus> Vendor<'a, B> {
    /// Allocates the interface, which must be the device's first.
    pub(crate) fn new(bus: &'a UsbBusAllocator<B>) -> Self {
        let interface = bus.interface();
        debug_assert_eq!(u8::from(interface), INTERFACE);
        Self { interface, output: bus.bulk(PACKET as u16), input: bus.bulk(PACKET as u16) }
    }
}

impl<B: UsbBus> Packets<B> for Vendor<'_, B> {
    fn read_packet(&mut self, packet: &mut [u8]) -> Result<usize> {
        self.output.read(packet)
    }

    fn write_packet(&mut self, packet: &[u8]) -> Result<usize> {
        self.input.write(packet)
    }

    fn output(&self) -> EndpointAddress {
        self.output.address()
    }

    fn input(&self) -> EndpointAddress {
        self.input.address()
    }
}

impl<B: UsbBus> UsbClass<B> for Vendor<'_, B> {
    fn get_configuration_descriptors(&self, writer: &mut DescriptorWriter<'_>) -> Result<()> {
        writer.interface(self.interface, 0xFF, 0, 0)?;
        writer.endpoint(&self.input)?;
        writer.endpoint(&self.output)
    }

    fn get_bos_descriptors(&self, writer: &mut BosWriter<'_, '_>) -> Result<()> {
        let mut data = [0; 25];
        let [total_low, total_high] = (SET_LEN as u16).to_le_bytes();
        let parts =
            [&[0][..], &MICROSOFT_20, &WINDOWS, &[total_low, total_high], &[MICROSOFT_REQUEST, 0]];
        for (place, octet) in data.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *octet;
        }
        writer.capability(PLATFORM, &data)
    }

    fn control_in(&mut self, transfer: ControlIn<'_, '_, '_, B>) {
        let request = transfer.request();
        if request.request_type == RequestType::Vendor
            && request.recipient == Recipient::Device
            && request.request == MICROSOFT_REQUEST
            && request.index == MICROSOFT_INDEX
        {
            // What fails is a transfer that the host has given up.
            let _ = transfer.accept_with(&MICROSOFT_SET);
        }
    }
}
