//! Credits and cancelling, exhaustively: the real client and the real firmware on a simulated board,
//! and between them a link whose every frame may be lost, late or doubled. All ways to place a
//! number of such faults and a cancel are run, one after the other.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spu_driver::time;
use spu_driver::{
    CancelHandle, Client, Deadline, Device as _, Error, FrameBlock, Link, Outcome, Sink,
};
use spu_protocol::code::AdcCode;
use spu_protocol::codec::{DELIMITER, Decoder};
use spu_protocol::header::Kind;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{AcquireRequest, CreditRequest, exact};
use spu_sim::{Activity, Profile, SimBoard, SimConfig};

use crate::{plan, program};

/// Goes through all sequences of choices, of which so many may be other than the first option.
struct Choices {
    /// What was chosen, and out of how many, by the run before.
    path: Vec<(usize, usize)>,
    /// Choices made in this run.
    made: usize,
    left: usize,
    budget: usize,
}

impl Choices {
    fn new(budget: usize) -> Self {
        Self { path: Vec::new(), made: 0, left: budget, budget }
    }

    /// One of `options`; 0 once the budget is used up.
    fn choose(&mut self, options: usize) -> usize {
        if self.left == 0 {
            return 0;
        }
        if self.made == self.path.len() {
            self.path.push((0, options));
        }
        let (chosen, of) = self.path[self.made];
        assert_eq!(of, options, "a run repeats itself up to its last choice: {:?}", self.faults());
        self.made += 1;
        self.left -= usize::from(chosen > 0);
        chosen
    }

    /// The faults of this run: which choice, and what was chosen.
    fn faults(&self) -> Vec<(usize, usize)> {
        let chosen = self.path.iter().map(|(chosen, _)| *chosen).enumerate();
        chosen.filter(|(_, chosen)| *chosen > 0).collect()
    }

