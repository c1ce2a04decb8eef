//! Frames on a byte stream: COBS and CRC-32C.
//!
//! A frame on the wire is `COBS(header ‖ payload ‖ CRC) ‖ 0x00`, where the CRC is the CRC-32C of
//! header and payload, little endian. COBS (consistent overhead byte stuffing, Cheshire and
//! Baker, IEEE/ACM Trans. Networking 7(2), 1999) leaves no zero byte inside a frame, so 0x00 ends
//! a frame and nothing else: a receiver that lost its place finds it again at the next 0x00.
//!
//! - [`encode`] writes a frame, its payload given in parts.
//! - [`Decoder`] takes bytes as they come and yields frames. It takes any bytes: it never panics,
//!   its memory is fixed, and a damaged frame costs no more than itself.
//!
//! A sender that does not know what the receiver last saw writes one 0x00 first. Empty frames
//! (a 0x00 after a 0x00) mean nothing.
//!
//! ```
//! use spu_protocol::codec::{Decoder, encode, max_encoded};
//! use spu_protocol::header::{Header, Kind};
//! use spu_protocol::opcode::Opcode;
//!
//! let header = Header::new(Kind::Request, Opcode::Ping as u16, 7, 1, 4);
//! let mut wire = [0; max_encoded(4)];
//! let len = encode(&header, &[b"pi", b"ng"], &mut wire).expect("the buffer is long enough");
//!
//! let mut decoder = Decoder::new();
//! let (start, mut rest) = wire[..len].split_at(10);
//! assert!(decoder.push(&mut &start[..]).is_none());
//! let frame = decoder.push(&mut rest).expect("the frame is complete").expect("and undamaged");
//! assert_eq!(frame.header, header);
//! assert_eq!(frame.payload, b"ping");
//! ```

mod crc;
mod decode;
mod encode;

pub use decode::{Decoder, Frame, FrameError, FrameErrorCounts};
pub use encode::{encode, max_encoded};

/// Byte that ends a frame and occurs nowhere else.
pub const DELIMITER: u8 = 0;

/// COBS code of a block of 254 bytes that no zero follows.
const FULL_BLOCK: u8 = 0xff;
/// Bytes of such a block, its code not counted.
const MAX_RUN: usize = FULL_BLOCK as usize - 1;
