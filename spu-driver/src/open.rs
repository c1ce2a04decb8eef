//! Opens devices.

use std::path::Path;
use std::time::Duration;

use crate::client::Client;
use crate::device::{Deadline, Device};
use crate::error::Error;
use crate::link::{Link, Replay, Tap};
use crate::recording::{Health, Recorder, RecordingError, copy_path};
use crate::uri::{DeviceUri, QemuOptions};

/// Environment variable that names the default device.
pub const DEVICE_VARIABLE: &str = "SPU_DEVICE";
/// Time within which a device opens.
pub const OPEN: Duration = Duration::from_secs(10);

/// Schemes, and whether this build has their link.
pub(crate) const SCHEMES: [(&str, bool); 8] = [
    ("sim", cfg!(feature = "sim")),
    ("serial", cfg!(feature = "serial")),
    ("usb", cfg!(feature = "usb")),
    ("tcp", cfg!(feature = "net")),
    ("unix", cfg!(all(unix, feature = "net"))),
    ("qemu", cfg!(all(unix, feature = "qemu"))),
    ("rtl", cfg!(feature = "rtl")),
    ("replay", true),
];

/// Opens the device that a URI names.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// let device = spu_driver::open("sim:profile=rev-a,seed=7")?;
/// assert_eq!(device.info().profile, "rev-a");
/// # }
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// # Errors
/// [`Error::BadUri`], [`Error::NotFound`], [`Error::Denied`], [`Error::Busy`], [`Error::Version`];
/// [`Error::Unsupported`] for a link that this build does not have; link errors.
pub fn open(uri: &str) -> Result<Box<dyn Device>, Error> {
    uri.parse::<DeviceUri>()?.open()
}

/// URI of the default device: `SPU_DEVICE`, or `sim` where it is not set.
pub fn default_uri() -> String {
    default_of(std::env::var(DEVICE_VARIABLE).ok())
}

fn default_of(variable: Option<String>) -> String {
    variable.filter(|uri| !uri.is_empty()).unwrap_or_else(|| "sim".into())
}

/// Opens the default device.
///
/// # Errors
/// As [`open`].
pub fn open_default() -> Result<Box<dyn Device>, Error> {
    open(&default_uri())
}

/// Opens `count` copies of a board; see [`copies`].
///
/// # Errors
/// As [`copies`] and [`open`].
pub fn open_copies(uris: &str, count: usize) -> Result<Vec<Box<dyn Device>>, Error> {
    copies(uris, count)?.iter().map(DeviceUri::open).collect()
}

/// The URIs of `count` copies of a board. One simulator or emulator URI stands for its copies
/// `copy`, `copy + 1` …, one recording for those that were recorded together ([`copy_path`]); otherwise
/// `uris` is a list of `count` URIs, separated by commas.
///
/// # Errors
/// [`Error::BadUri`] if one does not parse or the list is of another length.
pub fn copies(uris: &str, count: usize) -> Result<Vec<DeviceUri>, Error> {
    let bad = |why: String| Error::BadUri { uri: uris.into(), why };
    let list = DeviceUri::parse_list(uris)?;
    match &list[..] {
        [uri @ (DeviceUri::Sim(_) | DeviceUri::Qemu(_) | DeviceUri::Rtl(_))] => (0..count)
            .map(|number| {
                let mut uri = uri.clone();
                if let DeviceUri::Sim(sim)
                | DeviceUri::Rtl(sim)
                | DeviceUri::Qemu(QemuOptions { sim, .. }) = &mut uri
                {
                    let copy = u32::try_from(number).ok().and_then(|n| sim.copy.checked_add(n));
                    let copy =
                        copy.ok_or_else(|| bad("the copy numbers exceed 2^32 - 1".into()))?;
                    sim.copy = copy;
                }
                Ok(uri)
            })
            .collect(),
        [DeviceUri::Replay { path }] => Ok((1..=count)
            .map(|number| DeviceUri::Replay { path: copy_path(path, number, count) })
            .collect()),
        list if list.len() == count => Ok(list.to_vec()),
        list => Err(bad(format!(
            "it names {} where {count} copies are asked for; name each, separated by commas, or \
             use one sim, qemu, rtl or replay URI",
            match list.len() {
                1 => "1 device".to_owned(),
                many => format!("{many} devices"),
            }
        ))),
    }
}

