//! The sentinel: one short run that tells whether a board is still what its calibration says.
//!
//! All cells are stepped at once at one bank setting. The response is compared with the calibrated
//! one: changes of drive and offset of each cell are estimated by least squares, each with a standard
//! deviation that holds the rounding of this run and the error of the calibration; what they leave over
//! is compared with the rounding.

use std::time::Duration;

use serde::Serialize;
use spu_protocol::code::full_scale_code;

use super::CalibrateError;
use super::global::{Nominal, Solution};
use super::local::{change, pair};
use super::measure::{Bench, Programming};
use super::plausible::limit;
use super::response::{Local, Schedule, responses};
use super::schedule::within;
use crate::calibration::{Calibration, SentinelRun};
use crate::device::Device;
use crate::error::Error;
use crate::model::CellModel;
use crate::spd::Cholesky;

/// Part of the converters' range that the response fills.
const TARGET: f64 = 0.7;
/// Residual variance of a run over that of the calibration from which on the shape of the responses has
/// changed: by thousands of samples far beyond the false-alarm rate, and room for rounding errors that
/// are not independent.
pub const SHAPE: f64 = 2.0;

/// What a sentinel run says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// True if the board has changed: calibrate again.
    pub drifted: bool,
    /// Relative change of each cell's drive since the calibration.
    pub drive_change: Vec<f64>,
    /// Its standard deviation.
    pub drive_sigma: Vec<f64>,
    /// Change of each cell's ADC offset, in codes.
    pub offset_change: Vec<f64>,
    /// Its standard deviation.
    pub offset_sigma: Vec<f64>,
    /// Largest change in standard deviations; beyond [`limit`](Self::limit) the board has changed.
    pub worst: f64,
    /// Limit of `worst`, at a false-alarm rate of [`FALSE_ALARM`](super::FALSE_ALARM).
    pub limit: f64,
    /// Variance of a sample around the calibrated response with these changes, over that of the
    /// calibration. Above [`SHAPE`] something else has changed: a capacitor, a resistor, an inductor.
    pub residual: f64,
    /// Converters at the end of their range during the run.
    pub saturated: Vec<usize>,
    /// Ticks that the board ran for it.
    pub ticks: u64,
}

impl Verdict {
    /// What has changed, in words: empty unless it [drifted](Self::drifted).
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let beyond = |change: &f64, sigma: &f64| (change / sigma).abs() > self.limit;
        for (cell, (change, sigma)) in self.drive_change.iter().zip(&self.drive_sigma).enumerate() {
            if beyond(change, sigma) {
                let (change, sigma) = (100.0 * change, 100.0 * sigma);
                findings.push(format!("drive of cell {cell} by {change:+.3} ± {sigma:.3} %"));
            }
        }
        for (cell, (change, sigma)) in self.offset_change.iter().zip(&self.offset_sigma).enumerate()
        {
            if beyond(change, sigma) {
                findings.push(format!("offset of cell {cell} by {change:+.2} ± {sigma:.2} codes"));
            }
        }
        if self.residual > SHAPE {
            findings.push(format!(
                "the shape of its responses ({:.1} times the variance): a capacitor, a resistor or an \
                 inductor",
                self.residual
            ));
        }
        findings.extend(
            self.saturated.iter().map(|cell| format!("converter {cell} at the end of its range")),
        );
        findings
    }
}

/// The sensitivities of a run to the changes: block by block, cell by cell, all drives then all offsets.
struct Design {
    n: usize,
    schedule: Schedule,
    unit: Vec<f64>,
    bias: Vec<f64>,
    local: Local,
}

impl Design {
    fn new(local: Local, schedule: Schedule, bias: &[i16]) -> Option<Self> {
        let unit = responses(&local, &schedule)?;
        let bias = bias.iter().map(|code| f64::from(*code)).collect();
        Some(Self { n: local.n, schedule, unit, bias, local })
    }

    /// Response of cell i in a block to the step of cell j.
    fn part(&self, block: usize, i: usize, j: usize) -> f64 {
        let unit = self.unit[block * self.local.pairs() + pair(self.n, i, j)];
        self.bias[j] * self.local.drive[j] * unit
    }

    /// The row of one block and cell.
    fn row(&self, block: usize, i: usize) -> Vec<f64> {
        let mut row: Vec<f64> = (0..self.n).map(|j| self.part(block, i, j)).collect();
        row.extend((0..self.n).map(|k| f64::from(u8::from(k == i))));
        row
    }

