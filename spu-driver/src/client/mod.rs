//! [`Client`]: a device at the other end of a [`Link`].

mod acquire;
mod blocks;
mod bulk;
mod credit;
mod info;
mod load;
mod receiver;
mod refusal;
mod session;
mod updates;
mod wire;

use std::time::Duration;

use std::num::NonZeroU64;

use spu_protocol::error::ErrorCode;
use spu_protocol::header::MAX_REPLY;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::{
    HelloReply, InfoReply, LoadView, RegsRequest, ResetRequest, SelfTestReply, SelfTestRequest,
    Writer, exact,
};
use spu_protocol::regs::{self, mcu_control};

use crate::bulk::Bulk;
use crate::device::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, Program, Report, ResetLevel,
    SelfTestReport, Sink,
};
use crate::error::Error;
use crate::link::{Link, LinkStats};
use crate::mcu;
use crate::time;
use crate::updates::Updates;
use session::Session;

/// A device over a link.
///
/// Requests are retried where a reply is late or damaged; the device runs each once. After an
/// error that leaves the session's state unknown, the next call opens another session first; after
/// [`Error::Disconnected`] it waits, up to its deadline, until the same device is back. No call is
/// repeated over a lost session: it fails, since the board may have lost its program with it. A
/// session that merely ended leaves the program on the board.
pub struct Client<L: Link> {
    session: Session<L>,
    uri: String,
    info: BoardInfo,
    cancel: CancelHandle,
    window: NonZeroU64,
}

impl<L: Link> Client<L> {
    /// Opens the device on `link`: checks versions and reads its identity. `uri` is what
    /// [`Device::uri`] will say.
    ///
    /// # Errors
    /// [`Error::Version`] with both versions and the remedy, [`Error::Unsupported`] for an unknown
    /// kind of board, [`Error::Device`] if the board has no gateware, link errors.
    pub fn open(link: L, uri: impl Into<String>, deadline: Deadline) -> Result<Self, Error> {
        let mut session = Session::new(link);
        let hello = session.open(deadline)?;
        let info = read_info(&mut session, &hello, deadline)?;
        Ok(Self {
            session,
            uri: uri.into(),
            info,
            cancel: CancelHandle::new(),
            window: acquire::WINDOW,
        })
    }

    /// The link.
    pub fn link(&self) -> &L {
        self.session.link()
    }

    /// The link, for what is beside the protocol.
    pub fn link_mut(&mut self) -> &mut L {
        self.session.link_mut()
    }

    /// Stream blocks that the device may send ahead of what was received, 64 unless told otherwise:
    /// more hide a longer round trip, fewer keep less under way.
    pub fn set_window(&mut self, blocks: NonZeroU64) {
        self.window = blocks;
    }

    /// Opens another session if the last one ended.
    fn ensure_open(&mut self, deadline: Deadline) -> Result<(), Error> {
        if self.session.is_open() { Ok(()) } else { self.reopen(deadline) }
    }

    /// Opens another session, on a link whose device may first have to come back: one that is
    /// plugged in again, or that restarts, may go once more before it stays.
    fn reopen(&mut self, deadline: Deadline) -> Result<(), Error> {
        loop {
            self.session.connect(deadline)?;
            match self.handshake(deadline) {
                Err(Error::Disconnected { .. }) if deadline.left() > FLAP => time::sleep(FLAP),
                result => return result,
            }
        }
    }

    fn handshake(&mut self, deadline: Deadline) -> Result<(), Error> {
        let result = self.session.open(deadline).and_then(|hello| {
            let info = read_info(&mut self.session, &hello, deadline)?;
            if info.serial != self.info.serial {
                return Err(Error::Corrupt {
                    what: format!(
                        "board {:#x} answers where board {:#x} was opened",
                        info.serial, self.info.serial
                    ),
                });
            }
            self.info = info;
            Ok(())
        });
        if result.is_err() {
            self.session.close();
        }
        result
    }

