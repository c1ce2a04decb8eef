//! Recordings: made by a tap, replayed, damaged, exported.
#![cfg(feature = "sim")]

mod files;
mod replay;
mod support;
mod wireshark;
