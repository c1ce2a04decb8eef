//! If a test in this file fails, the code is wrong, not the test: these bytes are what version 1
//! puts on the wire, devices and recordings in the world hold them, and they never change.
//!
//! The bytes come from the field tables in the documentation, packed by another program in another
//! language; nothing here was printed by the code under test.

use bytemuck::bytes_of;
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::image::{BoardId, FpgaId, ImageHeader, ImageKind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::bulk::Region;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::update::{SlotState, UpdateState};
use spu_protocol::payload::{
    AcquireRequest, AcquireStatus, BulkRequest, CreditRequest, ErrorReply, HelloReply,
    HelloRequest, InfoReply, LoadView, RegsRequest, ResetRequest, SelfTestReply, SelfTestRequest,
    SlotStatus, StatusView, StreamHeader, UpdateBegin, UpdateProgress, UpdateSelect, UpdateStatus,
    UpdateWrite, Writer,
};

const SESSION: u32 = 0x5e55_1011;
const SEQUENCE: u32 = 0x0001_0203;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"))
        .collect()
}

fn header(kind: Kind, opcode: Opcode, payload: &[u8]) -> Header {
    Header {
        version: 1,
        ..Header::new(kind, opcode as u16, SESSION, SEQUENCE, payload.len() as u16)
    }
}

/// Checks a message's payload and its header.
fn message(kind: Kind, opcode: Opcode, payload: &[u8], expected: &str) {
    let expected = hex(expected);
    assert_eq!(payload, expected, "payload of {kind:?} {opcode:?}");

    let mut start = hex("53 50 01");
    start.push(kind as u8);
    start.extend((opcode as u16).to_le_bytes());
    start.extend((expected.len() as u16).to_le_bytes());
    start.extend(hex("11 10 55 5e 03 02 01 00 00 00 00 00"));
    assert_eq!(bytes_of(&header(kind, opcode, payload)), start, "header of {kind:?} {opcode:?}");
}

/// Checks what is sent, COBS, CRC and delimiter included, and that it is understood.
fn wire(kind: Kind, opcode: Opcode, payload: &[u8], expected: &str) {
    let expected = hex(expected);
    let header = header(kind, opcode, payload);
    let mut out = vec![0; max_encoded(payload.len())];
    let len = encode(&header, &[payload], &mut out).expect("the buffer is long enough");
    assert_eq!(out[..len], expected, "frame of {kind:?} {opcode:?}");

    let mut decoder = Decoder::new();
    let frame = decoder.push(&mut expected.as_slice()).expect("a frame").expect("undamaged");
    assert_eq!((frame.header, frame.payload), (header, payload));
}

fn written(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let len = writer.finish().expect("it fits");
    buffer[..len].to_vec()
}

#[test]
fn version_of_the_header() {
    let header = Header::new(Kind::Request, Opcode::Ping as u16, SESSION, SEQUENCE, 5);
    assert_eq!(
        bytes_of(&header),
        hex("53 50 01 01 11 00 05 00 11 10 55 5e 03 02 01 00 00 00 00 00"),
    );
}

#[test]
fn numbers_of_kinds() {
    for (number, kind) in [(1, Kind::Request), (2, Kind::Reply), (3, Kind::Error), (4, Kind::Event)]
    {
        assert_eq!(kind as u8, number);
        assert_eq!(Kind::from_u8(number), Some(kind));
    }
}

