//! The session that `Hello` opens.

use spu_protocol::payload::HelloReply;
use spu_protocol::version;

use crate::board::Board;
use crate::identity::Identity;
use crate::refusal::Refusal;

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Never 0.
    pub(crate) id: u32,
    /// The nonce of the `Hello` that opened it.
    pub(crate) nonce: u64,
    /// The board, as it was then.
    pub(crate) identity: Identity,
    events: u32,
}

impl Session {
    pub(crate) const fn new(id: u32, nonce: u64, identity: Identity) -> Self {
        Self { id, nonce, identity, events: 0 }
    }

    /// Sequence of the next event.
    pub(crate) const fn next_event(&mut self) -> u32 {
        let sequence = self.events;
        self.events = sequence.wrapping_add(1);
        sequence
    }

    /// Reads the identity again: the host may have stored another calibration.
    #[inline(never)] // or the callers' other work pays for its arrays in stack
    pub(crate) fn refresh(&mut self, board: &mut impl Board) -> Result<(), Refusal> {
        self.identity = Identity::read(board)?;
        Ok(())
    }

    /// The reply that opens it.
    pub(crate) const fn hello(&self) -> HelloReply {
        HelloReply {
            nonce: self.nonce,
            serial: self.identity.info.serial,
            calibration_id: self.identity.info.calibration_id,
            session: self.id,
            gateware_id: self.identity.info.gateware_id,
            firmware: self.identity.info.firmware,
            version_min: version::MIN,
            version_max: version::CURRENT,
        }
    }
}

/// A session number: not 0, not `previous`, and after a restart unlikely to be that of a session
/// before it (mixed as in splitmix64).
pub(crate) const fn new_id(nonce: u64, now_us: u64, previous: u32) -> u32 {
    let mut mixed = nonce ^ now_us.rotate_left(32) ^ (previous as u64);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut id = (mixed ^ (mixed >> 31)) as u32;
    while id == 0 || id == previous {
        id = id.wrapping_add(1);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::new_id;

    #[test]
    fn ids_change_and_are_never_zero() {
        let mut previous = 0;
        for nonce in 0..10_000_u64 {
            // Same nonce, stopped clock: the hardest case.
            let id = new_id(nonce / 100, 0, previous);
            assert!(id != 0 && id != previous);
            previous = id;
        }
        // The mix is a bijection of 64 bits with 0 fixed: the input 0 would give 0.
        assert_ne!(new_id(0, 0, 0), 0);
    }
}
