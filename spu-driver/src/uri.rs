//! Device URIs: which device to open, on which link.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Names a device. Parsed from and shown as text.
///
/// The simulator in this process, with its options in any order; `spu list` shows the profiles:
/// ```
/// # use spu_driver::DeviceUri;
/// let uri: DeviceUri = "sim:profile=rev-a,seed=7,copy=2,without=stray+bank_tolerance".parse()?;
/// let DeviceUri::Sim(sim) = &uri else { panic!() };
/// assert_eq!((sim.profile.as_str(), sim.seed, sim.copy), ("rev-a", 7, 2));
/// assert_eq!(uri.to_string(), "sim:profile=rev-a,seed=7,copy=2,without=stray+bank_tolerance");
/// assert_eq!("sim".parse::<DeviceUri>()?.to_string(), "sim:profile=rev-a,seed=0,copy=0");
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// A serial port, by path or name; with its speed where a UART is behind it (USB boards have none):
/// ```
/// # use spu_driver::DeviceUri;
/// assert_eq!("serial:/dev/ttyACM0".parse::<DeviceUri>()?.to_string(), "serial:/dev/ttyACM0");
/// let uri: DeviceUri = "serial:COM12?baud=3000000".parse()?;
/// assert_eq!(uri, DeviceUri::Serial { port: "COM12".into(), baud: Some(3_000_000) });
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// A USB device by vendor and product (hexadecimal), and serial number if there are several:
/// ```
/// # use spu_driver::DeviceUri;
/// let uri: DeviceUri = "usb:1209:0001:A5".parse()?;
/// assert_eq!(uri, DeviceUri::Usb { vendor: 0x1209, product: 1, serial: Some("A5".into()) });
/// assert_eq!("usb:1209:1".parse::<DeviceUri>()?.to_string(), "usb:1209:0001");
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// A device server over TCP or a Unix socket:
/// ```
/// # use spu_driver::DeviceUri;
/// let uri: DeviceUri = "tcp:lab3.example:5025".parse()?;
/// assert_eq!(uri, DeviceUri::Tcp { host: "lab3.example".into(), port: 5025 });
/// assert_eq!("tcp:[::1]:5025".parse::<DeviceUri>()?.to_string(), "tcp:[::1]:5025");
/// assert_eq!("unix:/run/spu.sock".parse::<DeviceUri>()?.to_string(), "unix:/run/spu.sock");
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// The firmware image in an emulated microcontroller, the gateware in an RTL simulator, and a
/// recording:
/// ```
/// # use spu_driver::DeviceUri;
/// use spu_driver::uri::QemuOptions;
/// assert_eq!("qemu".parse::<DeviceUri>()?, DeviceUri::Qemu(QemuOptions::default()));
/// let uri: DeviceUri = "qemu:lm3s6965evb,seed=7".parse()?;
/// assert_eq!(uri.to_string(), "qemu:board=lm3s6965evb,profile=rev-a,seed=7,copy=0");
/// assert_eq!("rtl".parse::<DeviceUri>()?, DeviceUri::Rtl(Default::default()));
/// assert_eq!("replay:run.spu".parse::<DeviceUri>()?.to_string(), "replay:run.spu");
/// # Ok::<(), spu_driver::Error>(())
/// ```
///
/// Errors name the part that is wrong and what would be right:
/// ```
/// # use spu_driver::DeviceUri;
/// let error = "sim:sed=7".parse::<DeviceUri>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "device URI \"sim:sed=7\" is not valid: unknown option \"sed\"; valid are profile, seed, \
///      copy, without, quantum, fault"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceUri {
    /// The simulator in this process.
    Sim(SimOptions),
    /// A serial port.
    Serial {
        /// Path or name of the port.
        port: String,
        /// Speed in baud; `None` where it does not matter.
        baud: Option<u32>,
    },
    /// A USB device.
    Usb {
        /// Vendor id.
        vendor: u16,
        /// Product id.
        product: u16,
        /// Serial number.
        serial: Option<String>,
    },
    /// A device server over TCP.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A device server on a Unix socket.
    Unix {
        /// Path of the socket.
        path: PathBuf,
    },
    /// The firmware image in an emulated microcontroller.
    Qemu(QemuOptions),
    /// The gateware under Verilator, with the simulator's cells.
    Rtl(SimOptions),
    /// A recording.
    Replay {
        /// Path of the recording.
        path: PathBuf,
    },
}

