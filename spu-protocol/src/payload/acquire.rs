//! Acquisitions: what is asked for, what streams, how it ended.

use bytemuck::{Pod, Zeroable};

use crate::payload::load::MAX_CELLS;
use crate::payload::{Writer, split};

/// Starts the sequencer: settle, then keep one tick in `decimation` until `count` are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AcquireRequest {
    /// Ticks to wait before the first sample.
    pub settle: u32,
    /// One tick in this many is kept, at least 1; nothing is averaged.
    pub decimation: u32,
    /// Ticks to keep, 1 to 2³² − 1.
    pub count: u32,
    /// [`MOMENTS`](AcquireRequest::MOMENTS), [`STREAM`](AcquireRequest::STREAM), [`REALTIME`](AcquireRequest::REALTIME).
    pub flags: u32,
    /// Stream blocks granted from the start, as [`CreditRequest::granted`].
    pub granted: u64,
}
const _: () = assert!(size_of::<AcquireRequest>() == 24);

impl AcquireRequest {
    /// Accumulate moments on the board.
    pub const MOMENTS: u32 = 1;
    /// Send the kept frames.
    pub const STREAM: u32 = 2;
    /// A full capture memory loses samples (counted) instead of stalling the clock.
    pub const REALTIME: u32 = 4;
}

/// Grants stream blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CreditRequest {
    /// Blocks granted since the start of the acquisition, in all: a repeated grant changes nothing.
    pub granted: u64,
}
const _: () = assert!(size_of::<CreditRequest>() == 8);

/// Start of a `StreamBlock`; packed frames follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct StreamHeader {
    /// Number of this block in its acquisition, from 0.
    pub block: u64,
    /// Index of the first frame among the kept ones, lost ones included.
    pub first_frame: u64,
    /// Frames lost between the block before and this one.
    pub lost_before: u64,
    /// Frames in this block.
    pub frames: u32,
    /// Octets of one frame: JESD204B's F.
    pub frame_octets: u32,
}
const _: () = assert!(size_of::<StreamHeader>() == 32);

/// Where the sequencer is, in [`AcquireStatus::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Nothing was started.
    Idle = 0,
    /// Bank switches are being set.
    Program = 1,
    /// Waiting for the cells to settle.
    Settle = 2,
    /// Sampling.
    Acquire = 3,
    /// All is sampled; frames are still in the capture memory.
    Drain = 4,
    /// All is sampled and delivered.
    Done = 5,
    /// Cancelled; what was measured is readable.
    Cancelled = 6,
    /// The sequencer stopped advancing.
    Failed = 7,
}

impl State {
    /// The state with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Idle,
            1 => Self::Program,
            2 => Self::Settle,
            3 => Self::Acquire,
            4 => Self::Drain,
            5 => Self::Done,
            6 => Self::Cancelled,
            7 => Self::Failed,
            _ => return None,
        })
    }

    /// True where nothing more will come.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Idle | Self::Done | Self::Cancelled | Self::Failed)
    }
}

/// Start of a status block. Arrays follow: saturation counts (`u32 × cells`), then, if
/// [`moments`](AcquireStatus::moments) is 1, sums (`i64 × cells`) and products
/// (`i64 × cells (cells + 1) / 2`, pairs (0,0), (0,1) … (0,n−1), (1,1) …), in ADC codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AcquireStatus {
    /// Ticks kept so far, lost ones included.
    pub kept: u64,
    /// Kept frames that the capture memory lost.
    pub lost: u64,
    /// Ticks run since the start, settling included.
    pub ticks: u64,
    /// Stream blocks sent.
    pub blocks: u64,
    /// A [`State`].
    pub state: u8,
    /// 1 if moments follow.
    pub moments: u8,
    /// Number of cells.
    pub cells: u16,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<AcquireStatus>() == 40);

/// Number of products of a board's moments.
pub const fn product_count(cells: usize) -> usize {
    cells * (cells + 1) / 2
}

/// Most products of a board's moments.
pub const MAX_PRODUCTS: usize = product_count(MAX_CELLS);

/// A status block with its arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusView {
    /// The fixed part.
    pub status: AcquireStatus,
    /// Kept samples of each cell that were at the end of the converter's range.
    pub saturated: [u32; MAX_CELLS],
    /// Sums of codes.
    pub sums: [i64; MAX_CELLS],
    /// Sums of products of codes.
    pub products: [i64; MAX_PRODUCTS],
}

impl StatusView {
    /// A block of zeros around `status`.
    pub const fn new(status: AcquireStatus) -> Self {
        Self {
            status,
            saturated: [0; MAX_CELLS],
            sums: [0; MAX_CELLS],
            products: [0; MAX_PRODUCTS],
        }
    }

    /// Reads a block; `None` if its sizes and its length do not agree.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (status, mut rest) = split::<AcquireStatus>(bytes)?;
        let cells = usize::from(status.cells);
        if cells > MAX_CELLS {
            return None;
        }
        let mut view = Self::new(status);
        let mut take = |into: &mut [u8]| {
            let (head, tail) = rest.split_at_checked(into.len())?;
            into.copy_from_slice(head);
            rest = tail;
            Some(())
        };
        take(bytemuck::cast_slice_mut(&mut view.saturated[..cells]))?;
        if status.moments == 1 {
            take(bytemuck::cast_slice_mut(&mut view.sums[..cells]))?;
            take(bytemuck::cast_slice_mut(&mut view.products[..product_count(cells)]))?;
        }
        rest.is_empty().then_some(view)
    }

    /// Appends the block.
    pub fn write(&self, out: &mut Writer<'_>) {
        let cells = usize::from(self.status.cells).min(MAX_CELLS);
        out.put(&self.status).put_slice(&self.saturated[..cells]);
        if self.status.moments == 1 {
            out.put_slice(&self.sums[..cells]).put_slice(&self.products[..product_count(cells)]);
        }
    }
}
