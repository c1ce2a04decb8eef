//! Serial ports, and the USB devices behind them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Found, Listed, State};
use crate::link::ids;

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

/// All serial ports, and whether they can be opened.
pub(super) fn list() -> Vec<Found> {
    let root = Path::new("/");
    ports().iter().map(|port| found(root, port)).collect()
}

/// `root` is that of the file system in which `/proc` is looked for.
fn found(root: &Path, port: &Port) -> Found {
    let product = port.usb.as_ref().filter(|usb| usb.vendor == ids::VENDOR).map(|usb| usb.product);
    let ours = matches!(product, Some(ids::BOARD | ids::BOOT_LOADER));
    let description = match &port.usb {
        Some(usb) => match &usb.name {
            Some(name) => format!("{name}, {usb}"),
            None => usb.to_string(),
        },
        None => "serial port, not on USB".into(),
    };
    let (state, remedy) = match access(root, &port.path) {
        (State::Present, _) if product == Some(ids::BOOT_LOADER) => {
            (State::BootLoader, Some("write its firmware, or power it off and on".into()))
        }
        other => other,
    };
    let listed = Listed { uri: format!("serial:{}", port.path), description, state, remedy };
    Found { ours, listed }
}

/// Whether a port can be opened, found without opening it: that alone may reset a board.
#[cfg(unix)]
fn access(root: &Path, path: &str) -> (State, Option<String>) {
    use rustix::fs::{Access, access};
    use rustix::io::Errno;

    let path = Path::new(path);
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => {}
        Err(Errno::NOENT) => {
            let remedy = "its device file is missing here; pass it into the container";
            return (State::Denied, Some(remedy.into()));
        }
        Err(_) => return (State::Denied, Some(super::access::fix(path))),
    }
    match super::holders::find(&root.join("proc"), path) {
        Some(holder) => (State::Busy, Some(format!("{holder} has it open; close it"))),
        None => (State::Present, None),
    }
}

/// Only opening it would tell.
#[cfg(not(unix))]
fn access(_root: &Path, _path: &str) -> (State, Option<String>) {
    (State::Present, None)
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

#[cfg(all(test, target_os = "linux"))]
mod tests_of_linux {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A file system with what the kernel shows of serial ports.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// The root as the kernel would name it.
        fn root(&self) -> PathBuf {
            self.0.path().canonicalize().unwrap()
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn link(&self, from: &str, to: &str) {
            let from = self.root().join(from);
            fs::create_dir_all(from.parent().unwrap()).unwrap();
            symlink(self.root().join(to), from).unwrap();
        }

        /// A port whose device is in this folder of `/sys/devices`.
        fn port(&self, name: &str, device: &str) {
            let tty = format!("sys/devices/{device}/tty/{name}");
            self.link(&format!("{tty}/device"), &format!("sys/devices/{device}"));
            self.link(&format!("sys/class/tty/{name}"), &tty);
            self.write(&format!("dev/{name}"), "");
        }

        fn usb(&self, device: &str, product: &str, serial: &str) {
            for (name, text) in [
                ("idVendor", "1209"),
                ("idProduct", product),
                ("serial", serial),
                ("product", "SPU"),
            ] {
                self.write(&format!("sys/devices/{device}/{name}"), &format!("{text}\n"));
            }
        }

        fn list(&self) -> Vec<Found> {
            let mut ports = sysfs::ports(&self.root());
            ports.sort_by(|a, b| a.path.cmp(&b.path));
            ports.iter().map(|port| found(&self.root(), port)).collect()
        }
    }

    #[test]
    fn boards_are_told_from_other_ports_and_by_their_state() {
        let fake = Fake::new();
        assert!(fake.list().is_empty());
        fake.usb("usb1/1-1", "0001", "A5");
        fake.port("ttyACM0", "usb1/1-1/1-1:1.0");
        fake.usb("usb1/1-2", "0001", "A6");
        fake.port("ttyACM1", "usb1/1-2/1-2:1.0");
        fake.usb("usb1/1-3", "0002", "A7");
        fake.port("ttyACM2", "usb1/1-3/1-3:1.0");
        fake.usb("usb1/1-4", "6001", "FT");
        fake.port("ttyUSB0", "usb1/1-4/1-4:1.0/ttyUSB0");
        fake.port("ttyS0", "platform/serial8250");
        fake.port("ttyS1", "platform/serial8250-1");
        fake.write("sys/devices/platform/serial8250-1/tty/ttyS1/type", "0\n");
        // A console has no device.
        fake.write("sys/devices/virtual/tty/tty7/dev", "4:7\n");
        fake.link("sys/class/tty/tty7", "sys/devices/virtual/tty/tty7");
        fake.write("proc/77/comm", "picocom\n");
        fake.link("proc/77/fd/3", "dev/ttyACM1");

        let root = fake.root();
        let shown: Vec<_> = fake
            .list()
            .into_iter()
            .map(|found| {
                let root = root.display().to_string();
                (found.listed.uri.replace(&root, ""), found.ours, found.listed.state)
            })
            .collect();
        let expected = [
            ("serial:/dev/ttyACM0", true, State::Present),
            ("serial:/dev/ttyACM1", true, State::Busy),
            ("serial:/dev/ttyACM2", true, State::BootLoader),
            ("serial:/dev/ttyS0", false, State::Present),
            ("serial:/dev/ttyUSB0", false, State::Present),
        ];
        assert_eq!(shown, expected.map(|(uri, ours, state)| (uri.to_owned(), ours, state)));

        let [board, busy, boot, ..] = &fake.list()[..] else { panic!() };
        assert_eq!(board.listed.description, "SPU, USB device 1209:0001 with serial number A5");
        assert_eq!(board.listed.remedy, None);
        let remedy = busy.listed.remedy.as_deref().unwrap();
        assert_eq!(remedy, "process 77 (picocom) has it open; close it");
        assert!(boot.listed.remedy.is_some());
    }

    #[test]
    fn a_port_without_access_is_denied_with_the_rule_to_install() {
        let fake = Fake::new();
        fake.usb("usb1/1-1", "0001", "A5");
        fake.port("ttyACM0", "usb1/1-1/1-1:1.0");
        let node = fake.root().join("dev/ttyACM0");
        if rustix::process::geteuid().is_root() {
            eprintln!("skipped in part: root may open every port");
        } else {
            fs::set_permissions(&node, fs::Permissions::from_mode(0o000)).unwrap();
            let [port] = &fake.list()[..] else { panic!() };
            assert_eq!(port.listed.state, State::Denied);
            assert!(port.listed.remedy.as_ref().unwrap().contains("spu list --udev-rule"));
        }
        fs::remove_file(&node).unwrap();
        let [port] = &fake.list()[..] else { panic!() };
        assert_eq!(port.listed.state, State::Denied);
        assert!(port.listed.remedy.as_ref().unwrap().contains("container"));
    }
}
