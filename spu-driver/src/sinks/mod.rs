//! Where frames go: files that stay readable whatever happens, and memory.
//!
//! [`SigMf`] and [`Npy`] write files. At every moment, whole frames are in them, losses are placed,
//! and the count that they state is of frames that are there: on a full disk, after a kill, after a
//! loss of power. [`ring`] keeps frames in memory for a reader on another thread. [`Queued`] runs
//! any sink on a thread of its own, so that a slow disk holds back the board only when the queue is
//! full.
//!
//! ```
//! use spu_driver::sinks::{End, Queued, FrameFile, Setup, SigMf};
//! # use std::num::NonZeroU32;
//! # use spu_driver::{AcquirePlan, Deadline, open};
//! # use spu_protocol::code::Ticks;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("capture.sigmf");
//! let mut device = open("sim:profile=ideal")?;
//! let plan = AcquirePlan {
//!     settle: Ticks(0),
//!     decimation: NonZeroU32::MIN,
//!     count: NonZeroU32::new(1000).unwrap(),
//!     moments: false,
//!     stream: true,
//!     realtime: false,
//! };
//! let setup = Setup { uri: device.uri(), board: device.info(), plan: &plan, program: None };
//! let file = SigMf::create(&path, &setup, false)?;
//! let mut sink = Queued::new(file, 16 << 20, &device.cancel_handle())?;
//! let result = device.acquire(&plan, &mut sink, Deadline::after_secs(60));
//! let (mut file, error) = sink.into_inner();
//! file.finish(&End::of(&result, error.as_ref()))?;
//! assert_eq!(file.summary().frames, 1000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod metadata;
mod npy;
mod queue;
mod queued;
mod ring;
mod sigmf;
mod store;

pub use npy::Npy;
pub use queued::Queued;
pub use ring::{Full, Piece, RingReader, RingSink, ring};
pub use sigmf::SigMf;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use spu_protocol::code::AdcCode;

use crate::device::{AcquirePlan, BoardInfo, Deadline, FrameBlock, Program, Report, Sink};
use crate::error::Error;
use crate::time::now;

/// Longest time between two updates of the count in a file, as long as frames come.
const CHECKPOINT: Duration = Duration::from_millis(500);

/// A sink that keeps one acquisition's frames in files.
pub trait FrameFile: Sink + Send {
    /// Writes what is still held, and how the acquisition ended. The files are synced to the disk.
    ///
    /// # Errors
    /// Whatever keeps it from being stored. The files are readable in any case.
    fn finish(&mut self, end: &End<'_>) -> io::Result<()>;

    /// What is in the files.
    fn summary(&self) -> Stored;
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn begin(&mut self, deadline: Deadline) {
        (**self).begin(deadline);
    }

    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        (**self).frames(block)
    }

    fn stored(&self) -> Option<u64> {
        (**self).stored()
    }

    fn progress(&mut self, kept: u64, total: u64) {
        (**self).progress(kept, total);
    }
}

/// What a recording's metadata say about where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The device.
    pub uri: &'a str,
    /// Its board.
    pub board: &'a BoardInfo,
    /// What is sampled.
    pub plan: &'a AcquirePlan,
    /// What was loaded before; `None`: whatever the board held.
    pub program: Option<&'a Program>,
}

/// How a recorded acquisition ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The board's report, if there is one.
    pub report: Option<&'a Report>,
    /// Why there is none, or why it was not stored whole.
    pub failure: Option<&'a dyn std::error::Error>,
}

impl<'a> End<'a> {
    /// From the result of the acquisition and the writer's error.
    pub fn of(result: &'a Result<Report, Error>, writer: Option<&'a io::Error>) -> Self {
        let failure: Option<&dyn std::error::Error> = match (result, writer) {
            (Err(error), _) => Some(error),
            (Ok(_), Some(error)) => Some(error),
            (Ok(_), None) => None,
        };
        Self { report: result.as_ref().ok(), failure }
    }
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Frames.
    pub frames: u64,
    /// Places between frames, or before the first one, where some were lost.
    pub gaps: u64,
    /// Frames lost at these places.
    pub lost: u64,
    /// The files, that of the frames first.
    pub files: Vec<StoredFile>,
    /// SHA-512 of that file, in hexadecimal, if its format has a place for it.
    pub sha512: Option<String>,
}

/// A file of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// The codes as they are stored: little endian, frame by frame.
fn octets(codes: &[AdcCode]) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice(codes).into()
    } else {
        codes.iter().flat_map(|code| code.0.to_le_bytes()).collect()
    }
}

/// Tells when the count in a file is due.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// True for the first time, and once [`CHECKPOINT`] has passed since the last [`done`](Self::done).
    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| now().saturating_duration_since(last) >= CHECKPOINT)
    }

    fn done(&mut self) {
        self.last = Some(now());
    }
}
