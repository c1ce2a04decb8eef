//! A host and a board for the tests of the dispatcher.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod fpga;
pub mod update;

use fpga::Fpga;
use spu_boot::model::ModelFlash;
use spu_boot::pack::{Meta, SigningKey, factory, pack};
use spu_boot::{KEYS, Layout, Slots, boot, ed25519};
use spu_firmware::{
    Activity, Board, BoardError, Clock, Dispatcher, FIRMWARE_VERSION, FpgaBoard, Transmit,
};
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::image::{Accepts, BoardId, ImageKind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{
    AcquireRequest, ErrorReply, HelloReply, HelloRequest, LoadHeader, LoadView, RegsRequest,
    StatusView, StreamHeader, Writer, exact, split,
};

/// A clock that the test moves.
#[derive(Debug, Default)]
pub struct TestClock {
    pub now_us: u64,
    /// Added at each look.
    pub step_us: u64,
}

impl Clock for TestClock {
    fn now_us(&mut self) -> u64 {
        self.now_us += self.step_us;
        self.now_us
    }
}

/// A target's board: the FPGA, and what belongs to the microcontroller.
pub struct TestBoard {
    pub inner: FpgaBoard<Fpga, TestClock>,
    pub resets: Vec<u32>,
    pub bootloader: Option<u32>,
    /// Flash with two slots for firmware; a board without is not updated so.
    pub flash: Option<ModelFlash>,
    /// Version of what runs.
    pub version: [u16; 3],
}

/// Octets of a slot.
pub const SLOT: u32 = 4096;

impl TestBoard {
    /// What the boot loader does.
    pub fn start(&mut self) {
        if let Some(mut slots) = self.slots(ImageKind::Firmware) {
            self.version = boot(&mut slots, None).unwrap().header.version;
        }
    }
}

/// An image of `octets` octets for the test's board.
pub fn image(major: u16, octets: usize) -> Vec<u8> {
    let meta = Meta {
        kind: ImageKind::Firmware,
        target: BoardId::Simulator as u32,
        build_id: 0x1000 + u32::from(major),
        version: [major, 2, 3],
        load_address: 0,
    };
    let payload: Vec<u8> = (0..octets).map(|index| (index * 3) as u8 ^ major as u8).collect();
    pack(&payload, &meta, &SigningKey::development())
}

impl Board for TestBoard {
    fn read_regs(&mut self, address: u16, out: &mut [u32]) -> Result<(), BoardError> {
        self.inner.read_regs(address, out)
    }
    fn write_regs(&mut self, address: u16, words: &[u32]) -> Result<(), BoardError> {
        self.inner.write_regs(address, words)
    }
    fn read_fifo(&mut self, out: &mut [u8]) -> Result<(), BoardError> {
        self.inner.read_fifo(out)
    }
    fn now_us(&mut self) -> u64 {
        self.inner.now_us()
    }
    fn reset(&mut self, level: u32) {
        self.resets.push(level);
    }
    fn enter_bootloader(&mut self) -> bool {
        self.bootloader.as_mut().is_some_and(|calls| {
            *calls += 1;
            true
        })
    }
    const UPDATES: bool = true;
    const BULK: bool = true;

    fn slots(&mut self, kind: ImageKind) -> Option<Slots<'_>> {
        let flash = self.flash.as_mut().filter(|_| kind == ImageKind::Firmware)?;
        let layout = Layout { a: 0, b: SLOT, size: SLOT };
        let accepts = Accepts { kind, target: BoardId::Simulator as u32, load_address: 0 };
        Some(Slots { flash, layout, accepts, keys: KEYS, verify: ed25519 })
    }
    fn firmware_version(&self) -> [u16; 3] {
        self.version
    }
}

/// The device's transmitter.
pub struct Wire {
    pub octets: Vec<u8>,
    pub room: usize,
}

impl Transmit for Wire {
    fn room(&self) -> usize {
        self.room
    }
    fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room, "more than there is room for");
        self.octets.extend_from_slice(bytes);
    }
}

/// A frame from the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub header: Header,
    pub payload: Vec<u8>,
}

impl Message {
    pub fn error(&self) -> Option<(ErrorCode, u16)> {
        (self.header.kind == Kind::Error as u8).then(|| {
            let error = exact::<ErrorReply>(&self.payload).unwrap();
            (ErrorCode::from_u16(error.code).unwrap(), error.detail)
        })
    }

    pub fn is_event(&self, opcode: Opcode) -> bool {
        self.header.kind == Kind::Event as u8 && self.header.opcode == opcode as u16
    }
}

