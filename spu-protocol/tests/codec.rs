//! The frame codec: what is encoded decodes, and no bytes whatever break the decoder or cost it
//! the next valid frame.

use proptest::collection::vec;
use proptest::prelude::*;
use spu_protocol::codec::{Decoder, FrameError, FrameErrorCounts, encode, max_encoded};
use spu_protocol::header::{Header, Kind, MAX_FRAME, MAX_PAYLOAD};
use spu_protocol::opcode::Opcode;

type Decoded = Result<(Header, Vec<u8>), FrameError>;

fn header(payload: &[u8]) -> Header {
    Header::new(Kind::Event, Opcode::Ping as u16, 0x0102_0304, 5, payload.len() as u16)
}

fn encoded(header: &Header, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![0xaa; max_encoded(len)];
    let len = encode(header, parts, &mut out).expect("lengths agree and the buffer is long enough");
    out.truncate(len);
    out
}

fn frame(payload: &[u8]) -> Vec<u8> {
    encoded(&header(payload), &[payload])
}

/// All that comes of pushing `bytes` in pieces that end at `cuts`.
fn decode(decoder: &mut Decoder, bytes: &[u8], cuts: &[usize]) -> Vec<Decoded> {
    let mut results = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let mut piece = &bytes[start..end.max(start)];
        while let Some(result) = decoder.push(&mut piece) {
            results.push(result.map(|frame| (frame.header, frame.payload.to_vec())));
        }
        assert!(piece.is_empty(), "push gives nothing only when it has consumed everything");
        start = end.max(start);
    }
    results
}

fn decode_all(bytes: &[u8]) -> Vec<Decoded> {
    decode(&mut Decoder::new(), bytes, &[])
}

fn good(payload: &[u8]) -> (Header, Vec<u8>) {
    (header(payload), payload.to_vec())
}

/// The frames among all that comes of `bytes`.
fn frames(bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    decode_all(bytes).into_iter().flatten().collect()
}

/// A payload of any length, from all zeros to none.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    (0..=MAX_PAYLOAD, 0_u8..=8).prop_flat_map(|(len, zeros)| {
        vec((any::<u8>(), 0_u8..8), len).prop_map(move |bytes| {
            bytes.into_iter().map(|(byte, at)| if at < zeros { 0 } else { byte.max(1) }).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_payload_in_any_pieces(
        payload in payload(),
        mut parts in vec(0..=MAX_PAYLOAD, 0..4),
        mut cuts in vec(0..=max_encoded(MAX_PAYLOAD), 0..6),
    ) {
        for at in &mut parts {
            *at = (*at).min(payload.len());
        }
        parts.sort_unstable();
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut start = 0;
        for end in parts.into_iter().chain([payload.len()]) {
            pieces.push(&payload[start..end]);
            start = end;
        }
        let wire = encoded(&header(&payload), &pieces);
        prop_assert_eq!(&wire, &frame(&payload), "parts change nothing");
        prop_assert!(wire.len() <= max_encoded(payload.len()));
        prop_assert_eq!(wire.iter().position(|byte| *byte == 0), Some(wire.len() - 1));

        for at in &mut cuts {
            *at = (*at).min(wire.len());
        }
        cuts.sort_unstable();
        let mut decoder = Decoder::new();
        prop_assert_eq!(decode(&mut decoder, &wire, &cuts), [Ok(good(&payload))]);
        prop_assert_eq!(decoder.errors(), FrameErrorCounts::default());
        prop_assert!(decoder.is_between_frames());
    }

    /// Any bytes, in any pieces: no panic, the pieces make no difference, each error is counted,
    /// and a valid frame after a delimiter is found.
    #[test]
    fn any_bytes(
        bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(0), 1 => Just(1), 1 => Just(0xff)],
            0..10_000),
        mut cuts in vec(0..10_000_usize, 0..6),
        payload in vec(any::<u8>(), 0..300),
    ) {
        let mut stream = bytes;
        stream.push(0);
        stream.extend(frame(&payload));
        for at in &mut cuts {
            *at = (*at).min(stream.len());
        }
        cuts.sort_unstable();

        let mut decoder = Decoder::new();
        let results = decode(&mut decoder, &stream, &cuts);
        prop_assert_eq!(&results, &decode_all(&stream));
        prop_assert_eq!(results.last(), Some(&Ok(good(&payload))));
        let count = |error| results.iter().filter(|result| **result == Err(error)).count() as u32;
        prop_assert_eq!(decoder.errors(), FrameErrorCounts {
            cobs: count(FrameError::Cobs),
            overlong: count(FrameError::Overlong),
            crc: count(FrameError::Crc),
            header: count(FrameError::Header),
        });
    }

    /// A flipped byte is never delivered, and costs its own frame and at most the next (when it
    /// was the delimiter between them).
    #[test]
    fn a_flipped_byte(
        payloads in [vec(any::<u8>(), 0..400), vec(any::<u8>(), 0..400), vec(any::<u8>(), 0..400)],
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let [first, second, third] = &payloads;
        let mut stream = frame(first);
        let delimiter = stream.len() - 1;
        let at = at.index(stream.len());
        stream.extend(frame(second));
        stream.extend(frame(third));
        stream[at] ^= flip;
        let found = frames(&stream);
        if at == delimiter {
            prop_assert_eq!(found, [good(third)]);
        } else {
            prop_assert_eq!(found, [good(second), good(third)]);
        }
    }
}

