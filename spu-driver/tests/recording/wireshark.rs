//! The export for Wireshark, and the dissector that comes with it.

use std::fmt::Debug;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use spu_driver::FaultyLink;
use spu_driver::link::faulty::{Direction, LinkFault, Schedule};
use spu_driver::recording::{Content, FrameRecord, Frames, Reader, pcapng};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::Kind;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;

use crate::support::{board, everything, record};

fn dissector() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/wireshark/spu.lua")
}

/// A recording with damage and a disconnection in it.
fn recording() -> Vec<u8> {
    let faults = Schedule::script([
        (Direction::ToHost, 3, LinkFault::Flip { bit: 12 }),
        (Direction::ToHost, 6, LinkFault::Disconnect(Duration::from_millis(10))),
    ]);
    record(FaultyLink::new(board(), faults), |link| everything(link, 7)).1
}

fn frames(recording: &[u8]) -> Vec<FrameRecord> {
    let mut frames = Frames::new(Reader::new(Cursor::new(recording)).unwrap());
    std::iter::from_fn(|| frames.next_frame().unwrap()).collect()
}

fn exported(recording: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frames = Frames::new(Reader::new(Cursor::new(recording)).unwrap());
    let (_, damage) = pcapng::export(&mut frames, &mut bytes).unwrap();
    assert!(damage.is_none());
    bytes
}

fn word(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize
}

/// The blocks by the specification (draft-ietf-opsawg-pcapng): type, length, body, length again.
#[test]
fn the_export_is_pcapng_with_a_packet_a_frame() {
    let recording = recording();
    let (frames, bytes) = (frames(&recording), exported(&recording));
    let mut blocks = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (kind, length) = (word(rest), word(&rest[4..]));
        assert!(length % 4 == 0 && word(&rest[length - 4..]) == length);
        blocks.push((kind, &rest[8..length - 4]));
        rest = &rest[length..];
    }
    assert_eq!((blocks[0].0, word(blocks[0].1)), (0x0a0d_0d0a, 0x1a2b_3c4d));
    assert_eq!((blocks[1].0, &blocks[1].1[..2]), (1, &147_u16.to_le_bytes()[..]));
    let start = Reader::new(Cursor::new(&recording)).unwrap().origin().start;
    assert_eq!(blocks.len() - 2, frames.len());
    for ((kind, body), frame) in blocks[2..].iter().zip(&frames) {
        assert_eq!(*kind, 6);
        let time = (word(&body[4..]) as u128) << 32 | word(&body[8..]) as u128;
        assert_eq!(time, (start + frame.time).as_nanos());
        let length = word(&body[12..]);
        assert_eq!(length, word(&body[16..]));
        let (pseudo, data) = body[20..20 + length].split_at(4);
        assert_eq!((pseudo[0], pseudo[1]), (1, u8::from(!frame.to_device)));
        match &frame.content {
            Content::Frame { header, payload } => {
                assert_eq!(pseudo[2], 0);
                assert_eq!(data, [bytemuck::bytes_of(header), payload].concat());
            }
            Content::Bad { octets, .. } => {
                assert!((1..5).contains(&pseudo[2]));
                assert_eq!(data, octets);
            }
            Content::Failed(failure) => {
                assert_eq!((pseudo[2], data), (5, failure.message.as_bytes()));
            }
            Content::Reconnected => assert_eq!((pseudo[2], data), (6, &[][..])),
        }
    }
    let bad = frames.iter().filter(|frame| matches!(frame.content, Content::Bad { .. })).count();
    let back = frames.iter().filter(|frame| frame.content == Content::Reconnected).count();
    assert_eq!((bad, back), (1, 1));
}

/// Numbers and names of a table in the dissector.
fn table(lua: &str, name: &str) -> Vec<(u32, String)> {
    let start = lua.find(&format!("local {name} = {{")).expect(name);
    let body = lua[start..].lines().skip(1).take_while(|line| *line != "}");
    let entry = |line: &str| {
        let (number, name) =
            line.trim().strip_prefix('[')?.strip_suffix("\",")?.split_once("] = \"")?;
        let number = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        Some((number.ok()?, name.to_owned()))
    };
    body.map(|line| entry(line).unwrap_or_else(|| panic!("{name}: {line}"))).collect()
}

fn expected<T: Debug>(
    all: impl IntoIterator<Item = T>,
    number: fn(&T) -> u32,
) -> Vec<(u32, String)> {
    all.into_iter().map(|value| (number(&value), format!("{value:?}"))).collect()
}

/// If this fails, write the missing line into tools/wireshark/spu.lua.
#[test]
fn the_dissector_has_every_number_and_name_of_the_protocol() {
    let lua = fs::read_to_string(dissector()).unwrap();
    assert_eq!(table(&lua, "OPCODES"), expected(Opcode::ALL, |opcode| *opcode as u32));
    assert_eq!(table(&lua, "ERRORS"), expected(ErrorCode::ALL, |error| *error as u32));
    let kinds = (0..=255).filter_map(Kind::from_u8);
    assert_eq!(table(&lua, "KINDS"), expected(kinds, |kind| *kind as u32));
    let states = (0..=255).filter_map(State::from_u8);
    assert_eq!(table(&lua, "STATES"), expected(states, |state| *state as u32));
}

/// Wireshark's own program reads the export with the dissector: the same operations, kinds and
/// sequences, no packet malformed.
#[test]
fn tshark_reads_the_export() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed (apt-get install tshark)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.pcapng");
    let recording = recording();
    fs::write(&file, exported(&recording)).unwrap();
    let columns = ["direction", "content", "opcode", "kind", "session", "sequence", "malformed"];
    let mut command = Command::new("tshark");
    command.env("HOME", directory.path()).arg("-X");
    command.arg(format!("lua_script:{}", dissector().display())).arg("-r").arg(&file);
    command.args(["-T", "fields", "-E", "separator=,"]);
    for column in columns {
        command.arg("-e").arg(format!("spu.{column}"));
    }
    let output = command.output().unwrap();
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("Lua"), "{errors}");
    let expected: Vec<String> = frames(&recording)
        .iter()
        .map(|frame| {
            let direction = u8::from(!frame.to_device);
            match &frame.content {
                Content::Frame { header, .. } => format!(
                    "{direction},0,0x{:04x},{},0x{:08x},{},",
                    header.opcode, header.kind, header.session, header.sequence
                ),
                Content::Bad { .. } => format!("{direction},3,,,,,"),
                Content::Failed(_) => format!("{direction},5,,,,,"),
                Content::Reconnected => format!("{direction},6,,,,,"),
            }
        })
        .collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
