//! Sessions, retries, resets: what is executed, and how often.
#![allow(missing_docs)]

mod common;

use common::fpga::{Fpga, GATEWARE_ID, SERIAL};
use common::{Bench, moments};
use spu_firmware::{Activity, FIRMWARE_VERSION};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD, MAX_REPLY};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::{HelloRequest, InfoReply, RegsRequest, exact};
use spu_protocol::regs::{self, control, status};

#[test]
fn hello_opens_a_session_and_says_who_answers() {
    let mut bench = Bench::closed(Fpga::new(8, 16));
    let reply = bench.hello(77).unwrap();
    assert_ne!(reply.session, 0);
    assert_eq!((reply.serial, reply.gateware_id), (SERIAL, GATEWARE_ID));
    assert_eq!((reply.version_min, reply.version_max), (1, 1));
    assert_eq!(reply.firmware, FIRMWARE_VERSION);
}

#[test]
fn info_is_the_boards_and_knows_a_calibration_stored_meanwhile() {
    let mut bench = Bench::over(Fpga::new(5, 12));
    bench.write_regs(regs::CALIBRATION_ID_LO, &[0x1111_2222, 0x3333_4444]).unwrap();
    let info: InfoReply = exact(&bench.request(Opcode::Info, &[]).unwrap()).unwrap();
    assert_eq!(info.calibration_id, 0x3333_4444_1111_2222);
    assert_eq!(&info.profile[..5], b"test\0");
    assert_eq!((info.kind, info.cells, info.couplings), (1, 5, 10));
    assert_eq!((info.self_bits, info.coupling_bits, info.coupling_signed), (4, 6, 1));
    assert_eq!((info.dac_bits, info.adc_bits, info.sample_bits), (14, 12, 12));
    assert_eq!((info.control_bits, info.samples_per_frame), (0, 1));
    assert_eq!((info.sample_clock_hz, info.capture_frames), (12_000_000, 1024));
    assert_eq!(info.r_ohm.to_bits(), 1500.0_f32.to_bits());
}

#[test]
fn a_retried_hello_gets_the_same_session_but_a_used_one_another() {
    let mut bench = Bench::closed(Fpga::new(8, 16));
    let first = bench.hello(5).unwrap().session;
    assert_eq!(bench.hello(5).unwrap().session, first);
    bench.request(Opcode::Ping, b"x").unwrap();
    let second = bench.hello(5).unwrap().session;
    assert_ne!(second, first);
    assert_ne!(bench.hello(6).unwrap().session, second);
}

#[test]
fn requests_need_the_current_session() {
    let mut bench = Bench::closed(Fpga::new(8, 16));
    assert_eq!(bench.request(Opcode::Ping, b""), Err((ErrorCode::BadSession, 0)));
    bench.hello(1).unwrap();
    let old = bench.session;
    bench.hello(2).unwrap();
    bench.request(Opcode::Ping, b"").unwrap();
    bench.session = old;
    assert_eq!(bench.request(Opcode::Ping, b""), Err((ErrorCode::BadSession, 0)));
    assert_eq!(bench.write_regs(regs::scratch(0), &[1]), Err((ErrorCode::BadSession, 0)));
    assert!(bench.fpga().written(regs::scratch(0)).is_empty());
}

#[test]
fn hello_ends_a_running_acquisition() {
    let mut bench = Bench::new();
    bench.acquire(moments(1_000_000)).unwrap();
    bench.hello(2).unwrap();
    assert_eq!(bench.fpga().state(), status::STATE_ABORTED);
    assert_eq!(bench.status().status.state, State::Idle as u8);
    assert!(bench.poll(100).is_empty(), "no event of the ended session");
}

#[test]
fn versions_are_checked_but_not_for_the_frozen_operations() {
    let mut bench = Bench::new();
    let mut header = bench.next_header(Opcode::Ping, 0);
    header.version = 9;
    assert_eq!(bench.exchange(&header, &[]).error(), Some((ErrorCode::BadVersion, 0)));
    header.version = 0;
    assert_eq!(bench.exchange(&header, &[]).error(), Some((ErrorCode::BadVersion, 0)));

    let mut hello = HelloRequest { nonce: 3, version_min: 2, version_max: 9, reserved: [0; 6] };
    let mut header = Header::new(Kind::Request, Opcode::Hello as u16, 0, 0, 16);
    header.version = 9;
    let answer = bench.exchange(&header, bytemuck::bytes_of(&hello));
    assert_eq!(answer.error(), Some((ErrorCode::BadVersion, 0)));
    hello.version_min = 1;
    assert_eq!(bench.exchange(&header, bytemuck::bytes_of(&hello)).error(), None);
}

