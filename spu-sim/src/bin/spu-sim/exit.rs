//! Exit codes, which mean what they mean for `spu`, and the errors that carry them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::json;
use spu_sim::serve::ServeError;
use spu_sim::{ProfileError, SimError};

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Unexpected = 1,
    Usage = 2,
    Input = 3,
    Device = 4,
}

impl Exit {
    /// Every code.
    const ALL: [Self; 5] =
        [Self::Success, Self::Unexpected, Self::Usage, Self::Input, Self::Device];

    /// Its name, as in the `kind` of a JSON error.
    const fn kind(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::Input => "input",
            Self::Device => "device",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "served until Ctrl-C or SIGTERM",
            Self::Unexpected => "a bug or something unforeseen",
            Self::Usage => "wrong command line, unknown profile, fault or non-ideality",
            Self::Input => "the board profile's file is not usable",
            Self::Device => "the address is in use, occupied, denied or not to be had",
        }
    }

    /// The list, as `--help` shows it.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for exit in Self::ALL {
            let _ = writeln!(text, "  {:>2}  {:<11} {}", exit as u8, exit.kind(), exit.meaning());
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Shows it: JSON on standard output, text on standard error.
    pub(crate) fn print(&self, json: bool) -> ExitCode {
        let Self { exit, message } = self;
        if json {
            let error = json!({
                "error": { "kind": exit.kind(), "message": message, "exit_code": *exit as u8 }
            });
            // A reader that is gone misses nothing.
            let _ = writeln!(io::stdout(), "{error}");
        } else {
            eprintln!("error: {message}");
        }
        (*exit).into()
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Profile(error) => error.into(),
            error => Self::new(Exit::Usage, error.to_string()),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let exit = match error {
            ProfileError::Unknown { .. } => Exit::Usage,
            _ => Exit::Input,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match error {
            ServeError::Endpoint { .. } => Exit::Usage,
            ServeError::Ended(_) => Exit::Unexpected,
            _ => Exit::Device,
        };
        Self::new(exit, error.to_string())
    }
}
