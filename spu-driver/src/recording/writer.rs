//! Writes recordings.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::{Cause, During, FILE_HEAD, MAGIC, MAX_DATA, RecordingError, VERSION, crc, kind};
use crate::error::Error;
use crate::time::now;

/// Writes a recording, record by record: each is handed to the system as a whole before the call
/// that it is of returns, so that a killed process leaves all of them.
///
/// A file that cannot be written, on a full disk for instance, ends the recording, not the run:
/// the rest is not recorded and [`Health::failure`] says why. Dropping the recorder closes the
/// recording.
pub struct Recorder {
    /// `None` once writing failed.
    out: Option<Box<dyn Write + Send>>,
    start: Instant,
    records: u64,
    /// Time of the first read since the last record, if it gave nothing.
    silence: Option<Duration>,
    /// The record under construction.
    buffer: Vec<u8>,
    health: Health,
}

/// Whether a recording is still written; outlives its [`Recorder`].
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<OnceLock<String>>);

impl Health {
    /// Why the recording ended before its run, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Recorder {
    /// Records the device at `uri` to a new file; one of that name is replaced.
    ///
    /// # Errors
    /// [`RecordingError::Create`] if the file cannot be created or its header not written.
    pub fn create(path: &Path, uri: &str) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::Create { path: path.into(), source };
        let file = File::create(path).map_err(failed)?;
        Self::new(Box::new(file), uri).map_err(failed)
    }

    /// Records the device at `uri` to `out`, which must not hold back what it is given.
    ///
    /// # Errors
    /// If the header cannot be written.
    pub fn new(mut out: Box<dyn Write + Send>, uri: &str) -> io::Result<Self> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        out.write_all(&header(wall, uri, env!("CARGO_PKG_VERSION")))?;
        Ok(Self {
            out: Some(out),
            start: now(),
            records: 0,
            silence: None,
            buffer: Vec::new(),
            health: Health::default(),
        })
    }

    /// How the recording is doing.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Records that the host sends these octets.
    pub fn to_device(&mut self, bytes: &[u8]) {
        // That the host had nothing to read before it went on needs no record.
        self.silence = None;
        self.bytes(kind::TO_DEVICE, bytes);
    }

    /// Records that these octets came.
    pub fn from_device(&mut self, bytes: &[u8]) {
        self.bytes(kind::FROM_DEVICE, bytes);
    }

    /// Records that a read gave nothing: once, before what comes next.
    pub fn silence(&mut self) {
        self.silence.get_or_insert_with(|| now().saturating_duration_since(self.start));
    }

    /// Records that the link failed.
    pub fn failed(&mut self, during: During, error: &Error) {
        let cause = match error {
            Error::Disconnected { .. } => Cause::Disconnected,
            Error::Timeout { .. } => Cause::Timeout,
            _ => Cause::Other,
        };
        let message = error.to_string();
        self.record(kind::FAILED, &[&[during as u8, cause as u8], cut(&message, MAX_DATA / 2)]);
    }

    /// Records that the link came back.
    pub fn reconnected(&mut self) {
        self.record(kind::RECONNECTED, &[]);
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        for part in bytes.chunks(MAX_DATA) {
            self.record(kind, &[part]);
        }
    }

    fn record(&mut self, kind: u8, data: &[&[u8]]) {
        if let Some(time) = self.silence.take() {
            self.put(kind::SILENCE, time, &[]);
        }
        let time = now().saturating_duration_since(self.start);
        self.put(kind, time, data);
    }

    fn put(&mut self, kind: u8, time: Duration, data: &[&[u8]]) {
        let Some(out) = &mut self.out else { return };
        encode_record(&mut self.buffer, kind, time, data);
        match out.write_all(&self.buffer) {
            Ok(()) => self.records += 1,
            Err(error) => {
                tracing::warn!(%error, "the recording ends here, the run goes on");
                self.out = None;
                // Set once only: nothing is written after a failure.
                let _ = self.health.0.set(error.to_string());
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.silence = None;
        self.record(kind::CLOSED, &[&self.records.to_le_bytes()]);
    }
}

/// The file's start.
fn header(wall: Duration, uri: &str, host: &str) -> Vec<u8> {
    const MAX_TEXT: usize = 16 * 1024;
    let mut body = Vec::new();
    body.extend(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
    for text in [uri, host] {
        let text = cut(text, MAX_TEXT);
        body.extend((text.len() as u16).to_le_bytes());
        body.extend(text);
    }
    let mut bytes = Vec::with_capacity(FILE_HEAD + body.len() + size_of::<u32>());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((body.len() as u16).to_le_bytes());
    bytes.extend(body);
    let crc = crc(&[&bytes]);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// Replaces `buffer` by a record.
fn encode_record(buffer: &mut Vec<u8>, kind: u8, time: Duration, data: &[&[u8]]) {
    let length = data.iter().map(|part| part.len()).sum::<usize>();
    buffer.clear();
    buffer.extend((length as u32).to_le_bytes());
    buffer.extend([kind, 0, 0, 0]);
    buffer.extend(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
    for part in data {
        buffer.extend(*part);
    }
    let crc = crc(&[buffer]);
    buffer.extend(crc.to_le_bytes());
}

/// The first octets of a text, whole characters only.
fn cut(text: &str, most: usize) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(most)]
}
