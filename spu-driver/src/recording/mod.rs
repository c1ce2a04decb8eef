//! Recordings: what went over a link, in both directions, with times.
//!
//! A recording is a file that only grows: a header, then records, each with its length and its
//! CRC-32C. What a killed process or a full disk leaves is read up to where it ends; damage is
//! found and said. docs/recording.md describes the format octet by octet.
//!
//! [`Recorder`] writes one, behind a [`Tap`](crate::link::Tap); [`Reader`] reads it;
//! [`Frames`] decodes the frames in it; [`pcapng`] is what Wireshark opens.

mod fields;
mod frames;
pub mod pcapng;
mod reader;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use fields::{Field, Value, difference, fields, opcode_name};
pub(crate) use frames::Stream;
pub use frames::{Content, FrameRecord, Frames};
pub use reader::Reader;
pub use writer::{Health, Recorder};

/// First octets of a recording. As PNG's: a transfer that changes line ends or the eighth bit
/// shows here.
pub const MAGIC: [u8; 8] = *b"\x89SPU\r\n\x1a\n";
/// Version of the format that this driver writes and reads.
pub const VERSION: u16 = 1;
/// Most octets of data in a record; more are split.
pub const MAX_DATA: usize = 1 << 20;

/// Octets of a record before its data: length, kind, three zeros, time.
const RECORD_HEAD: usize = 16;
/// Octets of the file before its header's text: magic, version, length.
const FILE_HEAD: usize = 12;
/// Octets of a CRC.
const CRC_LEN: usize = 4;

/// What a recording is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Wall-clock time of its start, since 1970-01-01 UTC.
    pub start: Duration,
    /// URI of the device.
    pub uri: String,
    /// Version of the driver that wrote it.
    pub host: String,
}

/// One record, with its time since the start of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Time since the start, by the host's steady clock.
    pub time: Duration,
    /// What happened.
    pub event: Event,
}

/// What happened on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The host sent these octets.
    ToDevice(Vec<u8>),
    /// These octets came from the device, by one read.
    FromDevice(Vec<u8>),
    /// The link failed.
    Failed(Failure),
    /// The link came back after a disconnection.
    Reconnected,
    /// The host read in vain, once or more, before what follows came.
    Silence,
    /// The recording was closed in order.
    Closed,
}

/// A failure of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the host was doing.
    pub during: During,
    /// What went wrong.
    pub cause: Cause,
    /// The error's text.
    pub message: String,
}

/// What the host was doing when the link failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum During {
    /// Sending.
    Write = 1,
    /// Waiting for octets.
    Read = 2,
    /// Waiting for the device to come back.
    Reconnect = 3,
}

/// What went wrong on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// [`Error::Disconnected`](crate::Error::Disconnected).
    Disconnected = 1,
    /// [`Error::Timeout`](crate::Error::Timeout).
    Timeout = 2,
    /// Another error.
    Other = 3,
}

/// Numbers of the kinds of records.
mod kind {
    pub(super) const TO_DEVICE: u8 = 1;
    pub(super) const FROM_DEVICE: u8 = 2;
    pub(super) const FAILED: u8 = 3;
    pub(super) const RECONNECTED: u8 = 4;
    pub(super) const SILENCE: u8 = 5;
    pub(super) const CLOSED: u8 = 255;
}

/// Why a recording cannot be written, read or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be created or its header not be written.
    #[error("{}: {source}; choose another place for the recording", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The recording would replace the one that is replayed.
    #[error("{} is being replayed and would be overwritten; record to another file", path.display())]
    Itself {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the recording cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// The file is empty.
    #[error("the recording is empty: nothing was written to it, record again")]
    Empty,
    /// The file is something else.
    #[error("this is no recording (its first octets are others); `--record FILE` makes one")]
    NotARecording,
    /// The format is of another version.
    #[error(
        "the recording is of format {found}, this driver reads {VERSION}; use the driver that \
         wrote it, or record again"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// The header is damaged or cut short.
    #[error("the recording's header is damaged: {why}; record again")]
    Header {
        /// What is wrong.
        why: &'static str,
    },
    /// A record is damaged. What stands before it is good.
    #[error("the recording is damaged at octet {at}, after {records} whole records: {why}")]
    Damaged {
        /// Where the record begins.
        at: u64,
        /// Records before it.
        records: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The last record is cut short. What stands before it is good.
    #[error(
        "the recording is cut short in the record at octet {at}, after {records} whole records"
    )]
    CutShort {
        /// Where the record begins.
        at: u64,
        /// Records before it.
        records: u64,
    },
    /// The host asks for something else than in the recorded run.
    #[error(
        "request {request} differs from the recorded run: {how}; replay the same command with the \
         same matrix, seed and options"
    )]
    Differs {
        /// Number of the request in this run, from 1.
        request: u64,
        /// The first difference.
        how: String,
    },
    /// The recording stops before the host has its answer.
    #[error("the recording stops after request {request} of the run: {why}")]
    Stops {
        /// Number of the last request in this run, from 1.
        request: u64,
        /// How the recording ends.
        why: String,
    },
}

/// The file of copy `number` (from 1) of `count` that are recorded at once: `run.spu` for one,
/// `run-1.spu`, `run-2.spu` … for several.
///
/// ```
/// use std::path::Path;
/// use spu_driver::recording::copy_path;
///
/// assert_eq!(copy_path(Path::new("a/run.spu"), 1, 1), Path::new("a/run.spu"));
/// assert_eq!(copy_path(Path::new("a/run.spu"), 2, 3), Path::new("a/run-2.spu"));
/// assert_eq!(copy_path(Path::new("run"), 3, 3), Path::new("run-3"));
/// ```
pub fn copy_path(path: &Path, number: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.into();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// CRC-32C of these parts, one after the other, as it stands behind headers and records.
pub fn crc(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    digest.finalize() as u32
}
