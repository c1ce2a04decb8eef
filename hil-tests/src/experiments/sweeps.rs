//! One setting of TNGD varied, the others held.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use spu_cli::plot::panels::{Axes, Panel};
use tngd::curvature::Damping;
use tngd::optim::{First, Rule, Schedule, Settings};

use super::page::{CLASSES, Page, accuracies, marked, mean_and_spread, table};
use super::run::{Data, Method, Recipe, Source, train};
use super::{CHOSEN, EXAMPLES, Scope};
use crate::accuracy::work::Workers;

const RATE: f64 = CHOSEN.0;
const DAMPING: f64 = CHOSEN.1;
const DECAY: f64 = CHOSEN.2;

/// Settings that the others are held at.
fn held() -> Settings {
    Settings { damping: Damping::Constant(DAMPING), ..Settings::default() }
}

/// A row of a sweep: its value on the x axis, its words, its recipe.
struct Row {
    group: &'static str,
    x: f64,
    words: String,
    recipe: Recipe,
}

/// Trains every row on every seed and describes it.
fn sweep(
    scope: &Scope,
    title: &str,
    what: &str,
    text: &str,
    rows: &[Row],
    axes: (&str, bool),
) -> Result<Page> {
    let data = Data::test(&scope.data, EXAMPLES)?;
    let looks: [u64; 2] = scope.pick([2, 5], [50, 100]);
    let seeds: Vec<u64> = scope.seeds(3).collect();
    let workers = Workers { progress: true, ..Workers::all() };
    let runs = workers.each(what, rows.len() * seeds.len(), |piece| {
        train(&rows[piece / seeds.len()].recipe, &data, seeds[piece % seeds.len()], &looks)
    })?;
    let mut lines = Vec::new();
    let mut groups: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for (row, runs) in rows.iter().zip(runs.chunks(seeds.len())) {
        let at = |look: u64| -> Vec<f64> { runs.iter().map(|run| run.at(look).accuracy).collect() };
        let losses: Vec<f64> = runs.iter().map(|run| run.last().loss).collect();
        lines.push(vec![
            row.words.clone(),
            row.group.into(),
            row.recipe.rung().into(),
            accuracies(&at(looks[0])),
            accuracies(&at(looks[1])),
            format!("{:.3}", mean_and_spread(&losses).0),
            runs.iter().filter(|run| run.diverged).count().to_string(),
        ]);
        let point = (row.x, mean_and_spread(&at(looks[1])).0);
        match groups.iter_mut().find(|(group, _)| *group == row.group) {
            Some((_, points)) => points.push(point),
            None => groups.push((row.group, vec![point])),
        }
    }
    let steps = looks.map(|look| format!("test accuracy, {look} steps"));
    let header =
        [what, "where", "rung", &steps[0], &steps[1], "training loss since then", "diverged"];
    let body = format!(
        "{text}\n\nMean ± standard deviation over {} seeds, 10,000 training images, batches of 64. All settings \
         that are not named are those of `spu train mnist`: λ {DAMPING}, t 1 τ, η {RATE} / (1 + {DECAY} · step), a warm \
         start, 8 cells. A run that diverged counts with the accuracy it had then.\n\n{}",
        seeds.len(),
        table(&header, lines.into_iter())
    );
    let mut page = Page { title: title.into(), body, plots: Vec::new() };
    let key: Vec<(&str, &str)> =
        CLASSES.into_iter().zip(groups.iter().map(|(group, _)| *group)).collect();
    let curves =
        groups.iter().enumerate().map(|(i, (_, points))| marked(i, points.clone())).collect();
    let panel = Panel { title: String::new(), curves };
    let axes = Axes {
        x: axes.0,
        y: "test accuracy at the end",
        log: (axes.1, false),
        across: 1,
        height: 300.0,
        decades: 0.0,
        key: &key,
    };
    page.plot("accuracy", &[panel], axes);
    Ok(page)
}

