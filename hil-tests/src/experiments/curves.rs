//! Loss and test accuracy against steps and time, by optimizer and backend.

use std::fmt::Write as _;

use anyhow::Result;
use spu_cli::plot::panels::{Axes, Panel};
use tngd::optim::Rule;

use super::page::{CLASSES, Page, accuracies, averaged, marked, mean_and_spread, table};
use super::run::{Data, Method, Point, Recipe, Run, Source, train};
use super::tune::{
    DECAYS, Grid, NATURAL_DECAYS, Trial, adam, covariance, equilibrium, kronecker, listed, natural,
    plain, tune,
};
use super::{EXAMPLES, Scope, Task};

/// What is tuned once, and what runs with those settings.
struct Family {
    grid: Grid,
    /// Names and backends; none for a rule without.
    members: Vec<(&'static str, Source)>,
}

impl Family {
    fn new(grid: Grid, members: Vec<(&'static str, Source)>) -> Self {
        Self { grid, members }
    }
}

/// The recipes of a family's members with its best settings; of a rule without backend, itself.
fn recipes_of(members: Vec<(&'static str, Source)>, best: &Recipe) -> Vec<Recipe> {
    let Method::Natural(_, settings) = best.method else { return vec![best.clone()] };
    let member = |(name, source): (&str, Source)| Recipe {
        name: name.into(),
        method: Method::Natural(source, settings),
        schedule: best.schedule,
    };
    members.into_iter().map(member).collect()
}

/// A page of this kind.
struct Course {
    title: &'static str,
    task: Task,
    families: Vec<Family>,
    /// Steps that the settings are chosen for.
    tuned: u64,
    /// Steps after which the network is looked at.
    looks: &'static [u64],
}

fn rules() -> [Family; 2] {
    let sgd = Rule::Sgd { momentum: 0.0 };
    [
        Family::new(plain("SGD", sgd, [0.02, 0.05, 0.1, 0.2, 0.4, 0.8], DECAYS), Vec::new()),
        Family::new(adam(), Vec::new()),
    ]
}

fn relaxing(decays: [f64; 2], members: Vec<(&'static str, Source)>) -> Family {
    Family::new(natural("TNGD, krylov", &Source::Krylov(8), decays), members)
}

fn limits() -> [Family; 3] {
    [
        Family::new(
            equilibrium("NGD, woodbury", &Source::Woodbury),
            vec![("NGD, woodbury", Source::Woodbury)],
        ),
        Family::new(
            covariance("TNGD at t = ∞, krylov", &Source::Krylov(8)),
            vec![
                ("TNGD at t = ∞, RLC board", Source::Rlc("rev-b".into())),
                ("TNGD at t = ∞, krylov", Source::Krylov(8)),
            ],
        ),
        Family::new(
            kronecker("K-FAC, digital", &Source::Kfac),
            vec![
                ("K-FAC, board", Source::KfacBoard("rc-8".into())),
                ("K-FAC, digital", Source::Kfac),
            ],
        ),
    ]
}

/// Every optimizer on the convolutional network.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn optimizers(scope: &Scope) -> Result<Page> {
    let tngd = vec![
        ("TNGD, board", Source::board()),
        ("TNGD, krylov", Source::Krylov(8)),
        ("TNGD, exact-law", Source::ExactLaw),
    ];
    hundred_steps("Loss and accuracy by optimizer", Task::CONVNET, tngd, scope)
}

/// A network that is small enough for every backend, the factored array among them.
///
/// # Errors
/// As [`optimizers`].
pub fn backends(scope: &Scope) -> Result<Page> {
    let tngd = vec![
        ("TNGD, factored array", Source::Array("rc-factored".into())),
        ("TNGD, board", Source::board()),
        ("TNGD, krylov", Source::Krylov(8)),
        ("TNGD, exact-law", Source::ExactLaw),
        ("TNGD, euler, δt = τ/100", Source::Euler),
    ];
    hundred_steps("Every backend on a small network", Task::DENSE, tngd, scope)
}

/// Everything, tuned for a hundred steps; TNGD at finite times on these backends.
fn hundred_steps(
    title: &'static str,
    task: Task,
    tngd: Vec<(&'static str, Source)>,
    scope: &Scope,
) -> Result<Page> {
    let tngd = relaxing(NATURAL_DECAYS, tngd);
    let course = Course {
        title,
        task,
        families: rules().into_iter().chain([tngd]).chain(limits()).collect(),
        tuned: scope.pick(10, 100),
        looks: scope.pick(&[5, 10], &[5, 20, 35, 50, 75, 100, 125, 156]),
    };
    page(course, scope)
}

/// Ten epochs, for which both are tuned.
///
/// # Errors
/// As [`optimizers`].
pub fn epochs(scope: &Scope) -> Result<Page> {
    // Lower rates and slower decays than those of a hundred steps.
    let rates = [0.0005, 0.001, 0.002, 0.003, 0.004, 0.006];
    let adam = Family::new(plain("Adam", Rule::ADAM, rates, [0.0, 0.002]), Vec::new());
    let tngd = relaxing([0.002, 0.01], vec![("TNGD, board", Source::board())]);
    let course = Course {
        title: "Ten epochs",
        task: Task::CONVNET,
        families: vec![adam, tngd],
        tuned: scope.pick(10, 1560),
        looks: scope.pick(&[5, 10], &[156, 312, 468, 624, 936, 1248, 1404, 1560]),
    };
    page(course, scope)
}

fn page(course: Course, scope: &Scope) -> Result<Page> {
    let Course { title, task, families, tuned, looks } = course;
    let validation = Data::validation(&scope.data)?.on(task);
    let (mut recipes, mut tried, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
    for Family { grid, members } in families {
        let trials = tune(grid, &validation, tuned, scope)?;
        // One of each: more curves cannot be told apart.
        drawn.push(recipes.len());
        recipes.extend(recipes_of(members, &trials[0].recipe));
        tried.push(trials);
    }
    drop(validation);
    let data = Data::test(&scope.data, EXAMPLES)?.on(task);
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); recipes.len()];
    // In turns, one at a time: what else the machine does falls on all of them.
    for seed in scope.seeds(5) {
        for (recipe, runs) in recipes.iter().zip(&mut runs) {
            eprintln!("{}, seed {seed}", recipe.name);
            runs.push(train(recipe, &data, seed, looks)?);
        }
    }
    let mut page =
        Page { title: title.into(), body: body(task, &recipes, &runs, looks), plots: Vec::new() };
    let tried: Vec<&[Trial]> = tried.iter().map(Vec::as_slice).collect();
    let _ = write!(
        page.body,
        "\n## Settings\n\nChosen by accuracy on the last 10,000 training images after {tuned} steps, seeds 101 to \
         103, 12 trials each; the seeds and images above played no part. What has a backend was tuned on a \
         digital one and runs with those settings on the others.\n\n{}",
        listed(&tried)
    );
    let drawn: Vec<(&Recipe, &[Run])> =
        drawn.into_iter().map(|at| (&recipes[at], runs[at].as_slice())).collect();
    draw(&mut page, &drawn);
    Ok(page)
}

fn body(task: Task, recipes: &[Recipe], runs: &[Vec<Run>], looks: &[u64]) -> String {
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
        "Test accuracy of {}, 10,000 training images, batches of {}: mean ± standard deviation over seeds 1 to {}. \
         Each seed has its own parameters, order of batches and, on the rung `sim`, its own board, calibrated. \
         Times are of this machine under whatever load it had; a simulated board's time is no measure of a real \
         one's.\n\n{}",
        task.name,
        task.batch,
        runs.first().map_or(0, Vec::len),
        table(&header, rows)
    )
}

fn draw(page: &mut Page, drawn: &[(&Recipe, &[Run])]) {
    let key: Vec<(&str, &str)> = drawn
        .iter()
        .zip(CLASSES)
        .map(|((recipe, _), class)| (class, recipe.name.as_str()))
        .collect();
    let panel = |title: &str, x: fn(Point) -> f64, y: fn(Point) -> f64| Panel {
        title: title.into(),
        curves: drawn.iter().enumerate().map(|(i, r)| marked(i, averaged(r.1, x, y))).collect(),
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