/// Three frames, one longer than a COBS block and with zeros, cut in two and in three anywhere.
#[test]
fn split_at_every_position() {
    let long: Vec<u8> =
        (0..600).map(|i| if i % 290 < 3 { 0 } else { (i % 251) as u8 | 1 }).collect();
    let payloads: [&[u8]; 3] = [b"one", &long, &[]];
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
    let expected: Vec<Decoded> = payloads.iter().map(|payload| Ok(good(payload))).collect();
    for first in 0..=stream.len() {
        for second in [first, first + 1, first + 2, first + 17] {
            let cuts = [first, second.min(stream.len())];
            assert_eq!(decode(&mut Decoder::new(), &stream, &cuts), expected, "{cuts:?}");
        }
    }
    let each: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(decode(&mut Decoder::new(), &stream, &each), expected);
}

/// A frame that loses its end, or its start, is refused; the next is found.
#[test]
fn truncated_at_every_position() {
    let payload: Vec<u8> = (0..300).map(|i| if i < 20 { 0 } else { i as u8 }).collect();
    let whole = frame(&payload);
    for cut in 1..whole.len() - 1 {
        for part in [&whole[..cut], &whole[cut..whole.len() - 1]] {
            let mut stream = part.to_vec();
            stream.push(0);
            stream.extend(frame(b"next"));
            let results = decode_all(&stream);
            assert_eq!(results.len(), 2, "cut at {cut}");
            assert!(results[0].is_err(), "cut at {cut}");
            assert_eq!(results[1], Ok(good(b"next")), "cut at {cut}");
        }
    }
}

#[test]
fn every_single_bit_of_a_frame() {
    let whole = frame(b"\0payload\0\0of some bytes");
    for bit in 0..(whole.len() - 1) * 8 {
        let mut stream = whole.clone();
        stream[bit / 8] ^= 1 << (bit % 8);
        stream.extend(frame(b"next"));
        let found = frames(&stream);
        assert_eq!(found, [good(b"next")], "bit {bit}");
    }
}

#[test]
fn every_length_from_zeros_to_ones() {
    for len in (0..300).chain([508, 509, 510, 1017, 4095, 4096]) {
        for byte in [0, 1, 0xff] {
            let payload = vec![byte; len];
            assert_eq!(decode_all(&frame(&payload)), [Ok(good(&payload))], "{len} times {byte}");
        }
    }
}

