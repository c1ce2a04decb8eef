//! Maximum-likelihood fit of the step responses of one programming.
//!
//! The noise is the converters' rounding: the same for every sample, so that maximum likelihood is
//! least squares. Gauss–Newton with Marquardt's damping, first on the start of the responses, which
//! forgives a start far off, then on more and more of them.
//!
//! A common factor of c, γ, λ and drive cannot be seen. It is left where it is: the information
//! matrix is singular in that direction, and damping keeps steps out of it.

use super::response::{Local, Schedule, responses};
use crate::spd::{Cholesky, dot};

/// Samples of one step response, every tick.
#[derive(Debug, Clone)]
pub(super) struct StepRun {
    /// Cell whose DAC makes the step.
    pub(super) input: usize,
    /// Height of the step, as a bias code.
    pub(super) bias: f64,
    /// Codes, tick by tick, of all cells.
    pub(super) codes: Vec<i16>,
}

/// Means over the blocks of a schedule.
struct Means {
    input: usize,
    bias: f64,
    /// Block by block, of all cells.
    values: Vec<f64>,
}

fn means(runs: &[StepRun], schedule: &Schedule, n: usize) -> Vec<Means> {
    let of = |run: &StepRun| {
        let mut values = Vec::with_capacity(schedule.blocks() * n);
        let mut rest = &run.codes[..];
        for length in schedule.lengths() {
            let (block, later) = rest.split_at(length * n);
            rest = later;
            for i in 0..n {
                let sum: i64 = block.iter().skip(i).step_by(n).map(|code| i64::from(*code)).sum();
                values.push(sum as f64 / length as f64);
            }
        }
        Means { input: run.input, bias: run.bias, values }
    };
    runs.iter().map(of).collect()
}

/// What a fit found.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) local: Local,
    /// `Σ ∂y ∂yᵀ` over all samples, row-major: information times the variance of a sample.
    pub(super) information: Vec<f64>,
    /// Sum of squared residuals of block means, each times the block's ticks.
    pub(super) squares: f64,
    /// Degrees of freedom of that sum.
    pub(super) freedom: f64,
}

impl Fit {
    /// Variance of a sample by the residuals, in codes²; 1/12 for rounding alone.
    pub(super) fn variance(&self) -> f64 {
        self.squares / self.freedom
    }
}

/// Fits all parameters to the runs of one programming. `None` where no parameters near `start` have a
/// positive definite c.
pub(super) fn fit(runs: &[StepRun], start: &Local, schedule: &Schedule) -> Option<Fit> {
    let all = schedule.ticks();
    let mut local = start.clone();
    for (ticks, iterations, last) in [(all / 16, 6, false), (all / 4, 6, false), (all, 12, true)] {
        let part = schedule.first(ticks.max(24).min(all));
        let means = means(runs, &part, local.n);
        let (best, fit) = descend(&means, local, &part, iterations, last)?;
        if let Some(fit) = fit {
            return Some(fit);
        }
        local = best;
    }
    None
}

/// Descends from `local`. The last part is followed until nothing is left to gain, and returns a fit.
fn descend(
    means: &[Means],
    mut local: Local,
    schedule: &Schedule,
    iterations: usize,
    last: bool,
) -> Option<(Local, Option<Fit>)> {
    let samples = schedule.blocks() * local.n * means.len();
    let freedom = samples.saturating_sub(local.count()).max(1) as f64;
    let mut damping = 1e-6;
    let mut normal = Normal::new(means, &local, schedule)?;
    for _ in 0..iterations {
        let (next, gain) = loop {
            let step = normal.step(damping);
            let gain = step.as_ref().map_or(0.0, |step| dot(step, &normal.gradient));
            let trial = step.and_then(|step| {
                let all: Vec<f64> =
                    local.to_vec().iter().zip(&step).map(|(x, dx)| x + dx).collect();
                let trial = local.with(&all);
                let squares = sum_of_squares(means, &trial, schedule)?;
                (squares <= normal.squares).then_some(trial)
            });
            if let Some(trial) = trial {
                damping = (damping * 0.1).max(1e-10);
                break (Some(trial), gain);
            }
            damping *= 10.0;
            if damping > 1e6 {
                break (None, 0.0);
            }
        };
        let Some(next) = next else { break };
        local = next;
        normal = Normal::new(means, &local, schedule)?;
        let enough = if last { 1e-4 * normal.squares / freedom } else { 1e-2 * normal.squares };
        if gain <= enough {
            break;
        }
    }
    let fit = last.then(|| Fit {
        local: local.clone(),
        information: normal.information,
        squares: normal.squares,
        freedom,
    });
    Some((local, fit))
}

