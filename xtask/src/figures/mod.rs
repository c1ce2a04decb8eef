//! `cargo xtask figures`: the headline figures, measured.
//!
//! Every figure is a command that does the measurement and ends with one line of JSON,
//! `{"value": number, "detail": anything}`, on its standard output. With `--quick` as its last
//! argument it takes less than [`QUICK_EACH`]. It fails, with the reason on its standard error,
//! where it cannot measure. A figure that gives no value is reported as skipped with that reason;
//! nothing here knows a value.

mod registry;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::process::{self, End};
use crate::{cargo, root};
use registry::{FIGURES, Figure};

/// Longest measurement of one figure with `--quick`.
const QUICK_EACH: Duration = Duration::from_secs(20);
/// Longest run of all figures with `--quick`, the build included.
const QUICK_ALL: Duration = Duration::from_mins(3);

/// Which figures, and how they are shown.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only figures whose name starts with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    only: String,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// At most 20 s a figure and 3 minutes in all; the rest is skipped
    #[arg(long)]
    quick: bool,
}

/// What a figure's command prints.
#[derive(Debug, Deserialize)]
struct Measured {
    value: f64,
    #[serde(default)]
    detail: serde_json::Value,
}

/// A figure as it is printed.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    /// None where it was skipped.
    value: Option<f64>,
    unit: &'static str,
    goal: String,
    /// Whether the value meets the goal; none where it was skipped.
    holds: Option<bool>,
    /// What it was measured on.
    rung: &'static str,
    command: String,
    skipped: Option<String>,
    detail: serde_json::Value,
}

/// Measures and prints the chosen figures. A goal that does not hold is printed, not an error.
///
/// # Errors
/// Where no figure has the prefix.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: Vec<&Figure> =
        FIGURES.iter().filter(|figure| figure.name.starts_with(&args.only)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        bail!("no figure's name starts with {:?}; there are {}", args.only, names.join(", "));
    }
    let end = args.quick.then(|| Instant::now() + QUICK_ALL);
    // Built first, so that compiling does not eat into a figure's time.
    let built = match process::run(&mut registry::build(), end)? {
        End::Done(_) => Ok(()),
        End::Failed(why) => Err(why),
        End::Late => Err("the build took the time of all figures".to_owned()),
    };
    if !args.json {
        println!("{:<32} {:>12} {:<10} {:<16} holds rung", "figure", "value", "unit", "goal");
    }
    for figure in chosen {
        let measured = built.clone().and_then(|()| measure(figure, args.quick, end));
        let line = line(figure, args.quick, measured);
        if args.json {
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{}", row(&line));
        }
    }
    Ok(())
}

/// Runs a figure's command; the error is the reason to skip it.
fn measure(figure: &Figure, quick: bool, end: Option<Instant>) -> Result<Measured, String> {
    let own = Instant::now() + QUICK_EACH;
    let deadline = end.map(|end| end.min(own));
    if end.is_some_and(|end| Instant::now() >= end) {
        return Err(format!("the {} s for all figures are over", QUICK_ALL.as_secs()));
    }
    let mut command = Command::new(cargo());
    command.current_dir(root()).args(figure.arguments(quick));
    match process::run(&mut command, deadline) {
        Ok(End::Done(stdout)) => parse(&stdout),
        Ok(End::Failed(why)) => Err(why),
        Ok(End::Late) => Err(format!("not done within {} s", QUICK_EACH.as_secs())),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// The measurement in the last line of a command's output.
fn parse(stdout: &str) -> Result<Measured, String> {
    let last = stdout.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    match serde_json::from_str::<Measured>(last) {
        Ok(measured) if measured.value.is_finite() => Ok(measured),
        Ok(measured) => Err(format!("the command measured {}", measured.value)),
        Err(error) => Err(format!("the command's last line is no measurement: {error}")),
    }
}

fn line(figure: &Figure, quick: bool, measured: Result<Measured, String>) -> Line {
    let (value, detail, skipped) = match measured {
        Ok(measured) => (Some(measured.value), measured.detail, None),
        Err(why) => (None, serde_json::Value::Null, Some(why)),
    };
    Line {
        name: figure.name,
        value,
        unit: figure.unit,
        goal: figure.goal.to_string(),
        holds: value.map(|value| figure.goal.holds(value)),
        rung: figure.rung,
        command: format!("cargo {}", figure.arguments(quick).join(" ")),
        skipped,
        detail,
    }
}

fn row(line: &Line) -> String {
    let Line { name, unit, goal, rung, .. } = line;
    let value = line.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let holds = line.holds.map_or("-", |holds| if holds { "yes" } else { "no" });
    let skipped = line.skipped.as_ref().map(|why| format!("\n  skipped: {why}"));
    let skipped = skipped.unwrap_or_default();
    format!("{name:<32} {value:>12} {unit:<10} {goal:<16} {holds:<5} {rung}{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_measurement() {
        let measured =
            parse("warming up\n{\"value\": 2.5, \"detail\": {\"runs\": 3}}\n\n").unwrap();
        assert_eq!((measured.value, measured.detail["runs"].as_u64()), (2.5, Some(3)));
        assert!(parse("{\"value\": 1}").unwrap().detail.is_null());
        assert!(parse("").is_err());
        assert!(parse("{\"value\": null}").is_err());
        assert!(parse("{\"value\": 2}\nbye").is_err());
    }

    #[test]
    fn a_skipped_figure_has_neither_value_nor_verdict() {
        let skipped = line(&FIGURES[0], true, Err("no board".to_owned()));
        let json: serde_json::Value = serde_json::to_value(&skipped).unwrap();
        assert!(json["value"].is_null() && json["holds"].is_null());
        assert_eq!(json["skipped"], "no board");
        assert!(row(&skipped).ends_with("skipped: no board"));
    }

    #[test]
    fn a_measured_figure_has_both() {
        let measured = Measured { value: 1.5, detail: serde_json::Value::Null };
        let json = serde_json::to_value(line(&FIGURES[0], false, Ok(measured))).unwrap();
        assert_eq!(json["value"], 1.5);
        assert_eq!(json["holds"], false);
        assert!(json["skipped"].is_null());
        assert!(json["command"].as_str().unwrap().ends_with(FIGURES[0].name));
    }
}
