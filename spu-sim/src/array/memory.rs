//! The bulk memory: the switches of the arrays, and the codes of the nodes' converters.

use spu_protocol::payload::bulk::Region;

/// Codes by region, rows padded to whole words.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) rows: usize,
    pub(super) columns: usize,
    regions: [Vec<i16>; Region::ALL.len()],
}

impl Memory {
    /// Every switch open.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let words = |region: Region| region.words(rows, columns);
        Self { rows, columns, regions: Region::ALL.map(|region| vec![0; 2 * words(region)]) }
    }

    pub(super) fn codes(&self, region: Region) -> &[i16] {
        &self.regions[region as usize]
    }

    /// A row's codes, without the padding.
    pub(super) fn row(&self, region: Region, row: usize) -> &[i16] {
        let (_, codes) = region.shape(self.rows, self.columns);
        let start = row * 2 * Region::row_words(codes);
        &self.codes(region)[start..start + codes]
    }

    /// Sets a word's two codes, each cut to ± `limit`; nothing outside the region.
    pub(super) fn write(&mut self, region: Region, word: usize, value: u32, limit: i16) {
        let codes = &mut self.regions[region as usize];
        if let Some([low, high]) = codes.get_mut(2 * word..2 * word + 2) {
            *low = (value as i16).clamp(-limit, limit);
            *high = ((value >> 16) as i16).clamp(-limit, limit);
        }
    }

    /// A word's two codes; 0 outside the region.
    pub(super) fn read(&self, region: Region, word: usize) -> u32 {
        match self.codes(region).get(2 * word..2 * word + 2) {
            Some([low, high]) => {
                u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16
            }
            _ => 0,
        }
    }
}