fn sum_of_squares(means: &[Means], local: &Local, schedule: &Schedule) -> Option<f64> {
    let unit = responses(local, schedule)?;
    let (n, pairs) = (local.n, local.pairs());
    let mut squares = 0.0;
    for run in means {
        let j = run.input;
        let scale = run.bias * local.drive[j];
        for (block, length) in schedule.lengths().enumerate() {
            let row = &run.values[block * n..][..n];
            let unit = &unit[block * pairs..][..pairs];
            for i in 0..n {
                let residual = row[i] - local.offset[i] - scale * unit[pair(n, i, j)];
                squares += length as f64 * residual * residual;
            }
        }
    }
    Some(squares)
}

/// Index of the pair (i, j) in either order, among (0,0), (0,1) … (1,1) ….
pub(super) fn pair(n: usize, i: usize, j: usize) -> usize {
    let (i, j) = (i.min(j), i.max(j));
    i * (2 * n - i + 1) / 2 + j - i
}

/// Normal equations at a point.
struct Normal {
    count: usize,
    information: Vec<f64>,
    gradient: Vec<f64>,
    squares: f64,
}

impl Normal {
    fn new(means: &[Means], local: &Local, schedule: &Schedule) -> Option<Self> {
        let n = local.n;
        let sensitivities = Sensitivities::new(local, schedule)?;
        let mut normal = Self {
            count: local.count(),
            information: vec![0.0; local.count() * local.count()],
            gradient: vec![0.0; local.count()],
            squares: 0.0,
        };
        let sums = Sums::new(means, local, schedule, &sensitivities.unit);
        normal.squares = sums.squares;
        for i in 0..n {
            for j in i..n {
                let gram = sensitivities.gram(pair(n, i, j), &sums, (i, j));
                normal.add(local, &gram, &sums, (i, j));
            }
        }
        normal.offsets(local, &sums, schedule);
        for a in 0..normal.count {
            for b in 0..a {
                normal.information[a * normal.count + b] = normal.information[b * normal.count + a];
            }
        }
        Some(normal)
    }

    /// Adds to the upper triangle.
    fn put(&mut self, a: usize, b: usize, value: f64) {
        self.information[a.min(b) * self.count + a.max(b)] += value;
    }

    /// Adds what the response between cells i and j tells.
    fn add(&mut self, local: &Local, gram: &Gram, sums: &Sums, (i, j): (usize, usize)) {
        let shaping = local.shaping();
        let (unit, one) = (shaping, shaping + 1);
        // Response at i to an input at j, and the other way round.
        let ways = [(i, j, shaping + 2), (j, i, shaping + 3)];
        for &(output, input, residual) in &ways[..if i == j { 1 } else { 2 }] {
            let drive = local.drive[input];
            let (first, second) = (sums.first[input], sums.second[input]);
            let (d, o) = (shaping + input, shaping + local.n + output);
            for a in 0..shaping {
                let row = a * self.count;
                for b in a..shaping {
                    self.information[row + b] += second * drive * drive * gram.at(a, b);
                }
                self.put(a, d, second * drive * gram.at(a, unit));
                self.put(a, o, first * drive * gram.at(a, one));
                self.gradient[a] += drive * gram.at(a, residual);
            }
            self.put(d, d, second * gram.at(unit, unit));
            self.put(d, o, first * gram.at(unit, one));
            self.gradient[d] += gram.at(unit, residual);
        }
    }

    fn offsets(&mut self, local: &Local, sums: &Sums, schedule: &Schedule) {
        let first = local.shaping() + local.n;
        for i in 0..local.n {
            self.put(first + i, first + i, (schedule.ticks() * sums.runs) as f64);
            self.gradient[first + i] += sums.residuals[i];
        }
    }

    /// Solution with this damping.
    fn step(&self, damping: f64) -> Option<Vec<f64>> {
        let mut damped = self.information.clone();
        for a in 0..self.count {
            damped[a * self.count + a] *= 1.0 + damping;
        }
        let mut step = self.gradient.clone();
        Cholesky::new(&damped, self.count)?.solve(&mut step);
        Some(step)
    }
}

/// Sums over the runs of one input.
struct Sums {
    runs: usize,
    /// Σ bias and Σ bias², by input.
    first: Vec<f64>,
    second: Vec<f64>,
    /// Σ bias · residual, by input, then block by block of all outputs.
    weighted: Vec<Vec<f64>>,
    /// Sum of the residuals of each output, over all.
    residuals: Vec<f64>,
    squares: f64,
}