#[test]
fn numbers_of_operations() {
    let numbers = [
        (0x0001, Opcode::Hello),
        (0x0002, Opcode::Reset),
        (0x0003, Opcode::EnterBootloader),
        (0x0010, Opcode::Info),
        (0x0011, Opcode::Ping),
        (0x0020, Opcode::ReadRegs),
        (0x0021, Opcode::WriteRegs),
        (0x0030, Opcode::Load),
        (0x0040, Opcode::Acquire),
        (0x0041, Opcode::AcquireStatus),
        (0x0042, Opcode::Cancel),
        (0x0043, Opcode::Credit),
        (0x0044, Opcode::StreamBlock),
        (0x0045, Opcode::AcquireDone),
        (0x0050, Opcode::SelfTest),
        (0x0060, Opcode::UpdateBegin),
        (0x0061, Opcode::UpdateWrite),
        (0x0062, Opcode::UpdateFinish),
        (0x0063, Opcode::UpdateStatus),
        (0x0064, Opcode::UpdateConfirm),
        (0x0070, Opcode::BulkWrite),
        (0x0071, Opcode::BulkRead),
    ];
    for (number, opcode) in numbers {
        assert_eq!(opcode as u16, number);
        assert_eq!(Opcode::from_u16(number), Some(opcode));
    }
}

#[test]
fn numbers_of_states_and_board_kinds() {
    for (number, state) in [
        (0, State::Idle),
        (1, State::Program),
        (2, State::Settle),
        (3, State::Acquire),
        (4, State::Drain),
        (5, State::Done),
        (6, State::Cancelled),
        (7, State::Failed),
    ] {
        assert_eq!(state as u8, number);
        assert_eq!(State::from_u8(number), Some(state));
    }
    for (number, kind) in [(1, BoardKind::Rlc), (2, BoardKind::Rc), (3, BoardKind::Factored)] {
        assert_eq!(kind as u16, number);
        assert_eq!(BoardKind::from_u16(number), Some(kind));
    }
}

#[test]
fn hello() {
    let request = HelloRequest {
        nonce: 0x0807_0605_0403_0201,
        version_min: 1,
        version_max: 2,
        reserved: [0; 6],
    };
    message(
        Kind::Request,
        Opcode::Hello,
        bytes_of(&request),
        "
        01 02 03 04 05 06 07 08 01 02 00 00 00 00 00 00
        ",
    );
    wire(
        Kind::Request,
        Opcode::Hello,
        bytes_of(&request),
        "
        06 53 50 01 01 01 02 10 08 11 10 55 5e 03 02 01 01 01 01 01 0b 01 02 03
        04 05 06 07 08 01 02 01 01 01 01 01 05 71 b0 ef 76 00
        ",
    );
    let reply = HelloReply {
        nonce: 0x0807_0605_0403_0201,
        serial: 0x1817_1615_1413_1211,
        calibration_id: 0x2827_2625_2423_2221,
        session: 0x5e55_1011,
        gateware_id: 0x3433_3231,
        firmware: [0x0201, 0x0403, 0x0605],
        version_min: 1,
        version_max: 2,
    };
    message(
        Kind::Reply,
        Opcode::Hello,
        bytes_of(&reply),
        "
        01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28
        11 10 55 5e 31 32 33 34 01 02 03 04 05 06 01 02
        ",
    );
    wire(
        Kind::Reply,
        Opcode::Hello,
        bytes_of(&reply),
        "
        06 53 50 01 02 01 02 28 08 11 10 55 5e 03 02 01 01 01 01 01 2d 01 02 03
        04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28 11 10 55
        5e 31 32 33 34 01 02 03 04 05 06 01 02 62 8d 13 63 00
        ",
    );
}

#[test]
fn reset() {
    let request = ResetRequest { level: 2 };
    message(Kind::Request, Opcode::Reset, bytes_of(&request), "02 00 00 00");
    wire(
        Kind::Request,
        Opcode::Reset,
        bytes_of(&request),
        "
        06 53 50 01 01 02 02 04 08 11 10 55 5e 03 02 01 01 01 01 01 02 02 01 01
        05 6a 47 d0 3a 00
        ",
    );
    message(Kind::Reply, Opcode::Reset, &[], "");
}

#[test]
fn enter_bootloader() {
    message(Kind::Request, Opcode::EnterBootloader, &[], "");
    wire(
        Kind::Request,
        Opcode::EnterBootloader,
        &[],
        "
        06 53 50 01 01 03 01 01 08 11 10 55 5e 03 02 01 01 01 01 01 05 74 48 d7
        a5 00
        ",
    );
    message(Kind::Reply, Opcode::EnterBootloader, &[], "");
}

