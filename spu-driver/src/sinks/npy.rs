//! `NumPy`'s `.npy`: 16-bit codes, frames × cells.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::store::{HELD, Medium, Store, create};
use super::{End, FrameFile, Pace, Stored, StoredFile, octets};
use crate::device::{FrameBlock, Sink};

/// Length of a header: it is always the same, so that it can be written again.
const HEADER: usize = 128;

/// An array file that says how many rows it has after each checkpoint.
struct Array<M> {
    store: Store<M>,
    descr: &'static str,
    columns: usize,
}

impl<M: Medium> Array<M> {
    /// An array without rows on an empty medium, of elements of `size` bytes.
    fn new(mut medium: M, descr: &'static str, size: usize, columns: usize) -> io::Result<Self> {
        medium.write_all(&header(descr, 0, columns))?;
        Ok(Self { store: Store::new(medium, size * columns, false)?, descr, columns })
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.store.write();
        if written.is_err() {
            self.state_rows()?;
        }
        written
    }

    /// Writes what is held and states the number of rows, in this order on the disk too.
    fn checkpoint(&mut self) -> io::Result<()> {
        self.write()?;
        self.store.sync()?;
        self.state_rows()
    }

    fn state_rows(&mut self) -> io::Result<()> {
        let header = header(self.descr, self.store.frames(), self.columns);
        self.store.rewrite_header(&header)
    }
}

/// A header, version 1.0 of the format: a Python dictionary, padded with blanks.
fn header(descr: &str, rows: u64, columns: usize) -> [u8; HEADER] {
    let dictionary =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut header = [b' '; HEADER];
    let length = (HEADER - 10) as u16;
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&length.to_le_bytes());
    // The longest, with 20 digits in both numbers, has 94.
    header[10..][..dictionary.len()].copy_from_slice(dictionary.as_bytes());
    header[HEADER - 1] = b'\n';
    header
}

/// Stores frames as an array of little-endian 16-bit codes, one frame a row.
///
/// The header is written again with the true number of rows every half a second and at the end.
/// Where frames were lost, `NAME.gaps.npy` says before which row, how many, and at which tick
/// that row was sampled: an array of 64-bit integers, three a gap.
pub struct Npy {
    path: PathBuf,
    frames: Array<File>,
    gaps: Option<Array<File>>,
    /// Row, frames lost before it, and tick of it.
    places: Vec<[u64; 3]>,
    replace: bool,
    pace: Pace,
}

impl Npy {
    /// Creates the file for boards of so many cells. One that is there is an error, unless it may
    /// be replaced; so is one of gaps.
    ///
    /// # Errors
    /// Whatever keeps it from being created.
    pub fn create(path: &Path, cells: usize, replace: bool) -> io::Result<Self> {
        let [_, gaps] = Self::paths(path);
        if !replace && gaps.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let frames = Array::new(create(path, replace)?, "<i2", 2, cells)?;
        if replace {
            remove(&gaps)?;
        }
        let (places, pace) = (Vec::new(), Pace::default());
        Ok(Self { path: path.into(), frames, gaps: None, places, replace, pace })
    }

    /// The files of a recording there: frames, and gaps if there are any.
    pub fn paths(path: &Path) -> [PathBuf; 2] {
        [path.into(), path.with_extension("gaps.npy")]
    }

    fn gap(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        let gaps = match &mut self.gaps {
            Some(gaps) => gaps,
            empty => {
                let [_, path] = Self::paths(&self.path);
                empty.insert(Array::new(create(&path, self.replace)?, "<i8", 8, 3)?)
            }
        };
        let place = [self.frames.store.taken(), block.lost_before, block.tick.0];
        for number in place {
            gaps.store.hold(&number.to_le_bytes());
        }
        self.places.push(place);
        Ok(())
    }

    /// Gaps go to the disk before the frames after them.
    fn save_gaps(&mut self) -> io::Result<()> {
        match &mut self.gaps {
            Some(gaps) if gaps.store.held() > 0 => gaps.checkpoint(),
            _ => Ok(()),
        }
    }

    /// Forgets gaps that no stored frame follows.
    fn trim_gaps(&mut self) -> io::Result<()> {
        let frames = self.frames.store.frames();
        self.places.retain(|[row, ..]| *row < frames);
        let Some(gaps) = &mut self.gaps else { return Ok(()) };
        if self.places.is_empty() {
            self.gaps = None;
            let [_, path] = Self::paths(&self.path);
            return remove(&path);
        }
        gaps.store.keep(self.places.len() as u64)?;
        gaps.checkpoint()
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Sink for Npy {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        if block.lost_before > 0 {
            self.gap(block)?;
        }
        self.frames.store.hold(&octets(block.codes));
        if self.pace.is_due() {
            self.save_gaps()?;
            self.frames.checkpoint()?;
            self.pace.done();
        } else if self.frames.store.held() >= HELD {
            self.save_gaps()?;
            self.frames.write()?;
        }
        Ok(())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.frames.store.frames())
    }
}

impl FrameFile for Npy {
    fn finish(&mut self, _end: &End<'_>) -> io::Result<()> {
        let written = self.save_gaps().and_then(|()| self.frames.checkpoint());
        let trimmed = self.trim_gaps();
        // An earlier error was told when it came; there is nothing held then.
        if self.frames.store.is_broken() { trimmed } else { written.and(trimmed) }
    }

    fn summary(&self) -> Stored {
        let [path, gaps_path] = Self::paths(&self.path);
        let mut files = vec![StoredFile { path, bytes: self.frames.store.bytes() }];
        if let Some(gaps) = &self.gaps {
            files.push(StoredFile { path: gaps_path, bytes: gaps.store.bytes() });
        }
        Stored {
            frames: self.frames.store.frames(),
            gaps: self.places.len() as u64,
            lost: self.places.iter().map(|[_, lost, _]| lost).sum(),
            files,
            sha512: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::Small;
    use super::*;

    #[test]
    fn headers_have_one_length_and_numpys_form() {
        for (rows, columns) in [(0, 1), (7, 8), (u64::MAX, usize::MAX)] {
            let header = header("<i2", rows, columns);
            assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
            let text = std::str::from_utf8(&header[10..]).unwrap();
            let expected = format!(
                "{{'descr': '<i2', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
            );
            assert_eq!(text.trim_end(), expected);
            assert!(text.ends_with(" \n"));
        }
    }

    #[test]
    fn a_full_disk_leaves_a_header_that_counts_what_is_there() {
        for room in [HEADER, HEADER + 5, HEADER + 6, HEADER + 1000] {
            let mut array = Array::new(Small::new(room), "<i2", 2, 3).unwrap();
            array.store.hold(&[1; 6 * 300]);
            let error = array.checkpoint().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let rows = (room - HEADER) / 6;
            let bytes = array.store.into_medium().bytes.into_inner();
            assert_eq!(bytes.len(), HEADER + rows * 6);
            assert_eq!(bytes[..HEADER], header("<i2", rows as u64, 3));
        }
    }
}
