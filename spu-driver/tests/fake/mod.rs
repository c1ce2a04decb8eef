//! A device of a few lines at the other end of a link that can be made faulty.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread::sleep;

use spu_driver::{Deadline, Error, Link};
use spu_protocol::code::AdcCode;
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::acquire::{State, StatusView, product_count};
use spu_protocol::payload::load::LoadView;
use spu_protocol::payload::{
    AcquireRequest, AcquireStatus, CreditRequest, ErrorReply, HelloReply, HelloRequest, InfoReply,
    RegsRequest, SelfTestReply, StreamHeader, Writer, exact, split,
};

pub(crate) const CELLS: usize = 3;
/// Frames in a whole stream block.
pub(crate) const BLOCK_FRAMES: u64 = 4;

/// What the link does to a frame from the device.
pub(crate) enum Fate {
    Deliver,
    Drop,
    Twice,
    /// One bit is flipped.
    Damage,
    /// Comes after the next frame that is delivered.
    Late,
    /// The link ends instead.
    Unplug,
    /// Replaced by these bytes.
    Bytes(Vec<u8>),
    /// Delivered with another payload.
    Payload(Vec<u8>),
    /// Delivered with another header.
    Header(Header),
}

/// Decides the fate of each frame from the device, given its header and payload.
pub(crate) type Rule = Box<dyn FnMut(&Header, &[u8]) -> Fate + Send>;

/// The device and what may be changed about it.
pub(crate) struct Fake {
    pub(crate) info: InfoReply,
    pub(crate) versions: (u8, u8),
    pub(crate) rule: Rule,
    /// Requests that were executed, in order.
    pub(crate) executed: Vec<Opcode>,
    /// Requests that came, repeated ones too.
    pub(crate) received: Vec<Opcode>,
    /// Refuses everything but hello with this error.
    pub(crate) refuse: Option<ErrorReply>,
    /// Frames that are lost before each block.
    pub(crate) lose: u64,
    /// Kept ticks at which sampling stops advancing.
    pub(crate) stall_at: Option<u64>,
    pub(crate) unplugged: bool,
    /// Bytes that are always there to read.
    pub(crate) babble: Option<u8>,
    session: u32,
    sequence: u32,
    cached: Vec<u8>,
    events: u32,
    run: Option<Run>,
    decoder: Decoder,
    out: VecDeque<u8>,
    late: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Run {
    request: AcquireRequest,
    granted: u64,
    state: State,
    kept: u64,
    lost: u64,
    blocks: u64,
}

/// The host's end.
#[derive(Clone)]
pub(crate) struct FakeLink(pub Arc<Mutex<Fake>>);

pub(crate) fn info() -> InfoReply {
    let mut info: InfoReply = bytemuck::Zeroable::zeroed();
    info.profile[..4].copy_from_slice(b"fake");
    InfoReply {
        serial: 0xf00d,
        gateware_id: 7,
        sample_clock_hz: 12_000_000,
        capture_frames: 64,
        firmware: [1, 2, 3],
        kind: 1,
        cells: CELLS as u16,
        couplings: (CELLS * (CELLS - 1) / 2) as u16,
        self_bits: 4,
        coupling_bits: 4,
        dac_bits: 12,
        adc_bits: 12,
        sample_bits: 16,
        samples_per_frame: 1,
        noise_rms_code: 1970.0,
        r_ohm: 1e3,
        l_henry: 1e-3,
        self_lsb_farad: 1e-9,
        coupling_lsb_farad: 0.5e-9,
        stray_farad: 20e-12,
        dac_lsb_ampere: 1e-6,
        adc_lsb_volt: 1e-3,
        ..info
    }
}

impl FakeLink {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Fake {
            info: info(),
            versions: (1, 1),
            rule: Box::new(|_, _| Fate::Deliver),
            executed: Vec::new(),
            received: Vec::new(),
            refuse: None,
            lose: 0,
            stall_at: None,
            unplugged: false,
            babble: None,
            session: 0,
            sequence: 0,
            cached: Vec::new(),
            events: 0,
            run: None,
            decoder: Decoder::new(),
            out: VecDeque::new(),
            late: Vec::new(),
        })))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Fake)) -> Self {
        let link = Self::new();
        link.set(change);
        link
    }

    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut Fake) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Applies `fate` to the first `times` frames for which `which` holds.
    pub(crate) fn rule(
        &self,
        times: usize,
        mut which: impl FnMut(&Header, &[u8]) -> bool + Send + 'static,
        mut fate: impl FnMut(&Header) -> Fate + Send + 'static,
    ) {
        let mut left = times;
        self.set(|fake| {
            fake.rule = Box::new(move |header, payload| {
                if left > 0 && which(header, payload) {
                    left -= 1;
                    fate(header)
                } else {
                    Fate::Deliver
                }
            });
        });
    }
}

pub(crate) fn is(opcode: Opcode) -> impl FnMut(&Header, &[u8]) -> bool {
    move |header, _| header.opcode == opcode as u16
}