#[test]
fn info() {
    let mut profile = [0; 16];
    profile[..5].copy_from_slice(b"rev-a");
    let reply = InfoReply {
        serial: 0x1817_1615_1413_1211,
        calibration_id: 0x2827_2625_2423_2221,
        profile,
        gateware_id: 0x3433_3231,
        sample_clock_hz: 12_000_000,
        capture_frames: 4096,
        stream_frames_per_s: 50_000,
        firmware: [1, 2, 3],
        kind: 1,
        cells: 8,
        couplings: 28,
        self_bits: 4,
        coupling_bits: 6,
        coupling_signed: 1,
        dac_bits: 14,
        adc_bits: 12,
        sample_bits: 16,
        control_bits: 2,
        samples_per_frame: 1,
        noise_rms_code: 1.0,
        r_ohm: 2.0,
        l_henry: 0.5,
        self_lsb_farad: 0.25,
        coupling_lsb_farad: 0.125,
        stray_farad: -1.0,
        dac_lsb_ampere: 1.5,
        adc_lsb_volt: 3.0,
        drive_spread: 0.0625,
        bank_spread: 0.75,
        adc_gain_spread: 10.0,
        r_spread: 100.0,
        l_spread: 0.03125,
        report: 0,
        storage_bits: 0,
        reserved: [0; 3],
    };
    message(Kind::Request, Opcode::Info, &[], "");
    message(
        Kind::Reply,
        Opcode::Info,
        bytes_of(&reply),
        "
        11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28 72 65 76 2d 61 00 00 00
        00 00 00 00 00 00 00 00 31 32 33 34 00 1b b7 00 00 10 00 00 50 c3 00 00
        01 00 02 00 03 00 01 00 08 00 1c 00 04 06 01 0e 0c 10 02 01 00 00 80 3f
        00 00 00 40 00 00 00 3f 00 00 80 3e 00 00 00 3e 00 00 80 bf 00 00 c0 3f
        00 00 40 40 00 00 80 3d 00 00 40 3f 00 00 20 41 00 00 c8 42 00 00 00 3d
        00 00 00 00 00 00 00 00
        ",
    );
    wire(
        Kind::Reply,
        Opcode::Info,
        bytes_of(&reply),
        "
        06 53 50 01 02 10 02 80 08 11 10 55 5e 03 02 01 01 01 01 01 16 11 12 13
        14 15 16 17 18 21 22 23 24 25 26 27 28 72 65 76 2d 61 01 01 01 01 01 01
        01 01 01 01 05 31 32 33 34 03 1b b7 01 02 10 01 03 50 c3 01 02 01 02 02
        02 03 02 01 02 08 02 1c 09 04 06 01 0e 0c 10 02 01 01 03 80 3f 01 01 02
        40 01 01 02 3f 01 03 80 3e 01 01 02 3e 01 03 80 bf 01 03 c0 3f 01 03 40
        40 01 03 80 3d 01 03 40 3f 01 03 20 41 01 03 c8 42 01 01 02 3d 01 01 01
        01 01 01 01 05 a1 74 06 73 00
        ",
    );
}

#[test]
fn ping() {
    let payload = b"\x00\x01\xfe\xffspu";
    message(Kind::Request, Opcode::Ping, payload, "00 01 fe ff 73 70 75");
    message(Kind::Reply, Opcode::Ping, payload, "00 01 fe ff 73 70 75");
    wire(
        Kind::Request,
        Opcode::Ping,
        payload,
        "
        06 53 50 01 01 11 02 07 08 11 10 55 5e 03 02 01 01 01 01 01 01 0b 01 fe
        ff 73 70 75 e1 06 d3 62 00
        ",
    );
}

