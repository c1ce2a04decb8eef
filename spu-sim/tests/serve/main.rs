//! Served boards as a host sees them: connecting, leaving, a second host, a pulled plug.

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod remote;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytemuck::bytes_of;
use common::{Host, config};
use remote::Remote;
use spu_protocol::code::AdcCode;
use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::{AcquireRequest, StatusView};
use spu_protocol::regs;
use spu_sim::serve::{self, Endpoint, ServeError, Served};
use spu_sim::{After, Fault, SimBoard};
use tempfile::TempDir;

const STREAM: u32 = AcquireRequest::STREAM;

fn board() -> SimBoard {
    SimBoard::new(config("rev-a", 7, 0)).unwrap()
}

fn spawn(endpoint: &str) -> Result<Served, ServeError> {
    serve::spawn(board(), &endpoint.parse::<Endpoint>().unwrap())
}

/// A board behind each kind of endpoint; the folder holds sockets and links.
fn every() -> (TempDir, Vec<Served>) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let endpoints = [
        "tcp:127.0.0.1:0".to_owned(),
        format!("unix:{}", at("socket")),
        "pty".to_owned(),
        format!("pty:{}", at("link")),
    ];
    let served = endpoints.iter().map(|endpoint| spawn(endpoint).unwrap()).collect();
    (folder, served)
}

/// Waits, generously, for what is about to be so.
fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < end, "it did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the same board says in this thread.
fn in_process(count: u32) -> Vec<AdcCode> {
    let mut host = Host::open(config("rev-a", 7, 0));
    host.load(&common::sample_codes(&host.board.config().profile.clone()));
    host.acquire(500, 1, count, STREAM);
    let mut codes = Vec::new();
    host.follow(|frame| codes.extend_from_slice(frame));
    codes
}

#[test]
fn every_octet_passes_on_every_endpoint() {
    let expected = in_process(100_000);
    let (_folder, served) = every();
    for served in served {
        let mut host = Remote::open(served.uri()).unwrap();
        let ramp: Vec<u8> = (0..1024).map(|octet| octet as u8).collect();
        assert_eq!(host.call(Opcode::Ping, &ramp).unwrap(), Ok(ramp));
        host.load().unwrap();
        host.acquire(500, 1, 100_000, STREAM).unwrap();
        let (codes, status) = host.follow().unwrap();
        assert_eq!(status.status.lost, 0);
        assert!(codes == expected, "{}: other codes than in process", served.uri());
        served.stop().unwrap();
    }
}

#[test]
fn a_host_may_leave_and_another_come() {
    let (_folder, served) = every();
    for served in &served {
        for round in 0..5_u32 {
            let mut host = Remote::open(served.uri()).unwrap();
            let before = host.read_reg(regs::scratch(0)).unwrap();
            assert_eq!(before, round, "{}: the board keeps its registers", served.uri());
            host.write_reg(regs::scratch(0), round + 1).unwrap();
            // With a stream on its way that nobody reads.
            host.load().unwrap();
            host.acquire(0, 1, 1_000_000, STREAM).unwrap();
        }
    }
}

#[test]
fn a_run_goes_on_while_no_host_is_connected() {
    let (_folder, served) = every();
    for served in &served {
        let mut host = Remote::open(served.uri()).unwrap();
        host.load().unwrap();
        host.acquire(0, 1, 3_000_000, AcquireRequest::MOMENTS).unwrap();
        let mut host = host.replug(served.uri()).unwrap();
        let status = soon(|| {
            let reply = host.call(Opcode::AcquireStatus, &[]).unwrap().unwrap();
            let status = StatusView::parse(&reply).unwrap();
            (status.status.state == State::Done as u8).then_some(status)
        });
        assert_eq!(status.status.kept, 3_000_000);
    }
}

