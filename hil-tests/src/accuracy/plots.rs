//! The plots of the page.

use spu_cli::plot::panels::{Axes, Curve, Panel, figure};
use spu_cli::plot::standalone;

use super::coverage::Coverage;
use super::errors::{Errors, Way};
use super::large::Large;
use super::record::{Measured, Record};
use super::refined::{Refined, Trial};

/// Name of a file and the drawing in it.
pub(super) type Plot = (&'static str, String);

/// Every plot that the records allow.
pub(super) fn plots(records: &[Record]) -> Vec<Plot> {
    let all: [(&str, Option<String>); 5] = [
        (
            "error-by-samples.svg",
            error_by_samples(&select(records, |m| match m {
                Measured::WellConditioned(errors) => Some(errors),
                _ => None,
            })),
        ),
        (
            "coverage.svg",
            coverage(&select(records, |m| match m {
                Measured::Coverage(coverage) => Some(coverage),
                _ => None,
            })),
        ),
        (
            "any-spd.svg",
            any_spd(&select(records, |m| match m {
                Measured::AnySpd(errors) => Some(errors),
                _ => None,
            })),
        ),
        (
            "refine.svg",
            refinement(&select(records, |m| match m {
                Measured::Refined(refined) => Some(refined),
                _ => None,
            })),
        ),
        (
            "large.svg",
            large(&select(records, |m| match m {
                Measured::Large(large) => Some(large),
                _ => None,
            })),
        ),
    ];
    let drawn =
        |(name, drawing): (&'static str, Option<String>)| Some((name, standalone(&drawing?)));
    all.into_iter().filter_map(drawn).collect()
}

fn select<'r, T>(records: &'r [Record], of: fn(&'r Measured) -> Option<&'r T>) -> Vec<&'r T> {
    records.iter().filter_map(|record| of(&record.measured)).collect()
}

const CLASSES: [&str; 4] = ["curve k0", "curve k1", "curve k2", "curve k3"];

fn marked(number: usize, points: Vec<(f64, f64)>) -> Curve {
    Curve { class: CLASSES[number % 4], points, interval: Vec::new(), marker: Some(number) }
}

/// Markers without a line.
fn cloud(number: usize, points: Vec<(f64, f64)>) -> Curve {
    Curve { class: "", ..marked(number, points) }
}

/// Room on a logarithmic x axis, so that no marker is on the frame.
fn room(curves: &[Curve]) -> Curve {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let low = all().copied().min_by(|a, b| a.0.total_cmp(&b.0));
    let high = all().copied().max_by(|a, b| a.0.total_cmp(&b.0));
    let ends = low.map(|(x, y)| (x / 1.1, y)).into_iter().chain(high.map(|(x, y)| (x * 1.1, y)));
    Curve::line("", ends.collect())
}

fn error_by_samples(all: &[&Errors]) -> Option<String> {
    let panels: Vec<Panel> = ["rev-a", "rev-b"]
        .into_iter()
        .map(|profile| {
            let by_samples = |way: Way, of: fn(&Errors) -> f64| -> Vec<(f64, f64)> {
                all.iter()
                    .filter(|errors| errors.profile == profile && errors.way == way)
                    .map(|errors| (errors.effective as f64, of(errors)))
                    .collect()
            };
            let mut curves: Vec<Curve> = [Way::Uncalibrated, Way::Calibrated, Way::Mitigated]
                .into_iter()
                .enumerate()
                .map(|(number, way)| marked(number, by_samples(way, |errors| errors.error)))
                .collect();
            let bound = by_samples(Way::Calibrated, |errors| errors.bound);
            curves.push(Curve::line("predicted", bound));
            let floor = by_samples(Way::Calibrated, |errors| errors.quantisation);
            curves.push(Curve::line("reference", floor));
            curves.push(room(&curves));
            Panel { title: profile.into(), curves }
        })
        .collect();
    let axes = Axes {
        x: "effective independent samples",
        y: "median relative error",
        log: (true, true),
        across: 2,
        height: 300.0,
        decades: 6.0,
        key: &[
            (CLASSES[0], "uncalibrated"),
            (CLASSES[1], "calibrated"),
            (CLASSES[2], "and mitigated"),
            ("predicted", "statistical bound"),
            ("reference", "stated floor, calibrated"),
        ],
    };
    figure(&panels, axes, "Error of the inverse against samples")
}

/// Outline of a histogram: numbers in bins of `width`.
fn outline(values: &[f64], width: f64) -> Vec<(f64, f64)> {
    let bin = |value: &f64| (value / width).floor() as i64;
    let (Some(first), Some(last)) = (values.iter().map(bin).min(), values.iter().map(bin).max())
    else {
        return Vec::new();
    };
    let mut points = vec![(first as f64 * width, 0.0)];
    for here in first..=last {
        let count = values.iter().filter(|value| bin(value) == here).count() as f64;
        points.extend([(here as f64 * width, count), ((here + 1) as f64 * width, count)]);
    }
    points.push(((last + 1) as f64 * width, 0.0));
    points
}

fn coverage(all: &[&Coverage]) -> Option<String> {
    let panels: Vec<Panel> = all
        .iter()
        .map(|c| {
            let bars = outline(&c.by_board, 0.01);
            let top = bars.iter().map(|point| point.1).fold(0.0, f64::max);
            Panel {
                title: format!("{}: {} boards, {} matrices each", c.profile, c.boards, c.matrices),
                curves: vec![
                    Curve::line("curve k0", bars),
                    Curve::line("predicted", vec![(0.95, 0.0), (0.95, top)]),
                ],
            }
        })
        .collect();
    let axes = Axes {
        x: "part of a board's entries inside their intervals",
        y: "boards",
        log: (false, false),
        across: 2,
        height: 240.0,
        decades: 0.0,
        key: &[("curve k0", "boards in bins of 1 %"), ("predicted", "95 %")],
    };
    figure(&panels, axes, "Coverage of each board")
}

fn any_spd(all: &[&Errors]) -> Option<String> {
    let panels: Vec<Panel> = ["rev-a-8bit", "rev-a"]
        .into_iter()
        .map(|profile| {
            let here = || all.iter().filter(|errors| errors.profile == profile);
            let mut curves: Vec<Curve> = here()
                .enumerate()
                .map(|(number, errors)| {
                    let mut sorted = errors.errors.clone();
                    sorted.sort_by(f64::total_cmp);
                    let part = |k: usize| (k as f64 + 0.5) / sorted.len() as f64;
                    let points = sorted.iter().enumerate().map(|(k, e)| (*e, part(k))).collect();
                    marked(number, points)
                })
                .collect();
            curves.extend(here().map(|errors| {
                Curve::line("predicted", vec![(errors.bound, 0.0), (errors.bound, 1.0)])
            }));
            curves.push(room(&curves));
            let title = match profile {
                "rev-a" => "unipolar, 4 bits (rev-a)",
                _ => "unipolar, 8 bits",
            };
            Panel { title: title.into(), curves }
        })
        .collect();
    let axes = Axes {
        x: "relative error",
        y: "part of the matrices below it",
        log: (true, false),
        across: 2,
        height: 260.0,
        decades: 0.0,
        key: &[
            (CLASSES[0], "N_eff 12,000"),
            (CLASSES[1], "N_eff 1,000,000"),
            ("predicted", "median bounds"),
        ],
    };
    figure(&panels, axes, "Errors of any matrix")
}

fn refinement(all: &[&Refined]) -> Option<String> {
    let panels: Vec<Panel> = all
        .iter()
        .map(|refined| {
            let steps = |of: fn(&Trial) -> Option<(usize, u64)>| {
                let point = |trial: &Trial| Some((trial.condition, of(trial)?.0 as f64));
                refined.trials.iter().filter_map(point).collect::<Vec<_>>()
            };
            let mut curves =
                vec![cloud(0, steps(|trial| trial.work)), cloud(1, steps(|trial| trial.digital))];
            curves.push(room(&curves));
            Panel { title: format!("{}, {}", refined.profile, refined.label), curves }
        })
        .collect();
    let axes = Axes {
        x: "condition number",
        y: "steps to 1e-6",
        log: (true, false),
        across: 2,
        height: 240.0,
        decades: 0.0,
        key: &[
            (CLASSES[0], "● from the board's inverse"),
            (CLASSES[1], "■ Newton–Schulz from the digital start"),
        ],
    };
    figure(&panels, axes, "Steps of refinement")
}

fn large(all: &[&Large]) -> Option<String> {
    let points = |of: fn(&Large) -> f64| -> Vec<(f64, f64)> {
        all.iter().map(|large| (large.condition, of(large))).collect()
    };
    let mut curves = vec![
        cloud(0, points(|large| large.error)),
        cloud(1, points(|large| large.statistical_error)),
        cloud(2, points(|large| large.quantisation_error)),
        Curve::line("predicted", vec![(10.0, 0.03), (50.0, 0.08)]),
    ];
    curves.push(room(&curves));
    let panel = Panel { title: String::new(), curves };
    let axes = Axes {
        x: "condition number",
        y: "relative error, unrefined",
        log: (true, true),
        across: 1,
        height: 260.0,
        decades: 3.0,
        key: &[
            (CLASSES[0], "● error"),
            (CLASSES[1], "■ of samples, as stated"),
            (CLASSES[2], "▲ of quantisation, as stated"),
            ("predicted", "goals at κ = 10 and 50"),
        ],
    };
    figure(&[panel], axes, "Errors of large matrices")
}