#[test]
fn registers() {
    let request = RegsRequest { address: 0x1234, count: 2 };
    let words = [0x5350_5546_u32, 0xfffe_fdfc];
    message(Kind::Request, Opcode::ReadRegs, bytes_of(&request), "34 12 02 00");
    let words_only = written(|out| {
        out.put_slice(&words);
    });
    message(Kind::Reply, Opcode::ReadRegs, &words_only, "46 55 50 53 fc fd fe ff");
    let write = written(|out| {
        out.put(&request).put_slice(&words);
    });
    message(
        Kind::Request,
        Opcode::WriteRegs,
        &write,
        "
        34 12 02 00 46 55 50 53 fc fd fe ff
        ",
    );
    message(Kind::Reply, Opcode::WriteRegs, &[], "");
}

fn program(kind: BoardKind, flags: u16) -> LoadView {
    let mut view = LoadView::new(kind as u16, 3).expect("three cells fit");
    view.header.flags = flags;
    view.self_codes[..3].copy_from_slice(&[1, 255, 511].map(CouplingCode));
    view.coupling_codes[..3].copy_from_slice(&[-1, 2, -256].map(CouplingCode));
    view.gain_codes[..3].copy_from_slice(&[4096, 0x0fff, 0xffff].map(GainCode));
    view.bias_codes[..3].copy_from_slice(&[-2, 0, 0x1234].map(DacCode));
    if flags & 4 != 0 {
        view.storage_codes[..3].copy_from_slice(&[3, 255, 127].map(CouplingCode));
    }
    if flags & 1 != 0 {
        for (i, word) in (0..).zip(view.seeds[..3].as_flattened_mut()) {
            *word = 0x0403_0201_u32.wrapping_add(0x1010_1010_u32.wrapping_mul(i));
        }
    }
    view
}

#[test]
fn load() {
    let plain = "
        01 00 03 00 03 00 02 00 01 00 ff 00 ff 01 ff ff 02 00 00 ff 00 10 ff 0f
        ff ff fe ff 00 00 34 12
        ";
    let seeded = "
        01 00 03 00 03 00 03 00 01 00 ff 00 ff 01 ff ff 02 00 00 ff 00 10 ff 0f
        ff ff fe ff 00 00 34 12 01 02 03 04 11 12 13 14 21 22 23 24 31 32 33 34
        41 42 43 44 51 52 53 54 61 62 63 64 71 72 73 74 81 82 83 84 91 92 93 94
        a1 a2 a3 a4 b1 b2 b3 b4
        ";
    let stored = "
        02 00 03 00 03 00 07 00 01 00 ff 00 ff 01 ff ff 02 00 00 ff 00 10 ff 0f
        ff ff fe ff 00 00 34 12 03 00 ff 00 7f 00 01 02 03 04 11 12 13 14 21 22
        23 24 31 32 33 34 41 42 43 44 51 52 53 54 61 62 63 64 71 72 73 74 81 82
        83 84 91 92 93 94 a1 a2 a3 a4 b1 b2 b3 b4
        ";
    let (rlc, rc) = (BoardKind::Rlc, BoardKind::Rc);
    for (kind, flags, expected) in [(rlc, 2, plain), (rlc, 3, seeded), (rc, 7, stored)] {
        let bytes = written(|out| program(kind, flags).write(out));
        message(Kind::Request, Opcode::Load, &bytes, expected);
        message(Kind::Reply, Opcode::Load, &bytes, expected);
        assert_eq!(LoadView::parse(&hex(expected)), Some(program(kind, flags)));
    }
}

#[test]
fn acquire() {
    let request = AcquireRequest {
        settle: 0x0403_0201,
        decimation: 0x1413_1211,
        count: 0x2423_2221,
        flags: AcquireRequest::MOMENTS | AcquireRequest::STREAM | AcquireRequest::REALTIME,
        granted: 0x3837_3635_3433_3231,
    };
    message(
        Kind::Request,
        Opcode::Acquire,
        bytes_of(&request),
        "
        01 02 03 04 11 12 13 14 21 22 23 24 07 00 00 00 31 32 33 34 35 36 37 38
        ",
    );
    message(Kind::Reply, Opcode::Acquire, &[], "");
    assert_eq!(
        (AcquireRequest::MOMENTS, AcquireRequest::STREAM, AcquireRequest::REALTIME),
        (1, 2, 4)
    );
}