impl Link for FakeLink {
    fn write(&mut self, bytes: &[u8], _deadline: Deadline) -> Result<(), Error> {
        let mut fake = self.0.lock().unwrap();
        if fake.unplugged {
            return Err(Error::Disconnected { during: "write" });
        }
        let mut bytes = bytes;
        let mut requests = Vec::new();
        while let Some(frame) = fake.decoder.push(&mut bytes) {
            let frame = frame.expect("the host sends good frames");
            requests.push((frame.header, frame.payload.to_vec()));
        }
        for (header, payload) in requests {
            fake.receive(&header, &payload);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        let mut fake = self.0.lock().unwrap();
        if let Some(byte) = fake.babble {
            buffer[..100].fill(byte);
            return Ok(100);
        }
        if fake.out.is_empty() {
            fake.advance();
        }
        if fake.out.is_empty() && !fake.unplugged {
            drop(fake);
            sleep(deadline.left());
            return Ok(0);
        }
        if fake.out.is_empty() {
            return Err(Error::Disconnected { during: "read" });
        }
        // Frames come in pieces.
        let count = fake.out.len().min(buffer.len()).min(50);
        for to in &mut buffer[..count] {
            *to = fake.out.pop_front().unwrap();
        }
        Ok(count)
    }

    fn describe(&self) -> String {
        "fake".into()
    }
}

pub(crate) fn wire(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; max_encoded(payload.len())];
    let len = encode(header, &[payload], &mut out).unwrap();
    out.truncate(len);
    out
}

/// Code of cell `cell` in kept frame `frame`.
pub(crate) fn code(frame: u64, cell: usize) -> AdcCode {
    AdcCode((frame as i64 * 7 + cell as i64 * 100) as i16 % 2000)
}

impl Fake {
    fn send(&mut self, kind: Kind, opcode: u16, sequence: u32, payload: &[u8]) {
        let header = Header::new(kind, opcode, self.session, sequence, payload.len() as u16);
        let bytes = wire(&header, payload);
        if self.unplugged {
            return;
        }
        let fate = (self.rule)(&header, payload);
        let late = std::mem::take(&mut self.late);
        match fate {
            Fate::Deliver => self.out.extend(bytes),
            Fate::Drop => {}
            Fate::Twice => {
                self.out.extend(&bytes);
                self.out.extend(bytes);
            }
            Fate::Damage => {
                let mut bytes = bytes;
                let middle = bytes.len() / 2;
                bytes[middle] ^= if bytes[middle] == 0x40 { 1 } else { 0x40 };
                self.out.extend(bytes);
            }
            Fate::Late => self.late = bytes,
            Fate::Unplug => self.unplugged = true,
            Fate::Bytes(bytes) => self.out.extend(bytes),
            Fate::Payload(payload) => {
                let header = Header { length: payload.len() as u16, ..header };
                self.out.extend(wire(&header, &payload));
            }
            Fate::Header(header) => self.out.extend(wire(&header, payload)),
        }
        self.out.extend(late);
    }

    fn receive(&mut self, header: &Header, payload: &[u8]) {
        let opcode = Opcode::from_u16(header.opcode).expect("the host sends known operations");
        assert_eq!(header.kind, Kind::Request as u8);
        self.received.push(opcode);
        if opcode == Opcode::Hello {
            self.session += 1;
            self.run = None;
            self.events = 0;
            self.sequence = 0;
        } else if header.session != self.session {
            return self.refuse(header, ErrorCode::BadSession);
        } else if header.sequence == self.sequence {
            let cached = self.cached.clone();
            return self.send(Kind::Reply, header.opcode, header.sequence, &cached);
        }
        if let (Some(error), true) = (self.refuse, opcode != Opcode::Hello) {
            let bytes = bytemuck::bytes_of(&error);
            return self.send(Kind::Error, header.opcode, header.sequence, bytes);
        }
        self.executed.push(opcode);
        let reply = self.execute(opcode, payload);
        if opcode != Opcode::Hello {
            self.sequence = header.sequence;
            self.cached.clone_from(&reply);
        }
        self.send(Kind::Reply, header.opcode, header.sequence, &reply);
    }

    fn refuse(&mut self, header: &Header, code: ErrorCode) {
        let error = ErrorReply { code: code as u16, detail: 0 };
        let (session, bytes) = (self.session, bytemuck::bytes_of(&error));
        self.session = header.session;
        self.send(Kind::Error, header.opcode, header.sequence, bytes);
        self.session = session;
    }