    /// A request outside acquisitions.
    fn request(
        &mut self,
        opcode: Opcode,
        payload: &[&[u8]],
        deadline: Deadline,
    ) -> Result<&[u8], Error> {
        self.ensure_open(deadline)?;
        self.session.request(opcode, payload, deadline, &mut ())
    }
}

/// Wait before a device that came back and went again is looked for once more.
const FLAP: Duration = Duration::from_millis(20);

fn read_info<L: Link>(
    session: &mut Session<L>,
    hello: &HelloReply,
    deadline: Deadline,
) -> Result<BoardInfo, Error> {
    let reply = session.request(Opcode::Info, &[], deadline, &mut ())?;
    let raw = exact::<InfoReply>(reply)
        .ok_or_else(|| Error::Corrupt { what: format!("info of {} bytes", reply.len()) })?;
    let same = raw.serial == hello.serial
        && raw.gateware_id == hello.gateware_id
        && raw.firmware == hello.firmware
        && raw.calibration_id == hello.calibration_id;
    if !same {
        return Err(Error::Corrupt {
            what: "hello and info name different boards, gateware or firmware".into(),
        });
    }
    let mut info = info::board_info(&raw)?;
    if raw.report > 0 {
        let last_run = mcu::last_run(raw.report, |address, words| {
            read_words(session, address, words, deadline)
        })?;
        tracing::warn!("the microcontroller of board {:016x} restarted: {last_run}", info.serial);
        info.last_run = Some(last_run);
        let request = RegsRequest { address: regs::MCU_CONTROL, count: 1 };
        let parts = [bytemuck::bytes_of(&request), bytemuck::bytes_of(&mcu_control::CLEAR_REPORT)];
        let reply = session.request(Opcode::WriteRegs, &parts, deadline, &mut ())?;
        empty(reply, "a register write")?;
    }
    Ok(info)
}

/// Reads as many registers as one request can.
fn read_words<L: Link>(
    session: &mut Session<L>,
    address: u16,
    words: &mut [u32],
    deadline: Deadline,
) -> Result<(), Error> {
    let request = RegsRequest { address, count: words.len() as u16 };
    let reply =
        session.request(Opcode::ReadRegs, &[bytemuck::bytes_of(&request)], deadline, &mut ())?;
    let bytes = bytemuck::cast_slice_mut::<u32, u8>(words);
    if reply.len() != bytes.len() {
        return Err(Error::Corrupt {
            what: format!("{} registers in {} bytes", request.count, reply.len()),
        });
    }
    bytes.copy_from_slice(reply);
    Ok(())
}

/// A reply that must be empty.
fn empty(reply: &[u8], what: &str) -> Result<(), Error> {
    if reply.is_empty() {
        return Ok(());
    }
    Err(Error::Corrupt { what: format!("{} bytes in reply to {what}", reply.len()) })
}

impl<L: Link> Device for Client<L> {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn uri(&self) -> &str {
        &self.uri
    }

    fn load(&mut self, program: &Program, deadline: Deadline) -> Result<Applied, Error> {
        self.ensure_open(deadline)?;
        let sent = load::to_view(program, &self.info)?;
        let mut block = [0; size_of::<LoadView>()];
        let mut writer = Writer::new(&mut block);
        sent.write(&mut writer);
        let len = writer
            .finish()
            .ok_or_else(|| Error::Corrupt { what: "a program larger than its own type".into() })?;
        let reply = self.request(Opcode::Load, &[&block[..len]], deadline)?;
        let back = LoadView::parse(reply)
            .ok_or_else(|| Error::Corrupt { what: "the program read back is malformed".into() })?;
        load::applied(program, &sent, &back, &self.info)
    }

    fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        self.ensure_open(deadline)?;
        let Self { session, info, cancel, window, .. } = self;
        acquire::acquire(session, info, plan, sink, deadline, cancel, *window)
    }

    fn read_regs(
        &mut self,
        address: u16,
        out: &mut [u32],
        deadline: Deadline,
    ) -> Result<(), Error> {
        for (address, out) in chunks(address, out.len())?.zip(out.chunks_mut(CHUNK)) {
            self.ensure_open(deadline)?;
            read_words(&mut self.session, address, out, deadline)?;
        }
        Ok(())
    }

    fn write_regs(&mut self, address: u16, words: &[u32], deadline: Deadline) -> Result<(), Error> {
        for (address, words) in chunks(address, words.len())?.zip(words.chunks(CHUNK)) {
            let request = RegsRequest { address, count: words.len() as u16 };
            let parts = [bytemuck::bytes_of(&request), bytemuck::cast_slice(words)];
            empty(self.request(Opcode::WriteRegs, &parts, deadline)?, "a register write")?;
        }
        Ok(())
    }

    fn self_test(&mut self, level: u32, deadline: Deadline) -> Result<SelfTestReport, Error> {
        let request = SelfTestRequest { level };
        let reply = self.request(Opcode::SelfTest, &[bytemuck::bytes_of(&request)], deadline)?;
        let result = exact::<SelfTestReply>(reply)
            .filter(|result| result.failed & !result.ran == 0)
            .ok_or_else(|| Error::Corrupt { what: "the self-test result is malformed".into() })?;
        let tests = (0..u32::BITS)
            .filter(|bit| result.ran >> bit & 1 == 1)
            .map(|bit| {
                let name = SelfTestReply::NAMES.get(bit as usize);
                let name = name.map_or_else(|| format!("test {bit}"), |name| (*name).to_owned());
                (name, result.failed >> bit & 1 == 0)
            })
            .collect();
        let first_failure = (result.failed != 0).then_some((result.expected, result.found));
        Ok(SelfTestReport { tests, first_failure })
    }

    fn reset(&mut self, level: ResetLevel, deadline: Deadline) -> Result<(), Error> {
        let request = ResetRequest { level: level as u32 };
        let reply = self.request(Opcode::Reset, &[bytemuck::bytes_of(&request)], deadline);
        let done = reply.and_then(|reply| empty(reply, "a reset"));
        self.session.close();
        done?;
        self.reopen(deadline)
    }

    fn ping(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Error> {
        if payload.len() > MAX_REPLY {
            return Err(Error::Unsupported {
                reasons: vec![format!(
                    "a ping carries at most {MAX_REPLY} bytes, not {}",
                    payload.len()
                )],
            });
        }
        if self.request(Opcode::Ping, &[payload], deadline)? == payload {
            return Ok(());
        }
        Err(Error::Corrupt { what: "a ping came back changed".into() })
    }

    fn link_stats(&self) -> LinkStats {
        self.session.stats()
    }

    fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn updates(&mut self) -> Result<&mut dyn Updates, Error> {
        Ok(self)
    }

    fn bulk(&mut self) -> Result<&mut dyn Bulk, Error> {
        if self.info.kind() == BoardKind::Factored {
            return Ok(self);
        }
        Err(Error::Unsupported {
            reasons: vec![format!(
                "profile {} has no bulk memory: it is not a factored board; use one, such as \
                 sim:profile=rc-factored",
                self.info.profile
            )],
        })
    }
}

/// Registers that one request moves.
const CHUNK: usize = RegsRequest::MAX_COUNT as usize;

/// Addresses of the requests that cover `count` registers from `address`.
fn chunks(address: u16, count: usize) -> Result<impl Iterator<Item = u16>, Error> {
    let end = usize::from(address) + 4 * count;
    if end > usize::from(u16::MAX) + 1 {
        return Err(Error::Device { code: ErrorCode::BadAddress, detail: 0xfffc });
    }
    Ok((address..=u16::MAX).step_by(4 * CHUNK))
}
