//! Answers requests and follows the acquisition, one bounded piece of work at a time.

use spu_boot::Updater;
use spu_protocol::codec::{Decoder, Frame, FrameErrorCounts};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind, MAX_REPLY};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{
    CreditRequest, HelloRequest, InfoReply, ResetRequest, SelfTestRequest, Writer, exact,
};
use spu_protocol::regs::{self, control};
use spu_protocol::version;

use crate::acquisition::{Acquisition, Block};
use crate::board::Board;
use crate::identity::{BLOCK_OCTETS, Identity};
use crate::input::Input;
use crate::log::log;
use crate::output::{MAX_ENCODED_REPLY, Output, Transmit};
use crate::refusal::Refusal;
use crate::replies::{Known, Replies};
use crate::session::{Session, new_id};
use crate::{bulk, program, registers, self_test, sequencer, updating};

/// Whether a poll found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing to do until octets, room or time come.
    Idle,
    /// Something was done; poll again.
    Worked,
}

/// The firmware above the board: octets in, octets out.
///
/// The target's main loop passes what arrived to [`receive`](Self::receive) and calls
/// [`poll`](Self::poll) until it is [`Activity::Idle`], then waits for octets or a few
/// milliseconds. No memory is allocated and no input makes it panic.
#[derive(Debug)]
pub struct Dispatcher<B> {
    input: Input,
    decoder: Decoder,
    replies: Replies,
    core: Core<B>,
}

/// All but the input and the replies, which are borrowed while a request is executed.
#[derive(Debug)]
struct Core<B> {
    board: B,
    session: Option<Session>,
    /// Number of the last session, to choose another.
    last_session: u32,
    acquisition: Acquisition,
    updater: Updater,
    block: Block,
    output: Output,
    /// The microcontroller restarts at the next poll.
    restart: bool,
}

impl<B: Board> Dispatcher<B> {
    /// A dispatcher that has seen nothing. The board is first touched by a `Hello`.
    ///
    /// All of it but the board is zero, so that a static one takes no room in flash.
    pub const fn new(board: B) -> Self {
        Self {
            input: Input::new(),
            decoder: Decoder::new(),
            replies: Replies::new(),
            core: Core {
                board,
                session: None,
                last_session: 0,
                acquisition: Acquisition::new(),
                updater: Updater::new(),
                block: [0; BLOCK_OCTETS],
                output: Output::new(),
                restart: false,
            },
        }
    }

    /// The board.
    pub const fn board(&self) -> &B {
        &self.core.board
    }

    /// The board, to change.
    pub const fn board_mut(&mut self) -> &mut B {
        &mut self.core.board
    }

    /// Octets that [`receive`](Self::receive) takes now: a link with flow control holds the rest
    /// back.
    pub const fn room(&self) -> usize {
        self.input.room()
    }

    /// Bad frames received, by reason.
    pub const fn frame_errors(&self) -> FrameErrorCounts {
        self.decoder.errors()
    }

    /// Takes octets from the host, for the next polls. What exceeds [`room`](Self::room) is
    /// dropped, with the frame that it belongs to: the host sends that again.
    pub fn receive(&mut self, bytes: &[u8]) {
        let dropped = self.input.push(bytes);
        if dropped > 0 {
            log!(warn, "input full: {} octets dropped", dropped);
        }
    }

    /// Does one bounded piece of work: answers a request (and erases a page or verifies a piece of
    /// an update before), sends a block, or looks at the sequencer.
    pub fn poll(&mut self, tx: &mut impl Transmit) -> Activity {
        if self.core.restart {
            self.restart();
            return Activity::Worked;
        }
        // Before requests, so that a host that asks again and again sees an update advance; and
        // from here, where little of the stack is in use, which the signature takes 3 KiB of.
        let updated = self.core.update();
        // A request is taken only if its reply can be sent.
        if tx.room() >= MAX_ENCODED_REPLY && self.serve(tx) {
            return Activity::Worked;
        }
        match updated {
            Activity::Worked => Activity::Worked,
            Activity::Idle => self.core.follow(tx),
        }
    }

