//! Errors of the driver: each names its cause and the remedy.

use std::time::Duration;

use spu_protocol::error::ErrorCode;

/// Why a call on a device failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such device.
    #[error("no device at {uri}: {why}")]
    NotFound {
        /// What was asked for.
        uri: String,
        /// What was looked for and how to see what is there.
        why: String,
    },
    /// The device URI does not parse.
    #[error("device URI {uri:?} is not valid: {why}")]
    BadUri {
        /// What was asked for.
        uri: String,
        /// The part that is wrong and what would be right.
        why: String,
    },
    /// The device is there, but this user may not open it.
    #[error("access to {uri} is denied: {fix}")]
    Denied {
        /// What was asked for.
        uri: String,
        /// How to get access.
        fix: String,
    },
    /// The device is in use.
    #[error("{uri} is in use: {holder}; close it and try again")]
    Busy {
        /// What was asked for.
        uri: String,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The link ended: unplugged, powered off, or the peer is gone.
    #[error("the device is disconnected ({during}); check cable and power, then open it again")]
    Disconnected {
        /// What was going on.
        during: &'static str,
    },
    /// The deadline passed.
    #[error("{op} did not finish within {after:?}; allow more time or run `spu selftest`")]
    Timeout {
        /// The operation.
        op: &'static str,
        /// Time that had been allowed.
        after: Duration,
    },
    /// Host and device do not speak the same version.
    #[error("host speaks {host}, device speaks {device}; {fix}")]
    Version {
        /// Versions of the host.
        host: String,
        /// Versions of the device.
        device: String,
        /// The command that repairs it.
        fix: String,
    },
    /// The device refused the request.
    #[error("the device refused: {code} (error {}, detail {detail})", *code as u16)]
    Device {
        /// Its reason.
        code: ErrorCode,
        /// What the reason is about: an index or an address.
        detail: u16,
    },
    /// What arrived makes no sense although its checksum is right.
    #[error("the device answered nonsense: {what}; update the firmware or report a bug")]
    Corrupt {
        /// What was wrong.
        what: String,
    },
    /// Samples were lost.
    #[error("{frames} frames were lost; lower the rate (larger decimation) or use lockstep mode")]
    Lost {
        /// Number of frames.
        frames: u64,
    },
    /// This board, or this build, cannot do what was asked for.
    #[error("not supported: {}", reasons.join("; "))]
    Unsupported {
        /// Every reason.
        reasons: Vec<String>,
    },
    /// The operation needs a calibration.
    #[error("the board is not calibrated: {why}")]
    Uncalibrated {
        /// What is missing or outdated.
        why: String,
    },
    /// Cancelled from another thread or by Ctrl-C.
    #[error("cancelled")]
    Cancelled,
    /// A sink could not take the samples.
    #[error("samples could not be stored: {0}; {1} frames were kept")]
    Sink(#[source] std::io::Error, u64),
}
