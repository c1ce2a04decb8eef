//! Running other programs: their output, a deadline, and why they failed.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It succeeded and wrote this to its standard output.
    Done(String),
    /// It failed; the reason as it gave it.
    Failed(String),
    /// It was stopped at the deadline.
    Late,
}

/// Runs `command` to its end, to `deadline` at the latest.
///
/// # Errors
/// Where the program cannot be started.
pub(crate) fn run(command: &mut Command, deadline: Option<Instant>) -> Result<End> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} cannot be started"))?;
    // Both pipes are drained at once, so that the child never waits for room in one of them.
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let text = |pipe: Option<thread::JoinHandle<String>>| {
        pipe.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    loop {
        if let Some(status) = child.try_wait()? {
            let (stdout, stderr) = (text(stdout), text(stderr));
            return Ok(if status.success() {
                End::Done(stdout)
            } else {
                End::Failed(reason(&stderr).unwrap_or_else(|| format!("{program}: {status}")))
            });
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            child.kill()?;
            child.wait()?;
            return Ok(End::Late);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `command` to its end and gives its standard output.
///
/// # Errors
/// Where it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    match run(command, None)? {
        End::Done(stdout) => Ok(stdout),
        End::Failed(why) => bail!("{}: {why}", command.get_program().to_string_lossy()),
        End::Late => bail!("{}: stopped", command.get_program().to_string_lossy()),
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe ends the text; the exit status says the rest.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The line of an error output that says what went wrong: the first that starts with `error` or
/// `Error`, else the last.
fn reason(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| line.starts_with("error") || line.starts_with("Error"));
    // `anyhow` writes "Error: what", and the cause below it.
    error.or_else(|| lines.next_back()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_the_first_error_or_the_last_line() {
        let cargo = "   Compiling x\nerror: no bin target named `figures`\n\nhelp: a hint\n";
        assert_eq!(reason(cargo).as_deref(), Some("error: no bin target named `figures`"));
        assert_eq!(reason("note\nboard gone\n\n").as_deref(), Some("board gone"));
        assert_eq!(reason("\n"), None);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("spu-no-such-program"), None).unwrap_err();
        assert!(error.to_string().contains("spu-no-such-program"));
    }

    #[cfg(unix)]
    #[test]
    fn output_failure_and_deadline_are_told_apart() {
        let shell = |script: &str, deadline| {
            run(Command::new("sh").args(["-c", script]), deadline).unwrap()
        };
        assert!(matches!(shell("echo 1; echo 2 >&2", None), End::Done(out) if out == "1\n"));
        assert!(matches!(shell("echo bad >&2; exit 3", None), End::Failed(why) if why == "bad"));
        assert!(matches!(shell("exit 3", None), End::Failed(why) if why.contains('3')));
        let start = Instant::now();
        let soon = start + Duration::from_millis(100);
        assert!(matches!(shell("exec sleep 60", Some(soon)), End::Late));
        assert!(start.elapsed() < Duration::from_secs(30));
        // More than a pipe holds.
        let long = shell("yes | head -c 1000000", None);
        assert!(matches!(long, End::Done(out) if out.len() == 1_000_000));
    }
}
