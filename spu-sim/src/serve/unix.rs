//! Unix sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fd::BorrowedFd;
use rustix::net::sockopt;

use super::ServeError;
use super::port::{Port, Wire, fd};

/// Octets on their way to the host, as far as the system allows: what a batch of the engine has.
const SEND_OCTETS: usize = 512 * 1024;

/// A Unix socket.
pub(super) struct UnixPort {
    path: PathBuf,
    listening: Option<Listening>,
}

struct Listening {
    listener: UnixListener,
    /// Device and number of the file, to remove no other.
    file: (u64, u64),
}

impl UnixPort {
    pub(super) fn open(path: &Path) -> Result<Self, ServeError> {
        let listening = Some(listen(path)?);
        Ok(Self { path: path.into(), listening })
    }
}

fn uri(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn listen(path: &Path) -> Result<Listening, ServeError> {
    let io_error = |what| move |source| ServeError::Io { uri: uri(path), what, source };
    remove_stale(path)?;
    let listener = UnixListener::bind(path).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServeError::InUse { uri: uri(path) },
        ErrorKind::PermissionDenied => ServeError::Denied {
            uri: uri(path),
            remedy: "a path in a directory that may be written, e.g. under /tmp",
        },
        _ => io_error("listening")(source),
    })?;
    listener.set_nonblocking(true).map_err(io_error("listening"))?;
    let file = fs::symlink_metadata(path).map_err(io_error("looking at the socket"))?;
    Ok(Listening { listener, file: (file.dev(), file.ino()) })
}

/// Removes a socket file whose server is gone.
fn remove_stale(path: &Path) -> Result<(), ServeError> {
    let Ok(file) = fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(ServeError::Occupied { path: path.into(), what: "is no socket".into() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|source| ServeError::Io {
                uri: uri(path),
                what: "removing the file of a server that is gone",
                source,
            }),
        // Also where it cannot be known.
        _ => Err(ServeError::InUse { uri: uri(path) }),
    }
}

impl Port for UnixPort {
    fn uri(&self) -> String {
        uri(&self.path)
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.listening.as_ref().map(|listening| fd(&listening.listener))
    }

    fn accept(&mut self, _occupied: bool) -> io::Result<Option<Box<dyn Wire>>> {
        let Some(Listening { listener, .. }) = &self.listening else { return Ok(None) };
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        // A matter of speed only.
        let _ = sockopt::set_socket_send_buffer_size(&stream, SEND_OCTETS);
        Ok(Some(Box::new(stream)))
    }

    fn unplug(&mut self) {
        let Some(Listening { file, .. }) = self.listening.take() else { return };
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == file);
        if ours {
            // What is left is replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }

    fn plug_in(&mut self) -> Result<(), ServeError> {
        if self.listening.is_none() {
            self.listening = Some(listen(&self.path)?);
        }
        Ok(())
    }
}

impl Drop for UnixPort {
    fn drop(&mut self) {
        self.unplug();
    }
}

impl Wire for UnixStream {
    fn fd(&self) -> BorrowedFd<'_> {
        fd(self)
    }
}