impl Sums {
    fn new(means: &[Means], local: &Local, schedule: &Schedule, unit: &[f64]) -> Self {
        let (n, pairs) = (local.n, local.pairs());
        let mut sums = Self {
            runs: means.len(),
            first: vec![0.0; n],
            second: vec![0.0; n],
            weighted: vec![vec![0.0; schedule.blocks() * n]; n],
            residuals: vec![0.0; n],
            squares: 0.0,
        };
        for run in means {
            let j = run.input;
            sums.first[j] += run.bias;
            sums.second[j] += run.bias * run.bias;
            let scale = run.bias * local.drive[j];
            for (block, length) in schedule.lengths().enumerate() {
                for i in 0..n {
                    let at = block * n + i;
                    let predicted = scale * unit[block * pairs + pair(n, i, j)];
                    let residual = run.values[at] - local.offset[i] - predicted;
                    sums.weighted[j][at] += run.bias * residual;
                    sums.residuals[i] += length as f64 * residual;
                    sums.squares += length as f64 * residual * residual;
                }
            }
        }
        sums
    }
}

/// Products of columns, weighted by the ticks of the blocks: sensitivities to the shaping parameters,
/// the response itself, 1, and the residuals of either way.
struct Gram {
    columns: usize,
    upper: Vec<f64>,
}

impl Gram {
    fn at(&self, a: usize, b: usize) -> f64 {
        self.upper[a.min(b) * self.columns + a.max(b)]
    }
}

/// Unit responses and what each parameter changes in them.
struct Sensitivities {
    n: usize,
    pairs: usize,
    /// Square root of each block's ticks.
    roots: Vec<f64>,
    unit: Vec<f64>,
    changes: Vec<Vec<f64>>,
}

impl Sensitivities {
    fn new(local: &Local, schedule: &Schedule) -> Option<Self> {
        let unit = responses(local, schedule)?;
        let changes = (0..local.shaping())
            .map(|parameter| change(local, schedule, &unit, parameter))
            .collect::<Option<_>>()?;
        let roots = schedule.lengths().map(|length| (length as f64).sqrt()).collect();
        Some(Self { n: local.n, pairs: local.pairs(), roots, unit, changes })
    }

    fn gram(&self, pair: usize, sums: &Sums, (i, j): (usize, usize)) -> Gram {
        const AT_ONCE: usize = 4;
        let shaping = self.changes.len();
        let columns = shaping + 4;
        let mut upper = vec![0.0; columns * columns];
        let mut rows = vec![0.0; AT_ONCE * columns];
        let blocks = self.roots.len();
        for start in (0..blocks).step_by(AT_ONCE) {
            rows.fill(0.0);
            for block in start..(start + AT_ONCE).min(blocks) {
                let row = &mut rows[(block - start) * columns..][..columns];
                let (root, at) = (self.roots[block], block * self.pairs + pair);
                for (value, change) in row.iter_mut().zip(&self.changes) {
                    *value = root * change[at];
                }
                row[shaping] = root * self.unit[at];
                row[shaping + 1] = root;
                row[shaping + 2] = root * sums.weighted[j][block * self.n + i];
                row[shaping + 3] = root * sums.weighted[i][block * self.n + j];
            }
            let (r0, rest) = rows.split_at(columns);
            let (r1, rest) = rest.split_at(columns);
            let (r2, r3) = rest.split_at(columns);
            for a in 0..columns {
                let sums = &mut upper[a * columns + a..(a + 1) * columns];
                let (x0, x1, x2, x3) = (r0[a], r1[a], r2[a], r3[a]);
                for (b, sum) in sums.iter_mut().enumerate() {
                    *sum += (x0 * r0[a + b] + x1 * r1[a + b]) + (x2 * r2[a + b] + x3 * r3[a + b]);
                }
            }
        }
        Gram { columns, upper }
    }
}

/// Derivative of the unit responses by a shaping parameter, by a small difference.
pub(super) fn change(
    local: &Local,
    schedule: &Schedule,
    unit: &[f64],
    parameter: usize,
) -> Option<Vec<f64>> {
    const SMALL: f64 = 1e-7;
    let mut all = local.to_vec();
    let size = scale(local, parameter);
    let before = all[parameter];
    all[parameter] += SMALL * size;
    let factor = 1.0 / (all[parameter] - before);
    let mut changed = responses(&local.with(&all), schedule)?;
    for (changed, unit) in changed.iter_mut().zip(unit) {
        *changed = (*changed - unit) * factor;
    }
    Some(changed)
}

/// The size of a shaping parameter: for an element of c that of its diagonal ones.
fn scale(local: &Local, parameter: usize) -> f64 {
    let n = local.n;
    for i in 0..n {
        for j in i..n {
            if pair(n, i, j) == parameter {
                return (local.c[i][i] * local.c[j][j]).sqrt();
            }
        }
    }
    local.to_vec()[parameter].abs().max(1e-3)
}
