use super::crc::Crc32c;
use super::{DELIMITER, FULL_BLOCK, MAX_RUN};
use crate::header::{CRC_LEN, Header, MAX_PAYLOAD};

/// Most bytes of an encoded frame with a payload of `payload_len` bytes, delimiter included.
pub const fn max_encoded(payload_len: usize) -> usize {
    let frame = size_of::<Header>() + payload_len + CRC_LEN;
    frame + frame / MAX_RUN + 2
}

/// Encodes a frame into `out` and gives its length, delimiter included. The payload is the
/// concatenation of `payload`'s parts.
///
/// `None`, with `out` unspecified, if the parts do not add up to `header.length`, if they are
/// more than [`MAX_PAYLOAD`], or if `out` is shorter than [`max_encoded`] of the payload.
pub fn encode(header: &Header, payload: &[&[u8]], out: &mut [u8]) -> Option<usize> {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    if length != usize::from(header.length) || length > MAX_PAYLOAD {
        return None;
    }
    let mut stuffer = Stuffer::new(out.get_mut(..max_encoded(length))?);
    let mut crc = Crc32c::new();
    for part in core::iter::once(&bytemuck::bytes_of(header)).chain(payload) {
        crc.update(part);
        stuffer.put(part);
    }
    stuffer.put(&crc.finish().to_le_bytes());
    Some(stuffer.finish())
}

/// COBS encoder over a buffer that is long enough.
struct Stuffer<'a> {
    out: &'a mut [u8],
    /// Where the open block's code goes.
    code_at: usize,
    /// Where the next byte goes; at most `MAX_RUN` bytes after `code_at` + 1.
    at: usize,
    /// The open block follows a full one: if it stays empty it is left out.
    after_full: bool,
}

impl<'a> Stuffer<'a> {
    fn new(out: &'a mut [u8]) -> Self {
        Self { out, code_at: 0, at: 1, after_full: false }
    }

    fn put(&mut self, mut data: &[u8]) {
        // Locals: a store through `out` could otherwise change the fields, for all the compiler
        // knows, and it would read them back after each.
        let (out, mut code_at, mut at) = (&mut *self.out, self.code_at, self.at);
        while !data.is_empty() {
            let room = MAX_RUN + 1 - (at - code_at);
            // Eight bytes with a zero among them: a step a byte without branches, which would be
            // mispredicted. The code written at every step stands once it is a zero's.
            if room >= 8
                && let Some((word, rest)) = data.split_first_chunk::<8>()
                && has_zero(u64::from_le_bytes(*word))
            {
                let block = &mut out[code_at..at + 8];
                let (mut code, start) = (0, at - code_at);
                for (i, &byte) in word.iter().enumerate() {
                    block[start + i] = byte;
                    block[code] = (start + i - code) as u8;
                    code = if byte == 0 { start + i } else { code };
                }
                code_at += code;
                at += 8;
                data = rest;
                self.after_full = false;
                continue;
            }
            // A run without zeros, as far as the block has room.
            let window = &data[..room.min(data.len())];
            let run = memchr::memchr(0, window).unwrap_or(window.len());
            out[at..at + run].copy_from_slice(&window[..run]);
            at += run;
            data = &data[run..];
            if run == room {
                out[code_at] = FULL_BLOCK;
            } else if let Some((_zero, rest)) = data.split_first() {
                out[code_at] = (at - code_at) as u8;
                data = rest;
            } else {
                break;
            }
            self.after_full = run == room;
            code_at = at;
            at += 1;
        }
        (self.code_at, self.at) = (code_at, at);
    }

    fn finish(self) -> usize {
        let end = if self.after_full && self.at == self.code_at + 1 {
            self.code_at
        } else {
            self.out[self.code_at] = (self.at - self.code_at) as u8;
            self.at
        };
        self.out[end] = DELIMITER;
        end + 1
    }
}

const _: () = assert!(MAX_RUN + 1 == FULL_BLOCK as usize);

/// True if a byte of `word` is zero: only then a borrow reaches a bit 7 that was 0.
const fn has_zero(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::{Stuffer, has_zero};
    use std::vec::Vec;

    fn stuff(parts: &[&[u8]]) -> Vec<u8> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut out = std::vec![0xaa; len + len / 254 + 2];
        let mut stuffer = Stuffer::new(&mut out);
        for part in parts {
            stuffer.put(part);
        }
        let len = stuffer.finish();
        out.truncate(len);
        out
    }

    /// The textbook definition, a byte at a time.
    fn reference(data: &[u8]) -> Vec<u8> {
        let mut out = std::vec![0];
        let mut code_at = 0;
        for &byte in data {
            if out.len() - code_at == 255 {
                out[code_at] = 255;
                code_at = out.len();
                out.push(0);
            }
            if byte == 0 {
                out[code_at] = (out.len() - code_at) as u8;
                code_at = out.len();
            }
            out.push(byte);
        }
        out[code_at] = (out.len() - code_at) as u8;
        out.push(0);
        out
    }

    /// Worked by hand from the definition: a code is one more than the bytes before the next zero.
    #[test]
    fn short_vectors() {
        assert_eq!(stuff(&[]), [1, 0]);
        assert_eq!(stuff(&[&[0]]), [1, 1, 0]);
        assert_eq!(stuff(&[&[0, 0]]), [1, 1, 1, 0]);
        assert_eq!(stuff(&[&[0x11, 0x22, 0, 0x33]]), [3, 0x11, 0x22, 2, 0x33, 0]);
        assert_eq!(stuff(&[&[0x11, 0, 0, 0]]), [2, 0x11, 1, 1, 1, 0]);
    }

    /// Runs about as long as a full block, with and without a zero after, at every word offset.
    #[test]
    fn block_boundaries() {
        for before in 0..12 {
            for run in 240..270 {
                for after in [0, 1, 2, 9] {
                    let mut data = std::vec![0; before];
                    data.extend((0..run).map(|i| (i % 255) as u8 + 1));
                    data.extend(std::vec![0; after]);
                    assert_eq!(stuff(&[&data]), reference(&data), "{before} {run} {after}");
                    // A part that begins anywhere near the end of a block.
                    for at in data.len() - 30..data.len() {
                        let (start, end) = data.split_at(at);
                        assert_eq!(stuff(&[start, end]), reference(&data), "{before} {run} {at}");
                    }
                }
            }
        }
        let full: Vec<u8> = (1..=254).collect();
        let mut expected = std::vec![255];
        expected.extend(&full);
        expected.push(0);
        assert_eq!(stuff(&[&full]), expected);
    }

    #[test]
    fn has_zero_is_exact() {
        for bytes in 0..=u16::MAX {
            let [a, b] = bytes.to_le_bytes();
            for word in [[a, b, 1, 1, 0x80, 0xff, 1, 1], [1, 0x80, 0xff, 1, 1, 1, a, b]] {
                assert_eq!(has_zero(u64::from_le_bytes(word)), word.contains(&0), "{word:?}");
            }
        }
    }
}
