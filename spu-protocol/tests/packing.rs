//! JESD204B packing against octets worked by hand, and against a packer of single bits.

use proptest::collection::vec;
use proptest::prelude::*;
use spu_protocol::code::AdcCode;
use spu_protocol::packing::{FormatError, FrameFormat};

/// Checks both directions.
fn check(format: FrameFormat, codes: &[i16], control: &[u8], octets: &[u8]) {
    let codes: Vec<AdcCode> = codes.iter().copied().map(AdcCode).collect();
    let mut packed = vec![0xaa; octets.len()];
    format.pack(&codes, control, &mut packed).expect("lengths agree");
    assert_eq!(packed, octets);
    let mut back = vec![AdcCode(0x5555); codes.len()];
    format.unpack(octets, &mut back).expect("lengths agree");
    assert_eq!(back, codes);
    let mut back = vec![0xaa; codes.len()];
    format.unpack_control(octets, &mut back).expect("lengths agree");
    assert_eq!(back, if control.is_empty() { vec![0; codes.len()] } else { control.to_vec() });
}

fn format(m: usize, s: u8, n: u8, word: u8, cs: u8) -> FrameFormat {
    FrameFormat::new(m, s, n, word, cs).expect("a valid layout")
}

/// M = 2, S = 1, N = N′ = 12: F = 2·12/8 = 3.
/// 0x123 = 0001 0010 0011, −2 = 1111 1111 1110
/// → 0001 0010 | 0011 1111 | 1111 1110
#[test]
fn twelve_bits() {
    let format = format(2, 1, 12, 12, 0);
    assert_eq!(format.frame_octets(), 3);
    check(format, &[0x123, -2], &[], &[0x12, 0x3f, 0xfe]);
    // Two frames follow each other: −2048 = 1000 0000 0000, 2047 = 0111 1111 1111.
    check(format, &[0x123, -2, -2048, 2047], &[], &[0x12, 0x3f, 0xfe, 0x80, 0x07, 0xff]);
}

/// M = 8 and two frames: every converter in its place, through the path for whole blocks.
/// Codes k: 000 001 002 003 … → 00 00 01 | 00 20 03 | 00 40 05 | 00 60 07, and so on.
#[test]
fn twelve_bits_eight_converters() {
    let format = format(8, 1, 12, 12, 0);
    assert_eq!(format.frame_octets(), 12);
    let codes: Vec<i16> = (0..16).collect();
    check(
        format,
        &codes,
        &[],
        &[
            0x00, 0x00, 0x01, 0x00, 0x20, 0x03, 0x00, 0x40, 0x05, 0x00, 0x60, 0x07, //
            0x00, 0x80, 0x09, 0x00, 0xa0, 0x0b, 0x00, 0xc0, 0x0d, 0x00, 0xe0, 0x0f,
        ],
    );
}

/// M = 3: 36 bits are 4.5 octets, so F = 5 and each frame ends in four zeros.
/// 0xabc − 0x1000 = −1348, 0x123, 0x7ff → abc 123 7ff 0 → ab c1 23 7f f0; then 001 002 003 0.
#[test]
fn twelve_bits_filled_to_whole_octets() {
    let format = format(3, 1, 12, 12, 0);
    assert_eq!(format.frame_octets(), 5);
    check(
        format,
        &[-1348, 0x123, 0x7ff, 1, 2, 3],
        &[],
        &[0xab, 0xc1, 0x23, 0x7f, 0xf0, 0x00, 0x10, 0x02, 0x00, 0x30],
    );
    // M = 1: a word and four zeros.
    let lone = FrameFormat::new(1, 1, 12, 12, 0).expect("a valid layout");
    check(lone, &[0x123, -1], &[], &[0x12, 0x30, 0xff, 0xf0]);
}

/// N = 10, CS = 1, so one tail bit: word = code (10) · control (1) · 0.
/// 0x155 = 01 0101 0101, control 1 → 0101 0101 01 1 0 = 0x556
/// −512 = 10 0000 0000, control 0 → 1000 0000 00 0 0 = 0x800
/// → 55 68 00
#[test]
fn twelve_bits_with_a_control_and_a_tail_bit() {
    check(format(2, 1, 10, 12, 1), &[0x155, -512], &[1, 0], &[0x55, 0x68, 0x00]);
}

/// N = 10, CS = 2: word = code (10) · control (2), the higher control bit first.
/// 0x155, 0b10 → 0101 0101 0110 = 0x556; −1, 0b01 → 1111 1111 1101 = 0xffd
#[test]
fn twelve_bits_with_two_control_bits() {
    check(format(2, 1, 10, 12, 2), &[0x155, -1], &[0b10, 0b01], &[0x55, 0x6f, 0xfd]);
}

