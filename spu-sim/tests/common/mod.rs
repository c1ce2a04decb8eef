//! A host for the tests and the benchmark: register access to an FPGA, and frames to a board.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(unreachable_pub)]

use std::collections::BTreeSet;

use bytemuck::bytes_of;
use spu_protocol::code::{AdcCode, DacCode, GainCode};
use spu_protocol::codec::{Decoder, Frame, FrameError, encode, max_encoded};
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::acquire::StatusView;
use spu_protocol::payload::load::MAX_COUPLINGS;
use spu_protocol::payload::{
    AcquireRequest, CreditRequest, HelloReply, HelloRequest, LoadHeader, LoadView, StreamHeader,
    Writer, exact, split,
};
use spu_protocol::regs::{self, control};
use spu_sim::analog::BankCodes;
use spu_sim::converters::Converters;
use spu_sim::{Activity, Analog, Dispatch, Fpga, LANES, Profile, SimBoard, SimConfig};

/// Bank codes of a well-conditioned matrix: about half of full scale on the diagonal, couplings
/// of a tenth, of either sign where the profile has them.
pub fn sample_codes(profile: &Profile) -> BankCodes {
    let full = |bits: u8| f64::from((1_u32 << bits) - 1);
    let (own, coupling) = (full(profile.self_bits()), full(profile.coupling_bits()));
    let mut codes = BankCodes::OPEN;
    for (cell, code) in codes.self_codes.iter_mut().enumerate() {
        code.0 = ((0.5 + 0.05 * cell as f64) * own).round() as i16;
    }
    for (pair, code) in codes.coupling_codes.iter_mut().enumerate() {
        let size = (0.05 + 0.03 * (pair % 4) as f64) * coupling;
        let negative = profile.banks.coupling_signed && pair % 3 == 0;
        code.0 = (if negative { -size } else { size }).round() as i16;
    }
    codes
}

/// Profiles of RLC boards, for which the sample programs are; RC boards have tests of their own.
pub const RLC: [&str; 3] = ["ideal", "rev-a", "rev-b"];

/// Seeds of the noise generators.
pub fn sample_seeds() -> [[u32; 4]; LANES] {
    std::array::from_fn(|cell| {
        std::array::from_fn(|word| 0x9E37_79B9_u32.wrapping_mul(4 * cell as u32 + word as u32 + 1))
    })
}

pub fn config(profile: &str, seed: u64, copy: u32) -> SimConfig {
    SimConfig { profile: Profile::named(profile).unwrap(), seed, copy, without: BTreeSet::new() }
}

/// An FPGA over its analog board, programmed with [`sample_codes`], gain 1 and [`sample_seeds`].
pub fn fpga(profile: &str, seed: u64, dispatch: Dispatch) -> Fpga<Analog> {
    let profile = Profile::named(profile).unwrap();
    let analog = Analog::new(profile.clone(), seed, 0, dispatch);
    let mut fpga = Fpga::new(&profile, 1, analog, dispatch).unwrap();
    program(&mut fpga, &sample_codes(&profile));
    fpga
}

pub fn program<C: Converters>(fpga: &mut Fpga<C>, codes: &BankCodes) {
    for (cell, code) in codes.self_codes.iter().enumerate() {
        fpga.write(regs::self_bank(cell), code.0 as u32);
        fpga.write(regs::noise_gain(cell), 4096);
    }
    for (pair, code) in codes.coupling_codes.iter().enumerate() {
        fpga.write(regs::coupling_bank(pair), i32::from(code.0).cast_unsigned());
    }
    for (index, word) in sample_seeds().as_flattened().iter().enumerate() {
        fpga.write(regs::noise_seed(index), *word);
    }
    fpga.write(regs::CONTROL, control::APPLY | control::RESEED | control::DISCHARGE);
}

pub fn start<C: Converters>(
    fpga: &mut Fpga<C>,
    mode: u32,
    settle: u32,
    decimation: u32,
    count: u32,
) {
    for (address, value) in [
        (regs::MODE, mode),
        (regs::SETTLE, settle),
        (regs::DECIMATION, decimation),
        (regs::COUNT, count),
    ] {
        fpga.write(address, value);
    }
    fpga.write(regs::CONTROL, control::START);
}

