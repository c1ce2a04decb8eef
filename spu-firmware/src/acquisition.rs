//! An acquisition, from its start to its `AcquireDone`.
//!
//! The FPGA's sequencer times everything to the tick. What is here follows it: reads its status,
//! sends what it captured as far as the host granted blocks, and notices when it ends or stops.

use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::{
    AcquireRequest, AcquireStatus, StatusView, StreamHeader, Writer, exact,
};
use spu_protocol::regs::mode;

use crate::board::{Board, BoardError};
use crate::dispatcher::Activity;
use crate::gaps::Gaps;
use crate::identity::BLOCK_OCTETS;
use crate::log::log;
use crate::output::{MAX_ENCODED, MAX_ENCODED_REPLY, Output, Transmit};
use crate::refusal::Refusal;
use crate::sequencer::{self, Phase, Run, Snapshot};
use crate::session::Session;

/// The sequencer has failed if it does not advance for this long without a reason (design choice).
const STALL_US: u64 = 2_000_000;
/// Frames that do not fill a block are sent after this long (design choice).
const PARTIAL_US: u64 = 10_000;

/// The largest status block.
pub(crate) const MAX_STATUS: usize = size_of::<StatusView>();
// `Cancel` sends the event and the reply in one go.
const _: () = assert!(2 * spu_protocol::codec::max_encoded(MAX_STATUS) <= MAX_ENCODED_REPLY);

/// Buffer for the frames of one block.
pub(crate) type Block = [u8; BLOCK_OCTETS];

/// The running or the last acquisition of a session.
#[derive(Debug)]
pub(crate) struct Acquisition {
    state: State,
    /// How it ends, from when that is known until the host was told; [`State::Idle`] otherwise. Not
    /// an option, whose `None` would not be zero: see [`Dispatcher::new`](crate::Dispatcher::new).
    ending: State,
    /// The sequencer was running when last seen.
    running: bool,
    streams: bool,
    moments: bool,
    /// Blocks granted and sent.
    granted: u64,
    blocks: u64,
    /// Frames in the capture memory when last seen, less those taken since.
    held: u32,
    /// Most frames in the capture memory, over all acquisitions.
    high: u32,
    /// Frames taken from the capture memory.
    taken: u64,
    /// Frames lost before the next one to be taken, and up to the last block sent.
    skipped: u64,
    reported: u64,
    gaps: Gaps,
    kept: u32,
    lost: u32,
    ticks: u64,
    /// Since when the sequencer has not advanced.
    still_since: Option<u64>,
    /// Since when frames wait that do not fill a block.
    partial_since: Option<u64>,
}

