//! How accurate results are, measured on simulated boards.

pub mod any;
pub mod calibrated;
