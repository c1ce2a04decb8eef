//! Links over real sockets and pseudo terminals.
#![cfg(all(unix, feature = "net", feature = "serial"))]

mod common;
mod serial;
mod tcp;
mod unix;
