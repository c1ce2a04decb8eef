//! Serves simulated boards to a host outside this thread: over TCP, a Unix socket or a
//! pseudo-terminal.
//!
//! Each board runs in a thread of its own, connected or not: like a board with its own power
//! supply, it keeps its program while the cable is out. One host at a time is connected. Another
//! one at a socket is told [`InUse`](spu_protocol::error::ErrorCode::InUse) in answer to its first
//! request; at a pseudo-terminal it is kept out by the first one's lock, which the driver takes.
//! There is no authentication: who reaches the address has the board.
//!
//! ```
//! use spu_sim::serve::{self, Endpoint};
//! use spu_sim::{Fault, Profile, SimBoard, SimConfig};
//!
//! let profile = Profile::named("rev-a")?;
//! let config = SimConfig { profile, seed: 7, copy: 0, without: Default::default() };
//! let served = serve::spawn(SimBoard::new(config)?, &"tcp:127.0.0.1:0".parse::<Endpoint>()?)?;
//! assert!(served.uri().starts_with("tcp:127.0.0.1:"));
//! served.handle().control(|board| board.inject(Fault::Hang))??;
//! served.handle().unplug()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod endpoint;
mod engine;
mod error;
mod port;
#[cfg(unix)]
mod pty;
mod tcp;
#[cfg(unix)]
mod unix;
mod visitor;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

pub use endpoint::Endpoint;
pub use error::{Ended, ServeError};

use crate::board::SimBoard;
use crate::control::SimControl;
use engine::Engine;

/// Serves a board until what is returned is dropped.
///
/// # Errors
/// [`ServeError::InUse`] or [`ServeError::Occupied`] if the address is taken, [`ServeError::Denied`]
/// if this user may not have it, [`ServeError::Absent`] where the platform lacks such endpoints,
/// [`ServeError::Io`] for what else the operating system says.
pub fn spawn(board: SimBoard, endpoint: &Endpoint) -> Result<Served, ServeError> {
    let port = port::open(endpoint)?;
    let uri = port.uri();
    let public = port.is_public();
    let (commands, inbox) = channel();
    let engine = Engine::new(board, port, inbox);
    let thread = thread::Builder::new()
        .name(format!("spu-sim {uri}"))
        .spawn(move || engine.run())
        .map_err(|source| ServeError::Io { uri: uri.clone(), what: "starting a thread", source })?;
    Ok(Served { uri, public, handle: Handle { commands }, thread: Some(thread) })
}

/// A board that is being served; dropping it ends that and removes its socket or link.
#[derive(Debug)]
pub struct Served {
    uri: String,
    public: bool,
    handle: Handle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Served {
    /// URI by which the driver opens the board.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// True if other computers can reach it.
    pub const fn is_public(&self) -> bool {
        self.public
    }

    /// What to tell the board beside the wire.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// False once serving has ended by itself; [`stop`](Self::stop) says why.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends serving.
    ///
    /// # Errors
    /// Why it had ended before, if so.
    ///
    /// # Panics
    /// If the thread of the board panicked.
    pub fn stop(mut self) -> Result<(), ServeError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServeError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // It may have ended before.
        let _ = self.handle.commands.send(Command::Stop);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Nobody is left to be told.
            let _ = self.end();
        }
    }
}

/// Reaches a served board from other threads. Each call takes effect between two pieces of the
/// board's work, within milliseconds, and returns after it has.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Sender<Command>,
}

impl Handle {
    /// Calls `tell` with what the board can be told beside the wire.
    ///
    /// # Errors
    /// [`Ended`] if the board is no longer served.
    pub fn control<T: Send + 'static>(
        &self,
        tell: impl FnOnce(&mut dyn SimControl) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.ask(|answer| {
            Command::Control(Box::new(move |control| {
                // Who asked may have been dropped since.
                let _ = answer.send(tell(control));
            }))
        })
    }

    /// Closes the connection of the host, if there is one, with what is on its way; the next one
    /// can come at once. Returns the URI: a pseudo-terminal without a link gets another name.
    ///
    /// # Errors
    /// As [`plug_in`](Self::plug_in).
    pub fn disconnect(&self) -> Result<String, ServeError> {
        self.ask(Command::Disconnect)?
    }

    /// Pulls the plug: closes the connection and lets none in. A Unix socket's file and a
    /// pseudo-terminal go away, a TCP port refuses. The board goes on.
    ///
    /// # Errors
    /// [`Ended`] if the board is no longer served.
    pub fn unplug(&self) -> Result<(), Ended> {
        self.ask(Command::Unplug)
    }

    /// Plugs it in again, at the same address; a pseudo-terminal without a link gets another
    /// name. Returns the URI.
    ///
    /// # Errors
    /// [`ServeError::Ended`]; those of [`spawn`] if the address has been taken since.
    pub fn plug_in(&self) -> Result<String, ServeError> {
        self.ask(Command::PlugIn)?
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T, Ended> {
        let (answer, answered) = channel();
        self.commands.send(command(answer)).map_err(|_| Ended)?;
        answered.recv().map_err(|_| Ended)
    }
}

/// What a board is told beside the wire.
type Tell = dyn FnOnce(&mut dyn SimControl) + Send;

/// What the thread of a board is told.
enum Command {
    Control(Box<Tell>),
    Disconnect(Sender<Result<String, ServeError>>),
    Unplug(Sender<()>),
    PlugIn(Sender<Result<String, ServeError>>),
    Stop,
}

type Inbox = Receiver<Command>;
