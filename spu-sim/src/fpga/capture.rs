//! Capture memory: a FIFO of packed frames.

use spu_protocol::packing::FrameFormat;

use crate::{AdcRow, LANES};
use spu_protocol::code::AdcCode;

/// A ring of whole frames, read octet by octet.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    format: FrameFormat,
    octets: Box<[u8]>,
    /// Place of the next octet to be read.
    start: usize,
    /// Octets in the memory.
    filled: usize,
    /// Largest code, which sets the over-range control bit.
    full_scale: i16,
    codes: Vec<AdcCode>,
    control: Vec<u8>,
}

impl Capture {
    pub(crate) fn new(format: FrameFormat, frames: usize, full_scale: i16) -> Self {
        Self {
            octets: vec![0; frames * format.frame_octets()].into(),
            format,
            start: 0,
            filled: 0,
            full_scale,
            codes: Vec::new(),
            control: Vec::new(),
        }
    }

    /// Octets of a frame.
    pub(crate) fn frame_octets(&self) -> usize {
        self.format.frame_octets()
    }

    /// Whole frames in the memory.
    pub(crate) fn frames(&self) -> usize {
        self.filled / self.format.frame_octets()
    }

    /// Frames that still fit.
    pub(crate) fn free(&self) -> usize {
        (self.octets.len() - self.filled) / self.format.frame_octets()
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.filled) = (0, 0);
    }

    /// Stores as many of `rows` as fit, from the first; returns their number.
    pub(crate) fn push(&mut self, rows: &[AdcRow]) -> usize {
        let stored = rows.len().min(self.free());
        let octets = self.format.frame_octets();
        let mut rows = &rows[..stored];
        while !rows.is_empty() {
            // Only whole frames come in, so the end is at a frame's start and none is split there.
            let end = (self.start + self.filled) % self.octets.len();
            let here = rows.len().min((self.octets.len() - end) / octets);
            self.pack(&rows[..here], end);
            self.filled += here * octets;
            rows = &rows[here..];
        }
        stored
    }

    fn pack(&mut self, rows: &[AdcRow], at: usize) {
        let cells = self.format.converters();
        let codes = if cells == LANES {
            rows.as_flattened()
        } else {
            self.codes.clear();
            self.codes.extend(rows.iter().flat_map(|row| &row[..cells]));
            &self.codes
        };
        self.control.clear();
        if self.format.control_bits() > 0 {
            let limit = self.full_scale;
            self.control.extend(codes.iter().map(|code| u8::from(code.0.abs() >= limit)));
        }
        let octets = rows.len() * self.format.frame_octets();
        self.format
            .pack(codes, &self.control, &mut self.octets[at..at + octets])
            .expect("lengths are whole frames of this format");
    }

    /// Takes octets, in order; beyond what is there they are 0.
    pub(crate) fn pop(&mut self, out: &mut [u8]) {
        let taken = out.len().min(self.filled);
        let (wanted, rest) = out.split_at_mut(taken);
        let first = taken.min(self.octets.len() - self.start);
        wanted[..first].copy_from_slice(&self.octets[self.start..self.start + first]);
        wanted[first..].copy_from_slice(&self.octets[..taken - first]);
        rest.fill(0);
        self.start = (self.start + taken) % self.octets.len();
        self.filled -= taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seed: i16) -> AdcRow {
        std::array::from_fn(|cell| AdcCode(seed * 10 + cell as i16))
    }

    #[test]
    fn frames_come_out_in_order_across_the_end_of_the_ring() {
        let format = FrameFormat::new(LANES, 1, 12, 12, 0).unwrap();
        let mut capture = Capture::new(format, 5, 2047);
        let (mut written, mut read) = (0_i16, 0_i16);
        for (push, pop) in [(3, 1), (3, 4), (4, 5), (2, 1), (4, 4)] {
            let rows: Vec<AdcRow> = (written..written + push).map(row).collect();
            assert_eq!(capture.push(&rows), push as usize);
            written += push;
            let mut octets = vec![0; pop * format.frame_octets()];
            capture.pop(&mut octets);
            let mut codes = vec![AdcCode(0); pop * LANES];
            format.unpack(&octets, &mut codes).unwrap();
            for frame in codes.chunks(LANES) {
                assert_eq!(frame, row(read));
                read += 1;
            }
        }
        assert_eq!((written, capture.frames(), capture.free()), (read + 1, 1, 4));
    }

    #[test]
    fn a_full_memory_takes_no_more_and_an_empty_one_reads_zero() {
        let format = FrameFormat::new(3, 1, 14, 16, 1).unwrap();
        let mut capture = Capture::new(format, 4, 8191);
        assert_eq!(capture.push(&[[AdcCode(8191); LANES]; 6]), 4);
        assert_eq!(capture.free(), 0);
        let mut octets = [0xFF; 5 * 6];
        capture.pop(&mut octets);
        // 01_1111_1111_1111, over-range bit, one tail bit.
        assert_eq!(octets[..4], [0x7F, 0xFE, 0x7F, 0xFE]);
        assert_eq!(octets[24..], [0; 6]);
        assert_eq!(capture.frames(), 0);
    }
}
