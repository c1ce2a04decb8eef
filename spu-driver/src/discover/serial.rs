//! Serial ports, and the USB devices behind them.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a USB device says of itself, as far as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsbIdentity {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    pub(crate) serial: Option<String>,
    /// Name of the product.
    pub(crate) name: Option<String>,
}

impl fmt::Display for UsbIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "USB device {:04x}:{:04x}", self.vendor, self.product)?;
        self.serial.iter().try_for_each(|serial| write!(f, " with serial number {serial}"))
    }
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Its path or name.
    pub(crate) path: String,
    /// The USB device behind it.
    pub(crate) usb: Option<UsbIdentity>,
}

/// All serial ports of this system, in order of their names.
pub(crate) fn ports() -> Vec<Port> {
    #[cfg(target_os = "linux")]
    let mut ports = sysfs::ports(Path::new("/"));
    #[cfg(not(target_os = "linux"))]
    let mut ports = elsewhere();
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    ports
}

/// The USB device behind the port of this path or name.
pub(crate) fn identity(path: &str) -> Option<UsbIdentity> {
    let real = real(path);
    ports().into_iter().find(|port| port.path == real).and_then(|port| port.usb)
}

/// The port of the device that was found at `path` before.
pub(crate) fn port_of(device: &UsbIdentity, path: &str) -> Option<String> {
    choose(&ports(), device, path, &real(path))
}

/// `path` may be a link, and `real` is where it leads now.
fn choose(ports: &[Port], device: &UsbIdentity, path: &str, real: &str) -> Option<String> {
    let same = |port: &&Port| {
        let found = port.usb.as_ref();
        found.is_some_and(|found| {
            (found.vendor, found.product, &found.serial)
                == (device.vendor, device.product, &device.serial)
        })
    };
    if device.serial.is_some()
        && let Some(port) = ports.iter().find(same)
    {
        return Some(port.path.clone());
    }
    // Without a serial number, what has the old name and looks the same is taken for it.
    match ports.iter().find(|port| port.path == real) {
        Some(port) if device.serial.is_none() => same(&port).then(|| path.to_owned()),
        Some(port) => port.usb.is_none().then(|| path.to_owned()),
        None => None,
    }
}

/// Where a path leads; names that are no paths stay.
fn real(path: &str) -> String {
    let real = Path::new(path).canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    real.to_string_lossy().into_owned()
}

#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Vec<Port> {
    let found = match serialport::available_ports() {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "serial ports cannot be listed");
            return Vec::new();
        }
    };
    // Of the two names that macOS gives each port, `tty` waits for a modem.
    let found = found.into_iter().filter(|port| !port.port_name.starts_with("/dev/tty."));
    found
        .map(|port| Port {
            path: port.port_name,
            usb: match port.port_type {
                serialport::SerialPortType::UsbPort(usb) => Some(UsbIdentity {
                    vendor: usb.vid,
                    product: usb.pid,
                    serial: usb.serial_number,
                    name: usb.product,
                }),
                _ => None,
            },
        })
        .collect()
}

#[cfg(target_os = "linux")]
pub(crate) mod sysfs {
    //! What Linux tells in `/sys`, without opening anything.

    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Port, UsbIdentity};

    /// Serial ports below this root of the file system.
    pub(crate) fn ports(root: &Path) -> Vec<Port> {
        let class = root.join("sys/class/tty");
        let Ok(entries) = fs::read_dir(&class) else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let device = class.join(&name).join("device").canonicalize().ok()?;
                // A driver keeps places for UARTs that are not there.
                if text(&class.join(&name).join("type")).as_deref() == Some("0") {
                    return None;
                }
                let usb = usb_device(&device).and_then(|directory| identity(&directory));
                let path = root.join("dev").join(&name).to_str()?.to_owned();
                Some(Port { path, usb })
            })
            .collect()
    }

    /// Directory of the USB device that a device in `/sys` belongs to.
    pub(crate) fn usb_device(device: &Path) -> Option<PathBuf> {
        let found = device.ancestors().find(|directory| directory.join("idVendor").exists());
        found.map(Path::to_owned)
    }

    fn identity(directory: &Path) -> Option<UsbIdentity> {
        let id = |name| u16::from_str_radix(&text(&directory.join(name))?, 16).ok();
        Some(UsbIdentity {
            vendor: id("idVendor")?,
            product: id("idProduct")?,
            serial: text(&directory.join("serial")),
            name: text(&directory.join("product")),
        })
    }

    /// A line of text, if there is one.
    pub(crate) fn text(path: &Path) -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(serial: Option<&str>) -> UsbIdentity {
        UsbIdentity { vendor: 0x1209, product: 1, serial: serial.map(String::from), name: None }
    }

    fn port(path: &str, usb: Option<UsbIdentity>) -> Port {
        Port { path: path.into(), usb }
    }

    #[test]
    fn a_device_is_found_by_its_serial_number() {
        let (a, b, none) = (device(Some("A")), device(Some("B")), device(None));
        let ports = [
            port("/dev/ttyACM0", Some(b.clone())),
            port("/dev/ttyACM1", Some(a.clone())),
            port("/dev/ttyACM2", Some(none.clone())),
            port("/dev/ttyS0", None),
        ];
        let find = |device: &UsbIdentity, path| choose(&ports, device, path, path);
        // It has another name now, and another device has its name.
        assert_eq!(find(&a, "/dev/ttyACM0").as_deref(), Some("/dev/ttyACM1"));
        assert_eq!(find(&device(Some("C")), "/dev/ttyACM0"), None);
        // The name is all there is to go by.
        assert_eq!(find(&none, "/dev/ttyACM2").as_deref(), Some("/dev/ttyACM2"));
        assert_eq!(find(&none, "/dev/ttyACM0"), None);
        assert_eq!(find(&none, "/dev/ttyACM9"), None);
        assert_eq!(find(&a.clone(), "/dev/ttyS0").as_deref(), Some("/dev/ttyACM1"));
        assert_eq!(find(&device(Some("C")), "/dev/ttyS0").as_deref(), Some("/dev/ttyS0"));
        // A link keeps its name.
        let link = choose(&ports, &none, "/dev/serial/by-id/x", "/dev/ttyACM2");
        assert_eq!(link.as_deref(), Some("/dev/serial/by-id/x"));
    }
}
