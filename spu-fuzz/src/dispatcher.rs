//! The firmware's dispatcher on a simulated board.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use spu_driver::time;
use spu_protocol::codec::{DELIMITER, Decoder, encode, max_encoded};
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD, MAX_REPLY};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{HelloReply, HelloRequest, exact};
use spu_protocol::version;
use spu_sim::{Activity, Profile, SimBoard, SimConfig};

/// Most ticks of a poll: a fuzzer wants many short steps.
const QUANTUM: NonZeroU32 = NonZeroU32::new(64).expect("not zero");
/// Polls after an input.
const POLLS: usize = 6;
/// Most octets that one poll may send: a reply or a stream block, encoded.
const MOST_SENT: usize = 2 * max_encoded(MAX_PAYLOAD);
/// Most inputs of a run.
const MOST_INPUTS: usize = 64;

/// Any octets, a piece at a time: the firmware does not panic, does not babble, and afterwards
/// answers as ever. The first octet sets the pieces.
pub fn dispatcher_bytes(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    bench(|bench| {
        for piece in bytes.chunks(8 * usize::from(size).max(1)).take(MOST_INPUTS) {
            bench.board.receive(piece);
            // What the octets ask is not followed: any frame in them may be answered.
            bench.poll(POLLS);
        }
        bench.is_alive();
    });
}

/// Requests that are well framed, sensible or not, in a session or not, and octets, time and power
/// failures between them: each is answered at most once, nothing is answered that was not asked,
/// and afterwards the firmware answers as ever.
pub fn dispatcher_requests(data: &[u8]) {
    let mut input = Unstructured::new(data);
    bench(|bench| {
        bench.hello(0);
        for _ in 0..MOST_INPUTS {
            if input.is_empty() {
                break;
            }
            let Ok(next) = Input::arbitrary(&mut input) else { break };
            bench.give(next);
        }
        bench.is_alive();
    });
}

/// What comes to the board.
#[derive(Debug, Arbitrary)]
enum Input {
    Known { opcode: u8, sequence: Number, payload: Vec<u8> },
    Any { kind: u8, version: u8, opcode: u16, session: u32, sequence: u32, payload: Vec<u8> },
    Hello { nonce: u64 },
    Registers { write: bool, address: u16, count: u8, fill: u8 },
    Acquire { settle: u16, decimation: u8, count: u16, flags: u8, granted: u8 },
    Credit { granted: u16 },
    Octets(Vec<u8>),
    Repeat,
    Polls(u8),
    Time(u16),
    PowerCycle,
}

#[derive(Debug, Arbitrary)]
enum Number {
    Next,
    Same,
    Back(u8),
}

struct Bench {
    board: SimBoard,
    decoder: Decoder,
    session: u32,
    sequence: u32,
    /// Requests that may still be answered, by operation, session and sequence, and how often.
    asked: Vec<(u16, u32, u32)>,
    /// The last frame sent, and what it asked.
    last: (Vec<u8>, Option<(u16, u32, u32)>),
    /// Events of the session, by sequence.
    events: HashSet<u32>,
    /// False where octets may have asked for anything.
    strict: bool,
}

thread_local! {
    /// Boards are costly to make; between runs its power is cut.
    static BOARD: RefCell<Option<SimBoard>> = const { RefCell::new(None) };
}

fn bench(run: impl FnOnce(&mut Bench)) {
    let _clock = time::pause();
    let mut board = BOARD.take().unwrap_or_else(|| {
        let profile = Profile::named("ideal").expect("it comes with the simulator");
        let config = SimConfig { profile, seed: 1, copy: 0, without: BTreeSet::new() };
        SimBoard::new(config).expect("the profile is usable")
    });
    board.control().power_cycle();
    board.control().set_quantum(QUANTUM);
    board.set_clock(time::now);
    let mut bench = Bench {
        board,
        decoder: Decoder::new(),
        session: 0,
        sequence: 0,
        asked: Vec::new(),
        last: (Vec::new(), None),
        events: HashSet::new(),
        strict: false,
    };
    run(&mut bench);
    BOARD.set(Some(bench.board));
}

