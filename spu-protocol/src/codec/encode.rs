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
        while !data.is_empty() {
            let room = MAX_RUN + 1 - (self.at - self.code_at);
            // Words with zeros: cheaper by mask than by a search from each zero to the next.
            if room >= 8
                && let Some((word, rest)) = data.split_first_chunk::<8>()
            {
                let mut zeros = zero_bytes(u64::from_le_bytes(*word));
                if zeros != 0 {
                    self.out[self.at..self.at + 8].copy_from_slice(word);
                    while zeros != 0 {
                        self.close(self.at + zeros.trailing_zeros() as usize / 8);
                        zeros &= zeros - 1;
                    }
                    self.at += 8;
                    data = rest;
                    continue;
                }
            }
            // A run without zeros, as far as the block has room.
            let window = &data[..room.min(data.len())];
            let run = memchr::memchr(0, window).unwrap_or(window.len());
            self.out[self.at..self.at + run].copy_from_slice(&window[..run]);
            self.at += run;
            data = &data[run..];
            if run == room {
                self.close(self.at);
                self.at += 1;
                self.after_full = true;
            } else if let Some((_zero, rest)) = data.split_first() {
                self.close(self.at);
                self.at += 1;
                data = rest;
            }
        }
    }

    /// Writes the open block's code; the next block's code goes to `next`.
    fn close(&mut self, next: usize) {
        self.out[self.code_at] = (next - self.code_at) as u8;
        self.code_at = next;
        self.after_full = false;
    }

    fn finish(mut self) -> usize {
        let end = if self.after_full && self.at == self.code_at + 1 {
            self.code_at
        } else {
            self.close(self.at);
            self.at
        };
        self.out[end] = DELIMITER;
        end + 1
    }
}

const _: () = assert!(MAX_RUN + 1 == FULL_BLOCK as usize);

/// Bit 7 of every byte of `word` that is zero, and no other bit.
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::{Stuffer, zero_bytes};
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
                for after in 0..3 {
                    let mut data = std::vec![0; before];
                    data.extend((0..run).map(|i| (i % 255) as u8 + 1));
                    data.extend(std::vec![0; after]);
                    assert_eq!(stuff(&[&data]), reference(&data), "{before} {run} {after}");
                    let (start, end) = data.split_at(data.len() / 2);
                    assert_eq!(stuff(&[start, end]), reference(&data), "{before} {run} {after}");
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
    fn zero_byte_mask_is_exact() {
        for (word, mask) in [
            (0, 0x8080_8080_8080_8080),
            (0x0100_0100_ff80_0001, 0x0080_0080_0000_8000),
            (0x0101_0101_0101_0101, 0),
            (0x8080_8080_8080_8080, 0),
            (0x0000_0000_0000_0100, 0x8080_8080_8080_0080),
        ] {
            assert_eq!(zero_bytes(word), mask, "{word:016x}");
        }
    }
}