    /// Forgets everything, as a restart of the microcontroller that nobody asked for does: session,
    /// acquisition, frames half received.
    pub fn reboot(&mut self) {
        self.core.session = None;
        self.core.last_session = 0;
        self.core.acquisition.forget();
        self.core.updater.forget();
        self.restart();
    }

    /// Restarts the microcontroller, or at least forgets everything as it would.
    fn restart(&mut self) {
        log!(info, "restart");
        self.core.restart = false;
        self.core.board.reset(2);
        self.input.clear();
        self.decoder = Decoder::new();
        self.replies.clear();
    }

    /// Handles the next frame; false if there is none.
    #[inline(never)] // its frame is not on the stack of `update`
    fn serve(&mut self, tx: &mut impl Transmit) -> bool {
        let mut rest = self.input.pending();
        let pending = rest.len();
        if pending == 0 {
            return false;
        }
        let decoded = self.decoder.push(&mut rest);
        let used = pending.saturating_sub(rest.len());
        self.input.consume(used);
        match decoded {
            Some(Ok(frame)) if frame.header.kind == Kind::Request as u8 => {
                self.core.request(frame, &mut self.replies, tx);
                true
            }
            Some(Ok(frame)) => {
                log!(warn, "frame of kind {} ignored", frame.header.kind);
                true
            }
            Some(Err(error)) => {
                log!(warn, "bad frame: {}", error as u8);
                true
            }
            None => false,
        }
    }
}

impl<B: Board> Core<B> {
    /// Answers a request, exactly once.
    fn request(&mut self, frame: Frame<'_>, replies: &mut Replies, tx: &mut impl Transmit) {
        let Frame { header, payload } = frame;
        let outcome = match Opcode::from_u16(header.opcode) {
            // Frozen for ever: whatever the version of the frame, and outside any session.
            Some(Opcode::Hello) => self.hello(&header, payload, replies, tx),
            Some(Opcode::Reset) => self.reset(&header, payload, tx),
            Some(Opcode::EnterBootloader) => self.enter_bootloader(&header, payload, tx),
            opcode => self.in_session(opcode, &header, payload, replies, tx),
        };
        if let Err(refusal) = outcome {
            self.refuse(&header, refusal, tx);
        }
    }

    fn refuse(&mut self, request: &Header, refusal: Refusal, tx: &mut impl Transmit) {
        log!(
            warn,
            "request {} refused: error {}, detail {}",
            request.opcode,
            refusal.code as u16,
            refusal.detail
        );
        self.output.answer(tx, Kind::Error, request, &refusal.reply());
    }

    /// Opens a session. A `Hello` with the nonce of a session in which nothing was asked yet is a
    /// retry and gets that session again.
    #[inline(never)] // or the callers' other work pays for its arrays in stack
    fn hello(
        &mut self,
        header: &Header,
        payload: &[u8],
        replies: &mut Replies,
        tx: &mut impl Transmit,
    ) -> Result<(), Refusal> {
        let hello = exact::<HelloRequest>(payload).ok_or(ErrorCode::BadPayload)?;
        if hello.version_min > version::CURRENT || hello.version_max < version::MIN {
            return Err(ErrorCode::BadVersion.into());
        }
        let retried = self
            .session
            .take()
            .filter(|session| session.nonce == hello.nonce && replies.is_empty())
            .map(|session| session.id);
        self.acquisition.forget();
        self.updater.forget();
        replies.clear();
        let identity = Identity::read(&mut self.board)?;
        if sequencer::idle(&mut self.board).is_err() {
            // A sequencer that cannot be stopped shows when it is used; the session is needed to
            // reset it.
            let _ = sequencer::stop(&mut self.board);
        }
        let id =
            retried.unwrap_or_else(|| new_id(hello.nonce, self.board.now_us(), self.last_session));
        self.last_session = id;
        let session = self.session.insert(Session::new(id, hello.nonce, identity));
        log!(info, "session {}", id);
        self.output.answer(tx, Kind::Reply, header, &session.hello());
        Ok(())
    }