fn row(group: &'static str, x: f64, words: String, source: Source, settings: Settings) -> Row {
    Row { group, x, words, recipe: Recipe::natural(group, source, settings, RATE, DECAY) }
}

/// From gradient descent to the natural gradient by the analog time.
///
/// # Errors
/// Missing data.
pub fn interpolation(scope: &Scope) -> Result<Page> {
    let mut rows = Vec::new();
    let times: &[f64] = scope.pick(&[0.0, 1.0], &[0.0, 0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 50.0]);
    for (group, restart) in [("from the gradient", true), ("warm start", false)] {
        for &time in times {
            let first = First::Gradient;
            let settings = Settings { time, restart, first, ..held() };
            // Near 0 on a logarithmic axis.
            let x = time.max(0.03);
            rows.push(row(group, x, format!("t = {time} τ"), Source::ExactLaw, settings));
        }
    }
    let exact = Settings { time: f64::INFINITY, ..held() };
    rows.push(row("NGD, the limit", 100.0, "t = ∞".into(), Source::Woodbury, exact));
    let (method, schedule) =
        (Method::Plain(Rule::Sgd { momentum: 0.0 }), Schedule { rate: RATE, decay: DECAY });
    let recipe = Recipe { name: "SGD".into(), method, schedule };
    rows.push(Row { group: "SGD, the other limit", x: 0.02, words: "SGD".into(), recipe });
    let text = "With a start at the batch's gradient, t = 0 is gradient descent and t → ∞ the natural gradient. The \
                same rate is used throughout, so that only the direction changes. With a warm start the device keeps \
                its state and t = 0 would keep the first gradient for ever. The law of an ideal array of N cells, \
                digital; t = 0 is drawn at 0.03 τ, t = ∞ at 100 τ.";
    sweep(scope, "From SGD to NGD by the analog time", "t", text, &rows, ("t / τ", true))
}

/// The delay as momentum.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn delay(scope: &Scope) -> Result<Page> {
    let mut rows = Vec::new();
    let delays: &[f64] = scope.pick(&[0.0, 1.0], &[0.0, 0.2, 0.5, 1.0, 2.0, 5.0]);
    for (group, time) in [("t = 0.2 τ", 0.2), ("t = 1 τ", 1.0)] {
        for &delay in delays {
            let settings = Settings { time, delay, ..held() };
            let words = format!("t_d = {delay} τ");
            rows.push(row(group, delay, words, Source::board(), settings));
        }
    }
    let text = "After a read the board evolves for the delay t_d under the old batch, before the next one is set; what \
                it then holds is where the next step starts. Two Krylov spaces a step, so twice the digital work.";
    sweep(scope, "Delay as momentum", "t_d", text, &rows, ("t_d / τ", false))
}

/// The noise of the cells.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn noise(scope: &Scope) -> Result<Page> {
    let mut rows = Vec::new();
    let levels: &[f64] = scope.pick(&[0.0, 1e-3], &[0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
    for (group, source) in
        [("8 cells", Source::board()), ("an ideal array of N cells", Source::ExactLaw)]
    {
        for &noise in levels {
            let settings = Settings { noise, ..held() };
            rows.push(row(
                group,
                noise.max(1e-6),
                format!("κ₀ = {noise}"),
                source.clone(),
                settings,
            ));
        }
    }
    let text = "In an array of N cells the noise hits every parameter; on eight cells it stays in the Krylov space. \
                κ₀ = 0 is drawn at 1e-6. A board that cannot make a level of noise refuses it.";
    sweep(scope, "Noise", "κ₀", text, &rows, ("κ₀", true))
}

/// Which converter or bank has other bits.
#[derive(Debug, Clone, Copy)]
enum Part {
    Dac,
    Banks,
    Adc,
}

/// The standard profile with other bits, written to `folder`.
fn profile(folder: &Path, part: Part, bits: u32) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hardware/profiles/rc-8.toml");
    let text = std::fs::read_to_string(&source)
        .with_context(|| format!("reading {}", source.display()))?;
    let steps = f64::from((1_u32 << bits) - 1);
    let (wanted, lsb): (&[&str], &[(&str, f64)]) = match part {
        Part::Dac => (&["drive.dac_bits"], &[]),
        Part::Banks => (
            &["banks.self_bits", "banks.coupling_bits", "banks.storage.bits"],
            // Full scales of 1 mS and 1 nF, as in the standard profile.
            &[("banks.self_lsb", 1e-3), ("banks.coupling_lsb", 1e-3), ("banks.storage.lsb", 1e-9)],
        ),
        Part::Adc => (&["adc.bits"], &[]),
    };
    let mut table: toml::Table = text.parse()?;
    for key in wanted {
        *value(&mut table, key)? = i64::from(bits).into();
    }
    for (key, full) in lsb {
        *value(&mut table, key)? = (full / steps).into();
    }
    let path = folder.join(format!("{part:?}-{bits}.toml").to_lowercase());
    std::fs::write(&path, table.to_string())?;
    Ok(path)
}

