//! Recordings that are cut, damaged, of another kind, or on a full disk.

use std::io::{self, Cursor, Write};
use std::path::Path;

use spu_driver::link::Tap;
use spu_driver::recording::{
    Content, Event, FrameRecord, Frames, Reader, Record, Recorder, RecordingError,
};
use spu_driver::{Client, Device, Link};

use crate::support::{Memory, URI, board, record, soon};

fn read(bytes: &[u8]) -> (Vec<Record>, Result<bool, RecordingError>) {
    let mut reader = match Reader::new(Cursor::new(bytes)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut records = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, Ok(reader.closed())),
            Err(error) => {
                assert!(matches!(reader.next_record(), Ok(None)), "nothing after an error");
                return (records, Err(error));
            }
        }
    }
}

fn hello_and_ping(link: Box<dyn Link>) {
    let mut device = Client::open(link, URI, soon()).unwrap();
    device.ping(b"abc", soon()).unwrap();
}

#[test]
fn the_header_and_every_octet_are_kept() {
    let before = std::time::SystemTime::now();
    let ((), recording) = record(board(), hello_and_ping);
    let reader = Reader::new(Cursor::new(&recording)).unwrap();
    assert_eq!(reader.origin().uri, URI);
    assert_eq!(reader.origin().host, env!("CARGO_PKG_VERSION"));
    let start = std::time::UNIX_EPOCH + reader.origin().start;
    assert!(before <= start && start <= std::time::SystemTime::now());

    let (records, closed) = read(&recording);
    assert!(closed.unwrap());
    assert!(records.is_sorted_by_key(|record| record.time));
    assert_eq!(records.last().unwrap().event, Event::Closed);
    let mut frames = Frames::new(reader);
    let mut opcodes = Vec::new();
    while let Some(FrameRecord { to_device, content, .. }) = frames.next_frame().unwrap() {
        let Content::Frame { header, payload } = content else { panic!("{content:?}") };
        assert_eq!(payload.len(), usize::from(header.length));
        opcodes.push((to_device, header.kind, header.opcode));
    }
    let both = |opcode| [(true, 1, opcode), (false, 2, opcode)];
    assert_eq!(opcodes, [both(1), both(0x10), both(0x11)].as_flattened());
}

/// What was whole before a cut or a flipped bit is read; the cut or flip is told, with its place.
#[test]
fn cut_and_damaged_recordings_are_read_up_to_there() {
    let ((), recording) = record(board(), hello_and_ping);
    let (whole, _) = read(&recording);
    let header =
        recording.len() - whole.iter().map(|record| 20 + data_len(&record.event)).sum::<usize>();
    for length in 0..recording.len() {
        let (records, end) = read(&recording[..length]);
        assert_eq!(records, whole[..records.len()]);
        match end {
            Ok(closed) => assert!(!closed && length >= header),
            Err(RecordingError::Empty) => assert_eq!(length, 0),
            Err(RecordingError::Header { .. }) => assert!(length < header),
            Err(RecordingError::CutShort { at, records: count }) => {
                assert_eq!(count, records.len() as u64);
                assert!(at < length as u64 && length >= header);
            }
            Err(error) => panic!("{length}: {error}"),
        }
    }
    for at in 0..recording.len() {
        for bit in [0, 3, 7] {
            let mut damaged = recording.clone();
            damaged[at] ^= 1 << bit;
            let (records, end) = read(&damaged);
            assert_eq!(records, whole[..records.len()]);
            let error = end.unwrap_err();
            match &error {
                RecordingError::NotARecording => assert!(at < 8),
                RecordingError::Version { found } => assert!((8..10).contains(&at) && *found != 1),
                RecordingError::Header { .. } => assert!((10..header).contains(&at)),
                RecordingError::Damaged { at: place, records: count, .. }
                | RecordingError::CutShort { at: place, records: count } => {
                    assert_eq!(*count, records.len() as u64);
                    let after = *place as usize + 20 + data_len(&whole[records.len()].event);
                    assert!((*place as usize..after).contains(&at), "{at}: {error}");
                }
                other => panic!("{at}: {other}"),
            }
        }
    }
}

fn data_len(event: &Event) -> usize {
    match event {
        Event::ToDevice(bytes) | Event::FromDevice(bytes) => bytes.len(),
        Event::Failed(failure) => 2 + failure.message.len(),
        Event::Reconnected | Event::Silence => 0,
        Event::Closed => 8,
    }
}

#[test]
fn other_files_are_told_apart() {
    let ((), recording) = record(board(), hello_and_ping);
    let mut newer = recording.clone();
    newer[8] = 2;
    for (bytes, part) in [
        (&b""[..], "is empty"),
        (b"%%MatrixMarket", "no recording"),
        (b"S", "no recording"),
        (&recording[..5], "cut short"),
        (&newer, "of format 2, this driver reads 1"),
    ] {
        let error = Reader::new(Cursor::new(bytes)).err().expect(part);
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = Recorder::create(Path::new("/nowhere/run.spu"), URI).err().expect("no directory");
    assert!(error.to_string().contains("/nowhere/run.spu"), "{error}");
}

/// A length beyond the file costs no memory, and one beyond the limit is damage.
#[test]
fn lengths_that_lie_cost_nothing() {
    let ((), recording) = record(board(), hello_and_ping);
    let (whole, _) = read(&recording);
    let first =
        recording.len() - whole.iter().map(|record| 20 + data_len(&record.event)).sum::<usize>();
    let mut lying = recording;
    lying[first..first + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read(&lying).1, Err(RecordingError::Damaged { records: 0, .. })));
    lying[first..first + 4].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    assert!(matches!(read(&lying).1, Err(RecordingError::CutShort { records: 0, .. })));
}

/// A disk with room for so many octets.
struct Disk(Memory, usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.1);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1 -= count;
        self.0.write(&bytes[..count])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_run() {
    let ((), whole) = record(board(), hello_and_ping);
    for room in (100..whole.len()).step_by(7) {
        let memory = Memory::default();
        let recorder = Recorder::new(Box::new(Disk(memory.clone(), room)), URI).unwrap();
        let health = recorder.health();
        hello_and_ping(Box::new(Tap::new(board(), recorder)));
        assert!(health.failure().is_some(), "{room}");
        assert_eq!(memory.bytes().len(), room);
        let (records, end) = read(&memory.bytes());
        assert!(records.iter().all(|record| record.event != Event::Closed));
        assert!(matches!(end, Ok(false) | Err(RecordingError::CutShort { .. })), "{end:?}");
    }
}

/// Nothing waits in the process: what a killed one leaves is everything until then.
#[test]
fn a_killed_process_leaves_what_was_recorded() {
    let memory = Memory::default();
    let recorder = Recorder::new(Box::new(memory.clone()), URI).unwrap();
    let mut device = Client::open(Tap::new(board(), recorder), URI, soon()).unwrap();
    device.ping(b"abc", soon()).unwrap();
    let (records, end) = read(&memory.bytes());
    assert!(!end.unwrap(), "not closed");
    assert_eq!(records.len(), 7, "a delimiter, three requests, three replies");
    drop(device);
    assert!(read(&memory.bytes()).1.unwrap(), "closed");
}