impl Bench {
    fn give(&mut self, input: Input) {
        self.strict = true;
        match input {
            Input::Known { opcode, sequence, mut payload } => {
                let opcode = Opcode::ALL[usize::from(opcode) % Opcode::ALL.len()];
                let sequence = match sequence {
                    Number::Next => self.sequence.wrapping_add(1),
                    Number::Same => self.sequence,
                    Number::Back(by) => self.sequence.wrapping_sub(by.into()),
                };
                payload.truncate(MAX_PAYLOAD);
                self.request(opcode as u16, self.session, sequence, &payload);
            }
            Input::Any { kind, version, opcode, session, sequence, mut payload } => {
                payload.truncate(MAX_PAYLOAD);
                let length = payload.len() as u16;
                let mut header = Header::new(Kind::Request, opcode, session, sequence, length);
                (header.kind, header.version) = (kind, version);
                self.send(&header, &payload);
            }
            Input::Hello { nonce } => self.hello(nonce),
            Input::Registers { write, address, count, fill } => {
                let count = u16::from(count);
                let mut payload = [address.to_le_bytes(), count.to_le_bytes()].concat();
                if write {
                    payload.resize(4 + 4 * usize::from(count), fill);
                }
                let opcode = if write { Opcode::WriteRegs } else { Opcode::ReadRegs };
                self.next(opcode, &payload);
            }
            Input::Acquire { settle, decimation, count, flags, granted } => {
                let words = [settle.into(), decimation.into(), count.into(), flags.into()]
                    .map(u32::to_le_bytes);
                let granted = u64::from(granted).to_le_bytes();
                self.next(Opcode::Acquire, &[words.as_flattened(), &granted].concat());
            }
            Input::Credit { granted } => {
                self.next(Opcode::Credit, &u64::from(granted).to_le_bytes());
            }
            Input::Octets(octets) => {
                // They may end in the middle of a frame; the delimiter ends it.
                self.board.receive(&octets);
                self.board.receive(&[DELIMITER]);
                self.strict = false;
            }
            Input::Repeat => {
                self.board.receive(&self.last.0);
                self.asked.extend(self.last.1);
            }
            Input::Polls(count) => self.poll(count.into()),
            Input::Time(milliseconds) => {
                time::advance(Duration::from_millis(milliseconds.into()));
            }
            Input::PowerCycle => {
                self.board.control().power_cycle();
                self.decoder = Decoder::new();
                self.asked.clear();
                self.events.clear();
            }
        }
        self.poll(POLLS);
    }

    fn next(&mut self, opcode: Opcode, payload: &[u8]) {
        self.request(opcode as u16, self.session, self.sequence.wrapping_add(1), payload);
    }

    fn request(&mut self, opcode: u16, session: u32, sequence: u32, payload: &[u8]) {
        let length = payload.len() as u16;
        self.sequence = sequence;
        self.send(&Header::new(Kind::Request, opcode, session, sequence, length), payload);
    }

    fn send(&mut self, header: &Header, payload: &[u8]) {
        let mut wire = vec![0; max_encoded(payload.len())];
        let length = encode(header, &[payload], &mut wire).expect("the payload fits");
        wire.truncate(length);
        self.board.receive(&wire);
        let asked = (header.opcode, header.session, header.sequence);
        self.last = (wire, (header.kind == Kind::Request as u8).then_some(asked));
        self.asked.extend(self.last.1);
    }

    fn hello(&mut self, nonce: u64) {
        let hello = HelloRequest {
            nonce,
            version_min: version::MIN,
            version_max: version::CURRENT,
            reserved: [0; 6],
        };
        self.request(Opcode::Hello as u16, 0, 0, bytemuck::bytes_of(&hello));
        self.poll(POLLS);
    }

    fn poll(&mut self, count: usize) {
        let mut sent = Vec::new();
        for _ in 0..count {
            let before = sent.len();
            let activity = self.board.poll(&mut sent);
            assert!(sent.len() - before <= MOST_SENT, "{} octets at once", sent.len() - before);
            if activity == Activity::Idle {
                time::advance(Duration::from_micros(50));
            }
        }
        let mut rest = &sent[..];
        while let Some(frame) = self.decoder.push(&mut rest) {
            let frame = frame.expect("what the firmware sends is whole");
            let (header, payload) = (frame.header, frame.payload);
            let kind = Kind::from_u8(header.kind).expect("a kind of the protocol");
            if kind == Kind::Event {
                if header.session == self.session {
                    assert!(self.events.insert(header.sequence), "an event came twice");
                }
                continue;
            }
            assert!(kind != Kind::Request && payload.len() <= MAX_REPLY);
            let answers = (header.opcode, header.session, header.sequence);
            let hello = header.opcode == Opcode::Hello as u16 && kind == Kind::Reply;
            match self.asked.iter().position(|asked| *asked == answers) {
                Some(at) => {
                    self.asked.swap_remove(at);
                }
                None => assert!(!self.strict, "nobody asked {header:?}"),
            }
            if hello && let Some(reply) = exact::<HelloReply>(payload) {
                assert_ne!(reply.session, 0);
                self.session = reply.session;
                self.events.clear();
            }
        }
    }

    /// Whatever came, a session can be opened and a ping comes back.
    fn is_alive(&mut self) {
        self.strict = false;
        self.board.receive(&[DELIMITER]);
        // Requests that wait, and a restart of the microcontroller.
        self.poll(4 * MOST_INPUTS);
        let before = self.session;
        self.session = 0;
        self.hello(u64::MAX);
        self.poll(4 * MOST_INPUTS);
        assert_ne!(self.session, 0, "hello is answered; the session before was {before}");
        self.asked.clear();
        self.sequence = 1000;
        self.next(Opcode::Ping, b"alive");
        let asked = self.asked.clone();
        self.poll(4 * MOST_INPUTS);
        assert!(self.asked.is_empty(), "{asked:?} is answered");
    }
}
