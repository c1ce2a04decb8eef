//! Tests of the digital data path with the pattern generator in place of the converters.

use spu_protocol::code::{AdcCode, full_scale_code};
use spu_protocol::payload::acquire::{MAX_PRODUCTS, State};
use spu_protocol::payload::load::MAX_CELLS;
use spu_protocol::payload::{AcquireStatus, StatusView};
use spu_protocol::regs::{self, control, mode};

use super::{Fault, equal, run_sequencer};
use crate::acquisition::Block;
use crate::board::Board;
use crate::identity::Identity;
use crate::sequencer::{self, Run};

/// Most frames of the test: with 8 cells every 16-bit code occurs.
const MAX_FRAMES: u32 = 8192;
const SETTLE: u32 = 5;
const DECIMATION: u32 = 3;

/// Largest packed frame, in octets.
const MAX_FRAME_OCTETS: usize = 2 * MAX_CELLS;

/// What the pattern generator makes of kept tick `frame` in `cell`.
fn code(frame: u32, cell: u32, cells: u32, bits: u8) -> AdcCode {
    let number = frame.wrapping_mul(cells).wrapping_add(cell);
    // The low bits, as two's complement.
    let unused = 16_u32.saturating_sub(u32::from(bits));
    let code = (number as u16).wrapping_shl(unused).cast_signed().wrapping_shr(unused);
    let largest = full_scale_code(bits);
    AdcCode(code.clamp(largest.saturating_neg(), largest))
}

/// What the counters should hold.
struct Expected {
    saturated: [u32; MAX_CELLS],
    sums: [i64; MAX_CELLS],
    products: [i64; MAX_PRODUCTS],
}

impl Expected {
    fn add(&mut self, codes: &[AdcCode], largest: i16) {
        for ((code, sum), saturated) in codes.iter().zip(&mut self.sums).zip(&mut self.saturated) {
            *sum = sum.saturating_add(i64::from(code.0));
            if code.0.unsigned_abs() == largest.unsigned_abs() {
                *saturated = saturated.saturating_add(1);
            }
        }
        let pairs = codes
            .iter()
            .enumerate()
            .flat_map(|(at, first)| codes.iter().skip(at).map(move |second| (first, second)));
        for ((first, second), sum) in pairs.zip(&mut self.products) {
            let product = i64::from(first.0).saturating_mul(i64::from(second.0));
            *sum = sum.saturating_add(product);
        }
    }
}

/// Fills the capture memory with the pattern (as far as [`MAX_FRAMES`] go) and compares all of it,
/// then the counters. The two outcomes are those of the two tests.
pub(super) fn run(
    board: &mut impl Board,
    identity: &Identity,
    block: &mut Block,
) -> (Result<(), Fault>, Result<(), Fault>) {
    let count = identity.info.capture_frames.min(MAX_FRAMES);
    let mut expected =
        Expected { saturated: [0; MAX_CELLS], sums: [0; MAX_CELLS], products: [0; MAX_PRODUCTS] };
    let octets = capture(board, identity, count, block, &mut expected);
    (octets, counters(board, identity, &expected))
}

/// Runs the pattern and compares the capture memory octet by octet.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn capture(
    board: &mut impl Board,
    identity: &Identity,
    count: u32,
    block: &mut Block,
    expected: &mut Expected,
) -> Result<(), Fault> {
    let run = Run {
        mode: mode::STREAM | mode::MOMENTS | mode::PATTERN,
        settle: SETTLE,
        decimation: DECIMATION,
        count,
    };
    // The moments are worth comparing also where octets differ.
    let ran = run_sequencer(board, run);
    let mut outcome = Ok(());
    let mut frame = 0_u32;
    while frame < count {
        let left = count.saturating_sub(frame) as usize;
        let frames = left.min(identity.block_frames);
        let octets = frames.saturating_mul(identity.frame_octets);
        let Some(octets) = block.get_mut(..octets) else {
            break;
        };
        if ran.is_ok() && outcome.is_ok() {
            board.read_fifo(octets)?;
            board.progress();
        }
        for octets in octets.chunks_exact(identity.frame_octets.max(1)) {
            let same = compare(identity, frame, octets, expected);
            outcome = outcome.and(same);
            frame = frame.saturating_add(1);
        }
    }
    board.write_regs(regs::CONTROL, &[control::FIFO_CLEAR])?;
    let seen = ran?;
    equal(count, seen.frames)?;
    equal(count, seen.kept)?;
    equal(0, seen.lost)?;
    equal(run.ticks() as u32, seen.ticks.0 as u32)?;
    outcome
}

