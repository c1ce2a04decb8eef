//! Why a netlist or a run of ngspice failed.

use std::path::PathBuf;

/// Why a netlist or a run of ngspice failed.
#[derive(Debug, thiserror::Error)]
pub enum SpiceError {
    /// The board has arrays in place of cells.
    #[error(
        "{profile} is a factored board: its arrays have no netlist; choose a board of cells (rev-a, rev-b, rc-8)"
    )]
    Factored {
        /// The profile.
        profile: String,
    },
    /// A bank does not have this code.
    #[error("{what} code {code} is outside what the board's banks have, {least} to {top}")]
    Codes {
        /// Which bank.
        what: &'static str,
        /// The code.
        code: i32,
        /// Least code.
        least: i32,
        /// Largest code.
        top: i32,
    },
    /// ngspice is not there.
    #[error("ngspice is not installed (Debian: `apt-get install ngspice`)")]
    Missing,
    /// ngspice stopped with an error.
    #[error("ngspice failed: {said}; the netlist is {netlist}")]
    Failed {
        /// What it said.
        said: String,
        /// The netlist it was given, kept.
        netlist: PathBuf,
    },
    /// What ngspice wrote is not what was asked for.
    #[error("ngspice's output cannot be read: {why}")]
    Output {
        /// Why.
        why: String,
    },
    /// A file cannot be written or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
