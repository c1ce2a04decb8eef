//! Hosts that come while another one is connected: they are told so.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rustix::fd::BorrowedFd;
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::payload::ErrorReply;

use super::port::Wire;

/// Time in which a visitor asks its question and goes.
const PATIENCE: Duration = Duration::from_secs(2);

/// A host that will be sent away with an answer to its first request.
pub(super) struct Visitor {
    wire: Box<dyn Wire>,
    decoder: Box<Decoder>,
    until: Instant,
    answered: bool,
}

impl Visitor {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        let until = Instant::now() + PATIENCE;
        Self { wire, decoder: Box::new(Decoder::new()), until, answered: false }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wire.fd()
    }

    /// Hears the visitor; false when it is gone or has had its time. It is not closed at its
    /// answer, which it might lose then.
    pub(super) fn serve(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        let mut buffer = [0; 512];
        loop {
            match self.wire.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.hear(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.decoder.push(&mut bytes) {
            let Ok(frame) = frame else { continue };
            if self.answered || frame.header.kind != Kind::Request as u8 {
                continue;
            }
            self.answered = true;
            let asked = frame.header;
            let reply = ErrorReply { code: ErrorCode::InUse as u16, detail: 0 };
            let payload = bytemuck::bytes_of(&reply);
            let header = Header::new(
                Kind::Error,
                asked.opcode,
                asked.session,
                asked.sequence,
                payload.len() as u16,
            );
            let mut encoded = [0; max_encoded(size_of::<ErrorReply>())];
            if let Some(length) = encode(&header, &[payload], &mut encoded) {
                // An empty socket takes a frame; whoever asked may be gone.
                let _ = self.wire.write(&encoded[..length]);
            }
        }
    }
}
