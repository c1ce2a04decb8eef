//! `spu doctor`: what keeps a device from working well, and what to do.

use clap::Args;
use serde::Serialize;
use spu_driver::DeviceUri;
use spu_driver::doctor::{self, Check, Diagnosis, State};

use super::{UriArg, rung};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::text::wrapped;

/// Check rights, cable, speed, versions and the board itself, and say what to do
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    device: UriArg,
}

#[derive(Debug, Serialize)]
pub(crate) struct DoctorAnswer {
    rung: &'static str,
    works: bool,
    #[serde(flatten)]
    diagnosis: Diagnosis,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<DoctorAnswer, Failure> {
        let uri = self.device.uri().parse::<DeviceUri>()?;
        let diagnosis = doctor::examine(&uri);
        Ok(DoctorAnswer {
            rung: rung(&diagnosis.uri, diagnosis.board.as_ref()),
            works: diagnosis.works(),
            diagnosis,
        })
    }
}

fn mark(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "WARN",
        State::Failed => "FAIL",
        State::Skipped => "skip",
    }
}

/// Where the text of a check begins.
const INDENT: &str = "                       ";

fn lines(check: &Check) -> String {
    let found = wrapped(&check.found, INDENT);
    let mut text =
        format!("  {:<4}  {:<13}  {}\n", mark(check.state), check.name, found.trim_start());
    if let Some(remedy) = &check.remedy {
        text += &format!("{}\n", wrapped(&format!("→ {remedy}"), INDENT));
    }
    text
}

impl Answer for DoctorAnswer {
    fn text(&self) -> String {
        let checks = &self.diagnosis.checks;
        let mut text = format!("{}, {}\n", self.diagnosis.uri, self.rung);
        text.extend(checks.iter().map(lines));
        let number = |state| checks.iter().filter(|check| check.state == state).count();
        text += &format!(
            "{} ok, {} with a warning, {} failed, {} skipped\n",
            number(State::Ok),
            number(State::Warning),
            number(State::Failed),
            number(State::Skipped)
        );
        text
    }

    fn exit(&self) -> Exit {
        if self.works { Exit::Success } else { Exit::Diagnosis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_says_what_was_found_and_what_to_do() {
        let check = |name, state, remedy: Option<&str>| Check {
            name,
            state,
            found: "as found".into(),
            measured: Vec::new(),
            remedy: remedy.map(String::from),
        };
        let checks = vec![
            check("access", State::Ok, None),
            check("udev rule", State::Skipped, None),
            check("latency timer", State::Warning, Some("set it to 1 ms")),
            check("opening", State::Failed, Some("close minicom")),
        ];
        let diagnosis = Diagnosis { uri: "serial:a".into(), board: None, checks };
        let works = diagnosis.works();
        let answer = DoctorAnswer { rung: "board", works, diagnosis };
        assert_eq!(
            answer.text(),
            "serial:a, board\n  ok    access         as found\n  skip  udev rule      as found\n  \
             WARN  latency timer  as found\n                       → set it to 1 ms\n  \
             FAIL  opening        as found\n                       → close minicom\n\
             1 ok, 1 with a warning, 1 failed, 1 skipped\n"
        );
        assert_eq!(answer.exit(), Exit::Diagnosis);
    }
}
