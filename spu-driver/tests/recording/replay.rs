//! A recorded run comes out of its recording again, and another is refused.

use std::path::Path;
use std::time::Duration;

use spu_driver::link::Replay;
use spu_driver::link::faulty::{Direction, LinkFault, Schedule};
use spu_driver::{Client, Deadline, Device, Error, FaultyLink, Link, open, time};
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;

use crate::support::{URI, board, everything, record, replay, soon};

#[test]
fn a_run_is_what_it_is_without_a_tap_and_comes_out_of_its_recording() {
    let plain = everything(Box::new(board()), 7);
    assert!(plain.iter().all(|result| !result.starts_with("Err")), "{plain:.300?}");
    let (recorded, recording) = record(board(), |link| everything(link, 7));
    assert!(plain == recorded, "a tap changes nothing");
    assert!(replay(&recording, |link| everything(link, 7)) == plain);
}

/// Loss, damage, doubles, delays and disconnections of the recorded run happen again, without its
/// pauses: the clock is virtual in both.
#[test]
fn a_run_with_faults_comes_out_of_its_recording() {
    let _clock = time::pause();
    let mut failures = 0;
    for seed in 0..120 {
        let rate = [0.02, 0.1, 0.3, 0.6][seed as usize % 4];
        let faults = Schedule::random(seed, rate, Duration::from_millis(400));
        let link = FaultyLink::new(board(), faults);
        let (recorded, recording) = record(link, |link| everything(link, 7));
        failures += recorded.iter().filter(|result| result.starts_with("Err")).count();
        let again = replay(&recording, |link| everything(link, 7));
        assert_eq!(recorded.len(), again.len(), "{seed}: {:.300} {:.300}", recorded[0], again[0]);
        for (recorded, again) in recorded.iter().zip(&again) {
            // What a disconnected host was doing is told in the recorded link's words or the
            // replay's.
            let during = |result: &str| match result.find("isconnected") {
                Some(at) => result[..at].to_owned(),
                None => result.to_owned(),
            };
            assert!(during(recorded) == during(again), "{seed}: {recorded:.400} {again:.400}");
        }
    }
    assert!(failures > 20, "the faults show: {failures}");
}

/// A device that never answers, recorded, is silent again.
#[test]
fn silence_comes_out_of_its_recording() {
    let _clock = time::pause();
    let open = |link| Client::open(link, URI, soon()).err().map(|error| error.to_string());
    let lost = (0..100).map(|frame| (Direction::ToHost, frame, LinkFault::Drop));
    let (recorded, recording) = record(FaultyLink::new(board(), Schedule::script(lost)), open);
    assert!(recorded.as_ref().is_some_and(|text| text.contains("did not finish")), "{recorded:?}");
    assert_eq!(replay(&recording, open), recorded);
}

#[test]
fn the_first_request_that_differs_is_told() {
    let (_, recording) = record(board(), |link| everything(link, 7));
    let again = replay(&recording, |link| everything(link, 8));
    let told = again.iter().find(|result| result.starts_with("Err")).expect("a difference");
    for part in ["request: 5,", "WriteRegs: words[0] was 0x7 in the recording and is 0x8 now"] {
        assert!(told.contains(part), "{told}");
    }

    let ((), recording) = record(board(), |link| {
        let mut device = Client::open(link, URI, soon()).unwrap();
        device.ping(b"abc", soon()).unwrap();
    });
    let differs = |run: fn(&mut dyn Device) -> Result<(), Error>| {
        let error = replay(&recording, |link| {
            let mut device = Client::open(link, URI, soon()).unwrap();
            run(&mut device).unwrap_err()
        });
        assert!(matches!(&error, Error::Recording(_)), "{error:?}");
        error.to_string()
    };
    let text = differs(|device| device.ping(b"abd", soon()));
    assert!(text.contains("request 3") && text.contains("Ping: data, octet 2"), "{text}");
    assert!(text.contains("0x63") && text.contains("0x64"), "{text}");
    let text = differs(|device| device.ping(b"ab", soon()));
    assert!(text.contains("Ping: data was") && text.contains("same command"), "{text}");
    let text = differs(|device| device.read_regs(0, &mut [0], soon()));
    assert!(text.contains("the operation was Ping in the recording and is ReadRegs"), "{text}");
    let text = differs(|device| {
        device.ping(b"abc", soon()).unwrap();
        device.ping(b"abc", soon())
    });
    assert!(text.contains("request 4") && text.contains("the recorded run was over"), "{text}");
}

#[test]
fn differences_name_fields_lengths_and_octets() {
    let header =
        |length, sequence| Header::new(Kind::Request, Opcode::Acquire as u16, 3, sequence, length);
    let difference = spu_driver::recording::difference;
    let (a, b) = ([7; 24], [7; 23]);
    assert_eq!(difference((&header(24, 1), &a), (&header(24, 1), &a)), None);
    let text = difference((&header(24, 1), &a), (&header(24, 2), &a)).unwrap();
    assert_eq!(text, "Acquire: sequence was 1 in the recording and is 2 now");
    let text = difference((&header(24, 1), &a), (&header(23, 1), &b)).unwrap();
    assert!(text.starts_with("Acquire: the field at octet 16 was granted"), "{text}");
    let mut c = a;
    c[12] = 6;
    let text = difference((&header(24, 1), &a), (&header(24, 1), &c)).unwrap();
    assert_eq!(text, "Acquire: flags was 117901063 in the recording and is 117901062 now");
}

#[test]
fn a_recording_that_stops_early_says_so() {
    let (_, recording) = record(board(), |link| everything(link, 7));
    let again = replay(&recording[..recording.len() / 2], |link| everything(link, 7));
    let told = again.iter().find(|result| result.starts_with("Err")).expect("the end");
    assert!(told.contains("CutShort"), "{told:.300}");
}

#[test]
fn replay_opens_by_its_uri() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.spu");
    let (results, recording) = record(board(), |link| everything(link, 7));
    std::fs::write(&path, recording).unwrap();
    let device = open(&format!("replay:{}", path.display())).unwrap();
    assert_eq!(format!("{:?}", device.info()), results[0]);
    let replay = Replay::open(&path).unwrap();
    assert_eq!(replay.origin().uri, URI);

    let error = open("replay:/nowhere/run.spu").err().expect("there is none");
    assert!(matches!(&error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("--record"), "{error}");
    let error = Replay::open(Path::new(env!("CARGO_MANIFEST_DIR"))).err().expect("a directory");
    assert!(matches!(&error, Error::Recording(_)), "{error}");
}

/// A host that reads in smaller pieces than the recorded one.
#[test]
fn a_host_with_a_smaller_buffer_replays_too() {
    let (recorded, recording) = record(board(), |link| everything(link, 7));
    for most in [1000, 5000, 9000] {
        let again = replay(&recording, |link| everything(Box::new(Sips(link, most)), 7));
        assert!(again == recorded, "{most}");
    }
}

/// Reads at most so many octets at once.
struct Sips(Box<dyn Link>, usize);

impl Link for Sips {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.0.write(bytes, deadline)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most], deadline)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn nonce(&mut self) -> Option<u64> {
        self.0.nonce()
    }
}
