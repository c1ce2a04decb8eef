//! `spu-sim serve`.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use spu_sim::serve::{self, Endpoint, Served};
use spu_sim::{Fault, NonIdeality, Profile, SimBoard, SimConfig};

use crate::exit::{Exit, Failure};

/// Time between two looks at whether the boards are still served.
const LOOK: Duration = Duration::from_millis(200);

/// Serves simulated boards until Ctrl-C, and prints the URI of each
///
/// One line a board on standard output, flushed at once: the URI that opens it. Ctrl-C and SIGTERM
/// remove sockets and links.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Symbolic link to the pseudo-terminal: a name that stays
    #[arg(long, value_name = "PATH", conflicts_with_all = ["tcp", "unix"])]
    link: Option<PathBuf>,
    /// Board profile, or path of one ending in .toml
    #[arg(long, value_name = "NAME", default_value = "rev-a")]
    profile: String,
    /// Seed of everything random in the boards
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Which copy of the board, each with its own draw of tolerances; the first one, if several
    #[arg(long, value_name = "N", default_value_t = 0)]
    copy: u32,
    /// Number of boards, copies of each other: ports are counted up, paths get -0, -1 …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    copies: u16,
    /// Non-idealities to switch off, separated by +, as in a sim URI
    #[arg(long, value_name = "NAMES", value_delimiter = '+')]
    without: Vec<String>,
    /// Faults of every board, separated by +, as in a sim URI, e.g. dead-cell.3
    #[arg(long, value_name = "NAMES", value_delimiter = '+')]
    fault: Vec<String>,
    /// Most ticks that a board runs between two looks at its status
    #[arg(long, value_name = "TICKS")]
    quantum: Option<NonZeroU32>,
}

/// Where.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// On a pseudo-terminal: a serial port
    #[arg(long)]
    pty: bool,
    /// On a TCP port; 0 takes a free one. There is no authentication: 127.0.0.1 keeps others out
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Option<String>,
    /// On a Unix socket
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        // Before anything is there that an early Ctrl-C would leave behind.
        let (press, pressed) = channel();
        ctrlc::set_handler(move || {
            // Pressed again while it ends.
            let _ = press.send(());
        })
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
        let endpoint = self.endpoint()?;
        let mut boards = Vec::new();
        for index in 0..self.copies {
            let config = self.config(index)?;
            let board = self.board(config.clone())?;
            let served = serve::spawn(board, &endpoint.numbered(index, self.copies)?)?;
            boards.push((served, config));
        }
        for (served, config) in &boards {
            announce(served, config, json)?;
        }
        while let Err(RecvTimeoutError::Timeout) = pressed.recv_timeout(LOOK) {
            if let Some(ended) = boards.iter().position(|(served, _)| !served.is_running()) {
                return Ok(boards.swap_remove(ended).0.stop()?);
            }
        }
        for (served, _) in boards {
            served.stop()?;
        }
        Ok(())
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        Ok(match &self.place {
            Place { tcp: Some(address), .. } => format!("tcp:{address}").parse()?,
            Place { unix: Some(path), .. } => Endpoint::Unix { path: path.clone() },
            Place { .. } => Endpoint::Pty { link: self.link.clone() },
        })
    }

    fn config(&self, index: u16) -> Result<SimConfig, Failure> {
        let profile = Profile::find(&self.profile)?;
        let without: BTreeSet<NonIdeality> =
            self.without.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let copy = self.copy.checked_add(u32::from(index)).ok_or_else(|| {
            Failure::new(Exit::Usage, "the copy numbers exceed 2^32 - 1; take a lower --copy")
        })?;
        Ok(SimConfig { profile, seed: self.seed, copy, without })
    }

    fn board(&self, config: SimConfig) -> Result<SimBoard, Failure> {
        let cells = config.profile.cell_count();
        let mut board = SimBoard::new(config)?;
        if let Some(quantum) = self.quantum {
            board.control().set_quantum(quantum);
        }
        for name in &self.fault {
            board.control().inject(Fault::parse(name, cells)?)?;
        }
        Ok(board)
    }
}

fn announce(served: &Served, config: &SimConfig, json: bool) -> Result<(), Failure> {
    let uri = served.uri();
    if served.is_public() {
        eprintln!(
            "warning: {uri} can be reached from other computers, and there is no authentication: \
             whoever connects has the board; serve on 127.0.0.1 and tunnel by ssh to keep others out"
        );
    }
    let line = if json {
        json!({
            "uri": uri,
            "profile": config.profile.name,
            "seed": config.seed,
            "copy": config.copy,
            "serial": format!("{:#018x}", config.serial()),
        })
        .to_string()
    } else {
        uri.to_owned()
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write to standard output: {error}"))
    })
}