/// Options of the simulator. Names are checked when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// Name of a board profile, or path of a profile ending in `.toml`.
    pub profile: String,
    /// Seed of everything random in this board.
    pub seed: u64,
    /// Which copy of the board: each has its own draw of tolerances.
    pub copy: u32,
    /// Names of non-idealities to switch off.
    pub without: Vec<String>,
    /// Most ticks that the board runs between two looks at its status.
    pub quantum: Option<u32>,
    /// Faults to plant.
    pub fault: Vec<String>,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            profile: "rev-a".into(),
            seed: 0,
            copy: 0,
            without: Vec::new(),
            quantum: None,
            fault: Vec::new(),
        }
    }
}

/// The emulated microcontroller and the simulated board behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuOptions {
    /// Name of the microcontroller's board.
    pub board: String,
    /// The FPGA and the cells.
    pub sim: SimOptions,
}

impl Default for QemuOptions {
    fn default() -> Self {
        Self { board: "mps2-an386".into(), sim: SimOptions::default() }
    }
}

/// Schemes, each with its form.
const FORMS: [(&str, &str); 8] = [
    ("sim", "sim[:profile=rev-a,seed=7,copy=0]"),
    ("serial", "serial:/dev/ttyACM0[?baud=3000000]"),
    ("usb", "usb:VID:PID[:SERIAL]"),
    ("tcp", "tcp:host:port"),
    ("unix", "unix:/path"),
    ("qemu", "qemu[:board=mps2-an386,profile=rev-a,seed=7,copy=0]"),
    ("rtl", "rtl[:profile=rev-a,seed=7,copy=0]"),
    ("replay", "replay:run.spu"),
];

impl FromStr for DeviceUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|why| Error::BadUri { uri: text.into(), why })
    }
}

fn parse(text: &str) -> Result<DeviceUri, String> {
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    let path = |what: &str| match rest {
        "" => Err(format!("{what} is missing; the form is {}", form(scheme))),
        path => Ok(path),
    };
    match scheme {
        "sim" => sim(rest, None).map(DeviceUri::Sim),
        "qemu" => qemu(rest),
        "serial" => serial(rest),
        "usb" => usb(rest),
        "tcp" => tcp(rest),
        "unix" => Ok(DeviceUri::Unix { path: path("the path")?.into() }),
        "replay" => Ok(DeviceUri::Replay { path: path("the path")?.into() }),
        "rtl" => sim(rest, None).map(DeviceUri::Rtl),
        _ => {
            let forms: Vec<_> = FORMS.iter().map(|(_, form)| *form).collect();
            Err(format!("unknown scheme {scheme:?}; valid are {}", forms.join(", ")))
        }
    }
}

fn form(scheme: &str) -> &'static str {
    FORMS.iter().find(|(name, _)| *name == scheme).map_or("", |(_, form)| form)
}

/// `board` takes the board's name where there is a microcontroller.
fn sim(rest: &str, mut board: Option<&mut String>) -> Result<SimOptions, String> {
    let mut options = SimOptions::default();
    let mut seen = Vec::new();
    for part in rest.split(',').filter(|_| !rest.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(|| format!("option {part:?} has no value; write key=value"))?;
        if seen.contains(&key) {
            return Err(format!("option {key:?} is given twice"));
        }
        seen.push(key);
        let names = || value.split('+').map(String::from).collect();
        match key {
            "profile" => options.profile = value.into(),
            "seed" => options.seed = number(key, value)?,
            "copy" => options.copy = number(key, value)?,
            "quantum" => options.quantum = Some(number(key, value)?),
            "without" => options.without = names(),
            "fault" => options.fault = names(),
            _ => match &mut board {
                Some(board) if key == "board" => value.clone_into(board),
                _ => {
                    let first = if board.is_some() { "board, " } else { "" };
                    return Err(format!(
                        "unknown option {key:?}; valid are {first}profile, seed, copy, without, \
                         quantum, fault"
                    ));
                }
            },
        }
    }
    if options.quantum == Some(0) {
        return Err("quantum must be at least 1".into());
    }
    Ok(options)
}

/// The board's name may come first, without a key.
fn qemu(rest: &str) -> Result<DeviceUri, String> {
    let mut options = QemuOptions::default();
    let (first, others) = rest.split_once(',').unwrap_or((rest, ""));
    let rest = if first.is_empty() || first.contains('=') {
        rest
    } else {
        first.clone_into(&mut options.board);
        others
    };
    options.sim = sim(rest, Some(&mut options.board))?;
    Ok(DeviceUri::Qemu(options))
}

