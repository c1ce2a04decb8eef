//! The bulk memory of a factored board: what is too large for registers.

use bytemuck::{Pod, Zeroable};

use crate::header::{MAX_PAYLOAD, MAX_REPLY};
use crate::regs;

/// What a word of the bulk memory belongs to. A word holds two signed 16-bit codes, the first one
/// in its low half. Rows are padded to whole words, so that each starts at a word: with R rows
/// and N columns in use a row of N codes has ⌈N/2⌉ words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Region {
    /// J: R rows of N codes.
    J = 0,
    /// H: R rows of R codes.
    H = 1,
    /// J transposed, column by column: R rows of N codes.
    Jt = 2,
    /// Codes of the input DACs: N.
    Input = 3,
    /// Codes of the nodes' voltages at the start, in ADC codes: N.
    Initial = 4,
    /// ADC codes of the nodes' voltages, read only: N.
    State = 5,
}

impl Region {
    /// Every region.
    pub const ALL: [Self; 6] =
        [Self::J, Self::H, Self::Jt, Self::Input, Self::Initial, Self::State];

    /// The region with this number.
    pub const fn from_u16(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::J,
            1 => Self::H,
            2 => Self::Jt,
            3 => Self::Input,
            4 => Self::Initial,
            5 => Self::State,
            _ => return None,
        })
    }

    /// Words of a row of `codes` codes.
    pub const fn row_words(codes: usize) -> usize {
        codes.div_ceil(2)
    }

    /// Rows of the region, and codes of each, with `rows` and `columns` in use.
    pub const fn shape(self, rows: usize, columns: usize) -> (usize, usize) {
        match self {
            Self::J | Self::Jt => (rows, columns),
            Self::H => (rows, rows),
            Self::Input | Self::Initial | Self::State => (1, columns),
        }
    }

    /// Words of the region.
    pub const fn words(self, rows: usize, columns: usize) -> usize {
        let (rows, codes) = self.shape(rows, columns);
        rows * Self::row_words(codes)
    }
}

/// A run of words of the bulk memory; words follow in a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BulkRequest {
    /// A [`Region`].
    pub region: u16,
    /// Number of words: 1 to [`MAX_WRITE`](Self::MAX_WRITE) or [`MAX_READ`](Self::MAX_READ).
    pub count: u16,
    /// First word in the region.
    pub first: u32,
}
const _: () = assert!(size_of::<BulkRequest>() == 8);

impl BulkRequest {
    /// Most words that one request writes.
    pub const MAX_WRITE: u16 = ((MAX_PAYLOAD - size_of::<Self>()) / 4) as u16;
    /// Most words that one request reads.
    pub const MAX_READ: u16 = (MAX_REPLY / 4) as u16;
    /// Words of the window [`BULK`](regs::BULK) that a page takes.
    pub const PAGE_WORDS: u32 = 4096;
}
const _: () = assert!(BulkRequest::PAGE_WORDS as usize * 4 <= regs::BULK_OCTETS);