impl Acquisition {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Idle,
            ending: State::Idle,
            running: false,
            streams: false,
            moments: false,
            granted: 0,
            blocks: 0,
            held: 0,
            high: 0,
            taken: 0,
            skipped: 0,
            reported: 0,
            gaps: Gaps::new(),
            kept: 0,
            lost: 0,
            ticks: 0,
            still_since: None,
            partial_since: None,
        }
    }

    /// True until the host was told of the end.
    pub(crate) const fn is_active(&self) -> bool {
        !self.state.is_over()
    }

    /// Starts the acquisition in `payload`. Refuses with [`ErrorCode::BadPayload`],
    /// [`ErrorCode::OutOfRange`] (detail 1: decimation, 2: count), [`ErrorCode::Stalled`] if the
    /// sequencer is running and does not stop.
    pub(crate) fn start(&mut self, board: &mut impl Board, payload: &[u8]) -> Result<(), Refusal> {
        let request = exact::<AcquireRequest>(payload).ok_or(ErrorCode::BadPayload)?;
        let flag = |flag: u32| request.flags & flag != 0;
        let known = AcquireRequest::MOMENTS | AcquireRequest::STREAM | AcquireRequest::REALTIME;
        if request.flags & !known != 0 {
            return Err(ErrorCode::BadPayload.into());
        }
        if request.decimation == 0 {
            return Err(Refusal::new(ErrorCode::OutOfRange, 1));
        }
        if request.count == 0 {
            return Err(Refusal::new(ErrorCode::OutOfRange, 2));
        }
        if sequencer::idle(board).is_err() {
            sequencer::stop(board)?;
        }
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        let run = Run {
            mode: bit(flag(AcquireRequest::STREAM), mode::STREAM)
                | bit(flag(AcquireRequest::MOMENTS), mode::MOMENTS)
                | bit(flag(AcquireRequest::REALTIME), mode::REALTIME),
            settle: request.settle,
            decimation: request.decimation,
            count: request.count,
        };
        sequencer::start(board, run)?;
        *self = Self {
            state: State::Program,
            running: true,
            streams: flag(AcquireRequest::STREAM),
            moments: flag(AcquireRequest::MOMENTS),
            granted: request.granted,
            high: self.high,
            ..Self::new()
        };
        log!(
            info,
            "acquisition: settle {}, one in {}, {} ticks, flags {}",
            request.settle,
            request.decimation,
            request.count,
            request.flags
        );
        Ok(())
    }

    /// Grants blocks, `granted` in all.
    pub(crate) fn grant(&mut self, granted: u64) {
        self.granted = self.granted.max(granted);
    }

    /// Stops the acquisition; [`conclude`](Self::conclude) follows. Frames that were not sent are
    /// discarded and count as lost. Refuses with [`ErrorCode::Stalled`] if the sequencer does not
    /// stop; the acquisition goes on then.
    pub(crate) fn cancel(&mut self, board: &mut impl Board) -> Result<(), Refusal> {
        if self.ending == State::Idle {
            sequencer::stop(board)?;
            let seen = Snapshot::read(board)?;
            self.count(&seen);
            self.end(State::Cancelled);
        }
        Ok(())
    }

    /// Forgets the acquisition without a word to the host.
    pub(crate) fn forget(&mut self) {
        *self = Self { high: self.high, ..Self::new() };
    }

    /// Most frames seen in the capture memory.
    pub(crate) const fn fifo_high(&self) -> u32 {
        self.high
    }

    /// One bounded step: send a block, look at the sequencer, or tell the host of the end.
    pub(crate) fn follow(
        &mut self,
        board: &mut impl Board,
        session: &mut Session,
        block: &mut Block,
        output: &mut Output,
        tx: &mut impl Transmit,
    ) -> Activity {
        if !self.is_active() {
            return Activity::Idle;
        }
        if self.ending != State::Idle {
            return self.conclude(board, session, output, tx);
        }
        if self.streams && self.held > 0 && self.blocks < self.granted {
            let frames = self.next_block(session.identity.block_frames);
            if self.is_due(board, frames, session.identity.block_frames) {
                if tx.room() < MAX_ENCODED {
                    return Activity::Idle;
                }
                return self.deliver(board, session, frames, block, output, tx);
            }
        }
        if self.running {
            return self.observe(board);
        }
        if self.streams && self.held > 0 {
            return Activity::Idle;
        }
        self.end(State::Done);
        self.conclude(board, session, output, tx)
    }

    /// Frames of the next block: those that are there, up to the next gap.
    fn next_block(&mut self, largest: usize) -> u32 {
        self.skipped = self.skipped.saturating_add(self.gaps.take(self.taken));
        let to_gap = self.gaps.next().map_or(u64::MAX, |at| at.saturating_sub(self.taken));
        let most = u64::try_from(largest).unwrap_or(u64::MAX).min(to_gap);
        self.held.min(u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// True if a block of `frames` should be sent now rather than grow.
    fn is_due(&mut self, board: &mut impl Board, frames: u32, largest: usize) -> bool {
        let grows = self.running
            && self.still_since.is_none()
            && frames == self.held
            && (frames as usize) < largest;
        if !grows {
            return true;
        }
        let now = board.now_us();
        let since = *self.partial_since.get_or_insert(now);
        now.saturating_sub(since) >= PARTIAL_US
    }

    /// Sends a block of `frames`.
    fn deliver(
        &mut self,
        board: &mut impl Board,
        session: &mut Session,
        frames: u32,
        block: &mut Block,
        output: &mut Output,
        tx: &mut impl Transmit,
    ) -> Activity {
        let frame_octets = session.identity.frame_octets;
        let octets = (frames as usize).saturating_mul(frame_octets);
        let Some(octets) = block.get_mut(..octets) else {
            return self.fail(board, "block larger than its buffer");
        };
        if board.read_fifo(octets).is_err() {
            return self.fail(board, "bus failed while frames were read");
        }
        let header = StreamHeader {
            block: self.blocks,
            first_frame: self.taken.saturating_add(self.skipped),
            lost_before: self.skipped.saturating_sub(self.reported),
            frames,
            frame_octets: frame_octets as u32,
        };
        let parts = [bytemuck::bytes_of(&header), &*octets];
        output.event(tx, Opcode::StreamBlock, session.id, session.next_event(), parts);
        self.reported = self.skipped;
        self.taken = self.taken.saturating_add(u64::from(frames));
        self.held = self.held.saturating_sub(frames);
        self.blocks = self.blocks.saturating_add(1);
        self.partial_since = None;
        Activity::Worked
    }

    /// Looks at the sequencer.
    fn observe(&mut self, board: &mut impl Board) -> Activity {
        let Ok(seen) = Snapshot::read(board) else {
            return self.fail(board, "bus failed while the status was read");
        };
        self.state = match seen.phase {
            Phase::Program => State::Program,
            Phase::Settle => State::Settle,
            Phase::Acquire => State::Acquire,
            Phase::Done => State::Drain,
            // Nobody else stops it: the FPGA was reset, or is no longer there.
            Phase::Idle | Phase::Aborted | Phase::Unknown => {
                return self.fail(board, "sequencer in an unexpected state");
            }
        };
        self.running = seen.phase.is_running();
        let advanced = seen.ticks.0 != self.ticks || !self.running;
        self.count(&seen);
        if advanced {
            self.still_since = None;
            return Activity::Worked;
        }
        let now = board.now_us();
        let since = *self.still_since.get_or_insert(now);
        if seen.stalled {
            // It waits for the host, however long.
            self.still_since = Some(now);
        } else if now.saturating_sub(since) >= STALL_US {
            return self.fail(board, "sequencer does not advance");
        }
        Activity::Idle
    }

    /// Takes over the counters.
    fn count(&mut self, seen: &Snapshot) {
        self.held = if self.streams { seen.frames } else { 0 };
        self.high = self.high.max(self.held);
        let lost = seen.lost.saturating_sub(self.lost);
        if lost > 0 {
            let at = self.taken.saturating_add(u64::from(self.held));
            self.gaps.add(at, u64::from(lost));
        }
        self.kept = seen.kept;
        self.lost = seen.lost;
        self.ticks = seen.ticks.0;
    }

    /// Ends the acquisition; the host is told next.
    fn end(&mut self, ending: State) {
        self.state = State::Drain;
        self.ending = ending;
        self.running = false;
        self.held = 0;
    }

    fn fail(&mut self, board: &mut impl Board, why: &str) -> Activity {
        log!(error, "acquisition failed: {}", why);
        // Nothing more can be done if this fails too.
        let _ = sequencer::stop(board);
        self.end(State::Failed);
        Activity::Worked
    }

    /// Tells the host of the end, once.
    #[inline(never)] // or the callers' other work pays for its arrays in stack
    pub(crate) fn conclude(
        &mut self,
        board: &mut impl Board,
        session: &mut Session,
        output: &mut Output,
        tx: &mut impl Transmit,
    ) -> Activity {
        if self.ending == State::Idle {
            return Activity::Idle;
        }
        if tx.room() < spu_protocol::codec::max_encoded(MAX_STATUS) {
            return Activity::Idle;
        }
        self.state = core::mem::replace(&mut self.ending, State::Idle);
        let cells = session.identity.info.cells;
        let mut view = StatusView::new(self.fixed(cells));
        if self.read_counters(board, &mut view).is_err() {
            // The moments cannot be had: whatever came before, this has failed.
            self.state = State::Failed;
            view.status = AcquireStatus { moments: 0, ..self.fixed(cells) };
        }
        let mut buffer = [0; MAX_STATUS];
        let mut writer = Writer::new(&mut buffer);
        view.write(&mut writer);
        let len = writer.finish().unwrap_or(0);
        let parts = [buffer.get(..len).unwrap_or_default(), &[]];
        output.event(tx, Opcode::AcquireDone, session.id, session.next_event(), parts);
        log!(
            info,
            "acquisition ended: state {}, kept {}, lost {}",
            self.state as u8,
            view.status.kept,
            view.status.lost
        );
        Activity::Worked
    }

    /// Fills in the counters of a status block.
    fn read_counters(
        &self,
        board: &mut impl Board,
        view: &mut StatusView,
    ) -> Result<(), BoardError> {
        // Before the first acquisition they are somebody else's.
        if self.state == State::Idle { Ok(()) } else { sequencer::read_counters(board, view) }
    }

    /// Writes the status block after a fresh look at the sequencer: a host that asks again and
    /// again sees it advance.
    pub(crate) fn look(
        &mut self,
        board: &mut impl Board,
        cells: u16,
        out: &mut Writer<'_>,
    ) -> Result<(), BoardError> {
        if self.running {
            self.observe(board);
        }
        self.write_status(board, cells, out)
    }

    /// Writes the status block. Moments are in it once the sequencer stopped.
    #[inline(never)] // or the callers' other work pays for its arrays in stack
    pub(crate) fn write_status(
        &self,
        board: &mut impl Board,
        cells: u16,
        out: &mut Writer<'_>,
    ) -> Result<(), BoardError> {
        let mut view = StatusView::new(self.fixed(cells));
        self.read_counters(board, &mut view)?;
        view.write(out);
        Ok(())
    }

    /// The fixed part of the status block.
    fn fixed(&self, cells: u16) -> AcquireStatus {
        let kept = u64::from(self.kept);
        let over = self.state.is_over();
        AcquireStatus {
            kept,
            // Every kept frame was sent or is lost.
            lost: if self.streams && over {
                kept.saturating_sub(self.taken)
            } else {
                u64::from(self.lost)
            },
            ticks: self.ticks,
            blocks: self.blocks,
            state: self.state as u8,
            moments: u8::from(self.moments && !self.running),
            cells,
            reserved: 0,
        }
    }
}
