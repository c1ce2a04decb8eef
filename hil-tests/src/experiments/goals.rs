//! The goals of training through the whole stack, each measured.

use std::path::Path;

use anyhow::Result;
use spu_cli::plot::panels::{Axes, Panel};
use spu_cli::text::percent;

use super::page::{Page, accuracies, marked, mean_and_spread, median_and_range, table};
use super::run::{Data, Method, Recipe, Source, train};
use super::times::{self, Ratios};
use super::tune::{self, NATURAL_DECAYS, listed, natural, tune, warm};
use super::{CHOSEN, EXAMPLES, Scope};

/// Steps of the short horizon.
pub const SHORT: u64 = 100;

/// TNGD with the settings that were chosen.
pub fn chosen_tngd(source: &Source) -> Recipe {
    let (rate, damping, decay) = CHOSEN;
    warm("TNGD", source, rate, damping, decay).0
}

/// Adam with what was chosen on validation images (docs/experiments/goals.md).
pub fn chosen_adam() -> Recipe {
    Recipe::adam(0.006, 0.0)
}

/// Test accuracies after 100 steps, seed by seed: of TNGD on the board and of Adam.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn short(
    data: &Path,
    seeds: impl Iterator<Item = u64>,
    steps: u64,
    recipes: [&Recipe; 2],
) -> Result<[Vec<f64>; 2]> {
    let data = Data::test(data, EXAMPLES)?;
    let mut found = [Vec::new(), Vec::new()];
    for seed in seeds {
        for (recipe, found) in recipes.iter().zip(&mut found) {
            found.push(train(recipe, &data, seed, &[steps])?.last().accuracy);
        }
    }
    Ok(found)
}

/// Mean of the differences, pair by pair, with the standard error of it.
pub fn lead(found: &[Vec<f64>; 2]) -> (f64, f64) {
    let differences: Vec<f64> = found[0].iter().zip(&found[1]).map(|(a, b)| a - b).collect();
    let (mean, spread) = mean_and_spread(&differences);
    (mean, spread / (differences.len() as f64).sqrt())
}

/// Accuracy and training time in seconds after 10 epochs.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn ten_epochs(recipe: &Recipe, data: &Data, seed: u64, epochs: u64) -> Result<(f64, f64)> {
    let steps = epochs * (data.train.len() / super::BATCH) as u64;
    let end = train(recipe, data, seed, &[steps])?.last();
    Ok((end.accuracy, end.seconds))
}

/// What was measured.
struct Measured {
    steps: u64,
    /// Accuracies after so many, of TNGD on the board and of Adam.
    found: [Vec<f64>; 2],
    epochs: u64,
    /// Accuracies of the board after so many.
    long: Vec<f64>,
    /// Their training times.
    seconds: Vec<f64>,
    exact_s: f64,
    images: usize,
    /// Accuracy with so many images.
    large: f64,
    ratios: Ratios,
}

impl Measured {
    fn table(&self) -> String {
        let Self { steps, found, epochs, long, seconds, exact_s, images, large, ratios } = self;
        let (mean, error) = lead(found);
        let median = crate::median(found[0].clone());
        let ten = mean_and_spread(long).0;
        let most = seconds.iter().copied().fold(0.0, f64::max);
        let number = found[0].len();
        let rows = [
            (
                format!("test accuracy after {steps} steps, median (range) of {number} seeds"),
                "≥ 94.5 %",
                median_and_range(&found[0]),
                median >= 0.945,
            ),
            (
                "lead over Adam, paired mean ± its standard error".into(),
                "≥ 0.8 points",
                format!("{:.2} ± {:.2} points", 100.0 * mean, 100.0 * error),
                mean >= 0.008,
            ),
            (
                format!("test accuracy after {epochs} epochs, mean of {} seeds", long.len()),
                "≥ 96.5 %",
                accuracies(long),
                ten >= 0.965,
            ),
            (format!("with {images} images, seed 1"), "≥ 98 %", percent(*large), *large >= 0.98),
            (
                format!("{epochs} epochs, exact-law"),
                "≤ 120 s",
                format!("{exact_s:.1} s"),
                *exact_s <= 120.0,
            ),
            (format!("{epochs} epochs, board"), "≤ 180 s", format!("{most:.1} s"), most <= 180.0),
            (
                "a step of exact-law over Adam's, median".into(),
                "≤ 40 (wanted: 20)",
                format!("{:.1}", ratios.exact_law),
                ratios.exact_law <= 40.0,
            ),
            (
                "a step of board over Adam's, median".into(),
                "≤ 15 (wanted: 8)",
                format!("{:.1}", ratios.board),
                ratios.board <= 15.0,
            ),
        ];
        let holds = |holds: bool| if holds { "yes" } else { "**no**" }.to_owned();
        let rows = rows.into_iter();
        table(
            &["what", "goal", "measured", "holds"],
            rows.map(|(what, goal, found, good)| vec![what, goal.into(), found, holds(good)]),
        )
    }
}

