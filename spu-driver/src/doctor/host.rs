//! Checks of this computer: rights, cable and drivers.

use std::path::Path;

use super::{Check, Measure};
use crate::discover::{Listing, State, udev};
use crate::uri::DeviceUri;

/// The link goes over a cable to this computer: a pseudo terminal leads to another program.
fn is_cabled(uri: &DeviceUri) -> bool {
    match uri {
        DeviceUri::Serial { port, .. } => {
            let real = Path::new(port).canonicalize();
            real.map_or(true, |path| !path.starts_with("/dev/pts"))
        }
        DeviceUri::Usb { .. } => true,
        _ => false,
    }
}

const NO_CABLE: &str = "not a link over a cable of this computer";

/// Whether the device is there and this user may open it.
pub(super) fn access(uri: &DeviceUri, listing: &Listing) -> Check {
    const NAME: &str = "access";
    if !is_cabled(uri) {
        return Check::skipped(NAME, NO_CABLE);
    }
    let wanted = real(uri);
    let mut all = listing.devices.iter().chain(&listing.others);
    let Some(device) = all.find(|device| device.uri == wanted) else {
        return Check::skipped(NAME, "it is not among the devices that this computer lists");
    };
    let remedy = device.remedy.clone().unwrap_or_default();
    match device.state {
        State::Present => Check::ok(NAME, format!("{}; this user may open it", device.description)),
        State::Denied => Check::failed(NAME, "this user may not open it", remedy),
        State::Busy => Check::failed(NAME, "another program has it", remedy),
        State::BootLoader => Check::failed(NAME, "it is in its boot loader", remedy),
        State::Unusable => Check::failed(NAME, "it is nothing that this driver knows", remedy),
    }
}

/// The URI under which a device is listed: of a port, the one that a link leads to, without its
/// speed.
fn real(uri: &DeviceUri) -> String {
    match uri {
        DeviceUri::Serial { port, .. } => {
            let path = Path::new(port).canonicalize();
            format!("serial:{}", path.map_or_else(|_| port.clone(), |p| p.display().to_string()))
        }
        uri => uri.to_string(),
    }
}

/// Whether the udev rule is installed, below this root of the file system.
pub(super) fn udev_rule(uri: &DeviceUri, root: &Path) -> Check {
    const NAME: &str = "udev rule";
    if !is_cabled(uri) {
        return Check::skipped(NAME, NO_CABLE);
    }
    if !cfg!(target_os = "linux") {
        return Check::skipped(NAME, "only Linux has such rules");
    }
    match udev::installed(root) {
        udev::Installed::Current(path) => Check::ok(NAME, format!("{} is current", path.display())),
        udev::Installed::Other(path) => Check::warning(
            NAME,
            format!("{} is not the rule of this version", path.display()),
            format!("install it again: {}", udev::INSTALL),
        ),
        udev::Installed::No => Check::warning(
            NAME,
            "not installed: ModemManager may talk to the board, and other users may not",
            format!("install it: {}", udev::INSTALL),
        ),
        udev::Installed::NoUdev => Check::skipped(NAME, "no udev here"),
    }
}

/// How long an FTDI bridge keeps received bytes, below this root of the file system.
pub(super) fn latency_timer(uri: &DeviceUri, root: &Path) -> Check {
    const NAME: &str = "latency timer";
    let DeviceUri::Serial { port, .. } = uri else {
        return Check::skipped(NAME, "not a serial port");
    };
    let file = Path::new(port).canonicalize().ok();
    let Some(name) = file.as_deref().and_then(Path::file_name) else {
        return Check::skipped(NAME, "there is no such port");
    };
    let file = root.join("sys/class/tty").join(name).join("device/latency_timer");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let Ok(ms) = text.trim().parse::<u32>() else {
        return Check::skipped(NAME, "only bridges of FTDI have one");
    };
    let measure = [Measure { what: "latency timer", value: ms.into(), unit: "ms" }];
    let found = format!("the bridge hands bytes over after {ms} ms");
    if ms <= 1 {
        return Check::ok(NAME, found).measured(measure);
    }
    let remedy = format!(
        "install the udev rule ({}) and plug the board in again, or `echo 1 | sudo tee {}`",
        udev::INSTALL,
        file.display()
    );
    Check::warning(NAME, found, remedy).measured(measure)
}

/// The signalling rate of the board's USB port, below this root of the file system.
pub(super) fn usb_speed(uri: &DeviceUri, root: &Path) -> Check {
    const NAME: &str = "USB speed";
    if !is_cabled(uri) {
        return Check::skipped(NAME, NO_CABLE);
    }
    let Some(megabits) = usb::megabits(uri, root) else {
        return Check::skipped(NAME, "this system does not tell, or the device is not on USB");
    };
    let measure = [Measure { what: "signalling rate", value: megabits, unit: "Mbit/s" }];
    if megabits >= 480.0 {
        return Check::ok(NAME, format!("{megabits} Mbit/s")).measured(measure);
    }
    Check::warning(
        NAME,
        format!("{megabits} Mbit/s: about 1 MB/s at best, too slow for raw streams"),
        "use a port, hub and cable for high speed (480 Mbit/s); some boards have no more",
    )
    .measured(measure)
}

#[cfg(all(target_os = "linux", feature = "serial"))]
mod usb {
    use std::path::{Path, PathBuf};

    use crate::discover::serial::sysfs::{text, usb_device};
    use crate::uri::DeviceUri;

    /// Signalling rate of a device on USB, in Mbit/s.
    pub(super) fn megabits(uri: &DeviceUri, root: &Path) -> Option<f64> {
        text(&directory(uri, root)?.join("speed"))?.parse().ok()
    }