/// Signed 64-bit value at a pair of registers.
pub fn long<C: Converters>(fpga: &mut Fpga<C>, address: u16) -> i64 {
    let (low, high) = (fpga.read(address), fpga.read(address + 4));
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

/// Sums and products of an 8-cell board.
pub fn moments<C: Converters>(fpga: &mut Fpga<C>) -> (Vec<i64>, Vec<i64>) {
    let sums = (0..8).map(|cell| long(fpga, regs::sum(2 * cell))).collect();
    let products = (0..36).map(|pair| long(fpga, regs::product(2 * pair))).collect();
    (sums, products)
}

/// Frame layout of a profile.
pub fn format(profile: &Profile) -> FrameFormat {
    FrameFormat::new(
        profile.cell_count(),
        1,
        profile.adc_bits(),
        profile.packing.word_bits.value as u8,
        profile.packing.control_bits.value as u8,
    )
    .unwrap()
}

/// Takes every whole frame out of the capture memory.
pub fn drain<C: Converters>(fpga: &mut Fpga<C>, format: &FrameFormat, codes: &mut Vec<AdcCode>) {
    let frames = fpga.read(regs::FIFO_FRAMES) as usize;
    let mut octets = vec![0; frames * format.frame_octets()];
    fpga.read_fifo(&mut octets);
    let start = codes.len();
    codes.resize(start + frames * format.frame_samples(), AdcCode(0));
    format.unpack(&octets, &mut codes[start..]).unwrap();
}

/// A session with a simulated board.
pub struct Host {
    pub board: SimBoard,
    decoder: Box<Decoder>,
    received: Vec<u8>,
    encoded: Vec<u8>,
    pub session: u32,
    sequence: u32,
    pub format: FrameFormat,
}

impl Host {
    pub fn open(config: SimConfig) -> Self {
        let format = format(&config.profile.clone().without(&config.without));
        let mut host = Self {
            board: SimBoard::new(config).unwrap(),
            decoder: Box::new(Decoder::new()),
            received: Vec::new(),
            encoded: vec![0; max_encoded(4096)],
            session: 0,
            sequence: 0,
            format,
        };
        host.hello();
        host
    }

    pub fn hello(&mut self) {
        let hello = HelloRequest { nonce: 7, version_min: 1, version_max: 1, reserved: [0; 6] };
        let (_, reply) = self.call(Opcode::Hello, bytes_of(&hello));
        self.session = exact::<HelloReply>(&reply).unwrap().session;
    }

    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.sequence += 1;
        let length = payload.len() as u16;
        let header = Header::new(Kind::Request, opcode as u16, self.session, self.sequence, length);
        let octets = encode(&header, &[payload], &mut self.encoded).unwrap();
        self.board.receive(&self.encoded[..octets]);
    }

    /// Polls the board once and hands every frame that came to `each`.
    pub fn pump(&mut self, mut each: impl FnMut(&Header, &[u8])) -> Activity {
        self.pump_damaged(|frame| {
            let frame = frame.unwrap();
            each(&frame.header, frame.payload);
        })
    }

    /// Polls the board once and hands every frame that came to `each`, damaged ones too.
    pub fn pump_damaged(
        &mut self,
        mut each: impl FnMut(Result<Frame<'_>, FrameError>),
    ) -> Activity {
        self.received.clear();
        let activity = self.board.poll(&mut self.received);
        let mut rest = &self.received[..];
        while let Some(frame) = self.decoder.push(&mut rest) {
            each(frame);
        }
        activity
    }

    /// Sends a request and returns kind and payload of its answer; events are dropped.
    pub fn call(&mut self, opcode: Opcode, payload: &[u8]) -> (u8, Vec<u8>) {
        self.send(opcode, payload);
        let sequence = self.sequence;
        let mut answer = None;
        for _ in 0..10_000 {
            self.pump(|header, payload| {
                if header.kind != Kind::Event as u8 && header.sequence == sequence {
                    answer = Some((header.kind, payload.to_vec()));
                }
            });
            if let Some(answer) = answer.take() {
                return answer;
            }
        }
        panic!("no answer to {opcode:?}");
    }

    pub fn load(&mut self, codes: &BankCodes) {
        let mut view = LoadView::new(1, 8).unwrap();
        view.header.flags = LoadHeader::RESEED | LoadHeader::DISCHARGE;
        view.self_codes = codes.self_codes;
        view.coupling_codes[..MAX_COUPLINGS].copy_from_slice(&codes.coupling_codes);
        view.gain_codes = [GainCode(4096); LANES];
        view.bias_codes = [DacCode(0); LANES];
        view.seeds = sample_seeds();
        let mut buffer = [0; 1024];
        let mut writer = Writer::new(&mut buffer);
        view.write(&mut writer);
        let length = writer.finish().unwrap();
        let (kind, reply) = self.call(Opcode::Load, &buffer[..length]);
        assert_eq!(kind, Kind::Reply as u8, "{reply:?}");
        assert_eq!(LoadView::parse(&reply).unwrap().self_codes, codes.self_codes);
    }

    /// Starts a run of kept ticks.
    pub fn acquire(&mut self, settle: u32, decimation: u32, count: u32, flags: u32) {
        let request = AcquireRequest { settle, decimation, count, flags, granted: 64 };
        let (kind, reply) = self.call(Opcode::Acquire, bytes_of(&request));
        assert_eq!(kind, Kind::Reply as u8, "{reply:?}");
    }

    /// Follows a run to its end: its status, its frames, the frames it says were lost. Credits
    /// are renewed as blocks come.
    pub fn follow(&mut self, mut frames: impl FnMut(&[AdcCode])) -> (StatusView, u64) {
        let mut status = None;
        let mut lost = 0;
        let mut granted = 64;
        let mut codes = Vec::new();
        let format = self.format;
        loop {
            let mut blocks = 0;
            self.pump(|header, payload| {
                if header.opcode == Opcode::StreamBlock as u16 {
                    let (stream, octets) = split::<StreamHeader>(payload).unwrap();
                    lost += stream.lost_before;
                    codes.resize(stream.frames as usize * format.frame_samples(), AdcCode(0));
                    format.unpack(octets, &mut codes).unwrap();
                    frames(&codes);
                    blocks = stream.block + 1;
                } else if header.opcode == Opcode::AcquireDone as u16 {
                    status = StatusView::parse(payload);
                }
            });
            if let Some(status) = status {
                return (status, lost);
            }
            if blocks + 32 > granted {
                granted = blocks + 64;
                self.send(Opcode::Credit, bytes_of(&CreditRequest { granted }));
            }
        }
    }
}
