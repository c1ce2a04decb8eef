//! Recordings as pcapng, for Wireshark.
//!
//! A writer of our own: three block types without options to choose among; the crates for it bring a
//! parser and more dependencies than this file has lines.
//!
//! One packet is one frame, COBS undone and CRC checked, behind a pseudo-header of four octets:
//!
//! | octet | holds |
//! |---|---|
//! | 0 | version of the pseudo-header, 1 |
//! | 1 | direction: 0 to the device, 1 from it |
//! | 2 | what follows: 0 a frame (header and payload); 1 to 4 octets that are no frame (1 COBS block unfinished, 2 overlong, 3 CRC wrong, 4 header malformed); 5 text on a failure of the link; 6 nothing, the link came back |
//! | 3 | zero |
//!
//! The link type is `USER0` (147); `tools/wireshark/spu.lua` decodes it.

use std::io::{self, Read, Write};
use std::time::Duration;

use spu_protocol::codec::FrameError;

use super::{Content, FrameRecord, Frames, Origin, RecordingError};

/// `LINKTYPE_USER0`.
pub const LINK_TYPE: u16 = 147;
/// Version of the pseudo-header.
pub const PSEUDO_VERSION: u8 = 1;

/// Writes what [`Frames`] gives to `out`, and returns the number of packets. Where the recording is
/// damaged, what stands before is written and the damage returned too.
///
/// # Errors
/// If `out` cannot be written.
pub fn export<R: Read>(
    frames: &mut Frames<R>,
    out: &mut impl Write,
) -> io::Result<(u64, Option<RecordingError>)> {
    let origin = frames.reader().origin().clone();
    out.write_all(&section(&origin))?;
    out.write_all(&interface(&origin))?;
    let mut packets = 0;
    loop {
        match frames.next_frame() {
            Ok(None) => return Ok((packets, None)),
            Err(damage) => return Ok((packets, Some(damage))),
            Ok(Some(frame)) => {
                out.write_all(&packet(&frame, origin.start))?;
                packets += 1;
            }
        }
    }
}

fn section(origin: &Origin) -> Vec<u8> {
    const SHB_USERAPPL: u16 = 4;
    let mut body = Vec::new();
    // Byte order magic, version 1.0, length of the section unknown.
    body.extend(0x1a2b_3c4d_u32.to_le_bytes());
    body.extend([1_u16.to_le_bytes(), 0_u16.to_le_bytes()].as_flattened());
    body.extend(u64::MAX.to_le_bytes());
    option(&mut body, SHB_USERAPPL, format!("spu-driver {}", origin.host).as_bytes());
    option(&mut body, 0, &[]);
    block(0x0a0d_0d0a, &body)
}

fn interface(origin: &Origin) -> Vec<u8> {
    const IF_NAME: u16 = 2;
    const IF_TSRESOL: u16 = 9;
    let mut body = Vec::new();
    // Reserved; no limit on the packets' length.
    body.extend([LINK_TYPE.to_le_bytes(), [0; 2], [0; 2], [0; 2]].as_flattened());
    option(&mut body, IF_NAME, origin.uri.as_bytes());
    // Times are in units of 10^-9 s.
    option(&mut body, IF_TSRESOL, &[9]);
    option(&mut body, 0, &[]);
    block(1, &body)
}

fn packet(frame: &FrameRecord, start: Duration) -> Vec<u8> {
    const EPB_FLAGS: u16 = 2;
    const INBOUND: u32 = 1;
    const OUTBOUND: u32 = 2;
    let data = packet_data(frame);
    let time = u64::try_from((start + frame.time).as_nanos()).unwrap_or(u64::MAX);
    let length = (data.len() as u32).to_le_bytes();
    let mut body = Vec::with_capacity(data.len() + 40);
    body.extend([0; 4]);
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    // Captured and original length.
    body.extend([length, length].as_flattened());
    body.extend(&data);
    pad(&mut body);
    let direction = if frame.to_device { OUTBOUND } else { INBOUND };
    option(&mut body, EPB_FLAGS, &direction.to_le_bytes());
    option(&mut body, 0, &[]);
    block(6, &body)
}

/// Pseudo-header and content of a packet.
fn packet_data(frame: &FrameRecord) -> Vec<u8> {
    let (what, parts): (u8, [&[u8]; 2]) = match &frame.content {
        Content::Frame { header, payload } => (0, [bytemuck::bytes_of(header), payload]),
        Content::Bad { error, octets } => (bad(*error), [octets, &[]]),
        Content::Failed(failure) => (5, [failure.message.as_bytes(), &[]]),
        Content::Reconnected => (6, [&[], &[]]),
    };
    let mut data = vec![PSEUDO_VERSION, u8::from(!frame.to_device), what, 0];
    for part in parts {
        data.extend(part);
    }
    data
}

fn bad(error: FrameError) -> u8 {
    match error {
        FrameError::Cobs => 1,
        FrameError::Overlong => 2,
        FrameError::Crc => 3,
        FrameError::Header => 4,
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    // URIs and names are far shorter than the 64 KiB that an option holds.
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    let mut bytes = Vec::with_capacity(body.len() + 12);
    bytes.extend(kind.to_le_bytes());
    bytes.extend(length);
    bytes.extend(body);
    bytes.extend(length);
    bytes
}
