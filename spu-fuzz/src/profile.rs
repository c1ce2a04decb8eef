//! The reader of board profiles.

use std::collections::BTreeSet;

use spu_sim::{Profile, SimBoard, SimConfig};

/// Any text as a board profile: no panic, and one that is accepted makes a board.
pub fn profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(profile) = Profile::from_toml(text) else { return };
    let config = SimConfig { profile, seed: 1, copy: 0, without: BTreeSet::new() };
    if let Err(error) = SimBoard::new(config) {
        panic!("an accepted profile makes no board: {error}");
    }
}