#[test]
fn a_retried_request_is_executed_once() {
    let mut bench = Bench::new();
    let request = RegsRequest { address: regs::scratch(1), count: 1 };
    let payload = [bytemuck::bytes_of(&request), &7_u32.to_le_bytes()].concat();
    let header = bench.next_header(Opcode::WriteRegs, payload.len());
    let first = bench.exchange(&header, &payload);
    assert_eq!(first.error(), None);
    for _ in 0..5 {
        assert_eq!(bench.exchange(&header, &payload), first);
    }
    assert_eq!(bench.fpga().written(regs::scratch(1)), [7]);
}

#[test]
fn a_retried_acquire_starts_once_and_a_retried_refusal_stays() {
    let mut bench = Bench::new();
    let plan = moments(50);
    let header = bench.next_header(Opcode::Acquire, 24);
    let first = bench.exchange(&header, bytemuck::bytes_of(&plan));
    let busy = bench.next_header(Opcode::Acquire, 24);
    let refused = bench.exchange(&busy, bytemuck::bytes_of(&plan));
    assert_eq!(refused.error(), Some((ErrorCode::Busy, 0)));
    bench.poll(1000);
    // The board is free now, but these were answered.
    assert_eq!(bench.exchange(&busy, bytemuck::bytes_of(&plan)), refused);
    assert_eq!(bench.exchange(&header, bytemuck::bytes_of(&plan)), first);
    assert_eq!(bench.fpga().written(regs::CONTROL), [control::START]);
}

#[test]
fn older_requests_are_known_but_their_replies_are_gone() {
    let mut bench = Bench::new();
    let old = bench.next_header(Opcode::Ping, 1);
    bench.exchange(&old, b"a");
    for _ in 0..3 {
        bench.request(Opcode::Ping, b"b").unwrap();
    }
    assert_eq!(bench.exchange(&old, b"a").payload, b"a");
    bench.request(Opcode::Ping, b"b").unwrap();
    assert_eq!(bench.exchange(&old, b"a").error(), Some((ErrorCode::ReplyGone, 0)));
    // A sequence belongs to one operation.
    let mut other = bench.next_header(Opcode::Ping, 0);
    bench.exchange(&other, &[]);
    other.opcode = Opcode::Info as u16;
    assert_eq!(bench.exchange(&other, &[]).error(), Some((ErrorCode::ReplyGone, 0)));
    // A new session starts afresh.
    bench.hello(9).unwrap();
    bench.sequence = 0;
    assert_eq!(bench.request(Opcode::Ping, b"c").unwrap(), b"c");
}

#[test]
fn ping_returns_what_a_reply_can_hold() {
    let mut bench = Bench::new();
    let payload: Vec<u8> = (0..MAX_REPLY).map(|i| i as u8).collect();
    assert_eq!(bench.request(Opcode::Ping, &payload).unwrap(), payload);
    for length in [MAX_REPLY + 1, MAX_PAYLOAD] {
        let refused = bench.request(Opcode::Ping, &vec![0; length]);
        assert_eq!(refused, Err((ErrorCode::BadPayload, 0)));
    }
}

#[test]
fn resets_end_the_session_and_go_as_deep_as_asked() {
    for level in 0..=2_u32 {
        let mut bench = Bench::new();
        bench.write_regs(regs::scratch(0), &[5]).unwrap();
        bench.acquire(moments(1_000_000)).unwrap();
        bench.request(Opcode::Reset, &level.to_le_bytes()).unwrap();
        bench.poll(10);
        assert!(!bench.fpga().is_running());
        assert_eq!(bench.fpga().word(regs::scratch(0)), if level == 0 { 5 } else { 0 });
        assert_eq!(bench.device.board().resets, [level]);
        assert_eq!(bench.request(Opcode::Ping, b""), Err((ErrorCode::BadSession, 0)));
        // A repeated reset is no harm, whatever session it names.
        bench.request(Opcode::Reset, &level.to_le_bytes()).unwrap();
        bench.poll(10);
        bench.hello(1).unwrap();
        assert_eq!(bench.request(Opcode::Ping, b"on").unwrap(), b"on");
        assert!(bench.poll(50).is_empty());
    }
    let mut bench = Bench::new();
    let refused = bench.request(Opcode::Reset, &3_u32.to_le_bytes());
    assert_eq!(refused, Err((ErrorCode::Unsupported, 0)));
    assert_eq!(bench.request(Opcode::Reset, &[0; 5]), Err((ErrorCode::BadPayload, 0)));
    bench.request(Opcode::Ping, b"").unwrap();
}

