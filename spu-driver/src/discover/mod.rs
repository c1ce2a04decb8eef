//! Finds devices without disturbing them. One file a bus.

#[cfg(all(unix, feature = "serial"))]
pub(crate) mod access;
#[cfg(all(target_os = "linux", any(feature = "serial", feature = "usb")))]
pub(crate) mod holders;
#[cfg(all(unix, not(target_os = "linux"), any(feature = "serial", feature = "usb")))]
#[path = "holders_unknown.rs"]
pub(crate) mod holders;
#[cfg(feature = "serial")]
pub(crate) mod serial;
pub mod udev;
#[cfg(feature = "usb")]
mod usb;

use serde::Serialize;

/// Devices at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Devices of this project that were found.
    pub devices: Vec<Listed>,
    /// What else could have a board behind it: serial ports of other makes.
    pub others: Vec<Listed>,
    /// Schemes that were not searched.
    pub not_searched: Vec<NotSearched>,
}

/// A device that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its URI.
    pub uri: String,
    /// What it is, in a line.
    pub description: String,
    /// Whether it can be opened.
    pub state: State,
    /// What to do if it cannot.
    pub remedy: Option<String>,
}

/// What a bus finds.
pub(crate) struct Found {
    /// Whether it says that it is a device of this project.
    pub(crate) ours: bool,
    pub(crate) listed: Listed,
}

/// Whether a device can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// It can, as far as is known without doing so.
    Present,
    /// This user may not open it.
    Denied,
    /// Another program has it.
    Busy,
    /// It waits in its boot loader for new firmware.
    BootLoader,
    /// It is there, but nothing that this driver knows.
    Unusable,
}

/// A scheme that was not searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NotSearched {
    /// The scheme.
    pub scheme: &'static str,
    /// Why.
    pub why: &'static str,
}

const ABSENT: &str = "this build has no such link";
const UNSEEN: &str = "such devices do not announce themselves; give the URI";

/// Looks for devices. The simulator is there once a profile. Of devices that others use nothing is
/// opened.
pub fn list() -> Listing {
    let buses: &[fn() -> Vec<Found>] = &[
        #[cfg(feature = "sim")]
        crate::sim::profiles,
        #[cfg(feature = "serial")]
        serial::list,
        #[cfg(feature = "usb")]
        usb::list,
    ];
    let found = buses.iter().flat_map(|bus| bus());
    let (devices, others) = found.partition::<Vec<_>, _>(|found| found.ours);
    let listed = |found: Vec<Found>| found.into_iter().map(|found| found.listed).collect();
    let (devices, others) = (listed(devices), listed(others));
    let not_searched = crate::open::SCHEMES
        .iter()
        .filter_map(|(scheme, there)| match (*scheme, *there) {
            (scheme, false) => Some(NotSearched { scheme, why: ABSENT }),
            (scheme @ ("tcp" | "unix" | "replay"), true) => {
                Some(NotSearched { scheme, why: UNSEEN })
            }
            _ => None,
        })
        .collect();
    Listing { devices, others, not_searched }
}