fn status(state: State, moments: u8) -> StatusView {
    let mut view = StatusView::new(AcquireStatus {
        kept: 0x0807_0605_0403_0201,
        lost: 0x1817_1615_1413_1211,
        ticks: 0x2827_2625_2423_2221,
        blocks: 0x3837_3635_3433_3231,
        state: state as u8,
        moments,
        cells: 2,
        reserved: 0,
    });
    view.saturated[..2].copy_from_slice(&[0x4443_4241, u32::MAX]);
    if moments == 1 {
        view.sums[..2].copy_from_slice(&[-1, 0x0102_0304_0506_0708]);
        view.products[..3].copy_from_slice(&[1, -2, 3]);
    }
    view
}

#[test]
fn acquire_status_cancel_done() {
    for (opcode, kind, view, expected) in [
        (
            Opcode::AcquireStatus,
            Kind::Reply,
            status(State::Acquire, 0),
            "
            01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28
            31 32 33 34 35 36 37 38 03 00 02 00 00 00 00 00 41 42 43 44 ff ff ff ff
            ",
        ),
        (
            Opcode::Cancel,
            Kind::Reply,
            status(State::Cancelled, 0),
            "
            01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28
            31 32 33 34 35 36 37 38 06 00 02 00 00 00 00 00 41 42 43 44 ff ff ff ff
            ",
        ),
        (
            Opcode::AcquireDone,
            Kind::Event,
            status(State::Done, 1),
            "
            01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28
            31 32 33 34 35 36 37 38 05 01 02 00 00 00 00 00 41 42 43 44 ff ff ff ff
            ff ff ff ff ff ff ff ff 08 07 06 05 04 03 02 01 01 00 00 00 00 00 00 00
            fe ff ff ff ff ff ff ff 03 00 00 00 00 00 00 00
            ",
        ),
    ] {
        message(kind, opcode, &written(|out| view.write(out)), expected);
        assert_eq!(StatusView::parse(&hex(expected)), Some(view));
    }
    message(Kind::Request, Opcode::AcquireStatus, &[], "");
    message(Kind::Request, Opcode::Cancel, &[], "");
}

#[test]
fn credit() {
    let request = CreditRequest { granted: 0x0807_0605_0403_0201 };
    message(Kind::Request, Opcode::Credit, bytes_of(&request), "01 02 03 04 05 06 07 08");
    message(Kind::Reply, Opcode::Credit, &[], "");
}

#[test]
fn stream_block() {
    let start = StreamHeader {
        block: 0x0807_0605_0403_0201,
        first_frame: 0x1817_1615_1413_1211,
        lost_before: 0x2827_2625_2423_2221,
        frames: 2,
        frame_octets: 3,
    };
    let octets = [0xab, 0xcd, 0xef, 0x12, 0x30, 0x45_u8];
    let payload = written(|out| {
        out.put(&start).put_bytes(&octets);
    });
    message(
        Kind::Event,
        Opcode::StreamBlock,
        &payload,
        "
        01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28
        02 00 00 00 03 00 00 00 ab cd ef 12 30 45
        ",
    );
    wire(
        Kind::Event,
        Opcode::StreamBlock,
        &payload,
        "
        06 53 50 01 04 44 02 26 08 11 10 55 5e 03 02 01 01 01 01 01 1a 01 02 03
        04 05 06 07 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28 02 01 01
        02 03 01 01 08 ab cd ef 12 30 45 4a 03 12 f9 00
        ",
    );
}