/// Runs it.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn goals(scope: &Scope) -> Result<Page> {
    let steps = scope.pick(10, SHORT);
    let validation = Data::validation(&scope.data)?;
    let adam = tune(tune::adam(), &validation, steps, scope)?;
    let tngd = tune(
        natural("TNGD, krylov", &Source::Krylov(8), NATURAL_DECAYS),
        &validation,
        steps,
        scope,
    )?;
    drop(validation);
    let mut board = tngd[0].recipe.clone();
    if let Method::Natural(source, _) = &mut board.method {
        *source = Source::board();
    }
    let digital = Recipe { name: "Adam".into(), ..adam[0].recipe.clone() };
    let found = short(&scope.data, scope.seeds(10), steps, [&board, &digital])?;
    eprintln!("{steps} steps: {} against {}", accuracies(&found[0]), accuracies(&found[1]));

    let data = Data::test(&scope.data, EXAMPLES)?;
    let epochs = scope.pick(1, 10);
    let (mut long, mut seconds) = (Vec::new(), Vec::new());
    for seed in 1..=scope.pick(1, 3) {
        let (accuracy, took) = ten_epochs(&board, &data, seed, epochs)?;
        eprintln!("{epochs} epochs on the board, seed {seed}: {}", percent(accuracy));
        long.push(accuracy);
        seconds.push(took);
    }
    let adam_long = ten_epochs(&digital, &data, 1, epochs)?.0;
    let mut exact = board.clone();
    if let Method::Natural(source, _) = &mut exact.method {
        *source = Source::ExactLaw;
    }
    let exact_s = ten_epochs(&exact, &data, 1, epochs)?.1;
    drop(data);
    let ratios = times::ratios(scope.pick(5, 60))?;
    let all = scope.pick(EXAMPLES, 60_000);
    let large = ten_epochs(&board, &Data::test(&scope.data, all)?, 1, epochs)?.0;
    let images = all;
    let measured = Measured { steps, found, epochs, long, seconds, exact_s, images, large, ratios };
    let Measured { found, ratios, .. } = &measured;
    let seeds = scope.seeds(10).zip(found[0].iter().zip(&found[1]));
    let body = format!(
        "Through the whole stack: host, frames, the firmware's dispatcher, the simulated board `rc-8` with 8-bit banks \
         and converters and their tolerances, each seed a board of its own, calibrated (rung `sim`). Network of 37,434 \
         parameters, batches of 64, 10,000 training images where nothing else is said. Adam is digital.\n\n{}\n\
         Adam after {epochs} epochs with the settings of the short horizon, seed 1: {}. Its step takes {:.2} ms \
         here.\n\n## Seed by seed\n\nTest accuracy after {steps} steps.\n\n{}\n## Settings\n\nChosen by accuracy on the \
         last 10,000 training images after {steps} steps, seeds 101 to 103, 12 trials each (TNGD on digital cells). \
         Inputs and initialisation are the same for both.\n\n{}",
        measured.table(),
        percent(adam_long),
        ratios.adam_ms,
        table(
            &["seed", "TNGD on the board", "Adam"],
            seeds.map(|(seed, (a, b))| vec![seed.to_string(), percent(*a), percent(*b)])
        ),
        listed(&[&tngd, &adam])
    );
    let mut page = Page { title: "Goals of training".into(), body, plots: Vec::new() };
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(i, accuracy)| ((i + 1) as f64, *accuracy)).collect()
    };
    let curves = vec![marked(0, points(&found[0])), marked(1, points(&found[1]))];
    let axes = Axes {
        x: "seed",
        y: "test accuracy",
        log: (false, false),
        across: 1,
        height: 260.0,
        decades: 0.0,
        key: &[("curve k0", "TNGD on the board"), ("curve k1", "Adam")],
    };
    page.plot("seeds", &[Panel { title: String::new(), curves }], axes);
    Ok(page)
}
