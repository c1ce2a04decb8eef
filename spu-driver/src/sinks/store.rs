//! Appends whole frames to a file, and knows how many of them are in it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest as _, Sha512};

/// Bytes that are held before they are written.
pub(super) const HELD: usize = 1 << 20;

/// What frames are stored on.
pub(super) trait Medium: Write + Seek + Send {
    /// Ends it at this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Waits until what was written is safe from a loss of power.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // Devices and pipes have nothing to wait for, and say so.
        match self.sync_data() {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }
}

/// Creates a file; one that is there is an error, unless it may be replaced.
pub(super) fn create(path: &Path, replace: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path)
}

/// Frames of a fixed length after a header of a fixed length.
pub(super) struct Store<M> {
    medium: M,
    header: u64,
    frame: usize,
    held: Vec<u8>,
    frames: u64,
    hash: Option<Sha512>,
    /// A write has failed: nothing more can be appended.
    broken: bool,
}

impl<M: Medium> Store<M> {
    /// Frames of `frame` bytes, from the present position of the medium, which is its end.
    pub(super) fn new(mut medium: M, frame: usize, hash: bool) -> io::Result<Self> {
        let header = medium.stream_position()?;
        let hash = hash.then(Sha512::new);
        Ok(Self { medium, header, frame, held: Vec::new(), frames: 0, hash, broken: false })
    }

    /// Takes whole frames, to be written later.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Bytes that are not written yet.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Frames that are in the file, whole.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that were taken, written or not.
    pub(super) fn taken(&self) -> u64 {
        self.frames + (self.held.len() / self.frame) as u64
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.header + self.frames * self.frame as u64
    }

    /// Writes what is held. Where that fails, the frames that were written whole stay, and the rest
    /// is cut off.
    ///
    /// # Errors
    /// Of the medium; nothing can be appended after one.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write has failed"));
        }
        let mut done = 0;
        let failure = loop {
            match self.held.get(done..) {
                None | Some([]) => break None,
                Some(rest) => match self.medium.write(rest) {
                    Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                    Ok(count) => done += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(error),
                },
            }
        };
        let frames = done / self.frame;
        if let Some(hash) = &mut self.hash {
            hash.update(&self.held[..frames * self.frame]);
        }
        self.frames += frames as u64;
        self.held.clear();
        let Some(failure) = failure else { return Ok(()) };
        self.broken = true;
        if let Err(error) = self.medium.cut(self.bytes()) {
            tracing::warn!(%error, "a part of a frame stays at the end of the file");
        }
        Err(failure)
    }

    /// Writes other bytes at the start of the file.
    pub(super) fn rewrite_header(&mut self, header: &[u8]) -> io::Result<()> {
        self.medium.seek(SeekFrom::Start(0))?;
        let written = self.medium.write_all(header);
        self.medium.seek(SeekFrom::Start(self.bytes()))?;
        written
    }

    /// Waits until what was written is safe from a loss of power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.medium.sync()
    }

    /// Keeps the first frames only, of those that were written.
    pub(super) fn keep(&mut self, frames: u64) -> io::Result<()> {
        self.frames = self.frames.min(frames);
        self.medium.cut(self.bytes())?;
        self.medium.seek(SeekFrom::Start(self.bytes())).map(drop)
    }

    /// True once a write has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    #[cfg(test)]
    pub(super) fn into_medium(self) -> M {
        self.medium
    }

    /// SHA-512 of the frames in the file, in hexadecimal, if it was to be computed.
    pub(super) fn sha512(&self) -> Option<String> {
        Some(hexadecimal(&self.hash.clone()?.finalize()))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A disk in memory that is full after so many bytes.
    pub(in crate::sinks) struct Small {
        pub(in crate::sinks) bytes: Cursor<Vec<u8>>,
        pub(in crate::sinks) room: usize,
    }

    impl Small {
        pub(in crate::sinks) fn new(room: usize) -> Self {
            Self { bytes: Cursor::new(Vec::new()), room }
        }
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let at = self.bytes.position() as usize;
            // Writes come in pieces, as they may.
            let fits = self.room.saturating_sub(at).min(bytes.len()).min(100);
            if fits == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.write(&bytes[..fits])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Small {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    impl Medium for Small {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.bytes.get_mut().truncate(length as usize);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_whole_frames_stay() {
        for room in 0..200 {
            let mut disk = Small::new(room + 10);
            disk.write_all(b"0123456789").unwrap();
            let mut store = Store::new(disk, 6, true).unwrap();
            let bytes: Vec<u8> = (0..180).collect();
            let mut results = Vec::new();
            for part in bytes.chunks(60) {
                store.hold(part);
                results.push(store.write().map_err(|error| error.kind()));
            }
            let frames = room.min(180) / 6;
            assert_eq!(store.frames(), frames as u64, "room {room}");
            let kept = &store.medium.bytes.get_ref()[10..];
            assert_eq!(kept, &bytes[..frames * 6]);
            assert_eq!(store.sha512(), Some(hexadecimal(&Sha512::digest(kept))));
            let failed = results.iter().position(Result::is_err);
            assert_eq!(failed, (room < 180).then_some(room / 60));
            if let Some(first) = failed {
                assert_eq!(results[first], Err(io::ErrorKind::StorageFull));
                assert!(results[first..].iter().all(Result::is_err), "it stays broken");
            }
        }
    }
}
