//! The client against faulty links and devices: each call ends in bounded time, with the right
//! error or none, and no reply is taken for another's.

mod fake;

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use fake::{BLOCK_FRAMES, CELLS, Fake, FakeLink, Fate, code, info, is, wire};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::{
    AcquirePlan, Client, Deadline, Device, Error, FrameBlock, NullSink, Outcome, Program, Report,
    ResetLevel, Sink,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{ErrorReply, HelloReply, StreamHeader, exact};

fn soon() -> Deadline {
    Deadline::after_secs(5)
}

fn short() -> Deadline {
    Deadline::after(Duration::from_millis(300))
}

fn open(link: &FakeLink) -> Client<FakeLink> {
    Client::open(link.clone(), "fake", soon()).unwrap()
}

fn open_error(link: &FakeLink, deadline: Deadline) -> Error {
    match Client::open(link.clone(), "fake", deadline) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// Runs `call`, which must end within `limit`.
fn within<T>(limit: Duration, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = call();
    let took = start.elapsed();
    assert!(took <= limit, "took {took:?}, allowed {limit:?}");
    value
}

fn count(opcode: Opcode, among: &[Opcode]) -> usize {
    among.iter().filter(|other| **other == opcode).count()
}

fn stream(frames: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(10),
        decimation: NonZeroU32::new(2).unwrap(),
        count: NonZeroU32::new(frames).unwrap(),
        moments: true,
        stream: true,
        realtime: false,
    }
}

/// Keeps frames by index and checks that they come in order.
#[derive(Default)]
struct Keep {
    frames: Vec<(u64, Vec<AdcCode>)>,
    lost: u64,
    progress: Vec<(u64, u64)>,
    fail_at: Option<u64>,
}

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        let next = self.frames.last().map_or(0, |(index, _)| index + 1);
        assert_eq!(block.first_frame, next + block.lost_before);
        if self.fail_at.is_some_and(|at| block.first_frame >= at) {
            return Err(std::io::Error::other("disk full"));
        }
        self.lost += block.lost_before;
        let indices = block.first_frame..;
        self.frames.extend(indices.zip(block.codes.chunks(CELLS).map(<[_]>::to_vec)));
        Ok(())
    }

    fn progress(&mut self, kept: u64, total: u64) {
        self.progress.push((kept, total));
    }
}

impl Keep {
    /// Every frame delivered has the device's codes, and every frame is accounted for.
    fn check(&self, report: &Report) {
        for (index, codes) in &self.frames {
            let expected: Vec<_> = (0..CELLS).map(|cell| code(*index, cell)).collect();
            assert_eq!(codes, &expected, "frame {index}");
        }
        assert_eq!(self.frames.len() as u64 + report.lost, report.kept);
    }
}

fn program() -> Program {
    Program {
        self_codes: vec![CouplingCode(3), CouplingCode(15), CouplingCode(0)],
        coupling_codes: vec![CouplingCode(1), CouplingCode(0), CouplingCode(4)],
        gain_codes: vec![GainCode(4096), GainCode(2048), GainCode(0)],
        bias_codes: vec![DacCode(-2047), DacCode(0), DacCode(2047)],
        storage_codes: Vec::new(),
        seeds: Some(vec![[1, 2, 3, 4]; CELLS]),
        discharge: true,
    }
}

// Opening.

#[test]
fn opens_and_reads_the_identity() {
    let device = open(&FakeLink::new());
    let info = device.info();
    assert_eq!((info.serial, info.cells, info.couplings), (0xf00d, CELLS, 3));
    assert_eq!((info.profile.as_str(), info.firmware.as_str()), ("fake", "1.2.3"));
    assert_eq!(info.calibration_id, None);
    assert_eq!(device.uri(), "fake");
}

#[test]
fn a_silent_device_times_out() {
    let link = FakeLink::with(|fake| fake.rule = Box::new(|_, _| Fate::Drop));
    let error = within(Duration::from_secs(1), || open_error(&link, short()));
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(link.set(|fake| fake.received.len()) >= 2, "hello is sent again");
}

/// As many times as a request is sent in all are not enough: the device may still be starting.
#[test]
fn a_device_that_starts_late_is_found() {
    let link = FakeLink::new();
    link.rule(5, is(Opcode::Hello), |_| Fate::Drop);
    let mut device = Client::open(link.clone(), "fake", Deadline::after_secs(30)).unwrap();
    device.ping(b"x", soon()).unwrap();
    assert_eq!(link.set(|fake| count(Opcode::Hello, &fake.received)), 6);
}