#[test]
fn a_restart_is_answered_first_and_forgets_what_was_pending() {
    let mut bench = Bench::new();
    let reset = bench.next_header(Opcode::Reset, 4);
    bench.send(&reset, &2_u32.to_le_bytes());
    let ping = bench.next_header(Opcode::Ping, 0);
    bench.send(&ping, &[]);
    let (activity, messages) = bench.step();
    assert_eq!((activity, messages.len()), (Activity::Worked, 1));
    assert!(bench.device.board().resets.is_empty(), "not before the reply is out");
    assert!(bench.poll(10).is_empty());
    assert_eq!(bench.device.board().resets, [2]);
}

#[test]
fn the_boot_loader_is_entered_if_there_is_one() {
    let mut bench = Bench::new();
    assert_eq!(bench.request(Opcode::EnterBootloader, &[]), Err((ErrorCode::Unsupported, 0)));
    bench.request(Opcode::Ping, b"").unwrap();
    bench.device.board_mut().bootloader = Some(0);
    assert_eq!(bench.request(Opcode::EnterBootloader, &[1]), Err((ErrorCode::BadPayload, 0)));
    bench.acquire(moments(1_000_000)).unwrap();
    assert!(bench.request(Opcode::EnterBootloader, &[]).unwrap().is_empty());
    assert_eq!(bench.device.board().bootloader, Some(1));
    assert!(!bench.fpga().is_running());
    assert_eq!(bench.request(Opcode::Ping, b""), Err((ErrorCode::BadSession, 0)));
}

#[test]
fn only_requests_are_answered() {
    let mut bench = Bench::new();
    for kind in [0, 2, 3, 4, 255] {
        let mut header = bench.next_header(Opcode::Ping, 0);
        header.kind = kind;
        bench.send(&header, &[]);
        assert!(bench.poll(10).is_empty(), "kind {kind}");
    }
}

#[test]
fn a_board_without_its_gateware_is_told_apart() {
    for (address, word) in [
        (regs::MAGIC, 0),
        (regs::MAGIC, u32::MAX),
        (regs::BOARD, 8 << 16),
        (regs::BOARD, 1),
        (regs::BOARD, 1 | 9 << 16),
        (regs::BANKS, 0),
        (regs::BANKS, 16 | 4 << 8),
        // Storage banks of an RLC board; an RC board without.
        (regs::BANKS, 4 | 4 << 8 | 8 << 24),
        (regs::CONVERTERS, 0),
        (regs::CONVERTERS, 0x0E | 17 << 8 | 16 << 16 | 1 << 28),
        (regs::CONVERTERS, 0x0E | 12 << 8 | 12 << 16 | 1 << 24 | 1 << 28),
        (regs::CONVERTERS, 0x0E | 12 << 8 | 12 << 16 | 2 << 28),
        (regs::CAPTURE_FRAMES, 0),
    ] {
        let mut bench = Bench::new();
        bench.fpga().set_word(address, word);
        // The bitstream was lost in an open session.
        assert_eq!(bench.request(Opcode::Info, &[]), Err((ErrorCode::NoGateware, address)));
        assert_eq!(bench.hello(2).map(|_| ()), Err((ErrorCode::NoGateware, address)));
        assert_eq!(bench.request(Opcode::Ping, b""), Err((ErrorCode::BadSession, 0)));
        bench.device.board_mut().inner =
            spu_firmware::FpgaBoard::new(Fpga::new(8, 16), common::TestClock::default());
        bench.hello(3).unwrap();
    }
    // The map is there, but of another major version.
    let mut bench = Bench::new();
    bench.fpga().set_word(regs::MAP_VERSION, 2 << 16);
    assert_eq!(bench.request(Opcode::Info, &[]), Err((ErrorCode::WrongGateware, 2)));
    assert_eq!(bench.hello(2).map(|_| ()), Err((ErrorCode::WrongGateware, 2)));
    // A later minor version only adds.
    let mut bench = Bench::new();
    bench.fpga().set_word(regs::MAP_VERSION, regs::MAP_VERSION_VALUE + 7);
    bench.hello(2).unwrap();
}

#[test]
fn replies_wait_for_room() {
    let mut bench = Bench::new();
    bench.wire.room = 100;
    let header = bench.next_header(Opcode::Ping, 0);
    bench.send(&header, &[]);
    assert!(bench.poll(10).is_empty());
    bench.wire.room = 4200;
    assert_eq!(bench.poll(10).len(), 1);
}