#[test]
fn a_second_host_is_told_that_the_board_is_in_use() {
    let (_folder, served) = every();
    for served in &served[..2] {
        let mut first = Remote::open(served.uri()).unwrap();
        for _ in 0..3 {
            let mut second = Remote::connect(served.uri()).unwrap();
            assert_eq!(second.hello().unwrap(), Err(ErrorCode::InUse), "{}", served.uri());
        }
        // Silent ones, as many as come, are no obstacle.
        let crowd: Vec<Remote> = (0..20).map(|_| Remote::connect(served.uri()).unwrap()).collect();
        assert_eq!(first.call(Opcode::Ping, b"mine").unwrap(), Ok(b"mine".to_vec()));
        drop((first, crowd));
        soon(|| {
            let mut next = Remote::connect(served.uri()).ok()?;
            matches!(next.hello(), Ok(Ok(_))).then_some(())
        });
    }
}

#[test]
fn a_pulled_plug_ends_the_connection_and_not_the_board() {
    let (_folder, served) = every();
    for served in &served {
        let handle = served.handle();
        let mut uri = served.uri().to_owned();
        for round in 1..4_u32 {
            let mut host = Remote::open(&uri).unwrap();
            host.write_reg(regs::scratch(0), round).unwrap();
            host.load().unwrap();
            host.acquire(0, 1, u32::MAX, STREAM).unwrap();
            handle.unplug().unwrap();
            host.expect_end();
            handle.unplug().unwrap();
            assert!(Remote::connect(&uri).is_err(), "{uri} is unplugged");
            uri = handle.plug_in().unwrap();
            assert_eq!(handle.plug_in().unwrap(), uri, "it is plugged in");
            let mut host = Remote::open(&uri).unwrap();
            assert_eq!(host.read_reg(regs::scratch(0)).unwrap(), round);
            uri = handle.disconnect().unwrap();
            host.expect_end();
        }
        let stays = !served.uri().starts_with("serial:/dev");
        assert!(!stays || uri == served.uri(), "{uri} was {}", served.uri());
    }
}

#[test]
fn faults_reach_a_board_at_work() {
    let (_folder, served) = every();
    for served in &served {
        let mut host = Remote::open(served.uri()).unwrap();
        host.load().unwrap();
        let refused = served.handle().control(|board| board.inject(Fault::DeadCell { cell: 8 }));
        assert!(refused.unwrap().is_err());
        served.handle().control(|board| board.record_writes(true)).unwrap();
        host.write_reg(regs::scratch(2), 17).unwrap();
        let writes = served.handle().control(|board| board.take_writes()).unwrap();
        assert_eq!(writes, [(regs::scratch(2), 17)]);
        let dip = Fault::BrownOut { after: After::Ticks(0) };
        served.handle().control(move |board| board.inject(dip)).unwrap().unwrap();
        soon(|| {
            let answer = host.call(Opcode::Ping, b"?").unwrap();
            (answer == Err(ErrorCode::BadSession)).then_some(())
        });
        host.hello().unwrap().unwrap();
        assert_eq!(host.read_reg(regs::scratch(2)).unwrap(), 0, "the FPGA started afresh");
    }
}

#[test]
fn handles_outlive_the_board() {
    let served = spawn("tcp:127.0.0.1:0").unwrap();
    let handle = served.handle().clone();
    assert!(served.is_running() && !served.is_public());
    served.stop().unwrap();
    assert_eq!(handle.unplug(), Err(serve::Ended));
    assert!(matches!(handle.plug_in(), Err(ServeError::Ended(_))));
    assert_eq!(handle.control(|_| ()), Err(serve::Ended));
}