#[test]
fn a_babbling_device_times_out() {
    for byte in [0, 1, 0xff] {
        let link = FakeLink::with(|fake| fake.babble = Some(byte));
        let error = within(Duration::from_secs(2), || open_error(&link, short()));
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
}

#[test]
fn a_stale_hello_reply_is_passed_over() {
    let link = FakeLink::new();
    let mut hellos = 0;
    link.set(|fake| {
        fake.rule = Box::new(move |header, payload| {
            if header.opcode != Opcode::Hello as u16 {
                return Fate::Deliver;
            }
            hellos += 1;
            let reply: HelloReply = exact(payload).unwrap();
            let stale = HelloReply { nonce: !reply.nonce, session: 77, ..reply };
            match hellos {
                1 => Fate::Payload(bytemuck::bytes_of(&stale).to_vec()),
                _ => Fate::Deliver,
            }
        });
    });
    let mut device = open(&link);
    device.ping(b"x", soon()).unwrap();
}

#[test]
fn a_hello_reply_that_comes_after_the_next_hello_is_passed_over() {
    // The late reply names a session that the second hello has ended.
    let link = FakeLink::new();
    link.rule(1, is(Opcode::Hello), |_| Fate::Late);
    let mut device = open(&link);
    device.ping(b"x", soon()).unwrap();
    assert_eq!(link.set(|fake| count(Opcode::Hello, &fake.executed)), 2);
}

#[test]
fn left_overs_of_an_earlier_program_are_passed_over() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let left_over = Header::new(Kind::Reply, Opcode::Info as u16, 1, 1, 4);
    link.rule(1, is(Opcode::Ping), move |_| {
        let mut bytes = b"\x05gar\x01\0\x07noise".to_vec();
        bytes.extend(wire(&left_over, b"nope"));
        Fate::Bytes(bytes)
    });
    assert!(matches!(device.ping(b"x", short()), Ok(())), "sent again and answered");
    drop(device);
    open(&link);
}

#[test]
fn versions_that_do_not_meet_are_named_with_the_remedy() {
    for (versions, remedy) in [((2, 3), "git pull"), ((0, 0), "git checkout v1.2.3")] {
        let link = FakeLink::with(|fake| fake.versions = versions);
        let error = open_error(&link, soon());
        assert!(matches!(error, Error::Version { .. }), "{error}");
        let text = error.to_string();
        for part in ["host speaks protocol 1 ", "firmware 1.2.3", remedy, "cargo install"] {
            assert!(text.contains(part), "{text}: no {part:?}");
        }
    }
}

#[test]
fn a_device_that_refuses_the_version_is_a_version_error() {
    let link = FakeLink::new();
    link.set(|fake| {
        fake.rule = Box::new(|header, _| {
            let error = ErrorReply { code: ErrorCode::BadVersion as u16, detail: 0 };
            let payload = bytemuck::bytes_of(&error).to_vec();
            let header = Header {
                kind: Kind::Error as u8,
                version: 9,
                length: payload.len() as u16,
                ..*header
            };
            Fate::Bytes(wire(&header, &payload))
        });
    });
    let text = open_error(&link, soon()).to_string();
    assert!(text.contains("protocol 9") && text.contains("git pull"), "{text}");
}

#[test]
fn gateware_of_another_release_is_a_version_error_with_the_remedy() {
    for (map, remedy) in [(2, "git pull"), (0, "load the gateware of release")] {
        let link = FakeLink::new();
        link.set(|fake| {
            fake.rule = Box::new(move |header, _| {
                let error = ErrorReply { code: ErrorCode::WrongGateware as u16, detail: map };
                let payload = bytemuck::bytes_of(&error).to_vec();
                let length = payload.len() as u16;
                let header = Header { kind: Kind::Error as u8, length, ..*header };
                Fate::Bytes(wire(&header, &payload))
            });
        });
        let error = open_error(&link, soon());
        assert!(matches!(error, Error::Version { .. }), "{error}");
        let text = error.to_string();
        for part in ["host speaks register map 1 ", &format!("register map {map} "), remedy] {
            assert!(text.contains(part), "{text}: no {part:?}");
        }
    }
}

#[test]
fn the_link_is_counted() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let opened = device.link_stats();
    assert_eq!((opened.sessions, opened.requests, opened.retries), (1, 1, 0));
    assert!(opened.sent_bytes > 50 && opened.received_bytes > 100, "{opened:?}");
    link.rule(1, is(Opcode::Ping), |_| Fate::Damage);
    device.ping(b"damaged", soon()).unwrap();
    link.rule(1, is(Opcode::Ping), |_| Fate::Late);
    device.ping(b"late", soon()).unwrap();
    link.rule(5, is(Opcode::Ping), |_| Fate::Drop);
    device.ping(b"lost", short()).unwrap_err();
    let stats = device.link_stats();
    assert_eq!(stats.requests, 4);
    assert_eq!((stats.bad_frames, stats.timeouts, stats.sessions), (1, 1, 1), "{stats:?}");
    // The late reply came after the one to the same request, sent again.
    assert_eq!(stats.retries, 3, "{stats:?}");
    link.rule(1, is(Opcode::Ping), |_| Fate::Deliver);
    device.ping(b"after", soon()).unwrap();
    assert!(device.link_stats().stale_frames >= 1, "{:?}", device.link_stats());
}

