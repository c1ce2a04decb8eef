//! A session with a device: opening, requests and their replies.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::time::Duration;

use spu_protocol::codec::{DELIMITER, Frame, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{ErrorReply, HelloReply, HelloRequest, exact};
use spu_protocol::version;

use super::receiver::Receiver;
use super::refusal::{check_version, refusal};
use super::wire::Wire;
use crate::device::Deadline;
use crate::error::Error;
use crate::link::{Link, LinkStats};
use crate::time::now;

/// Times that a request is sent again within a session; after the last, the reply is waited for until the
/// deadline.
const RETRIES: u32 = 4;
/// Wait before a request is first sent again; doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Takes the events of the current session that arrive while something else is waited for.
pub(super) trait Events {
    /// Takes an event.
    fn event(&mut self, opcode: Opcode, payload: &[u8]);
}

/// No acquisition is running.
impl Events for () {
    fn event(&mut self, _opcode: Opcode, _payload: &[u8]) {}
}

/// A session over a link. Each frame carries the session's number, and each request one of its
/// own, so that no late reply and no left-over event is taken for a current one.
pub(super) struct Session<L> {
    wire: Wire<L>,
    receiver: Receiver,
    /// The request as it goes over the link, kept for sending it again.
    request: Box<[u8]>,
    reply: Box<[u8]>,
    /// 0 where the session is over, or where an unfinished request makes its state unknown.
    id: u32,
    sequence: u32,
    /// Number of the last event of this session.
    last_event: Option<u32>,
    /// Events of the acquisitions of this session that have ended.
    past_events: u32,
    /// Time spent building and sending requests.
    pub(super) sending: Sending,
}

/// Time spent on requests since the session began.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sending {
    pub(super) encode: Duration,
    pub(super) write: Duration,
}

/// What ended the wait for a reply.
enum Answer {
    Reply(u16, usize),
    Refused(u16, Option<ErrorReply>, u8),
}

impl<L: Link> Session<L> {
    pub(super) fn new(link: L) -> Self {
        Self {
            wire: Wire::new(link),
            receiver: Receiver::new(),
            request: vec![0; max_encoded(MAX_PAYLOAD)].into_boxed_slice(),
            reply: vec![0; MAX_PAYLOAD].into_boxed_slice(),
            id: 0,
            sequence: 0,
            last_event: None,
            past_events: 0,
            sending: Sending::default(),
        }
    }

    /// False before the session is opened and after something left its state unknown.
    pub(super) fn is_open(&self) -> bool {
        self.id != 0 && !self.wire.is_lost()
    }

    /// Ends the session on this side: the next call opens another.
    pub(super) fn close(&mut self) {
        self.id = 0;
    }

    pub(super) fn link(&self) -> &L {
        &self.wire.link
    }

    pub(super) fn link_mut(&mut self) -> &mut L {
        &mut self.wire.link
    }

    /// Time spent waiting for the link to give bytes.
    pub(super) fn waited(&self) -> Duration {
        self.receiver.waited
    }

    /// What went over the link.
    pub(super) fn stats(&self) -> LinkStats {
        self.wire.stats
    }

    /// Waits for the device to come back, if it is gone.
    pub(super) fn connect(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.wire.connect(deadline)
    }

    /// Opens a session, ending whatever the device was doing for another.
    pub(super) fn open(&mut self, deadline: Deadline) -> Result<HelloReply, Error> {
        const OP: &str = "opening a session";
        self.close();
        self.receiver.drain(&mut self.wire)?;
        // Ends a frame that an earlier program may have left unfinished.
        self.wire.write(&[DELIMITER], deadline)?;
        let mut wait = FIRST_WAIT;
        // Until the deadline, since a device that restarts meanwhile never saw the earlier ones. The wait
        // doubles each time, so that it gets longer than the slowest device takes to answer.
        while !deadline.passed() {
            // Each try has its own nonce: a reply to an earlier one would name a session that the
            // later one has already ended.
            let random = || RandomState::new().hash_one(self.sequence);
            let nonce = self.wire.link.nonce().unwrap_or_else(random);
            let hello = HelloRequest {
                nonce,
                version_min: version::MIN,
                version_max: version::CURRENT,
                reserved: [0; 6],
            };
            let len = self.prepare(Opcode::Hello, &[bytemuck::bytes_of(&hello)])?;
            self.send(len, deadline)?;
            let until = deadline.within(wait);
            wait *= 2;
            let reply = self.hello_reply(nonce, until).map_err(|error| self.busy(error))?;
            let Some(hello) = reply else {
                tracing::debug!(link = %self.wire.link.describe(), "no answer to hello");
                continue;
            };
            check_version(&hello)?;
            if hello.session == 0 {
                return Err(Error::Corrupt { what: "session 0 was opened".into() });
            }
            self.id = hello.session;
            self.sequence = 0;
            self.last_event = None;
            self.past_events = 0;
            self.wire.stats.sessions += 1;
            return Ok(hello);
        }
        self.receiver.drain(&mut self.wire)?;
        Err(deadline.timeout(OP))
    }