/// A device and the host's end of its link.
pub struct Bench {
    pub device: Dispatcher<TestBoard>,
    pub wire: Wire,
    decoder: Decoder,
    pub session: u32,
    pub sequence: u32,
    /// Events not looked at yet.
    pub events: Vec<Message>,
}

pub type Refused = (ErrorCode, u16);

impl Bench {
    /// A bench without a session.
    pub fn closed(fpga: Fpga) -> Self {
        let inner = FpgaBoard::new(fpga, TestClock::default());
        let version = FIRMWARE_VERSION;
        let board = TestBoard { inner, resets: Vec::new(), bootloader: None, flash: None, version };
        Self {
            device: Dispatcher::new(board),
            wire: Wire { octets: Vec::new(), room: usize::MAX },
            decoder: Decoder::new(),
            session: 0,
            sequence: 0,
            events: Vec::new(),
        }
    }

    /// A bench with a session: 8 cells, N′ = 16.
    pub fn new() -> Self {
        Self::over(Fpga::new(8, 16))
    }

    /// A bench with a session and slots, version 5 in the first.
    pub fn with_slots() -> Self {
        let mut bench = Self::closed(Fpga::new(8, 16));
        let mut flash = ModelFlash::new(1024, 2 * SLOT / 1024, 32);
        flash.fill(0, &factory(&image(5, 1000), SLOT).unwrap());
        let board = bench.device.board_mut();
        board.flash = Some(flash);
        board.start();
        bench.hello(1).unwrap();
        bench
    }

    /// A bench with a session.
    pub fn over(fpga: Fpga) -> Self {
        let mut bench = Self::closed(fpga);
        bench.hello(1).unwrap();
        bench
    }

    pub fn fpga(&mut self) -> &mut Fpga {
        self.device.board_mut().inner.spi_mut()
    }

    pub fn clock(&mut self) -> &mut TestClock {
        self.device.board_mut().inner.clock_mut()
    }

    /// Sends a frame as it is.
    pub fn send(&mut self, header: &Header, payload: &[u8]) {
        let mut wire = vec![0; max_encoded(payload.len())];
        let len = encode(header, &[payload], &mut wire).unwrap();
        self.device.receive(&wire[..len]);
    }

    /// Polls until nothing more is done (at most `limit` times) and gives what was sent.
    pub fn poll(&mut self, limit: usize) -> Vec<Message> {
        let mut idle = 0;
        for _ in 0..limit {
            match self.device.poll(&mut self.wire) {
                Activity::Worked => idle = 0,
                Activity::Idle => idle += 1,
            }
            if idle > 3 {
                break;
            }
        }
        self.take()
    }

    /// Polls once.
    pub fn step(&mut self) -> (Activity, Vec<Message>) {
        let activity = self.device.poll(&mut self.wire);
        (activity, self.take())
    }

    fn take(&mut self) -> Vec<Message> {
        let octets = std::mem::take(&mut self.wire.octets);
        let mut rest = &octets[..];
        let mut messages = Vec::new();
        while let Some(frame) = self.decoder.push(&mut rest) {
            let frame = frame.expect("the device sends good frames");
            messages.push(Message { header: frame.header, payload: frame.payload.to_vec() });
        }
        assert!(self.decoder.is_between_frames(), "the device sends whole frames");
        messages
    }

    /// Sends a request and polls until its answer, keeping events.
    pub fn exchange(&mut self, header: &Header, payload: &[u8]) -> Message {
        self.send(header, payload);
        for _ in 0..10 {
            let (_, messages) = self.step();
            let mut answer = None;
            for message in messages {
                if message.header.kind == Kind::Event as u8 {
                    self.events.push(message);
                } else {
                    assert!(answer.is_none(), "one answer");
                    answer = Some(message);
                }
            }
            if let Some(answer) = answer {
                assert_eq!(answer.header.opcode, header.opcode);
                assert_eq!(answer.header.sequence, header.sequence);
                assert_eq!(answer.header.session, header.session);
                return answer;
            }
        }
        panic!("no answer to {header:?}");
    }

    pub fn next_header(&mut self, opcode: Opcode, length: usize) -> Header {
        self.sequence += 1;
        Header::new(Kind::Request, opcode as u16, self.session, self.sequence, length as u16)
    }

    /// A new request.
    pub fn request(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = self.next_header(opcode, payload.len());
        let answer = self.exchange(&header, payload);
        answer.error().map_or(Ok(answer.payload), Err)
    }

