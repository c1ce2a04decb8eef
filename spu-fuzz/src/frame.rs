//! The frame decoder.

use spu_protocol::codec::{DELIMITER, Decoder, FrameError, encode, max_encoded};
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;

type Outcome = Result<(Header, Vec<u8>), FrameError>;

/// The decoder takes any bytes, gives the same whatever pieces they come in, ends no more frames
/// than there are delimiters, counts its errors, and takes the next good frame. What it gave, the
/// encoder encodes and it decodes again. The first byte sets the pieces.
pub fn frame(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let mut decoder = Decoder::new();
    let whole = decode(&mut decoder, bytes);
    let mut other = Decoder::new();
    let mut again = Vec::new();
    for piece in bytes.chunks(usize::from(size).max(1)) {
        again.extend(decode(&mut other, piece));
    }
    assert_eq!(whole, again);
    assert_eq!(decoder.errors(), other.errors());
    let pieces = bytes.split(|byte| *byte == DELIMITER).count();
    assert!(whole.len() < pieces);
    let errors = decoder.errors();
    let counted = errors.cobs + errors.overlong + errors.crc + errors.header;
    assert_eq!(counted as usize, whole.iter().filter(|outcome| outcome.is_err()).count());

    for (header, payload) in whole.into_iter().flatten() {
        let wire = encoded(&header, &payload);
        assert_eq!(decode(&mut Decoder::new(), &wire), [Ok((header, payload))]);
    }
    let header = Header::new(Kind::Request, Opcode::Ping as u16, 1, 2, 3);
    let wire = [&[DELIMITER], &encoded(&header, b"abc")[..]].concat();
    let last = decode(&mut decoder, &wire).pop();
    assert_eq!(last, Some(Ok((header, b"abc".to_vec()))));
}

fn encoded(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![0; max_encoded(payload.len())];
    let length = encode(header, &[payload], &mut wire).expect("what was decoded can be encoded");
    wire.truncate(length);
    wire
}

fn decode(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Some(frame) = decoder.push(&mut bytes) {
        outcomes.push(frame.map(|frame| (frame.header, frame.payload.to_vec())));
    }
    outcomes
}
