//! Frames to the host.

use bytemuck::NoUninit;
use spu_protocol::codec::{encode, max_encoded};
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD, MAX_REPLY};
use spu_protocol::opcode::Opcode;

/// The link to the host, as far as the dispatcher sends.
pub trait Transmit {
    /// Octets that [`write`](Transmit::write) takes now. An empty transmitter must have room for
    /// the largest frame, [`MAX_ENCODED`] octets, or streams wait for ever.
    fn room(&self) -> usize;

    /// Queues octets, at most [`room`](Transmit::room) of them.
    fn write(&mut self, bytes: &[u8]);
}

/// Octets of the largest frame on the wire.
pub const MAX_ENCODED: usize = max_encoded(MAX_PAYLOAD);
/// Octets of the largest reply on the wire.
pub(crate) const MAX_ENCODED_REPLY: usize = max_encoded(MAX_REPLY);

/// Encodes frames into one buffer.
#[derive(Debug)]
pub(crate) struct Output {
    encoded: [u8; MAX_ENCODED],
}

impl Output {
    pub(crate) const fn new() -> Self {
        Self { encoded: [0; MAX_ENCODED] }
    }

    /// Sends a frame whose payload is the concatenation of `parts`. The caller has checked that
    /// `tx` has room.
    pub(crate) fn send(&mut self, tx: &mut impl Transmit, header: &Header, parts: &[&[u8]]) {
        if let Some(len) = encode(header, parts, &mut self.encoded)
            && let Some(frame) = self.encoded.get(..len)
        {
            tx.write(frame);
        }
    }

    /// Answers `request` with a fixed payload.
    pub(crate) fn answer(
        &mut self,
        tx: &mut impl Transmit,
        kind: Kind,
        request: &Header,
        payload: &impl NoUninit,
    ) {
        self.answer_bytes(tx, kind, request, bytemuck::bytes_of(payload));
    }

    /// Answers `request`.
    pub(crate) fn answer_bytes(
        &mut self,
        tx: &mut impl Transmit,
        kind: Kind,
        request: &Header,
        payload: &[u8],
    ) {
        let header = Header::new(
            kind,
            request.opcode,
            request.session,
            request.sequence,
            payload.len() as u16,
        );
        self.send(tx, &header, &[payload]);
    }

    /// Sends an event.
    pub(crate) fn event(
        &mut self,
        tx: &mut impl Transmit,
        opcode: Opcode,
        session: u32,
        sequence: u32,
        parts: [&[u8]; 2],
    ) {
        let [head, rest] = parts;
        let length = head.len().saturating_add(rest.len()) as u16;
        let header = Header::new(Kind::Event, opcode as u16, session, sequence, length);
        self.send(tx, &header, &parts);
    }
}