/// The value of a profile's entry.
fn value<'t>(table: &'t mut toml::Table, dotted: &str) -> Result<&'t mut toml::Value> {
    let missing = || format!("the profile has no {dotted}");
    let mut parts = dotted.split('.');
    let first = parts.next().unwrap_or_default();
    let mut at = table.get_mut(first).with_context(missing)?;
    for part in parts {
        at = at.get_mut(part).with_context(missing)?;
    }
    at.get_mut("value").with_context(missing)
}

/// Bits of DAC, banks and ADC.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn bits(scope: &Scope) -> Result<Page> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    let parts: [(&'static str, Part, &[u32]); 3] = [
        ("bias DAC", Part::Dac, scope.pick(&[8], &[4, 6, 8, 10, 12])),
        ("conductances and capacitors", Part::Banks, scope.pick(&[6], &[4, 5, 6, 7, 8])),
        ("ADC", Part::Adc, scope.pick(&[6], &[4, 5, 6, 8, 10, 12])),
    ];
    let mut refused = String::new();
    for (group, part, bits) in parts {
        for &bits in bits {
            let path = profile(folder.path(), part, bits)?;
            let source = Source::Board(path.display().to_string(), 8);
            if let Err(error) = source.open(1) {
                let error = error.to_string().replace(&*path.to_string_lossy(), "the profile");
                let _ = writeln!(refused, "\n- {group}, {bits} bits: {error}");
                continue;
            }
            rows.push(row(group, f64::from(bits), format!("{bits} bits"), source, held()));
        }
    }
    let mut text = "Simulated boards of the profile `rc-8` with other bits in one place, full scale kept; the standard \
                    ones are 12 (DAC), 8 (banks) and 8 (ADC). Each is calibrated through its own converters."
        .to_owned();
    if !refused.is_empty() {
        let _ = write!(
            text,
            "\n\nNot run, since the board or its calibration refuses (on seed 1):\n{refused}"
        );
    }
    sweep(scope, "Bits of the converters and banks", "bits", &text, &rows, ("bits", false))
}

/// The number of cells.
///
/// # Errors
/// Missing data, boards that do not run.
pub fn cells(scope: &Scope) -> Result<Page> {
    let mut rows = Vec::new();
    let boards: &[usize] = scope.pick(&[2, 8], &[1, 2, 4, 8]);
    let emulated: &[usize] = scope.pick(&[16], &[1, 2, 4, 8, 16]);
    for &cells in boards {
        let source = Source::Board(format!("rc-{cells}"), cells);
        rows.push(row("board", cells as f64, cells.to_string(), source, held()));
    }
    for &cells in emulated {
        let source = Source::Krylov(cells);
        rows.push(row("digital emulation", cells as f64, cells.to_string(), source, held()));
    }
    let text = "Boards have at most 8 cells here, so 16 is the digital emulation `krylov`. One Lanczos step, a product \
                with the curvature, for each cell.";
    sweep(scope, "Cells", "cells", text, &rows, ("cells", true))
}
