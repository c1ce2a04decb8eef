//! The `spu-sim` command: what it prints, how it ends, what it leaves.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spu-sim"));
    command.arg("serve").args(arguments);
    command
}

/// A server that prints its lines; killed when dropped.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child =
            command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a signal and waits for the end: exit code and standard error.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that fails: exit code, standard output and error.
fn failure(arguments: &[&str]) -> (i32, String, String) {
    // One that serves instead is killed.
    let mut command = assert_cmd::Command::from_std(command(arguments));
    let Output { status, stdout, stderr } =
        command.timeout(Duration::from_mins(1)).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code().expect("it fails at once"), text(stdout), text(stderr))
}

#[test]
fn sockets_and_links_are_there_until_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for signal in ["-INT", "-TERM"] {
        let mut one = Server::start(&["--unix", &at("one")]);
        assert_eq!(one.line(), format!("unix:{}", at("one")));
        UnixStream::connect(at("one")).unwrap();
        let mut three = Server::start(&["--unix", &at("x"), "--copies", "3"]);
        for index in 0..3 {
            assert_eq!(three.line(), format!("unix:{}-{index}", at("x")));
        }
        UnixStream::connect(at("x-2")).unwrap();
        let mut two = Server::start(&["--pty", "--link", &at("tty"), "--copies", "2"]);
        for index in 0..2 {
            assert_eq!(two.line(), format!("serial:{}-{index}", at("tty")));
        }
        assert!(fs::read_link(at("tty-1")).unwrap().exists());
        let mut pty = Server::start(&["--pty"]);
        let uri = pty.line();
        assert!(Path::new(uri.strip_prefix("serial:").unwrap()).exists(), "{uri}");
        for server in [one, three, two, pty] {
            assert_eq!(server.end(signal), (Some(0), String::new()));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{signal} leaves nothing");
    }
}

#[test]
fn what_a_killed_server_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let path = path.to_str().unwrap();
    let mut server = Server::start(&["--unix", path]);
    server.line();
    assert_eq!(server.end("-KILL").0, None);
    assert!(UnixStream::connect(path).is_err() && fs::symlink_metadata(path).is_ok());
    let mut server = Server::start(&["--unix", path]);
    assert_eq!(server.line(), format!("unix:{path}"));
    UnixStream::connect(path).unwrap();
    assert_eq!(server.end("-TERM").0, Some(0));
}

#[test]
fn ports_are_counted_up_and_boards_described() {
    // A port that was free a moment ago, and those after it with luck.
    let mut lines = Vec::new();
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let arguments =
            ["--tcp", &address, "--copies", "2", "--seed", "7", "--copy", "4", "--json"];
        let mut server = Server::start(&arguments);
        lines = vec![server.line(), server.line()];
        if lines[1].is_empty() {
            assert!(lines[0].contains("in use"), "{lines:?}");
            continue;
        }
        let boards: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (index, board) in boards.iter().enumerate() {
            assert_eq!(board["uri"], format!("tcp:127.0.0.1:{}", usize::from(port) + index));
            assert_eq!((&board["seed"], &board["copy"]), (&7.into(), &(4 + index).into()));
            assert_eq!(board["profile"], "rev-a");
            TcpStream::connect(board["uri"].as_str().unwrap().split_once(':').unwrap().1).unwrap();
        }
        assert_ne!(boards[0]["serial"], boards[1]["serial"]);
        assert_eq!(server.end("-INT"), (Some(0), String::new()));
        return;
    }
    panic!("no two free ports in a row: {lines:?}");
}

#[test]
fn open_ports_are_warned_of() {
    let mut server = Server::start(&["--tcp", "0.0.0.0:0"]);
    assert!(server.line().starts_with("tcp:127.0.0.1:"));
    let (code, errors) = server.end("-TERM");
    assert_eq!(code, Some(0));
    assert!(errors.contains("no authentication") && errors.contains("127.0.0.1"), "{errors}");
}

#[test]
fn addresses_that_are_taken_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let _live = UnixListener::bind(at("live")).unwrap();
    fs::write(at("file"), "precious").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    for (arguments, text) in [
        (["--unix", &at("live")], "in use by another server"),
        (["--unix", &at("file")], "is no socket; remove it or take another path"),
        (["--unix", &at("no/folder")], "No such file or directory"),
        (["--tcp", &address], "in use by another server"),
    ] {
        let (code, out, error) = failure(&arguments);
        assert_eq!((code, out.as_str()), (4, ""), "{error}");
        assert!(error.starts_with("error: ") && error.contains(text), "{error}");
    }
    // All boards or none.
    fs::write(at("y-1"), "precious").unwrap();
    assert_eq!(failure(&["--unix", &at("y"), "--copies", "2"]).0, 4);
    assert!(!Path::new(&at("y-0")).exists());
    let (code, out, error) = failure(&["--json", "--unix", &at("file")]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, error.as_str()), (4, ""));
    assert_eq!(
        (&json["error"]["exit_code"], &json["error"]["kind"]),
        (&4.into(), &"device".into())
    );
}

#[test]
fn wrong_words_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, "name = 3").unwrap();
    let broken = broken.to_str().unwrap();
    for (code, arguments, text) in [
        (2, &["--pty", "--profile", "rev-z"][..], "no board profile \"rev-z\"; there are ideal"),
        (2, &["--pty", "--fault", "dead-cel.3"], "is not a fault; there are dead-cell.CELL"),
        (2, &["--pty", "--fault", "hang+dead-cell.8"], "no cell 8; it has 8"),
        (2, &["--pty", "--without", "stray+gain"], "\"gain\" cannot be switched off"),
        (2, &["--tcp", "5025"], "write tcp:HOST:PORT"),
        (2, &["--tcp", "127.0.0.1:65535", "--copies", "2"], "beyond 65535"),
        (2, &["--pty", "--copies", "0"], "--copies"),
        (2, &["--pty", "--copy", "4294967295", "--copies", "2"], "2^32 - 1"),
        (2, &["--unix", "a", "--pty"], "cannot be used with"),
        (2, &["--unix", "a", "--link", "b"], "cannot be used with"),
        (2, &[], "required"),
        (3, &["--pty", "--profile", "/no/such.toml"], "/no/such.toml cannot be read"),
        (3, &["--pty", "--profile", broken], "broken.toml"),
    ] {
        let (found, _, error) = failure(arguments);
        assert_eq!(found, code, "{arguments:?}: {error}");
        assert!(error.contains(text), "{arguments:?}: {error}");
        let json: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        let (found, out, error) = failure(&json);
        assert_eq!((found, error.as_str()), (code, ""));
        let json: Value = serde_json::from_str(&out).unwrap();
        assert!(json["error"]["message"].as_str().unwrap().contains(text), "{out}");
    }
}