    /// The same error, naming the link whose device is another host's.
    fn busy(&self, error: Error) -> Error {
        match error {
            Error::Device { code: ErrorCode::InUse, .. } => Error::Busy {
                uri: self.wire.link.describe(),
                holder: "another host is connected to it".into(),
            },
            error => error,
        }
    }

    /// Waits for the reply to the `Hello` with this nonce.
    fn hello_reply(&mut self, nonce: u64, until: Deadline) -> Result<Option<HelloReply>, Error> {
        let sequence = self.sequence;
        let hello = Opcode::Hello as u16;
        let mut stale = 0;
        let found = self.receiver.pump(&mut self.wire, until, |frame| {
            let Ok(Frame { header, payload }) = frame else { return ControlFlow::Continue(()) };
            let ours = header.opcode == hello && header.sequence == sequence;
            match Kind::from_u8(header.kind) {
                Some(Kind::Reply) if header.opcode == hello => match exact::<HelloReply>(payload) {
                    Some(reply) if reply.nonce != nonce => pass(&mut stale),
                    reply => ControlFlow::Break(reply.ok_or_else(|| Error::Corrupt {
                        what: format!("a reply to hello of {} bytes", payload.len()),
                    })),
                },
                Some(Kind::Error) if ours => {
                    ControlFlow::Break(Err(refusal(exact(payload), header.version)))
                }
                _ => pass(&mut stale),
            }
        });
        self.wire.stats.stale_frames += stale;
        found?.transpose()
    }

    /// Sends a request and waits for its reply, sending it again where the reply is late or
    /// damaged. Events that arrive meanwhile go to `events`.
    pub(super) fn request(
        &mut self,
        opcode: Opcode,
        payload: &[&[u8]],
        deadline: Deadline,
        events: &mut dyn Events,
    ) -> Result<&[u8], Error> {
        let len = self.prepare(opcode, payload)?;
        self.wire.stats.requests += 1;
        let mut wait = FIRST_WAIT;
        let mut tries = 0;
        let answer = loop {
            self.send(len, deadline)?;
            let may_retry = tries < RETRIES;
            let until = if may_retry { deadline.within(wait) } else { deadline };
            self.wire.stats.retries += u64::from(tries > 0);
            tries += 1;
            wait *= 2;
            match self.answer(until, may_retry, events)? {
                Some(answer) => break answer,
                None if deadline.passed() => {
                    self.wire.stats.timeouts += 1;
                    self.receiver.drain(&mut self.wire)?;
                    return Err(deadline.timeout(name(opcode)));
                }
                None => tracing::debug!(?opcode, tries, "no whole reply yet"),
            }
        };
        match answer {
            Answer::Reply(found, len) if found == opcode as u16 => Ok(&self.reply[..len]),
            Answer::Refused(found, error, version) if found == opcode as u16 => {
                let error = refusal(error, version);
                if matches!(error, Error::Device { code: ErrorCode::BadSession, .. }) {
                    self.close();
                }
                Err(error)
            }
            Answer::Reply(found, _) | Answer::Refused(found, ..) => Err(Error::Corrupt {
                what: format!("operation {found:#06x} answers {:#06x}", opcode as u16),
            }),
        }
    }

    /// Sends a request once and waits until then for its reply: for one that must not be executed
    /// twice and is outside any session, so that the device does not know it again. False if no
    /// reply came, or a damaged one.
    pub(super) fn once(
        &mut self,
        opcode: Opcode,
        payload: &[&[u8]],
        until: Deadline,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        self.receiver.drain(&mut self.wire)?;
        // Ends a frame that was left unfinished.
        self.wire.write(&[DELIMITER], deadline)?;
        let len = self.prepare(opcode, payload)?;
        self.wire.stats.requests += 1;
        self.send(len, deadline)?;
        match self.answer(until, true, &mut ())? {
            Some(Answer::Reply(found, 0)) if found == opcode as u16 => Ok(true),
            Some(Answer::Refused(found, error, version)) if found == opcode as u16 => {
                Err(refusal(error, version))
            }
            _ => Ok(false),
        }
    }