    fn execute(&mut self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        match opcode {
            Opcode::Hello => {
                let hello: HelloRequest = exact(payload).unwrap();
                let reply = HelloReply {
                    nonce: hello.nonce,
                    serial: self.info.serial,
                    calibration_id: self.info.calibration_id,
                    session: self.session,
                    gateware_id: self.info.gateware_id,
                    firmware: self.info.firmware,
                    version_min: self.versions.0,
                    version_max: self.versions.1,
                };
                bytemuck::bytes_of(&reply).to_vec()
            }
            Opcode::Info => bytemuck::bytes_of(&self.info).to_vec(),
            Opcode::Ping => payload.to_vec(),
            Opcode::Load => {
                LoadView::parse(payload).expect("the program is whole");
                payload.to_vec()
            }
            Opcode::ReadRegs => {
                let request: RegsRequest = exact(payload).unwrap();
                assert!((1..=RegsRequest::MAX_COUNT).contains(&request.count));
                (0..u32::from(request.count))
                    .flat_map(|i| (u32::from(request.address) + 4 * i).to_le_bytes())
                    .collect()
            }
            Opcode::WriteRegs => {
                let (request, words) = split::<RegsRequest>(payload).unwrap();
                assert_eq!(words.len(), 4 * usize::from(request.count));
                Vec::new()
            }
            Opcode::Acquire => {
                let request: AcquireRequest = exact(payload).unwrap();
                let granted = request.granted;
                let state = State::Acquire;
                self.run = Some(Run { request, granted, state, kept: 0, lost: 0, blocks: 0 });
                Vec::new()
            }
            Opcode::Credit => {
                let credit: CreditRequest = exact(payload).unwrap();
                self.run.as_mut().unwrap().granted = credit.granted;
                Vec::new()
            }
            Opcode::Cancel => {
                self.run.as_mut().unwrap().state = State::Cancelled;
                self.status()
            }
            Opcode::AcquireStatus => self.status(),
            Opcode::SelfTest => {
                let reply = SelfTestReply { ran: 0b111, failed: 0b100, expected: 5, found: 6 };
                bytemuck::bytes_of(&reply).to_vec()
            }
            Opcode::Reset => {
                self.run = None;
                Vec::new()
            }
            other => panic!("{other:?} is not a request"),
        }
    }

    fn status(&self) -> Vec<u8> {
        let run = self.run.expect("an acquisition was started");
        let moments = run.request.flags & AcquireRequest::MOMENTS;
        let mut view = StatusView::new(AcquireStatus {
            kept: run.kept,
            lost: run.lost,
            ticks: u64::from(run.request.settle) + run.kept * u64::from(run.request.decimation),
            blocks: run.blocks,
            state: run.state as u8,
            moments: moments as u8,
            cells: CELLS as u16,
            reserved: 0,
        });
        view.saturated[..CELLS].copy_from_slice(&[1, 2, 3]);
        let mut pairs = 0;
        for i in 0..CELLS {
            view.sums[i] = (0..run.kept).map(|k| i64::from(code(k, i).0)).sum();
            for j in i..CELLS {
                let product = |k| i64::from(code(k, i).0) * i64::from(code(k, j).0);
                view.products[pairs] = (0..run.kept).map(product).sum();
                pairs += 1;
            }
        }
        assert_eq!(pairs, product_count(CELLS));
        let mut out = [0; 1024];
        let mut writer = Writer::new(&mut out);
        view.write(&mut writer);
        let len = writer.finish().unwrap();
        out[..len].to_vec()
    }

    /// One step of the acquisition: a block, or its end.
    fn advance(&mut self) {
        let Some(mut run) = self.run else { return };
        if run.state != State::Acquire {
            return;
        }
        let total = u64::from(run.request.count);
        let streams = run.request.flags & AcquireRequest::STREAM != 0;
        let room = self.stall_at.unwrap_or(total).min(total) - run.kept;
        if run.kept == total {
            run.state = State::Done;
            self.run = Some(run);
            let status = self.status();
            self.event(Opcode::AcquireDone, &status);
        } else if streams && run.blocks < run.granted && room > 0 {
            let lost = self.lose.min(room - 1);
            let frames = BLOCK_FRAMES.min(room - lost);
            let first = run.kept + lost;
            let format = FrameFormat::try_from(&self.info).unwrap();
            let header = StreamHeader {
                block: run.blocks,
                first_frame: first,
                lost_before: lost,
                frames: frames as u32,
                frame_octets: format.frame_octets() as u32,
            };
            let codes: Vec<_> = (first..first + frames)
                .flat_map(|k| (0..CELLS).map(move |cell| code(k, cell)))
                .collect();
            let mut payload = bytemuck::bytes_of(&header).to_vec();
            payload.resize(size_of::<StreamHeader>() + frames as usize * format.frame_octets(), 0);
            format.pack(&codes, &[], &mut payload[size_of::<StreamHeader>()..]).unwrap();
            run.kept = first + frames;
            run.lost += lost;
            run.blocks += 1;
            self.run = Some(run);
            self.event(Opcode::StreamBlock, &payload);
        } else if !streams {
            run.kept += room;
            self.run = Some(run);
        }
    }

    fn event(&mut self, opcode: Opcode, payload: &[u8]) {
        self.events += 1;
        self.send(Kind::Event, opcode as u16, self.events, payload);
    }
}
