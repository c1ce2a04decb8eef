//! `SigMF`, the Signal Metadata Format (<https://sigmf.org>): raw codes, and JSON beside them.
//!
//! `docs/spu.sigmf-ext.md` describes the files and the fields of the namespace `spu`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::metadata::{Capture, Metadata};
use super::store::{HELD, Store, create};
use super::{End, FrameFile, Pace, Setup, Stored, StoredFile, octets};
use crate::device::{FrameBlock, Sink};

/// Stores frames as `NAME.sigmf-data`, and what they are as `NAME.sigmf-meta`.
///
/// The dataset only ever holds whole frames. The metadata are replaced in one step, so that they
/// are whole at every moment: before frames that follow a gap are written, so that these are never
/// taken for frames without one; every half a second with the count of frames on the disk; and at
/// the end, with SHA-512.
pub struct SigMf {
    data_path: PathBuf,
    data: Store<File>,
    metadata: Metadata,
    /// Captures that the file of metadata has.
    stated: usize,
    pace: Pace,
}

impl SigMf {
    /// Creates both files. One that is there is an error, unless it may be replaced. `path` is
    /// `NAME`, or `NAME` with the ending of the format or of either file.
    ///
    /// # Errors
    /// Whatever keeps them from being created.
    pub fn create(path: &Path, setup: &Setup<'_>, replace: bool) -> io::Result<Self> {
        let [data_path, meta_path] = Self::paths(path);
        if !replace && meta_path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if replace && meta_path.exists() {
            // Never the metadata of other frames.
            std::fs::remove_file(&meta_path)?;
        }
        let frame = setup.board.cells * 2;
        let data = Store::new(create(&data_path, replace)?, frame, true)?;
        let mut metadata = Metadata::new(meta_path, setup);
        metadata.save()?;
        Ok(Self { data_path, data, metadata, stated: 1, pace: Pace::default() })
    }

    /// The files of a recording there: frames and metadata.
    pub fn paths(path: &Path) -> [PathBuf; 2] {
        let known = path.extension().is_some_and(|ending| {
            ["sigmf", "sigmf-data", "sigmf-meta"].iter().any(|known| ending == *known)
        });
        // Any other dot is a part of the name.
        let base = if known { path.with_extension("") } else { path.into() };
        ["sigmf-data", "sigmf-meta"].map(|ending| base.with_added_extension(ending))
    }

    /// States gaps before the frames after them are written.
    fn save_gaps(&mut self) -> io::Result<()> {
        if self.stated < self.metadata.captures.len() {
            self.metadata.save()?;
            self.stated = self.metadata.captures.len();
        }
        Ok(())
    }

    /// Writes what is held, and then says so.
    fn checkpoint(&mut self) -> io::Result<()> {
        self.save_gaps()?;
        self.data.write()?;
        self.data.sync()?;
        self.metadata.frames = self.data.frames();
        self.metadata.save()?;
        self.pace.done();
        Ok(())
    }
}

impl Sink for SigMf {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        if block.lost_before > 0 {
            self.metadata.gap(Capture {
                sample_start: self.data.taken(),
                global_index: block.first_frame,
                tick: block.tick.0,
                lost_before: block.lost_before,
            });
            // One in place of the first is news too.
            self.stated = self.stated.min(self.metadata.captures.len() - 1);
        }
        self.data.hold(&octets(block.codes));
        if self.pace.is_due() {
            self.checkpoint()
        } else if self.data.held() >= HELD.max(4 * self.metadata.length()) {
            // With very many gaps the metadata are long: they cost a part of what the frames do.
            self.save_gaps()?;
            self.data.write()
        } else {
            Ok(())
        }
    }

    fn stored(&self) -> Option<u64> {
        Some(self.data.frames())
    }
}

impl FrameFile for SigMf {
    fn finish(&mut self, end: &End<'_>) -> io::Result<()> {
        let written = if self.data.is_broken() {
            // That error was told when it came.
            Ok(())
        } else {
            self.save_gaps().and_then(|()| self.data.write())
        };
        let synced = self.data.sync();
        self.metadata.frames = self.data.frames();
        self.metadata.end(end, written.as_ref().err(), self.data.sha512());
        let stated = self.metadata.save();
        written.and(synced).and(stated)
    }

    fn summary(&self) -> Stored {
        let frames = self.data.frames();
        let (gaps, lost) = self.metadata.gaps(frames);
        let data = StoredFile { path: self.data_path.clone(), bytes: self.data.bytes() };
        let meta =
            StoredFile { path: self.metadata.path().into(), bytes: self.metadata.length() as u64 };
        Stored { frames, gaps, lost, files: vec![data, meta], sha512: self.data.sha512() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_may_be_given_or_not() {
        let expected = ["a/b.1.sigmf-data", "a/b.1.sigmf-meta"].map(PathBuf::from);
        for path in ["a/b.1", "a/b.1.sigmf", "a/b.1.sigmf-data", "a/b.1.sigmf-meta"] {
            assert_eq!(SigMf::paths(Path::new(path)), expected, "{path}");
        }
    }
}
