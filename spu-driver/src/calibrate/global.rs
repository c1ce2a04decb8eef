//! The values of a board from the fits of all programmings: generalised least squares, each fit
//! weighted by its information.
//!
//! Values are counted as relative deviations from nominal, except stray capacitances (in LSB of the
//! self-term banks) and offsets (in codes). Two common factors cannot be seen in codes, and are set so
//! that what they scale is nominal on average:
//!
//! - the volt: all converter gains, against capacitances, conductances and drive. The mean gain is
//!   the nominal one.
//! - the impedance: all capacitances, conductances, inverse inductances and drives. The sum of all bank
//!   elements is the nominal one.

use super::local::{Fit, pair};
use super::measure::Programming;
use super::response::Local;
use crate::board_model::{BoardModel, CellValues};
use crate::device::{BoardInfo, pair_index};
use crate::spd::{Cholesky, dot};

/// Standard deviation to which the gauges are held.
const GAUGE: f64 = 1e-7;

/// Where each value is in a vector of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) n: usize,
    pub(crate) self_bits: usize,
    pub(crate) coupling_bits: usize,
}

impl Layout {
    pub(crate) fn of(info: &BoardInfo) -> Self {
        Self {
            n: info.cells,
            self_bits: usize::from(info.raw.self_bits),
            coupling_bits: usize::from(info.raw.coupling_bits),
        }
    }

    fn pairs(self) -> usize {
        self.n * (self.n - 1) / 2
    }

    pub(crate) fn element(self, cell: usize, bit: usize) -> usize {
        cell * self.self_bits + bit
    }

    pub(crate) fn coupling(self, pair: usize, bit: usize) -> usize {
        self.n * self.self_bits + pair * self.coupling_bits + bit
    }

    /// All bank elements come first.
    pub(crate) fn elements(self) -> usize {
        self.n * self.self_bits + self.pairs() * self.coupling_bits
    }

    pub(crate) fn stray(self, cell: usize) -> usize {
        self.elements() + cell
    }

    pub(crate) fn conductance(self, cell: usize) -> usize {
        self.elements() + self.n + cell
    }

    pub(crate) fn inverse_l(self, cell: usize) -> usize {
        self.elements() + 2 * self.n + cell
    }

    pub(crate) fn drive(self, cell: usize) -> usize {
        self.elements() + 3 * self.n + cell
    }

    pub(crate) fn gain(self, cell: usize) -> usize {
        self.elements() + 4 * self.n + cell
    }

    pub(crate) fn offset(self, cell: usize) -> usize {
        self.elements() + 5 * self.n + cell
    }

    pub(crate) fn count(self) -> usize {
        self.elements() + 6 * self.n
    }
}

/// The nominal board, from which deviations are counted.
#[derive(Debug, Clone)]
pub(super) struct Nominal {
    pub(super) layout: Layout,
    pub(super) model: BoardModel,
    /// LSB of the self-term banks, in farads.
    pub(super) lsb: f64,
}

impl Nominal {
    pub(super) fn of(info: &BoardInfo) -> Self {
        Self {
            layout: Layout::of(info),
            model: BoardModel::nominal(info),
            lsb: f64::from(info.raw.self_lsb_farad),
        }
    }

    fn cell(&self) -> &CellValues {
        &self.model.cells[0]
    }

    /// λ of a nominal cell.
    pub(super) fn lambda(&self) -> f64 {
        self.cell().r_ohm * self.model.period_s / self.cell().l_henry
    }

    /// Length of the gauge of the bank elements: the spread of their sum over that of one.
    pub(super) fn element_weight(&self) -> f64 {
        let [elements, _] = self.gauges();
        dot(&elements, &elements).sqrt()
    }

    /// Unit of capacitance in the responses, in farads.
    pub(super) fn farad(&self) -> f64 {
        self.model.period_s / self.cell().r_ohm
    }

    /// The board with these deviations.
    pub(super) fn model(&self, x: &[f64]) -> BoardModel {
        let layout = self.layout;
        let mut model = self.model.clone();
        for i in 0..layout.n {
            for (bit, farad) in model.selves[i].iter_mut().enumerate() {
                *farad *= 1.0 + x[layout.element(i, bit)];
            }
            let cell = &mut model.cells[i];
            cell.r_ohm /= 1.0 + x[layout.conductance(i)];
            cell.l_henry /= 1.0 + x[layout.inverse_l(i)];
            cell.stray_farad += self.lsb * x[layout.stray(i)];
            cell.drive_ampere *= 1.0 + x[layout.drive(i)];
            cell.adc_gain *= 1.0 + x[layout.gain(i)];
            cell.adc_offset += x[layout.offset(i)];
        }
        for (pair, bank) in model.couplings.iter_mut().enumerate() {
            for (bit, farad) in bank.iter_mut().enumerate() {
                *farad *= 1.0 + x[layout.coupling(pair, bit)];
            }
        }
        model
    }

