//! The player of recordings, and the client that talks to it.

use std::io::{self, Cursor, Write};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use spu_driver::link::{InProcess, Replay, Tap};
use spu_driver::recording::{Event, Reader, Record, Recorder};
use spu_driver::sim::sim_board;
use spu_driver::uri::SimOptions;
use spu_driver::{
    AcquirePlan, Client, Deadline, Device, Error, Link, NullSink, Program, ResetLevel, time,
};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};

/// Time that each call is allowed.
const CALL: Duration = Duration::from_secs(2);
/// Most changes of the recording.
const MOST_EDITS: usize = 24;
/// Longest time that a call may take beyond what it is allowed: the last wait of a poll.
const GRACE: Duration = Duration::from_millis(50);

/// A genuine run, recorded, then changed record by record and replayed to the same host: every call
/// ends by its deadline, nothing panics; unchanged, the run is the recorded one.
pub fn replay(data: &[u8]) {
    static GENUINE: LazyLock<(Vec<String>, Vec<Record>)> = LazyLock::new(genuine);
    let _clock = time::pause();
    let (results, records) = &*GENUINE;
    let mut input = Unstructured::new(data);
    let mut edited = records.clone();
    let mut edits = 0;
    while edits < MOST_EDITS && !input.is_empty() && !edited.is_empty() {
        let Ok(edit) = Edit::arbitrary(&mut input) else { break };
        edit.apply(&mut edited);
        edits += 1;
    }
    let file = written(&edited);
    let reader = Reader::new(Cursor::new(file)).expect("its header is right");
    let again = host(Box::new(Replay::new(reader, "memory".into())));
    if edits == 0 {
        assert_eq!(again, *results);
    }
}

/// A change of a recording; `at` wraps around.
#[derive(Debug, Arbitrary)]
enum Edit {
    Drop { at: u8 },
    Double { at: u8 },
    Swap { a: u8, b: u8 },
    Flip { at: u8, octet: u16, bits: u8 },
    Cut { at: u8, length: u16 },
    Insert { at: u8, octets: Vec<u8>, to_device: bool },
    Fail { at: u8, read: bool, timeout: bool },
    Reconnect { at: u8 },
    Silence { at: u8 },
    End { at: u8 },
}

impl Edit {
    fn apply(self, records: &mut Vec<Record>) {
        let count = records.len();
        let place = |at: u8| usize::from(at) % count;
        let insert = |records: &mut Vec<Record>, at, event| {
            let time = records[place(at)].time;
            records.insert(place(at), Record { time, event });
        };
        match self {
            Self::Drop { at } => {
                records.remove(place(at));
            }
            Self::Double { at } => {
                let record = records[place(at)].clone();
                records.insert(place(at), record);
            }
            Self::Swap { a, b } => records.swap(place(a), place(b)),
            Self::Flip { at, octet, bits } => {
                if let Some(octets) = octets(&mut records[place(at)].event)
                    && !octets.is_empty()
                {
                    let octet = usize::from(octet) % octets.len();
                    octets[octet] ^= bits;
                }
            }
            Self::Cut { at, length } => {
                if let Some(octets) = octets(&mut records[place(at)].event) {
                    octets.truncate(length.into());
                }
            }
            Self::Insert { at, octets, to_device: true } => {
                insert(records, at, Event::ToDevice(octets));
            }
            Self::Insert { at, octets, .. } => insert(records, at, Event::FromDevice(octets)),
            Self::Fail { at, read, timeout } => {
                use spu_driver::recording::{Cause, During, Failure};
                let during = if read { During::Read } else { During::Write };
                let cause = if timeout { Cause::Timeout } else { Cause::Disconnected };
                let failure = Failure { during, cause, message: String::new() };
                insert(records, at, Event::Failed(failure));
            }
            Self::Reconnect { at } => insert(records, at, Event::Reconnected),
            Self::Silence { at } => insert(records, at, Event::Silence),
            Self::End { at } => records.truncate(place(at)),
        }
    }
}

fn octets(event: &mut Event) -> Option<&mut Vec<u8>> {
    match event {
        Event::ToDevice(octets) | Event::FromDevice(octets) => Some(octets),
        _ => None,
    }
}

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn genuine() -> (Vec<String>, Vec<Record>) {
    let _clock = time::pause();
    let memory = Memory::default();
    let recorder = Recorder::new(Box::new(memory.clone()), "sim").expect("memory takes all");
    let options = SimOptions { profile: "ideal".into(), ..SimOptions::default() };
    let board = InProcess::new(sim_board(&options).expect("the profile is usable"));
    let results = host(Box::new(Tap::new(board, recorder)));
    let mut reader = Reader::new(Cursor::new(memory.take())).expect("a recording");
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().expect("an undamaged recording") {
        records.push(record);
    }
    (results, records)
}

/// The records as a file.
fn written(records: &[Record]) -> Vec<u8> {
    let memory = Memory::default();
    let mut recorder = Recorder::new(Box::new(memory.clone()), "sim").expect("memory takes all");
    for record in records {
        match &record.event {
            Event::ToDevice(octets) => recorder.to_device(octets),
            Event::FromDevice(octets) => recorder.from_device(octets),
            Event::Failed(failure) => {
                use spu_driver::recording::Cause;
                let error = match failure.cause {
                    Cause::Timeout => Deadline::after(CALL).timeout("a test"),
                    _ => Error::Disconnected { during: "a test" },
                };
                recorder.failed(failure.during, &error);
            }
            Event::Reconnected => recorder.reconnected(),
            Event::Silence => recorder.silence(),
            Event::Closed => break,
        }
    }
    drop(recorder);
    memory.take()
}

/// Every call once. The results as text, without wall times.
fn host(link: Box<dyn Link>) -> Vec<String> {
    let mut results = Vec::new();
    let mut device = match timed(|deadline| Client::open(link, "replay", deadline)) {
        Ok(device) => device,
        Err(error) => return vec![error.to_string()],
    };
    results.push(format!("{:?}", device.info()));
    results.push(format!("{:?}", timed(|deadline| device.ping(b"abc", deadline))));
    let mut words = [0; 2];
    results.push(format!("{:?}", timed(|deadline| device.read_regs(0, &mut words, deadline))));
    let (cells, couplings) = (device.info().cells, device.info().couplings);
    let program = Program {
        self_codes: vec![CouplingCode(9); cells],
        coupling_codes: vec![CouplingCode(0); couplings],
        gain_codes: vec![GainCode(2048); cells],
        bias_codes: vec![DacCode(0); cells],
        storage_codes: Vec::new(),
        seeds: Some((1..=cells as u32).map(|cell| [cell, 2, 3, 4]).collect()),
        discharge: true,
    };
    results.push(format!("{:?}", timed(|deadline| device.load(&program, deadline))));
    for stream in [false, true] {
        let plan = AcquirePlan {
            settle: Ticks(50),
            decimation: 2.try_into().expect("not zero"),
            count: 400.try_into().expect("not zero"),
            moments: true,
            stream,
            realtime: false,
        };
        let report = timed(|deadline| device.acquire(&plan, &mut NullSink, deadline));
        results.push(format!("{:?}", report.map(|report| (report.kept, report.moments))));
    }
    let reset = timed(|deadline| device.reset(ResetLevel::Session, deadline));
    results.push(format!("{reset:?}"));
    results
}

/// A call that ends by its deadline.
fn timed<T>(call: impl FnOnce(Deadline) -> Result<T, Error>) -> Result<T, Error> {
    let start = time::now();
    let result = call(Deadline::after(CALL));
    assert!(time::now() - start <= CALL + GRACE, "{:?}", time::now() - start);
    result
}
