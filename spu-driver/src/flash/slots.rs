//! What the slots of a board hold.

use serde::Serialize;
use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageKind;
use spu_protocol::payload::UpdateStatus;
use spu_protocol::payload::update::SlotState;

use super::{target_name, version_text};
use crate::device::{Deadline, Device};
use crate::error::Error;

/// A slot and the image in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotInfo {
    /// `empty`, `pending`, `trial`, `confirmed`, `rolled-back`.
    pub state: &'static str,
    /// True of the one that runs.
    pub running: bool,
    /// Version of its image, unless it is empty.
    pub version: Option<String>,
    /// Identity of its image's build.
    pub build_id: u32,
    /// Octets of its image's payload.
    pub length: u32,
    /// Number of its update: the higher is the newer.
    pub sequence: u32,
}

/// The two slots of one kind of image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotPair {
    /// `firmware` or `gateware`.
    pub kind: &'static str,
    /// What its images must be for.
    pub target: String,
    /// Most octets of a payload.
    pub room: u32,
    /// The slots.
    pub slots: [SlotInfo; 2],
}

impl SlotPair {
    fn new(kind: ImageKind, status: &UpdateStatus) -> Self {
        let slot = |index: usize| {
            let slot = status.slots[index];
            let empty = slot.state == SlotState::Empty as u8;
            SlotInfo {
                state: state_name(slot.state),
                running: index == status.running as usize,
                version: (!empty).then(|| version_text(slot.version)),
                build_id: slot.build_id,
                length: slot.length,
                sequence: slot.sequence,
            }
        };
        Self {
            kind: kind.name(),
            target: target_name(kind as u16, status.target),
            room: status.room,
            slots: [slot(0), slot(1)],
        }
    }
}

fn state_name(state: u8) -> &'static str {
    match SlotState::from_u8(state) {
        Some(SlotState::Empty) => "empty",
        Some(SlotState::Pending) => "pending",
        Some(SlotState::Trial) => "trial",
        Some(SlotState::Confirmed) => "confirmed",
        Some(SlotState::RolledBack) => "rolled-back",
        None => "unknown",
    }
}

/// True if the board has no slots of that kind, or its firmware none at all.
pub(super) fn has_none(error: &Error) -> bool {
    matches!(
        error,
        Error::Device { code: ErrorCode::Unsupported | ErrorCode::UnknownOpcode, .. }
            | Error::Unsupported { .. }
    )
}

/// What the slots of a device hold: a pair for each kind of image that it takes.
///
/// # Errors
/// Link errors.
pub fn slots(device: &mut dyn Device, deadline: Deadline) -> Result<Vec<SlotPair>, Error> {
    let mut pairs = Vec::new();
    for kind in ImageKind::ALL {
        match device.updates().and_then(|updates| updates.status(kind, deadline)) {
            Ok(status) => pairs.push(SlotPair::new(kind, &status)),
            Err(error) if has_none(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pairs)
}

/// Keeps what runs on trial: from now on it is started again. Returns the kinds that were on trial.
///
/// # Errors
/// [`Error::Device`] if it could not be marked; link errors.
pub fn confirm(device: &mut dyn Device, deadline: Deadline) -> Result<Vec<&'static str>, Error> {
    let mut kinds = Vec::new();
    for kind in ImageKind::ALL {
        let status = match device.updates().and_then(|updates| updates.status(kind, deadline)) {
            Ok(status) => status,
            Err(error) if has_none(&error) => continue,
            Err(error) => return Err(error),
        };
        if status.slots[status.running as usize].state == SlotState::Trial as u8 {
            device.updates()?.confirm(kind, deadline)?;
            kinds.push(kind.name());
        }
    }
    Ok(kinds)
}
