//! Octets from the host that no frame was made of yet.

use spu_protocol::codec::{DELIMITER, max_encoded};
use spu_protocol::header::MAX_PAYLOAD;

/// Holds the largest frame and a few usual ones after it.
const CAPACITY: usize = max_encoded(MAX_PAYLOAD) + 384;

/// A queue of octets in fixed memory.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: [u8; CAPACITY],
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) const fn new() -> Self {
        Self { buffer: [0; CAPACITY], start: 0, end: 0 }
    }

    /// Octets that fit.
    pub(crate) const fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.end.saturating_sub(self.start))
    }

    /// Appends what fits and gives the number of octets that did not. A frame that is cut short
    /// so is ended here, or it would take the next one with it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        if bytes.len() > CAPACITY.saturating_sub(self.end) {
            self.buffer.rotate_left(self.start.min(CAPACITY));
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        self.end = self.end.saturating_add(taken);
        let dropped = bytes.len().saturating_sub(taken);
        if dropped > 0
            && let Some(last) = self.buffer.last_mut()
        {
            *last = DELIMITER;
        }
        dropped
    }

    /// The octets.
    pub(crate) fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Forgets the first `count` octets.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Forgets all.
    pub(crate) const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, DELIMITER, Input};

    #[test]
    fn keeps_order_over_the_end_of_the_buffer() {
        let mut input = Input::new();
        let (mut sent, mut received) = (0_u32, 0_u32);
        for size in (1..700).cycle().take(5_000) {
            let mut chunk = [0; 700];
            for octet in &mut chunk[..size] {
                *octet = (sent % 251) as u8;
                sent += 1;
            }
            assert_eq!(input.push(&chunk[..size]), 0);
            while input.room() < 700 {
                let take = input.pending().len().min(313);
                for octet in &input.pending()[..take] {
                    assert_eq!(u32::from(*octet), received % 251);
                    received += 1;
                }
                input.consume(take);
            }
        }
        assert_eq!(input.pending().len() as u32, sent - received);
    }

    #[test]
    fn overflow_is_counted_and_ends_the_cut_frame() {
        let mut input = Input::new();
        assert_eq!(input.push(&[7; 100]), 0);
        input.consume(10);
        assert_eq!(input.push(&[9; CAPACITY]), 90);
        assert_eq!(input.room(), 0);
        assert_eq!(input.pending().len(), CAPACITY);
        assert_eq!(input.pending()[..91], [&[7; 90][..], &[9]].concat());
        assert_eq!(input.pending().last(), Some(&DELIMITER));
        assert_eq!(input.push(&[1]), 1);
        input.consume(CAPACITY);
        assert_eq!(input.room(), CAPACITY);
    }
}
