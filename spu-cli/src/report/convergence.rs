//! Error against samples, on logarithmic axes.

use super::chart::{axes, key};
use super::scale::{Scale, label};
use super::svg::{Anchor, Svg, copy_class};
use crate::text::{count, percent};
use crate::verb::invert_view::{InvertAnswer, Point};

const SIZE: (f64, f64) = (1000.0, 400.0);
const LEFT: f64 = 66.0;
const RIGHT: f64 = 985.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 346.0;

/// The figure; `None` where no copy has points.
pub(super) fn figure(answer: &InvertAnswer) -> Option<String> {
    let shown = |point: &&Point| point.error_against_reference.is_finite();
    let points = || answer.results().flat_map(|(_, result)| &result.convergence).filter(shown);
    let first = points().map(|point| point.kept).min()?;
    let last = points().map(|point| point.kept).max()?;
    let predicted =
        |kept: f64| answer.plan.predicted_error * (answer.plan.samples as f64 / kept).sqrt();
    let x_range = (first as f64 / 1.12, last as f64 * 1.12);
    let errors = points()
        .map(|point| point.error_against_reference)
        .chain([predicted(x_range.0), predicted(x_range.1), answer.mean.error_against_reference])
        .filter(|error| *error > 0.0);
    let (low, high) =
        errors.fold((f64::INFINITY, 0.0_f64), |(low, high), e| (low.min(e), high.max(e)));
    let x = Scale::log(x_range, (LEFT, RIGHT));
    let y = Scale::log((low / 1.25, high * 1.25), (BOTTOM, TOP));
    let mut svg = Svg::new(SIZE.0, SIZE.1);
    axes(&mut svg, Some(&x), &y, (LEFT, RIGHT), |tick| format!("{} %", label(100.0 * tick)));

    let ends = [x_range.0, x_range.1].map(|kept| (x.at(kept), y.at(predicted(kept))));
    svg.polyline("predicted", &ends);
    for (copy, result) in answer.results() {
        let places: Vec<(f64, f64)> = result
            .convergence
            .iter()
            .filter(shown)
            .map(|point| (x.at(point.kept as f64), y.at(point.error_against_reference)))
            .collect();
        svg.polyline(&format!("curve {}", copy_class(copy)), &places);
        for (place, point) in places.iter().zip(result.convergence.iter().filter(shown)) {
            let tip = format!(
                "copy {copy}, {} samples: {}",
                count(point.kept),
                percent(point.error_against_reference)
            );
            svg.marker(copy, *place, &tip);
        }
    }
    let copies: Vec<usize> = answer.results().map(|(copy, _)| copy).collect();
    let mut at = key(&mut svg, &copies, (LEFT + 6.0, 20.0));
    if copies.len() > 1 {
        let height = y.at(answer.mean.error_against_reference);
        svg.line("mean", (RIGHT - 26.0, height), (RIGHT, height));
        svg.line("mean", (at, 16.0), (at + 24.0, 16.0));
        svg.text("key", (at + 30.0, 20.0), Anchor::Start, "mean of all samples");
        at += 174.0;
    }
    svg.line("predicted", (at, 16.0), (at + 24.0, 16.0));
    svg.text("key", (at + 30.0, 20.0), Anchor::Start, "predicted statistical error, ∝ 1/√N");
    svg.text(
        "label",
        (f64::midpoint(LEFT, RIGHT), SIZE.1 - 8.0),
        Anchor::Middle,
        "samples kept by each copy",
    );
    svg.upright(
        "label",
        (14.0, f64::midpoint(TOP, BOTTOM)),
        Anchor::Middle,
        "error against the reference",
    );
    Some(svg.finish("Relative error of each copy's inverse against the number of samples"))
}
