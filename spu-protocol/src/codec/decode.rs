use core::ops::Range;

use super::crc::Crc32c;
use super::{DELIMITER, FULL_BLOCK};
use crate::header::{CRC_LEN, Header, MAGIC, MAX_FRAME};

/// A frame whose CRC, magic and length were right. Version, kind and opcode are the reader's to
/// judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Header.
    pub header: Header,
    /// Payload, `header.length` bytes.
    pub payload: &'a [u8],
}

/// Why the bytes between two delimiters are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// A COBS block was cut short.
    #[error("frame cut short (COBS block unfinished at the delimiter)")]
    Cobs,
    /// More bytes than the longest frame has.
    #[error("frame longer than {MAX_FRAME} bytes")]
    Overlong,
    /// The CRC does not match.
    #[error("frame damaged (CRC-32C mismatch)")]
    Crc,
    /// Too short for a header and a CRC, wrong magic, or a wrong length field.
    #[error("frame header malformed (length or magic)")]
    Header,
}

/// Bad frames since the decoder was made, by reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FrameErrorCounts {
    /// [`FrameError::Cobs`].
    pub cobs: u32,
    /// [`FrameError::Overlong`].
    pub overlong: u32,
    /// [`FrameError::Crc`].
    pub crc: u32,
    /// [`FrameError::Header`].
    pub header: u32,
}

/// Incremental frame decoder in fixed memory (about 4 KiB).
#[derive(Debug, Clone)]
pub struct Decoder {
    /// The frame so far, decoded.
    buffer: [u8; MAX_FRAME],
    /// Bytes of the frame so far.
    len: usize,
    /// Bytes to come of the open block.
    left: usize,
    /// The open block ends in a zero, if another follows.
    zero: bool,
    /// The frame did not fit; its rest is skipped.
    overlong: bool,
    errors: FrameErrorCounts,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub const fn new() -> Self {
        Self {
            buffer: [0; MAX_FRAME],
            len: 0,
            left: 0,
            zero: false,
            overlong: false,
            errors: FrameErrorCounts { cobs: 0, overlong: 0, crc: 0, header: 0 },
        }
    }

    /// Consumes `bytes` up to the end of the first frame and gives that frame, or why it is none.
    /// `None` when `bytes` is used up inside a frame: push the bytes that follow.
    ///
    /// # Errors
    /// A [`FrameError`] for each bad frame, when its delimiter is reached.
    ///
    /// ```
    /// use spu_protocol::codec::{Decoder, FrameError};
    ///
    /// let mut decoder = Decoder::new();
    /// let mut bytes: &[u8] = b"\x05noise";
    /// assert_eq!(decoder.push(&mut bytes), None);
    /// let mut bytes: &[u8] = b"\0\0\0";
    /// assert_eq!(decoder.push(&mut bytes), Some(Err(FrameError::Cobs)));
    /// assert_eq!(decoder.push(&mut bytes), None);
    /// assert_eq!(decoder.errors().cobs, 1);
    /// ```
    pub fn push(&mut self, bytes: &mut &[u8]) -> Option<Result<Frame<'_>, FrameError>> {
        loop {
            let Some(end) = memchr::memchr(DELIMITER, bytes) else {
                self.unstuff(core::mem::take(bytes));
                return None;
            };
            self.unstuff(&bytes[..end]);
            *bytes = &bytes[end + 1..];
            if !self.is_between_frames() {
                break;
            }
        }
        Some(match self.finish() {
            Ok((header, payload)) => Ok(Frame { header, payload: &self.buffer[payload] }),
            Err(error) => Err(error),
        })
    }

    /// Bad frames so far, by reason.
    pub const fn errors(&self) -> FrameErrorCounts {
        self.errors
    }

    /// True if nothing of a frame has come since the last delimiter.
    pub const fn is_between_frames(&self) -> bool {
        self.len == 0 && self.left == 0 && !self.zero && !self.overlong
    }

    /// Decodes bytes of one frame, none of them the delimiter.
    fn unstuff(&mut self, mut bytes: &[u8]) {
        // A copy of this fixed length costs less than an exact short one; what it writes beyond
        // the block is overwritten by the next.
        const SHORT: usize = 16;
        if self.overlong {
            return;
        }
        // Locals, as in the encoder.
        let (buffer, mut len, mut left, mut zero) =
            (&mut self.buffer, self.len, self.left, self.zero);
        loop {
            // The rest of a short block and the code after it, while both sides have room.
            while left < SHORT
                && let Some(from) = bytes.first_chunk::<SHORT>()
                && let Some(to) = buffer.get_mut(len..len + SHORT)
            {
                // Zeros in a row, as of a board at rest: a code each.
                if *from == [1; SHORT] && left == 0 {
                    to.fill(0);
                    len += SHORT - 1 + usize::from(zero);
                    bytes = &bytes[SHORT..];
                    zero = true;
                    continue;
                }
                to.copy_from_slice(from);
                to[left] = 0;
                len += left + usize::from(zero);
                bytes = &bytes[left + 1..];
                (left, zero) = open_block(from[left]);
            }
            // The same without those limits.
            let take = left.min(bytes.len());
            let Some(to) = buffer.get_mut(len..len + take) else {
                self.overlong = true;
                return;
            };
            to.copy_from_slice(&bytes[..take]);
            len += take;
            left -= take;
            let Some((&code, rest)) = bytes[take..].split_first() else {
                break;
            };
            if zero {
                let Some(to) = buffer.get_mut(len) else {
                    self.overlong = true;
                    return;
                };
                *to = 0;
                len += 1;
            }
            (left, zero) = open_block(code);
            bytes = rest;
        }
        (self.len, self.left, self.zero) = (len, left, zero);
    }

    /// Ends the frame at its delimiter and checks it.
    fn finish(&mut self) -> Result<(Header, Range<usize>), FrameError> {
        let len = core::mem::take(&mut self.len);
        let left = core::mem::take(&mut self.left);
        self.zero = false;
        let count = |counter: &mut u32, error| {
            *counter = counter.saturating_add(1);
            Err(error)
        };
        if core::mem::take(&mut self.overlong) {
            return count(&mut self.errors.overlong, FrameError::Overlong);
        }
        if left != 0 {
            return count(&mut self.errors.cobs, FrameError::Cobs);
        }
        let Some((checked, &sent)) = self.buffer[..len].split_last_chunk::<CRC_LEN>() else {
            return count(&mut self.errors.header, FrameError::Header);
        };
        let Some((header, payload)) = crate::payload::split::<Header>(checked) else {
            return count(&mut self.errors.header, FrameError::Header);
        };
        let mut crc = Crc32c::new();
        crc.update(checked);
        if crc.finish() != u32::from_le_bytes(sent) {
            return count(&mut self.errors.crc, FrameError::Crc);
        }
        if header.magic != MAGIC || usize::from(header.length) != payload.len() {
            return count(&mut self.errors.header, FrameError::Header);
        }
        Ok((header, size_of::<Header>()..checked.len()))
    }
}

/// Bytes of the block that a code begins, and whether a zero follows it. The code is not zero.
const fn open_block(code: u8) -> (usize, bool) {
    ((code as usize).wrapping_sub(1), code != FULL_BLOCK)
}
