//! Loss and test accuracy against steps and time, by optimizer.

use std::fmt::Write as _;

use anyhow::Result;
use spu_cli::plot::panels::{Axes, Panel};
use tngd::optim::Rule;

use super::page::{CLASSES, Page, accuracies, averaged, marked, mean_and_spread, table};
use super::run::{Data, Method, Point, Recipe, Run, Source, train};
use super::tune::{Trial, equilibrium, listed, natural, plain, tune};
use super::{EXAMPLES, Scope};

/// Backends that the settings of the tuned TNGD are run on.
fn backends() -> Vec<(&'static str, Source)> {
    vec![
        ("TNGD, board", Source::board()),
        ("TNGD, krylov", Source::Krylov(8)),
        ("TNGD, exact-law", Source::ExactLaw),
    ]
}

/// Runs it.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn optimizers(scope: &Scope) -> Result<Page> {
    let tuned = scope.pick(10, 100);
    let validation = Data::validation(&scope.data)?;
    let try_out = |grid| tune(grid, &validation, tuned, scope);
    let sgd = try_out(plain("SGD", Rule::Sgd { momentum: 0.0 }, [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]))?;
    let adam = try_out(plain("Adam", Rule::ADAM, [0.002, 0.004, 0.006, 0.008, 0.012, 0.016]))?;
    let ngd = try_out(equilibrium("NGD, woodbury", &Source::Woodbury))?;
    let tngd = try_out(natural("TNGD, krylov", &Source::Krylov(8)))?;
    drop(validation);

    let best = |trials: &[Trial]| trials[0].recipe.clone();
    let mut recipes = vec![best(&sgd), best(&adam), best(&ngd)];
    let chosen = best(&tngd);
    for (name, source) in backends() {
        let Method::Natural(_, settings) = chosen.method else { continue };
        let method = Method::Natural(source, settings);
        recipes.push(Recipe { name: name.into(), method, ..chosen.clone() });
    }
    let data = Data::test(&scope.data, EXAMPLES)?;
    let looks: &[u64] = scope.pick(&[5, 10], &[5, 20, 35, 50, 75, 100, 125, 156]);
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); recipes.len()];
    // In turns, one at a time: what else the machine does falls on all of them.
    for seed in scope.seeds(5) {
        for (recipe, runs) in recipes.iter().zip(&mut runs) {
            eprintln!("{}, seed {seed}", recipe.name);
            runs.push(train(recipe, &data, seed, looks)?);
        }
    }
    let mut page = Page {
        title: "Loss and accuracy by optimizer".into(),
        body: body(&recipes, &runs, looks),
        plots: Vec::new(),
    };
    let _ = write!(
        page.body,
        "\n## Settings\n\nChosen by accuracy on the last 10,000 training images after {tuned} steps, seeds 101 to \
         103, 12 trials each; the seeds and images above played no part. TNGD was tuned on digital cells and runs \
         with those settings on every backend.\n\n{}",
        listed(&[&sgd, &adam, &ngd, &tngd])
    );
    draw(&mut page, &recipes, &runs);
    Ok(page)
}

fn body(recipes: &[Recipe], runs: &[Vec<Run>], looks: &[u64]) -> String {
    let column = |runs: &[Run], step: u64, of: fn(Point) -> f64| -> Vec<f64> {
        runs.iter().map(|run| of(run.at(step))).collect()
    };
    let shown: Vec<u64> = looks.iter().rev().step_by(2).take(4).rev().copied().collect();
    let mut header = vec!["optimizer".to_owned(), "rung".into()];
    header.extend(shown.iter().map(|step| format!("accuracy, {step} steps")));
    header.extend(["training loss, at the end".into(), "a step".into(), "diverged".into()]);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows = recipes.iter().zip(runs).map(|(recipe, runs)| {
        let end = *looks.last().unwrap_or(&1);
        let seconds = mean_and_spread(&column(runs, end, |at| at.seconds)).0;
        let mut row = vec![recipe.name.clone(), recipe.rung().to_owned()];
        row.extend(shown.iter().map(|step| accuracies(&column(runs, *step, |at| at.accuracy))));
        row.push(format!("{:.3}", mean_and_spread(&column(runs, end, |at| at.loss)).0));
        row.push(format!("{:.1} ms", 1e3 * seconds / end as f64));
        row.push(runs.iter().filter(|run| run.diverged).count().to_string());
        row
    });
    format!(
        "Test accuracy of the convolutional network of 37,434 parameters, 10,000 training images, batches of 64: \
         mean ± standard deviation over seeds 1 to {}. Each seed has its own parameters, order of batches and, on \
         the rung `sim`, its own board, calibrated. Times are of this machine under whatever load it had; a \
         simulated board's time is no measure of a real one's.\n\n{}",
        runs.first().map_or(0, Vec::len),
        table(&header, rows)
    )
}

fn draw(page: &mut Page, recipes: &[Recipe], runs: &[Vec<Run>]) {
    let key: Vec<(&str, &str)> =
        recipes.iter().zip(CLASSES).map(|(recipe, class)| (class, recipe.name.as_str())).collect();
    let panel = |title: &str, x: fn(Point) -> f64, y: fn(Point) -> f64| Panel {
        title: title.into(),
        curves: runs.iter().enumerate().map(|(i, r)| marked(i, averaged(r, x, y))).collect(),
    };
    let by_step = |at: Point| at.step as f64;
    let axes = |x, y, log, height| Axes { x, y, log, across: 1, height, decades: 3.0, key: &key };
    let accuracy = panel("", by_step, |at| at.accuracy);
    page.plot("steps", &[accuracy], axes("steps", "test accuracy", (true, false), 320.0));
    let loss = panel("", by_step, |at| at.loss);
    page.plot("loss", &[loss], axes("steps", "training loss", (true, true), 320.0));
    let time = panel("", |at| at.seconds, |at| at.accuracy);
    page.plot("time", &[time], axes("wall time, s", "test accuracy", (true, false), 320.0));
}
