//! `spu stream`: frames of a board, into a file.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use spu_driver::plan::{Budget, InversionPlan};
use spu_driver::seeds::noise_seeds;
use spu_driver::sinks::{End, FrameFile, Npy, Queued, Setup, SigMf};
use spu_driver::{AcquirePlan, BoardInfo, Deadline, Error, FrameBlock, Program, Report, Sink};
use spu_protocol::code::Ticks;

use super::stream_view::{StreamAnswer, Streamed};
use super::{DeviceArg, MatrixArg, TimeoutArg, seconds};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file::check_writable;
use crate::progress::Meter;
use crate::text::{count, si};

/// Frames, unless told otherwise.
const FRAMES: u64 = 100_000;
/// What a slow disk stores in a second at least, when the longest time is chosen.
const SLOW_DISK: u64 = 1_000_000;
/// Room for metadata.
const METADATA: u64 = 1 << 16;

/// Stream frames of a board into a file, which is readable at every moment
#[derive(Debug, Args)]
pub(crate) struct Stream {
    /// Symmetric positive definite matrix to set on the board first, as for the other verbs [default:
    /// leave what it holds]
    matrix: Option<PathBuf>,
    /// Add this times the identity to the matrix first
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0, requires = "matrix")]
    damping: f64,
    #[command(flatten)]
    device: DeviceArg,
    /// File to write: .npy, or .sigmf for NAME.sigmf-data and NAME.sigmf-meta
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Format, if the ending does not tell
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Frames to keep [default: 100,000]
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    samples: Option<u64>,
    /// Sampled time to keep, instead, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Keep one sample clock tick in this many [default: as many as the link carries]
    #[arg(long, value_name = "D")]
    decimation: Option<NonZeroU32>,
    /// Ticks to run before the first frame [default: until at rest with a matrix, otherwise 0]
    #[arg(long, value_name = "TICKS")]
    settle: Option<u32>,
    /// Lose (and count) frames where link or disk are too slow, instead of stalling the board
    #[arg(long)]
    realtime: bool,
    /// Seed of the board's noise generators, with a matrix
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Bytes that may wait for the disk: 64M, 1G
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    queue: usize,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    timeout: TimeoutArg,
}

/// Formats of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Raw codes, and JSON beside them
    Sigmf,
    /// `NumPy` array, frames × cells
    Npy,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Failure> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("sigmf" | "sigmf-data" | "sigmf-meta") => Ok(Self::Sigmf),
            _ => Err(Failure::usage(format!(
                "{}: the ending tells no format of frames; use .sigmf or .npy, or add --format",
                path.display()
            ))),
        }
    }

    /// Files that may be written, that of the frames first.
    fn paths(self, path: &Path) -> [PathBuf; 2] {
        match self {
            Self::Sigmf => SigMf::paths(path),
            Self::Npy => Npy::paths(path),
        }
    }

    fn create(self, path: &Path, setup: &Setup<'_>, replace: bool) -> io::Result<File> {
        Ok(match self {
            Self::Sigmf => Box::new(SigMf::create(path, setup, replace)?),
            Self::Npy => Box::new(Npy::create(path, setup.board.cells, replace)?),
        })
    }
}

type File = Box<dyn FrameFile>;

/// A number of bytes: `64M`, `512K`, `1000`.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..].to_ascii_uppercase()[..] {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err("give a number of bytes, such as 64M".into()),
    };
    let number: usize = digits.parse().map_err(|_| "give a number of bytes, such as 64M")?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than there is memory".into())
}

/// Shows progress while frames go to the queue.
struct Watched<'a> {
    queued: &'a mut Queued<File>,
    meter: &'a Meter,
}

impl Sink for Watched<'_> {
    fn begin(&mut self, deadline: Deadline) {
        self.queued.begin(deadline);
    }

    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        self.queued.frames(block)
    }

    fn stored(&self) -> Option<u64> {
        Sink::stored(self.queued)
    }

    fn progress(&mut self, kept: u64, total: u64) {
        use spu_driver::invert::Progress as _;
        self.meter.update(0, kept, total);
    }
}

impl Stream {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<StreamAnswer, Failure> {
        let format = self.format.map_or_else(|| Format::of(&self.out), Ok)?;
        let paths = format.paths(&self.out);
        self.refuse_what_is_there(&paths)?;
        check_writable(&paths[0])?;
        let matrix = self.matrix.clone();
        let matrix = matrix.map(|matrix| MatrixArg { matrix, damping: self.damping });
        let a = matrix.as_ref().map(MatrixArg::read).transpose()?;
        let mut devices = [self.device.open()?];
        interrupt.watch(&devices);
        let [device] = &mut devices;
        let board = device.info().clone();
        let settled = a.as_ref().map(|a| InversionPlan::new(a, &board, &Budget::default()));
        let settled = settled.transpose()?;
        let plan = self.plan(&board, settled.as_ref())?;
        let bytes = u64::from(plan.count.get()) * board.cells as u64 * 2;
        if let Some(warning) = short_of_space(&paths[0], bytes) {
            eprintln!("warning: {warning}");
        }
        let program = settled.map(|settled| Program {
            seeds: Some(noise_seeds(self.seed, 0, board.cells)),
            ..settled.program_with(settled.safe_gain)
        });
        if let Some(program) = &program {
            device.load(program, self.timeout.deadline())?;
        }
        let uri = device.uri().to_owned();
        let setup = Setup { uri: &uri, board: &board, plan: &plan, program: program.as_ref() };
        let wrong = |error| not_stored(&error, &paths[0], 0);
        let file = format.create(&self.out, &setup, self.force).map_err(wrong)?;
        let mut queued = Queued::new(file, self.queue, &device.cancel_handle()).map_err(wrong)?;
        let meter = Meter::new(1, json);
        let started = Instant::now();
        let deadline = self.deadline(&plan, bytes);
        let mut watched = Watched { queued: &mut queued, meter: &meter };
        let result = device.acquire(&plan, &mut watched, deadline);
        let (mut file, error) = queued.into_inner();
        let finished = file.finish(&End::of(&result, error.as_ref()));
        let wall = started.elapsed();
        meter.finish();
        let stored = file.summary();
        let report = outcome(result, error, finished, &paths[0], stored.frames)?;
        Ok(StreamAnswer::new(Streamed {
            device: device.as_ref(),
            format,
            plan: &plan,
            programmed: self.matrix.as_ref().map(|matrix| matrix.display().to_string()),
            report: &report,
            stored,
            wall,
        }))
    }