    /// Ends the session and resets. At level 2 a bus that fails is no obstacle: the restart may
    /// be its remedy.
    fn reset(
        &mut self,
        header: &Header,
        payload: &[u8],
        tx: &mut impl Transmit,
    ) -> Result<(), Refusal> {
        let ResetRequest { level } = exact(payload).ok_or(ErrorCode::BadPayload)?;
        if level > 2 {
            return Err(ErrorCode::Unsupported.into());
        }
        log!(info, "reset, level {}", level);
        self.session = None;
        self.acquisition.forget();
        self.updater.forget();
        let stopped = if level == 0 {
            sequencer::stop(&mut self.board)
        } else {
            self.board
                .write_regs(regs::CONTROL, &[control::SOFT_RESET])
                .map_err(Refusal::from)
                .and_then(|()| sequencer::idle(&mut self.board))
        };
        if level == 2 {
            self.restart = true;
        } else {
            stopped?;
            self.board.reset(level);
        }
        self.output.answer_bytes(tx, Kind::Reply, header, &[]);
        Ok(())
    }

    fn enter_bootloader(
        &mut self,
        header: &Header,
        payload: &[u8],
        tx: &mut impl Transmit,
    ) -> Result<(), Refusal> {
        if !payload.is_empty() {
            return Err(ErrorCode::BadPayload.into());
        }
        if !self.board.enter_bootloader() {
            return Err(ErrorCode::Unsupported.into());
        }
        self.session = None;
        self.acquisition.forget();
        self.updater.forget();
        // The boot loader comes anyway.
        let _ = sequencer::stop(&mut self.board);
        self.output.answer_bytes(tx, Kind::Reply, header, &[]);
        Ok(())
    }

    /// Answers a request of the open session, from the kept replies if it was executed before.
    #[inline(never)] // or the callers' other work pays for its arrays in stack
    fn in_session(
        &mut self,
        opcode: Option<Opcode>,
        header: &Header,
        payload: &[u8],
        replies: &mut Replies,
        tx: &mut impl Transmit,
    ) -> Result<(), Refusal> {
        if !(version::MIN..=version::CURRENT).contains(&header.version) {
            return Err(ErrorCode::BadVersion.into());
        }
        if self.session.as_ref().is_none_or(|session| session.id != header.session) {
            return Err(ErrorCode::BadSession.into());
        }
        match replies.find(header.sequence, header.opcode) {
            Known::New => {}
            Known::Kept(reply) => {
                log!(info, "request {} answered again", header.sequence);
                self.output.answer_bytes(tx, reply.kind(), header, reply.payload());
                return Ok(());
            }
            Known::Gone => return Err(ErrorCode::ReplyGone.into()),
        }
        let reply = replies.add(header.sequence, header.opcode);
        let mut writer = Writer::new(reply.buffer());
        let outcome = self
            .execute(opcode, payload, &mut writer, tx)
            .and_then(|()| writer.finish().ok_or(ErrorCode::BadPayload.into()));
        match outcome {
            Ok(len) => reply.set_len(len),
            Err(refusal) => {
                reply.set_error(refusal.reply());
                log!(
                    warn,
                    "request {} refused: error {}, detail {}",
                    header.opcode,
                    refusal.code as u16,
                    refusal.detail
                );
            }
        }
        self.output.answer_bytes(tx, reply.kind(), header, reply.payload());
        Ok(())
    }