    fn predicted(&self, block: usize, i: usize) -> f64 {
        self.local.offset[i] + (0..self.n).map(|j| self.part(block, i, j)).sum::<f64>()
    }

    /// Normal matrix.
    fn normal(&self) -> Vec<f64> {
        let size = 2 * self.n;
        let mut normal = vec![0.0; size * size];
        for (block, length) in self.schedule.lengths().enumerate() {
            for i in 0..self.n {
                let row = self.row(block, i);
                for a in 0..size {
                    for b in 0..size {
                        normal[a * size + b] += length as f64 * row[a] * row[b];
                    }
                }
            }
        }
        normal
    }
}

/// The sentinel run at a bank setting of the calibration.
pub(super) fn design(
    nominal: &Nominal,
    programming: &Programming,
    schedule: &Schedule,
    solution: &Solution,
    variance: f64,
    codes: (u8, u8),
) -> Option<SentinelRun> {
    let (adc_bits, dac_bits) = codes;
    let n = nominal.layout.n;
    let model = nominal.model(&solution.x);
    let local = nominal.local(&model, programming);
    // Signs that differ from neighbour to neighbour keep the responses from being alike.
    let signs: Vec<f64> = (0..n).map(|j| if j % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let unit = responses(&local, schedule)?;
    let pairs = local.pairs();
    let peak = (0..schedule.blocks())
        .flat_map(|block| (0..n).map(move |i| (block, i)))
        .map(|(block, i)| {
            let sum: f64 = (0..n)
                .map(|j| signs[j] * local.drive[j] * unit[block * pairs + pair(n, i, j)])
                .sum();
            sum.abs()
        })
        .fold(0.0, f64::max);
    let height = (TARGET * f64::from(full_scale_code(adc_bits)) / peak)
        .min(f64::from(full_scale_code(dac_bits)));
    let bias: Vec<i16> = signs.iter().map(|sign| (sign * height).round() as i16).collect();
    let design = Design::new(local, schedule.clone(), &bias)?;
    let sigma = sigmas(&design, nominal, solution, programming, variance)?;
    Some(SentinelRun {
        self_codes: programming.selves.clone(),
        coupling_codes: programming.couplings.clone(),
        bias_codes: bias,
        ticks: schedule.ticks() as u64,
        drive_sigma: sigma[..n].to_vec(),
        offset_sigma: sigma[n..].to_vec(),
    })
}

/// Standard deviations of the changes: by rounding, and by the error of the calibration.
fn sigmas(
    design: &Design,
    nominal: &Nominal,
    solution: &Solution,
    programming: &Programming,
    variance: f64,
) -> Option<Vec<f64>> {
    let size = 2 * design.n;
    let inverse = Cholesky::new(&design.normal(), size)?.inverse();
    let shaping: Vec<Vec<f64>> = (0..design.local.shaping())
        .map(|parameter| change(&design.local, &design.schedule, &design.unit, parameter))
        .collect::<Option<_>>()?;
    // Pull of each local parameter on the changes: Jᵀ W ∂y.
    let count = design.local.count();
    let mut pull = vec![0.0; size * count];
    for (block, length) in design.schedule.lengths().enumerate() {
        for i in 0..design.n {
            let row = design.row(block, i);
            let at = |j: usize| block * design.local.pairs() + pair(design.n, i, j);
            for parameter in 0..count {
                let slope = if parameter < shaping.len() {
                    (0..design.n)
                        .map(|j| design.bias[j] * design.local.drive[j] * shaping[parameter][at(j)])
                        .sum()
                } else if parameter < shaping.len() + design.n {
                    let j = parameter - shaping.len();
                    design.bias[j] * design.unit[at(j)]
                } else {
                    f64::from(u8::from(parameter - shaping.len() - design.n == i))
                };
                for (a, value) in row.iter().enumerate() {
                    pull[a * count + parameter] += length as f64 * value * slope;
                }
            }
        }
    }
    let derivatives = nominal.derivatives(&solution.x, &design.local, programming);
    let values = derivatives.len();
    // Change per deviation of the calibrated values.
    let mut slopes = vec![0.0; size * values];
    for a in 0..size {
        for (index, column) in derivatives.iter().enumerate() {
            let mut sum = 0.0;
            for &(parameter, value) in column {
                let pulled: f64 =
                    (0..size).map(|b| inverse[a * size + b] * pull[b * count + parameter]).sum();
                sum += pulled * value;
            }
            slopes[a * values + index] = sum;
        }
    }
    Some(
        (0..size)
            .map(|a| {
                let slope = &slopes[a * values..][..values];
                let mut systematic = 0.0;
                for (k, x) in slope.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                    let row = &solution.covariance[k * values..][..values];
                    systematic += x * crate::spd::dot(row, slope);
                }
                (variance * inverse[a * size + a] + systematic.max(0.0)).sqrt()
            })
            .collect(),
    )
}