/// 300 octets without a zero are more than one COBS block holds (254): its code is ff.
#[test]
fn stream_block_with_a_full_cobs_block() {
    let start =
        StreamHeader { block: 1, first_frame: 2, lost_before: 3, frames: 100, frame_octets: 3 };
    let payload = written(|out| {
        out.put(&start).put_bytes(&[0x11; 300]);
    });
    wire(
        Kind::Event,
        Opcode::StreamBlock,
        &payload,
        "
        06 53 50 01 04 44 0a 4c 01 11 10 55 5e 03 02 01 01 01 01 01 02 01 01 01
        01 01 01 01 02 02 01 01 01 01 01 01 02 03 01 01 01 01 01 01 02 64 01 01
        02 03 01 01 ff 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 33 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
        11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 12 19 81 18 00
        ",
    );
}

#[test]
fn self_test() {
    let request = SelfTestRequest { level: 1 };
    message(Kind::Request, Opcode::SelfTest, bytes_of(&request), "01 00 00 00");
    let reply = SelfTestReply { ran: 0x1f, failed: 2, expected: 0x5350_5546, found: 0xfffe_fdfc };
    message(
        Kind::Reply,
        Opcode::SelfTest,
        bytes_of(&reply),
        "
        1f 00 00 00 02 00 00 00 46 55 50 53 fc fd fe ff
        ",
    );
}

#[test]
fn every_error() {
    let errors = [
        (ErrorCode::UnknownOpcode, "01 00 02 01"),
        (ErrorCode::BadPayload, "02 00 02 01"),
        (ErrorCode::BadSession, "03 00 02 01"),
        (ErrorCode::BadVersion, "04 00 02 01"),
        (ErrorCode::BadAddress, "05 00 02 01"),
        (ErrorCode::OutOfRange, "06 00 02 01"),
        (ErrorCode::WrongBoard, "07 00 02 01"),
        (ErrorCode::Busy, "08 00 02 01"),
        (ErrorCode::Bus, "09 00 02 01"),
        (ErrorCode::NoGateware, "0a 00 02 01"),
        (ErrorCode::Stalled, "0b 00 02 01"),
        (ErrorCode::Unsupported, "0c 00 02 01"),
        (ErrorCode::ReplyGone, "0d 00 02 01"),
        (ErrorCode::WrongGateware, "0e 00 02 01"),
        (ErrorCode::InUse, "0f 00 02 01"),
        (ErrorCode::BadImage, "10 00 02 01"),
        (ErrorCode::WrongTarget, "11 00 02 01"),
        (ErrorCode::BadHash, "12 00 02 01"),
        (ErrorCode::BadSignature, "13 00 02 01"),
        (ErrorCode::UnknownKey, "14 00 02 01"),
        (ErrorCode::Downgrade, "15 00 02 01"),
        (ErrorCode::TooLarge, "16 00 02 01"),
        (ErrorCode::OutOfOrder, "17 00 02 01"),
        (ErrorCode::Flash, "18 00 02 01"),
        (ErrorCode::NotConfirmed, "19 00 02 01"),
        (ErrorCode::Incomplete, "1a 00 02 01"),
        (ErrorCode::NoUpdate, "1b 00 02 01"),
    ];
    for (error, expected) in errors {
        let reply = ErrorReply { code: error as u16, detail: 0x0102 };
        message(Kind::Error, Opcode::Load, bytes_of(&reply), expected);
        assert_eq!(ErrorCode::from_u16(u16::from(hex(expected)[0])), Some(error));
    }
    let reply = ErrorReply { code: ErrorCode::NoGateware as u16, detail: 0x0102 };
    wire(
        Kind::Error,
        Opcode::Load,
        bytes_of(&reply),
        "
        06 53 50 01 03 30 02 04 08 11 10 55 5e 03 02 01 01 01 01 01 02 0a 07 02
        01 84 a2 35 e3 00
        ",
    );
}