    /// Executes a request of the open session and writes the reply's payload to `out`.
    fn execute(
        &mut self,
        opcode: Option<Opcode>,
        payload: &[u8],
        out: &mut Writer<'_>,
        tx: &mut impl Transmit,
    ) -> Result<(), Refusal> {
        let Self { board, session, acquisition, updater, block, output, .. } = self;
        let session = session.as_mut().ok_or(ErrorCode::BadSession)?;
        let cells = session.identity.cells();
        let empty = || if payload.is_empty() { Ok(()) } else { Err(ErrorCode::BadPayload) };
        let busy = acquisition.is_active() || updater.is_working();
        let idle = || if busy { Err(ErrorCode::Busy) } else { Ok(()) };
        match opcode.ok_or(ErrorCode::UnknownOpcode)? {
            Opcode::Info => {
                empty()?;
                session.refresh(board)?;
                let report = board.mcu_reg(regs::MCU_REPORT_OCTETS);
                out.put(&InfoReply { report, ..session.identity.info });
            }
            Opcode::Ping => {
                if payload.len() > MAX_REPLY {
                    return Err(ErrorCode::BadPayload.into());
                }
                out.put_bytes(payload);
            }
            Opcode::ReadRegs => {
                registers::read(board, cells, acquisition.fifo_high(), payload, out)?;
            }
            Opcode::WriteRegs => {
                idle()?;
                registers::write(board, cells, payload)?;
            }
            Opcode::Load => {
                idle()?;
                program::load(board, &session.identity, payload, out)?;
            }
            Opcode::Acquire => {
                idle()?;
                acquisition.start(board, payload)?;
            }
            Opcode::AcquireStatus => {
                empty()?;
                acquisition.look(board, session.identity.info.cells, out)?;
            }
            Opcode::Cancel => {
                empty()?;
                if acquisition.is_active() {
                    acquisition.cancel(board)?;
                    acquisition.conclude(board, session, output, tx);
                }
                acquisition.write_status(board, session.identity.info.cells, out)?;
            }
            Opcode::Credit => {
                let credit = exact::<CreditRequest>(payload).ok_or(ErrorCode::BadPayload)?;
                acquisition.grant(credit.granted);
            }
            Opcode::SelfTest => {
                idle()?;
                let SelfTestRequest { level } = exact(payload).ok_or(ErrorCode::BadPayload)?;
                // The tests use the counters of the last acquisition.
                acquisition.forget();
                out.put(&self_test::run(board, &session.identity, level, block)?);
            }
            Opcode::UpdateBegin
            | Opcode::UpdateWrite
            | Opcode::UpdateFinish
            | Opcode::UpdateStatus
            | Opcode::UpdateConfirm
                if !B::UPDATES =>
            {
                return Err(ErrorCode::Unsupported.into());
            }
            Opcode::UpdateBegin => {
                idle()?;
                updating::begin(updater, board, payload, out)?;
            }
            Opcode::UpdateWrite => {
                idle()?;
                updating::write(updater, board, payload, out)?;
            }
            Opcode::UpdateFinish => {
                empty()?;
                idle()?;
                updating::finish(updater, out)?;
            }
            Opcode::UpdateStatus => updating::status(updater, board, payload, out)?,
            Opcode::UpdateConfirm => {
                idle()?;
                updating::confirm(board, payload)?;
            }
            bulk @ (Opcode::BulkWrite | Opcode::BulkRead) => {
                idle()?;
                bulk::execute(board, &session.identity, bulk, payload, out)?;
            }
            // Events are no requests; the others do not come here.
            Opcode::StreamBlock
            | Opcode::AcquireDone
            | Opcode::Hello
            | Opcode::Reset
            | Opcode::EnterBootloader => return Err(ErrorCode::UnknownOpcode.into()),
        }
        Ok(())
    }

    /// One step of the update of the open session.
    fn update(&mut self) -> Activity {
        let Self { board, session, updater, block, .. } = self;
        match session {
            Some(_) if B::UPDATES && updater.is_working() => {
                updating::follow(updater, board, block)
            }
            _ => Activity::Idle,
        }
    }

    /// Follows the acquisition of the open session.
    #[inline(never)] // its frame is not on the stack of `update`
    fn follow(&mut self, tx: &mut impl Transmit) -> Activity {
        let Self { board, session, acquisition, block, output, .. } = self;
        match session {
            Some(session) => acquisition.follow(board, session, block, output, tx),
            None => Activity::Idle,
        }
    }
}
