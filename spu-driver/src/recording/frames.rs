//! The frames in a recording.

use std::io::Read;
use std::time::Duration;

use spu_protocol::codec::{DELIMITER, Decoder, FrameError};
use spu_protocol::header::{Header, MAX_FRAME};

use super::{During, Event, Failure, Reader, RecordingError};

/// Most octets of a damaged frame that are kept.
const MAX_RAW: usize = MAX_FRAME + MAX_FRAME / 128;

/// What came at once in a recording: a frame, or something beside the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRecord {
    /// Time of its last octet since the start of the recording.
    pub time: Duration,
    /// True for what the host sent.
    pub to_device: bool,
    /// What it is.
    pub content: Content,
}

/// What a [`FrameRecord`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A whole frame.
    Frame {
        /// Its header.
        header: Header,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// Octets between two delimiters that are no frame, as they went over the link, at most so
    /// many as the longest frame has.
    Bad {
        /// Why.
        error: FrameError,
        /// The octets.
        octets: Vec<u8>,
    },
    /// The link failed.
    Failed(Failure),
    /// The link came back.
    Reconnected,
}

/// Decodes a recording frame by frame. Memory is bounded by one record.
pub struct Frames<R> {
    reader: Reader<R>,
    to_device: Stream,
    from_device: Stream,
    /// The record under way.
    bytes: Vec<u8>,
    at: usize,
    time: Duration,
    is_to_device: bool,
}

impl<R: Read> Frames<R> {
    /// The frames of a recording.
    pub fn new(reader: Reader<R>) -> Self {
        Self {
            reader,
            to_device: Stream::default(),
            from_device: Stream::default(),
            bytes: Vec::new(),
            at: 0,
            time: Duration::ZERO,
            is_to_device: false,
        }
    }

    /// The recording.
    pub fn reader(&self) -> &Reader<R> {
        &self.reader
    }

    /// The next frame; `None` after the last, and after an error.
    ///
    /// # Errors
    /// As [`Reader::next_record`].
    pub fn next_frame(&mut self) -> Result<Option<FrameRecord>, RecordingError> {
        loop {
            let stream =
                if self.is_to_device { &mut self.to_device } else { &mut self.from_device };
            let mut rest = &self.bytes[self.at..];
            let content = stream.next(&mut rest);
            self.at = self.bytes.len() - rest.len();
            if let Some(content) = content {
                let (time, to_device) = (self.time, self.is_to_device);
                return Ok(Some(FrameRecord { time, to_device, content }));
            }
            let Some(record) = self.reader.next_record()? else { return Ok(None) };
            let time = record.time;
            let (to_device, content) = match record.event {
                Event::ToDevice(bytes) => {
                    self.begin(bytes, time, true);
                    continue;
                }
                Event::FromDevice(bytes) => {
                    self.begin(bytes, time, false);
                    continue;
                }
                Event::Failed(failure) => {
                    (failure.during == During::Write, Content::Failed(failure))
                }
                Event::Reconnected => {
                    // A frame that the disconnection cut is none.
                    self.to_device = Stream::default();
                    self.from_device = Stream::default();
                    (false, Content::Reconnected)
                }
                Event::Silence | Event::Closed => continue,
            };
            return Ok(Some(FrameRecord { time, to_device, content }));
        }
    }

    fn begin(&mut self, bytes: Vec<u8>, time: Duration, to_device: bool) {
        (self.bytes, self.at, self.time, self.is_to_device) = (bytes, 0, time, to_device);
    }
}

/// One direction.
#[derive(Default)]
pub(crate) struct Stream {
    decoder: Decoder,
    /// The frame so far as it went over the link, for damaged ones.
    raw: Vec<u8>,
}

impl Stream {
    /// The first frame that ends in `bytes`, which moves past it; `None` once they are used up.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Content> {
        let before = *bytes;
        let frame = self.decoder.push(bytes);
        let mut taken = &before[..before.len() - bytes.len()];
        if self.raw.is_empty() {
            // Delimiters before a frame are no part of it.
            taken = &taken[taken.iter().take_while(|byte| **byte == DELIMITER).count()..];
        }
        let room = MAX_RAW - self.raw.len();
        self.raw.extend_from_slice(&taken[..taken.len().min(room)]);
        let content = match frame? {
            Ok(frame) => Content::Frame { header: frame.header, payload: frame.payload.to_vec() },
            Err(error) => {
                let octets = self.raw.strip_suffix(&[DELIMITER]).unwrap_or(&self.raw).to_vec();
                Content::Bad { error, octets }
            }
        };
        self.raw.clear();
        Some(content)
    }
}
