//! What is behind the gadget's functions: ports of the virtual machine, or threads of this process.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use spu_sim::serve::{self, Endpoint};
use spu_sim::{Profile, SimBoard, SimConfig};

/// Where the kernel lists the ports.
const PORTS: &str = "/sys/class/virtio-ports";
/// Where the board of this process is served.
const SOCKET: &str = "/tmp/board";

/// What is behind a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// A board.
    Board,
    /// What sends back all that it gets.
    Echo,
    /// What sends without end.
    Source,
}

/// Opens the port with this name: what is written there arrives outside of the virtual machine.
pub(super) fn outside(name: &str) -> anyhow::Result<File> {
    let entries = std::fs::read_dir(PORTS).context("this machine has no ports")?;
    let found = entries.flatten().find(|entry| {
        let text = std::fs::read_to_string(entry.path().join("name"));
        text.is_ok_and(|text| text.trim() == name)
    });
    let device = found.with_context(|| format!("no port is named {name}"))?.file_name();
    let path = Path::new("/dev").join(device);
    let file = OpenOptions::new().read(true).write(true).open(&path);
    file.with_context(|| format!("{} does not open", path.display()))
}

/// Starts it in this process, as long as it lives.
pub(super) fn inside(behind: Behind) -> anyhow::Result<File> {
    let near = match behind {
        Behind::Board => board()?,
        Behind::Echo | Behind::Source => {
            let (near, mut far) = UnixStream::pair()?;
            thread::spawn(move || -> std::io::Result<()> {
                let mut buffer = [0x5A; 16 * 1024];
                loop {
                    let count = match behind {
                        Behind::Source => buffer.len(),
                        _ => far.read(&mut buffer)?,
                    };
                    far.write_all(&buffer[..count])?;
                }
            });
            near
        }
    };
    Ok(OwnedFd::from(near).into())
}

fn board() -> anyhow::Result<UnixStream> {
    let profile = Profile::named("rev-a")?;
    let board = SimBoard::new(SimConfig { profile, seed: 0, copy: 0, without: [].into() })?;
    let served = serve::spawn(board, &Endpoint::Unix { path: SOCKET.into() })?;
    let stream = UnixStream::connect(SOCKET).context("the board is not served")?;
    // Until the end of this process.
    std::mem::forget(served);
    Ok(stream)
}
