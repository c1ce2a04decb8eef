//! `cargo xtask guest`: USB and serial links over real device nodes, in a virtual machine.
//!
//! QEMU boots Debian's kernel with an archive of static programs. In there `dummy_hcd` is a USB
//! host and a device joined by software, so that libusb, the kernel's drivers and the gadget's
//! `FunctionFS` are the real ones. Nothing is installed here: what is missing is said.

mod boards;
mod figures;
mod image;
mod machine;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use machine::Time;
use serde::Deserialize;

/// What to run in the machine.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with an unpacked Debian kernel package [default: ~/.cache/spu-guest/kernel]
    #[arg(long, env = "SPU_GUEST_KERNEL", value_name = "FOLDER")]
    kernel: Option<PathBuf>,
    /// Only these suites
    #[arg(long, value_name = "SUITE")]
    only: Vec<String>,
    /// Times that the plug is pulled, on each link
    #[arg(long, default_value_t = 25)]
    unplugs: u32,
    /// Measure this figure alone and print it as `cargo xtask figures` wants it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["only", "unplugs"])]
    figure: Option<String>,
    /// With --figure: pass on what the last run of the suites measured, if that was just now
    #[arg(long, requires = "figure")]
    quick: bool,
    /// Minutes after which the machine is stopped and the run has failed
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// A line from the machine.
#[derive(Debug)]
enum Line {
    Test { test: String, outcome: String, why: Option<String> },
    Figure(figures::Measured),
    Note { note: String },
    End { end: bool },
}

/// A line with the fields of every kind.
#[derive(Debug, Deserialize)]
struct Fields {
    test: Option<String>,
    outcome: Option<String>,
    why: Option<String>,
    figure: Option<String>,
    value: Option<f64>,
    detail: Option<String>,
    note: Option<String>,
    end: Option<bool>,
}

impl Line {
    /// The line that `text` is. Not an untagged enum: those take no numbers where a crate of the build
    /// has turned `serde_json/arbitrary_precision` on, as the decoder of logs does.
    fn parse(text: &str) -> Option<Self> {
        Some(match serde_json::from_str(text).ok()? {
            Fields { test: Some(test), outcome: Some(outcome), why, .. } => {
                Self::Test { test, outcome, why }
            }
            Fields { figure: Some(figure), value: Some(value), detail: Some(detail), .. } => {
                Self::Figure(figures::Measured { figure, value, detail })
            }
            Fields { note: Some(note), .. } => Self::Note { note },
            Fields { end: Some(end), .. } => Self::End { end },
            _ => return None,
        })
    }
}

/// Runs the machine and prints what its suites report.
///
/// # Errors
/// Where a test fails, the programs do not build, or the machine dies or hangs.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(name) = &args.figure {
        return figures::run(name, args);
    }
    let tools = match image::tools(args.kernel.clone()) {
        Ok(tools) => tools,
        Err(missing) => {
            println!("skipped: {missing}\n0 passed, 0 failed, 1 skipped");
            return Ok(());
        }
    };
    println!("building the machine's programs");
    let mut seen = Seen::default();
    let mut outcome = Ok(());
    // The round trip is measured on a machine of its own.
    let (alone, together): (Vec<String>, Vec<String>) =
        args.only.iter().cloned().partition(|suite| suite == figures::ROUND_TRIP_SUITE);
    if !together.is_empty() || alone.is_empty() {
        outcome = boot(&tools, args, Time::Real, &together, |line| seen.show(line));
    }
    if outcome.is_ok() && (!alone.is_empty() || args.only.is_empty()) {
        let suite = [figures::ROUND_TRIP_SUITE.to_owned()];
        outcome = boot(&tools, args, Time::Counted, &suite, |line| seen.show(line));
    }
    println!("{} passed, {} failed, {} skipped", seen.passed, seen.failed, seen.skipped);
    outcome?;
    if seen.failed > 0 || seen.passed == 0 {
        bail!("{} tests failed in the machine", seen.failed);
    }
    if !seen.figures.is_empty() {
        figures::keep(&seen.figures)?;
    }
    Ok(())
}

/// Builds and boots, and hands on what the suites report.
fn boot(
    tools: &image::Tools,
    args: &Args,
    time: Time,
    only: &[String],
    mut take: impl FnMut(Line),
) -> Result<()> {
    let image = image::build(tools)?;
    // Outside of the machine: emulated, they would take most of its time.
    let boards = machine::BOARDS.map(|name| boards::serve(image.folder(), name));
    let boards = boards.into_iter().collect::<Result<Vec<_>>>()?;
    boards::plain(boards::Plain::Echo, image.folder(), machine::ECHO)?;
    boards::plain(boards::Plain::Source, image.folder(), machine::SOURCE)?;
    let mut suites: Vec<String> = vec!["--unplugs".into(), args.unplugs.to_string()];
    suites.extend(["--serial".into(), boards[0].serial.clone()]);
    suites.extend(only.iter().flat_map(|suite| ["--only".into(), suite.clone()]));
    let mut ended = false;
    let machine = machine::Machine::start(tools, &image, time, &suites)?;
    let outcome =
        machine.follow(Duration::from_secs(60 * args.minutes), |line| match Line::parse(line) {
            Some(Line::End { end }) => ended = end,
            Some(line) => take(line),
            None => take(Line::Note { note: format!("not understood: {line}") }),
        });
    match outcome {
        Ok(()) if ended => Ok(()),
        Ok(()) => bail!("the machine stopped before its suites ended\n{}", image.console_tail()),
        Err(error) => bail!("{error:#}\n{}", image.console_tail()),
    }
}

/// What has been reported.
#[derive(Default)]
struct Seen {
    passed: u32,
    failed: u32,
    skipped: u32,
    figures: Vec<figures::Measured>,
}

impl Seen {
    fn show(&mut self, line: Line) {
        match line {
            Line::Test { test, outcome, why } => {
                let count = match outcome.as_str() {
                    "passed" => &mut self.passed,
                    "skipped" => &mut self.skipped,
                    _ => &mut self.failed,
                };
                *count += 1;
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                println!("test {test} ... {outcome}{why}");
            }
            Line::Figure(figure) => {
                println!("{}: {:.3} ({})", figure.figure, figure.value, figure.detail);
                self.figures.push(figure);
            }
            Line::Note { note } => println!("{note}"),
            Line::End { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_machine_are_counted() {
        let mut seen = Seen::default();
        for line in [
            r#"{"test":"a","outcome":"passed","why":null}"#,
            r#"{"test":"b","outcome":"failed","why":"it hung"}"#,
            r#"{"test":"c","outcome":"skipped","why":"no port"}"#,
            r#"{"test":"d","outcome":"unheard of","why":null}"#,
            r#"{"figure":"link.usb.x","value":0.5,"detail":"why"}"#,
            r#"{"note":"hello"}"#,
        ] {
            seen.show(Line::parse(line).unwrap());
        }
        assert_eq!((seen.passed, seen.failed, seen.skipped), (1, 2, 1));
        assert_eq!((seen.figures.len(), seen.figures[0].value), (1, 0.5));
        assert!(matches!(Line::parse(r#"{"end":true}"#), Some(Line::End { end: true })));
        assert!(Line::parse("[    1.0] kernel").is_none());
    }
}