#[test]
fn numbers_of_images() {
    for (number, kind) in [(1, ImageKind::Firmware), (2, ImageKind::Gateware)] {
        assert_eq!(kind as u16, number);
        assert_eq!(ImageKind::from_u16(number), Some(kind));
    }
    for (number, board) in [
        (1, BoardId::Simulator),
        (2, BoardId::Mps2An386),
        (3, BoardId::Lm3s6965Evb),
        (4, BoardId::NucleoH743Zi),
    ] {
        assert_eq!(board as u32, number);
        assert_eq!(BoardId::from_u32(number), Some(board));
    }
    assert_eq!(
        [FpgaId::Ecp5U25, FpgaId::Ecp5U45, FpgaId::Ecp5U85].map(|fpga| fpga as u32),
        [0x4111_1043, 0x4111_2043, 0x4111_3043]
    );
    for (number, state) in [
        (0, UpdateState::Idle),
        (1, UpdateState::Erasing),
        (2, UpdateState::Receiving),
        (3, UpdateState::Verifying),
        (4, UpdateState::Ready),
        (5, UpdateState::Failed),
    ] {
        assert_eq!(state as u16, number);
        assert_eq!(UpdateState::from_u16(number), Some(state));
    }
    for (number, state) in [
        (0, SlotState::Empty),
        (1, SlotState::Pending),
        (2, SlotState::Trial),
        (3, SlotState::Confirmed),
        (4, SlotState::RolledBack),
    ] {
        assert_eq!(state as u8, number);
        assert_eq!(SlotState::from_u8(number), Some(state));
    }
}

fn ascending<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first + index as u8)
}

fn image_header() -> ImageHeader {
    ImageHeader {
        magic: *b"SPUI",
        header_version: 1,
        kind: 1,
        target: 2,
        build_id: 0x1413_1211,
        version: [1, 2, 0x0304],
        reserved: 0,
        length: 0x2423_2221,
        load_address: 0x3433_3231,
        sha256: ascending(0x40),
        key_id: 0x6463_6261,
        padding: [0; 124],
        signature: ascending(0x80),
    }
}

