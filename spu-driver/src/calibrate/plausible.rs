//! Whether what was measured can be a good board of its profile.

use spu_protocol::code::full_scale_code;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use super::FALSE_ALARM;
use super::findings::Finding;
use super::global::{Nominal, Solution};
use super::local::Fit;
use super::measure::Programming;
use crate::device::{BoardInfo, pair_index};
use crate::spd::Cholesky;

/// An element is stuck if less than this part of it switches.
const STUCK: f64 = 0.5;
/// An element can be judged if it is measured to this part of its nominal value.
const JUDGED: f64 = 0.1;
/// Largest rms of what a fit leaves over, as a part of the converters' range.
const RESIDUE: f64 = 1e-3;

/// Deviation from the mean, in standard deviations, that one of `count` good values exceeds with a
/// probability of [`FALSE_ALARM`].
pub(super) fn limit(count: usize) -> f64 {
    Normal::new(0.0, 1.0)
        .map_or(6.0, |law| law.inverse_cdf(1.0 - 0.5 * FALSE_ALARM / count.max(1) as f64))
}

/// Settings whose responses are not those of coupled cells.
pub(super) fn misfits(fits: &[Fit], info: &BoardInfo) -> Vec<Finding> {
    let full = f64::from(full_scale_code(info.raw.adc_bits));
    let most = 1.0 + (RESIDUE * full).powi(2);
    fits.iter()
        .enumerate()
        .filter(|(_, fit)| fit.variance().is_nan() || fit.variance() > most)
        .map(|(setting, fit)| Finding::Misfit {
            setting: Some(setting),
            excess: fit.variance() / most,
        })
        .collect()
}

/// Elements of coupling banks that do not follow their switches, by a regression of each pair's
/// capacitance over the settings.
pub(super) fn stuck_couplings(
    nominal: &Nominal,
    programmings: &[Programming],
    fits: &[Fit],
) -> Vec<Finding> {
    let n = nominal.layout.n;
    let mut findings = Vec::new();
    for i in 0..n {
        for j in i + 1..n {
            let index = pair_index(n, i, j);
            let bank = &nominal.model.couplings[index];
            let codes: Vec<i16> = programmings.iter().map(|p| p.couplings[index]).collect();
            let values: Vec<f64> = codes
                .iter()
                .zip(fits)
                .map(|(code, fit)| {
                    let sign = if *code < 0 { 1.0 } else { -1.0 };
                    // In the gauge of nominal inductors.
                    let lambda: f64 = fit.local.lambda[..n].iter().sum::<f64>() / n as f64;
                    let gauge = nominal.lambda() / lambda;
                    sign * fit.local.c[i][j] * nominal.farad() * gauge
                })
                .collect();
            let Some(regression) = regress(&codes, &values, bank.len()) else { continue };
            for (bit, farad) in bank.iter().enumerate() {
                let (value, sigma) = regression[bit];
                if value < STUCK * farad && sigma < JUDGED * farad {
                    let constant = regression[bank.len()].0;
                    let on = constant > STUCK * farad;
                    findings.push(Finding::StuckCoupling { i, j, bit, on });
                }
            }
        }
    }
    findings
}

/// Least squares of values over the bits of codes and a constant, with standard deviations by the
/// scatter.
fn regress(codes: &[i16], values: &[f64], bits: usize) -> Option<Vec<(f64, f64)>> {
    let size = bits + 1;
    let on = |code: i16, k: usize| k == bits || code.unsigned_abs() >> k & 1 == 1;
    let mut normal = vec![0.0; size * size];
    let mut right = vec![0.0; size];
    for (code, value) in codes.iter().zip(values) {
        for a in (0..size).filter(|a| on(*code, *a)) {
            right[a] += value;
            for b in (0..size).filter(|b| on(*code, *b)) {
                normal[a * size + b] += 1.0;
            }
        }
    }
    let factor = Cholesky::new(&normal, size)?;
    factor.solve(&mut right);
    let squares: f64 = codes
        .iter()
        .zip(values)
        .map(|(code, value)| {
            let fitted: f64 = (0..size).filter(|k| on(*code, *k)).map(|k| right[k]).sum();
            (value - fitted).powi(2)
        })
        .sum();
    let variance = squares / codes.len().saturating_sub(size).max(1) as f64;
    let inverse = factor.inverse();
    Some((0..size).map(|k| (right[k], (variance * inverse[k * size + k]).sqrt())).collect())
}

/// Elements of self-term banks that do not follow their switches.
pub(super) fn stuck_selves(nominal: &Nominal, solution: &Solution) -> Vec<Finding> {
    let layout = nominal.layout;
    let mut findings = Vec::new();
    for cell in 0..layout.n {
        for (bit, farad) in nominal.model.selves[cell].iter().enumerate() {
            let at = layout.element(cell, bit);
            if 1.0 + solution.x[at] < STUCK && solution.sigma(at) < JUDGED {
                let stray = solution.x[layout.stray(cell)] * nominal.lsb;
                findings.push(Finding::StuckSelf { cell, bit, on: stray > STUCK * farad });
            }
        }
    }
    findings
}

