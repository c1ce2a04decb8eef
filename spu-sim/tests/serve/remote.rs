//! A host at the other end of a connection.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytemuck::bytes_of;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use spu_protocol::code::AdcCode;
use spu_protocol::codec::{DELIMITER, Decoder, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::acquire::StatusView;
use spu_protocol::payload::load::MAX_CELLS;
use spu_protocol::payload::{
    AcquireRequest, CreditRequest, ErrorReply, HelloReply, HelloRequest, LoadHeader, LoadView,
    RegsRequest, StreamHeader, Writer, exact, split,
};
use spu_sim::Profile;

use crate::common;

/// Ample for one answer of a busy computer.
const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: Read + Write + AsFd {}
impl<T: Read + Write + AsFd> Stream for T {}

/// A connection to a served board.
pub(crate) struct Remote {
    stream: Box<dyn Stream>,
    decoder: Box<Decoder>,
    /// Frames that came: header and payload.
    frames: Vec<(Header, Vec<u8>)>,
    session: u32,
    sequence: u32,
    format: FrameFormat,
}

type Answer = Result<Vec<u8>, ErrorCode>;

impl Remote {
    /// Connects to what the driver would call `uri`.
    pub(crate) fn connect(uri: &str) -> io::Result<Self> {
        let (scheme, rest) = uri.split_once(':').unwrap();
        let stream: Box<dyn Stream> = match scheme {
            "tcp" => Box::new(TcpStream::connect(rest)?),
            "unix" => Box::new(UnixStream::connect(rest)?),
            _ => {
                let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
                Box::new(File::from(rustix::fs::open(rest, flags, Mode::empty())?))
            }
        };
        Ok(Self {
            stream,
            decoder: Box::new(Decoder::new()),
            frames: Vec::new(),
            session: 0,
            sequence: 0,
            format: common::format(&Profile::named("rev-a").unwrap()),
        })
    }

    /// Connects and opens a session.
    pub(crate) fn open(uri: &str) -> io::Result<Self> {
        let mut remote = Self::connect(uri)?;
        remote.raw(&[DELIMITER])?;
        remote.hello()?.map_err(io::Error::other)?;
        Ok(remote)
    }

    /// The same session over another connection.
    pub(crate) fn replug(self, uri: &str) -> io::Result<Self> {
        let Self { stream, session, sequence, .. } = self;
        drop(stream);
        let mut again = loop {
            let mut again = Self { session, sequence, ..Self::connect(uri)? };
            // The one before may not be seen to have gone.
            match again.call(Opcode::Ping, &[]) {
                Ok(Err(ErrorCode::InUse)) => {}
                _ => break again,
            }
        };
        again.raw(&[DELIMITER])?;
        Ok(again)
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Opens a session. A board that was interrupted may miss the first try.
    pub(crate) fn hello(&mut self) -> io::Result<Answer> {
        self.session = 0;
        let hello = HelloRequest { nonce: 7, version_min: 1, version_max: 1, reserved: [0; 6] };
        let answer = self.call(Opcode::Hello, bytes_of(&hello))?;
        if let Ok(reply) = &answer {
            self.session = exact::<HelloReply>(reply).unwrap().session;
        }
        Ok(answer)
    }

    pub(crate) fn send(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let header = Header::new(
            Kind::Request,
            opcode as u16,
            self.session,
            self.sequence,
            payload.len() as u16,
        );
        let mut encoded = vec![0; max_encoded(payload.len())];
        let length = encode(&header, &[payload], &mut encoded).unwrap();
        self.raw(&encoded[..length])
    }

    /// Reads more frames.
    fn receive(&mut self, patience: Duration) -> io::Result<()> {
        let patience = Timespec::try_from(patience).unwrap();
        if poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&patience))? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = &buffer[..count];
        while let Some(frame) = self.decoder.push(&mut bytes) {
            // What was cut by a restart or meant for another host.
            let Ok(frame) = frame else { continue };
            self.frames.push((frame.header, frame.payload.to_vec()));
        }
        Ok(())
    }

    /// Sends a request and waits for its answer; events before it are dropped.
    pub(crate) fn call(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.send(opcode, payload)?;
            let again = Instant::now() + Duration::from_millis(500);
            loop {
                let left = again.saturating_duration_since(Instant::now());
                match self.receive(left) {
                    Err(error) if error.kind() == ErrorKind::TimedOut => break,
                    other => other?,
                }
                let answer = self.frames.iter().position(|(header, _)| {
                    let ours = header.kind != Kind::Event as u8 && header.opcode == opcode as u16;
                    ours && header.sequence == self.sequence
                });
                if let Some((header, payload)) =
                    answer.and_then(|at| self.frames.drain(..=at).next_back())
                {
                    return Ok(match exact::<ErrorReply>(&payload) {
                        Some(error) if header.kind == Kind::Error as u8 => {
                            Err(ErrorCode::from_u16(error.code).unwrap())
                        }
                        _ => Ok(payload),
                    });
                }
                self.frames.clear();
            }
            assert!(Instant::now() < end, "no answer to {opcode:?}");
        }
    }

    pub(crate) fn read_reg(&mut self, address: u16) -> io::Result<u32> {
        let request = RegsRequest { address, count: 1 };
        let reply = self.call(Opcode::ReadRegs, bytes_of(&request))?.map_err(io::Error::other)?;
        Ok(u32::from_le_bytes(reply.try_into().unwrap()))
    }

    pub(crate) fn write_reg(&mut self, address: u16, word: u32) -> io::Result<()> {
        let request = RegsRequest { address, count: 1 };
        let payload = [bytes_of(&request), &word.to_le_bytes()].concat();
        self.call(Opcode::WriteRegs, &payload)?.map_err(io::Error::other)?;
        Ok(())
    }

    /// Loads the program of [`common::Host::load`].
    pub(crate) fn load(&mut self) -> io::Result<()> {
        let codes = common::sample_codes(&Profile::named("rev-a").unwrap());
        let mut view = LoadView::new(1, MAX_CELLS as u16).unwrap();
        view.header.flags = LoadHeader::RESEED | LoadHeader::DISCHARGE;
        view.self_codes = codes.self_codes;
        view.coupling_codes = codes.coupling_codes;
        view.gain_codes.iter_mut().for_each(|gain| gain.0 = 4096);
        view.seeds = common::sample_seeds();
        let mut buffer = [0; 1024];
        let mut writer = Writer::new(&mut buffer);
        view.write(&mut writer);
        let length = writer.finish().unwrap();
        self.call(Opcode::Load, &buffer[..length])?.map_err(io::Error::other)?;
        Ok(())
    }

    /// Starts a run of kept ticks.
    pub(crate) fn acquire(
        &mut self,
        settle: u32,
        decimation: u32,
        count: u32,
        flags: u32,
    ) -> io::Result<()> {
        let request = AcquireRequest { settle, decimation, count, flags, granted: 64 };
        self.call(Opcode::Acquire, bytes_of(&request))?.map_err(io::Error::other)?;
        Ok(())
    }

    /// Follows a run to its end: its codes and its status.
    pub(crate) fn follow(&mut self) -> io::Result<(Vec<AdcCode>, StatusView)> {
        let mut codes = Vec::new();
        let mut granted = 64;
        loop {
            let mut blocks = 0;
            for (header, payload) in std::mem::take(&mut self.frames) {
                if header.opcode == Opcode::StreamBlock as u16 {
                    let (stream, octets) = split::<StreamHeader>(&payload).unwrap();
                    let start = codes.len();
                    let samples = stream.frames as usize * self.format.frame_samples();
                    codes.resize(start + samples, AdcCode(0));
                    self.format.unpack(octets, &mut codes[start..]).unwrap();
                    blocks = stream.block + 1;
                } else if header.opcode == Opcode::AcquireDone as u16 {
                    return Ok((codes, StatusView::parse(&payload).unwrap()));
                }
            }
            if blocks + 32 > granted {
                granted = blocks + 64;
                self.send(Opcode::Credit, bytes_of(&CreditRequest { granted }))?;
            }
            self.receive(PATIENCE)?;
        }
    }

    /// Reads until the connection ends, which it must.
    pub(crate) fn expect_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        while let Ok(()) = self.receive(PATIENCE) {
            assert!(Instant::now() < end, "the connection does not end");
        }
        let error = self.receive(Duration::ZERO).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::TimedOut, "the connection has not ended");
    }
}
