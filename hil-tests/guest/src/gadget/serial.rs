//! The serial port: a tty of the gadget.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The tty as it is open now.
type Open = Arc<Mutex<Option<Arc<File>>>>;

/// Wait before the tty is opened again, after it was hung up.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts the threads between the board's port and the tty. They end with the process.
pub(super) fn start(port: File, path: PathBuf) {
    let open = Open::default();
    let port = Arc::new(port);
    let (board, tty) = (Arc::clone(&port), Arc::clone(&open));
    thread::spawn(move || receive(&path, &tty, &board));
    thread::spawn(move || send(&port, &open));
}

/// Takes what the host sends, and opens the tty again after it was hung up.
fn receive(path: &Path, open: &Open, mut board: &File) {
    let mut buffer = [0; 4096];
    loop {
        if let Ok(file) = raw(path) {
            let file = Arc::new(file);
            *open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&file));
            while let Ok(count @ 1..) = (&*file).read(&mut buffer) {
                // The board's end of the port is open as long as this machine runs.
                drop(board.write_all(&buffer[..count]));
            }
        }
        *open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        thread::sleep(PAUSE);
    }
}

/// Opens a terminal that passes every byte as it is.
fn raw(path: &Path) -> io::Result<File> {
    let no_controlling_terminal = OFlags::NOCTTY.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(no_controlling_terminal)
        .open(path)?;
    let mut attributes = tcgetattr(&file)?;
    attributes.make_raw();
    tcsetattr(&file, OptionalActions::Now, &attributes)?;
    Ok(file)
}

/// Sends what the board sends.
fn send(mut port: &File, open: &Open) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = port.read(&mut buffer) {
        if count == 0 {
            thread::sleep(PAUSE);
        }
        let file = open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // While unplugged, what is on its way is lost.
        let _ = file.map(|file| (&*file).write_all(&buffer[..count]));
    }
}
