//! A device out of a recording.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{HelloRequest, exact};

use super::Link;
use crate::device::Deadline;
use crate::error::Error;
use crate::recording::{
    Cause, Content, During, Event, Failure, Origin, Reader, RecordingError, Stream, difference,
};
use crate::time;

/// Answers a host from a recording, and holds it to what the recorded host asked.
///
/// Octets from the device are given in their order, those that the recorded host had before it
/// sent a request before this host sends the same. Requests are compared frame by frame; the first
/// that differs fails, and says how. Where the recorded host waited in vain, this one does, as long
/// as it chooses to, so that it gives up and repeats requests where the recorded one did; other
/// pauses are not reproduced. A request that only one of the hosts repeats is no difference, since
/// repeating hangs on time.
pub struct Replay<R = BufReader<File>> {
    reader: Reader<R>,
    name: String,
    /// What comes next, in the recording's order.
    next: VecDeque<Next>,
    /// Frames that the recorded host sent.
    recorded: Stream,
    /// Frames that this host sends.
    host: Stream,
    /// Requests of this host that were compared.
    requests: u64,
    /// The last of them.
    last: Option<Request>,
    /// How the recording ends, once it has.
    end: Option<End>,
}

/// Next thing in a recording.
enum Next {
    /// Octets from the device, from this one on.
    Octets(Vec<u8>, usize),
    Request(Request),
    /// A write that ends no request: a delimiter, or part of a frame.
    Bare,
    Failed(Failure),
    Reconnected,
    /// A read in vain.
    Silence,
}

#[derive(Clone, PartialEq)]
struct Request {
    header: Header,
    payload: Vec<u8>,
}

enum End {
    /// As the recorded run ended.
    Closed,
    /// By a killed process or a full disk.
    Open,
    /// By damage, told once and then as text.
    Damage(Option<RecordingError>, String),
}

impl Replay {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such file, [`Error::Recording`] if it is none or of
    /// another version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let reader = Reader::open(path).map_err(|error| match error {
            RecordingError::Open { path, source } if source.kind() == ErrorKind::NotFound => {
                Error::NotFound {
                    uri: format!("replay:{}", path.display()),
                    why: "there is no such file; `--record FILE` makes a recording".into(),
                }
            }
            error => error.into(),
        })?;
        Ok(Self::new(reader, path.display().to_string()))
    }
}

impl<R: Read> Replay<R> {
    /// Replays what `reader` reads; `name` is what messages call it.
    pub fn new(reader: Reader<R>, name: String) -> Self {
        Self {
            reader,
            name,
            next: VecDeque::new(),
            recorded: Stream::default(),
            host: Stream::default(),
            requests: 0,
            last: None,
            end: None,
        }
    }

    /// What the recording is of.
    pub fn origin(&self) -> &Origin {
        self.reader.origin()
    }

