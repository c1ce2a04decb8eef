//! The FPGA's sequencer and counters, register by register.

use spu_protocol::code::Ticks;
use spu_protocol::error::ErrorCode;
use spu_protocol::payload::StatusView;
use spu_protocol::payload::acquire::{MAX_PRODUCTS, product_count};
use spu_protocol::payload::load::MAX_CELLS;
use spu_protocol::regs::{self, control, status};

use crate::board::{Board, BoardError};
use crate::refusal::Refusal;

/// What the sequencer does; the numbers are the register's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Program,
    Settle,
    Acquire,
    Done,
    Aborted,
    /// No state of this register map: the FPGA is gone or another.
    Unknown,
}

impl Phase {
    const fn of(status: u32) -> Self {
        match (status >> status::STATE_SHIFT) & status::STATE_MASK {
            status::STATE_IDLE => Self::Idle,
            status::STATE_PROGRAM => Self::Program,
            status::STATE_SETTLE => Self::Settle,
            status::STATE_ACQUIRE => Self::Acquire,
            status::STATE_DONE => Self::Done,
            status::STATE_ABORTED => Self::Aborted,
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn is_running(self) -> bool {
        matches!(self, Self::Program | Self::Settle | Self::Acquire)
    }
}

/// Status and counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) phase: Phase,
    /// The tick waits for room in the capture memory.
    pub(crate) stalled: bool,
    /// Whole frames in the capture memory.
    pub(crate) frames: u32,
    /// Ticks kept since the start, lost ones included.
    pub(crate) kept: u32,
    /// Kept frames lost since the start.
    pub(crate) lost: u32,
    /// Ticks run since the start.
    pub(crate) ticks: Ticks,
}

// One burst reads them all.
const _: () = assert!(
    regs::FIFO_FRAMES == regs::STATUS + 4
        && regs::KEPT == regs::STATUS + 8
        && regs::LOST == regs::STATUS + 12
        && regs::TICKS_LO == regs::STATUS + 16
        && regs::TICKS_HI == regs::STATUS + 20
);
const _: () = assert!(
    regs::SETTLE == regs::MODE + 4
        && regs::DECIMATION == regs::MODE + 8
        && regs::COUNT == regs::MODE + 12
);

impl Snapshot {
    /// Reads status and counters in one transaction.
    pub(crate) fn read(board: &mut impl Board) -> Result<Self, BoardError> {
        let mut words = [0; 6];
        board.read_regs(regs::STATUS, &mut words)?;
        let [word, frames, kept, lost, low, high] = words;
        Ok(Self {
            phase: Phase::of(word),
            stalled: word & status::STALLED != 0,
            frames,
            kept,
            lost,
            ticks: Ticks(u64::from(high) << 32 | u64::from(low)),
        })
    }
}

/// What the sequencer is to do; values of the registers of these names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) mode: u32,
    pub(crate) settle: u32,
    pub(crate) decimation: u32,
    pub(crate) count: u32,
}

impl Run {
    /// Ticks of the whole run: the tick after the last kept one is not run.
    pub(crate) fn ticks(self) -> u64 {
        let (settle, decimation) = (u64::from(self.settle), u64::from(self.decimation.max(1)));
        let after_first = u64::from(self.count.max(1)).saturating_sub(1).saturating_mul(decimation);
        settle.saturating_add(after_first).saturating_add(1)
    }
}

/// Starts a run.
pub(crate) fn start(board: &mut impl Board, run: Run) -> Result<(), BoardError> {
    board.write_regs(regs::MODE, &[run.mode, run.settle, run.decimation, run.count])?;
    board.write_regs(regs::CONTROL, &[control::START])
}

/// Stops the sequencer and empties the capture memory. Refuses with [`ErrorCode::Stalled`] if the
/// sequencer runs on.
pub(crate) fn stop(board: &mut impl Board) -> Result<(), Refusal> {
    board.write_regs(regs::CONTROL, &[control::ABORT | control::FIFO_CLEAR])?;
    idle(board)
}

/// Makes sure that the sequencer is not running.
pub(crate) fn idle(board: &mut impl Board) -> Result<(), Refusal> {
    let mut word = [0];
    board.read_regs(regs::STATUS, &mut word)?;
    let [word] = word;
    if Phase::of(word).is_running() { Err(ErrorCode::Stalled.into()) } else { Ok(()) }
}

/// Reads the saturation counters into `view`, and the moments if its fixed part says so.
pub(crate) fn read_counters(
    board: &mut impl Board,
    view: &mut StatusView,
) -> Result<(), BoardError> {
    let cells = usize::from(view.status.cells).min(MAX_CELLS);
    if let Some(saturated) = view.saturated.get_mut(..cells) {
        board.read_regs(regs::saturated(0), saturated)?;
    }
    if view.status.moments == 1 {
        if let Some(sums) = view.sums.get_mut(..cells) {
            read_longs(board, regs::sum(0), sums)?;
        }
        if let Some(products) = view.products.get_mut(..product_count(cells)) {
            read_longs(board, regs::product(0), products)?;
        }
    }
    Ok(())
}

/// Reads 64-bit values, low word first.
fn read_longs(board: &mut impl Board, address: u16, out: &mut [i64]) -> Result<(), BoardError> {
    let mut words = [[0_u32; 2]; MAX_PRODUCTS];
    let Some(words) = words.get_mut(..out.len()) else {
        return Ok(());
    };
    board.read_regs(address, words.as_flattened_mut())?;
    for (to, [low, high]) in out.iter_mut().zip(words) {
        *to = (u64::from(*high) << 32 | u64::from(*low)).cast_signed();
    }
    Ok(())
}
