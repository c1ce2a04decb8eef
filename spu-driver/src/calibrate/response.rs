//! Step responses of the coupled cells, in the units of their codes.
//!
//! With y = g v the voltages in ADC codes, ι the inductor currents scaled alike, time in ticks and a
//! current of one bias code into cell j from tick 0 on,
//!
//! ```text
//! c ẏ = −γ y − ι + d u,   ι̇ = λ y
//! ```
//!
//! `c_ij = k C_ij / (h g_i g_j)`, `γ_i = k / (R_i g_i²)`, `λ_i = k h / (L_i g_i²)`,
//! `d_i = k drive_i / g_i`. The factor k is arbitrary: it is a gauge of what the codes show. It is
//! chosen so that γ is 1 on the nominal board.
//!
//! A constant current ends in the inductors, so that the response to a step is the free response
//! from `(y, ι) = (0, −d u)`: no input is needed, and it is exact between ticks too.

#![expect(clippy::needless_range_loop, reason = "loops over lanes read like the formulae")]

use spu_protocol::payload::load::MAX_CELLS;

/// Lanes of the kernels. Cells that a board lacks are apart from the others.
pub(super) const N: usize = MAX_CELLS;
/// State: codes, then inductor currents.
const STATES: usize = 2 * N;

pub(super) type Lanes = [f64; N];
type Square = [[f64; STATES]; STATES];

/// Parameters of one programming, in the units of the codes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Local {
    pub(super) n: usize,
    /// Maxwell capacitance matrix.
    pub(super) c: [Lanes; N],
    /// Conductances.
    pub(super) gamma: Lanes,
    /// Inverse inductances.
    pub(super) lambda: Lanes,
    /// Drive.
    pub(super) drive: Lanes,
    /// ADC codes at 0 V.
    pub(super) offset: Lanes,
}

impl Local {
    /// Cells of which nothing is coupled.
    pub(super) fn new(n: usize) -> Self {
        let mut c = [[0.0; N]; N];
        for (i, row) in c.iter_mut().enumerate() {
            row[i] = 100.0;
        }
        Self { n, c, gamma: [1.0; N], lambda: [0.0; N], drive: [0.0; N], offset: [0.0; N] }
    }

    /// Pairs of cells.
    pub(super) fn pairs(&self) -> usize {
        self.n * (self.n + 1) / 2
    }

    /// Parameters that shape the response: c by pairs, γ, λ.
    pub(super) fn shaping(&self) -> usize {
        self.pairs() + 2 * self.n
    }

    /// All parameters: those, drive, offset.
    pub(super) fn count(&self) -> usize {
        self.pairs() + 4 * self.n
    }

    /// All of them as a vector.
    pub(super) fn to_vec(&self) -> Vec<f64> {
        let n = self.n;
        let mut all = Vec::with_capacity(self.count());
        for i in 0..n {
            all.extend_from_slice(&self.c[i][i..n]);
        }
        for values in [&self.gamma, &self.lambda, &self.drive, &self.offset] {
            all.extend_from_slice(&values[..n]);
        }
        all
    }

    /// The same with other values.
    pub(super) fn with(&self, all: &[f64]) -> Self {
        let n = self.n;
        let mut local = self.clone();
        let mut rest = all;
        for i in 0..n {
            for j in i..n {
                local.c[i][j] = rest[0];
                local.c[j][i] = rest[0];
                rest = &rest[1..];
            }
        }
        for values in [&mut local.gamma, &mut local.lambda, &mut local.drive, &mut local.offset] {
            values[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
        }
        local
    }

    /// The same board in another gauge: all but the offsets times this.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        let mut all = self.to_vec();
        let end = all.len() - self.n;
        all[..end].iter_mut().for_each(|x| *x *= factor);
        self.with(&all)
    }
}

/// Blocks of ticks over which samples are averaged: long ones where all that is left is slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Ticks of a block and number of such blocks, in order.
    pub(super) parts: Vec<(usize, usize)>,
}

impl Schedule {
    /// A schedule of about this many ticks. `longest(tick)` says how long a block may be from there on.
    pub(super) fn new(ticks: usize, longest: impl Fn(usize) -> usize) -> Self {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let (mut at, mut length) = (0, 1);
        while at + length <= ticks {
            match parts.last_mut() {
                Some((ticks, count)) if *ticks == length => *count += 1,
                _ => parts.push((length, 1)),
            }
            at += length;
            if 2 * length <= longest(at) {
                length *= 2;
            }
        }
        Self { parts }
    }

    /// Blocks.
    pub(super) fn blocks(&self) -> usize {
        self.parts.iter().map(|(_, count)| count).sum()
    }

    /// Ticks.
    pub(super) fn ticks(&self) -> usize {
        self.parts.iter().map(|(ticks, count)| ticks * count).sum()
    }

    /// Length of each block.
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().flat_map(|&(ticks, count)| std::iter::repeat_n(ticks, count))
    }

    /// The first blocks, of at most this many ticks.
    pub(super) fn first(&self, ticks: usize) -> Self {
        let mut left = ticks;
        let mut parts = Vec::new();
        for &(length, count) in &self.parts {
            let fit = count.min(left / length);
            if fit > 0 {
                parts.push((length, fit));
            }
            left -= fit * length;
            if fit < count {
                break;
            }
        }
        Self { parts }
    }
}

