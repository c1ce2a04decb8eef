//! Samples packed into octets by the JESD204B transport layer.
//!
//! The field's converters and capture cards lay samples out by the transport layer of JEDEC's
//! JESD204B (section 5.1), here on one lane. In its letters: a frame carries S samples of each of
//! M converters. A sample is a word of N′ bits: N bits of two's complement code, then CS control
//! bits, then zeros ("tail bits"). The words follow each other converter by converter, the S
//! samples of a converter in time order; the frame is filled with zeros to F whole octets. All is
//! most significant bit first.
//!
//! N′ is 12 or 16 here, the two sizes in common use; control bits sit in their own sample's word
//! (CF = 0). Where a board has control bits, bit 0 says that the code is at the end of the
//! converter's range (design choice).
//!
//! ```
//! use spu_protocol::code::AdcCode;
//! use spu_protocol::packing::FrameFormat;
//!
//! // Two converters of 11 bits with a control bit, in words of 12: F = 3.
//! let format = FrameFormat::new(2, 1, 11, 12, 1)?;
//! let codes = [AdcCode(-1), AdcCode(0x123)];
//! let mut octets = [0; 3];
//! format.pack(&codes, &[1, 0], &mut octets)?;
//! // 111_1111_1111 1 | 001_0010_0011 0
//! assert_eq!(octets, [0xff, 0xf2, 0x46]);
//!
//! let mut back = [AdcCode(0); 2];
//! format.unpack(&octets, &mut back)?;
//! assert_eq!(back, codes);
//! # Ok::<(), spu_protocol::packing::FormatError>(())
//! ```

use core::iter::repeat;

use crate::code::AdcCode;
use crate::payload::InfoReply;

/// Words that the fast paths take at once, in the 16-bit lanes of a `u64`.
const LANES: usize = 4;
/// The lowest bit of every lane.
const EVERY_LANE: u64 = 0x0001_0001_0001_0001;

/// Layout of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameFormat {
    converters: usize,
    samples: u8,
    sample_bits: u8,
    word_bits: u8,
    control_bits: u8,
}

/// A layout that does not exist, or slices that are not whole frames of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// N′ is neither 12 nor 16.
    #[error("N' = {0}: a packed sample has 12 or 16 bits")]
    WordBits(u8),
    /// N and CS do not fit N′.
    #[error("N = {sample_bits} and CS = {control_bits} do not fit a word of N' = {word_bits} bits")]
    SampleBits {
        /// N.
        sample_bits: u8,
        /// CS.
        control_bits: u8,
        /// N′.
        word_bits: u8,
    },
    /// M or S is outside the standard's range.
    #[error("M = {converters}, S = {samples}: M is 1 to 256 and S is 1 to 32")]
    Size {
        /// M.
        converters: usize,
        /// S.
        samples: u8,
    },
    /// The slices are not the same number of whole frames.
    #[error(
        "{samples} samples and {octets} octets are not as many frames of {frame_samples} samples \
         in {frame_octets} octets"
    )]
    Length {
        /// Samples (codes or control words) given.
        samples: usize,
        /// Octets given.
        octets: usize,
        /// M·S.
        frame_samples: usize,
        /// F.
        frame_octets: usize,
    },
    /// There are control words, but not one a code.
    #[error("{control} control words for {codes} codes; give one a code, or none")]
    Control {
        /// Control words given.
        control: usize,
        /// Codes given.
        codes: usize,
    },
}

impl FrameFormat {
    /// A layout: M converters, S samples of each a frame, N bits a code, N′ bits a word, CS
    /// control bits.
    ///
    /// # Errors
    /// [`FormatError::Size`] unless M is 1 to 256 and S is 1 to 32; [`FormatError::WordBits`]
    /// unless N′ is 12 or 16; [`FormatError::SampleBits`] unless N ≥ 1, CS ≤ 3 and N + CS ≤ N′.
    pub const fn new(
        converters: usize,
        samples: u8,
        sample_bits: u8,
        word_bits: u8,
        control_bits: u8,
    ) -> Result<Self, FormatError> {
        if converters == 0 || converters > 256 || samples == 0 || samples > 32 {
            return Err(FormatError::Size { converters, samples });
        }
        if word_bits != 12 && word_bits != 16 {
            return Err(FormatError::WordBits(word_bits));
        }
        if sample_bits == 0
            || sample_bits > word_bits
            || control_bits > 3
            || sample_bits + control_bits > word_bits
        {
            return Err(FormatError::SampleBits { sample_bits, control_bits, word_bits });
        }
        Ok(Self { converters, samples, sample_bits, word_bits, control_bits })
    }

    /// M, the number of converters.
    pub const fn converters(&self) -> usize {
        self.converters
    }

    /// S, the samples of each converter in a frame.
    pub const fn samples(&self) -> u8 {
        self.samples
    }

    /// N, the bits of a code.
    pub const fn sample_bits(&self) -> u8 {
        self.sample_bits
    }

