//! Unix sockets.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use spu_driver::link::{StreamLink, Unix};
use spu_driver::{Deadline, Error, Link, open};
use tempfile::TempDir;

use crate::common;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("board.sock");
    (directory, path)
}

fn pair(path: &Path) -> (StreamLink<Unix>, UnixStream) {
    let listener = UnixListener::bind(path).unwrap();
    let link = StreamLink::connect(Unix::new(path), common::soon()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(common::AMPLE)).unwrap();
    (link, peer)
}

#[test]
fn bytes_and_deadlines() {
    let (_directory, path) = place();
    let (mut link, mut peer) = pair(&path);
    assert_eq!(link.describe(), format!("unix:{}", path.display()));
    common::carries_bytes(&mut link, &mut peer);
    common::reads_end(&mut link, &mut peer);
    common::writes_end(&mut link);
}

#[test]
fn an_end_amid_a_frame_is_told() {
    let (_directory, path) = place();
    let (mut link, mut peer) = pair(&path);
    common::end_is_told(&mut link, || {
        peer.write_all(b"half a fra").unwrap();
        drop(peer);
    });
    common::reconnecting_ends(&mut link);
}

#[test]
fn a_peer_that_comes_back_is_found() {
    let (_directory, path) = place();
    let (mut link, peer) = pair(&path);
    common::end_is_told(&mut link, || drop(peer));
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            std::fs::remove_file(&path).unwrap();
            thread::sleep(Duration::from_millis(50));
            UnixListener::bind(&path).unwrap().accept().unwrap().0
        });
        link.reconnect(common::soon()).unwrap();
        common::carries_bytes(&mut link, &mut back.join().unwrap());
    });
}

fn why(path: &Path) -> String {
    match open(&format!("unix:{}", path.display())).err().unwrap() {
        Error::NotFound { uri, why } => {
            assert_eq!(uri, format!("unix:{}", path.display()));
            why
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_missing_or_dead_socket_is_told_with_the_remedy() {
    let (_directory, path) = place();
    let remedy = format!("spu-sim serve --unix {}", path.display());
    let missing = why(&path);
    assert!(missing.contains("no such socket") && missing.contains(&remedy), "{missing}");
    drop(UnixListener::bind(&path).unwrap());
    let dead = why(&path);
    assert!(dead.contains("nothing listens") && dead.contains(&remedy), "{dead}");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "an ordinary file").unwrap();
    assert!(why(&path).contains(&remedy));
    let long = path.with_file_name("x".repeat(200));
    let error = open(&format!("unix:{}", long.display())).err().unwrap();
    assert!(matches!(error, Error::BadUri { .. }), "{error}");
}

#[test]
fn a_forbidden_socket_is_denied() {
    use std::os::unix::fs::PermissionsExt as _;
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may open every socket");
        return;
    }
    let (_directory, path) = place();
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = open(&format!("unix:{}", path.display())).err().unwrap();
    assert!(matches!(&error, Error::Denied { fix, .. } if fix.contains("chmod")), "{error}");
}

#[test]
fn a_server_that_takes_nobody_is_busy_by_the_deadline() {
    let (_directory, path) = place();
    let _listener = UnixListener::bind(&path).unwrap();
    let mut links = Vec::new();
    let error = loop {
        assert!(links.len() < 100_000, "the backlog has no end");
        let deadline = Deadline::after(Duration::from_millis(50));
        match StreamLink::connect(Unix::new(&path), deadline) {
            Ok(link) => links.push(link),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}