/// Mean response of cell i to a unit current into cell j over each block, for `i ≤ j` (it is
/// symmetric): pair by pair within a block. `None` if c is not positive definite.
pub(super) fn responses(local: &Local, schedule: &Schedule) -> Option<Vec<f64>> {
    let n = local.n;
    let phi = step(local)?;
    let mut out = Vec::with_capacity(schedule.blocks() * local.pairs());
    // Free response from ι = −1; columns are the inputs.
    let mut z = [[0.0; N]; STATES];
    for j in 0..N {
        z[N + j][j] = -1.0;
    }
    // The first sample is a tick after the step.
    z = apply(&phi, &z);
    let mut length = 1;
    let mut power = phi;
    // Mean over the ticks of a block from the state at its first.
    let mut mean = [[0.0; STATES]; N];
    for (i, row) in mean.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for &(ticks, count) in &schedule.parts {
        while length < ticks {
            let later = times_rows(&mean, &power);
            for i in 0..N {
                for k in 0..STATES {
                    mean[i][k] = 0.5 * (mean[i][k] + later[i][k]);
                }
            }
            power = times(&power, &power);
            length *= 2;
        }
        for _ in 0..count {
            for i in 0..n {
                let mut sum = [0.0; N];
                for k in 0..STATES {
                    for j in 0..N {
                        sum[j] += mean[i][k] * z[k][j];
                    }
                }
                out.extend_from_slice(&sum[i..n]);
            }
            z = apply(&power, &z);
        }
    }
    Some(out)
}

/// Φ of one tick.
fn step(local: &Local) -> Option<Square> {
    let inverse = inverse(&local.c)?;
    let mut drift = [[0.0; STATES]; STATES];
    for i in 0..N {
        for j in 0..N {
            drift[i][j] = -inverse[i][j] * local.gamma[j];
            drift[i][N + j] = -inverse[i][j];
        }
        drift[N + i][i] = local.lambda[i];
    }
    exponential(drift)
}

/// Inverse of a symmetric positive definite matrix, by Cholesky's factor.
fn inverse(a: &[Lanes; N]) -> Option<[Lanes; N]> {
    let mut lower = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let mut sum = a[i][j];
            for k in 0..j {
                sum -= lower[i][k] * lower[j][k];
            }
            if i == j {
                if sum.is_nan() || sum <= 1e-12 * a[i][i] {
                    return None;
                }
                lower[i][i] = sum.sqrt();
            } else {
                lower[i][j] = sum / lower[j][j];
            }
        }
    }
    let mut root = [[0.0; N]; N];
    for j in 0..N {
        root[j][j] = 1.0 / lower[j][j];
        for i in j + 1..N {
            let mut sum = 0.0;
            for k in j..i {
                sum += lower[i][k] * root[k][j];
            }
            root[i][j] = -sum / lower[i][i];
        }
    }
    let mut inverse = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..N {
            for k in i.max(j)..N {
                inverse[i][j] += root[k][i] * root[k][j];
            }
        }
    }
    Some(inverse)
}

/// The exponential, by Taylor's series, scaled and squared where the matrix is large. `None` if it
/// is so large that nothing of a response could be seen.
fn exponential(mut a: Square) -> Option<Square> {
    const TERMS: u32 = 13;
    let norm = a
        .iter()
        .map(|row| row.iter().map(|x| x.abs()).sum::<f64>())
        .fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m });
    if norm.is_nan() || norm > 1e4 {
        return None;
    }
    let mut squarings = 0;
    let mut scale = 1.0;
    while norm * scale > 0.5 {
        scale *= 0.5;
        squarings += 1;
    }
    a.iter_mut().flatten().for_each(|x| *x *= scale);
    let mut sum = a;
    for i in 0..STATES {
        sum[i][i] += 1.0;
    }
    let mut term = a;
    for k in 2..=TERMS {
        term = times(&term, &a);
        let factor = 1.0 / f64::from(k);
        for i in 0..STATES {
            for j in 0..STATES {
                term[i][j] *= factor;
                sum[i][j] += term[i][j];
            }
        }
    }
    for _ in 0..squarings {
        sum = times(&sum, &sum);
    }
    Some(sum)
}

fn times(a: &Square, b: &Square) -> Square {
    times_rows(a, b)
}

fn times_rows<const ROWS: usize>(a: &[[f64; STATES]; ROWS], b: &Square) -> [[f64; STATES]; ROWS] {
    let mut product = [[0.0; STATES]; ROWS];
    for (row, a) in product.iter_mut().zip(a) {
        for k in 0..STATES {
            for j in 0..STATES {
                row[j] += a[k] * b[k][j];
            }
        }
    }
    product
}

fn apply(a: &Square, z: &[Lanes; STATES]) -> [Lanes; STATES] {
    let mut product = [[0.0; N]; STATES];
    for (row, a) in product.iter_mut().zip(a) {
        for k in 0..STATES {
            for j in 0..N {
                row[j] += a[k] * z[k][j];
            }
        }
    }
    product
}