    /// The next sequence; false once there is none.
    fn next(&mut self) -> bool {
        assert!(self.made <= self.path.len());
        self.path.truncate(self.made);
        (self.made, self.left) = (0, self.budget);
        while let Some((chosen, options)) = self.path.pop() {
            if chosen + 1 < options {
                self.path.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// What the link does, and what it has seen.
struct Script {
    choices: Choices,
    /// Nothing goes wrong before.
    armed: bool,
    cancel: Option<CancelHandle>,
    /// Blocks that the device was granted, by what it was given.
    granted: u64,
    /// Blocks that it sent.
    sent: u64,
    blocks_lost: u64,
    requests: usize,
}

/// Fate of a frame, by its number among the options.
const FATES: usize = 4;
const LOST: usize = 1;
const LATE: usize = 2;
const DOUBLED: usize = 3;

impl Script {
    /// The fate of a frame. A late frame from the host would only stand for a lost one.
    fn fate(&mut self, from_device: bool) -> usize {
        if !self.armed {
            return 0;
        }
        let fate = self.choices.choose(if from_device { FATES } else { 3 });
        if !from_device && fate == LATE { DOUBLED } else { fate }
    }

    /// Here somebody may press Ctrl-C, once.
    fn maybe_cancel(&mut self) {
        if self.armed && self.cancel.is_some() && self.choices.choose(2) == 1 {
            self.cancel.take().expect("there is one").cancel();
        }
    }
}

struct Scripted {
    board: SimBoard,
    script: Arc<Mutex<Script>>,
    /// Octets of the device that are no whole frame yet.
    part: Vec<u8>,
    /// Frames under way to the host, late ones apart.
    frames: std::collections::VecDeque<Vec<u8>>,
    late: Vec<Vec<u8>>,
    given: Vec<u8>,
}

/// Calls `take` for each frame in these octets.
fn frames(octets: &[u8], mut take: impl FnMut(u8, Option<Opcode>, &[u8])) {
    let mut decoder = Decoder::new();
    let mut rest = octets;
    while let Some(frame) = decoder.push(&mut rest) {
        let frame = frame.expect("both ends send good frames");
        take(frame.header.kind, Opcode::from_u16(frame.header.opcode), frame.payload);
    }
}

impl Scripted {
    /// Lets the device work for a moment; its whole frames are under way then.
    fn work(&mut self) -> Activity {
        let activity = self.board.poll(&mut self.part);
        while let Some(end) = self.part.iter().position(|octet| *octet == DELIMITER) {
            let frame: Vec<u8> = self.part.drain(..=end).collect();
            let mut script = self.script.lock().unwrap();
            frames(&frame, |kind, opcode, _| {
                if kind == Kind::Event as u8 && opcode == Some(Opcode::StreamBlock) {
                    script.sent += 1;
                    assert!(script.sent <= script.granted, "more blocks than were granted");
                }
            });
            self.frames.push_back(frame);
        }
        activity
    }

    /// Gives a frame to the device.
    fn deliver(&mut self, bytes: &[u8]) {
        let mut script = self.script.lock().unwrap();
        frames(bytes, |_, opcode, payload| match opcode {
            Some(Opcode::Acquire) => {
                // The same request again is not executed again.
                let request: AcquireRequest = exact(payload).unwrap();
                script.granted = script.granted.max(request.granted);
            }
            Some(Opcode::Credit) => {
                let request: CreditRequest = exact(payload).unwrap();
                assert!(request.granted >= script.granted, "a grant is never taken back");
                script.granted = request.granted;
            }
            _ => {}
        });
        drop(script);
        self.board.receive(bytes);
    }
}

impl Scripted {
    fn forget(&mut self) {
        self.frames.clear();
        self.late.clear();
        self.given.clear();
    }
}

impl Link for Scripted {
    fn write(&mut self, bytes: &[u8], _deadline: Deadline) -> Result<(), Error> {
        let fate = {
            let mut script = self.script.lock().unwrap();
            script.requests += 1;
            assert!(script.requests < 10_000, "the host asks for ever");
            script.maybe_cancel();
            script.fate(false)
        };
        for _ in 0..[1, 0, 1, 2][fate] {
            self.deliver(bytes);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        while self.given.is_empty() {
            if let Some(frame) = self.frames.pop_front() {
                let mut script = self.script.lock().unwrap();
                script.maybe_cancel();
                match script.fate(true) {
                    LOST => frames(&frame, |_, opcode, _| {
                        script.blocks_lost += u64::from(opcode == Some(Opcode::StreamBlock));
                    }),
                    LATE => self.late.push(frame),
                    DOUBLED => self.given = [&frame[..], &frame].concat(),
                    _ => self.given = frame,
                }
                continue;
            }
            time::advance(Duration::from_micros(1));
            if self.work() == Activity::Worked || !self.frames.is_empty() {
                continue;
            }
            // Nothing comes before the host gives up waiting; after that, what was late.
            time::sleep(deadline.left());
            self.frames.extend(self.late.drain(..));
            return Ok(0);
        }
        let count = self.given.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.given[..count]);
        self.given.drain(..count);
        Ok(count)
    }

    fn describe(&self) -> String {
        "scripted".into()
    }

    fn nonce(&mut self) -> Option<u64> {
        Some(1)
    }
}

/// Counts frames and checks their codes.
struct Check<'a> {
    expected: &'a [AdcCode],
    next: u64,
    delivered: u64,
    lost: u64,
}

impl Sink for Check<'_> {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        assert_eq!(block.first_frame, self.next + block.lost_before);
        let start = block.first_frame as usize * 8;
        assert!(block.codes == &self.expected[start..][..block.codes.len()], "other codes");
        let count = block.codes.len() as u64 / 8;
        self.next = block.first_frame + count;
        self.delivered += count;
        self.lost += block.lost_before;
        Ok(())
    }
}

struct Tally {
    runs: u64,
    complete: u64,
    cancelled: u64,
    lossy: u64,
}

/// Runs a stream of a few blocks under every script of up to `faults` faults, a cancel counted as
/// one of them, with so many blocks granted ahead.
fn explore(window: u64, frames: u32, faults: usize, cancels: bool) -> Tally {
    let _paused = time::pause();
    let plan = plan(20, 1, frames);
    let config = SimConfig {
        profile: Profile::named("ideal").unwrap(),
        seed: 1,
        copy: 0,
        without: std::collections::BTreeSet::default(),
    };
    let mut board = SimBoard::new(config).unwrap();
    board.set_clock(time::now);
    let script = Arc::new(Mutex::new(Script {
        choices: Choices::new(faults),
        armed: false,
        cancel: None,
        granted: 0,
        sent: 0,
        blocks_lost: 0,
        requests: 0,
    }));
    let link = Scripted {
        board,
        script: script.clone(),
        part: Vec::new(),
        frames: std::collections::VecDeque::default(),
        late: Vec::new(),
        given: Vec::new(),
    };
    let minute = || Deadline::after_secs(60);
    let mut client = Client::open(link, "scripted", minute()).unwrap();
    client.set_window(NonZeroU64::new(window).unwrap());
    let program = program(client.info());
    let expected = crate::fault_free("sim:profile=ideal,seed=1", &plan);
    let mut tally = Tally { runs: 0, complete: 0, cancelled: 0, lossy: 0 };
    loop {
        client.load(&program, minute()).unwrap();
        let cancel = client.cancel_handle();
        cancel.clear();
        // What the run before left under way is not a part of this one.
        client.link_mut().forget();
        {
            let mut script = script.lock().unwrap();
            script.armed = true;
            script.cancel = cancels.then_some(cancel);
            (script.granted, script.sent, script.blocks_lost, script.requests) = (0, 0, 0, 0);
        }
        let mut check = Check { expected: &expected, next: 0, delivered: 0, lost: 0 };
        let result = client.acquire(&plan, &mut check, minute());
        let mut script = script.lock().unwrap();
        let path = script.choices.faults();
        let report = result.unwrap_or_else(|error| panic!("{error} after {path:?}"));
        assert_eq!(check.delivered + report.lost, report.kept, "after {path:?}");
        assert!(check.lost <= report.lost);
        if report.outcome == Outcome::Complete {
            assert_eq!(report.kept, u64::from(frames), "after {path:?}");
            let lossless = script.blocks_lost == 0 && path.iter().all(|(_, fate)| *fate != LATE);
            assert!(report.lost == 0 || !lossless, "lost without a reason after {path:?}");
            tally.complete += 1;
        } else {
            assert!(script.cancel.is_none() && cancels, "nobody cancelled");
            tally.cancelled += 1;
        }
        tally.lossy += u64::from(report.lost > 0 && report.outcome == Outcome::Complete);
        tally.runs += 1;
        script.armed = false;
        if !script.choices.next() {
            return tally;
        }
    }
}

#[test]
fn every_frame_is_delivered_or_reported_lost_whatever_the_link_does() {
    for (window, faults) in [(1, 2), (2, 3), (3, 2)] {
        let tally = explore(window, 1200, faults, false);
        println!("window {window}: {} runs, {} with losses", tally.runs, tally.lossy);
        assert_eq!(tally.complete, tally.runs);
        assert!(tally.lossy > 0 && tally.runs > 100);
    }
}

#[test]
fn a_cancel_at_any_moment_is_heard() {
    for (window, faults) in [(1, 2), (2, 3)] {
        let tally = explore(window, 1200, faults, true);
        println!("window {window}: {} runs, {} cancelled", tally.runs, tally.cancelled);
        assert!(tally.cancelled > 0 && tally.complete > 0);
    }
}