fn number<T: FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| {
        let bits = 8 * size_of::<T>();
        format!("{key} must be a whole number from 0 to 2^{bits} - 1, not {value:?}")
    })
}

fn serial(rest: &str) -> Result<DeviceUri, String> {
    let (port, option) = rest.split_once('?').map_or((rest, None), |(port, o)| (port, Some(o)));
    if port.is_empty() {
        return Err(format!("the port is missing; the form is {}", form("serial")));
    }
    let baud = match option.map(|option| option.split_once('=').unwrap_or((option, ""))) {
        None => None,
        Some(("baud", value)) => {
            let baud = number("baud", value)?;
            if baud == 0 {
                return Err("baud must be at least 1".into());
            }
            Some(baud)
        }
        Some((key, _)) => return Err(format!("unknown option {key:?}; valid is baud")),
    };
    Ok(DeviceUri::Serial { port: port.into(), baud })
}

fn usb(rest: &str) -> Result<DeviceUri, String> {
    let mut parts = rest.splitn(3, ':');
    let mut id = |what: &str| {
        let part = parts.next().unwrap_or("");
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(part, 16).ok().filter(|_| digits).ok_or_else(|| {
            format!(
                "{what} must be up to 4 hexadecimal digits, not {part:?}; the form is {}",
                form("usb")
            )
        })
    };
    let (vendor, product) = (id("the vendor id")?, id("the product id")?);
    let serial = parts.next().map(String::from);
    if serial.as_deref() == Some("") {
        return Err(format!("the serial number is empty; the form is {}", form("usb")));
    }
    Ok(DeviceUri::Usb { vendor, product, serial })
}

fn tcp(rest: &str) -> Result<DeviceUri, String> {
    let (host, port) = rest
        .rsplit_once(':')
        .ok_or_else(|| format!("the port is missing; the form is {}", form("tcp")))?;
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || bare_ipv6 {
        return Err(format!("{host:?} is not a host; the form is tcp:host:port or tcp:[::1]:port"));
    }
    let port = number("port", port)?;
    Ok(DeviceUri::Tcp { host: host.into(), port })
}

impl fmt::Display for DeviceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim(sim) => write!(f, "sim:{sim}"),
            Self::Serial { port, baud: None } => write!(f, "serial:{port}"),
            Self::Serial { port, baud: Some(baud) } => write!(f, "serial:{port}?baud={baud}"),
            Self::Usb { vendor, product, serial } => {
                write!(f, "usb:{vendor:04x}:{product:04x}")?;
                serial.iter().try_for_each(|serial| write!(f, ":{serial}"))
            }
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
            Self::Qemu(QemuOptions { board, sim }) => write!(f, "qemu:board={board},{sim}"),
            Self::Rtl(sim) => write!(f, "rtl:{sim}"),
            Self::Replay { path } => write!(f, "replay:{}", path.display()),
        }
    }
}

impl fmt::Display for SimOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile={},seed={},copy={}", self.profile, self.seed, self.copy)?;
        if !self.without.is_empty() {
            write!(f, ",without={}", self.without.join("+"))?;
        }
        if let Some(quantum) = self.quantum {
            write!(f, ",quantum={quantum}")?;
        }
        if !self.fault.is_empty() {
            write!(f, ",fault={}", self.fault.join("+"))?;
        }
        Ok(())
    }
}

