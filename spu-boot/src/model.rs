//! A model of NOR flash, with cuts of its power.

use std::collections::BTreeSet;

use crate::flash::{Flash, FlashError};

/// What a cut of the power leaves of the operation that it hits: the write of a granule or the
/// erasure of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// It had not started.
    NotStarted,
    /// The first half of the octets was changed.
    FirstHalf,
    /// The second half of the octets was changed.
    SecondHalf,
    /// Octets at random, by this seed.
    Octets(u64),
    /// Bits at random, by this seed.
    Bits(u64),
    /// It was complete.
    Completed,
}

/// A cut of the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Operations before the one that is hit.
    pub after: u64,
    /// What is left of that one.
    pub tear: Tear,
}

/// NOR flash: an erasure sets a page to `0xFF`, a write clears bits.
#[derive(Debug, Clone)]
pub struct ModelFlash {
    octets: Vec<u8>,
    page: u32,
    granule: u32,
    /// A granule is written once between two erasures, and one whose write was cut cannot be read:
    /// as with memories that store a check word with each granule.
    checked: bool,
    unreadable: BTreeSet<u32>,
    cut: Option<Cut>,
    on: bool,
    operations: u64,
    misuse: u64,
}

impl ModelFlash {
    /// Erased memory of `pages` pages of `page` octets, written by `granule` octets.
    pub fn new(page: u32, pages: u32, granule: u32) -> Self {
        Self {
            octets: vec![0xFF; page as usize * pages as usize],
            page,
            granule,
            checked: false,
            unreadable: BTreeSet::new(),
            cut: None,
            on: true,
            operations: 0,
            misuse: 0,
        }
    }

    /// The same memory with a check word for each granule.
    #[must_use]
    pub fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    /// The contents.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Sets contents, past all rules; what is beyond the end is dropped.
    pub fn fill(&mut self, offset: usize, octets: &[u8]) {
        for (to, octet) in self.octets.iter_mut().skip(offset).zip(octets) {
            *to = *octet;
        }
    }

    /// Switches the power on, until the cut if there is one.
    pub fn power_on(&mut self, cut: Option<Cut>) {
        (self.on, self.cut, self.operations) = (true, cut, 0);
    }

    /// False after the cut.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Granules written and pages erased since the power came on.
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// Writes to granules that were not erased, while the power was on. Zero where the code above
    /// keeps to the rules of NOR flash.
    pub const fn misuse(&self) -> u64 {
        self.misuse
    }

    /// Changes `octets` from `at` on with `change`, whole or as the cut leaves it.
    fn operate(
        &mut self,
        at: usize,
        length: usize,
        change: impl Fn(usize, u8) -> u8,
    ) -> Result<(), FlashError> {
        if !self.on {
            return Err(FlashError::Failed);
        }
        let hit = self.cut.filter(|cut| cut.after == self.operations);
        self.operations += 1;
        let mut random = Random(match hit.map(|cut| cut.tear) {
            Some(Tear::Octets(seed) | Tear::Bits(seed)) => seed.wrapping_add(self.operations),
            _ => 0,
        });
        let room = self.octets.get_mut(at..at + length).ok_or(FlashError::OutOfRange)?;
        let mut torn = false;
        for (index, octet) in room.iter_mut().enumerate() {
            let new = change(index, *octet);
            let mask = match hit.map(|cut| cut.tear) {
                None | Some(Tear::Completed) => 0xFF,
                Some(Tear::FirstHalf) if index < length / 2 => 0xFF,
                Some(Tear::SecondHalf) if index >= length / 2 => 0xFF,
                Some(Tear::NotStarted | Tear::FirstHalf | Tear::SecondHalf) => 0,
                Some(Tear::Octets(_)) => 0xFF * (random.next() & 1),
                Some(Tear::Bits(_)) => random.next(),
            };
            torn |= mask != 0xFF;
            *octet = new & mask | *octet & !mask;
        }
        if self.checked {
            let torn = torn && hit.is_some_and(|cut| cut.tear != Tear::NotStarted);
            for granule in (at as u32..(at + length) as u32).step_by(self.granule as usize) {
                if torn {
                    self.unreadable.insert(granule);
                } else if hit.is_none_or(|cut| cut.tear == Tear::Completed) {
                    self.unreadable.remove(&granule);
                }
            }
        }
        if hit.is_some() {
            self.on = false;
            return Err(FlashError::Failed);
        }
        Ok(())
    }
}

impl Flash for ModelFlash {
    fn page(&self) -> u32 {
        self.page
    }

    fn granule(&self) -> u32 {
        self.granule
    }

    fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        if !offset.is_multiple_of(32) || !out.len().is_multiple_of(32) {
            return Err(FlashError::NotAligned);
        }
        let end = offset.checked_add(out.len() as u32).ok_or(FlashError::OutOfRange)?;
        if !self.on || self.unreadable.range(offset..end).next().is_some() {
            return Err(FlashError::Failed);
        }
        let octets = self.octets.get(offset as usize..end as usize);
        out.copy_from_slice(octets.ok_or(FlashError::OutOfRange)?);
        Ok(())
    }

    fn erase_page(&mut self, offset: u32) -> Result<(), FlashError> {
        if !offset.is_multiple_of(self.page) {
            return Err(FlashError::NotAligned);
        }
        self.operate(offset as usize, self.page as usize, |_, _| 0xFF)
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), FlashError> {
        if !offset.is_multiple_of(32) || !octets.len().is_multiple_of(32) {
            return Err(FlashError::NotAligned);
        }
        let granule = self.granule as usize;
        for (index, piece) in octets.chunks(granule).enumerate() {
            let at = offset as usize + index * granule;
            let before = self.octets.get(at..at + piece.len()).ok_or(FlashError::OutOfRange)?;
            if self.on && before.iter().any(|octet| *octet != 0xFF) {
                self.misuse += 1;
                if self.checked {
                    return Err(FlashError::Failed);
                }
            }
            let new = |index: usize, old: u8| old & piece.get(index).copied().unwrap_or(0xFF);
            self.operate(at, piece.len(), new)?;
        }
        Ok(())
    }
}

/// A generator for tears (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 24) as u8
    }
}
