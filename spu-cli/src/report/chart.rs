//! Axes with ticks and labels around a plot.

use super::scale::{Scale, label};
use super::svg::{Anchor, Svg};

/// Draws a frame with horizontal grid lines, and the ticks of both axes. Labels of `y` are by
/// `y_label`.
pub(super) fn axes(
    svg: &mut Svg,
    x: Option<&Scale>,
    y: &Scale,
    across: (f64, f64),
    y_label: impl Fn(f64) -> String,
) {
    let (bottom, top) = y.ends();
    for tick in y.ticks() {
        let at = y.at(tick);
        svg.line("grid", (across.0, at), (across.1, at));
        svg.text("tick", (across.0 - 8.0, at + 3.8), Anchor::End, &y_label(tick));
    }
    if let Some(x) = x {
        for tick in x.ticks() {
            let at = x.at(tick);
            svg.line("grid", (at, top), (at, bottom));
            svg.line("axis", (at, bottom), (at, bottom + 4.0));
            svg.text("tick", (at, bottom + 17.0), Anchor::Middle, &label(tick));
        }
    }
    svg.rect("frame", (across.0, top), (across.1 - across.0, bottom - top));
}

/// Markers and names of copies, in a row from `at`.
pub(super) fn key(svg: &mut Svg, copies: &[usize], at: (f64, f64)) -> f64 {
    let mut x = at.0;
    for copy in copies {
        svg.marker(*copy, (x, at.1 - 4.0), "");
        svg.text("key", (x + 9.0, at.1), Anchor::Start, &format!("copy {copy}"));
        x += 74.0;
    }
    x
}
