//! What verbs return, and the one printer that shows it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::exit::{Exit, Failure};

/// What a verb returns. Serialised it is the JSON output.
pub(crate) trait Answer: Serialize {
    /// The text output, each line ended.
    fn text(&self) -> String;

    /// How the command ends.
    fn exit(&self) -> Exit {
        Exit::Success
    }
}

/// One of the two kinds of answer of a verb.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Either<A, B> {
    First(Box<A>),
    Second(Box<B>),
}

impl<A: Answer, B: Answer> Answer for Either<A, B> {
    fn text(&self) -> String {
        match self {
            Self::First(answer) => answer.text(),
            Self::Second(answer) => answer.text(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::First(answer) => answer.exit(),
            Self::Second(answer) => answer.exit(),
        }
    }
}

/// Shows answers and failures as text or as one JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    /// A printer of JSON, or of text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Shows an answer on standard output.
    pub(crate) fn answer<A: Answer>(self, answer: &A) -> ExitCode {
        if !self.json {
            return print(&answer.text(), answer.exit());
        }
        match serde_json::to_string_pretty(answer) {
            Ok(text) => print(&format!("{text}\n"), answer.exit()),
            Err(error) => self.failure(&Failure::new(Exit::Unexpected, error.to_string())),
        }
    }

    /// Shows why there is no answer: JSON on standard output, text on standard error.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        let Failure { exit, message } = failure;
        if !self.json {
            eprintln!("error: {message}");
            return (*exit).into();
        }
        let object = json!({
            "error": { "kind": exit.kind(), "message": message, "exit_code": *exit as u8 }
        });
        print(&format!("{object:#}\n"), *exit)
    }
}

fn print(text: &str, exit: Exit) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit.into(),
        // The reader has seen enough (`spu … | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit.into(),
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            Exit::Output.into()
        }
    }
}