    /// A board's values in the units of its codes, at one programming.
    pub(super) fn local(&self, model: &BoardModel, programming: &Programming) -> Local {
        let n = self.layout.n;
        let nominal = self.cell();
        let c = model.capacitance(&programming.selves, &programming.couplings);
        let mut local = Local::new(n);
        let gain = |i: usize| nominal.adc_gain / model.cells[i].adc_gain;
        for i in 0..n {
            let (cell, gain_i) = (&model.cells[i], gain(i));
            for j in 0..n {
                local.c[i][j] = c[[i, j]] / self.farad() * gain_i * gain(j);
            }
            local.gamma[i] = nominal.r_ohm / cell.r_ohm * gain_i * gain_i;
            local.lambda[i] = nominal.r_ohm * model.period_s / cell.l_henry * gain_i * gain_i;
            local.drive[i] = cell.drive_ampere * nominal.r_ohm * nominal.adc_gain * gain_i;
            local.offset[i] = cell.adc_offset;
        }
        local
    }

    /// What each deviation changes in the parameters of one programming: pairs of index and
    /// derivative.
    pub(super) fn derivatives(
        &self,
        x: &[f64],
        local: &Local,
        programming: &Programming,
    ) -> Vec<Vec<(usize, f64)>> {
        let layout = self.layout;
        let n = layout.n;
        let pairs = n * (n + 1) / 2;
        let inverse = |i: usize| 1.0 / (1.0 + x[layout.gain(i)]);
        let farads =
            |i: usize, j: usize, farad: f64| farad / self.farad() * inverse(i) * inverse(j);
        let mut all = vec![Vec::new(); layout.count()];
        for i in 0..n {
            for (bit, farad) in self.model.selves[i].iter().enumerate() {
                if programming.selves[i].unsigned_abs() >> bit & 1 == 1 {
                    all[layout.element(i, bit)].push((pair(n, i, i), farads(i, i, *farad)));
                }
            }
            for j in i + 1..n {
                let index = pair_index(n, i, j);
                let code = programming.couplings[index];
                for (bit, farad) in self.model.couplings[index].iter().enumerate() {
                    if code.unsigned_abs() >> bit & 1 == 1 {
                        let sign = if code < 0 { 1.0 } else { -1.0 };
                        all[layout.coupling(index, bit)].extend([
                            (pair(n, i, i), farads(i, i, *farad)),
                            (pair(n, j, j), farads(j, j, *farad)),
                            (pair(n, i, j), sign * farads(i, j, *farad)),
                        ]);
                    }
                }
            }
            all[layout.stray(i)].push((pair(n, i, i), farads(i, i, self.lsb)));
            let relative = |deviation: usize| 1.0 / (1.0 + x[deviation]);
            let (gamma, lambda, drive) = (pairs + i, pairs + n + i, pairs + 2 * n + i);
            let conductance = layout.conductance(i);
            all[conductance].push((gamma, local.gamma[i] * relative(conductance)));
            let inverse_l = layout.inverse_l(i);
            all[inverse_l].push((lambda, local.lambda[i] * relative(inverse_l)));
            let current = layout.drive(i);
            all[current].push((drive, local.drive[i] * relative(current)));
            all[layout.offset(i)].push((pairs + 3 * n + i, 1.0));
            let of_gain = &mut all[layout.gain(i)];
            for j in 0..n {
                let times = if i == j { 2.0 } else { 1.0 };
                of_gain.push((pair(n, i, j), -times * local.c[i][j] * inverse(i)));
            }
            of_gain.push((gamma, -2.0 * local.gamma[i] * inverse(i)));
            of_gain.push((lambda, -2.0 * local.lambda[i] * inverse(i)));
            of_gain.push((drive, -local.drive[i] * inverse(i)));
        }
        all
    }

    /// Weights of the two gauges: what is 0 on average.
    fn gauges(&self) -> [Vec<f64>; 2] {
        let layout = self.layout;
        let mut elements = vec![0.0; layout.count()];
        let mut gains = vec![0.0; layout.count()];
        for i in 0..layout.n {
            for (bit, farad) in self.model.selves[i].iter().enumerate() {
                elements[layout.element(i, bit)] = *farad;
            }
            gains[layout.gain(i)] = 1.0 / layout.n as f64;
        }
        for (index, bank) in self.model.couplings.iter().enumerate() {
            for (bit, farad) in bank.iter().enumerate() {
                elements[layout.coupling(index, bit)] = *farad;
            }
        }
        let sum: f64 = elements.iter().sum();
        for weight in &mut elements {
            *weight /= sum;
        }
        [elements, gains]
    }
}