#[test]
fn nonsense_in_the_identity_is_refused_by_name() {
    type Change = fn(&mut spu_protocol::payload::InfoReply);
    let cases: [(Change, &str); 12] = [
        (|info| info.cells = 0, "0 cells"),
        (|info| info.cells = 9, "9 cells"),
        (|info| info.couplings = 4, "4 couplings"),
        (|info| info.self_bits = 16, "16 self-term bits"),
        (|info| info.adc_bits = 0, "0 ADC bits"),
        (|info| info.sample_bits = 13, "N' = 13"),
        (|info| info.samples_per_frame = 2, "2 samples a frame"),
        (|info| info.sample_clock_hz = 0, "0 Hz"),
        (|info| info.r_ohm = f32::NAN, "resistance NaN"),
        (|info| info.adc_lsb_volt = -1.0, "ADC LSB -1"),
        (|info| info.drive_spread = f32::INFINITY, "drive spread inf"),
        (|info| info.profile[3] = 0xff, "profile name"),
    ];
    for (change, part) in cases {
        let error = open_error(&FakeLink::with(|fake| change(&mut fake.info)), soon());
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}: no {part:?}");
    }
    let error = open_error(&FakeLink::with(|fake| fake.info.kind = 9), soon());
    assert!(matches!(&error, Error::Unsupported { reasons } if reasons.len() == 1), "{error}");
}

#[test]
fn hello_and_info_must_name_the_same_board() {
    let link = FakeLink::new();
    let mut other = info();
    other.gateware_id = 8;
    link.rule(1, is(Opcode::Info), move |_| Fate::Payload(bytemuck::bytes_of(&other).to_vec()));
    let error = open_error(&link, soon());
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn session_zero_is_refused() {
    let link = FakeLink::new();
    link.set(|fake| {
        fake.rule = Box::new(|header, payload| {
            if header.opcode != Opcode::Hello as u16 {
                return Fate::Deliver;
            }
            let reply = HelloReply { session: 0, ..exact(payload).unwrap() };
            Fate::Payload(bytemuck::bytes_of(&reply).to_vec())
        });
    });
    assert!(matches!(open_error(&link, soon()), Error::Corrupt { .. }));
}

// Requests.

#[test]
fn a_lost_damaged_repeated_or_late_reply_does_no_harm() {
    let fates: [fn(&Header) -> Fate; 5] = [
        |_| Fate::Drop,
        |_| Fate::Damage,
        |_| Fate::Twice,
        |_| Fate::Late,
        |_| Fate::Bytes(vec![0xaa; 3000]),
    ];
    for fate in fates {
        let link = FakeLink::new();
        let mut device = open(&link);
        link.rule(1, is(Opcode::Ping), fate);
        for payload in [b"first", b"other", b"third"] {
            within(Duration::from_secs(1), || device.ping(payload, soon())).unwrap();
        }
        assert_eq!(link.set(|fake| count(Opcode::Ping, &fake.executed)), 3, "each runs once");
    }
}

#[test]
fn retries_are_bounded() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(usize::MAX, is(Opcode::Ping), |_| Fate::Damage);
    let error = within(Duration::from_secs(1), || device.ping(b"x", short())).unwrap_err();
    assert!(matches!(error, Error::Timeout { op: "ping", after } if after.as_millis() == 300));
    let sent = link.set(|fake| count(Opcode::Ping, &fake.received));
    assert!((2..=5).contains(&sent), "{sent} requests");
}

#[test]
fn a_late_reply_of_a_request_that_timed_out_is_not_taken_for_the_next() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(1, is(Opcode::ReadRegs), |_| Fate::Late);
    let mut words = [0; 2];
    // Too short for a second try.
    let deadline = Deadline::after(Duration::from_millis(50));
    let error = device.read_regs(0x100, &mut words, deadline).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    // The reply for 0x100 arrives just behind this one's.
    device.read_regs(0x200, &mut words, soon()).unwrap();
    assert_eq!(words, [0x200, 0x204]);
    device.read_regs(0x300, &mut words, soon()).unwrap();
    assert_eq!(words, [0x300, 0x304]);
}

#[test]
fn replies_of_other_sessions_and_sequences_are_passed_over() {
    let link = FakeLink::new();
    let mut device = open(&link);
    for change in [
        (|header: &mut Header| header.session += 1) as fn(&mut Header),
        |header| header.sequence -= 1,
        |header| header.sequence += 1,
        |header| header.kind = Kind::Request as u8,
        |header| header.kind = 99,
    ] {
        link.rule(1, is(Opcode::Ping), move |header| {
            let mut header = *header;
            change(&mut header);
            Fate::Header(header)
        });
        device.ping(b"mine", soon()).unwrap();
    }
}

#[test]
fn an_answer_to_another_operation_is_corrupt() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(1, is(Opcode::Ping), |header| {
        Fate::Header(Header { opcode: Opcode::Info as u16, ..*header })
    });
    assert!(matches!(device.ping(b"x", soon()), Err(Error::Corrupt { .. })));
    device.ping(b"x", soon()).unwrap();
}