/// A frame may have `MAX_FRAME` bytes and not one more, however it is cut.
#[test]
fn overlong() {
    let whole = frame(&vec![7; MAX_PAYLOAD]);
    assert_eq!(decode_all(&whole), [Ok(good(&vec![7; MAX_PAYLOAD]))]);
    for fill in [1_u8, 2, 0xff] {
        // COBS of `MAX_FRAME` + 1 bytes or a little more, in blocks of one code.
        let block = std::iter::once(fill).chain(vec![9; usize::from(fill) - 1]);
        let coded: Vec<u8> = block.cycle().take(MAX_FRAME / 254 + MAX_FRAME + 300).collect();
        for cut in [0, 1, 4118, 4119, 4120, 4121, 4122, 4200] {
            let mut stream = coded.clone();
            stream.push(0);
            stream.extend(frame(b"next"));
            let results = decode(&mut Decoder::new(), &stream, &[cut]);
            assert_eq!(results, [Err(FrameError::Overlong), Ok(good(b"next"))], "{fill} {cut}");
        }
    }
    // Bounded memory over any length.
    let mut decoder = Decoder::new();
    for _ in 0..1000 {
        assert_eq!(decode(&mut decoder, &[0xee; 10_000], &[]), []);
    }
    assert_eq!(decode(&mut decoder, &[0], &[]), [Err(FrameError::Overlong)]);
    assert_eq!(decode(&mut decoder, &frame(b"next"), &[]), [Ok(good(b"next"))]);
}

/// Exactly `MAX_FRAME` decoded bytes that are no frame fail by their CRC, one more by length.
#[test]
fn the_longest_frame_is_max_frame() {
    for (zeros, error) in [(MAX_FRAME, FrameError::Crc), (MAX_FRAME + 1, FrameError::Overlong)] {
        // `zeros` zeros are as many codes of 1 and one more.
        let mut stream = vec![1; zeros + 1];
        stream.push(0);
        for cut in [0, 1, 15, 16, 17, 4100, 4119, 4120] {
            assert_eq!(decode(&mut Decoder::new(), &stream, &[cut]), [Err(error)], "{zeros} {cut}");
        }
    }
}

#[test]
fn what_is_no_frame_is_named() {
    // Nothing, again and again.
    assert_eq!(decode_all(&[0; 100]), []);
    // A block cut short.
    assert_eq!(decode_all(&[5, 1, 2, 0]), [Err(FrameError::Cobs)]);
    // Too short for header and CRC: 23 bytes.
    let mut short = vec![24];
    short.extend([1; 23]);
    short.push(0);
    assert_eq!(decode_all(&short), [Err(FrameError::Header)]);
    // No bytes at all, encoded.
    assert_eq!(decode_all(&[1, 0]), [Err(FrameError::Header)]);
    // 24 bytes with a wrong CRC.
    let mut damaged = vec![25];
    damaged.extend([1; 24]);
    damaged.push(0);
    assert_eq!(decode_all(&damaged), [Err(FrameError::Crc)]);
    // A right CRC over another magic.
    let wrong = Header { magic: *b"XY", ..header(b"abc") };
    assert_eq!(decode_all(&encoded(&wrong, &[b"abc"])), [Err(FrameError::Header)]);
    // Another version, kind or opcode is the reader's to judge.
    let foreign = Header { version: 9, kind: 77, opcode: 0xfffe, ..header(b"abc") };
    assert_eq!(decode_all(&encoded(&foreign, &[b"abc"])), [Ok((foreign, b"abc".to_vec()))]);
}

/// A right CRC over a length field that lies: `encode` refuses to write it, so it is built here.
#[test]
fn a_lying_length_field_is_refused() {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0x82f6_3b78 * (crc & 1)))
        })
    };
    let lying = Header { length: 4, ..header(b"abc") };
    let mut plain = bytemuck::bytes_of(&lying).to_vec();
    plain.extend(b"abc");
    plain.extend(crc(&plain).to_le_bytes());
    let mut stream = Vec::new();
    for run in plain.split(|byte| *byte == 0) {
        stream.push(run.len() as u8 + 1);
        stream.extend(run);
    }
    stream.push(0);
    assert_eq!(decode_all(&stream), [Err(FrameError::Header)]);
}

#[test]
fn encode_refuses_what_does_not_fit() {
    let mut out = vec![0; max_encoded(MAX_PAYLOAD) + 10];
    assert_eq!(encode(&header(b"abc"), &[b"ab"], &mut out), None);
    assert_eq!(encode(&header(b"abc"), &[b"ab", b"cd"], &mut out), None);
    let long = vec![0; MAX_PAYLOAD + 1];
    assert_eq!(encode(&header(&long), &[&long], &mut out), None);
    let short = max_encoded(3) - 1;
    assert_eq!(encode(&header(b"abc"), &[b"abc"], &mut out[..short]), None);
    assert_eq!(encode(&header(b"abc"), &[], &mut []), None);
}
