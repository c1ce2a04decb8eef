//! The thread of a served board.

use std::io::{self, ErrorKind, Write as _};
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::port::{Port, Wire};
use super::visitor::Visitor;
use super::{Command, Inbox, ServeError};
use crate::board::SimBoard;
use spu_firmware::Activity;

/// The board is left at work until it has sent this much, or for [`SLICE`], before the host is
/// heard again: a system call serves many frames.
const BURST: usize = 64 * 1024;
const SLICE: Duration = Duration::from_micros(500);
/// The board waits while this much is on its way to a host that does not read.
const MOST_PENDING: usize = 512 * 1024;
/// The host waits while this much from it has not been read by the board.
const MOST_QUEUED: usize = 64 * 1024;
/// Octets that are read at once.
const READ: usize = 64 * 1024;
/// Longest wait where there is nothing to do, for time passes on the board.
const IDLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// Visitors that are answered at once; more are shown the door.
const VISITORS: usize = 8;

/// A board, its endpoint and who is connected.
pub(super) struct Engine {
    board: SimBoard,
    port: Box<dyn Port>,
    inbox: Inbox,
    host: Option<Host>,
    visitors: Vec<Visitor>,
    /// Octets for the host, of which the first `sent` have gone.
    pending: Vec<u8>,
    sent: usize,
    buffer: Box<[u8]>,
}

/// The connected host.
struct Host {
    wire: Box<dyn Wire>,
    /// It takes nothing more for now.
    full: bool,
}

impl Engine {
    pub(super) fn new(board: SimBoard, port: Box<dyn Port>, inbox: Inbox) -> Self {
        Self {
            board,
            port,
            inbox,
            host: None,
            visitors: Vec::new(),
            pending: Vec::with_capacity(MOST_PENDING + BURST),
            sent: 0,
            buffer: vec![0; READ].into(),
        }
    }

    /// Serves until told to stop.
    pub(super) fn run(mut self) -> Result<(), ServeError> {
        while self.obey() {
            let worked = self.burst();
            self.wait(worked).map_err(|source| ServeError::Io {
                uri: self.port.uri(),
                what: "waiting for a host",
                source,
            })?;
        }
        Ok(())
    }

    /// Does what the handles ask for; false when it is to end.
    fn obey(&mut self) -> bool {
        loop {
            // Whoever asked may have been dropped since: the answers are not missed then.
            match self.inbox.try_recv() {
                Ok(Command::Control(tell)) => tell(self.board.control()),
                Ok(Command::Disconnect(answer)) => {
                    self.disconnect();
                    let _ = answer.send(self.port.hang_up().map(|()| self.port.uri()));
                }
                Ok(Command::Unplug(answer)) => {
                    self.disconnect();
                    self.visitors.clear();
                    self.port.unplug();
                    let _ = answer.send(());
                }
                Ok(Command::PlugIn(answer)) => {
                    let _ = answer.send(self.port.plug_in().map(|()| self.port.uri()));
                }
                Err(TryRecvError::Empty) => return true,
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn disconnect(&mut self) {
        if let Some(mut host) = self.host.take() {
            host.wire.cut();
        }
        self.forget();
    }

    /// Forgets what nobody will read.
    fn forget(&mut self) {
        self.pending.clear();
        self.sent = 0;
    }

    /// Lets the board work for a while and sends what it says, batch by batch; false if it has
    /// nothing to do, or no room for the outcome.
    fn burst(&mut self) -> bool {
        let start = Instant::now();
        let batch = self.host.as_ref().map_or(BURST, |host| host.wire.batch());
        let mut said = 0;
        loop {
            let before = self.pending.len();
            let worked = self.work(before + batch, start);
            said += self.pending.len() - before;
            self.send();
            if !worked || said >= BURST || start.elapsed() >= SLICE {
                return worked;
            }
            if let Some(host) = &mut self.host {
                // It is quicker to try than to ask.
                host.full = false;
            }
        }
    }

    /// Lets the board work until so many octets are pending or the slice that began at `start` is
    /// over; false if it has nothing to do, or no room for the outcome.
    fn work(&mut self, enough: usize, start: Instant) -> bool {
        loop {
            if self.pending.len() - self.sent >= MOST_PENDING {
                return false;
            }
            if self.board.poll(&mut self.pending) == Activity::Idle {
                return false;
            }
            if self.pending.len() >= enough || start.elapsed() >= SLICE {
                return true;
            }
        }
    }

    /// Sends what the host takes now.
    fn send(&mut self) {
        let Some(host) = &mut self.host else { return self.forget() };
        while self.sent < self.pending.len() && !host.full {
            match host.wire.write(&self.pending[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    host.full = self.sent < self.pending.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => host.full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Reading says that it is gone, after what it sent before.
                Err(_) => return self.forget(),
            }
        }
        if self.sent == self.pending.len() {
            self.forget();
        } else if self.sent >= BURST.max(self.pending.len() / 2) {
            // Moving no more than has been sent.
            self.pending.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Waits until there is something to do, not at all if the board has `worked`, and hears the
    /// host.
    fn wait(&mut self, worked: bool) -> io::Result<()> {
        let mut fds = Vec::with_capacity(2 + self.visitors.len());
        let listening = self.port.source().map(|source| {
            fds.push(PollFd::from_borrowed_fd(source, PollFlags::IN));
            fds.len() - 1
        });
        let connected = self.host.as_ref().map(|host| {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, self.board.queued() < MOST_QUEUED);
            wanted.set(PollFlags::OUT, host.full);
            fds.push(PollFd::from_borrowed_fd(host.wire.fd(), wanted));
            fds.len() - 1
        });
        fds.extend(
            self.visitors
                .iter()
                .map(|visitor| PollFd::from_borrowed_fd(visitor.fd(), PollFlags::IN)),
        );
        let most = if worked { Timespec::default() } else { IDLE };
        match poll(&mut fds, Some(&most)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let events =
            |index: Option<usize>| index.map_or(PollFlags::empty(), |index| fds[index].revents());
        let (called, host) = (events(listening), events(connected));
        drop(fds);
        if host.contains(PollFlags::OUT)
            && let Some(host) = &mut self.host
        {
            host.full = false;
        }
        if host.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.hear();
        }
        self.visitors.retain_mut(Visitor::serve);
        if !called.is_empty() || (listening.is_none() && self.host.is_none()) {
            self.let_in();
        }
        Ok(())
    }

    /// Reads once from the host; false if there is nothing to read.
    fn hear(&mut self) -> bool {
        let Some(host) = &mut self.host else { return false };
        match host.wire.read(&mut self.buffer) {
            Ok(count) if count > 0 => self.board.receive(&self.buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It closed its end, or is gone.
            Ok(_) | Err(_) => {
                self.host = None;
                self.forget();
            }
        }
        true
    }

    /// Lets a host in that came.
    fn let_in(&mut self) {
        // One that left before this one came is not to be in its way.
        while self.host.is_some() && self.board.queued() < MOST_QUEUED && self.hear() {}
        // What cannot be accepted has gone, or there are too many files open: others may come.
        let Ok(Some(wire)) = self.port.accept(self.host.is_some()) else { return };
        if self.host.is_none() {
            self.host = Some(Host { wire, full: false });
        } else if self.visitors.len() < VISITORS {
            self.visitors.push(Visitor::new(wire));
        }
    }
}