#[test]
fn replies_of_the_wrong_length_are_corrupt() {
    type Call = fn(&mut Client<FakeLink>) -> Result<(), Error>;
    let link = FakeLink::new();
    let mut device = open(&link);
    let cases: [(Opcode, Call); 7] = [
        (Opcode::Ping, |device| device.ping(b"xyz", soon())),
        (Opcode::ReadRegs, |device| device.read_regs(0, &mut [0; 3], soon())),
        (Opcode::WriteRegs, |device| device.write_regs(0, &[1], soon())),
        (Opcode::Load, |device| device.load(&program(), soon()).map(|_| ())),
        (Opcode::SelfTest, |device| device.self_test(0, soon()).map(|_| ())),
        (Opcode::Reset, |device| device.reset(ResetLevel::Fpga, soon())),
        (Opcode::Cancel, |device| {
            let cancel = device.cancel_handle();
            let result = device.acquire(&stream(40), &mut CancelAt(4, cancel), soon());
            device.cancel_handle().clear();
            result.map(|_| ())
        }),
    ];
    for (opcode, call) in cases {
        for length in [1, 1024] {
            link.rule(1, is(opcode), move |_| Fate::Payload(vec![1; length]));
            let result = within(Duration::from_secs(1), || call(&mut device));
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{opcode:?}: {result:?}");
        }
        device.ping(b"still there", soon()).unwrap();
    }
}

#[test]
fn error_replies_are_mapped() {
    let link = FakeLink::new();
    let mut device = open(&link);
    for code in ErrorCode::ALL {
        link.set(|fake| fake.refuse = Some(ErrorReply { code: code as u16, detail: 12 }));
        let error = device.ping(b"x", soon()).unwrap_err();
        if matches!(code, ErrorCode::BadVersion | ErrorCode::WrongGateware) {
            assert!(matches!(error, Error::Version { .. }), "{error}");
        } else {
            assert!(matches!(error, Error::Device { code: found, detail: 12 } if found == code));
        }
        link.set(|fake| fake.refuse = None);
        device.ping(b"x", soon()).unwrap();
    }
    link.set(|fake| fake.refuse = Some(ErrorReply { code: 999, detail: 0 }));
    let error = device.ping(b"x", soon()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { what } if what.contains("999")), "{error}");
}

#[test]
fn a_device_that_was_reset_is_opened_again_by_the_next_call() {
    let link = FakeLink::new();
    let mut device = open(&link);
    open(&link);
    let error = device.ping(b"x", soon()).unwrap_err();
    assert!(matches!(error, Error::Device { code: ErrorCode::BadSession, .. }), "{error}");
    device.ping(b"x", soon()).unwrap();
}

#[test]
fn another_board_on_the_same_link_is_noticed() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.set(|fake| fake.info.serial += 1);
    let error = device.reset(ResetLevel::Session, soon()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { what } if what.contains("0xf00e")), "{error}");
    link.set(|fake| fake.info.serial -= 1);
    device.ping(b"x", soon()).unwrap();
}

#[test]
fn a_device_that_vanishes_is_disconnected() {
    type Call = fn(&mut Client<FakeLink>) -> Result<(), Error>;
    let calls: [Call; 7] = [
        |device| device.ping(b"x", soon()),
        |device| device.read_regs(0, &mut [0; 3], soon()),
        |device| device.write_regs(0, &[1], soon()),
        |device| device.load(&program(), soon()).map(|_| ()),
        |device| device.self_test(0, soon()).map(|_| ()),
        |device| device.reset(ResetLevel::Controller, soon()),
        |device| device.acquire(&stream(40), &mut NullSink, soon()).map(|_| ()),
    ];
    for call in calls {
        let link = FakeLink::new();
        let mut device = open(&link);
        link.rule(1, |_, _| true, |_| Fate::Unplug);
        for _ in 0..3 {
            let result = within(Duration::from_secs(1), || call(&mut device));
            assert!(matches!(result, Err(Error::Disconnected { .. })), "{result:?}");
        }
        assert!(matches!(open_error(&link, soon()), Error::Disconnected { .. }));
    }
}

#[test]
fn registers_go_in_runs() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let mut words = vec![0; 300];
    device.read_regs(0x400, &mut words, soon()).unwrap();
    let expected: Vec<u32> = (0..300).map(|i| 0x400 + 4 * i).collect();
    assert_eq!(words, expected);
    device.write_regs(0x400, &words, soon()).unwrap();
    device.read_regs(0xfffc, &mut words[..1], soon()).unwrap();
    assert_eq!(words[0], 0xfffc);
    let executed = link.set(|fake| fake.executed.clone());
    assert_eq!(count(Opcode::ReadRegs, &executed), 4);
    assert_eq!(count(Opcode::WriteRegs, &executed), 3);
    for (address, len) in [(0xfffc, 2), (0, 20_000)] {
        let error = device.read_regs(address, &mut vec![0; len], soon()).unwrap_err();
        assert!(matches!(error, Error::Device { code: ErrorCode::BadAddress, .. }), "{error}");
    }
    assert_eq!(link.set(|fake| fake.executed.len()), executed.len(), "refused before it is sent");
}

