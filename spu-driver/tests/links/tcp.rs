//! TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use spu_driver::link::{StreamLink, Tcp};
use spu_driver::{Deadline, Error, Link, open};

use crate::common;

/// An address of this host where nobody else takes a port that is free for a moment.
const QUIET: &str = if cfg!(target_os = "linux") { "127.83.80.85" } else { "127.0.0.1" };

fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn pair() -> (StreamLink<Tcp>, TcpStream, u16) {
    let (listener, port) = listener(QUIET);
    let link = StreamLink::connect(Tcp::new(QUIET, port), common::soon()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(common::AMPLE)).unwrap();
    (link, peer, port)
}

#[test]
fn bytes_and_deadlines() {
    let (mut link, mut peer, port) = pair();
    assert_eq!(link.describe(), format!("tcp:{QUIET}:{port}"));
    common::carries_bytes(&mut link, &mut peer);
    common::reads_end(&mut link, &mut peer);
    common::writes_end(&mut link);
}

#[test]
fn names_are_looked_up() {
    let (listener, port) = listener("127.0.0.1");
    let mut link = StreamLink::connect(Tcp::new("localhost", port), common::soon()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    common::carries_bytes(&mut link, &mut peer);
}

#[test]
fn an_end_amid_a_frame_is_told() {
    let (mut link, mut peer, _) = pair();
    common::end_is_told(&mut link, || {
        peer.write_all(b"half a fra").unwrap();
        drop(peer);
    });
    common::reconnecting_ends(&mut link);
}

#[test]
fn a_reset_is_told() {
    let (mut link, mut peer, _) = pair();
    link.write(b"something that the peer never reads", common::soon()).unwrap();
    // Closing with unread bytes resets the connection.
    peer.read_exact(&mut [0]).unwrap();
    common::end_is_told(&mut link, || drop(peer));
}

#[test]
fn a_read_that_waits_sees_the_end() {
    let (mut link, peer, _) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            peer.shutdown(Shutdown::Both).unwrap();
        });
        common::end_is_told(&mut link, || ());
    });
}

#[test]
fn a_peer_that_comes_back_is_found() {
    let (mut link, peer, port) = pair();
    common::end_is_told(&mut link, || drop(peer));
    thread::scope(|scope| {
        let back = scope.spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let listener = TcpListener::bind((QUIET, port)).unwrap();
            listener.accept().unwrap().0
        });
        link.reconnect(common::soon()).unwrap();
        common::carries_bytes(&mut link, &mut back.join().unwrap());
    });
}

#[test]
fn nobody_there_is_told_with_the_remedy() {
    let (listener, port) = listener(QUIET);
    drop(listener);
    let error = open(&format!("tcp:{QUIET}:{port}")).err().unwrap();
    let Error::NotFound { uri, why } = &error else { panic!("{error}") };
    assert_eq!(*uri, format!("tcp:{QUIET}:{port}"));
    assert!(why.contains(&format!("spu-sim serve --tcp {QUIET}:{port}")), "{why}");

    let error = open("tcp:no-such-host.invalid:1").err().unwrap();
    let Error::NotFound { why, .. } = &error else { panic!("{error}") };
    assert!(why.contains("no-such-host.invalid"), "{why}");
}

#[test]
fn connecting_ends_by_its_deadline() {
    // Linux drops a connection beyond the backlog, so that the caller waits.
    let (listener, port) = listener("127.0.0.1");
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let full = (0..5000).any(|_| {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return true,
        }
        false
    });
    if !full {
        eprintln!("skipped: this system's backlog takes {} connections", waiting.len());
        return;
    }
    let deadline = Deadline::after(Duration::from_millis(100));
    let error = StreamLink::connect(Tcp::new("127.0.0.1", port), deadline).err().unwrap();
    assert!(matches!(&error, Error::NotFound { why, .. } if why.contains("100ms")), "{error}");
    assert!(deadline.passed());
}

#[test]
fn a_server_that_says_nothing_is_a_timeout() {
    let (_listener, port) = listener("127.0.0.1");
    let uri: spu_driver::DeviceUri = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let error = uri.open_by(Deadline::after(Duration::from_millis(50))).err().unwrap();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}