/// Compares one frame and adds it to the counters.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn compare(
    identity: &Identity,
    frame: u32,
    octets: &[u8],
    expected: &mut Expected,
) -> Result<(), Fault> {
    let bits = identity.info.adc_bits;
    let largest = full_scale_code(bits);
    let cells = u32::from(identity.info.cells);
    let mut codes = [AdcCode(0); MAX_CELLS];
    let mut control = [0; MAX_CELLS];
    for ((to, over), cell) in codes.iter_mut().zip(&mut control).zip(0..cells) {
        *to = code(frame, cell, cells, bits);
        *over = u8::from(to.0.unsigned_abs() == largest.unsigned_abs());
    }
    let mut packed = [0; MAX_FRAME_OCTETS];
    let (Some(codes), Some(control), Some(packed)) = (
        codes.get(..identity.cells()),
        control.get(..identity.cells()),
        packed.get_mut(..octets.len()),
    ) else {
        return Err(Fault::Mismatch { expected: 0, found: octets.len() as u32 });
    };
    expected.add(codes, largest);
    if identity.format.pack(codes, control, packed).is_err() {
        let expected = identity.format.frame_octets() as u32;
        return Err(Fault::Mismatch { expected, found: octets.len() as u32 });
    }
    for (expected, found) in packed.iter().zip(octets) {
        equal(u32::from(*expected), u32::from(*found))?;
    }
    Ok(())
}

/// Compares saturation counters and moments.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn counters(board: &mut impl Board, identity: &Identity, expected: &Expected) -> Result<(), Fault> {
    let mut view = StatusView::new(counters_of(identity));
    sequencer::read_counters(board, &mut view)?;
    let differs = |(expected, found): (&i64, &i64)| {
        (expected != found)
            .then_some(Fault::Mismatch { expected: *expected as u32, found: *found as u32 })
    };
    let sums = expected.sums.iter().zip(&view.sums).find_map(differs);
    let products = expected.products.iter().zip(&view.products).find_map(differs);
    for (expected, found) in expected.saturated.iter().zip(view.saturated) {
        equal(*expected, found)?;
    }
    sums.or(products).map_or(Ok(()), Err)
}

/// The fixed part of a status that asks for all counters of this board.
pub(super) fn counters_of(identity: &Identity) -> AcquireStatus {
    AcquireStatus {
        kept: 0,
        lost: 0,
        ticks: 0,
        blocks: 0,
        state: State::Done as u8,
        moments: 1,
        cells: identity.info.cells,
        reserved: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{AdcCode, code};

    #[test]
    fn pattern_counts_through_the_converters_range() {
        // 12 bits: 2047 is followed by -2048, which is clamped.
        assert_eq!(code(0, 0, 8, 12), AdcCode(0));
        assert_eq!(code(1, 7, 8, 12), AdcCode(15));
        assert_eq!(code(255, 7, 8, 12), AdcCode(2047));
        assert_eq!(code(256, 0, 8, 12), AdcCode(-2047));
        assert_eq!(code(256, 1, 8, 12), AdcCode(-2047));
        assert_eq!(code(511, 7, 8, 12), AdcCode(-1));
        assert_eq!(code(512, 0, 8, 12), AdcCode(0));
        assert_eq!(code(4095, 7, 8, 16), AdcCode(32767));
        assert_eq!(code(4096, 0, 8, 16), AdcCode(-32767));
        assert_eq!(code(8191, 7, 8, 16), AdcCode(-1));
    }
}