    /// N′, the bits of a word.
    pub const fn word_bits(&self) -> u8 {
        self.word_bits
    }

    /// CS, the control bits of a word.
    pub const fn control_bits(&self) -> u8 {
        self.control_bits
    }

    /// M·S, the samples in a frame.
    pub const fn frame_samples(&self) -> usize {
        self.converters * self.samples as usize
    }

    /// F = ⌈M·S·N′/8⌉, the octets of a frame.
    pub const fn frame_octets(&self) -> usize {
        (self.frame_samples() * self.word_bits as usize).div_ceil(8)
    }

    /// Packs whole frames. `codes` holds the samples in the order of the wire (by frame, in it by
    /// converter, in it by time); of each code the low N bits are sent. `control` holds the
    /// control bits of each code in its low CS bits, or is empty, which sends zeros. `out` is as
    /// many frames long.
    ///
    /// # Errors
    /// [`FormatError::Length`] or [`FormatError::Control`] if the lengths do not agree; nothing is
    /// written then.
    pub fn pack(
        &self,
        codes: &[AdcCode],
        control: &[u8],
        out: &mut [u8],
    ) -> Result<(), FormatError> {
        self.check_lengths(codes.len(), out.len())?;
        if !control.is_empty() && control.len() != codes.len() {
            return Err(FormatError::Control { control: control.len(), codes: codes.len() });
        }
        if self.is_filled() {
            // A run of frames is laid out as one long frame.
            self.pack_run(codes, control, out);
        } else {
            let samples = self.frame_samples();
            let mut control = control;
            for (codes, out) in
                codes.chunks_exact(samples).zip(out.chunks_exact_mut(self.frame_octets()))
            {
                let (frame, rest) = control.split_at_checked(samples).unwrap_or_default();
                self.pack_run(codes, frame, out);
                control = rest;
            }
        }
        Ok(())
    }

    /// Unpacks whole frames into `codes`, in the order that [`pack`](Self::pack) takes.
    ///
    /// # Errors
    /// [`FormatError::Length`] if `codes` is not as many frames as `octets`; nothing is written
    /// then.
    pub fn unpack(&self, octets: &[u8], codes: &mut [AdcCode]) -> Result<(), FormatError> {
        self.unpack_words(octets, codes, |word| AdcCode(word.cast_signed()))?;
        // Apart from the unpacking, where it would keep the lanes from being stored as one.
        for code in codes {
            code.0 >>= 16 - u32::from(self.sample_bits);
        }
        Ok(())
    }

    /// Unpacks the control bits of whole frames, one value of CS bits a sample.
    ///
    /// # Errors
    /// [`FormatError::Length`] if `control` is not as many frames as `octets`; nothing is written
    /// then.
    pub fn unpack_control(&self, octets: &[u8], control: &mut [u8]) -> Result<(), FormatError> {
        let (shift, mask) = (self.control_shift(), self.control_mask());
        self.unpack_words(octets, control, |word| (word >> shift) as u8 & mask)
    }

    fn check_lengths(&self, samples: usize, octets: usize) -> Result<(), FormatError> {
        let (frame_samples, frame_octets) = (self.frame_samples(), self.frame_octets());
        if octets.is_multiple_of(frame_octets) && octets / frame_octets * frame_samples == samples {
            Ok(())
        } else {
            Err(FormatError::Length { samples, octets, frame_samples, frame_octets })
        }
    }

    /// True if the words fill the frame.
    const fn is_filled(&self) -> bool {
        self.word_bits == 16 || self.frame_samples().is_multiple_of(2)
    }

    const fn control_mask(&self) -> u8 {
        (1 << self.control_bits) - 1
    }

    /// Place of the control bits in a word that is aligned to bit 15.
    const fn control_shift(&self) -> u32 {
        16 - self.sample_bits as u32 - self.control_bits as u32
    }

    /// The word of a code, aligned to bit 15 whatever N′.
    fn word(self, code: AdcCode, control: u8) -> u16 {
        code.0.cast_unsigned() << (16 - u32::from(self.sample_bits))
            | u16::from(control & self.control_mask()) << self.control_shift()
    }

    /// The words of four codes, each aligned to bit 15 of its 16-bit lane, the first in the lowest
    /// lane.
    fn lanes(self, codes: [AdcCode; LANES], control: [u8; LANES]) -> u64 {
        let sample_mask = 0xffff >> (16 - u32::from(self.sample_bits));
        let codes: u64 = bytemuck::cast(codes);
        // Each control octet to the low end of its lane.
        let control = u64::from(u32::from_le_bytes(control));
        let control = (control | control << 16) & 0x0000_ffff_0000_ffff;
        let control = (control | control << 8) & 0x00ff_00ff_00ff_00ff;
        (codes & (EVERY_LANE * sample_mask)) << (16 - u32::from(self.sample_bits))
            | (control & (EVERY_LANE * u64::from(self.control_mask()))) << self.control_shift()
    }

