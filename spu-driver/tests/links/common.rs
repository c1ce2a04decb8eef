//! What every link over a stream of bytes must hold.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use spu_driver::link::{Endpoint, StreamLink};
use spu_driver::{Deadline, Error, Link};

/// Ample for anything that should happen at once, on a loaded machine.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(30);

pub(crate) fn soon() -> Deadline {
    Deadline::after(AMPLE)
}

pub(crate) fn zero() -> Deadline {
    Deadline::after(Duration::ZERO)
}

/// What is left of a call that must have ended by its deadline, but not before.
fn ends_at_its_deadline<T>(call: impl FnOnce(Deadline) -> T) -> T {
    let start = Instant::now();
    let result = call(Deadline::after(SHORT));
    let took = start.elapsed();
    assert!(took >= SHORT, "ended after {took:?}");
    assert!(took < SHORT + Duration::from_secs(5), "ended after {took:?}");
    result
}

fn read_exactly(link: &mut dyn Link, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 16];
    while all.len() < count {
        let got = link.read(&mut buffer, soon()).unwrap();
        assert!(got > 0, "nothing came in {AMPLE:?}");
        all.extend_from_slice(&buffer[..got]);
    }
    all
}

/// Bytes go both ways, whole, in order, however they are split.
pub(crate) fn carries_bytes(link: &mut dyn Link, peer: &mut (impl Read + Write)) {
    link.write(b"request", soon()).unwrap();
    let mut request = [0; 7];
    peer.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"request");
    for piece in [&b"re"[..], b"", b"p", b"ly, longer than one read"] {
        peer.write_all(piece).unwrap();
    }
    assert_eq!(read_exactly(link, 27), b"reply, longer than one read");
    let all: Vec<u8> = (0..=255).collect();
    link.write(&all, soon()).unwrap();
    let mut found = vec![0; 256];
    peer.read_exact(&mut found).unwrap();
    assert_eq!(found, all, "a byte was changed on its way out");
    peer.write_all(&all).unwrap();
    assert_eq!(read_exactly(link, 256), all, "a byte was changed on its way in");
}

/// A read ends by its deadline; one whose deadline has passed takes what is there.
pub(crate) fn reads_end(link: &mut dyn Link, peer: &mut impl Write) {
    let mut buffer = [0; 16];
    assert_eq!(link.read(&mut buffer, zero()).unwrap(), 0);
    assert_eq!(ends_at_its_deadline(|deadline| link.read(&mut buffer, deadline).unwrap()), 0);
    peer.write_all(b"abc").unwrap();
    assert_eq!(read_exactly(link, 3), b"abc");
    peer.write_all(b"def").unwrap();
    let start = Instant::now();
    // A pseudo terminal hands bytes over in a moment of its own.
    while link.read(&mut buffer, zero()).unwrap() == 0 {
        assert!(start.elapsed() < AMPLE, "a read that does not wait never sees anything");
        std::thread::yield_now();
    }
    assert_eq!(link.read(&mut [], soon()).unwrap(), 0);
}

/// A write that is not taken ends by its deadline with `Timeout`.
pub(crate) fn writes_end(link: &mut dyn Link) {
    let block = vec![0x55; 1 << 20];
    let error = ends_at_its_deadline(|deadline| {
        loop {
            // What fits the buffers is taken; in the end it is not.
            if let Err(error) = link.write(&block, deadline) {
                break error;
            }
        }
    });
    let Error::Timeout { op, after } = error else { panic!("{error}") };
    assert_eq!((op, after), ("sending", SHORT));
    let error = link.write(&block, zero()).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

/// What came before the end is read, then every call says that the link is gone.
pub(crate) fn end_is_told<E: Endpoint>(link: &mut StreamLink<E>, end: impl FnOnce()) {
    end();
    let mut buffer = [0; 64];
    let start = Instant::now();
    let error = loop {
        match link.read(&mut buffer, soon()) {
            Ok(count) => assert!(count > 0, "a read waited {:?} for nothing", start.elapsed()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Disconnected { during: "receiving" }), "{error}");
    for _ in 0..2 {
        let error = link.read(&mut buffer, soon()).unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        let error = link.write(b"x", soon()).unwrap_err();
        assert!(matches!(error, Error::Disconnected { during: "sending" }), "{error}");
    }
    assert!(start.elapsed() < AMPLE, "{:?}", start.elapsed());
}

/// Where nobody comes back, `reconnect` tries until its deadline.
pub(crate) fn reconnecting_ends<E: Endpoint>(link: &mut StreamLink<E>) {
    let error = ends_at_its_deadline(|deadline| link.reconnect(deadline).unwrap_err());
    assert!(matches!(error, Error::Disconnected { during: "reconnecting" }), "{error}");
    let error = link.write(b"x", soon()).unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}
