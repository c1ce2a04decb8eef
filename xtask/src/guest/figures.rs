//! Figures that the machine measures, for `cargo xtask figures`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::machine::Time;
use super::{Args, Line, boot, image};
use crate::cache;

/// Age up to which a kept value is passed on.
const FRESH: Duration = Duration::from_hours(1);
/// The suite that measures them, but for this one.
const SUITE: &str = "figures";
const ROUND_TRIP: &str = "link.usb.added_p50_us";
pub(super) const ROUND_TRIP_SUITE: &str = "round-trip";

/// A figure as the suites report it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) figure: String,
    pub(super) value: f64,
    pub(super) detail: String,
}

fn file() -> Result<PathBuf> {
    Ok(cache("guest")?.join("figures.json"))
}

/// Keeps the figures of a run.
pub(super) fn keep(figures: &[Measured]) -> Result<()> {
    fs::write(file()?, serde_json::to_string(figures)?).context("the figures cannot be kept")
}

/// Prints one figure as `cargo xtask figures` reads it.
pub(super) fn run(name: &str, args: &Args) -> Result<()> {
    let figures = if args.quick { kept()? } else { measure(name, args)? };
    let found = figures.iter().find(|figure| figure.figure == name);
    let Measured { value, detail, .. } = found.with_context(|| {
        let names: Vec<_> = figures.iter().map(|figure| figure.figure.as_str()).collect();
        format!("no figure {name}; there are {}", names.join(", "))
    })?;
    println!("{}", serde_json::json!({ "value": value, "detail": detail }));
    Ok(())
}

/// What the last run measured.
fn kept() -> Result<Vec<Measured>> {
    let remedy = "`cargo xtask guest` measures it, in more than the time of a quick figure";
    let path = file()?;
    let age = fs::metadata(&path).and_then(|file| file.modified()).map(|time| time.elapsed());
    if !matches!(age, Ok(Ok(age)) if age < FRESH) {
        bail!("{remedy}");
    }
    Ok(serde_json::from_str(&fs::read_to_string(&path)?)?)
}

/// Boots the machine for a figure alone.
fn measure(name: &str, args: &Args) -> Result<Vec<Measured>> {
    let tools = image::tools(args.kernel.clone()).map_err(|missing| anyhow!(missing))?;
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    let (suite, time) =
        if name == ROUND_TRIP { (ROUND_TRIP_SUITE, Time::Counted) } else { (SUITE, Time::Real) };
    boot(&tools, args, time, &[suite.to_owned()], |line| match line {
        Line::Figure(figure) => figures.push(figure),
        Line::Test { test, outcome, why } if outcome == "failed" => {
            failures.push(format!("{test}: {}", why.unwrap_or_default()));
        }
        _ => {}
    })?;
    if let Some(failure) = failures.first() {
        bail!("{failure}");
    }
    Ok(figures)
}
