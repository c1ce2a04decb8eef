//! The verbs, one file each, and what they share.

pub(crate) mod blocks_view;
pub(crate) mod calibrate;
mod calibrate_rc;
pub(crate) mod calibrate_view;
pub(crate) mod calibrated;
pub(crate) mod calibration_view;
pub(crate) mod characterise;
pub(crate) mod doctor;
pub(crate) mod flash;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod invert;
pub(crate) mod invert_large;
pub(crate) mod invert_text;
pub(crate) mod invert_view;
pub(crate) mod ledger;
pub(crate) mod list;
pub(crate) mod logdet;
pub(crate) mod lyapunov;
pub(crate) mod mitigate;
pub(crate) mod plan;
pub(crate) mod propagator;
pub(crate) mod recording;
pub(crate) mod regs;
pub(crate) mod route;
pub(crate) mod sample;
pub(crate) mod sample_check;
pub(crate) mod selftest;
pub(crate) mod solve;
pub(crate) mod solve_mean;
pub(crate) mod stream;
pub(crate) mod stream_view;
pub(crate) mod train;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ndarray::ArrayRef2;
use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::matrix::SpdMatrix;
use spu_driver::plan::Budget;
use spu_driver::recording::copy_path;
use spu_driver::{BoardInfo, Deadline, Device, DeviceUri};

use crate::exit::{Exit, Failure};
use crate::matrix_file::{self, FileError, Shaped};
use crate::recorded;

/// Longest time for a call that does not sample, unless told otherwise.
const CALL: Duration = Duration::from_secs(30);

/// Which device.
#[derive(Debug, Args)]
pub(crate) struct UriArg {
    /// Device, e.g. `sim:profile=rev-b,seed=7` or `serial:/dev/ttyACM0`; `spu list` shows what is
    /// there.
    /// Several copies: one sim, or as many URIs separated by commas
    #[arg(long, value_name = "URI", env = "SPU_DEVICE", default_value = "sim")]
    device: String,
}

impl UriArg {
    /// Its URI; an empty `SPU_DEVICE` means the simulator, as for the library.
    pub(crate) fn uri(&self) -> &str {
        if self.device.is_empty() { "sim" } else { &self.device }
    }
}

/// Which device, and whether to record what goes over its link.
#[derive(Debug, Args)]
pub(crate) struct DeviceArg {
    #[command(flatten)]
    uri: UriArg,
    /// Record what goes over the link, to replay it with `--device replay:FILE`; several copies are
    /// recorded to FILE-1, FILE-2 …, the ending kept
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

impl DeviceArg {
    /// Its URI.
    pub(crate) fn uri(&self) -> &str {
        self.uri.uri()
    }

    /// Opens the device.
    pub(crate) fn open(&self) -> Result<Box<dyn Device>, Failure> {
        recorded::open(&self.uri().parse()?, self.record.as_deref())
    }

    /// Opens `count` copies.
    pub(crate) fn open_copies(&self, count: usize) -> Result<Vec<Box<dyn Device>>, Failure> {
        let uris = spu_driver::open::copies(self.uri(), count)?;
        let open = |(uri, number)| {
            let file = self.record.as_ref().map(|file| copy_path(file, number, count));
            recorded::open(uri, file.as_deref())
        };
        uris.iter().zip(1..).map(open).collect()
    }
}

/// Longest time of a call.
#[derive(Debug, Args)]
pub(crate) struct TimeoutArg {
    /// Longest time for one call on the device, in seconds [default: ample for a simulator]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

impl TimeoutArg {
    /// The deadline of a call that does not sample.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(CALL))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a number of seconds above 0".to_owned())
}

/// The matrix to work on.
#[derive(Debug, Args)]
pub(crate) struct MatrixArg {
    /// Symmetric positive definite matrix: .mtx (Matrix Market), .npy or .csv
    pub(crate) matrix: PathBuf,
    /// Add this times the identity first
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0)]
    pub(crate) damping: f64,
}

impl MatrixArg {
    /// Reads and checks it.
    pub(crate) fn read(&self) -> Result<SpdMatrix, Failure> {
        let entries = matrix_file::read(&self.matrix)?;
        SpdMatrix::new(&entries, self.damping).map_err(|error| {
            let Failure { exit, message } = error.into();
            let place = if exit == Exit::Input {
                format!("{}: ", self.matrix.display())
            } else {
                String::new()
            };
            Failure::new(exit, place + &message)
        })
    }
}

/// Refuses what is no tolerance, before anything runs.
pub(crate) fn check_tolerance(tolerance: f64) -> Result<(), Failure> {
    if tolerance > 0.0 && tolerance < 1.0 {
        return Ok(());
    }
    Err(spu_driver::refine::RefineError::BadTolerance(tolerance).into())
}

