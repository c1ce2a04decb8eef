//! The suite of `hil-tests` on a link.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::report::{Outcome, Report};

/// Where the suite's program is in this machine.
const PROGRAM: &str = "/bin/hil";

/// Runs the conformance suite on the device at `uri` and reports each test under `link`.
pub(crate) fn run(report: &mut Report, link: &str, uri: &str) -> anyhow::Result<()> {
    report.note(&format!("conformance on {uri}"))?;
    let mut child = Command::new(PROGRAM)
        .args(["::conformance::", "--test-threads", "1"])
        .env("SPU_DEVICE", uri)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the suite does not start")?;
    let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut stderr = child.stderr.take().context("no pipe")?;
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        // A broken pipe ends the text; the exit status says the rest.
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut ended = 0;
    let mut failed = Vec::new();
    let mut rest = String::new();
    for line in stdout.lines() {
        let line = line?;
        match result(&line) {
            Some((name, Outcome::Failed(_))) => failed.push(name.to_owned()),
            Some((name, outcome)) => report.test(&format!("{link}::{name}"), &outcome)?,
            None => {
                rest.push_str(&line);
                rest.push('\n');
            }
        }
        ended += u32::from(result(&line).is_some());
    }
    let status = child.wait()?;
    let complaints = complaints.join().unwrap_or_default();
    for name in &failed {
        let why = format!("{rest}\n{complaints}");
        report.test(&format!("{link}::{name}"), &Outcome::Failed(why))?;
    }
    let name = format!("{link}::conformance::suite_ran");
    report.run(&name, || {
        ensure!(ended > 0, "no test was run: {complaints}");
        ensure!(status.success() == failed.is_empty(), "{status}: {rest}\n{complaints}");
        Ok(())
    })
}

/// The test and its end in a line such as `test rev-a::conformance::scratch ... ok`.
fn result(line: &str) -> Option<(&str, Outcome)> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once("... ")?;
    let name = name.trim();
    Some(match end.trim() {
        "ok" => (name, Outcome::Passed),
        "FAILED" => (name, Outcome::Failed(String::new())),
        // "ignored (skipped: why)"
        ignored => {
            let why = ignored.trim_start_matches("ignored").trim();
            let why = why.trim_start_matches('(').trim_end_matches(')');
            (name, Outcome::Skipped(why.trim_start_matches("skipped: ").into()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_results_are_told_from_others() {
        assert!(matches!(result("test rev-a::x ... ok"), Some(("rev-a::x", Outcome::Passed))));
        assert!(matches!(result("test rev-a::x ... FAILED"), Some((_, Outcome::Failed(_)))));
        let skipped = result("test rev-a::long  ... ignored (skipped: needs 3 copies)");
        let Some(("rev-a::long", Outcome::Skipped(why))) = skipped else { panic!() };
        assert_eq!(why, "needs 3 copies");
        for line in ["", "running 20 tests", "test result: ok. 17 passed; 0 failed", "---- x ----"]
        {
            assert!(result(line).is_none(), "{line}");
        }
    }
}
