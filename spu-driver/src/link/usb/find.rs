//! Finding devices: ids, serial numbers, and the interface with the two bulk endpoints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusb::{
    ConfigDescriptor, Context, DeviceDescriptor, DeviceHandle, Direction, TransferType, UsbContext,
};

/// Class code that says: defined by the vendor.
const VENDOR_SPECIFIC: u8 = 0xFF;
/// Class and subclass of Device Firmware Upgrade, and the protocol of its boot-loader mode.
const DFU_MODE: (u8, u8, u8) = (0xFE, 0x01, 0x02);
/// Longest wait for a string descriptor.
const STRING: Duration = Duration::from_millis(500);

/// The interface that the link uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bulk {
    pub(crate) interface: u8,
    pub(crate) setting: u8,
    /// Address of the endpoint towards the host.
    pub(crate) input: u8,
    /// Address of the endpoint towards the device.
    pub(crate) output: u8,
    /// Packet size towards the device, in bytes.
    pub(crate) output_packet: usize,
    /// Packet size towards the host, in bytes.
    pub(crate) input_packet: usize,
}

/// The first vendor-specific interface with one bulk endpoint each way.
pub(crate) fn bulk(config: &ConfigDescriptor) -> Option<Bulk> {
    config.interfaces().flat_map(|interface| interface.descriptors()).find_map(|setting| {
        if setting.class_code() != VENDOR_SPECIFIC {
            return None;
        }
        let one = |direction| {
            let mut found = setting.endpoint_descriptors().filter(|endpoint| {
                endpoint.transfer_type() == TransferType::Bulk && endpoint.direction() == direction
            });
            let first = found.next()?;
            let size = usize::from(first.max_packet_size());
            (found.next().is_none() && size > 0).then_some((first.address(), size))
        };
        let (input, input_packet) = one(Direction::In)?;
        let (output, output_packet) = one(Direction::Out)?;
        Some(Bulk {
            interface: setting.interface_number(),
            setting: setting.setting_number(),
            input,
            output,
            output_packet,
            input_packet,
        })
    })
}

/// True if an interface says that the device waits for new firmware.
pub(crate) fn in_boot_loader(config: &ConfigDescriptor) -> bool {
    config.interfaces().flat_map(|interface| interface.descriptors()).any(|setting| {
        (setting.class_code(), setting.sub_class_code(), setting.protocol_code()) == DFU_MODE
    })
}

/// A device with the ids that were asked for.
pub(crate) struct Device {
    inner: rusb::Device<Context>,
    pub(crate) descriptor: DeviceDescriptor,
    /// Its serial number, if it has one that can be read.
    pub(crate) serial: Option<String>,
    /// The open device, or why it does not open.
    pub(crate) handle: Result<DeviceHandle<Context>, rusb::Error>,
}

impl Device {
    /// What a URI calls it.
    pub(crate) fn uri(&self) -> String {
        super::uri(
            self.descriptor.vendor_id(),
            self.descriptor.product_id(),
            self.serial.as_deref(),
        )
    }

    /// Name of the product, if it has one that can be read.
    pub(crate) fn name(&self) -> Option<String> {
        self.handle
            .as_ref()
            .ok()
            .and_then(|handle| {
                let language = *handle.read_languages(STRING).ok()?.first()?;
                handle.read_product_string(language, &self.descriptor, STRING).ok()
            })
            .or_else(|| recorded(&self.inner, "product"))
    }

    /// Signalling rate.
    pub(crate) fn speed(&self) -> rusb::Speed {
        self.inner.speed()
    }

    /// The configuration that is active, or the first where none is.
    ///
    /// # Errors
    /// Where its descriptors cannot be read.
    pub(crate) fn configuration(&self) -> Result<ConfigDescriptor, rusb::Error> {
        self.inner.active_config_descriptor().or_else(|_| self.inner.config_descriptor(0))
    }

    /// Its file on Linux.
    pub(crate) fn node(&self) -> PathBuf {
        let (bus, address) = (self.inner.bus_number(), self.inner.address());
        format!("/dev/bus/usb/{bus:03}/{address:03}").into()
    }
}

/// The devices whose vendor and product id `wanted` takes, opened where they can be. One that
/// vanishes meanwhile is left out.
///
/// # Errors
/// Where USB devices cannot be listed.
pub(crate) fn devices(
    context: &Context,
    wanted: impl Fn(u16, u16) -> bool,
) -> Result<Vec<Device>, rusb::Error> {
    let list = context.devices()?;
    let found = list.iter().filter_map(|device| {
        let descriptor = device.device_descriptor().ok()?;
        if !wanted(descriptor.vendor_id(), descriptor.product_id()) {
            return None;
        }
        let handle = device.open();
        if matches!(handle, Err(rusb::Error::NoDevice)) {
            return None;
        }
        let serial = handle.as_ref().ok().and_then(|handle| serial(handle, &descriptor));
        let serial = serial.or_else(|| recorded(&device, "serial"));
        Some(Device { inner: device, descriptor, serial, handle })
    });
    Ok(found.collect())
}

fn serial(handle: &DeviceHandle<Context>, descriptor: &DeviceDescriptor) -> Option<String> {
    let language = *handle.read_languages(STRING).ok()?.first()?;
    let text = handle.read_serial_number_string(language, descriptor, STRING).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// A string descriptor as Linux read it, which needs no access to the device.
fn recorded(device: &rusb::Device<Context>, name: &str) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let ports: Vec<_> = device.port_numbers().ok()?.iter().map(u8::to_string).collect();
    let folder = format!("/sys/bus/usb/devices/{}-{}", device.bus_number(), ports.join("."));
    let text = std::fs::read_to_string(format!("{folder}/{name}")).ok()?;
    Some(text.trim_end_matches('\n').to_owned()).filter(|text| !text.is_empty())
}

/// Who uses the device with this file, as far as this user can see.
pub(crate) fn holder(node: &Path) -> String {
    #[cfg(unix)]
    if let Some(process) = crate::discover::holders::of(node) {
        return format!("{process} has it open");
    }
    let _ = node;
    "another program has claimed its interface".into()
}
