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
    #[error(
        "the device answered nonsense: {what}; update the firmware (`spu flash FIRMWARE.img`) or report a bug"
    )]
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
    /// A recording cannot be written, read, or replayed as asked.
    #[error(transparent)]
    Recording(#[from] crate::recording::RecordingError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_names_cause_and_remedy() {
        let uri = || "serial:/dev/ttyACM0".to_owned();
        let cases: [(Error, &[&str]); 15] = [
            (
                Error::NotFound { uri: uri(), why: "no such port; see `spu list`".into() },
                &["/dev/ttyACM0", "no such port", "spu list"],
            ),
            (Error::BadUri { uri: "x".into(), why: "unknown scheme".into() }, &["\"x\"", "scheme"]),
            (
                Error::Denied { uri: uri(), fix: "join the group dialout".into() },
                &["/dev/ttyACM0", "denied", "dialout"],
            ),
            (
                Error::Busy { uri: uri(), holder: "process 17".into() },
                &["/dev/ttyACM0", "process 17", "close it"],
            ),
            (Error::Disconnected { during: "load" }, &["load", "check cable"]),
            (
                Error::Timeout { op: "ping", after: Duration::from_millis(20) },
                &["ping", "20ms", "more time", "spu selftest"],
            ),
            (
                Error::Version { host: "1".into(), device: "2".into(), fix: "git pull".into() },
                &["host speaks 1", "device speaks 2", "git pull"],
            ),
            (
                Error::Device { code: ErrorCode::NoGateware, detail: 3 },
                &["power the board off and on", "hardware/README.md", "error 10", "detail 3"],
            ),
            (Error::Corrupt { what: "0 cells".into() }, &["0 cells", "update the firmware"]),
            (Error::Lost { frames: 12 }, &["12 frames", "decimation", "lockstep"]),
            (Error::Unsupported { reasons: vec!["one".into(), "two".into()] }, &["one; two"]),
            (Error::Uncalibrated { why: "none stored".into() }, &["not calibrated", "none stored"]),
            (Error::Cancelled, &["cancelled"]),
            (Error::Sink(std::io::Error::other("disk full"), 5), &["disk full", "5 frames"]),
            (
                Error::Device { code: ErrorCode::BadSession, detail: 0 },
                &["session is over", "open it again"],
            ),
        ];
        for (error, parts) in cases {
            let text = error.to_string();
            for part in parts {
                assert!(text.contains(part), "{text}: no {part:?}");
            }
        }
    }
}
