//! Boards on USB.

use rusb::Context;

use super::{Found, Listed, State};
use crate::link::ids;
use crate::link::usb::find::{self, Device};

/// The boards on USB, in order of their URIs; none where this computer has no USB. The interface
/// of each is claimed for a moment, to see whether it is free.
pub(super) fn list() -> Vec<Found> {
    let ours =
        |vendor, product| vendor == ids::VENDOR && matches!(product, ids::BOARD | ids::BOOT_LOADER);
    let found = Context::new().and_then(|context| find::devices(&context, ours));
    let mut boards: Vec<Found> = match found {
        Ok(found) => found.into_iter().map(board).collect(),
        Err(error) => {
            tracing::debug!(%error, "USB devices cannot be listed");
            Vec::new()
        }
    };
    boards.sort_by(|one, other| one.listed.uri.cmp(&other.listed.uri));
    boards
}

fn board(device: Device) -> Found {
    let mut description = device.name().unwrap_or_else(|| "board without a name".into());
    description.push_str(match device.speed() {
        rusb::Speed::Low => ", low-speed USB",
        rusb::Speed::Full => ", full-speed USB",
        rusb::Speed::High => ", high-speed USB",
        rusb::Speed::Super | rusb::Speed::SuperPlus => ", SuperSpeed USB",
        _ => ", USB",
    });
    let uri = device.uri();
    let (state, remedy) = state(device);
    Found { ours: true, listed: Listed { uri, description, state, remedy } }
}

fn state(device: Device) -> (State, Option<String>) {
    let node = device.node();
    let config = device.configuration();
    let (waits, bulk) = match &config {
        Ok(config) => (find::in_boot_loader(config), find::bulk(config)),
        Err(_) => (false, None),
    };
    if waits || device.descriptor.product_id() == ids::BOOT_LOADER {
        let remedy = "write its firmware, or power it off and on";
        return (State::BootLoader, Some(remedy.into()));
    }
    let free = match (device.handle, bulk) {
        (Err(error), _) => Err(error),
        (Ok(_), None) => {
            let remedy = "it has no interface that this driver knows; is it a board?";
            return (State::Unusable, Some(remedy.into()));
        }
        // Dropping the handle releases the interface.
        (Ok(handle), Some(bulk)) => handle.claim_interface(bulk.interface),
    };
    match free {
        Ok(()) => (State::Present, None),
        Err(rusb::Error::Access) => (State::Denied, Some(ids::access_fix())),
        Err(rusb::Error::Busy) => (State::Busy, Some(format!("{}; close it", find::holder(&node)))),
        Err(error) => {
            (State::Unusable, Some(format!("it does not open ({error}); plug it in again")))
        }
    }
}