    pub fn hello(&mut self, nonce: u64) -> Result<HelloReply, Refused> {
        let hello = HelloRequest { nonce, version_min: 1, version_max: 1, reserved: [0; 6] };
        let header = Header::new(Kind::Request, Opcode::Hello as u16, 0, 0, 16);
        let answer = self.exchange(&header, bytemuck::bytes_of(&hello));
        if let Some(refused) = answer.error() {
            return Err(refused);
        }
        let reply: HelloReply = exact(&answer.payload).unwrap();
        assert_eq!(reply.nonce, nonce);
        self.session = reply.session;
        Ok(reply)
    }

    pub fn read_regs(&mut self, address: u16, count: u16) -> Result<Vec<u32>, Refused> {
        let request = RegsRequest { address, count };
        let reply = self.request(Opcode::ReadRegs, bytemuck::bytes_of(&request))?;
        let (words, []) = reply.as_chunks() else { panic!("whole words") };
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    pub fn write_regs(&mut self, address: u16, words: &[u32]) -> Result<(), Refused> {
        let request = RegsRequest { address, count: words.len() as u16 };
        let mut payload = bytemuck::bytes_of(&request).to_vec();
        payload.extend_from_slice(bytemuck::cast_slice(words));
        self.request(Opcode::WriteRegs, &payload).map(|reply| assert!(reply.is_empty()))
    }

    pub fn load(&mut self, program: &LoadView) -> Result<LoadView, Refused> {
        let reply = self.request(Opcode::Load, &block(program))?;
        Ok(LoadView::parse(&reply).unwrap())
    }

    pub fn acquire(&mut self, request: AcquireRequest) -> Result<(), Refused> {
        self.request(Opcode::Acquire, bytemuck::bytes_of(&request))
            .map(|reply| assert!(reply.is_empty()))
    }

    pub fn status(&mut self) -> StatusView {
        let reply = self.request(Opcode::AcquireStatus, &[]).unwrap();
        StatusView::parse(&reply).unwrap()
    }

    pub fn cancel(&mut self) -> Result<StatusView, Refused> {
        let reply = self.request(Opcode::Cancel, &[])?;
        Ok(StatusView::parse(&reply).unwrap())
    }

    pub fn credit(&mut self, granted: u64) {
        let reply = self.request(Opcode::Credit, &granted.to_le_bytes()).unwrap();
        assert!(reply.is_empty());
    }
}

/// The octets of a program.
pub fn block(program: &LoadView) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&mut buffer);
    program.write(&mut writer);
    let len = writer.finish().unwrap();
    buffer[..len].to_vec()
}

/// A valid program for an RLC board of `cells` cells, every code different from 0.
pub fn program(cells: u16) -> LoadView {
    let mut view = LoadView::new(1, cells).unwrap();
    view.header.flags = LoadHeader::RESEED | LoadHeader::DISCHARGE;
    let n = usize::from(cells);
    for (cell, code) in view.self_codes[..n].iter_mut().enumerate() {
        *code = CouplingCode(cell as i16 + 1);
    }
    for (pair, code) in view.coupling_codes[..n * (n - 1) / 2].iter_mut().enumerate() {
        *code = CouplingCode(if pair % 2 == 0 { pair as i16 + 1 } else { -(pair as i16) });
    }
    for cell in 0..n {
        view.gain_codes[cell] = GainCode(4096 + cell as u16);
        view.bias_codes[cell] = DacCode(-(cell as i16) - 1);
        view.seeds[cell] = [cell as u32 + 1, 2, 3, 0x8000_0000];
    }
    view
}

/// A plan that streams everything.
pub fn streaming(count: u32, granted: u64) -> AcquireRequest {
    AcquireRequest { settle: 10, decimation: 1, count, flags: AcquireRequest::STREAM, granted }
}

/// A plan for moments.
pub fn moments(count: u32) -> AcquireRequest {
    AcquireRequest { settle: 10, decimation: 2, count, flags: AcquireRequest::MOMENTS, granted: 0 }
}

/// The blocks among `messages`, with their frames' octets.
pub fn blocks(messages: &[Message]) -> Vec<(StreamHeader, Vec<u8>)> {
    messages
        .iter()
        .filter(|message| message.is_event(Opcode::StreamBlock))
        .map(|message| {
            let (header, octets) = split::<StreamHeader>(&message.payload).unwrap();
            (header, octets.to_vec())
        })
        .collect()
}

/// The ends of acquisitions among `messages`.
pub fn ends(messages: &[Message]) -> Vec<StatusView> {
    messages
        .iter()
        .filter(|message| message.is_event(Opcode::AcquireDone))
        .map(|message| StatusView::parse(&message.payload).unwrap())
        .collect()
}
