//! Tests of identity, bus and register file, and keeping what they overwrite.

use spu_protocol::code::full_scale_code;
use spu_protocol::error::ErrorCode;
use spu_protocol::payload::InfoReply;
use spu_protocol::payload::load::{MAX_CELLS, MAX_COUPLINGS};
use spu_protocol::regs;

use super::{Fault, equal};
use crate::board::{Board, BoardError};
use crate::identity::Identity;
use crate::refusal::Refusal;

/// The identity is still the session's (the calibration may be another: the host stores it).
#[inline(never)] // or the callers' other work pays for its arrays in stack
pub(super) fn identity(board: &mut impl Board, identity: &Identity) -> Result<(), Fault> {
    let mut magic = [0];
    board.read_regs(regs::MAGIC, &mut magic)?;
    let [magic] = magic;
    equal(regs::MAGIC_VALUE, magic)?;
    let found = match Identity::read(board) {
        Ok(found) => found.info,
        Err(refusal) if refusal.code == ErrorCode::Bus => return Err(Fault::Refused(refusal)),
        Err(Refusal { detail, .. }) => {
            // An identity register reads wrong: its address tells which.
            return Err(Fault::Mismatch { expected: 0, found: u32::from(detail) });
        }
    };
    let expected = identity.info;
    equal(expected.gateware_id, found.gateware_id)?;
    let same = InfoReply { calibration_id: expected.calibration_id, ..found };
    equal(0, u32::from(bytemuck::bytes_of(&same) != bytemuck::bytes_of(&expected)))
}

/// Walking ones and zeros through the scratch registers, all four different.
pub(super) fn scratch(board: &mut impl Board) -> Result<(), Fault> {
    let mut saved = [0; regs::SCRATCH_LEN];
    board.read_regs(regs::scratch(0), &mut saved)?;
    let outcome = walk(board);
    board.write_regs(regs::scratch(0), &saved)?;
    outcome
}

#[inline(never)] // or the callers' other work pays for its arrays in stack
fn walk(board: &mut impl Board) -> Result<(), Fault> {
    for bit in 0..u32::BITS {
        let one = 1_u32.rotate_left(bit);
        let written = [one, !one, one.rotate_left(8), !one.rotate_left(16)];
        board.write_regs(regs::scratch(0), &written)?;
        let mut found = [0; regs::SCRATCH_LEN];
        board.read_regs(regs::scratch(0), &mut found)?;
        board.progress();
        for (expected, found) in written.iter().zip(found) {
            equal(*expected, found)?;
        }
    }
    Ok(())
}

/// Words of the longest array that a program sets.
const MAX_WORDS: usize = 4 * MAX_CELLS;
const _: () = assert!(MAX_WORDS >= MAX_COUPLINGS);

/// Register arrays that a program or a test sets: address and number of words.
fn arrays(identity: &Identity) -> [(u16, usize); 6] {
    let cells = identity.cells();
    [
        (regs::self_bank(0), cells),
        (regs::coupling_bank(0), usize::from(identity.info.couplings)),
        (regs::noise_gain(0), cells),
        (regs::bias(0), cells),
        (regs::noise_seed(0), cells.saturating_mul(4)),
        // MODE, SETTLE, DECIMATION, COUNT.
        (regs::MODE, 4),
    ]
}

/// Words of all arrays of the largest board.
const SAVED_WORDS: usize = 3 * MAX_CELLS + MAX_COUPLINGS + 4 * MAX_CELLS + 4;

/// What the tests overwrite.
pub(super) struct Saved {
    arrays: [(u16, usize); 6],
    /// Those of all arrays, one after the other.
    words: [u32; SAVED_WORDS],
}

impl Saved {
    /// Room for what is on this board.
    pub(super) fn new(identity: &Identity) -> Self {
        Self { arrays: arrays(identity), words: [0; SAVED_WORDS] }
    }

    pub(super) fn read(&mut self, board: &mut impl Board) -> Result<(), BoardError> {
        let mut rest = &mut self.words[..];
        for (address, len) in self.arrays {
            let Some((words, others)) = rest.split_at_mut_checked(len) else { break };
            rest = others;
            if !words.is_empty() {
                board.read_regs(address, words)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, board: &mut impl Board) -> Result<(), BoardError> {
        let mut rest = &self.words[..];
        for (address, len) in self.arrays {
            let Some((words, others)) = rest.split_at_checked(len) else { break };
            rest = others;
            if !words.is_empty() {
                board.write_regs(address, words)?;
            }
        }
        Ok(())
    }
}

/// Every register of a program takes codes from its whole range. Nothing becomes active.
#[inline(never)] // or the callers' other work pays for its arrays in stack
pub(super) fn banks(board: &mut impl Board, identity: &Identity) -> Result<(), Fault> {
    let info = &identity.info;
    let top = |bits: u8| 1_u32.wrapping_shl(u32::from(bits)).wrapping_sub(1);
    let full_scale = full_scale_code(info.dac_bits).unsigned_abs();
    let [selves, couplings, gains, biases, seeds, _] = arrays(identity);
    for round in 0..4 {
        check(board, selves, |index| code(index, round, top(info.self_bits), false))?;
        let signed = info.coupling_signed != 0;
        check(board, couplings, |index| code(index, round, top(info.coupling_bits), signed))?;
        check(board, gains, |index| code(index, round, u32::from(u16::MAX), false))?;
        check(board, biases, |index| code(index, round, u32::from(full_scale), true))?;
        check(board, seeds, |index| code(index, round, u32::MAX, false))?;
    }
    Ok(())
}

/// A code of at most `max` (all ones in binary) that differs between neighbours and rounds; every
/// bit is 0 and 1 in some round.
const fn code(index: u32, round: u32, max: u32, signed: bool) -> u32 {
    let spread = index.wrapping_add(1).wrapping_mul(0x9e37_79b9).rotate_left(7);
    let magnitude = if round.is_multiple_of(2) { spread & max } else { !spread & max };
    if signed && round >= 2 { magnitude.wrapping_neg() } else { magnitude }
}

#[inline(never)] // or the callers' other work pays for its arrays in stack
fn check(
    board: &mut impl Board,
    (address, len): (u16, usize),
    code: impl Fn(u32) -> u32,
) -> Result<(), Fault> {
    let mut written = [0; MAX_WORDS];
    for (word, index) in written.iter_mut().zip(0..) {
        *word = code(index);
    }
    let mut found = [0; MAX_WORDS];
    let (Some(written), Some(found)) = (written.get(..len), found.get_mut(..len)) else {
        return Ok(());
    };
    if written.is_empty() {
        return Ok(());
    }
    board.write_regs(address, written)?;
    board.read_regs(address, found)?;
    board.progress();
    for (expected, found) in written.iter().zip(found) {
        equal(*expected, *found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn every_bit_of_every_bank_is_seen_low_and_high() {
        for bits in 1..=32 {
            let max = u32::MAX >> (32 - bits);
            for index in 0..32 {
                let (first, second) = (code(index, 0, max, false), code(index, 1, max, false));
                assert_eq!(first ^ second, max);
                assert!(first <= max && second <= max);
                assert_eq!(code(index, 2, max, true), first.wrapping_neg());
            }
        }
    }
}
