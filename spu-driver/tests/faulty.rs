//! Each fault of a faulty link does what it says, and the same seed does it again.

use std::time::Duration;

use spu_driver::link::faulty::{Direction, LinkFault, Schedule};
use spu_driver::{Deadline, Error, FaultyLink, Link, time};

/// Gives back what it is given.
#[derive(Default)]
struct Loopback(Vec<u8>);

impl Link for Loopback {
    fn write(&mut self, bytes: &[u8], _: Deadline) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        if self.0.is_empty() {
            time::sleep(deadline.left());
        }
        let count = self.0.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }

    fn describe(&self) -> String {
        "loopback".into()
    }
}

const FRAMES: [&[u8]; 4] = [b"aaaa\0", b"bbbb\0", b"cccc\0", b"dddd\0"];
const SECOND: Duration = Duration::from_secs(1);

/// What comes back of [`FRAMES`], and after how much (virtual) time all of it has.
fn exchange(link: &mut FaultyLink<Loopback>) -> Result<(Vec<u8>, Duration), Error> {
    let started = time::now();
    for frame in FRAMES {
        link.write(frame, Deadline::after(SECOND))?;
    }
    let (mut all, mut last) = (Vec::new(), started);
    let deadline = Deadline::after(10 * SECOND);
    let mut buffer = [0; 7];
    while !deadline.passed() {
        match link.read(&mut buffer, deadline)? {
            0 => break,
            count => all.extend_from_slice(&buffer[..count]),
        }
        last = time::now();
    }
    Ok((all, last - started))
}

fn with(fault: LinkFault, direction: Direction) -> (Vec<u8>, Duration) {
    let _paused = time::pause();
    let mut link = FaultyLink::new(Loopback::default(), Schedule::script([(direction, 1, fault)]));
    let result = exchange(&mut link).unwrap();
    assert_eq!(link.counts().iter().sum::<u64>(), 1);
    assert_eq!(link.counts()[fault.kind()], 1);
    result
}

#[test]
fn each_fault_does_what_it_says() {
    for direction in [Direction::ToDevice, Direction::ToHost] {
        let came = |fault| with(fault, direction).0;
        assert_eq!(came(LinkFault::Drop), b"aaaa\0cccc\0dddd\0");
        assert_eq!(came(LinkFault::Duplicate), b"aaaa\0bbbb\0bbbb\0cccc\0dddd\0");
        // Bit 9 is bit 1 of the second byte.
        assert_eq!(came(LinkFault::Flip { bit: 9 }), b"aaaa\0b`bb\0cccc\0dddd\0");
        assert_eq!(came(LinkFault::Truncate { to: 2 }), b"aaaa\0bbcccc\0dddd\0");
        assert_eq!(
            came(LinkFault::Insert { at: 6, bytes: *b"wxyz" }),
            b"aaaa\0bwxyzbbb\0cccc\0dddd\0"
        );
        assert_eq!(came(LinkFault::Reorder), b"aaaa\0cccc\0bbbb\0dddd\0");
        assert_eq!(
            with(LinkFault::Delay(SECOND), direction),
            (b"aaaa\0cccc\0dddd\0bbbb\0".to_vec(), SECOND)
        );
        let in_order = FRAMES.concat();
        assert_eq!(with(LinkFault::Stall(SECOND), direction), (in_order.clone(), SECOND));
        let split = LinkFault::Split { at: 2, pause: SECOND };
        assert_eq!(with(split, direction), (in_order, SECOND));
    }
}

#[test]
fn a_frame_to_come_after_the_next_comes_without_one() {
    let _paused = time::pause();
    let faults = [(Direction::ToDevice, 3, LinkFault::Reorder)];
    let mut link = FaultyLink::new(Loopback::default(), Schedule::script(faults));
    let (bytes, took) = exchange(&mut link).unwrap();
    assert_eq!(bytes, FRAMES.concat());
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn a_pulled_cable_loses_what_is_under_way_until_it_is_plugged_in() {
    let _paused = time::pause();
    for direction in [Direction::ToDevice, Direction::ToHost] {
        let faults = [(direction, 2, LinkFault::Disconnect(SECOND))];
        let mut link = FaultyLink::new(Loopback::default(), Schedule::script(faults))
            .on_unplug(|inner: &mut Loopback| inner.0.clear());
        let error = exchange(&mut link).unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        let error = link.write(b"e\0", Deadline::after(SECOND)).unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        let error = link.reconnect(Deadline::after(SECOND / 4)).unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        link.reconnect(Deadline::after(SECOND)).unwrap();
        let (bytes, _) = exchange(&mut link).unwrap();
        assert_eq!(bytes, FRAMES.concat());
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let run = |seed| {
        let _paused = time::pause();
        let schedule = Schedule::random(seed, 0.3, SECOND);
        let mut link = FaultyLink::new(Loopback::default(), schedule);
        let mut all = Vec::new();
        for _ in 0..100 {
            match exchange(&mut link) {
                Ok((bytes, took)) => all.push((bytes, took)),
                Err(_) => link.reconnect(Deadline::after(2 * SECOND)).unwrap(),
            }
        }
        (all, link.counts())
    };
    let (all, counts) = run(1);
    assert!(counts.iter().all(|count| *count > 0), "every kind of fault occurs: {counts:?}");
    assert_eq!((all, counts), run(1));
    assert_ne!(run(1), run(2));
}
