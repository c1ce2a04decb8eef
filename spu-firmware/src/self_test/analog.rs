//! Test of the analog path: noise from the generators reaches the converters of every cell.

use spu_protocol::code::GainCode;
use spu_protocol::payload::StatusView;
use spu_protocol::payload::load::{MAX_CELLS, MAX_COUPLINGS};
use spu_protocol::regs::{self, control, mode};

use super::pattern::counters_of;
use super::{Fault, run_sequencer};
use crate::board::{Board, BoardError};
use crate::identity::Identity;
use crate::sequencer::{self, Run};

/// Long against the slowest mode, and samples enough to tell noise from none (design choice).
const RUN: Run = Run { mode: mode::MOMENTS, settle: 16_384, decimation: 16, count: 1024 };

/// With the noise on, each cell's variance must exceed this many times that with the noise off…
const VARIANCE_RATIO: i128 = 4;
/// …and then by this many squared LSB.
const VARIANCE_STEP: i128 = 1;

/// Uncoupled cells at half their self term, first without noise, then at a gain of one.
#[inline(never)] // or the callers' other work pays for its arrays in stack
pub(super) fn noise(board: &mut impl Board, identity: &Identity) -> Result<(), Fault> {
    program(board, identity)?;
    let quiet = variances(board, identity)?;
    let one = 1_u32.wrapping_shl(GainCode::FRACTION_BITS);
    fill(board, regs::noise_gain(0), identity.cells(), one)?;
    board.write_regs(regs::CONTROL, &[control::APPLY])?;
    let driven = variances(board, identity)?;
    for (quiet, driven) in quiet.iter().zip(driven).take(identity.cells()) {
        let expected = quiet.saturating_mul(VARIANCE_RATIO).saturating_add(VARIANCE_STEP);
        if driven < expected {
            let word = |value: i128| u32::try_from(value).unwrap_or(u32::MAX);
            return Err(Fault::Mismatch { expected: word(expected), found: word(driven) });
        }
    }
    Ok(())
}

/// Half the self term, no coupling, no gain, no bias, seeds that differ.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn program(board: &mut impl Board, identity: &Identity) -> Result<(), BoardError> {
    let cells = identity.cells();
    let half = 1_u32.wrapping_shl(u32::from(identity.info.self_bits.saturating_sub(1)));
    fill(board, regs::self_bank(0), cells, half)?;
    fill(board, regs::coupling_bank(0), usize::from(identity.info.couplings), 0)?;
    fill(board, regs::noise_gain(0), cells, 0)?;
    fill(board, regs::bias(0), cells, 0)?;
    let mut seeds = [0_u32; 4 * MAX_CELLS];
    for (seed, index) in seeds.iter_mut().zip(1_u32..) {
        *seed = index.wrapping_mul(0x9e37_79b9);
    }
    if let Some(seeds) = seeds.get(..cells.saturating_mul(4)) {
        board.write_regs(regs::noise_seed(0), seeds)?;
    }
    board.write_regs(regs::CONTROL, &[control::APPLY | control::RESEED | control::DISCHARGE])
}

/// Sets `count` registers to `value`.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn fill(board: &mut impl Board, address: u16, count: usize, value: u32) -> Result<(), BoardError> {
    match [value; MAX_COUPLINGS].get(..count) {
        None | Some([]) => Ok(()),
        Some(words) => board.write_regs(address, words),
    }
}

/// Variance of each cell's code over a run, in squared LSB, rounded down.
fn variances(board: &mut impl Board, identity: &Identity) -> Result<[i128; MAX_CELLS], Fault> {
    run_sequencer(board, RUN)?;
    let mut view = StatusView::new(counters_of(identity));
    sequencer::read_counters(board, &mut view)?;
    let count = i128::from(RUN.count);
    let mut variances = [0; MAX_CELLS];
    // Products (0,0), (0,1) … (0,n−1), (1,1) …: the squares are n, n − 1 … apart.
    let mut square = 0_usize;
    for ((cell, variance), sum) in variances.iter_mut().enumerate().zip(view.sums) {
        let squares = i128::from(view.products.get(square).copied().unwrap_or(0));
        let sum = i128::from(sum);
        let scaled = squares.saturating_mul(count).saturating_sub(sum.saturating_mul(sum));
        *variance = scaled.checked_div(count.saturating_mul(count)).unwrap_or(0);
        square = square.saturating_add(identity.cells().saturating_sub(cell));
    }
    Ok(variances)
}