/// N = 8, CS = 0 in 12 bits: four tail bits. 0x7f → 0x7f0, −128 → 0x800.
#[test]
fn twelve_bits_with_tail_bits_only() {
    check(format(2, 1, 8, 12, 0), &[0x7f, -128], &[], &[0x7f, 0x08, 0x00]);
}

/// N = N′ = 16: the codes, most significant octet first.
#[test]
fn sixteen_bits() {
    check(format(2, 1, 16, 16, 0), &[0x1234, -2], &[], &[0x12, 0x34, 0xff, 0xfe]);
    check(format(2, 1, 16, 16, 0), &[i16::MIN, i16::MAX], &[], &[0x80, 0x00, 0x7f, 0xff]);
}

/// N = 14, CS = 1, one tail bit: 0x1234 = 01 0010 0011 0100, control 1
/// → 0100 1000 1101 00 1 0 = 0x48d2; −8192 = 10 0000 0000 0000, control 0 → 0x8000.
#[test]
fn sixteen_bits_with_a_control_bit() {
    check(format(2, 1, 14, 16, 1), &[0x1234, -8192], &[1, 0], &[0x48, 0xd2, 0x80, 0x00]);
}

/// N = 14, CS = 2: 0x1234, 0b01 → 0100 1000 1101 00 01 = 0x48d1; −1, 0b10 → 0xfffe.
/// N = 12, CS = 2, two tail bits: 0x123, 0b11 → 0001 0010 0011 11 00 = 0x123c.
#[test]
fn sixteen_bits_with_two_control_bits() {
    check(format(2, 1, 14, 16, 2), &[0x1234, -1], &[0b01, 0b10], &[0x48, 0xd1, 0xff, 0xfe]);
    check(format(1, 1, 12, 16, 2), &[0x123], &[0b11], &[0x12, 0x3c]);
}

/// M = 8, N = 12, CS = 1, three tail bits, through the path for whole blocks: code k − 4, control
/// k mod 2. −4 = ffc → ffc 0 000 = ffc0; −3 = ffd, 1 → ffd 1 000 = ffd8; and so on.
#[test]
fn sixteen_bits_eight_converters() {
    check(
        format(8, 1, 12, 16, 1),
        &[-4, -3, -2, -1, 0, 1, 2, 3],
        &[0, 1, 0, 1, 0, 1, 0, 1],
        &[
            0xff, 0xc0, 0xff, 0xd8, 0xff, 0xe0, 0xff, 0xf8, //
            0x00, 0x00, 0x00, 0x18, 0x00, 0x20, 0x00, 0x38,
        ],
    );
}

/// M = 2, S = 2: converter 0's two samples, then converter 1's: 0x111 0x222 0x333 0x444.
/// M = 1, S = 3: three samples and four zeros.
#[test]
fn several_samples_a_frame() {
    let two = format(2, 2, 12, 12, 0);
    assert_eq!((two.frame_octets(), two.frame_samples()), (6, 4));
    check(two, &[0x111, 0x222, 0x333, 0x444], &[], &[0x11, 0x12, 0x22, 0x33, 0x34, 0x44]);
    let three = format(1, 3, 11, 12, 1);
    assert_eq!(three.frame_octets(), 5);
    // 0x111 = 001 0001 0001, control 1 → 0010 0010 0011 = 0x223; −1, 0 → 0xffe; 0, 1 → 0x001.
    check(three, &[0x111, -1, 0], &[1, 0, 1], &[0x22, 0x3f, 0xfe, 0x00, 0x10]);
    check(format(1, 2, 16, 16, 0), &[1, 2], &[], &[0, 1, 0, 2]);
}

