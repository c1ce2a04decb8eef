//! Where a stream lost frames.

/// Gaps that are remembered apart.
const CAPACITY: usize = 32;

/// Lost frames between two that the capture memory took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Frames that the capture memory took before it.
    at: u64,
    /// Frames lost.
    lost: u64,
}

/// Gaps that no block was sent behind yet, oldest first.
///
/// A full capture memory loses what comes after the frames that it holds; so frames lost between
/// two looks at the counters belong behind all frames held at the second. That is exact where
/// nothing is read from the memory while it loses frames; otherwise a gap may be placed up to the
/// number of frames that came between the two looks too late. The number of lost frames is always
/// exact.
#[derive(Debug)]
pub(crate) struct Gaps {
    gaps: [Gap; CAPACITY],
    count: usize,
}

impl Gaps {
    pub(crate) const fn new() -> Self {
        Self { gaps: [Gap { at: 0, lost: 0 }; CAPACITY], count: 0 }
    }

    /// Adds `lost` frames behind the first `at` taken ones. Where memory is short, the last gap
    /// takes them.
    pub(crate) fn add(&mut self, at: u64, lost: u64) {
        let last = self.count.checked_sub(1).and_then(|last| self.gaps.get_mut(last));
        if let Some(last) = last
            && (last.at == at || self.count == CAPACITY)
        {
            last.lost = last.lost.saturating_add(lost);
        } else if let Some(free) = self.gaps.get_mut(self.count) {
            *free = Gap { at, lost };
            self.count = self.count.saturating_add(1);
        }
    }

    /// Position of the next gap.
    pub(crate) fn next(&self) -> Option<u64> {
        self.gaps.first().filter(|_| self.count > 0).map(|gap| gap.at)
    }

    /// Takes the gaps at or before position `at` and gives the frames lost in them.
    pub(crate) fn take(&mut self, at: u64) -> u64 {
        let mut lost = 0_u64;
        while self.next().is_some_and(|next| next <= at) {
            lost = lost.saturating_add(self.gaps.first().map_or(0, |gap| gap.lost));
            self.gaps.rotate_left(1);
            self.count = self.count.saturating_sub(1);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Gaps};

    #[test]
    fn gaps_come_out_where_they_were_put() {
        let mut gaps = Gaps::new();
        assert_eq!((gaps.next(), gaps.take(100)), (None, 0));
        gaps.add(10, 1);
        gaps.add(10, 2);
        gaps.add(20, 4);
        assert_eq!(gaps.next(), Some(10));
        assert_eq!(gaps.take(9), 0);
        assert_eq!(gaps.take(10), 3);
        assert_eq!(gaps.next(), Some(20));
        gaps.add(30, 8);
        assert_eq!(gaps.take(1000), 12);
        assert_eq!(gaps.next(), None);
    }

    #[test]
    fn no_loss_is_forgotten_when_memory_is_short() {
        let mut gaps = Gaps::new();
        for at in 0..3 * CAPACITY as u64 {
            gaps.add(at, 1);
        }
        assert_eq!(gaps.take(CAPACITY as u64 - 2), CAPACITY as u64 - 1);
        assert_eq!(gaps.take(u64::MAX), 2 * CAPACITY as u64 + 1);
    }
}
