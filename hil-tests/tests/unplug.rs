//! The plug is pulled 50 times in each way; `cargo run --release --bin unplug` does it 1,000 times.
#![cfg(unix)]

use std::path::Path;

use hil_tests::unplug::{Plug, run};

fn pull(plug: Plug) {
    let counts = run(plug, 50, 1, Path::new(env!("CARGO_BIN_EXE_unplug"))).unwrap();
    eprintln!("{}: {}", plug.name(), serde_json::to_string(&counts).expect("counts are plain"));
    assert!(counts.wrong.is_empty(), "{:#?}", counts.wrong);
    assert_eq!(counts.pulled, 50);
    assert_eq!(counts.disconnected.values().sum::<u64>(), 50);
    assert!(counts.frames_compared > 0, "streams ran: {counts:?}");
}

#[test]
fn a_pseudo_terminal_is_closed() {
    pull(Plug::Pty);
}

#[test]
fn a_tcp_connection_is_closed() {
    pull(Plug::Tcp);
}

#[test]
fn a_unix_socket_is_closed() {
    pull(Plug::Unix);
}

#[test]
fn the_server_is_killed() {
    pull(Plug::Process);
}
