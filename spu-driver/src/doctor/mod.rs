//! Finds out what keeps a device from working well, and says what to do.
//!
//! The board is sampled as it is set; no setting of it is changed. A doctor's visit takes about two
//! seconds.

mod board;
mod clock;
mod host;
mod link;
mod measure;

use std::path::Path;

use serde::Serialize;

use crate::device::{BoardInfo, Device};
use crate::error::Error;
use crate::uri::DeviceUri;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It could not be made here.
    Skipped,
    /// All is well.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// This keeps the device from working.
    Failed,
}

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measure {
    /// What it is.
    pub what: &'static str,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found; why it was skipped.
    pub found: String,
    /// What was measured.
    pub measured: Vec<Measure>,
    /// What to do.
    pub remedy: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { name, state, found: found.into(), measured: Vec::new(), remedy: None }
    }

    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, State::Ok, found)
    }

    fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, why)
    }

    fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, State::Warning, found) }
    }

    fn failed(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, State::Failed, found) }
    }

    /// A call that did not work; its message has the remedy.
    fn broken(name: &'static str, error: &Error) -> Self {
        Self::new(name, State::Failed, error.to_string())
    }

    fn measured(mut self, measured: impl IntoIterator<Item = Measure>) -> Self {
        self.measured.extend(measured);
        self
    }
}

/// All checks of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The device.
    pub uri: String,
    /// What it is, if it opened.
    pub board: Option<BoardInfo>,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// True if nothing keeps the device from working; warnings do not.
    pub fn works(&self) -> bool {
        self.checks.iter().all(|check| check.state != State::Failed)
    }
}

/// Checks of an open device, in their order.
type BoardCheck = fn(&'static str, &mut dyn Device) -> Result<Vec<Check>, Error>;
const BOARD_CHECKS: [(&str, BoardCheck); 6] = [
    ("versions", board::versions),
    ("self test", board::self_test),
    ("round trip", link::round_trip),
    ("throughput", link::throughput),
    ("stream", link::stream),
    ("clock", clock::drift),
];

/// Examines the device that this URI names.
pub fn examine(uri: &DeviceUri) -> Diagnosis {
    let root = Path::new("/");
    let mut checks = vec![
        host::access(uri, &crate::discover::list()),
        host::udev_rule(uri, root),
        host::usb_speed(uri, root),
    ];
    let opened = uri.open();
    checks.push(match &opened {
        Ok(_) => Check::ok(OPENING, "it answers"),
        Err(error) => unopened(uri, error),
    });
    let board = opened.as_ref().ok().map(|device| device.info().clone());
    // Opening a port shortens its timer where it can.
    checks.push(host::latency_timer(uri, root));
    match opened {
        Ok(mut device) => visit(device.as_mut(), &mut checks),
        Err(_) => checks
            .extend(BOARD_CHECKS.map(|(name, _)| Check::skipped(name, "the device did not open"))),
    }
    Diagnosis { uri: uri.to_string(), board, checks }
}

const OPENING: &str = "opening";

/// Examines an open device.
fn visit(device: &mut dyn Device, checks: &mut Vec<Check>) {
    let mut gone = false;
    for (name, check) in BOARD_CHECKS {
        if gone {
            checks.push(Check::skipped(name, "the device is gone"));
            continue;
        }
        match check(name, device) {
            Ok(made) => checks.extend(made),
            Err(error) => {
                gone = matches!(error, Error::Disconnected { .. });
                checks.push(Check::broken(name, &error));
            }
        }
    }
    checks.push(link::counters(&device.link_stats()));
}

/// The device did not open.
fn unopened(uri: &DeviceUri, error: &Error) -> Check {
    let check = Check::broken(OPENING, error);
    let silent = matches!(error, Error::Timeout { .. } | Error::Disconnected { .. });
    let hint = match uri {
        DeviceUri::Serial { .. } => {
            "the port opens, but no board answers: is it the board's port, is the board powered, \
             does it run its firmware, and behind a UART is the baud rate right (`?baud=`)?"
        }
        DeviceUri::Usb { .. } => "is the board powered, and does it run its firmware?",
        DeviceUri::Tcp { .. } | DeviceUri::Unix { .. } => {
            "something listens there, but no board answers: is it `spu-sim serve`, and is its \
             board not hung?"
        }
        _ => "the board does not answer; is it hung?",
    };
    Check { remedy: silent.then(|| hint.into()), ..check }
}
