//! The operation `SelfTest`: tests that the board runs on itself.
//!
//! Level 0 exercises bus and registers, level 1 the digital data path with the pattern generator,
//! level 2 the analog path with the noise generators. Each level includes those below it. The
//! loaded program and the sequencer's settings are restored; cells start discharged again after
//! level 2, and from level 1 on the noise generators have moved on: a seeded run needs a new
//! `Load`.
//!
//! One call runs all tests: at most some 10⁵ ticks and 130 KiB from the capture memory, tens of
//! milliseconds on a board.

mod analog;
mod pattern;
mod registers;

use spu_protocol::error::ErrorCode;
use spu_protocol::payload::SelfTestReply;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::regs::{self, control};

use crate::acquisition::Block;
use crate::board::{Board, BoardError};
use crate::identity::Identity;
use crate::log::log;
use crate::refusal::Refusal;
use crate::sequencer::{self, Phase, Run, Snapshot};

/// Tests, by bit of [`SelfTestReply`].
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Test {
    Identity = 0,
    Scratch = 1,
    Banks = 2,
    Pattern = 3,
    Moments = 4,
    Noise = 5,
}
const _: () = assert!(SelfTestReply::NAMES.len() == 6);

/// Why a test did not pass.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The bus failed: no test can tell anything.
    Refused(Refusal),
    /// A value differs.
    Mismatch { expected: u32, found: u32 },
}

impl From<BoardError> for Fault {
    fn from(error: BoardError) -> Self {
        Self::Refused(error.into())
    }
}

/// Fails unless the values are equal.
fn equal(expected: u32, found: u32) -> Result<(), Fault> {
    if expected == found { Ok(()) } else { Err(Fault::Mismatch { expected, found }) }
}

/// Runs the tests up to `level`. Refuses with [`ErrorCode::Unsupported`] for a level above 2 and
/// [`ErrorCode::Bus`]; a failed test is no refusal but in the reply.
pub(crate) fn run(
    board: &mut impl Board,
    identity: &Identity,
    level: u32,
    block: &mut Block,
) -> Result<SelfTestReply, Refusal> {
    if level > 2 {
        return Err(ErrorCode::Unsupported.into());
    }
    let mut report = SelfTestReply { ran: 0, failed: 0, expected: 0, found: 0 };
    record(&mut report, Test::Identity, registers::identity(board, identity))?;
    record(&mut report, Test::Scratch, registers::scratch(board))?;
    let mut saved = registers::Saved::new(identity);
    saved.read(board)?;
    record(&mut report, Test::Banks, registers::banks(board, identity))?;
    if level >= 1 {
        let (octets, moments) = pattern::run(board, identity, block);
        record(&mut report, Test::Pattern, octets)?;
        record(&mut report, Test::Moments, moments)?;
    }
    // The test sets banks, which a factored board does not have.
    if level >= 2 && identity.info.kind != BoardKind::Factored as u16 {
        record(&mut report, Test::Noise, analog::noise(board, identity))?;
    }
    saved.write(board)?;
    if level >= 2 {
        board.write_regs(regs::CONTROL, &[control::APPLY | control::DISCHARGE])?;
    }
    Ok(report)
}

/// Notes how a test ended; a bus failure ends them all.
fn record(
    report: &mut SelfTestReply,
    test: Test,
    outcome: Result<(), Fault>,
) -> Result<(), Refusal> {
    let bit = 1_u32.wrapping_shl(test as u32);
    report.ran |= bit;
    match outcome {
        Ok(()) => Ok(()),
        Err(Fault::Refused(refusal)) => Err(refusal),
        Err(Fault::Mismatch { expected, found }) => {
            log!(warn, "self test {} failed: expected {}, found {}", test as u32, expected, found);
            if report.failed == 0 {
                report.expected = expected;
                report.found = found;
            }
            report.failed |= bit;
            Ok(())
        }
    }
}

/// Looks at the status without progress after which a run has failed (design choice; a look
/// takes some 10 µs on a board).
const STILL_LOOKS: u32 = 1000;

/// Runs the sequencer and waits for its end. A run that does not end is stopped; the mismatch is
/// that of the sequencer's states.
fn run_sequencer(board: &mut impl Board, run: Run) -> Result<Snapshot, Fault> {
    sequencer::start(board, run)?;
    let mut ticks = u64::MAX;
    let mut still = 0_u32;
    // Each look sees at least one more tick, or counts as still.
    let looks = u64::from(STILL_LOOKS).saturating_add(run.ticks());
    for _ in 0..looks {
        let seen = Snapshot::read(board)?;
        board.progress();
        if !seen.phase.is_running() {
            equal(Phase::Done as u32, seen.phase as u32)?;
            return Ok(seen);
        }
        still = if seen.ticks.0 == ticks { still.saturating_add(1) } else { 0 };
        if still > STILL_LOOKS {
            break;
        }
        ticks = seen.ticks.0;
    }
    board.write_regs(regs::CONTROL, &[control::ABORT | control::FIFO_CLEAR])?;
    Err(Fault::Mismatch { expected: Phase::Done as u32, found: Phase::Acquire as u32 })
}
