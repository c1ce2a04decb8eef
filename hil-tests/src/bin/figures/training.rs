//! Training with simulated boards; `--bin experiments` has the whole tables (docs/experiments).

use std::path::Path;

use anyhow::{Context as _, Result};
use hil_tests::experiments::goals::{SHORT, chosen_adam, chosen_tngd, lead, short, ten_epochs};
use hil_tests::experiments::run::{Data, Recipe, Source, train};
use hil_tests::experiments::{BATCH, EXAMPLES, scaling, times};

use crate::Figure;

/// The images' folder: `cargo xtask data mnist` fetches them.
fn images() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/mnist")
}

/// Steps of 10 epochs.
const LONG: u64 = 10 * (EXAMPLES / BATCH) as u64;

/// Measures the figure of this name, if it is one of training.
pub(crate) fn figure(name: &str, quick: bool) -> Result<Option<Figure>> {
    Ok(Some(match name {
        "tngd.acc100" | "tngd.lead100" => after_100_steps(name, quick)?,
        "tngd.acc_10epochs" => long(quick)?,
        "tngd.exactlaw_s" => seconds(&chosen_tngd(&Source::ExactLaw), quick)?,
        "tngd.board_s" => seconds(&chosen_tngd(&Source::board()), quick)?,
        "tngd.exactlaw_ratio" | "tngd.board_ratio" => ratio(name, quick)?,
        "tngd.exponent" => exponent(scaling::TNGD, &[40, 126, 400, 1258], quick)?,
        "ngd.exponent" => exponent(scaling::NGD, if quick { &[1, 2] } else { &[1, 2, 4] }, quick)?,
        _ => return Ok(None),
    }))
}

fn after_100_steps(name: &str, quick: bool) -> Result<Figure> {
    let seeds = if quick { 3 } else { 10 };
    let (tngd, adam) = (chosen_tngd(&Source::board()), chosen_adam());
    let found = short(&images(), 1..=seeds, SHORT, [&tngd, &adam])?;
    let (lead, error) = lead(&found);
    let median = hil_tests::median(found[0].clone());
    let value = if name == "tngd.lead100" { 100.0 * lead } else { median };
    let detail = format!(
        "{seeds} seeds, each a board of its own; TNGD {:.4?}, Adam {:.4?}; paired lead {:.2} ± {:.2} points",
        found[0],
        found[1],
        100.0 * lead,
        100.0 * error
    );
    Ok(Figure { value, detail })
}

fn long(quick: bool) -> Result<Figure> {
    let data = Data::test(&images(), EXAMPLES)?;
    let seeds = if quick { 1 } else { 3 };
    let recipe = chosen_tngd(&Source::board());
    let found: Vec<f64> = (1..=seeds)
        .map(|seed| Ok(ten_epochs(&recipe, &data, seed, 10)?.0))
        .collect::<Result<_>>()?;
    let value = found.iter().sum::<f64>() / found.len() as f64;
    Ok(Figure { value, detail: format!("mean of {seeds} seeds: {found:.4?}") })
}

fn seconds(recipe: &Recipe, quick: bool) -> Result<Figure> {
    let data = Data::test(&images(), EXAMPLES)?;
    let steps = if quick { 80 } else { LONG };
    let took = train(recipe, &data, 1, &[steps])?.last().seconds;
    let value = took * LONG as f64 / steps as f64;
    let detail = format!("{took:.1} s for {steps} of {LONG} steps, without looks and calibration");
    Ok(Figure { value, detail })
}

fn ratio(name: &str, quick: bool) -> Result<Figure> {
    let ratios = times::ratios(if quick { 40 } else { 200 })?;
    let value = if name == "tngd.board_ratio" { ratios.board } else { ratios.exact_law };
    Ok(Figure { value, detail: format!("medians, in turns on one thread: {ratios:.2?}") })
}

fn exponent(method: &'static str, hidden: &[usize], quick: bool) -> Result<Figure> {
    let costs = scaling::costs(hidden, if quick { 3 } else { 7 }, Some(&[method]))?;
    let value = costs.exponent(method, 0.0).context("too few points for a slope")?;
    Ok(Figure { value, detail: format!("N and ms: {:.2?}", costs.methods) })
}