#[test]
fn a_ping_has_a_limit() {
    let mut device = open(&FakeLink::new());
    device.ping(&[0; 1024], soon()).unwrap();
    device.ping(&[], soon()).unwrap();
    assert!(matches!(device.ping(&[0; 1025], soon()), Err(Error::Unsupported { .. })));
}

#[test]
fn self_tests_are_named() {
    let report = open(&FakeLink::new()).self_test(1, soon()).unwrap();
    let names = ["identity", "scratch register", "bank registers"];
    let expected: Vec<_> = names.into_iter().zip([true, true, false]).collect();
    let found: Vec<_> = report.tests.iter().map(|(name, ok)| (name.as_str(), *ok)).collect();
    assert_eq!(found, expected);
    assert_eq!(report.first_failure, Some((5, 6)));
    assert!(!report.passed());
}

// Load.

#[test]
fn a_program_is_applied_in_farads_and_amperes() {
    let mut device = open(&FakeLink::new());
    let applied = device.load(&program(), soon()).unwrap();
    assert_eq!(applied.program, program());
    // Self terms of 1 nF, couplings of 0.5 nF, stray 20 pF.
    let nano = [[3.52, -0.5, 0.0], [-0.5, 17.52, -2.0], [0.0, -2.0, 2.02]];
    for (found, expected) in applied.network.iter().zip(nano.as_flattened()) {
        assert!((found * 1e9 - expected).abs() < 1e-5, "{found} F, expected {expected} nF");
    }
    for (found, gain) in applied.noise_rms_ampere.iter().zip([1.0, 0.5, 0.0]) {
        assert!((found * 1e6 - 1970.0 * gain).abs() < 1e-3, "{found} A");
    }
}

#[test]
fn signed_couplings_add_to_the_diagonal_whatever_their_sign() {
    let link = FakeLink::with(|fake| fake.info.coupling_signed = 1);
    let mut program = program();
    program.coupling_codes[0] = CouplingCode(-1);
    let applied = open(&link).load(&program, soon()).unwrap();
    assert!((applied.network[[0, 0]] * 1e9 - 3.52).abs() < 1e-5);
    assert!((applied.network[[0, 1]] * 1e9 - 0.5).abs() < 1e-5);
}

#[test]
fn every_reason_is_given_before_anything_is_sent() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let mut refuse = |program: &Program, parts: &[&str]| {
        let error = device.load(program, soon()).unwrap_err();
        let Error::Unsupported { reasons } = &error else { panic!("{error}") };
        assert_eq!(reasons.len(), parts.len(), "{reasons:?}");
        for (reason, part) in reasons.iter().zip(parts) {
            assert!(reason.contains(part), "{reason:?}: no {part:?}");
        }
    };
    let lengths = Program {
        self_codes: vec![],
        coupling_codes: vec![CouplingCode(0); 28],
        gain_codes: vec![],
        bias_codes: vec![],
        storage_codes: Vec::new(),
        seeds: Some(vec![]),
        discharge: false,
    };
    refuse(&lengths, &["0 self codes", "28 coupling", "0 gain", "0 bias", "0 seeds"]);
    let ranges = Program {
        self_codes: vec![CouplingCode(-1), CouplingCode(16), CouplingCode(15)],
        coupling_codes: vec![CouplingCode(-1), CouplingCode(15), CouplingCode(16)],
        bias_codes: vec![DacCode(-2048), DacCode(2048), DacCode(0)],
        storage_codes: Vec::new(),
        seeds: Some(vec![[0; 4], [1; 4], [0; 4]]),
        ..program()
    };
    refuse(
        &ranges,
        &[
            "self code of cell 0 is -1",
            "cell 1 is 16, outside 0 to 15",
            "cells 0 and 1 is -1",
            "cells 1 and 2 is 16",
            "bias code of cell 0 is -2048, outside -2047 to 2047",
            "bias code of cell 1",
            "seed of cell 0",
            "seed of cell 2",
        ],
    );
    assert_eq!(link.set(|fake| count(Opcode::Load, &fake.received)), 0);
}

#[test]
fn a_singular_program_is_refused() {
    let link = FakeLink::with(|fake| fake.info.stray_farad = 0.0);
    let mut program = program();
    program.self_codes = vec![CouplingCode(0); 3];
    let error = open(&link).load(&program, soon()).unwrap_err();
    assert!(error.to_string().contains("positive definite"), "{error}");
}

#[test]
fn a_program_that_reads_back_otherwise_is_corrupt() {
    let link = FakeLink::new();
    let mut device = open(&link);
    // Header 8, self codes 6, couplings 6, gains 6, bias 6, seeds 48 bytes.
    for (byte, part) in [
        (8, "self code 0"),
        (16, "coupling code 1"),
        (24, "gain code 2"),
        (26, "bias code 0"),
        (36, "noise seed 0"),
    ] {
        let mut sent = Vec::new();
        link.set(|fake| {
            fake.rule = Box::new(move |header, payload| {
                if header.opcode != Opcode::Load as u16 {
                    return Fate::Deliver;
                }
                sent.clear();
                sent.extend_from_slice(payload);
                sent[byte] ^= 2;
                Fate::Payload(sent.clone())
            });
        });
        let error = device.load(&program(), soon()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what } if what.contains(part)), "{error}");
    }
}

