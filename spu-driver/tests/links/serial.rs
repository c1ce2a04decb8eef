//! Serial ports, over pseudo terminals.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcgetattr;
use spu_driver::link::{Serial, StreamLink};
use spu_driver::{Error, Link, open};

use crate::common;

/// The board's end of a pseudo terminal, and the path of the host's end.
fn terminal() -> (File, String) {
    let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&board).unwrap();
    unlockpt(&board).unwrap();
    let path = ptsname(&board, Vec::new()).unwrap().into_string().unwrap();
    (File::from(board), path)
}

fn connect(path: &str) -> Result<StreamLink<Serial>, Error> {
    StreamLink::connect(Serial::new(path, None), common::soon())
}

#[test]
fn bytes_and_deadlines() {
    let (mut board, path) = terminal();
    let mut link = connect(&path).unwrap();
    assert_eq!(link.describe(), format!("serial:{path}"));
    common::carries_bytes(&mut link, &mut board);
    common::reads_end(&mut link, &mut board);
    common::writes_end(&mut link);
}

#[test]
fn a_large_block_goes_through_a_small_buffer() {
    let (mut board, path) = terminal();
    let mut link = connect(&path).unwrap();
    let block: Vec<u8> = (0..200_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut found = vec![0; block.len()];
            board.read_exact(&mut found).unwrap();
            found
        });
        link.write(&block, common::soon()).unwrap();
        assert!(reader.join().unwrap() == block);
    });
}

#[test]
fn the_end_amid_a_frame_is_told() {
    // The terminal's own name may be that of another test's at once.
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("board");
    let (mut board, path) = terminal();
    symlink(&path, &name).unwrap();
    let mut link = connect(name.to_str().unwrap()).unwrap();
    std::fs::remove_file(&name).unwrap();
    common::end_is_told(&mut link, || {
        board.write_all(b"half a fra").unwrap();
        drop(board);
    });
    common::reconnecting_ends(&mut link);
}

#[test]
fn a_read_that_waits_sees_the_end() {
    let (board, path) = terminal();
    let mut link = connect(&path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            drop(board);
        });
        common::end_is_told(&mut link, || ());
    });
}

#[test]
fn what_came_before_opening_is_thrown_away() {
    let (mut board, path) = terminal();
    // Held open, so that the terminal keeps what is sent.
    let _other = File::options().read(true).write(true).open(&path).unwrap();
    board.write_all(b"stale\n").unwrap();
    let mut link = connect(&path).unwrap();
    board.write_all(b"fresh").unwrap();
    let mut buffer = [0; 64];
    let count = link.read(&mut buffer, common::soon()).unwrap();
    assert_eq!(&buffer[..count], b"fresh");
}

#[test]
fn a_second_user_is_told_who_has_the_port() {
    let (_board, path) = terminal();
    let link = connect(&path).unwrap();
    let error = connect(&path).unwrap_err();
    let Error::Busy { uri, holder } = &error else { panic!("{error}") };
    assert_eq!(*uri, format!("serial:{path}"));
    assert!(holder.contains("has it open"), "{holder}");
    if cfg!(target_os = "linux") {
        assert!(holder.contains("this program"), "{holder}");
    }
    drop(link);
    connect(&path).unwrap();
}

#[test]
fn the_speed_is_set() {
    let (_board, path) = terminal();
    let link = StreamLink::connect(Serial::new(&path, Some(3_000_000)), common::soon()).unwrap();
    let other = File::open(&path).unwrap();
    let line = tcgetattr(&other).unwrap();
    assert_eq!((line.input_speed(), line.output_speed()), (3_000_000, 3_000_000));
    drop(link);
}

#[test]
fn what_is_no_port_is_told_with_the_remedy() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    for (port, word) in [("/dev/ttyNONE7", "no such port"), (file, "no serial port")] {
        let error = open(&format!("serial:{port}")).err().unwrap();
        let Error::NotFound { uri, why } = &error else { panic!("{error}") };
        assert_eq!(*uri, format!("serial:{port}"));
        assert!(why.contains(word) && why.contains("spu list --all"), "{why}");
    }
}

#[test]
fn a_forbidden_port_is_denied() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may open every port");
        return;
    }
    let (_board, path) = terminal();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = open(&format!("serial:{path}")).err().unwrap();
    assert!(matches!(&error, Error::Denied { fix, .. } if fix.contains("udev")), "{error}");
}

#[test]
fn a_port_that_comes_back_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let name: PathBuf = directory.path().join("board");
    let (board, path) = terminal();
    symlink(&path, &name).unwrap();
    let mut link = connect(name.to_str().unwrap()).unwrap();
    common::end_is_told(&mut link, || drop(board));
    std::fs::remove_file(&name).unwrap();
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            let (board, path) = terminal();
            symlink(&path, &name).unwrap();
            board
        });
        link.reconnect(common::soon()).unwrap();
        common::carries_bytes(&mut link, &mut back.join().unwrap());
    });
}
