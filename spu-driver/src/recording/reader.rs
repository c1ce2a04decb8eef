//! Reads recordings.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use super::{
    CRC_LEN, Cause, During, Event, FILE_HEAD, Failure, MAGIC, MAX_DATA, Origin, RECORD_HEAD,
    Record, RecordingError, VERSION, crc, kind,
};

/// Reads a recording record by record, in memory of one record.
pub struct Reader<R> {
    input: R,
    origin: Origin,
    /// Octets read and understood.
    at: u64,
    records: u64,
    over: bool,
    closed: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`RecordingError::Open`]; as [`Reader::new`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path)
            .map_err(|source| RecordingError::Open { path: path.into(), source })?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`RecordingError::Empty`], [`RecordingError::NotARecording`], [`RecordingError::Version`],
    /// [`RecordingError::Header`], [`RecordingError::Read`].
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        const CUT: RecordingError = RecordingError::Header { why: "it is cut short" };
        let mut bytes = take(&mut input, FILE_HEAD)?;
        if bytes.is_empty() {
            return Err(RecordingError::Empty);
        }
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            return Err(RecordingError::NotARecording);
        }
        let Some(&[v0, v1, l0, l1]) = bytes.get(MAGIC.len()..FILE_HEAD) else {
            return Err(CUT);
        };
        let found = u16::from_le_bytes([v0, v1]);
        if found != VERSION {
            return Err(RecordingError::Version { found });
        }
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        bytes.append(&mut take(&mut input, length + CRC_LEN)?);
        let Some((checked, sent)) = bytes
            .split_last_chunk::<CRC_LEN>()
            .filter(|(checked, _)| checked.len() == FILE_HEAD + length)
        else {
            return Err(CUT);
        };
        if crc(&[checked]) != u32::from_le_bytes(*sent) {
            return Err(RecordingError::Header { why: "its checksum does not match" });
        }
        let origin = origin(&checked[FILE_HEAD..])
            .ok_or(RecordingError::Header { why: "its parts do not fit its length" })?;
        let at = bytes.len() as u64;
        Ok(Self { input, origin, at, records: 0, over: false, closed: false })
    }

    /// What the recording is of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// True once the record was read that closes a recording in order. Without it, the recording
    /// process was killed, or the disk was full.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// The next record; `None` after the last, after the one that closes, and after an error.
    ///
    /// # Errors
    /// [`RecordingError::Damaged`], [`RecordingError::CutShort`], [`RecordingError::Read`].
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordingError> {
        if self.over {
            return Ok(None);
        }
        let record = self.read();
        self.over = !matches!(&record, Ok(Some(record)) if record.event != Event::Closed);
        record
    }

    fn read(&mut self) -> Result<Option<Record>, RecordingError> {
        let (at, records) = (self.at, self.records);
        let damaged = |why| RecordingError::Damaged { at, records, why };
        let head = take(&mut self.input, RECORD_HEAD)?;
        if head.is_empty() {
            return Ok(None);
        }
        let Some(&[l0, l1, l2, l3, number, _, _, _, ref time @ ..]) =
            head.first_chunk::<RECORD_HEAD>()
        else {
            return Err(RecordingError::CutShort { at, records });
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_DATA {
            return Err(damaged("its length is beyond what a record holds"));
        }
        let mut data = take(&mut self.input, length + CRC_LEN)?;
        if data.len() < length + CRC_LEN {
            return Err(RecordingError::CutShort { at, records });
        }
        let sent = data.split_off(length);
        if crc(&[&head, &data]).to_le_bytes() != *sent {
            return Err(damaged("its checksum does not match"));
        }
        let event = event(number, data).ok_or_else(|| damaged("its kind or content is unknown"))?;
        self.closed = event == Event::Closed;
        self.at += (RECORD_HEAD + length + CRC_LEN) as u64;
        self.records += 1;
        Ok(Some(Record { time: Duration::from_nanos(u64::from_le_bytes(*time)), event }))
    }
}

/// Up to `count` octets, fewer only at the end. Memory grows with what is there, not with what is
/// asked for.
fn take(input: &mut impl Read, count: usize) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = Vec::new();
    input.take(count as u64).read_to_end(&mut bytes).map_err(RecordingError::Read)?;
    Ok(bytes)
}

fn origin(body: &[u8]) -> Option<Origin> {
    let (start, mut rest) = body.split_first_chunk::<8>()?;
    let mut text = || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (text, tail) = tail.split_at_checked(u16::from_le_bytes(*length).into())?;
        rest = tail;
        String::from_utf8(text.to_vec()).ok()
    };
    let (uri, host) = (text()?, text()?);
    rest.is_empty().then_some(Origin {
        start: Duration::from_nanos(u64::from_le_bytes(*start)),
        uri,
        host,
    })
}

fn event(number: u8, data: Vec<u8>) -> Option<Event> {
    Some(match number {
        kind::TO_DEVICE => Event::ToDevice(data),
        kind::FROM_DEVICE => Event::FromDevice(data),
        kind::FAILED => {
            let (&[during, cause], message) = data.split_first_chunk::<2>()?;
            let message = String::from_utf8_lossy(message).into_owned();
            Event::Failed(Failure {
                during: During::of(during)?,
                cause: Cause::of(cause)?,
                message,
            })
        }
        kind::RECONNECTED if data.is_empty() => Event::Reconnected,
        kind::SILENCE if data.is_empty() => Event::Silence,
        kind::CLOSED if data.len() == size_of::<u64>() => Event::Closed,
        _ => return None,
    })
}

impl During {
    fn of(number: u8) -> Option<Self> {
        [Self::Write, Self::Read, Self::Reconnect].into_iter().find(|x| *x as u8 == number)
    }
}

impl Cause {
    fn of(number: u8) -> Option<Self> {
        [Self::Disconnected, Self::Timeout, Self::Other].into_iter().find(|x| *x as u8 == number)
    }
}