/// In files and in flash, not on the wire alone.
#[test]
fn header_of_an_image() {
    let expected = hex("
        53 50 55 49 01 00 01 00 02 00 00 00 11 12 13 14 01 00 02 00 04 03 00 00
        21 22 23 24 31 32 33 34 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f
        50 51 52 53 54 55 56 57 58 59 5a 5b 5c 5d 5e 5f 61 62 63 64 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97
        98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af
        b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be bf
        ");
    assert_eq!(bytes_of(&image_header()), expected);
    assert_eq!(ImageHeader::parse(&expected), Ok((image_header(), &[][..])));
    assert_eq!(image_header().signed(), &expected[..192]);
}

#[test]
fn update_begin_write_finish() {
    let begin = UpdateBegin { flags: 1, reserved: 0, header: image_header() };
    assert_eq!(UpdateBegin::ALLOW_DOWNGRADE, 1);
    message(
        Kind::Request,
        Opcode::UpdateBegin,
        bytes_of(&begin),
        "
        01 00 00 00 00 00 00 00 53 50 55 49 01 00 01 00 02 00 00 00 11 12 13 14
        01 00 02 00 04 03 00 00 21 22 23 24 31 32 33 34 40 41 42 43 44 45 46 47
        48 49 4a 4b 4c 4d 4e 4f 50 51 52 53 54 55 56 57 58 59 5a 5b 5c 5d 5e 5f
        61 62 63 64 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f
        90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3 a4 a5 a6 a7
        a8 a9 aa ab ac ad ae af b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be bf
        ",
    );
    let piece = UpdateWrite { offset: 0x0403_0201, reserved: 0 };
    let piece = written(|out| {
        out.put(&piece).put_bytes(&[0xab, 0xcd, 0xef]);
    });
    message(
        Kind::Request,
        Opcode::UpdateWrite,
        &piece,
        "
        01 02 03 04 00 00 00 00 ab cd ef
        ",
    );
    wire(
        Kind::Request,
        Opcode::UpdateWrite,
        &piece,
        "
        06 53 50 01 01 61 02 0b 08 11 10 55 5e 03 02 01 01 01 01 01 05 01 02 03
        04 01 01 01 08 ab cd ef d5 47 b8 ef 00
        ",
    );
    assert_eq!((UpdateWrite::ALIGN, UpdateWrite::MAX_DATA), (32, 4064));
    message(Kind::Request, Opcode::UpdateFinish, &[], "");
    let progress = UpdateProgress { state: 2, error: 0x12, done: 0x1413_1211, total: 0x2423_2221 };
    for opcode in [Opcode::UpdateBegin, Opcode::UpdateWrite, Opcode::UpdateFinish] {
        message(Kind::Reply, opcode, bytes_of(&progress), "02 00 12 00 11 12 13 14 21 22 23 24");
    }
}

#[test]
fn bulk_memory() {
    for (number, region) in [
        (0, Region::J),
        (1, Region::H),
        (2, Region::Jt),
        (3, Region::Input),
        (4, Region::Initial),
        (5, Region::State),
    ] {
        assert_eq!((region as u16, Region::from_u16(number)), (number, Some(region)));
    }
    let request = BulkRequest { region: 2, count: 2, first: 0x0403_0201 };
    let words = hex("11 12 13 14 21 22 23 24");
    message(
        Kind::Request,
        Opcode::BulkWrite,
        &[bytes_of(&request), &words].concat(),
        "02 00 02 00 01 02 03 04 11 12 13 14 21 22 23 24",
    );
    message(Kind::Reply, Opcode::BulkWrite, &[], "");
    message(Kind::Request, Opcode::BulkRead, bytes_of(&request), "02 00 02 00 01 02 03 04");
    message(Kind::Reply, Opcode::BulkRead, &words, "11 12 13 14 21 22 23 24");
    let sizes = (BulkRequest::MAX_WRITE, BulkRequest::MAX_READ, BulkRequest::PAGE_WORDS);
    assert_eq!(sizes, (1022, 256, 4096));
    // Rows are padded to whole words.
    assert_eq!([Region::J, Region::H, Region::State].map(|r| r.words(3, 5)), [9, 6, 3]);
}

#[test]
fn update_status_and_confirm() {
    let select = UpdateSelect { kind: 2 };
    message(Kind::Request, Opcode::UpdateStatus, bytes_of(&select), "02 00 00 00");
    message(Kind::Request, Opcode::UpdateConfirm, bytes_of(&select), "02 00 00 00");
    message(Kind::Reply, Opcode::UpdateConfirm, &[], "");
    let slot = |first: u32, state| SlotStatus {
        build_id: first + 1,
        length: first + 2,
        sequence: first + 3,
        version: [1, 2, 0x0304],
        state,
        reserved: 0,
    };
    let status = UpdateStatus {
        progress: UpdateProgress { state: 2, error: 0x12, done: 0x1413_1211, total: 0x2423_2221 },
        room: 0x3433_3231,
        page: 0x4443_4241,
        piece: 4064,
        target: 0x4111_1043,
        running: 1,
        slots: [slot(0x5152_5350, 3), slot(0x6162_6360, 2)],
    };
    message(
        Kind::Reply,
        Opcode::UpdateStatus,
        bytes_of(&status),
        "
        02 00 12 00 11 12 13 14 21 22 23 24 31 32 33 34 41 42 43 44 e0 0f 00 00
        43 10 11 41 01 00 00 00 51 53 52 51 52 53 52 51 53 53 52 51 01 00 02 00
        04 03 03 00 61 63 62 61 62 63 62 61 63 63 62 61 01 00 02 00 04 03 02 00
        ",
    );
    wire(
        Kind::Reply,
        Opcode::UpdateStatus,
        bytes_of(&status),
        "
        06 53 50 01 02 63 02 48 08 11 10 55 5e 03 02 01 01 01 01 01 02 02 02 12
        13 11 12 13 14 21 22 23 24 31 32 33 34 41 42 43 44 e0 0f 01 06 43 10 11
        41 01 01 01 0e 51 53 52 51 52 53 52 51 53 53 52 51 01 02 02 04 04 03 03
        0e 61 63 62 61 62 63 62 61 63 63 62 61 01 02 02 04 04 03 02 05 cf 57 af
        e9 00
        ",
    );
}