// Acquisitions.

#[test]
fn a_stream_delivers_every_frame() {
    for frames in [1, 3, 4, 5, 1000] {
        let link = FakeLink::new();
        let mut keep = Keep::default();
        let report = open(&link).acquire(&stream(frames), &mut keep, soon()).unwrap();
        assert_eq!((report.outcome, report.lost), (Outcome::Complete, 0));
        assert_eq!(report.kept, u64::from(frames));
        keep.check(&report);
        assert_eq!(report.ticks, Ticks(10 + 2 * u64::from(frames)));
        assert_eq!(report.saturated, [1, 2, 3]);
        let moments = report.moments.unwrap();
        assert_eq!(moments.count, u64::from(frames));
        let sum =
            |cell: usize| keep.frames.iter().map(|(_, codes)| i128::from(codes[cell].0)).sum();
        assert_eq!(moments.sums, (0..CELLS).map(sum).collect::<Vec<i128>>());
        let products = keep.frames.iter().map(|(_, c)| i128::from(c[1].0) * i128::from(c[2].0));
        assert_eq!(moments.products[4], products.sum::<i128>());
        assert_eq!(keep.progress.last(), Some(&(frames.into(), frames.into())));
    }
}

#[test]
fn moments_alone_send_no_frames() {
    let plan = AcquirePlan { stream: false, ..stream(1000) };
    let mut keep = Keep::default();
    let report = open(&FakeLink::new()).acquire(&plan, &mut keep, soon()).unwrap();
    assert_eq!((report.kept, report.lost, keep.frames.len()), (1000, 0, 0));
    assert!(report.moments.is_some());
    let plan = AcquirePlan { moments: false, ..plan };
    let report = open(&FakeLink::new()).acquire(&plan, &mut keep, soon()).unwrap();
    assert_eq!(report.moments, None);
}

#[test]
fn losses_that_the_device_reports_are_exact() {
    let link = FakeLink::with(|fake| fake.lose = 3);
    let mut keep = Keep::default();
    let plan = AcquirePlan { realtime: true, ..stream(1000) };
    let report = open(&link).acquire(&plan, &mut keep, soon()).unwrap();
    keep.check(&report);
    assert!(report.lost > 400, "{}", report.lost);
    assert_eq!(keep.lost, report.lost);
}

#[test]
fn blocks_lost_on_the_link_are_lost_frames() {
    for fate in [|_: &Header| Fate::Drop, |_: &Header| Fate::Damage] {
        let link = FakeLink::new();
        let mut device = open(&link);
        let mut blocks = 0;
        link.rule(
            usize::MAX,
            move |header, _| {
                let block = header.opcode == Opcode::StreamBlock as u16;
                blocks += u32::from(block);
                block && blocks % 5 == 3
            },
            fate,
        );
        let mut keep = Keep::default();
        let report = device.acquire(&stream(1000), &mut keep, soon()).unwrap();
        keep.check(&report);
        assert_eq!(report.lost, 50 * BLOCK_FRAMES);
        assert_eq!(keep.lost, report.lost);
    }
}

#[test]
fn a_stream_of_which_every_block_is_lost_still_ends() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(usize::MAX, is(Opcode::StreamBlock), |_| Fate::Drop);
    let mut keep = Keep::default();
    let report =
        within(Duration::from_secs(3), || device.acquire(&stream(1000), &mut keep, soon()))
            .unwrap();
    assert_eq!((report.kept, report.lost, keep.frames.len()), (1000, 1000, 0));
}

#[test]
fn repeated_blocks_count_once() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(usize::MAX, is(Opcode::StreamBlock), |_| Fate::Twice);
    let mut keep = Keep::default();
    let report = device.acquire(&stream(100), &mut keep, soon()).unwrap();
    keep.check(&report);
    assert_eq!(report.lost, 0);
}

#[test]
fn a_lost_end_is_asked_for() {
    let fates = [
        |_: &Header| Fate::Drop,
        |_: &Header| Fate::Damage,
        |_: &Header| Fate::Payload(vec![1; 50]),
    ];
    for fate in fates {
        let link = FakeLink::new();
        let mut device = open(&link);
        link.rule(1, is(Opcode::AcquireDone), fate);
        let mut keep = Keep::default();
        let report =
            within(Duration::from_secs(1), || device.acquire(&stream(100), &mut keep, soon()));
        keep.check(&report.unwrap());
    }
}

#[test]
fn a_lost_start_reply_costs_nothing() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(1, is(Opcode::Acquire), |_| Fate::Drop);
    let mut keep = Keep::default();
    let report = device.acquire(&stream(100), &mut keep, soon()).unwrap();
    keep.check(&report);
    assert_eq!(report.lost, 0);
    assert_eq!(link.set(|fake| count(Opcode::Acquire, &fake.executed)), 1);
}

