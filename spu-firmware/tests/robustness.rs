//! Whatever comes over the link or goes wrong on the bus: no panic, at most one answer to a
//! request, and the device works on.
#![allow(missing_docs)]

mod common;

use std::collections::HashSet;

use common::fpga::{Faults, Fpga};
use common::{Bench, Message, block, blocks, ends, moments, program, streaming};
use proptest::prelude::*;
use spu_firmware::{Dispatcher, MAX_MEMORY};
use spu_protocol::codec::{encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::RegsRequest;
use spu_protocol::payload::acquire::State;
use spu_protocol::regs::{self, control};

#[test]
fn memory_is_bounded() {
    let size = size_of::<Dispatcher<()>>();
    assert!(size <= MAX_MEMORY, "{size}");
}

/// Something that makes the device answer with this error; the match has no default, so that a
/// new error asks for its own case. `None` for an error that is not the firmware's.
fn provoke(code: ErrorCode) -> Option<common::Refused> {
    let mut bench = Bench::new();
    let scratch = RegsRequest { address: 0x7C, count: 1 };
    match code {
        ErrorCode::UnknownOpcode => {
            let header = Header::new(Kind::Request, 0x0FFF, bench.session, bench.sequence + 1, 0);
            return bench.exchange(&header, &[]).error();
        }
        ErrorCode::BadPayload => bench.request(Opcode::Info, &[1]),
        ErrorCode::BadSession => {
            bench.session ^= 1;
            bench.request(Opcode::Info, &[])
        }
        ErrorCode::BadVersion => {
            let mut header = bench.next_header(Opcode::Info, 0);
            header.version = 0xFF;
            return bench.exchange(&header, &[]).error();
        }
        ErrorCode::BadAddress => bench.request(Opcode::ReadRegs, bytemuck::bytes_of(&scratch)),
        ErrorCode::OutOfRange => {
            let mut bad = program(8);
            bad.self_codes[2].0 = -1;
            bench.request(Opcode::Load, &block(&bad))
        }
        ErrorCode::WrongBoard => bench.request(Opcode::Load, &block(&program(4))),
        ErrorCode::Busy => {
            bench.acquire(moments(1_000_000)).unwrap();
            bench.request(Opcode::Load, &block(&program(8)))
        }
        ErrorCode::Bus => {
            bench.fpga().faults.bus_after = Some(0);
            bench.request(Opcode::Info, &[])
        }
        ErrorCode::NoGateware => {
            bench.fpga().set_word(regs::MAGIC, 0);
            bench.request(Opcode::Info, &[])
        }
        ErrorCode::WrongGateware => {
            bench.fpga().set_word(regs::MAP_VERSION, 2 << 16);
            bench.request(Opcode::Info, &[])
        }
        ErrorCode::Stalled => {
            bench.acquire(moments(1_000_000)).unwrap();
            bench.fpga().faults.deaf = true;
            bench.request(Opcode::Cancel, &[])
        }
        ErrorCode::Unsupported => bench.request(Opcode::EnterBootloader, &[]),
        ErrorCode::ReplyGone => {
            let old = bench.next_header(Opcode::Ping, 0);
            bench.exchange(&old, &[]);
            for _ in 0..4 {
                bench.request(Opcode::Ping, &[]).unwrap();
            }
            return bench.exchange(&old, &[]).error();
        }
        // The updates have tests of their own.
        ErrorCode::BadImage
        | ErrorCode::WrongTarget
        | ErrorCode::BadHash
        | ErrorCode::BadSignature
        | ErrorCode::UnknownKey
        | ErrorCode::Downgrade
        | ErrorCode::TooLarge
        | ErrorCode::OutOfOrder
        | ErrorCode::Flash
        | ErrorCode::NotConfirmed
        | ErrorCode::Incomplete
        | ErrorCode::NoUpdate => return Some(common::update::refusal(code)),
        // A device server says this in the firmware's place.
        ErrorCode::InUse => return None,
    }
    .err()
}

#[test]
fn every_error_of_the_registry_is_given() {
    for code in ErrorCode::ALL {
        let given = provoke(code).map(|(code, _)| code);
        assert_eq!(given, (code != ErrorCode::InUse).then_some(code));
    }
}

#[test]
fn event_and_unknown_opcodes_are_no_requests() {
    let mut bench = Bench::new();
    for opcode in [Opcode::StreamBlock, Opcode::AcquireDone] {
        assert_eq!(bench.request(opcode, &[]), Err((ErrorCode::UnknownOpcode, 0)));
    }
}

#[test]
fn a_good_frame_after_garbage_is_found() {
    let mut bench = Bench::new();
    let noise: Vec<u8> =
        (0..10_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for length in [1, 7, 100, 4000, 10_000] {
        for chunk in noise[..length].chunks(1000) {
            bench.device.receive(chunk);
            assert!(bench.poll(1000).is_empty());
        }
        bench.device.receive(&[0]);
        assert_eq!(bench.request(Opcode::Ping, b"here").unwrap(), b"here");
    }
    let errors = bench.device.frame_errors();
    assert!(errors.cobs + errors.crc + errors.header + errors.overlong > 0);
}

#[test]
fn frames_come_in_any_pieces_and_several_at_once() {
    let mut bench = Bench::new();
    for piece in [1, 2, 5, 64, 1000] {
        let mut wire = Vec::new();
        for _ in 0..20 {
            let header = bench.next_header(Opcode::Ping, 100);
            let mut frame = vec![0; max_encoded(100)];
            let len = encode(&header, &[&[piece as u8; 100]], &mut frame).unwrap();
            wire.extend_from_slice(&frame[..len]);
        }
        let mut answers = Vec::new();
        for piece in wire.chunks(piece) {
            bench.device.receive(piece);
            answers.extend(bench.poll(100));
        }
        assert_eq!(answers.len(), 20);
        assert!(answers.iter().all(|answer| answer.payload == [piece as u8; 100]));
    }
}

#[test]
fn the_longest_frame_is_answered_and_what_exceeds_the_buffer_is_lost_alone() {
    let mut bench = Bench::new();
    let header = bench.next_header(Opcode::WriteRegs, MAX_PAYLOAD);
    let answer = bench.exchange(&header, &[0; MAX_PAYLOAD]);
    assert_eq!(answer.error(), Some((ErrorCode::BadPayload, 0)));
    // Three long frames without a poll between: some are lost, the next one is not.
    for _ in 0..3 {
        let header = bench.next_header(Opcode::WriteRegs, 3000);
        bench.send(&header, &[1; 3000]);
    }
    assert_eq!(bench.device.room(), 0);
    assert_eq!(bench.poll(100).len(), 1);
    assert_eq!(bench.request(Opcode::Ping, b"x").unwrap(), b"x");
}

/// Operations for the bus-fault test.
fn operations() -> Vec<(Opcode, Vec<u8>)> {
    let regs_request =
        |address, count| bytemuck::bytes_of(&RegsRequest { address, count }).to_vec();
    let write = [regs_request(regs::noise_seed(0), 32), vec![7; 128]].concat();
    vec![
        (Opcode::Info, vec![]),
        (Opcode::ReadRegs, regs_request(regs::TICKS_HI, 1)),
        (Opcode::WriteRegs, write),
        (Opcode::Load, block(&program(8))),
        (Opcode::Acquire, bytemuck::bytes_of(&moments(50)).to_vec()),
        (Opcode::AcquireStatus, vec![]),
        (Opcode::Cancel, vec![]),
        (Opcode::SelfTest, 2_u32.to_le_bytes().to_vec()),
        (Opcode::Reset, 0_u32.to_le_bytes().to_vec()),
        (Opcode::Reset, 1_u32.to_le_bytes().to_vec()),
    ]
}

/// The bus fails at each transaction of each operation in turn.
#[test]
fn bus_errors_in_the_middle_are_answered_and_passed_over() {
    for (opcode, payload) in operations() {
        let mut failures = 0;
        for transaction in 0..10_000 {
            let mut bench = Bench::new();
            bench.fpga().quantum = 100_000;
            if matches!(opcode, Opcode::AcquireStatus | Opcode::Cancel) {
                bench.fpga().quantum = 1;
                bench.acquire(moments(1000)).unwrap();
            }
            bench.fpga().forget_writes();
            bench.fpga().faults.bus_after = Some(transaction);
            let outcome = bench.request(opcode, &payload);
            let failed = bench.fpga().faults.bus_after == Some(0) && outcome.is_err();
            let applied = bench.fpga().written(regs::CONTROL);
            bench.fpga().faults = Faults::default();
            if opcode == Opcode::Load && failed && transaction < 6 {
                assert!(applied.iter().all(|word| word & control::APPLY == 0), "not half");
            }
            if let Err(refused) = outcome {
                assert_eq!(refused, (ErrorCode::Bus, 0), "{opcode:?} {transaction}");
                failures += 1;
            }
            // Back to work, in the same session where there still is one.
            bench.poll(1000);
            if opcode == Opcode::Reset {
                bench.hello(2).unwrap();
            }
            if bench.status().status.state < State::Done as u8 {
                bench.cancel().unwrap();
            }
            assert_eq!(bench.load(&program(8)).unwrap(), program(8));
            bench.acquire(moments(10)).unwrap();
            bench.events.clear();
            assert_eq!(ends(&bench.poll(100))[0].status.state, State::Done as u8);
            if !failed && transaction > 0 {
                break;
            }
        }
        assert!(failures > 0, "{opcode:?}");
    }
}

#[test]
fn hello_over_a_broken_bus_opens_nothing() {
    let mut bench = Bench::closed(Fpga::new(8, 16));
    bench.fpga().faults.bus_after = Some(0);
    assert_eq!(bench.hello(1).map(|_| ()), Err((ErrorCode::Bus, 0)));
    bench.fpga().faults.bus_after = None;
    bench.hello(1).unwrap();
}

#[test]
fn a_restart_works_over_a_broken_bus() {
    let mut bench = Bench::new();
    bench.fpga().faults.bus_after = Some(0);
    bench.request(Opcode::Reset, &2_u32.to_le_bytes()).unwrap();
    bench.poll(10);
    assert_eq!(bench.device.board().resets, [2]);
}

#[test]
fn a_bus_error_while_streaming_ends_it_as_failed() {
    for transaction in 0..40 {
        let mut bench = Bench::new();
        bench.acquire(streaming(2000, u64::MAX)).unwrap();
        bench.fpga().faults.bus_after = Some(transaction);
        let messages = bench.poll(1000);
        let [end] = ends(&messages)[..] else { panic!("{transaction}") };
        let sent: u64 = blocks(&messages).iter().map(|block| u64::from(block.0.frames)).sum();
        if bench.fpga().faults.bus_after == Some(0) {
            assert_eq!(end.status.state, State::Failed as u8);
            assert!(end.status.kept >= sent);
        } else {
            assert_eq!((end.status.state, sent), (State::Done as u8, 2000));
        }
    }
}

/// What a host may send, sensible or not.
#[derive(Debug, Clone)]
enum Input {
    Bytes(Vec<u8>),
    Frame { kind: u8, version: u8, opcode: u16, current: bool, sequence: u32, payload: Vec<u8> },
    Time(u64),
    Fault(u8),
    Polls(u8),
}

/// Payloads near the layouts that the opcodes have.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let regs = (any::<u16>(), 0..140_u16, 0..600_usize).prop_map(|(address, count, words)| {
        let mut bytes = [address.to_le_bytes(), count.to_le_bytes()].concat();
        bytes.resize(4 + words, 3);
        bytes
    });
    let low_regs = (0..0x900_u16, 1..20_u16).prop_map(|(address, count)| {
        let mut bytes = [(address * 4).to_le_bytes(), count.to_le_bytes()].concat();
        bytes.resize(4 + 4 * usize::from(count), 1);
        bytes
    });
    let plan = (0..100_u32, 0..4_u32, 0..3000_u32, 0..9_u32, 0..40_u64).prop_map(|parts| {
        let (settle, decimation, count, flags, granted) = parts;
        let words = [settle, decimation, count, flags].map(u32::to_le_bytes);
        [words.as_flattened(), &granted.to_le_bytes()].concat()
    });
    let load = (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, value)| {
        let mut bytes = block(&program(8));
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes
    });
    let hello = (any::<u64>(), 0..3_u8, 0..3_u8).prop_map(|(nonce, min, max)| {
        [&nonce.to_le_bytes()[..], &[min, max, 0, 0, 0, 0, 0, 0]].concat()
    });
    prop_oneof![
        Just(vec![]),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
        (0..5_u32).prop_map(|level| level.to_le_bytes().to_vec()),
        regs,
        low_regs,
        plan,
        load,
        hello,
    ]
}

