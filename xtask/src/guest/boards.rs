//! What is outside of the machine at the other ends of its ports: simulated boards, and
//! what they are compared with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::process::output;
use crate::root;

/// A board, served on a Unix socket until this is dropped.
pub(super) struct Board {
    server: Child,
    /// Its serial number: 16 hexadecimal digits.
    pub(super) serial: String,
}

/// Serves a board on the socket `name` in `folder`. All are the same board.
///
/// # Errors
/// Where the server does not build or start.
pub(super) fn serve(folder: &Path, name: &str) -> Result<Board> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(root()).args(["build", "--message-format", "json", "--bin", "spu-sim"]);
    let program = output(&mut build)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(String::from))
        .context("cargo built no spu-sim")?;
    // By a name without folders, since the names of sockets are short.
    let mut server = Command::new(program)
        .current_dir(folder)
        .args(["serve", "--json", "--profile", "rev-a", "--unix", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("spu-sim cannot be started")?;
    let mut line = String::new();
    let stdout = server.stdout.take().context("no pipe")?;
    let mut board = Board { server, serial: String::new() };
    BufReader::new(stdout).read_line(&mut line)?;
    let served: serde_json::Value =
        serde_json::from_str(&line).context("spu-sim serves nothing")?;
    let serial = served["serial"].as_str().context("spu-sim names no serial number")?;
    board.serial.push_str(serial.trim_start_matches("0x"));
    Ok(board)
}

impl Drop for Board {
    fn drop(&mut self) {
        // It has not ended by itself, unless it failed; then the suites say so.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What is there beside boards, to compare them with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    /// Sends back what it gets.
    Echo,
    /// Sends without end.
    Source,
}

/// Is this for the first that connects to the socket `name` in `folder`.
///
/// # Errors
/// Where there can be no such socket.
#[cfg(unix)]
pub(super) fn plain(what: Plain, folder: &Path, name: &str) -> Result<()> {
    use std::io::{Read, Write};

    let path = folder.join(name);
    // Of an earlier run.
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path)
        .with_context(|| format!("{} cannot be a socket", path.display()))?;
    // Ends with an error when the machine does.
    std::thread::spawn(move || -> std::io::Result<()> {
        let (mut socket, _) = listener.accept()?;
        let mut buffer = [0x5A; 16 * 1024];
        loop {
            let count = match what {
                Plain::Source => buffer.len(),
                Plain::Echo => socket.read(&mut buffer)?,
            };
            if count == 0 {
                return Ok(());
            }
            socket.write_all(&buffer[..count])?;
        }
    });
    Ok(())
}

/// The machine does not run here.
#[cfg(not(unix))]
pub(super) fn plain(_what: Plain, _folder: &Path, _name: &str) -> Result<()> {
    anyhow::bail!("there are no Unix sockets here")
}