#[test]
fn a_device_unplugged_while_it_streams_is_disconnected() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let mut blocks = 0;
    link.rule(
        1,
        move |header, _| {
            blocks += u32::from(header.opcode == Opcode::StreamBlock as u16);
            blocks == 20
        },
        |_| Fate::Unplug,
    );
    let mut keep = Keep::default();
    let result =
        within(Duration::from_secs(1), || device.acquire(&stream(1000), &mut keep, soon()));
    assert!(matches!(result, Err(Error::Disconnected { .. })), "{result:?}");
    assert_eq!(keep.frames.len() as u64, 19 * BLOCK_FRAMES);
}

/// Cancels once it has this many frames.
struct CancelAt(u64, spu_driver::CancelHandle);

impl Sink for CancelAt {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        if block.first_frame >= self.0 {
            self.1.cancel();
        }
        Ok(())
    }
}

#[test]
fn cancelling_keeps_what_was_measured() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let cancel = device.cancel_handle();
    let mut sink = CancelAt(100, cancel.clone());
    let report = device.acquire(&stream(100_000), &mut sink, soon()).unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!((104..200).contains(&report.kept), "{}", report.kept);
    assert_eq!(report.moments.as_ref().unwrap().count, report.kept);

    // Sticky: nothing starts until it is cleared.
    let report = device.acquire(&stream(10), &mut NullSink, soon()).unwrap();
    assert_eq!((report.outcome, report.kept), (Outcome::Cancelled, 0));
    assert_eq!(report.moments.unwrap().products, [0; 6]);
    cancel.clear();
    let report = device.acquire(&stream(10), &mut NullSink, soon()).unwrap();
    assert_eq!((report.outcome, report.kept), (Outcome::Complete, 10));
}

#[test]
fn another_thread_cancels_a_silent_acquisition() {
    let link = FakeLink::with(|fake| fake.stall_at = Some(40));
    let mut device = open(&link);
    let cancel = device.cancel_handle();
    let plan = AcquirePlan { stream: false, ..stream(1000) };
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        cancel.cancel();
    });
    let report = within(Duration::from_secs(1), || device.acquire(&plan, &mut NullSink, soon()));
    canceller.join().unwrap();
    let report = report.unwrap();
    assert_eq!((report.outcome, report.kept), (Outcome::Cancelled, 40));
}

#[test]
fn a_lost_reply_to_cancel_is_asked_for_again() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.rule(1, is(Opcode::Cancel), |_| Fate::Drop);
    let mut sink = CancelAt(100, device.cancel_handle());
    let report = device.acquire(&stream(100_000), &mut sink, soon()).unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert_eq!(link.set(|fake| count(Opcode::Cancel, &fake.executed)), 1);
}

#[test]
fn an_acquisition_ends_by_its_deadline_and_leaves_the_device_usable() {
    let link = FakeLink::with(|fake| fake.stall_at = Some(40));
    let mut device = open(&link);
    let mut keep = Keep::default();
    let result =
        within(Duration::from_millis(600), || device.acquire(&stream(1000), &mut keep, short()));
    assert!(
        matches!(result, Err(Error::Timeout { op: "acquire", after }) if after.as_millis() == 300),
        "{result:?}"
    );
    assert_eq!(keep.frames.len(), 40);
    assert!(keep.progress.contains(&(40, 1000)), "{:?}", keep.progress);
    assert_eq!(link.set(|fake| count(Opcode::Cancel, &fake.executed)), 1, "the board is stopped");
    link.set(|fake| fake.stall_at = None);
    let mut keep = Keep::default();
    let report = device.acquire(&stream(100), &mut keep, soon()).unwrap();
    keep.check(&report);
    assert_eq!(report.lost, 0);
}

#[test]
fn a_sink_that_fails_stops_the_acquisition() {
    let link = FakeLink::new();
    let mut device = open(&link);
    let mut keep = Keep { fail_at: Some(20), ..Keep::default() };
    let error = device.acquire(&stream(1000), &mut keep, soon()).unwrap_err();
    let Error::Sink(cause, kept) = &error else { panic!("{error}") };
    assert_eq!((cause.to_string().as_str(), *kept), ("disk full", 20));
    assert_eq!(keep.frames.len(), 20);
    assert_eq!(link.set(|fake| count(Opcode::Cancel, &fake.executed)), 1);
    let report = device.acquire(&stream(100), &mut NullSink, soon()).unwrap();
    assert_eq!(report.kept, 100);
}

