//! Exit codes: the one list of them, and the errors that carry them.

use std::fmt::Write as _;
use std::process::ExitCode;

use spu_driver::Error;
use spu_driver::blocks::{BlockError, Trouble};
use spu_driver::calibrate::CalibrateError;
use spu_driver::calibration::CalibrationError;
use spu_driver::flash::FlashError;
use spu_driver::invert::OperationError;
use spu_driver::matrix::MatrixError;
use spu_driver::prepare::PrepareError;
use spu_driver::recording::RecordingError;
use spu_driver::refine::RefineError;

use crate::matrix_file::FileError;

/// How the command ended. The number is the exit code and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Unexpected = 1,
    Usage = 2,
    Input = 3,
    Device = 4,
    NotProgrammable = 5,
    Disagreement = 6,
    Cancelled = 7,
    SelfTest = 8,
    Fault = 9,
    Output = 10,
    Diagnosis = 11,
}

impl Exit {
    /// Every code.
    pub(crate) const ALL: [Self; 12] = [
        Self::Success,
        Self::Unexpected,
        Self::Usage,
        Self::Input,
        Self::Device,
        Self::NotProgrammable,
        Self::Disagreement,
        Self::Cancelled,
        Self::SelfTest,
        Self::Fault,
        Self::Output,
        Self::Diagnosis,
    ];

    /// Its name, as in the `kind` of a JSON error.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::Input => "input",
            Self::Device => "device",
            Self::NotProgrammable => "not-programmable",
            Self::Disagreement => "disagreement",
            Self::Cancelled => "cancelled",
            Self::SelfTest => "self-test",
            Self::Fault => "fault",
            Self::Output => "output",
            Self::Diagnosis => "diagnosis",
        }
    }

    /// What it means, in a line.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; copies, if several, agree within noise or the stated spread",
            Self::Unexpected => "a bug or something unforeseen",
            Self::Usage => "wrong command line",
            Self::Input => {
                "the matrix, its file, a recording, a calibration or an image is not usable"
            }
            Self::Device => "the device is absent, denied, busy, silent or of another version",
            Self::NotProgrammable => {
                "this board cannot do what was asked for; all reasons are given"
            }
            Self::Disagreement => {
                "copies disagree, one is an outlier or was lost, or samples fail their tests; results are printed"
            }
            Self::Cancelled => "cancelled; what was measured until then is printed",
            Self::SelfTest => "a self test failed",
            Self::Fault => {
                "the device failed at work: refused, lost samples, no signal, rolled back"
            }
            Self::Output => "an output could not be written; no unreadable file is left",
            Self::Diagnosis => {
                "`spu doctor` or `spu calibrate` found what keeps the device from working"
            }
        }
    }

    /// The list, as `--help` shows it.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for exit in Self::ALL {
            let (code, kind) = (exit as u8, exit.kind());
            let _ = writeln!(text, "  {code:>2}  {kind:<17} {}", exit.meaning());
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::BadUri { .. } => Self::Usage,
            Error::NotFound { .. }
            | Error::Denied { .. }
            | Error::Busy { .. }
            | Error::Disconnected { .. }
            | Error::Timeout { .. }
            | Error::Version { .. } => Self::Device,
            Error::Unsupported { .. } | Error::Uncalibrated { .. } => Self::NotProgrammable,
            Error::Cancelled => Self::Cancelled,
            Error::Device { .. } | Error::Corrupt { .. } | Error::Lost { .. } => Self::Fault,
            Error::Sink(..) => Self::Output,
            Error::Recording(error) => error.into(),
            _ => Self::Unexpected,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = Exit::from(&error);
        let message = match &error {
            Error::Cancelled => {
                "cancelled before there was enough for a result; nothing is kept".into()
            }
            _ => error.to_string(),
        };
        Self { exit, message }
    }
}

impl From<&RecordingError> for Exit {
    fn from(error: &RecordingError) -> Self {
        match error {
            RecordingError::Itself { .. } => Self::Usage,
            RecordingError::Create { .. } => Self::Output,
            _ => Self::Input,
        }
    }
}