    /// Reads on until something is next, or the recording ends.
    fn fill(&mut self) {
        while self.next.is_empty() && self.end.is_none() {
            let record = match self.reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.end = Some(End::Open);
                    return;
                }
                Err(damage) => {
                    let text = damage.to_string();
                    self.end = Some(End::Damage(Some(damage), text));
                    return;
                }
            };
            match record.event {
                Event::ToDevice(bytes) => {
                    let mut bytes = &bytes[..];
                    while let Some(content) = self.recorded.next(&mut bytes) {
                        // What is no frame the device passed over, and so does this.
                        self.next.extend(request(content).map(Next::Request));
                    }
                    if self.next.is_empty() {
                        self.next.push_back(Next::Bare);
                    }
                }
                Event::FromDevice(bytes) => self.next.push_back(Next::Octets(bytes, 0)),
                Event::Failed(failure) => self.next.push_back(Next::Failed(failure)),
                Event::Reconnected => self.next.push_back(Next::Reconnected),
                Event::Silence => self.next.push_back(Next::Silence),
                Event::Closed => self.end = Some(End::Closed),
            }
        }
    }

    /// Passes over requests that the recorded host repeated, its waits, and its bare delimiters.
    fn skip_repeats(&mut self) {
        loop {
            self.fill();
            match self.next.front() {
                Some(Next::Silence | Next::Bare) => {
                    self.next.pop_front();
                }
                Some(Next::Request(request)) if self.last.as_ref() == Some(request) => {
                    self.next.pop_front();
                }
                _ => return,
            }
        }
    }

    /// Compares a request of this host with the recorded one.
    fn compare(&mut self, request: Request) -> Result<(), Error> {
        // What the recorded host had by one read, a host with a smaller buffer has by several.
        let begun = match self.next.front() {
            Some(Next::Octets(_, at)) if *at > 0 => self.next.pop_front(),
            _ => None,
        };
        let result = self.compare_next(request);
        if let Some(octets) = begun {
            self.next.push_front(octets);
        }
        result
    }

    fn compare_next(&mut self, request: Request) -> Result<(), Error> {
        self.fill();
        let repeated = self.last.as_ref() == Some(&request);
        match self.next.front() {
            // A repeat in both runs.
            Some(Next::Request(recorded)) if *recorded == request => {}
            _ if repeated => return Ok(()),
            _ => self.skip_repeats(),
        }
        let sent = name(&request);
        let how = match self.next.front() {
            Some(Next::Request(recorded)) => {
                let old = (&recorded.header, &recorded.payload[..]);
                match difference(old, (&request.header, &request.payload)) {
                    None => {
                        self.next.pop_front();
                        self.requests += 1;
                        self.last = Some(request);
                        return Ok(());
                    }
                    Some(how) => how,
                }
            }
            Some(Next::Octets(..)) => {
                format!("{sent} is sent before what the recorded host had read by then")
            }
            Some(Next::Failed(failure)) => {
                format!("{sent} is sent where the recorded link failed ({})", failure.message)
            }
            Some(Next::Reconnected) => {
                format!("{sent} is sent where the recorded host had the link come back")
            }
            // Passed over above.
            Some(Next::Silence | Next::Bare) => {
                format!("{sent} is sent where the recorded host waited")
            }
            None if matches!(self.end, Some(End::Closed)) => {
                format!("{sent} is sent where the recorded run was over")
            }
            None => return Err(self.stops()),
        };
        Err(RecordingError::Differs { request: self.requests + 1, how }.into())
    }

    /// The recording ends without its run's end.
    fn stops(&mut self) -> Error {
        let why = match &mut self.end {
            Some(End::Damage(damage, text)) => match damage.take() {
                Some(damage) => return damage.into(),
                None => text.clone(),
            },
            _ => "it was not closed (its process was killed, or its disk full)".into(),
        };
        RecordingError::Stops { request: self.requests, why }.into()
    }

    /// The failure that comes next, if it came during this.
    fn failure(&mut self, during: During, deadline: Deadline) -> Option<Error> {
        match self.next.front() {
            Some(Next::Failed(failure)) if failure.during == during => {}
            _ => return None,
        }
        let Some(Next::Failed(failure)) = self.next.pop_front() else { return None };
        Some(match failure.cause {
            Cause::Disconnected => Error::Disconnected { during: "as recorded" },
            Cause::Timeout => deadline.timeout("the link, as recorded,"),
            Cause::Other => Error::Corrupt { what: format!("as recorded: {}", failure.message) },
        })
    }
}

impl<R: Read + Send> Link for Replay<R> {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        let (mut bytes, mut bare) = (bytes, true);
        while let Some(content) = self.host.next(&mut bytes) {
            if let Some(request) = request(content) {
                bare = false;
                self.compare(request)?;
            }
        }
        self.fill();
        if bare && let Some(Next::Bare) = self.next.front() {
            self.next.pop_front();
            self.fill();
        }
        self.failure(During::Write, deadline).map_or(Ok(()), Err)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        let mut count = 0;
        while count < buffer.len() {
            self.fill();
            let Some(Next::Octets(octets, at)) = self.next.front_mut() else { break };
            let part = &octets[*at..];
            // A further read is added as a whole or not at all: a host that asks something in the
            // middle of it has had all of it.
            if count > 0 && part.len() > buffer.len() - count {
                break;
            }
            let taken = part.len().min(buffer.len() - count);
            buffer[count..count + taken].copy_from_slice(&part[..taken]);
            count += taken;
            *at += taken;
            if *at == octets.len() {
                self.next.pop_front();
            }
        }
        if count > 0 {
            return Ok(count);
        }
        if let Some(error) = self.failure(During::Read, deadline) {
            return Err(error);
        }
        let cut = match self.end {
            _ if !self.next.is_empty() => false,
            Some(End::Damage(..)) => true,
            // The last look before a session opens may find nothing.
            Some(End::Open) => !deadline.passed(),
            Some(End::Closed) | None => false,
        };
        if cut {
            return Err(self.stops());
        }
        // The recorded host waited in vain here, gave up, or was done.
        if let Some(Next::Silence) = self.next.front() {
            self.next.pop_front();
        }
        time::sleep(deadline.left());
        Ok(0)
    }

    fn describe(&self) -> String {
        format!("recording {} of {}", self.name, self.origin().uri)
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.fill();
        if let Some(Next::Reconnected) = self.next.front() {
            self.next.pop_front();
            self.host = Stream::default();
            return Ok(());
        }
        let absent = Error::Disconnected { during: "reconnecting to a recording" };
        Err(self.failure(During::Reconnect, deadline).unwrap_or(absent))
    }

    fn nonce(&mut self) -> Option<u64> {
        self.fill();
        match self.next.front() {
            Some(Next::Request(request)) if request.header.opcode == Opcode::Hello as u16 => {
                exact::<HelloRequest>(&request.payload).map(|hello| hello.nonce)
            }
            _ => None,
        }
    }
}

fn request(content: Content) -> Option<Request> {
    match content {
        Content::Frame { header, payload } if header.kind == Kind::Request as u8 => {
            Some(Request { header, payload })
        }
        _ => None,
    }
}

fn name(request: &Request) -> String {
    crate::recording::opcode_name(request.header.opcode)
}