#[test]
fn what_a_server_left_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refusal = |kind: &str, path: &Path| {
        spawn(&format!("{kind}:{}", path.display())).err().map(|error| error.to_string())
    };
    let says = |kind: &str, path: &Path, text: &str| {
        let error = refusal(kind, path).unwrap_or_else(|| panic!("{kind} {}", path.display()));
        assert!(error.contains(text), "{error}");
        assert!(fs::symlink_metadata(path).is_ok(), "{} is left alone", path.display());
    };
    // Sockets.
    drop(UnixListener::bind(at("stale")).unwrap());
    let replaced = spawn(&format!("unix:{}", at("stale").display())).unwrap();
    Remote::open(replaced.uri()).unwrap();
    says("unix", &at("stale"), "in use by another server");
    fs::write(at("file"), "precious").unwrap();
    says("unix", &at("file"), "is no socket");
    assert_eq!(fs::read(at("file")).unwrap(), b"precious");
    // Links.
    symlink("/dev/pts/no-such-terminal", at("dangling")).unwrap();
    let linked = spawn(&format!("pty:{}", at("dangling").display())).unwrap();
    Remote::open(linked.uri()).unwrap();
    says("pty", &at("dangling"), "may be in use");
    says("pty", &at("file"), "is no link to a terminal");
    assert!(refusal("pty", &at("nowhere/link")).unwrap().contains("making the link"));
    // And it is gone with the server, unless somebody else put something there.
    drop((replaced, linked));
    assert!(fs::symlink_metadata(at("stale")).is_err());
    assert!(fs::symlink_metadata(at("dangling")).is_err());
    let served = spawn(&format!("unix:{}", at("moved").display())).unwrap();
    fs::remove_file(at("moved")).unwrap();
    fs::write(at("moved"), "new").unwrap();
    drop(served);
    assert_eq!(fs::read(at("moved")).unwrap(), b"new");
}

#[test]
fn a_taken_port_is_said_to_be_in_use() {
    let first = spawn("tcp:127.0.0.1:0").unwrap();
    let error = spawn(first.uri()).err().unwrap();
    assert!(matches!(error, ServeError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(first.uri()));
    let taken = first.uri().to_owned();
    first.handle().unplug().unwrap();
    let second = spawn(&taken).unwrap();
    assert!(matches!(first.handle().plug_in(), Err(ServeError::InUse { .. })));
    drop(second);
    assert_eq!(first.handle().plug_in().unwrap(), taken);
    let nobody = spawn("tcp:192.0.2.1:0").err().unwrap();
    assert!(matches!(nobody, ServeError::Io { what: "listening", .. }), "{nobody}");
}

#[test]
fn a_host_that_reads_nothing_keeps_the_board_waiting_and_no_memory() {
    let served = spawn("tcp:127.0.0.1:0").unwrap();
    let mut host = Remote::open(served.uri()).unwrap();
    host.load().unwrap();
    let request = AcquireRequest {
        settle: 0,
        decimation: 1,
        count: u32::MAX,
        flags: STREAM,
        granted: u64::MAX,
    };
    host.send(Opcode::Acquire, bytes_of(&request)).unwrap();
    // Gigabytes would come in this time.
    thread::sleep(Duration::from_millis(1500));
    let ticks = || served.handle().control(|board| board.ticks()).unwrap();
    let before = ticks();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(ticks(), before, "a full connection holds a lockstep run");
    // Octets in socket buffers, at 12 a frame.
    assert!(before < 8_000_000, "{before} ticks");
}

/// The path in a URI.
fn path(uri: &str) -> PathBuf {
    uri.split_once(':').map(|(_, path)| path.into()).unwrap()
}

#[test]
fn hosts_that_babble_or_hang_up_at_once_do_no_harm() {
    let (_folder, served) = every();
    for served in &served {
        let uri = served.uri();
        for round in 0_u8..20 {
            let mut host = Remote::connect(uri).unwrap();
            let noise: Vec<u8> = (0..=255).map(|octet| octet ^ round).collect();
            host.raw(&noise).unwrap();
        }
        // The pseudo-terminal's next host can come before the last one is seen to have gone.
        Remote::open(uri).unwrap().call(Opcode::Ping, b"fine").unwrap().unwrap();
    }
    let socket = UnixStream::connect(path(served[1].uri())).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    soon(|| match io::Read::read(&mut &socket, &mut [0]) {
        Ok(0) => Some(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(()),
        _ => None,
    });
}