impl DeviceUri {
    /// Opens this device.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self) -> Result<Box<dyn Device>, Error> {
        self.open_by(Deadline::after(OPEN))
    }

    /// Opens this device by a deadline.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_by(&self, deadline: Deadline) -> Result<Box<dyn Device>, Error> {
        Ok(Box::new(Client::open(self.link(deadline)?, self.to_string(), deadline)?))
    }

    /// Opens this device and records to a file what goes over its link. The recording's health
    /// says whether all of it could be written.
    ///
    /// # Errors
    /// [`Error::Recording`] if the file cannot be created, or is the one that is replayed; as
    /// [`open`].
    pub fn open_recorded(
        &self,
        file: &Path,
        deadline: Deadline,
    ) -> Result<(Box<dyn Device>, Health), Error> {
        let uri = self.to_string();
        let link = self.link(deadline)?;
        if let Self::Replay { path } = self
            && let (Ok(read), Ok(written)) = (path.canonicalize(), file.canonicalize())
            && read == written
        {
            return Err(RecordingError::Itself { path: file.into() }.into());
        }
        let recorder = Recorder::create(file, &uri)?;
        let health = recorder.health();
        Ok((Box::new(Client::open(Tap::new(link, recorder), uri, deadline)?), health))
    }

    /// The link to this device, on which nothing was said yet: to put something between, then
    /// [`Client::open`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn link(&self, deadline: Deadline) -> Result<Box<dyn Link>, Error> {
        // A build without links that connect has no use for it.
        let _ = deadline;
        match self {
            #[cfg(feature = "sim")]
            Self::Sim(options) => {
                Ok(Box::new(crate::link::InProcess::new(crate::sim::sim_board(options)?)))
            }
            #[cfg(not(feature = "sim"))]
            Self::Sim(_) => Err(self.absent("simulator (cargo feature `sim`)")),
            #[cfg(feature = "serial")]
            Self::Serial { port, baud } => {
                connected(crate::link::Serial::new(port, *baud), deadline)
            }
            #[cfg(not(feature = "serial"))]
            Self::Serial { .. } => Err(self.absent("serial link (cargo feature `serial`)")),
            #[cfg(feature = "usb")]
            Self::Usb { vendor, product, serial } => {
                Ok(Box::new(crate::link::UsbLink::open(*vendor, *product, serial.as_deref())?))
            }
            #[cfg(not(feature = "usb"))]
            Self::Usb { .. } => Err(self.absent("USB link (cargo feature `usb`)")),
            #[cfg(feature = "net")]
            Self::Tcp { host, port } => connected(crate::link::Tcp::new(host, *port), deadline),
            #[cfg(not(feature = "net"))]
            Self::Tcp { .. } => Err(self.absent("TCP link (cargo feature `net`)")),
            #[cfg(all(unix, feature = "net"))]
            Self::Unix { path } => connected(crate::link::Unix::new(path), deadline),
            #[cfg(not(all(unix, feature = "net")))]
            Self::Unix { .. } => {
                Err(self.absent("Unix socket link (cargo feature `net`, on Unix)"))
            }
            #[cfg(all(unix, feature = "qemu"))]
            Self::Qemu(options) => Ok(Box::new(crate::link::Qemu::start(options, deadline)?)),
            #[cfg(not(all(unix, feature = "qemu")))]
            Self::Qemu(_) => {
                Err(self.absent("emulated microcontroller (cargo feature `qemu`, on Unix)"))
            }
            #[cfg(feature = "rtl")]
            Self::Rtl(options) => {
                let board = crate::sim::rtl_board(options)?;
                Ok(Box::new(crate::link::InProcess::to(board, "gateware under Verilator")))
            }
            #[cfg(not(feature = "rtl"))]
            Self::Rtl(_) => Err(self.absent("RTL simulator (cargo feature `rtl`)")),
            Self::Replay { path } => Ok(Box::new(Replay::open(path)?)),
        }
    }

    fn absent(&self, what: &str) -> Error {
        let schemes: Vec<_> = SCHEMES.iter().filter(|(_, there)| *there).collect();
        let available = match &schemes[..] {
            [] => "it has no link at all".to_owned(),
            schemes => {
                let names: Vec<_> = schemes.iter().map(|(name, _)| *name).collect();
                format!("it has {}", names.join(", "))
            }
        };
        Error::Unsupported {
            reasons: vec![format!("{self}: this build has no {what}; {available}")],
        }
    }
}

