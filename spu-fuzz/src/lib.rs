//! Bodies of the fuzz targets. Each takes any bytes and panics where a promise is broken.
//!
//! `fuzz/` makes libFuzzer programs of them (docs/testing.md); `tests/corpus.rs` replays the
//! committed corpus with a plain `cargo test`.

#![allow(clippy::missing_panics_doc, reason = "to panic is how a fuzz target tells")]

mod dispatcher;
mod frame;
mod matrix;
mod profile;
mod recording;
mod replay;

pub use dispatcher::{dispatcher_bytes, dispatcher_requests};
pub use frame::frame;
pub use matrix::matrix;
pub use profile::profile;
pub use recording::recording;
pub use replay::replay;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, by the name of its program and its corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("frame", frame),
    ("dispatcher_bytes", dispatcher_bytes),
    ("dispatcher_requests", dispatcher_requests),
    ("recording", recording),
    ("replay", replay),
    ("matrix", matrix),
    ("profile", profile),
];
