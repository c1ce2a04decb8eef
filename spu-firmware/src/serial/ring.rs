//! A queue of octets between an interrupt and the main loop.

/// A queue of at most `N` octets. Not synchronised: it lives in a critical section's cell.
#[derive(Debug)]
pub(crate) struct Ring<const N: usize> {
    octets: [u8; N],
    start: usize,
    len: usize,
}

impl<const N: usize> Ring<N> {
    /// An empty queue.
    pub(crate) const fn new() -> Self {
        Self { octets: [0; N], start: 0, len: 0 }
    }

    /// Octets in the queue.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// True if there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets that fit.
    pub(crate) const fn room(&self) -> usize {
        N.saturating_sub(self.len)
    }

    /// Appends an octet; false if there is no room.
    pub(crate) fn push(&mut self, octet: u8) -> bool {
        if self.len >= N {
            return false;
        }
        let at = wrapped::<N>(self.start.wrapping_add(self.len));
        if let Some(place) = self.octets.get_mut(at) {
            *place = octet;
        }
        self.len = self.len.saturating_add(1);
        true
    }

    /// Appends what fits of `octets` and returns how many that is.
    pub(crate) fn append(&mut self, octets: &[u8]) -> usize {
        let count = octets.len().min(self.room());
        let at = wrapped::<N>(self.start.wrapping_add(self.len));
        let (first, rest) = octets.split_at(count.min(N.saturating_sub(at)));
        let rest = rest.get(..count.saturating_sub(first.len())).unwrap_or_default();
        if let Some(place) = self.octets.get_mut(at..at.saturating_add(first.len())) {
            place.copy_from_slice(first);
        }
        if let Some(place) = self.octets.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.len = self.len.saturating_add(count);
        count
    }

    /// The first octet.
    pub(crate) fn first(&self) -> Option<u8> {
        if self.len == 0 { None } else { self.octets.get(self.start).copied() }
    }

    /// The octets that lie together at the front: all, or those up to the end of the memory.
    pub(crate) fn front(&self) -> &[u8] {
        let end = self.start.saturating_add(self.len).min(N);
        self.octets.get(self.start..end).unwrap_or_default()
    }

    /// Forgets the first `count` octets.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.start = wrapped::<N>(self.start.wrapping_add(count));
        self.len = self.len.saturating_sub(count);
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// `at`, less than 2 N, within the memory. Division is dear where there is none in hardware.
const fn wrapped<const N: usize>(at: usize) -> usize {
    if at >= N { at.wrapping_sub(N) } else { at }
}
