//! Settings chosen on validation images: every trial is listed.

use anyhow::{Context as _, Result};
use spu_cli::text::percent;
use tngd::curvature::Damping;
use tngd::optim::{Rule, Schedule, Settings};

use super::Scope;
use super::page::table;
use super::run::{Data, Method, Recipe, Source, train};
use crate::accuracy::work::Workers;

/// Seeds of the trials: none of those that results are of.
const SEEDS: std::ops::RangeInclusive<u64> = 101..=103;

/// Decays of a horizon of a hundred steps, of rules without a natural gradient.
pub const DECAYS: [f64; 2] = [0.0, 0.02];
/// The same of TNGD.
pub const NATURAL_DECAYS: [f64; 2] = [0.01, 0.03];

/// A recipe that was tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// It.
    pub recipe: Recipe,
    /// Its settings in words.
    pub settings: String,
    /// Mean accuracy on validation images over the seeds.
    pub accuracy: f64,
}

/// Candidates with their settings in words.
pub type Grid = Vec<(Recipe, String)>;

/// Rates and decays of a plain rule: 12 trials.
pub fn plain(name: &str, rule: Rule, rates: [f64; 6], decays: [f64; 2]) -> Grid {
    let all = rates.into_iter().flat_map(|rate| decays.map(|decay| (rate, decay)));
    let recipe = |(rate, decay)| {
        let (method, schedule) = (Method::Plain(rule), Schedule { rate, decay });
        (Recipe { name: name.into(), method, schedule }, format!("η {rate}, decay {decay}"))
    };
    all.map(recipe).collect()
}

/// Adam for a hundred steps: 12 trials.
pub fn adam() -> Grid {
    plain("Adam", Rule::ADAM, [0.002, 0.004, 0.006, 0.008, 0.012, 0.016], DECAYS)
}

/// Rates, dampings and decays of TNGD with a warm start, at t = 1 τ: 12 trials.
pub fn natural(name: &str, source: &Source, decays: [f64; 2]) -> Grid {
    let mut grid = Grid::new();
    for rate in [0.07, 0.1, 0.15] {
        for damping in [0.03, 0.06] {
            for decay in decays {
                grid.push(warm(name, source, rate, damping, decay));
            }
        }
    }
    grid
}

/// TNGD with a warm start, t = 1 τ.
pub fn warm(name: &str, source: &Source, rate: f64, damping: f64, decay: f64) -> (Recipe, String) {
    let settings = Settings { damping: Damping::Constant(damping), ..Settings::default() };
    let recipe = Recipe::natural(name, source.clone(), settings, rate, decay);
    (recipe, format!("η {rate}, λ {damping}, t 1 τ, decay {decay}"))
}

/// Rates and dampings of the natural gradient in the limit t = ∞: 12 trials.
pub fn equilibrium(name: &str, source: &Source) -> Grid {
    limit(name, source, [0.1, 0.2, 0.4], [0.1, 0.3, 1.0, 3.0])
}

/// The same for cells whose covariance is read: with less damping a step's matrix now and then has a condition
/// number of some 600, which is beyond what RLC cells hold.
pub fn covariance(name: &str, source: &Source) -> Grid {
    limit(name, source, [0.1, 0.2, 0.4], [0.3, 0.6, 1.0, 3.0])
}

/// Rates and dampings of K-FAC: 12 trials.
pub fn kronecker(name: &str, source: &Source) -> Grid {
    limit(name, source, [0.01, 0.03, 0.06], [0.001, 0.003, 0.01, 0.03])
}

fn limit(name: &str, source: &Source, rates: [f64; 3], dampings: [f64; 4]) -> Grid {
    let mut grid = Grid::new();
    for rate in rates {
        for damping in dampings {
            let settings = Settings {
                damping: Damping::Constant(damping),
                time: f64::INFINITY,
                ..Settings::default()
            };
            let recipe = Recipe::natural(name, source.clone(), settings, rate, 0.01);
            grid.push((recipe, format!("η {rate}, λ {damping}, t ∞, decay 0.01")));
        }
    }
    grid
}

/// Tries all of a grid for so many steps; the best comes first.
///
/// # Errors
/// What keeps a run from running.
pub fn tune(grid: Grid, data: &Data, steps: u64, scope: &Scope) -> Result<Vec<Trial>> {
    let grid: Grid = if scope.quick { grid.into_iter().take(2).collect() } else { grid };
    let seeds: Vec<u64> = SEEDS.take(scope.pick(1, 3)).collect();
    let workers = Workers { progress: true, ..Workers::all() };
    let what = format!("{}: trials", grid.first().context("no trials")?.0.name);
    let found = workers.each(&what, grid.len() * seeds.len(), |piece| {
        let (recipe, seed) = (&grid[piece / seeds.len()].0, seeds[piece % seeds.len()]);
        Ok(train(recipe, data, seed, &[steps])?.last().accuracy)
    })?;
    let mut trials: Vec<Trial> = grid
        .into_iter()
        .zip(found.chunks(seeds.len()))
        .map(|((recipe, settings), found)| {
            let accuracy = found.iter().sum::<f64>() / found.len() as f64;
            Trial { recipe, settings, accuracy }
        })
        .collect();
    trials.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    Ok(trials)
}

/// A table of trials, the best first.
pub fn listed(trials: &[&[Trial]]) -> String {
    let rows = trials.iter().flat_map(|trials| trials.iter().enumerate()).map(|(rank, trial)| {
        let chosen = if rank == 0 { "chosen" } else { "" };
        vec![
            trial.recipe.name.clone(),
            trial.settings.clone(),
            percent(trial.accuracy),
            chosen.into(),
        ]
    });
    table(&["optimizer", "settings", "validation accuracy, mean", ""], rows)
}
