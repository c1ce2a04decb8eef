//! How long a step response is worth following, and how finely.

use super::local::pair;
use super::response::{Local, Schedule, responses};
use crate::linalg::symmetric_eigen;
use crate::model::CellModel;

/// A block is at most this part of the period of the fastest mode that is left.
const BLOCK: f64 = 1.0 / 12.0;
/// A mode is gone when this part of it is left.
const GONE: f64 = 1e-3;
/// Responses are followed until nothing is above this many codes: below, the rounding errors of
/// successive samples are no longer independent.
pub(super) const FLOOR: f64 = 60.0;

/// The schedule of at most this many ticks for responses with these nominal values. `peak` is the
/// largest code that steps are to reach.
pub(super) fn schedule(
    local: &Local,
    capacitance: &ndarray::Array2<f64>,
    cell: &CellModel,
    most: usize,
    peak: f64,
) -> Option<Schedule> {
    let all = within(capacitance, cell, most);
    let unit = responses(local, &all)?;
    let pairs = local.pairs();
    let mut highest = vec![0.0_f64; local.n];
    let largest = |block: usize, input: usize| {
        (0..local.n)
            .map(|i| unit[block * pairs + pair(local.n, i, input)].abs())
            .fold(0.0, f64::max)
    };
    for block in 0..all.blocks() {
        for (input, highest) in highest.iter_mut().enumerate() {
            *highest = highest.max(largest(block, input));
        }
    }
    let (mut at, mut end) = (0, 0);
    for (block, length) in all.lengths().enumerate() {
        at += length;
        let above = (0..local.n).any(|j| largest(block, j) * peak > FLOOR * highest[j]);
        if above {
            end = at;
        }
    }
    Some(all.first(end.max(24)))
}

/// The blocks of so many ticks.
pub(super) fn within(
    capacitance: &ndarray::Array2<f64>,
    cell: &CellModel,
    ticks: usize,
) -> Schedule {
    let modes: Vec<_> = symmetric_eigen(capacitance).0.iter().map(|c| cell.mode(*c)).collect();
    let h = cell.period_s;
    Schedule::new(ticks, |tick| {
        let fastest = modes
            .iter()
            .filter(|mode| libm::exp(-mode.slowest_rate() * h * tick as f64) > GONE)
            .map(|mode| mode.frequency_hz() * h)
            .fold(0.0, f64::max);
        if fastest > 0.0 { (BLOCK / fastest) as usize } else { 64 }
    })
}