/// How much to sample.
#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    /// Samples to keep on each copy [default: 100,000]
    #[arg(long, value_name = "N", conflicts_with = "effective")]
    pub(crate) samples: Option<u64>,
    /// Independent samples to aim at on each copy, instead
    #[arg(long, value_name = "N")]
    pub(crate) effective: Option<u64>,
    /// Keep one sample clock tick in this many [default: from the correlation time]
    #[arg(long, value_name = "D")]
    pub(crate) decimation: Option<u32>,
}

impl BudgetArgs {
    pub(crate) fn budget(&self) -> Budget {
        Budget { samples: self.samples, effective: self.effective, decimation: self.decimation }
    }
}

/// Where the numbers of a device come from. A board says itself whether it is simulated: what is
/// behind a link is not told by its URI.
pub(crate) fn rung(uri: &str, board: Option<&BoardInfo>) -> &'static str {
    let simulated = board.is_some_and(BoardInfo::is_simulated);
    match uri.parse::<DeviceUri>() {
        Ok(DeviceUri::Sim(_)) => "sim (simulated board, in process)",
        Ok(DeviceUri::Replay { .. }) => "replay (recording)",
        Ok(
            DeviceUri::Serial { .. }
            | DeviceUri::Usb { .. }
            | DeviceUri::Tcp { .. }
            | DeviceUri::Unix { .. },
        ) if simulated => "sim (simulated board, served)",
        Ok(DeviceUri::Serial { .. } | DeviceUri::Usb { .. }) => "board",
        Ok(DeviceUri::Tcp { .. } | DeviceUri::Unix { .. }) => "board, served",
        Ok(DeviceUri::Qemu(_)) => "qemu (firmware image, emulated)",
        Ok(DeviceUri::Rtl(_)) => "rtl (gateware, simulated)",
        Err(_) => "unknown",
    }
}

/// A line about a run that was cancelled.
pub(crate) fn cancelled_line(outcome: Outcome) -> String {
    match outcome {
        Outcome::Cancelled => "\ncancelled: this is from the samples before\n".into(),
        Outcome::Complete => String::new(),
    }
}

/// How a command ends by the outcome of its run.
pub(crate) fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Cancelled => Exit::Cancelled,
        Outcome::Complete => Exit::Success,
    }
}

/// Reads a vector: one row, one column or a diagonal matrix of `n` values.
pub(crate) fn read_vector(path: &Path, n: usize) -> Result<Vec<f64>, Failure> {
    let values = match matrix_file::read_vector_or_matrix(path)? {
        Shaped::Vector(values) => values,
        Shaped::Matrix(entries) => {
            let (rows, columns) = entries.dim();
            let alone = entries.indexed_iter().all(|((i, j), x)| i == j || *x == 0.0);
            if rows != columns || !alone {
                return Err(Failure::new(
                    Exit::Input,
                    format!(
                        "{}: {rows} × {columns} is no vector; give one row, one column or a diagonal \
                         matrix",
                        path.display()
                    ),
                ));
            }
            entries.diag().to_vec()
        }
    };
    if values.len() == n {
        return Ok(values);
    }
    Err(Failure::new(
        Exit::Input,
        format!("{}: {} values for a matrix of {n} rows", path.display(), values.len()),
    ))
}

/// The rows of a matrix.
pub(crate) fn rows(matrix: &ArrayRef2<f64>) -> Vec<Vec<f64>> {
    matrix.rows().into_iter().map(|row| row.to_vec()).collect()
}

/// A file that was written, or why not.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) what: &'static str,
    /// Why it could not be written.
    pub(crate) error: Option<String>,
}

impl Written {
    pub(crate) fn new(path: &Path, what: &'static str, result: Result<(), FileError>) -> Self {
        Self { path: path.into(), what, error: result.err().map(|error| error.to_string()) }
    }

    /// A line of text.
    pub(crate) fn line(&self) -> String {
        match &self.error {
            None => format!("{} written to {}\n", self.what, self.path.display()),
            Some(error) => format!("error: {} not written: {error}\n", self.what),
        }
    }
}

/// Lines about files, and an empty one before.
pub(crate) fn written_lines(files: &[Written]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let lines: String = files.iter().map(Written::line).collect();
    format!("\n{lines}")
}

/// The command line, as typed.
pub(crate) fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("spu".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("sim:profile=rev-a,seed=7"), "sim:profile=rev-a,seed=7");
        assert_eq!(quoted("my file.csv"), "'my file.csv'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_simulated_board_is_no_board_whatever_its_link() {
        let device = spu_driver::open("sim").unwrap();
        let simulated = device.info();
        let real = BoardInfo { gateware_id: 0x0102_0304, ..simulated.clone() };
        for uri in ["serial:/dev/ttyACM0", "usb:1209:1", "tcp:a:1", "unix:/a"] {
            assert_eq!(rung(uri, Some(simulated)), "sim (simulated board, served)");
            assert!(rung(uri, Some(&real)).starts_with("board"));
        }
        assert_eq!(rung("sim", Some(simulated)), "sim (simulated board, in process)");
        assert_eq!(rung("replay:a.spu", Some(simulated)), "replay (recording)");
    }
}
