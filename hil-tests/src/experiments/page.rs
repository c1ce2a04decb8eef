//! A page of docs/experiments: command, machine, text, tables and plots.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use spu_cli::plot::panels::{Axes, Curve, Panel, figure};
use spu_cli::plot::standalone;
use spu_cli::text::{duration, percent};

use super::Scope;
use super::run::{Point, Run};
pub(super) use crate::accuracy::page::table;
use crate::accuracy::record::Origin;

/// What an experiment hands over.
#[derive(Debug, Default)]
pub struct Page {
    /// Heading.
    pub title: String,
    /// Text with tables, in Markdown.
    pub body: String,
    /// Ends of file names, and drawings.
    pub plots: Vec<(&'static str, String)>,
}

impl Page {
    /// Writes NAME.md and its plots.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn write(&self, folder: &Path, name: &str, scope: &Scope, seconds: f64) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        let origin = Origin::here(scope.quick);
        let options = if scope.quick { " --quick" } else { "" }.to_owned()
            + &scope.seeds.map_or(String::new(), |seeds| format!(" --seeds {seeds}"));
        // The profile counts for times only.
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        let mut text = format!(
            "# {}\n\nWritten by\n\n```sh\ncargo run{profile} -p hil-tests --bin experiments -- \
             {name}{options} --out docs/experiments\n```\n\n\
             on {}, sources `{}`, {}, in {}{}; do not edit it.\n\n{}",
            self.title,
            origin.date,
            origin.commit,
            origin.hardware,
            duration(seconds),
            if scope.quick { ", the quick version: it shows that it runs, no more" } else { "" },
            self.body
        );
        for (end, drawing) in &self.plots {
            let file = format!("{name}-{end}.svg");
            put(&file, &standalone(drawing))?;
            let _ = write!(text, "\n![{}: {end}]({file})\n", self.title);
        }
        put(&format!("{name}.md"), &text)
    }

    /// Adds a plot, if there is anything to draw.
    pub fn plot(&mut self, end: &'static str, panels: &[Panel], axes: Axes<'_>) {
        if let Some(drawing) = figure(panels, axes, &format!("{}: {end}", self.title)) {
            self.plots.push((end, drawing));
        }
    }
}

/// Classes of lines, in order.
pub const CLASSES: [&str; 6] =
    ["curve k0", "curve k1", "curve k2", "curve k3", "curve k4", "curve k5"];

/// A marked line.
pub fn marked(number: usize, points: Vec<(f64, f64)>) -> Curve {
    let number = number % CLASSES.len();
    Curve { class: CLASSES[number], points, interval: Vec::new(), marker: Some(number) }
}

/// Mean and sample standard deviation; the latter is 0 for one value.
pub fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}

/// "95.1 ± 0.3 %".
pub fn accuracies(values: &[f64]) -> String {
    let (mean, spread) = mean_and_spread(values);
    format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * spread)
}

/// "95.1 % (94.2 to 95.8)", of the median and the range.
pub fn median_and_range(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{} ({} to {})", percent(crate::median(sorted)), percent(least), percent(most))
}

/// A quantity of runs of several seeds, averaged look by look, against steps or seconds.
pub fn averaged(
    runs: &[Run],
    x: impl Fn(Point) -> f64,
    y: impl Fn(Point) -> f64,
) -> Vec<(f64, f64)> {
    let looks = runs.first().map_or(0, |run| run.points.len());
    let mean = |i: usize, of: &dyn Fn(Point) -> f64| {
        runs.iter().map(|run| of(run.points[i])).sum::<f64>() / runs.len() as f64
    };
    (0..looks).map(|i| (mean(i, &x), mean(i, &y))).collect()
}