/// What values may be: relative to nominal, by the profile's spread and the error of the measurement.
/// In the order of the deviations.
pub(super) fn limits(nominal: &Nominal, info: &BoardInfo, solution: &Solution) -> Vec<(f64, f64)> {
    let layout = nominal.layout;
    let raw = &info.raw;
    let z = limit(layout.count());
    let full = f64::from(full_scale_code(raw.adc_bits));
    let [bank, resistance, inductance, drive, gain] =
        [raw.bank_spread, raw.r_spread, raw.l_spread, raw.drive_spread, raw.adc_gain_spread]
            .map(f64::from);
    // What the gauges take over from the mean of the board.
    let elements = bank * nominal.element_weight();
    let mean_gain = gain / (layout.n as f64).sqrt();
    let spread = |at: usize| -> f64 {
        let cell_of = |first: usize| at >= first && at < first + layout.n;
        let own = if at < layout.elements() {
            bank
        } else if cell_of(layout.conductance(0)) {
            resistance
        } else if cell_of(layout.inverse_l(0)) {
            inductance
        } else if cell_of(layout.drive(0)) {
            drive.hypot(mean_gain)
        } else {
            gain
        };
        own.hypot(elements).hypot(solution.sigma(at))
    };
    (0..layout.count())
        .map(|at| {
            let around = z * spread(at);
            if at >= layout.offset(0) {
                let most = OFFSET * full;
                (-most, most)
            } else if (layout.stray(0)..layout.conductance(0)).contains(&at) {
                let nominal = nominal.model.cells[0].stray_farad / nominal.lsb;
                let error = z * solution.sigma(at);
                (-nominal - error, nominal + error)
            } else if (layout.drive(0)..layout.gain(0)).contains(&at) {
                ((-around).max(WEAK - 1.0), around)
            } else {
                (-around, around)
            }
        })
        .collect()
}

/// Largest plausible offset, as a part of the converters' range: profiles state no spread of it.
const OFFSET: f64 = 0.05;
/// Drive relative to nominal below which a cell counts as defect whatever the spread.
const WEAK: f64 = 0.1;

/// Values beyond their limits.
pub(super) fn implausible(
    nominal: &Nominal,
    info: &BoardInfo,
    solution: &Solution,
) -> Vec<Finding> {
    let layout = nominal.layout;
    let limits = limits(nominal, info, solution);
    let relative_to = |at: usize| {
        f64::from(at < layout.elements() || at >= layout.conductance(0))
            * f64::from(at < layout.offset(0))
    };
    let mut found: Vec<(f64, Finding)> = Vec::new();
    for (at, &(low, high)) in limits.iter().enumerate() {
        let x = solution.x[at];
        if x.is_nan() || x < low || x > high {
            let (what, remedy) = name(nominal, at);
            let one = relative_to(at);
            let finding = Finding::Implausible {
                what,
                value: one + x,
                sigma: solution.sigma(at),
                limits: (one + low, one + high),
                remedy,
            };
            let excess = (x - 0.5 * (low + high)).abs() / (high - low).max(f64::MIN_POSITIVE);
            found.push((excess, finding));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// What a deviation is of, and what to do where it is too large.
fn name(nominal: &Nominal, at: usize) -> (String, &'static str) {
    let layout = nominal.layout;
    if at < layout.coupling(0, 0) {
        let (cell, bit) = (at / layout.self_bits, at % layout.self_bits);
        return (
            format!("element {bit} of the self-term bank of cell {cell}, over nominal,"),
            "check this capacitor and its switch",
        );
    }
    if at < layout.elements() {
        let at = at - layout.coupling(0, 0);
        let (index, bit) = (at / layout.coupling_bits, at % layout.coupling_bits);
        let (i, j) = cells_of(layout.n, index);
        return (
            format!("element {bit} of the coupling bank of cells {i} and {j}, over nominal,"),
            "check this capacitor and its switch",
        );
    }
    let (class, cell) = ((at - layout.elements()) / layout.n, (at - layout.elements()) % layout.n);
    let (what, remedy) = [
        ("stray capacitance, in self-term LSB less nominal,", "check the cell for a stuck switch"),
        ("conductance 1/R, over nominal,", "check its resistor"),
        ("inverse inductance 1/L, over nominal,", "check its inductor"),
        ("drive gain, over nominal,", "check its DAC and output stage"),
        ("ADC gain, over nominal,", "check its amplifier and reference"),
        ("ADC offset, in codes,", "check its amplifier and reference"),
    ][class.min(5)];
    (format!("cell {cell}: the {what}"), remedy)
}

/// The cells of a pair by its index.
pub(super) fn cells_of(n: usize, index: usize) -> (usize, usize) {
    (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
        .find(|&(i, j)| pair_index(n, i, j) == index)
        .unwrap_or((0, 0))
}

/// Settings that do not agree with the common values.
pub(super) fn disagreements(solution: &Solution) -> Vec<Finding> {
    if solution.p_value() >= FALSE_ALARM {
        return Vec::new();
    }
    let sum: f64 = solution.chi2.iter().sum();
    vec![Finding::Misfit { setting: None, excess: sum / solution.freedom as f64 }]
}

impl Solution {
    /// Standard deviation of a deviation.
    pub(super) fn sigma(&self, at: usize) -> f64 {
        self.covariance[at * self.x.len() + at].max(0.0).sqrt()
    }

    /// Probability of so much disagreement between the settings by chance.
    pub(super) fn p_value(&self) -> f64 {
        let sum: f64 = self.chi2.iter().sum();
        ChiSquared::new(self.freedom as f64).map_or(0.0, |law| law.sf(sum))
    }
}
