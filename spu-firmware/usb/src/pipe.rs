//! Octets to packets and back.

/// Largest packet of a bulk endpoint at full speed.
pub const PACKET: usize = 64;

/// Octets that were received and not yet taken: a packet, and those that may still come when the
/// endpoint is told to hold.
const RECEIVED: usize = 3 * PACKET;
/// With less room than this the endpoint is to hold.
const ENOUGH: usize = 2 * PACKET;

/// Octets on their way to the host.
#[derive(Debug)]
pub(crate) struct Outgoing {
    packet: [u8; PACKET],
    filled: usize,
    /// The last packet was a whole one, so the transfer goes on.
    open: bool,
    /// Nothing follows for now.
    ended: bool,
}

impl Outgoing {
    pub(crate) const fn new() -> Self {
        Self { packet: [0; PACKET], filled: 0, open: false, ended: false }
    }

    /// Takes an octet; false if there is no room. `send` gives a packet to the endpoint, or says
    /// that it is busy.
    pub(crate) fn push(&mut self, octet: u8, mut send: impl FnMut(&[u8]) -> bool) -> bool {
        if self.filled >= PACKET && !self.pass(&mut send) {
            return false;
        }
        if let Some(place) = self.packet.get_mut(self.filled) {
            *place = octet;
        }
        self.filled = self.filled.saturating_add(1);
        self.ended = false;
        if self.filled >= PACKET {
            // If the endpoint is busy, its completion asks again.
            let _ = self.pass(&mut send);
        }
        true
    }

    /// Ends the transfer: nothing follows for now.
    pub(crate) fn end(&mut self, send: impl FnMut(&[u8]) -> bool) {
        self.ended = true;
        self.advance(send);
    }

    /// Sends what can be sent: the endpoint may have room.
    pub(crate) fn advance(&mut self, mut send: impl FnMut(&[u8]) -> bool) {
        if self.filled >= PACKET || (self.ended && (self.filled > 0 || self.open)) {
            let _ = self.pass(&mut send);
        }
    }

    /// Forgets everything.
    pub(crate) const fn clear(&mut self) {
        *self = Self::new();
    }

    fn pass(&mut self, send: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let sent = send(self.packet.get(..self.filled).unwrap_or_default());
        if sent {
            self.open = self.filled >= PACKET;
            self.filled = 0;
        }
        sent
    }
}

/// Octets from the host.
#[derive(Debug)]
pub(crate) struct Incoming {
    octets: [u8; RECEIVED],
    start: usize,
    len: usize,
    lost: u32,
}

impl Incoming {
    pub(crate) const fn new() -> Self {
        Self { octets: [0; RECEIVED], start: 0, len: 0, lost: 0 }
    }

    /// Appends a packet. What does not fit is lost, and counted.
    pub(crate) fn push(&mut self, packet: &[u8]) {
        let room = RECEIVED.saturating_sub(self.len);
        for &octet in packet.iter().take(room) {
            let at = self.start.wrapping_add(self.len) % RECEIVED;
            if let Some(place) = self.octets.get_mut(at) {
                *place = octet;
            }
            self.len = self.len.saturating_add(1);
        }
        let lost = packet.len().saturating_sub(room) as u32;
        self.lost = self.lost.saturating_add(lost);
    }

    /// The next octet.
    pub(crate) fn pop(&mut self) -> Option<u8> {
        let octet = if self.len == 0 { None } else { self.octets.get(self.start).copied() }?;
        self.start = self.start.wrapping_add(1) % RECEIVED;
        self.len = self.len.saturating_sub(1);
        Some(octet)
    }

    /// True if the endpoint need not hold.
    pub(crate) const fn has_enough(&self) -> bool {
        RECEIVED.saturating_sub(self.len) >= ENOUGH
    }

    /// Octets that found no room.
    pub(crate) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Forgets the octets.
    pub(crate) const fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Sends `len` octets over an endpoint that is busy in the turns that `busy` names.
    fn sent(len: usize, busy: &[bool]) -> Vec<Vec<u8>> {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let mut turns = busy.iter().copied().chain(core::iter::repeat(false));
        let mut pipe = Outgoing::new();
        let mut send = |packet: &[u8]| {
            let free = !turns.next().unwrap();
            if free {
                packets.push(packet.into());
            }
            free
        };
        for k in 0..len {
            while !pipe.push(k as u8, &mut send) {}
        }
        pipe.end(&mut send);
        for _ in 0..busy.len() + 2 {
            pipe.advance(&mut send);
        }
        packets
    }

    #[test]
    fn a_transfer_ends_with_a_short_packet() {
        for len in 0..=5 * PACKET {
            let packets = sent(len, &[]);
            let lens: Vec<_> = packets.iter().map(Vec::len).collect();
            let mut expected = std::vec![PACKET; len / PACKET];
            if len > 0 {
                expected.push(len % PACKET);
            }
            assert_eq!(lens, expected, "{len} octets");
            let octets: Vec<_> = packets.concat();
            assert!(octets.iter().enumerate().all(|(k, octet)| *octet == k as u8));
        }
    }

    #[test]
    fn an_end_without_octets_sends_nothing() {
        let mut pipe = Outgoing::new();
        pipe.end(|_| panic!("nothing to send"));
        pipe.advance(|_| panic!("nothing to send"));
    }

    #[test]
    fn octets_after_an_end_join_the_next_packet() {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let mut pipe = Outgoing::new();
        assert!(pipe.push(1, |_| panic!("not yet")));
        pipe.end(|_| false);
        assert!(pipe.push(2, |_| panic!("not yet")));
        pipe.advance(|_| panic!("more may follow"));
        pipe.end(|packet| {
            packets.push(packet.into());
            true
        });
        assert_eq!(packets, [[1, 2]]);
    }

    proptest! {
        #[test]
        fn a_busy_endpoint_changes_nothing(
            len in 0..400_usize,
            busy in proptest::collection::vec(any::<bool>(), 0..40),
        ) {
            prop_assert_eq!(sent(len, &busy), sent(len, &[]));
        }

        #[test]
        fn received_octets_come_in_order_and_losses_are_counted(
            steps in proptest::collection::vec((0..=PACKET, 0..=PACKET), 0..60),
        ) {
            let mut pipe = Incoming::new();
            let mut expected = std::collections::VecDeque::new();
            let (mut next, mut lost) = (0_u8, 0);
            for (push, pop) in steps {
                let packet: Vec<u8> = (0..push).map(|k| next.wrapping_add(k as u8)).collect();
                next = next.wrapping_add(push as u8);
                let room = RECEIVED - expected.len();
                prop_assert_eq!(pipe.has_enough(), room >= ENOUGH);
                expected.extend(packet.iter().copied().take(room));
                lost += packet.len().saturating_sub(room) as u32;
                pipe.push(&packet);
                prop_assert_eq!(pipe.lost(), lost);
                for _ in 0..pop {
                    prop_assert_eq!(pipe.pop(), expected.pop_front());
                }
            }
        }
    }
}