    /// Packs a run of words that no filling interrupts.
    fn pack_run(&self, codes: &[AdcCode], control: &[u8], out: &mut [u8]) {
        let (control_blocks, control) = control.as_chunks();
        if control.is_empty() && control_blocks.is_empty() {
            self.pack_with(codes, repeat([0; LANES]), repeat(0), out);
        } else {
            self.pack_with(codes, control_blocks.iter().copied(), control.iter().copied(), out);
        }
    }

    /// Packs a run; `control_blocks` and then `control` give as many values as there are codes.
    fn pack_with(
        self,
        codes: &[AdcCode],
        control_blocks: impl Iterator<Item = [u8; LANES]>,
        control: impl Iterator<Item = u8>,
        out: &mut [u8],
    ) {
        let (blocks, codes) = codes.as_chunks();
        let blocks = blocks.iter().zip(control_blocks).map(|(codes, ctl)| self.lanes(*codes, ctl));
        let mut words = codes.iter().zip(control).map(|(code, ctl)| self.word(*code, ctl));
        if self.word_bits == 16 {
            let (out_blocks, out) = out.as_chunks_mut();
            for (lanes, out) in blocks.zip(out_blocks) {
                let words: [u16; LANES] = bytemuck::cast(lanes);
                *out = bytemuck::cast::<_, [u8; 2 * LANES]>(words.map(u16::to_be));
            }
            for (word, out) in words.zip(out.as_chunks_mut().0) {
                *out = word.to_be_bytes();
            }
        } else {
            let (out_blocks, out) = out.as_chunks_mut::<6>();
            for (lanes, out) in blocks.zip(out_blocks) {
                out.copy_from_slice(&join_12(lanes).to_be_bytes()[..6]);
            }
            for out in out.chunks_mut(3) {
                let mut word = || words.next().map_or(0, u32::from);
                let pair = word() << 16 | word() << 4;
                // A lone word at the end of a frame takes two octets.
                out.copy_from_slice(&pair.to_be_bytes()[..out.len()]);
            }
        }
    }

    /// Calls `value` with each word, aligned to bit 15.
    fn unpack_words<T>(
        &self,
        octets: &[u8],
        out: &mut [T],
        value: impl Fn(u16) -> T,
    ) -> Result<(), FormatError> {
        self.check_lengths(out.len(), octets.len())?;
        if self.word_bits == 16 {
            for (out, word) in out.iter_mut().zip(octets.as_chunks().0) {
                *out = value(u16::from_be_bytes(*word));
            }
        } else if self.is_filled() {
            unpack_12(octets, out, value);
        } else {
            for (out, octets) in out
                .chunks_exact_mut(self.frame_samples())
                .zip(octets.chunks_exact(self.frame_octets()))
            {
                unpack_12(octets, out, &value);
            }
        }
        Ok(())
    }
}

/// Four words of 12 bits, each at the top of a 16-bit lane and the first in the lowest lane, side
/// by side from bit 63 down.
const fn join_12(lanes: u64) -> u64 {
    let pairs = (lanes & 0x0000_fff0_0000_fff0) << 8 | (lanes >> 20) & 0x0000_0fff_0000_0fff;
    (pairs & 0x00ff_ffff) << 40 | (pairs >> 32) << 16
}

/// Inverse of [`join_12`].
const fn split_12(joined: u64) -> u64 {
    let pairs = joined >> 40 | ((joined >> 16) & 0x00ff_ffff) << 32;
    (pairs >> 8) & 0x0000_fff0_0000_fff0 | (pairs << 20) & 0xfff0_0000_fff0_0000
}

fn unpack_12<T>(octets: &[u8], out: &mut [T], value: impl Fn(u16) -> T) {
    let (blocks, octets) = octets.as_chunks::<12>();
    let (out_blocks, out) = out.as_chunks_mut::<{ 2 * LANES }>();
    for (out, &[a, b, c, d, e, f, g, h, i, j, k, l]) in out_blocks.iter_mut().zip(blocks) {
        // Two loads of eight octets, of which six count.
        let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let second = u64::from_be_bytes([e, f, g, h, i, j, k, l]) << 16;
        let words: [u16; 2 * LANES] = bytemuck::cast([split_12(first), split_12(second)]);
        *out = words.map(&value);
    }
    for (out, octets) in out.chunks_mut(2).zip(octets.chunks(3)) {
        let octet = |i: usize| octets.get(i).copied().map_or(0, u32::from);
        let pair = octet(0) << 24 | octet(1) << 16 | octet(2) << 8;
        for (out, word) in out.iter_mut().zip([pair >> 16, pair >> 4]) {
            *out = value(word as u16 & 0xfff0);
        }
    }
}

impl TryFrom<&InfoReply> for FrameFormat {
    type Error = FormatError;

    /// The layout of a board's frames.
    fn try_from(info: &InfoReply) -> Result<Self, FormatError> {
        Self::new(
            usize::from(info.cells),
            info.samples_per_frame,
            info.adc_bits,
            info.sample_bits,
            info.control_bits,
        )
    }
}