/// Runs the sentinel of a calibration: whether the board is still what it says, and how far it is off.
/// It costs one load and one acquisition of about a thousand ticks.
///
/// # Errors
/// Link errors; [`Error::Uncalibrated`] if the calibration is of another board; [`Error::Cancelled`].
pub fn sentinel(
    device: &mut dyn Device,
    calibration: &Calibration,
    timeout: Option<Duration>,
) -> Result<Verdict, CalibrateError> {
    let uncalibrated = |why: String| Error::Uncalibrated { why };
    calibration.check_board(device.info()).map_err(|error| uncalibrated(error.to_string()))?;
    let mut bench = Bench::new(device, timeout);
    let nominal = Nominal::of(&bench.info);
    let run = &calibration.record().sentinel;
    let programming =
        Programming { selves: run.self_codes.clone(), couplings: run.coupling_codes.clone() };
    let trace = bench.step(&programming, &run.bias_codes, run.ticks as usize)?;
    bench.rest()?;
    let c = nominal.model.capacitance(&programming.selves, &programming.couplings);
    let schedule = within(&c, &CellModel::of(&bench.info.raw), run.ticks as usize);
    let local = nominal.local(&calibration.model(), &programming);
    let design = Design::new(local, schedule, &run.bias_codes)
        .ok_or_else(|| uncalibrated("its values are those of no board".into()))?;
    let verdict = judge(&design, &trace.codes, calibration)
        .ok_or_else(|| uncalibrated("its sentinel run tells nothing".into()))?;
    let saturated: Vec<usize> =
        (0..bench.info.cells).filter(|cell| trace.saturated[*cell] > 0).collect();
    Ok(Verdict {
        drifted: verdict.drifted || !saturated.is_empty(),
        saturated,
        ticks: bench.ticks,
        ..verdict
    })
}

fn judge(design: &Design, codes: &[i16], calibration: &Calibration) -> Option<Verdict> {
    let n = design.n;
    let size = 2 * n;
    let run = &calibration.record().sentinel;
    let mut right = vec![0.0; size];
    let mut squares = 0.0;
    let mut samples = 0;
    let mut rest = codes;
    for (block, length) in design.schedule.lengths().enumerate() {
        let (here, later) = rest.split_at(length * n);
        rest = later;
        for i in 0..n {
            let sum: i64 = here.iter().skip(i).step_by(n).map(|code| i64::from(*code)).sum();
            let residual = sum as f64 / length as f64 - design.predicted(block, i);
            for (right, value) in right.iter_mut().zip(design.row(block, i)) {
                *right += length as f64 * value * residual;
            }
            squares += length as f64 * residual * residual;
            samples += 1;
        }
    }
    let mut changes = right.clone();
    Cholesky::new(&design.normal(), size)?.solve(&mut changes);
    let explained: f64 = changes.iter().zip(&right).map(|(a, b)| a * b).sum();
    let variance = (squares - explained).max(0.0) / f64::from(samples - size as i32).max(1.0);
    let residual = variance / calibration.record().fit.sample_variance;
    let sigma = run.drive_sigma.iter().chain(&run.offset_sigma);
    let worst = changes.iter().zip(sigma).map(|(x, sigma)| (x / sigma).abs()).fold(0.0, f64::max);
    let limit = limit(size);
    Some(Verdict {
        drifted: worst > limit || residual > SHAPE,
        drive_change: changes[..n].to_vec(),
        drive_sigma: run.drive_sigma.clone(),
        offset_change: changes[n..].to_vec(),
        offset_sigma: run.offset_sigma.clone(),
        worst,
        limit,
        residual,
        saturated: Vec::new(),
        ticks: 0,
    })
}