#[cfg(any(feature = "net", feature = "serial"))]
fn connected<E: crate::link::Endpoint + 'static>(
    endpoint: E,
    deadline: Deadline,
) -> Result<Box<dyn Link>, Error> {
    Ok(Box::new(crate::link::StreamLink::connect(endpoint, deadline)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(uris: &str, count: usize) -> Vec<String> {
        copies(uris, count).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_simulator_stands_for_its_copies() {
        assert_eq!(
            texts("sim:seed=7", 3),
            [
                "sim:profile=rev-a,seed=7,copy=0",
                "sim:profile=rev-a,seed=7,copy=1",
                "sim:profile=rev-a,seed=7,copy=2"
            ]
        );
        assert_eq!(texts("sim:copy=4", 1), ["sim:profile=rev-a,seed=0,copy=4"]);
        assert!(texts("sim", 0).is_empty());
        let error = copies("sim:copy=4294967295", 2).unwrap_err();
        assert!(error.to_string().contains("2^32 - 1"), "{error}");
    }

    #[test]
    fn one_recording_stands_for_those_made_with_it() {
        assert_eq!(texts("replay:a/run.spu", 1), ["replay:a/run.spu"]);
        assert_eq!(texts("replay:a/run.spu", 2), ["replay:a/run-1.spu", "replay:a/run-2.spu"]);
        assert_eq!(texts("replay:b.spu,replay:a.spu", 2), ["replay:b.spu", "replay:a.spu"]);
    }

    #[test]
    fn other_copies_are_named_one_by_one() {
        assert_eq!(
            texts("sim:copy=9,fault=hang,serial:/dev/ttyACM0", 2),
            ["sim:profile=rev-a,seed=0,copy=9,fault=hang", "serial:/dev/ttyACM0"]
        );
        for (uris, count) in [("serial:a", 3), ("sim,sim", 3), ("sim,sim", 1), ("unix:/a", 0)] {
            let error = copies(uris, count).unwrap_err();
            assert!(matches!(error, Error::BadUri { .. }), "{error}");
            assert!(error.to_string().contains(&format!("{count} copies")), "{error}");
        }
    }

    #[test]
    fn an_empty_variable_is_no_device() {
        assert_eq!(default_of(Some("qemu".into())), "qemu");
        assert_eq!(default_of(Some(String::new())), "sim");
        assert_eq!(default_of(None), "sim");
    }

    #[test]
    fn links_that_this_build_lacks_are_said_to_be_missing() {
        let qemu = ["qemu"].into_iter().filter(|_| cfg!(not(all(unix, feature = "qemu"))));
        let rtl = ["rtl"].into_iter().filter(|_| cfg!(not(feature = "rtl")));
        for uri in qemu.chain(rtl) {
            let error = open(uri).err().expect("there is no such link");
            let Error::Unsupported { reasons } = &error else { panic!("{error}") };
            assert!(reasons[0].contains("this build has no"), "{reasons:?}");
        }
    }
}