fn inputs() -> impl Strategy<Value = Input> {
    let opcode = prop_oneof![
        20 => prop::sample::select(Opcode::ALL.map(|opcode| opcode as u16).to_vec()),
        1 => any::<u16>(),
    ];
    let kind = prop_oneof![20 => Just(1_u8), 1 => any::<u8>()];
    let version = prop_oneof![20 => Just(1_u8), 1 => any::<u8>()];
    let frame = (kind, version, opcode, prop::bool::weighted(0.95), 0..30_u32, payloads())
        .prop_map(|(kind, version, opcode, current, sequence, payload)| Input::Frame {
            kind,
            version,
            opcode,
            current,
            sequence,
            payload,
        });
    prop_oneof![
        20 => frame,
        3 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Input::Bytes),
        2 => (0..3_000_000_u64).prop_map(Input::Time),
        1 => (0..8_u8).prop_map(Input::Fault),
        5 => (0..60_u8).prop_map(Input::Polls),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No panic; no more answers than requests, each to its own; good frames from the device.
    #[test]
    fn any_input_gets_at_most_one_answer_each(inputs in prop::collection::vec(inputs(), 1..60)) {
        let mut bench = Bench::new();
        let mut session = bench.session;
        bench.fpga().quantum = 97;
        let mut asked: Vec<(u16, u32, u32)> = Vec::new();
        for input in inputs {
            let mut messages: Vec<Message> = Vec::new();
            match input {
                Input::Bytes(bytes) => {
                    bench.device.receive(&bytes);
                    bench.device.receive(&[0]);
                }
                Input::Frame { kind, version, opcode, current, sequence, payload } => {
                    let named = if current { session } else { session.wrapping_add(1) };
                    let mut header =
                        Header::new(Kind::Request, opcode, named, sequence, payload.len() as u16);
                    (header.kind, header.version) = (kind, version);
                    bench.send(&header, &payload);
                    if kind == Kind::Request as u8 {
                        asked.push((opcode, named, sequence));
                    }
                    messages.extend(bench.poll(3));
                }
                Input::Time(us) => bench.clock().now_us += us,
                Input::Fault(which) => {
                    bench.fpga().faults = Faults {
                        bus_after: (which == 1).then_some(20),
                        stuck: which == 2,
                        deaf: which == 3,
                        unknown_state: which == 4,
                        ..Faults::default()
                    };
                }
                Input::Polls(count) => messages.extend(bench.poll(count.into())),
            }
            messages.extend(bench.poll(2));
            for message in messages {
                let header = message.header;
                if header.kind == Kind::Event as u8 {
                    continue;
                }
                let answered = (header.opcode, header.session, header.sequence);
                let at = asked.iter().position(|request| *request == answered);
                prop_assert!(at.is_some(), "unasked answer {header:?}");
                asked.remove(at.unwrap());
                if header.opcode == Opcode::Hello as u16 && header.kind == Kind::Reply as u8 {
                    session = u32::from_le_bytes(message.payload[24..28].try_into().unwrap());
                }
            }
        }
        bench.fpga().faults = Faults::default();
        bench.poll(2000);
        bench.device.receive(&[0]);
        bench.hello(u64::MAX).unwrap();
        bench.sequence = 1000;
        bench.request(Opcode::Ping, b"alive").unwrap();
    }

    /// Events of one acquisition: blocks are numbered without gap, the end comes once and last.
    #[test]
    fn every_acquisition_ends_once(
        count in 1..4000_u32,
        granted in 0..20_u64,
        flags in 0..8_u32,
        quantum in 1..3000_u64,
        cancel_after in prop::option::of(0..50_usize),
    ) {
        let mut bench = Bench::new();
        bench.fpga().quantum = quantum;
        let plan = spu_protocol::payload::AcquireRequest { flags, ..streaming(count, granted) };
        bench.acquire(plan).unwrap();
        let mut messages = Vec::new();
        if let Some(polls) = cancel_after {
            for _ in 0..polls {
                messages.extend(bench.step().1);
            }
            bench.cancel().unwrap();
            messages.append(&mut bench.events);
        } else {
            bench.credit(u64::MAX);
            messages.append(&mut bench.events);
        }
        messages.extend(bench.poll(20_000));
        let ends = ends(&messages);
        prop_assert_eq!(ends.len(), 1);
        prop_assert!(messages.last().unwrap().is_event(Opcode::AcquireDone));
        let sequences: HashSet<u32> =
            messages.iter().map(|message| message.header.sequence).collect();
        prop_assert_eq!(sequences.len(), messages.len());
        let end = ends[0].status;
        let sent: u64 = blocks(&messages).iter().map(|block| u64::from(block.0.frames)).sum();
        prop_assert_eq!(end.blocks as usize, blocks(&messages).len());
        if flags & 2 != 0 {
            prop_assert_eq!(end.kept, sent + end.lost);
        }
        if cancel_after.is_none() {
            prop_assert_eq!(end.kept, u64::from(count));
            prop_assert!(flags & 4 != 0 || end.lost == 0);
        }
    }
}