/// The definition, a bit at a time.
fn reference(format: FrameFormat, codes: &[AdcCode], control: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for (i, code) in codes.iter().enumerate() {
        let start = bits.len();
        bits.extend((0..format.sample_bits()).rev().map(|bit| code.0 >> bit & 1 == 1));
        let word = control.get(i).copied().unwrap_or(0);
        bits.extend((0..format.control_bits()).rev().map(|bit| word >> bit & 1 == 1));
        bits.resize(start + usize::from(format.word_bits()), false);
        if (i + 1).is_multiple_of(format.frame_samples()) {
            bits.resize(bits.len().next_multiple_of(8), false);
        }
    }
    bits.chunks(8).map(|octet| octet.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}

prop_compose! {
    fn any_format()(
        m in 1_usize..20, s in 1_u8..4, wide: bool, n in 1_u8..=16, cs in 0_u8..=3,
    ) -> FrameFormat {
        let word = if wide { 16 } else { 12 };
        let cs = cs.min(word - 1);
        format(m, s, n.min(word - cs), word, cs)
    }
}

proptest! {
    #[test]
    fn any_frames_pack_by_definition_and_unpack(
        (format, codes, control) in (any_format(), 0_usize..6).prop_flat_map(|(format, frames)| {
            let n = frames * format.frame_samples();
            (Just(format), vec(any::<i16>(), n), vec(any::<u8>(), n))
        }),
        with_control: bool,
    ) {
        // Codes of N bits, control words of CS bits.
        let shift = 16 - format.sample_bits();
        let codes: Vec<AdcCode> = codes.iter().map(|code| AdcCode(code << shift >> shift)).collect();
        let control: Vec<u8> =
            control.iter().map(|word| word & ((1 << format.control_bits()) - 1)).collect();
        let control = if with_control { &control[..] } else { &[] };
        let frames = codes.len() / format.frame_samples();
        let mut octets = vec![0xaa; frames * format.frame_octets()];
        format.pack(&codes, control, &mut octets).expect("lengths agree");
        prop_assert_eq!(&octets, &reference(format, &codes, control));

        let mut back = vec![AdcCode(0x5555); codes.len()];
        format.unpack(&octets, &mut back).expect("lengths agree");
        prop_assert_eq!(&back, &codes);
        let mut back = vec![0xaa; codes.len()];
        format.unpack_control(&octets, &mut back).expect("lengths agree");
        if with_control {
            prop_assert_eq!(&back, control);
        } else {
            prop_assert!(back.iter().all(|word| *word == 0));
        }
    }

    /// Any parameters give a layout or an error; any lengths give whole frames or an error.
    #[test]
    fn any_parameters_and_lengths(
        m in 0_usize..300, s in 0_u8..40, n: u8, word in 0_u8..20, cs: u8,
        small in any_format(),
        samples in 0_usize..100, octets in 0_usize..200, control in 0_usize..4,
    ) {
        let valid = (1..=256).contains(&m) && (1..=32).contains(&s)
            && [12, 16].contains(&word) && n >= 1 && cs <= 3
            && u32::from(n) + u32::from(cs) <= u32::from(word);
        prop_assert_eq!(FrameFormat::new(m, s, n, word, cs).is_ok(), valid);

        let frames = octets / small.frame_octets();
        let whole = octets == frames * small.frame_octets() && samples == frames * small.frame_samples();
        let mut bytes = vec![0xaa; octets];
        let mut codes = vec![AdcCode(0); samples];
        prop_assert_eq!(small.unpack(&bytes, &mut codes).is_ok(), whole);
        prop_assert_eq!(small.unpack_control(&bytes, &mut vec![0; samples]).is_ok(), whole);
        let packed = small.pack(&codes, &vec![0; control], &mut bytes);
        prop_assert_eq!(packed.is_ok(), whole && (control == 0 || control == samples));
        if packed.is_err() {
            prop_assert!(bytes.iter().all(|byte| *byte == 0xaa));
        }
    }
}

/// Bits of a code above N, or of a control word above CS, are not sent into other places.
#[test]
fn bits_beyond_the_word_are_cut() {
    let mut octets = [0xaa; 3];
    format(2, 1, 10, 12, 1)
        .pack(&[AdcCode(0), AdcCode(0x7c01)], &[0xff, 0xfe], &mut octets)
        .expect("lengths agree");
    assert_eq!(octets, [0x00, 0x20, 0x04]);
    let mut octets = [0xaa; 16];
    format(8, 1, 12, 16, 1)
        .pack(&[AdcCode(0x7000); 8], &[0xff; 8], &mut octets)
        .expect("lengths agree");
    assert_eq!(octets, [0, 8].repeat(8)[..]);
}

#[test]
fn errors_say_what_is_wrong() {
    let format = format(8, 1, 12, 12, 0);
    let error = format.unpack(&[0; 13], &mut [AdcCode(0); 8]).expect_err("13 octets are no frame");
    assert_eq!(
        error,
        FormatError::Length { samples: 8, octets: 13, frame_samples: 8, frame_octets: 12 }
    );
    assert_eq!(
        error.to_string(),
        "8 samples and 13 octets are not as many frames of 8 samples in 12 octets"
    );
    assert_eq!(
        format.pack(&[AdcCode(0); 8], &[0; 7], &mut [0; 12]),
        Err(FormatError::Control { control: 7, codes: 8 })
    );
    assert_eq!(FrameFormat::new(8, 1, 12, 14, 0), Err(FormatError::WordBits(14)));
    assert_eq!(
        FrameFormat::new(8, 1, 12, 12, 1),
        Err(FormatError::SampleBits { sample_bits: 12, control_bits: 1, word_bits: 12 })
    );
    assert_eq!(
        FrameFormat::new(0, 1, 12, 12, 0),
        Err(FormatError::Size { converters: 0, samples: 1 })
    );
}