impl DeviceUri {
    /// Parses a list of URIs, separated by commas. A comma starts another URI only where a scheme
    /// follows it, since the simulator's options are separated by commas too.
    ///
    /// ```
    /// # use spu_driver::DeviceUri;
    /// let uris = DeviceUri::parse_list("sim:seed=1,copy=4,sim,serial:/dev/ttyACM1")?;
    /// let texts: Vec<_> = uris.iter().map(ToString::to_string).collect();
    /// assert_eq!(
    ///     texts,
    ///     [
    ///         "sim:profile=rev-a,seed=1,copy=4",
    ///         "sim:profile=rev-a,seed=0,copy=0",
    ///         "serial:/dev/ttyACM1"
    ///     ]
    /// );
    /// # Ok::<(), spu_driver::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadUri`] of the first that does not parse.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let mut uris: Vec<String> = Vec::new();
        for part in text.split(',') {
            let scheme = part.split(':').next().unwrap_or("");
            match uris.last_mut() {
                Some(last) if form(scheme).is_empty() => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => uris.push(part.into()),
            }
        }
        uris.iter().map(|uri| uri.parse()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        match text.parse::<DeviceUri>() {
            Err(Error::BadUri { uri, why }) => {
                assert_eq!(uri, text);
                why
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn shown_text_parses_to_the_same_uri() {
        for text in [
            "sim",
            "sim:",
            "sim:profile=my/board.toml,seed=18446744073709551615,copy=4294967295",
            "sim:without=stray+r_tolerance,quantum=64,fault=dead-cell.3+stuck.1",
            "serial:/dev/ttyACM0",
            "serial:COM12",
            "serial:/dev/ttyUSB0?baud=4294967295",
            "usb:1209:1",
            "usb:FFFF:0000:A:B",
            "tcp:localhost:1",
            "tcp:[fe80::1]:65535",
            "unix:/run/spu.sock",
            "qemu",
            "qemu:lm3s6965evb",
            "qemu:copy=3,board=a",
            "rtl",
            "rtl:profile=rev-b,copy=2",
            "replay:a,b.spu",
        ] {
            let uri: DeviceUri = text.parse().unwrap();
            assert_eq!(uri.to_string().parse::<DeviceUri>().unwrap(), uri, "{text}");
        }
    }

    #[test]
    fn errors_name_the_wrong_part_and_what_is_valid() {
        for (text, parts) in [
            ("", &["unknown scheme \"\"", "tcp:host:port", "replay:"][..]),
            ("sym:seed=1", &["unknown scheme \"sym\"", "sim["]),
            ("sim:seed", &["\"seed\" has no value", "key=value"]),
            ("sim:seed=", &["\"seed=\" has no value"]),
            ("sim:seed=1,", &["\"\" has no value"]),
            ("sim:seed=-1", &["seed must be", "2^64", "\"-1\""]),
            ("sim:copy=4294967296", &["copy must be", "2^32"]),
            ("sim:quantum=0", &["quantum must be at least 1"]),
            ("sim:seed=1,seed=2", &["\"seed\" is given twice"]),
            ("sim:speed=1", &["unknown option \"speed\"", "profile, seed, copy"]),
            ("serial", &["the port is missing", "serial:/dev/ttyACM0"]),
            ("serial:?baud=9600", &["the port is missing"]),
            ("serial:COM1?baud", &["baud must be", "\"\""]),
            ("serial:COM1?baud=0", &["baud must be at least 1"]),
            ("serial:COM1?parity=even", &["unknown option \"parity\"", "valid is baud"]),
            ("unix:", &["the path is missing", "unix:/path"]),
            ("replay:", &["the path is missing", "replay:run.spu"]),
            ("usb:", &["the vendor id", "usb:VID:PID"]),
            ("usb:1209", &["the product id", "\"\""]),
            ("usb:+209:1", &["the vendor id", "\"+209\""]),
            ("usb:12090:1", &["the vendor id", "\"12090\""]),
            ("usb:1:1:", &["serial number is empty"]),
            ("tcp:host", &["the port is missing"]),
            ("tcp:host:99999", &["port must be", "\"99999\""]),
            ("tcp::1", &["\"\" is not a host"]),
            ("tcp:::1:80", &["is not a host", "[::1]"]),
            ("qemu:seed=1,fast", &["\"fast\" has no value"]),
            ("qemu:boards=1", &["unknown option \"boards\"", "board, profile"]),
            ("sim:board=a", &["unknown option \"board\"", "are profile"]),
            ("rtl:fast", &["\"fast\" has no value"]),
        ] {
            let why = why(text);
            for part in parts {
                assert!(why.contains(part), "{text}: {why:?} lacks {part:?}");
            }
        }
    }

    #[test]
    fn a_list_reports_the_uri_that_is_wrong() {
        assert!(matches!(
            DeviceUri::parse_list("sim,seed=3"),
            Err(Error::BadUri { uri, .. }) if uri == "sim,seed=3"
        ));
        assert!(matches!(
            DeviceUri::parse_list("sim,tcp:x"),
            Err(Error::BadUri { uri, .. }) if uri == "tcp:x"
        ));
        assert!(DeviceUri::parse_list("").is_err());
    }
}