/// The values of a board and how well they are known.
#[derive(Debug, Clone)]
pub(super) struct Solution {
    /// Deviations.
    pub(super) x: Vec<f64>,
    /// Their covariance, row-major.
    pub(super) covariance: Vec<f64>,
    /// Disagreement of each programming with the common values.
    pub(super) chi2: Vec<f64>,
    /// Degrees of freedom of their sum.
    pub(super) freedom: usize,
}

/// Combines fits. `variance` is that of a sample, in codes². `None` if some value is not determined.
pub(super) fn combine(
    nominal: &Nominal,
    programmings: &[Programming],
    fits: &[Fit],
    variance: f64,
) -> Option<Solution> {
    const ITERATIONS: usize = 12;
    let layout = nominal.layout;
    let count = layout.count();
    let gauges = nominal.gauges();
    let mut x = vec![0.0; count];
    for i in 0..layout.n {
        let sum: f64 = fits.iter().map(|fit| fit.local.offset[i]).sum();
        x[layout.offset(i)] = sum / fits.len() as f64;
    }
    let mut solution = None;
    for iteration in 0..ITERATIONS {
        let model = nominal.model(&x);
        let mut information = vec![0.0; count * count];
        let mut gradient = vec![0.0; count];
        let mut chi2 = Vec::with_capacity(fits.len());
        for (programming, fit) in programmings.iter().zip(fits) {
            let local = nominal.local(&model, programming);
            let derivatives = nominal.derivatives(&x, &local, programming);
            chi2.push(add(&mut information, &mut gradient, fit, &local, &derivatives, variance));
        }
        for gauge in &gauges {
            let off = dot(gauge, &x);
            for a in (0..count).filter(|a| gauge[*a] != 0.0) {
                for b in (0..=a).filter(|b| gauge[*b] != 0.0) {
                    information[a * count + b] += gauge[a] * gauge[b] / (GAUGE * GAUGE);
                }
                gradient[a] -= gauge[a] * off / (GAUGE * GAUGE);
            }
        }
        let factor = Cholesky::new(&information, count)?;
        let mut step = gradient.clone();
        factor.solve(&mut step);
        let gain = dot(&step, &gradient);
        for (x, step) in x.iter_mut().zip(&step) {
            *x += step;
        }
        if gain < 1e-6 || iteration + 1 == ITERATIONS {
            let local_parameters = layout.n * (layout.n + 1) / 2 + 4 * layout.n - 1;
            let freedom = (fits.len() * local_parameters).saturating_sub(count - 2);
            solution = Some(Solution { x, covariance: factor.inverse(), chi2, freedom });
            break;
        }
    }
    solution
}

/// Adds the information of one fit (lower triangle); returns its disagreement with `local`.
fn add(
    information: &mut [f64],
    gradient: &mut [f64],
    fit: &Fit,
    local: &Local,
    derivatives: &[Vec<(usize, f64)>],
    variance: f64,
) -> f64 {
    let size = fit.local.count();
    let count = derivatives.len();
    // The fit in the gauge of the model.
    let n = fit.local.n;
    let sum = |values: &super::response::Lanes| values[..n].iter().sum::<f64>();
    let factor = sum(&local.lambda) / sum(&fit.local.lambda);
    let there = fit.local.scaled(factor).to_vec();
    let offsets = size - n;
    let scale = |k: usize| if k < offsets { 1.0 / factor } else { 1.0 };
    let entry = |k: usize, l: usize| fit.information[k * size + l] * scale(k) * scale(l) / variance;
    let residual: Vec<f64> = there.iter().zip(local.to_vec()).map(|(a, b)| a - b).collect();
    let pull: Vec<f64> =
        (0..size).map(|k| (0..size).map(|l| entry(k, l) * residual[l]).sum()).collect();
    for (b, column) in derivatives.iter().enumerate().filter(|(_, column)| !column.is_empty()) {
        let mut product = vec![0.0; size];
        for &(l, value) in column {
            for (k, product) in product.iter_mut().enumerate() {
                *product += entry(k, l) * value;
            }
            gradient[b] += pull[l] * value;
        }
        for (a, row) in derivatives.iter().enumerate().skip(b) {
            let sum: f64 = row.iter().map(|&(k, value)| value * product[k]).sum();
            information[a * count + b] += sum;
        }
    }
    dot(&residual, &pull)
}
