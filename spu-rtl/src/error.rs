//! What can go wrong before the first clock.

use spu_sim::SimError;

/// Why there is no Verilated gateware for a board.
#[derive(Debug, thiserror::Error)]
pub enum RtlError {
    /// The crate was built without it.
    #[error(
        "this build has no Verilated gateware: {why}; install Verilator (Debian: `apt-get install \
         verilator`) and build again"
    )]
    Unavailable {
        /// What was missing when the crate was built.
        why: &'static str,
    },
    /// The gateware is compiled for another number of cells.
    #[error("the Verilated gateware has 8 cells and profile {profile} has {cells}: choose another")]
    Cells {
        /// Name of the profile.
        profile: String,
        /// Its cells.
        cells: usize,
    },
    /// The capture memory is too small.
    #[error(
        "profile {profile} wants {frames} frames of {octets} octets in the capture memory, which \
         holds 65536 octets: ask for fewer frames"
    )]
    Capture {
        /// Name of the profile.
        profile: String,
        /// Frames it asks for.
        frames: u32,
        /// Octets of one of its frames.
        octets: u32,
    },
    /// The profile is not usable.
    #[error(transparent)]
    Sim(#[from] SimError),
}