#[test]
fn blocks_that_contradict_themselves_are_corrupt() {
    type Change = fn(&mut StreamHeader, &mut Vec<u8>);
    let changes: [Change; 9] = [
        |header, _| header.first_frame += 1,
        |header, _| header.first_frame -= 1,
        |header, _| header.lost_before = 1,
        |header, _| header.frames += 1,
        |header, octets| {
            header.frames = 0;
            octets.clear();
        },
        |header, _| header.frames = u32::MAX,
        |header, _| header.frame_octets = 5,
        |header, _| header.block += 9,
        |_, octets| {
            octets.pop();
        },
    ];
    for (case, change) in changes.into_iter().enumerate() {
        let link = FakeLink::new();
        let mut device = open(&link);
        link.set(|fake| {
            fake.rule = Box::new(move |header, payload| {
                if header.opcode != Opcode::StreamBlock as u16 {
                    return Fate::Deliver;
                }
                let (mut block, octets) =
                    spu_protocol::payload::split::<StreamHeader>(payload).unwrap();
                if block.block != 2 {
                    return Fate::Deliver;
                }
                let mut octets = octets.to_vec();
                change(&mut block, &mut octets);
                Fate::Payload([bytemuck::bytes_of(&block), &octets].concat())
            });
        });
        let result = device.acquire(&stream(100), &mut NullSink, soon());
        assert!(matches!(result, Err(Error::Corrupt { .. })), "case {case}: {result:?}");
    }
}

#[test]
fn frames_that_nobody_accounts_for_are_corrupt() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.set(|fake: &mut Fake| {
        fake.rule = Box::new(|header, payload| {
            if header.opcode != Opcode::AcquireDone as u16 {
                return Fate::Deliver;
            }
            // One frame lost that the blocks do not show: AcquireStatus::lost is its second word.
            let mut payload = payload.to_vec();
            payload[8] = 1;
            Fate::Payload(payload)
        });
    });
    let result = device.acquire(&stream(100), &mut NullSink, soon());
    assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
}

#[test]
fn plans_beyond_the_link_or_the_sequencer_are_refused() {
    let link = FakeLink::with(|fake| fake.info.stream_frames_per_s = 400_000);
    let mut device = open(&link);
    let plan = |decimation: u32, count: u32| AcquirePlan {
        decimation: NonZeroU32::new(decimation).unwrap(),
        ..stream(count)
    };
    let error = device.acquire(&plan(29, 65), &mut NullSink, soon()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("decimation of at least 30"), "{error}");
    device.acquire(&plan(30, 65), &mut NullSink, soon()).unwrap();
    device.acquire(&plan(1, 64), &mut NullSink, soon()).unwrap();
    let long = AcquirePlan { settle: Ticks(1 << 32), ..plan(30, 65) };
    let error = device.acquire(&long, &mut NullSink, soon()).unwrap_err();
    assert!(error.to_string().contains("settles for at most 2^32 - 1"), "{error}");
}

#[test]
fn a_failed_sequencer_is_stalled() {
    let link = FakeLink::new();
    let mut device = open(&link);
    link.set(|fake| {
        fake.rule = Box::new(|header, payload| {
            if header.opcode != Opcode::AcquireDone as u16 {
                return Fate::Deliver;
            }
            let mut payload = payload.to_vec();
            payload[32] = spu_protocol::payload::acquire::State::Failed as u8;
            Fate::Payload(payload)
        });
    });
    let error = device.acquire(&stream(100), &mut NullSink, soon()).unwrap_err();
    assert!(matches!(error, Error::Device { code: ErrorCode::Stalled, .. }), "{error}");
}

// Everything at once.

#[test]
fn on_a_bad_link_results_are_right_or_late_but_never_another_s() {
    // They mostly wait.
    thread::scope(|scope| {
        for seed in 0..12 {
            scope.spawn(move || on_a_bad_link(seed));
        }
    });
}

fn on_a_bad_link(seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let link = FakeLink::new();
    let mut device = open(&link);
    link.set(|fake| {
        fake.rule = Box::new(move |_, _| match rng.next_u64() % 40 {
            0 => Fate::Drop,
            1 | 2 => Fate::Damage,
            3..6 => Fate::Twice,
            6 | 7 => Fate::Late,
            8 => Fate::Bytes((0..rng.next_u64() % 300).map(|_| rng.next_u64() as u8).collect()),
            _ => Fate::Deliver,
        });
    });
    for round in 0..6_u16 {
        let mut words = [0; 200];
        device.read_regs(round * 4, &mut words, soon()).unwrap();
        let expected: Vec<u32> = (0..200).map(|i| 4 * (u32::from(round) + i)).collect();
        assert_eq!(words.as_slice(), expected, "seed {seed}");
        device.ping(&round.to_le_bytes(), soon()).unwrap();
        let mut keep = Keep::default();
        let report = device.acquire(&stream(400), &mut keep, soon()).unwrap();
        assert_eq!((report.outcome, report.kept), (Outcome::Complete, 400), "seed {seed}");
        keep.check(&report);
        assert_eq!(report.moments.unwrap().count, 400);
    }
    let executed = link.set(|fake| fake.executed.clone());
    assert_eq!(count(Opcode::Acquire, &executed), 6, "each runs once");
    assert_eq!(count(Opcode::Ping, &executed), 6, "each runs once");
}