    fn refuse_what_is_there(&self, paths: &[PathBuf]) -> Result<(), Failure> {
        match paths.iter().find(|path| path.exists()) {
            Some(path) if !self.force => Err(Failure::usage(format!(
                "{} exists; choose another name, or add --force to replace it",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    fn plan(
        &self,
        board: &BoardInfo,
        settled: Option<&InversionPlan>,
    ) -> Result<AcquirePlan, Failure> {
        let clock = board.raw.sample_clock_hz;
        let link = board.raw.stream_frames_per_s;
        let carried = if link == 0 { 1 } else { clock.div_ceil(link) };
        let decimation =
            self.decimation.or_else(|| NonZeroU32::new(carried)).unwrap_or(NonZeroU32::MIN);
        let frames = match (self.samples, self.seconds) {
            (Some(samples), _) => samples,
            (None, Some(seconds)) => {
                let ticks = seconds.as_secs_f64() * f64::from(clock);
                (ticks / f64::from(decimation.get())).round() as u64
            }
            (None, None) => FRAMES,
        };
        let count = u32::try_from(frames).ok().and_then(NonZeroU32::new).ok_or_else(|| {
            Failure::usage(format!(
                "{} frames cannot be streamed at once; ask for 1 to {}",
                count(frames),
                count(u32::MAX.into())
            ))
        })?;
        let rest = settled.map_or(0, |plan| plan.settle);
        Ok(AcquirePlan {
            settle: Ticks(self.settle.map_or(rest, u64::from)),
            decimation,
            count,
            moments: false,
            stream: true,
            realtime: self.realtime,
        })
    }

    /// Ample for a simulator and a slow disk, unless told otherwise.
    fn deadline(&self, plan: &AcquirePlan, bytes: u64) -> Deadline {
        let ticks = plan.settle.0 + u64::from(plan.count.get()) * u64::from(plan.decimation.get());
        let ample = Duration::from_secs(30 + ticks / 1_000_000 + bytes / SLOW_DISK);
        Deadline::after(self.timeout.timeout.unwrap_or(ample))
    }
}

/// The board's report, if it and the frames are whole; otherwise why not, and what is kept.
fn outcome(
    result: Result<Report, Error>,
    writer: Option<io::Error>,
    finished: io::Result<()>,
    path: &Path,
    frames: u64,
) -> Result<Report, Failure> {
    match (result, writer, finished) {
        (Ok(report), None, Ok(())) => Ok(report),
        (Err(Error::Sink(error, _)), ..) | (Ok(_), Some(error), _) | (Ok(_), None, Err(error)) => {
            Err(not_stored(&error, path, frames))
        }
        (Err(error), ..) => {
            let Failure { exit, message } = error.into();
            Err(Failure::new(exit, format!("{message}; {}", kept(path, frames))))
        }
    }
}

fn not_stored(error: &io::Error, path: &Path, frames: u64) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "free some space or write elsewhere"
        }
        io::ErrorKind::TimedOut => "write to a faster disk or allow more with --timeout",
        _ => "check the disk or write elsewhere",
    };
    let kept = kept(path, frames);
    Failure::new(Exit::Output, format!("frames could not be stored: {error}; {advice}; {kept}"))
}

fn kept(path: &Path, frames: u64) -> String {
    format!("{} whole frames are in {}", count(frames), path.display())
}

/// A warning, if a file of so many bytes does not fit where it is to be.
fn short_of_space(path: &Path, bytes: u64) -> Option<String> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let free = free(directory)?;
    (bytes.saturating_add(METADATA) > free).then(|| {
        format!(
            "{} are needed and {} are free in {}; when it is full, the frames until then are kept",
            si(bytes as f64, "B"),
            si(free as f64, "B"),
            directory.display()
        )
    })
}

/// Bytes that may be written in this directory.
#[cfg(unix)]
fn free(directory: &Path) -> Option<u64> {
    let status = rustix::fs::statvfs(directory).ok()?;
    status.f_bavail.checked_mul(status.f_frsize)
}

#[cfg(not(unix))]
fn free(_directory: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("1000", 1000), ("0", 0), ("4k", 4096), ("64M", 64 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "3T", "99999999999G", "1 M"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_that_is_too_small_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.npy");
        assert_eq!(short_of_space(&path, 1000), None);
        let warning = short_of_space(&path, u64::MAX).unwrap();
        assert!(warning.contains("are free in"), "{warning}");
        assert_eq!(short_of_space(Path::new("/nowhere/a.npy"), u64::MAX), None);
    }
}