    fn directory(uri: &DeviceUri, root: &Path) -> Option<PathBuf> {
        match uri {
            DeviceUri::Serial { port, .. } => {
                let port = Path::new(port).canonicalize().ok()?;
                let device = root.join("sys/class/tty").join(port.file_name()?).join("device");
                usb_device(&device.canonicalize().ok()?)
            }
            DeviceUri::Usb { vendor, product, serial } => {
                let devices = std::fs::read_dir(root.join("sys/bus/usb/devices")).ok()?;
                let mut devices = devices.filter_map(|entry| Some(entry.ok()?.path()));
                devices.find(|directory| {
                    let id = |name| u16::from_str_radix(&text(&directory.join(name))?, 16).ok();
                    id("idVendor") == Some(*vendor)
                        && id("idProduct") == Some(*product)
                        && (serial.is_none() || *serial == text(&directory.join("serial")))
                })
            }
            _ => None,
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "serial")))]
mod usb {
    use std::path::Path;

    use crate::uri::DeviceUri;

    /// Other systems do not tell.
    pub(super) fn megabits(_uri: &DeviceUri, _root: &Path) -> Option<f64> {
        None
    }
}

#[cfg(all(test, target_os = "linux", feature = "serial"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::discover::Listed;
    use crate::doctor;

    fn serial(port: &Path) -> DeviceUri {
        DeviceUri::Serial { port: port.to_str().unwrap().into(), baud: Some(9600) }
    }

    #[test]
    fn access_is_what_the_list_says() {
        let directory = tempfile::tempdir().unwrap();
        let node = directory.path().canonicalize().unwrap().join("ttyACM0");
        fs::write(&node, "").unwrap();
        let link = node.with_file_name("by-id");
        symlink(&node, &link).unwrap();
        for (state, expected) in [
            (State::Present, doctor::State::Ok),
            (State::Denied, doctor::State::Failed),
            (State::Busy, doctor::State::Failed),
            (State::BootLoader, doctor::State::Failed),
        ] {
            let listing = Listing {
                devices: vec![Listed {
                    uri: format!("serial:{}", node.display()),
                    description: "SPU".into(),
                    state,
                    remedy: (state != State::Present).then(|| "do this".into()),
                }],
                others: Vec::new(),
                not_searched: Vec::new(),
            };
            let check = access(&serial(&link), &listing);
            assert_eq!(check.state, expected, "{check:?}");
            assert_eq!(check.remedy.is_some(), state != State::Present);
            let other = access(&serial(directory.path()), &listing);
            assert_eq!(other.state, doctor::State::Skipped);
        }
    }

    #[test]
    fn the_latency_timer_and_the_speed_of_the_port_are_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let device = root.join("sys/devices/usb1/1-1/1-1:1.0/ttyUSB0");
        fs::create_dir_all(&device).unwrap();
        let tty = root.join("sys/class/tty/ttyUSB0");
        fs::create_dir_all(&tty).unwrap();
        symlink(&device, tty.join("device")).unwrap();
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::write(root.join("dev/ttyUSB0"), "").unwrap();
        let uri = serial(&root.join("dev/ttyUSB0"));

        assert_eq!(latency_timer(&uri, &root).state, doctor::State::Skipped);
        for (ms, state) in [(16, doctor::State::Warning), (1, doctor::State::Ok)] {
            fs::write(device.join("latency_timer"), format!("{ms}\n")).unwrap();
            let check = latency_timer(&uri, &root);
            assert_eq!(check.state, state);
            let measure = Measure { what: "latency timer", value: f64::from(ms), unit: "ms" };
            assert_eq!(check.measured, [measure]);
        }

        assert_eq!(usb_speed(&uri, &root).state, doctor::State::Skipped);
        let usb = root.join("sys/devices/usb1/1-1");
        for (name, text) in [("idVendor", "1209"), ("idProduct", "0001"), ("serial", "A5")] {
            fs::write(usb.join(name), text).unwrap();
        }
        fs::create_dir_all(root.join("sys/bus/usb/devices")).unwrap();
        symlink(&usb, root.join("sys/bus/usb/devices/1-1")).unwrap();
        let raw = |serial: &str| DeviceUri::Usb {
            vendor: 0x1209,
            product: 1,
            serial: Some(serial.into()),
        };
        for (text, state) in [("12\n", doctor::State::Warning), ("480\n", doctor::State::Ok)] {
            fs::write(usb.join("speed"), text).unwrap();
            assert_eq!(usb_speed(&uri, &root).state, state);
            assert_eq!(usb_speed(&raw("A5"), &root).state, state);
            assert_eq!(usb_speed(&raw("A6"), &root).state, doctor::State::Skipped);
        }
    }

    #[test]
    fn the_rule_is_missed_only_where_there_is_udev() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let uri = serial(Path::new("/dev/ttyACM0"));
        assert_eq!(udev_rule(&uri, root).state, doctor::State::Skipped);
        fs::create_dir_all(root.join("etc/udev/rules.d")).unwrap();
        let check = udev_rule(&uri, root);
        assert_eq!(check.state, doctor::State::Warning);
        assert!(check.remedy.unwrap().contains("--udev-rule"));
        fs::write(root.join("etc/udev/rules.d/70-spu.rules"), udev::RULE).unwrap();
        assert_eq!(udev_rule(&uri, root).state, doctor::State::Ok);
        assert_eq!(
            udev_rule(&DeviceUri::Rtl(crate::uri::SimOptions::default()), root).state,
            doctor::State::Skipped
        );
    }
}
