//! Plots in panels beside each other, on linear or logarithmic axes.

use super::scale::{Scale, power_label};
use super::svg::{Anchor, Svg};

const WIDTH: f64 = 1000.0;
const MARGIN: (f64, f64) = (74.0, 14.0);
const TOP: f64 = 30.0;
const BOTTOM: f64 = 46.0;

/// One curve of a panel.
#[derive(Debug)]
pub struct Curve {
    /// Class of the line; empty: none.
    pub class: &'static str,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper ends around the points; empty: none.
    pub interval: Vec<(f64, f64)>,
    /// Number of the marker; `None`: a line only.
    pub marker: Option<usize>,
}

impl Curve {
    /// A line.
    pub fn line(class: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { class, points, interval: Vec::new(), marker: None }
    }
}

/// One plot.
#[derive(Debug)]
pub struct Panel {
    /// Stands above it.
    pub title: String,
    /// What it shows.
    pub curves: Vec<Curve>,
}

/// Axes of all panels of a figure.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    /// Label of the x axis.
    pub x: &'a str,
    /// Label of the y axis.
    pub y: &'a str,
    /// Which of x and y are logarithmic.
    pub log: (bool, bool),
    /// Panels beside each other.
    pub across: usize,
    /// Height of a plot.
    pub height: f64,
    /// Decades that a logarithmic y axis shows at most, from the top.
    pub decades: f64,
    /// Names of line classes.
    pub key: &'a [(&'a str, &'a str)],
}

/// Draws panels on common axes; `None` where nothing can be drawn.
pub fn figure(panels: &[Panel], axes: Axes<'_>, description: &str) -> Option<String> {
    let curves = || panels.iter().flat_map(|panel| &panel.curves);
    let good = |(x, y): &(f64, f64)| {
        x.is_finite() && y.is_finite() && (!axes.log.0 || *x > 0.0) && (!axes.log.1 || *y > 0.0)
    };
    let all: Vec<(f64, f64)> =
        curves().flat_map(|curve| &curve.points).copied().filter(|point| good(point)).collect();
    if all.is_empty() {
        return None;
    }
    let range = |of: fn(&(f64, f64)) -> f64| {
        all.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let (xs, mut ys) = (range(|p| p.0), range(|p| p.1));
    if axes.log.1 {
        ys.0 = ys.0.max(ys.1 * 10_f64.powf(-axes.decades));
        ys = (ys.0 / 1.4, ys.1 * 1.4);
    } else {
        let room = 0.06 * (ys.1 - ys.0);
        ys = (ys.0 - room, ys.1 + room);
    }
    let column = WIDTH / axes.across as f64;
    let row = TOP + axes.height + BOTTOM;
    let rows = panels.len().div_ceil(axes.across);
    let legend = if axes.key.is_empty() { 0.0 } else { 26.0 };
    let mut svg = Svg::new(WIDTH, rows as f64 * row + legend);
    let scale = |log: bool, values, positions| {
        if log { Scale::log(values, positions) } else { Scale::linear(values, positions) }
    };
    for (index, panel) in panels.iter().enumerate() {
        let left = (index % axes.across) as f64 * column + MARGIN.0;
        let right = (index % axes.across + 1) as f64 * column - MARGIN.1;
        let top = legend + (index / axes.across) as f64 * row + TOP;
        let bottom = top + axes.height;
        let x = scale(axes.log.0, xs, (left, right));
        let y = scale(axes.log.1, ys, (bottom, top));
        frame(&mut svg, &x, &y, (left, right));
        svg.text("panel", (left, top - 8.0), Anchor::Start, &panel.title);
        svg.text("label", (f64::midpoint(left, right), bottom + 36.0), Anchor::Middle, axes.x);
        let middle = (left - 60.0, f64::midpoint(top, bottom));
        svg.upright("label", middle, Anchor::Middle, axes.y);
        for curve in &panel.curves {
            draw(&mut svg, curve, &x, &y, |point| good(point) && point.1 >= ys.0);
        }
    }
    let mut at = MARGIN.0;
    for (class, name) in axes.key {
        svg.line(class, (at, 14.0), (at + 24.0, 14.0));
        svg.text("key", (at + 30.0, 18.0), Anchor::Start, name);
        at += 60.0 + 7.0 * name.chars().count() as f64;
    }
    Some(svg.finish(description))
}

/// Frame, grid and ticks.
fn frame(svg: &mut Svg, x: &Scale, y: &Scale, across: (f64, f64)) {
    let (bottom, top) = y.ends();
    let thin = |ticks: Vec<f64>, most: usize| {
        let step = ticks.len().div_ceil(most).max(1);
        ticks.into_iter().step_by(step).collect::<Vec<_>>()
    };
    for tick in thin(y.ticks(), 7) {
        let at = y.at(tick);
        svg.line("grid", (across.0, at), (across.1, at));
        svg.text("tick", (across.0 - 7.0, at + 3.8), Anchor::End, &power_label(tick));
    }
    let room = ((across.1 - across.0) / 52.0) as usize;
    for tick in thin(x.ticks(), room.min(8)) {
        let at = x.at(tick);
        svg.line("grid", (at, top), (at, bottom));
        svg.text("tick", (at, bottom + 17.0), Anchor::Middle, &power_label(tick));
    }
    svg.rect("frame", (across.0, top), (across.1 - across.0, bottom - top));
}

fn draw(svg: &mut Svg, curve: &Curve, x: &Scale, y: &Scale, good: impl Fn(&(f64, f64)) -> bool) {
    let place = |(a, b): (f64, f64)| (x.at(a), y.at(b));
    if curve.interval.len() == curve.points.len() {
        let ends = || curve.points.iter().zip(&curve.interval);
        // Where it leaves the plot the scale cuts it.
        let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        let low = ends().map(|(point, ends)| (point.0, ends.0)).filter(finite).map(place);
        let high = ends().map(|(point, ends)| (point.0, ends.1)).filter(finite).map(place);
        let mut outline: Vec<(f64, f64)> = low.collect();
        let mut back: Vec<(f64, f64)> = high.collect();
        back.reverse();
        outline.extend(back);
        if outline.len() > 2 {
            svg.area("interval", &outline);
        }
    }
    let points: Vec<(f64, f64)> =
        curve.points.iter().filter(|point| good(point)).map(|point| place(*point)).collect();
    if points.len() > 1 && !curve.class.is_empty() {
        svg.polyline(curve.class, &points);
    }
    if let Some(marker) = curve.marker {
        for (at, point) in points.iter().zip(curve.points.iter().filter(|point| good(point))) {
            let tip = format!("{}, {}", crate::text::digits(point.0), crate::text::digits(point.1));
            svg.marker(marker, *at, &tip);
        }
    }
}
