//! The program of a board: everything that is set before it runs.

use bytemuck::{Pod, Zeroable};

use crate::code::{CouplingCode, DacCode, GainCode};
use crate::payload::{Writer, split};

/// Most cells of a board that is programmed by `Load`; larger kinds use the bulk window.
pub const MAX_CELLS: usize = 8;
/// Most couplings of such a board.
pub const MAX_COUPLINGS: usize = MAX_CELLS * (MAX_CELLS - 1) / 2;

/// Start of a `Load` block. Arrays follow in this order, without padding:
/// self codes (`i16 × cells`), coupling codes (`i16 × couplings`), gain codes (`u16 × cells`),
/// bias codes (`i16 × cells`), then, if [`STORAGE`](LoadHeader::STORAGE) is set, storage codes
/// (`i16 × cells`), then, if [`RESEED`](LoadHeader::RESEED) is set, seeds (`u32 × 4 × cells`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LoadHeader {
    /// A [`BoardKind`](crate::payload::info::BoardKind).
    pub kind: u16,
    /// Number of cells.
    pub cells: u16,
    /// Number of couplings.
    pub couplings: u16,
    /// [`RESEED`](LoadHeader::RESEED), [`DISCHARGE`](LoadHeader::DISCHARGE),
    /// [`STORAGE`](LoadHeader::STORAGE).
    pub flags: u16,
}
const _: () = assert!(size_of::<LoadHeader>() == 8);

impl LoadHeader {
    /// Seeds follow and are loaded into the noise generators.
    pub const RESEED: u16 = 1;
    /// The cells are shorted before the run: it starts from zero volts and amperes.
    pub const DISCHARGE: u16 = 2;
    /// Storage codes follow. Boards with storage banks
    /// ([`BoardKind::Rc`](crate::payload::info::BoardKind::Rc)) require it, others refuse it.
    pub const STORAGE: u16 = 4;
    /// Every flag that this version knows.
    pub const FLAGS: u16 = Self::RESEED | Self::DISCHARGE | Self::STORAGE;
}

/// Seed of one cell's noise generator: the four state words of xoshiro128++, not all zero.
pub type SeedWords = [u32; 4];

/// A program with its arrays, on either side of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadView {
    /// Kind, sizes and flags.
    pub header: LoadHeader,
    /// Self-term codes; the first `header.cells` count.
    pub self_codes: [CouplingCode; MAX_CELLS],
    /// Coupling codes by pair (0,1), (0,2) …; the first `header.couplings` count.
    pub coupling_codes: [CouplingCode; MAX_COUPLINGS],
    /// Noise gains.
    pub gain_codes: [GainCode; MAX_CELLS],
    /// Bias currents.
    pub bias_codes: [DacCode; MAX_CELLS],
    /// Storage codes, if [`LoadHeader::STORAGE`] is set.
    pub storage_codes: [CouplingCode; MAX_CELLS],
    /// Noise seeds, if [`LoadHeader::RESEED`] is set.
    pub seeds: [SeedWords; MAX_CELLS],
}

impl LoadView {
    /// An empty program for a board of this kind and size, if it fits.
    pub fn new(kind: u16, cells: u16) -> Option<Self> {
        let n = usize::from(cells);
        (1..=MAX_CELLS).contains(&n).then(|| Self {
            header: LoadHeader { kind, cells, couplings: (n * (n - 1) / 2) as u16, flags: 0 },
            self_codes: [CouplingCode(0); MAX_CELLS],
            coupling_codes: [CouplingCode(0); MAX_COUPLINGS],
            gain_codes: [GainCode(0); MAX_CELLS],
            bias_codes: [DacCode(0); MAX_CELLS],
            storage_codes: [CouplingCode(0); MAX_CELLS],
            seeds: [[0; 4]; MAX_CELLS],
        })
    }

    /// Reads a block; `None` if its sizes or its length do not agree.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, mut rest) = split::<LoadHeader>(bytes)?;
        let mut view = Self::new(header.kind, header.cells)?;
        if view.header.couplings != header.couplings {
            return None;
        }
        view.header.flags = header.flags;
        let (cells, couplings) = (usize::from(header.cells), usize::from(header.couplings));
        take(&mut rest, &mut view.self_codes[..cells])?;
        take(&mut rest, &mut view.coupling_codes[..couplings])?;
        take(&mut rest, &mut view.gain_codes[..cells])?;
        take(&mut rest, &mut view.bias_codes[..cells])?;
        if header.flags & LoadHeader::STORAGE != 0 {
            take(&mut rest, &mut view.storage_codes[..cells])?;
        }
        if header.flags & LoadHeader::RESEED != 0 {
            take(&mut rest, &mut view.seeds[..cells])?;
        }
        rest.is_empty().then_some(view)
    }

    /// Appends the block. Sizes beyond the arrays, which [`parse`](Self::parse) refuses, write the
    /// arrays.
    pub fn write(&self, out: &mut Writer<'_>) {
        let cells = usize::from(self.header.cells).min(MAX_CELLS);
        let couplings = usize::from(self.header.couplings).min(MAX_COUPLINGS);
        out.put(&self.header)
            .put_slice(&self.self_codes[..cells])
            .put_slice(&self.coupling_codes[..couplings])
            .put_slice(&self.gain_codes[..cells])
            .put_slice(&self.bias_codes[..cells]);
        if self.header.flags & LoadHeader::STORAGE != 0 {
            out.put_slice(&self.storage_codes[..cells]);
        }
        if self.header.flags & LoadHeader::RESEED != 0 {
            out.put_slice(&self.seeds[..cells]);
        }
    }
}

/// Fills `into` from the start of `bytes` and moves `bytes` on.
fn take<T: Pod>(bytes: &mut &[u8], into: &mut [T]) -> Option<()> {
    let into = bytemuck::cast_slice_mut::<T, u8>(into);
    let (head, rest) = bytes.split_at_checked(into.len())?;
    into.copy_from_slice(head);
    *bytes = rest;
    Some(())
}
