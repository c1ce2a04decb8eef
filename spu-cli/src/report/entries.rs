//! Every entry of the inverse as each copy sees it, with its interval.

use super::chart::{axes, key};
use super::scale::{Scale, label};
use super::svg::{Anchor, Svg, copy_class};
use crate::text::digits;
use crate::verb::invert_view::InvertAnswer;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 985.0;
/// Most entries that are told apart.
const MOST: usize = 48;
/// Top and bottom of the upper and lower plot.
const VALUES: (f64, f64) = (34.0, 300.0);
const DIFFERENCES: (f64, f64) = (330.0, 510.0);
const HEIGHT: f64 = 572.0;

/// The figure, and how many of the entries it shows.
pub(super) fn figure(answer: &InvertAnswer) -> (String, usize) {
    let entries = chosen(&answer.digital_reference);
    let reference = |(i, j): (usize, usize)| answer.digital_reference[i][j];
    // An outlier does not stretch the axes.
    let used = || answer.results().filter(|(copy, _)| !answer.outliers.contains(copy));
    let intervals = || {
        used().flat_map(|(_, result)| {
            entries
                .iter()
                .map(|&(i, j)| (reference((i, j)), result.inverse[i][j], result.half_widths[i][j]))
        })
    };
    let values = range(intervals().flat_map(|(r, x, w)| [r, x - w, x + w]).chain([0.0]));
    let differences = range(intervals().flat_map(|(r, x, w)| [x - w - r, x + w - r]).chain([0.0]));
    let upper = Scale::linear(values, (VALUES.1, VALUES.0));
    let lower = Scale::linear(differences, (DIFFERENCES.1, DIFFERENCES.0));
    let slot = (RIGHT - LEFT) / entries.len() as f64;
    let mut svg = Svg::new(WIDTH, HEIGHT);
    for index in (1..entries.len()).step_by(2) {
        for (top, bottom) in [VALUES, DIFFERENCES] {
            let corner = (LEFT + index as f64 * slot, top);
            svg.rect("band", corner, (slot, bottom - top));
        }
    }
    axes(&mut svg, None, &upper, (LEFT, RIGHT), label);
    axes(&mut svg, None, &lower, (LEFT, RIGHT), label);
    svg.line("zero", (LEFT, lower.at(0.0)), (RIGHT, lower.at(0.0)));

    let copies: Vec<usize> = answer.results().map(|(copy, _)| copy).collect();
    for (index, &(i, j)) in entries.iter().enumerate() {
        let left = LEFT + index as f64 * slot;
        let at = upper.at(reference((i, j)));
        svg.line("reference", (left + 0.06 * slot, at), (left + 0.94 * slot, at));
        for (place, (copy, result)) in answer.results().enumerate() {
            let x = left + slot * (place as f64 + 1.0) / (copies.len() as f64 + 1.0);
            let (value, width) = (result.inverse[i][j], result.half_widths[i][j]);
            if !value.is_finite() || !width.is_finite() {
                continue;
            }
            let tip = format!(
                "copy {copy}, ({i}, {j}): {} ± {}, reference {}",
                digits(value),
                digits(width),
                digits(reference((i, j)))
            );
            let mut interval = |scale: &Scale, (low, high): (f64, f64), value: f64| {
                if !(low..=high).contains(&value) {
                    return;
                }
                let class = format!("curve {}", copy_class(copy));
                svg.line(&class, (x, scale.at(value - width)), (x, scale.at(value + width)));
                svg.marker(copy, (x, scale.at(value)), &tip);
            };
            interval(&upper, values, value);
            interval(&lower, differences, value - reference((i, j)));
        }
        let name = format!("{i}, {j}");
        svg.upright("index", (left + slot / 2.0 + 3.0, DIFFERENCES.1 + 7.0), Anchor::End, &name);
    }
    let at = key(&mut svg, &copies, (LEFT + 6.0, 20.0));
    svg.line("reference", (at, 16.0), (at + 24.0, 16.0));
    svg.text("key", (at + 30.0, 20.0), Anchor::Start, "digital reference");
    for ((top, bottom), name) in [(VALUES, "entry of A⁻¹"), (DIFFERENCES, "less the reference")]
    {
        svg.upright("label", (14.0, f64::midpoint(top, bottom)), Anchor::Middle, name);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    svg.text("label", (middle, HEIGHT - 8.0), Anchor::Middle, "row, column of the entry");
    (svg.finish("Entries of the inverse by copy, with intervals"), entries.len())
}

/// The entries on and above the diagonal, largest reference first; of too many, some of each size.
fn chosen(reference: &[Vec<f64>]) -> Vec<(usize, usize)> {
    let n = reference.len();
    let mut all: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    all.sort_by(|a, b| reference[b.0][b.1].total_cmp(&reference[a.0][a.1]));
    if all.len() <= MOST {
        return all;
    }
    (0..MOST).map(|k| all[k * (all.len() - 1) / (MOST - 1)]).collect()
}

/// Smallest and largest value, with some room.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|x| x.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let room = 0.06 * (high - low);
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_sorted_and_limited() {
        let small = vec![vec![1.0, 3.0], vec![3.0, 2.0]];
        assert_eq!(chosen(&small), [(0, 1), (1, 1), (0, 0)]);
        let n = 20;
        let large: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| -f64::from(i * j)).collect()).collect();
        let entries = chosen(&large);
        assert_eq!(entries.len(), MOST);
        assert_eq!(entries[MOST - 1], (19, 19));
    }
}
