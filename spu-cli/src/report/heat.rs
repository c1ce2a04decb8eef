//! Heat maps of matrices, with one diverging colour scale for all of a figure.

use super::scale::{label, nice};
use super::svg::{Anchor, Svg};

const WIDTH: f64 = 1000.0;
/// Panels beside each other.
const ACROSS: usize = 5;
const PANEL: f64 = 172.0;
const GAP: f64 = (WIDTH - ACROSS as f64 * PANEL) / (ACROSS - 1) as f64;
const TITLE: f64 = 34.0;
const ROW: f64 = PANEL + TITLE + 18.0;

/// Stops of the scale from −1 to 1, colour-blind safe: blue, white, red (Brewer's scale).
const STOPS: [[f64; 3]; 7] = [
    [5.0, 48.0, 97.0],
    [33.0, 102.0, 172.0],
    [146.0, 197.0, 222.0],
    [247.0, 247.0, 247.0],
    [244.0, 165.0, 130.0],
    [178.0, 24.0, 43.0],
    [103.0, 0.0, 31.0],
];

/// A matrix with its title.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) values: Vec<Vec<f64>>,
    /// Does not count for the range of the scale.
    pub(super) outlier: bool,
}

/// Rows of panels on one colour scale.
pub(super) fn figure(rows: &[Vec<Panel>], quantity: &str, description: &str) -> String {
    let largest = rows
        .iter()
        .flatten()
        .filter(|panel| !panel.outlier)
        .flat_map(|panel| panel.values.iter().flatten())
        .filter(|x| x.is_finite())
        .fold(0.0, |m: f64, x| m.max(x.abs()));
    let limit = nice_limit(largest);
    let lines: Vec<&[Panel]> = rows.iter().flat_map(|row| row.chunks(ACROSS)).collect();
    let height = lines.len() as f64 * ROW + 44.0;
    let mut svg = Svg::new(WIDTH, height);
    for (line, panels) in lines.iter().enumerate() {
        for (column, panel) in panels.iter().enumerate() {
            let corner = (column as f64 * (PANEL + GAP), line as f64 * ROW + TITLE);
            draw(&mut svg, panel, corner, limit);
        }
    }
    legend(&mut svg, height - 40.0, limit, quantity);
    svg.finish(description)
}

/// A round number that is not much larger.
fn nice_limit(largest: f64) -> f64 {
    let step = nice(largest / 10.0);
    if largest > 0.0 { (largest / step - 1e-9).ceil() * step } else { 1.0 }
}

fn draw(svg: &mut Svg, panel: &Panel, corner: (f64, f64), limit: f64) {
    let n = panel.values.len();
    // Room for row numbers on the left.
    let margin = 16.0;
    let size = (PANEL - margin) / n as f64;
    let (left, top) = (corner.0 + margin, corner.1 + 4.0);
    svg.text("panel", (left, corner.1 - 14.0), Anchor::Start, &panel.title);
    let numbered = |index: usize| n <= 12 || index.is_multiple_of(n.div_ceil(8));
    for (i, row) in panel.values.iter().enumerate() {
        if numbered(i) {
            let middle = (i as f64 + 0.5) * size;
            svg.text("index", (left - 5.0, top + middle + 3.2), Anchor::End, &i.to_string());
            svg.text("index", (left + middle, top - 5.0), Anchor::Middle, &i.to_string());
        }
        for (j, value) in row.iter().enumerate() {
            let at = (left + j as f64 * size, top + i as f64 * size);
            // A little overlap, so that no seams show between cells.
            let tip = format!("({i}, {j}) = {}", crate::text::digits(*value));
            svg.cell(&colour(value / limit), at, size + 0.35, &tip);
        }
    }
    svg.rect("frame", (left, top), (n as f64 * size, n as f64 * size));
}

fn legend(svg: &mut Svg, top: f64, limit: f64, quantity: &str) {
    const STEPS: usize = 120;
    let (left, length) = (16.0, 300.0);
    let step = length / STEPS as f64;
    for k in 0..STEPS {
        let share = (k as f64 + 0.5) / STEPS as f64 * 2.0 - 1.0;
        svg.fill(&colour(share), (left + k as f64 * step, top), (step + 0.3, 11.0));
    }
    svg.rect("frame", (left, top), (length, 11.0));
    for (share, anchor) in [
        (-1.0, Anchor::Start),
        (-0.5, Anchor::Middle),
        (0.0, Anchor::Middle),
        (0.5, Anchor::Middle),
        (1.0, Anchor::End),
    ] {
        let x = left + f64::midpoint(share, 1.0) * length;
        svg.line("axis", (x, top + 11.0), (x, top + 15.0));
        svg.text("tick", (x, top + 27.0), anchor, &label(share * limit));
    }
    svg.text("tick", (left + length + 14.0, top + 10.0), Anchor::Start, quantity);
}

/// The colour of a share of the limit, from −1 to 1; grey where it is no number.
fn colour(share: f64) -> String {
    if share.is_nan() {
        return "#999999".into();
    }
    let position = f64::midpoint(share.clamp(-1.0, 1.0), 1.0) * (STOPS.len() - 1) as f64;
    let index = (position.floor() as usize).min(STOPS.len() - 2);
    let part = position - index as f64;
    let mix = |c: usize| STOPS[index][c] + part * (STOPS[index + 1][c] - STOPS[index][c]);
    let byte = |c: usize| mix(c).round() as u8;
    format!("#{:02x}{:02x}{:02x}", byte(0), byte(1), byte(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_symmetric_about_white() {
        assert_eq!(colour(0.0), "#f7f7f7");
        assert_eq!(colour(-1.0), "#053061");
        assert_eq!(colour(1.0), "#67001f");
        assert_eq!(colour(7.0), colour(1.0));
        assert_eq!(colour(f64::NAN), "#999999");
    }

    #[test]
    fn limits_are_round() {
        assert!((nice_limit(0.83) - 0.9).abs() < 1e-9, "{}", nice_limit(0.83));
        assert!((nice_limit(0.02) - 0.02).abs() < 1e-12);
        assert!((nice_limit(0.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_entry_is_a_cell() {
        let panel =
            |n: usize| Panel { title: "a".into(), values: vec![vec![0.5; n]; n], outlier: false };
        let text = figure(&[vec![panel(3), panel(3)], vec![panel(3)]], "siemens", "test");
        let document = roxmltree::Document::parse(&text).unwrap();
        let tips = document.descendants().filter(|n| n.tag_name().name() == "title").count();
        assert_eq!(tips, 27);
    }
}