impl From<MatrixError> for Failure {
    fn from(error: MatrixError) -> Self {
        let exit = match error {
            MatrixError::BadDamping(_) => Exit::Usage,
            _ => Exit::Input,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Matrix(error) => error.into(),
            OperationError::Device(error) => error.into(),
            OperationError::TooFewSamples { .. } => Self::usage(error.to_string()),
            OperationError::NoSignal { .. } => Self::new(Exit::Fault, error.to_string()),
            _ => Self::new(Exit::Unexpected, error.to_string()),
        }
    }
}

impl From<CalibrateError> for Failure {
    fn from(error: CalibrateError) -> Self {
        match error {
            CalibrateError::Device(error) => error.into(),
            CalibrateError::BadBoard { .. } => Self::new(Exit::Diagnosis, error.to_string()),
            _ => Self::new(Exit::Unexpected, error.to_string()),
        }
    }
}

impl From<BlockError> for Failure {
    fn from(error: BlockError) -> Self {
        let message = error.to_string();
        let exit = match error {
            BlockError::Operation(error) => return error.into(),
            BlockError::Cancelled(_) => Exit::Cancelled,
            BlockError::Leaf { source: Trouble::Operation(source), .. } => Self::from(source).exit,
            BlockError::Leaf { .. } | BlockError::Changed { .. } => Exit::Fault,
            BlockError::NoBoards => Exit::Device,
            BlockError::NotDefinite { .. } => Exit::NotProgrammable,
            BlockError::Copies { .. } => Exit::Disagreement,
            _ => Exit::Unexpected,
        };
        Self::new(exit, message)
    }
}

impl From<RefineError> for Failure {
    fn from(error: RefineError) -> Self {
        let exit = match &error {
            RefineError::BadTolerance(_) => Exit::Usage,
            RefineError::WrongLength { .. } | RefineError::NotFinite { .. } => Exit::Input,
            RefineError::CannotConverge { .. } | RefineError::Stalled { .. } => {
                Exit::NotProgrammable
            }
            _ => Exit::Unexpected,
        };
        match error {
            RefineError::Blocks(error) => error.into(),
            error => Self::new(exit, error.to_string()),
        }
    }
}

impl From<CalibrationError> for Failure {
    fn from(error: CalibrationError) -> Self {
        let exit = match error {
            CalibrationError::Write { .. }
            | CalibrationError::NoStore
            | CalibrationError::Conflict { .. } => Exit::Output,
            _ => Exit::Input,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Calibration(error) => error.into(),
            PrepareError::Sentinel(error) => error.into(),
            _ => Self::usage(error.to_string()),
        }
    }
}

impl From<FlashError> for Failure {
    fn from(error: FlashError) -> Self {
        let exit = match &error {
            FlashError::Image(_) | FlashError::UnknownKind(_) => Exit::Input,
            FlashError::WrongTarget { .. }
            | FlashError::WrongAddress(_)
            | FlashError::TooLarge { .. }
            | FlashError::Older { .. }
            | FlashError::OnTrial { .. }
            | FlashError::NoUpdates { .. } => Exit::NotProgrammable,
            FlashError::Device(
                Error::NotFound { .. }
                | Error::Denied { .. }
                | Error::Busy { .. }
                | Error::Disconnected { .. }
                | Error::Timeout { .. }
                | Error::Version { .. },
            )
            | FlashError::Lost { .. } => Exit::Device,
            FlashError::Cancelled => Exit::Cancelled,
            _ => Exit::Fault,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let exit = match error {
            FileError::Format { .. } => Exit::Usage,
            FileError::Write { .. } => Exit::Output,
            FileError::Read { .. } | FileError::Content { .. } => Exit::Input,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_consecutive_and_names_distinct() {
        for (number, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(exit as usize, number);
        }
        let names: std::collections::HashSet<_> = Exit::ALL.iter().map(|e| e.kind()).collect();
        assert_eq!(names.len(), Exit::ALL.len());
    }

    #[test]
    fn the_documentation_lists_every_code() {
        let page = include_str!("../../docs/cli.md");
        for exit in Exit::ALL {
            let row = format!("| {} | `{}` | {} |", exit as u8, exit.kind(), exit.meaning());
            assert!(page.contains(&row), "docs/cli.md lacks: {row}");
        }
    }
}