    /// Waits for the reply to the current request. `None` if it has not come by `until`, or if a
    /// frame was damaged, which may have been it, and `may_retry`.
    fn answer(
        &mut self,
        until: Deadline,
        may_retry: bool,
        events: &mut dyn Events,
    ) -> Result<Option<Answer>, Error> {
        let Self { receiver, wire, reply, id, sequence, last_event, .. } = self;
        let mut stale = 0;
        let found = receiver.pump(wire, until, |frame| {
            let Ok(Frame { header, payload }) = frame else {
                return if may_retry {
                    ControlFlow::Break(None)
                } else {
                    ControlFlow::Continue(())
                };
            };
            if header.session != *id {
                return pass(&mut stale);
            }
            let current = header.sequence == *sequence;
            match Kind::from_u8(header.kind) {
                Some(Kind::Reply) if current => {
                    reply[..payload.len()].copy_from_slice(payload);
                    ControlFlow::Break(Some(Answer::Reply(header.opcode, payload.len())))
                }
                Some(Kind::Error) if current => ControlFlow::Break(Some(Answer::Refused(
                    header.opcode,
                    exact(payload),
                    header.version,
                ))),
                Some(Kind::Event) if event(&header, payload, last_event, events) => {
                    ControlFlow::Continue(())
                }
                _ => pass(&mut stale),
            }
        });
        wire.stats.stale_frames += stale;
        Ok(found?.flatten())
    }

    /// Waits for one event; false if none came by `until`.
    pub(super) fn listen(
        &mut self,
        until: Deadline,
        events: &mut dyn Events,
    ) -> Result<bool, Error> {
        let Self { receiver, wire, id, last_event, .. } = self;
        let mut stale = 0;
        let heard = receiver.pump(wire, until, |frame| match frame {
            Ok(Frame { header, payload })
                if header.session == *id
                    && header.kind == Kind::Event as u8
                    && event(&header, payload, last_event, events) =>
            {
                ControlFlow::Break(())
            }
            Ok(_) => pass(&mut stale),
            Err(_) => ControlFlow::Continue(()),
        });
        wire.stats.stale_frames += stale;
        Ok(heard?.is_some())
    }

    /// An acquisition ended for which the device sent so many events. One of them that comes only
    /// now is not taken for one of the next acquisition.
    pub(super) fn events_ended(&mut self, events: u64) {
        self.past_events = self.past_events.wrapping_add(events as u32);
        self.last_event = Some(self.past_events.wrapping_sub(1));
    }

    /// Asks the device to stop, without waiting for its answer, and ends the session. For where no
    /// time is left; the next call opens another session, which ends the acquisition in any case.
    pub(super) fn abandon(&mut self) {
        const GRACE: Duration = Duration::from_millis(10);
        if let Ok(len) = self.prepare(Opcode::Cancel, &[])
            && let Err(error) = self.send(len, Deadline::after(GRACE))
        {
            tracing::debug!(%error, "the acquisition could not be cancelled");
        }
        self.close();
    }

    /// Builds the next request.
    fn prepare(&mut self, opcode: Opcode, payload: &[&[u8]]) -> Result<usize, Error> {
        let before = now();
        let length = payload.iter().map(|part| part.len()).sum::<usize>();
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header::new(
            Kind::Request,
            opcode as u16,
            self.id,
            self.sequence,
            length.min(usize::from(u16::MAX)) as u16,
        );
        let encoded = encode(&header, payload, &mut self.request);
        self.sending.encode += now() - before;
        encoded.ok_or_else(|| Error::Unsupported {
            reasons: vec![format!("{length} bytes are more than one request holds")],
        })
    }

    fn send(&mut self, len: usize, deadline: Deadline) -> Result<(), Error> {
        let before = now();
        let sent = self.wire.write(&self.request[..len], deadline);
        self.sending.write += now() - before;
        sent
    }
}

/// Passes a frame over that answers nothing.
fn pass<T>(stale: &mut u64) -> ControlFlow<T> {
    *stale += 1;
    ControlFlow::Continue(())
}

/// Hands an event on, if it is newer than the last one: a repeated frame counts once.
fn event(header: &Header, payload: &[u8], last: &mut Option<u32>, events: &mut dyn Events) -> bool {
    let newer = last.is_none_or(|last| header.sequence.wrapping_sub(last) as i32 > 0);
    match Opcode::from_u16(header.opcode) {
        Some(opcode) if newer => {
            *last = Some(header.sequence);
            events.event(opcode, payload);
            true
        }
        _ => false,
    }
}

/// What an operation is called in messages.
fn name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Hello => "hello",
        Opcode::Reset => "reset",
        Opcode::EnterBootloader => "entering the boot loader",
        Opcode::Info => "info",
        Opcode::Ping => "ping",
        Opcode::ReadRegs => "reading registers",
        Opcode::WriteRegs => "writing registers",
        Opcode::Load => "load",
        Opcode::Acquire | Opcode::StreamBlock | Opcode::AcquireDone => "acquire",
        Opcode::AcquireStatus => "reading the acquisition's state",
        Opcode::Cancel => "cancel",
        Opcode::Credit => "granting stream blocks",
        Opcode::SelfTest => "self test",
        Opcode::UpdateBegin => "beginning an update",
        Opcode::UpdateWrite => "sending a piece of an image",
        Opcode::UpdateFinish => "verifying an image",
        Opcode::UpdateStatus => "reading the slots' state",
        Opcode::UpdateConfirm => "confirming an image",
        Opcode::BulkWrite => "writing the array",
        Opcode::BulkRead => "reading the array",
    }
}
