//! A matrix on the banks of an RC board.
//!
//! With `x = D v / s`, `D = diag(d)`, `C = c₀ D²` and `G = g₀ D T D`,
//!
//! ```text
//! C v̇ = −G v + i   becomes   ẋ = −(g₀ / c₀) (T x − b),   i = s g₀ D b.
//! ```
//!
//! So the storage capacitors carry D, which is free: any positive d whose `|T|`-row sums
//! `2 d_i T_ii − Σ_j |T_ij| d_j` stay positive makes G's self terms positive, that is, programmable. For
//! a positive definite tridiagonal T, or any M-matrix, there are such d (Berman and Plemmons,
//! *Nonnegative Matrices*, chapter 6). Of the few that are tried, the one with the least range uses the
//! storage banks best. All of this is digital work of the host.

use ndarray::{Array1, Array2, ArrayRef2};

use crate::board_model::bank_top;
use crate::device::{BoardInfo, Program, pair_index};
use crate::error::Error;
use crate::linalg::solve;
use crate::quantise::Table;
use crate::rc::model::RcModel;
use spu_protocol::code::{CouplingCode, full_scale_code};

/// Relative asymmetry that counts as rounding.
const ASYMMETRY: f64 = 1e-9;

/// Least part of its largest value that g₀ is set to for the sake of a short time: four bits of eight.
const LEAST_SLOWED: f64 = 1.0 / 16.0;

/// A board's banks as tables.
#[derive(Debug, Clone)]
pub(super) struct Banks {
    selves: Vec<Table>,
    couplings: Vec<Table>,
    storage: Vec<Table>,
}

impl Banks {
    pub(super) fn new(model: &RcModel) -> Self {
        let tables = |banks: &[Vec<f64>]| banks.iter().map(|bank| Table::new(bank)).collect();
        Self {
            selves: tables(&model.selves),
            couplings: tables(&model.couplings),
            storage: tables(&model.storage),
        }
    }
}

/// How a board holds a matrix.
#[derive(Debug, Clone)]
pub struct RcPlan {
    /// Rows of the matrix.
    n: usize,
    /// Bank codes, without bias and noise.
    pub(super) program: Program,
    /// d of each row.
    pub(super) scale: Vec<f64>,
    /// g₀, in siemens per unit of T.
    pub(super) siemens: f64,
    /// c₀, in farads.
    pub(super) farad: f64,
    /// T as the banks hold it.
    held: Array2<f64>,
}

impl RcPlan {
    /// Plans `t`, n × n, on the first n cells of a board of this `model`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a matrix that is not square, finite, symmetric and positive definite,
    /// larger than the board, or with signs or row sums that its couplings cannot make.
    pub fn new(model: &RcModel, info: &BoardInfo, t: &ArrayRef2<f64>) -> Result<Self, Error> {
        Self::on(&Banks::new(model), model, info, t, None)
    }

    /// Plans `t`; for a relaxation of `time`, so that it takes whole ticks.
    pub(super) fn on(
        banks: &Banks,
        model: &RcModel,
        info: &BoardInfo,
        t: &ArrayRef2<f64>,
        time: Option<f64>,
    ) -> Result<Self, Error> {
        let signed = info.raw.coupling_signed == 1;
        check(t, model.cell_count(), signed)?;
        let n = t.nrows();
        let scale = scaling(t)?;
        let off = |i: usize, j: usize| t[[i, j]].abs() * scale[i] * scale[j];
        // c₀ and g₀: as large as the banks allow.
        let mut farad = f64::INFINITY;
        let mut siemens = f64::INFINITY;
        for i in 0..n {
            let most = model.cells[i].stray_farad + banks.storage[i].largest();
            farad = farad.min(most / (scale[i] * scale[i]));
            let own = t[[i, i]] * scale[i] * scale[i]
                - (0..n).filter(|&j| j != i).map(|j| off(i, j)).sum::<f64>();
            siemens = siemens.min((model.cells[i].leak_siemens + banks.selves[i].largest()) / own);
            for j in i + 1..n {
                let pair = pair_index(model.cell_count(), i, j);
                siemens = siemens.min(banks.couplings[pair].largest() / off(i, j));
            }
        }
        if let Some(time) = time {
            // What is left of whole ticks, c₀ gives up; g₀ where all is less than a tick.
            let ticks = time * farad / siemens / model.period_s;
            if ticks >= 1.0 {
                farad *= ticks.floor() / ticks;
            } else if ticks > 0.0 {
                siemens *= ticks.max(LEAST_SLOWED);
            }
        }
        let mut program = Program::open(info);
        // Cells that are not used leak to ground.
        program.self_codes.fill(CouplingCode(bank_top(info.raw.self_bits)));
        // Storage first: what it is off by, the rest makes up for.
        let mut held_scale = Vec::with_capacity(n);
        for (i, scale) in scale.iter().enumerate() {
            let stray = model.cells[i].stray_farad;
            let (value, code) = banks.storage[i].nearest(farad * scale * scale - stray);
            program.storage_codes[i] = CouplingCode(code);
            held_scale.push(((stray + value) / farad).sqrt());
        }
        let mut loads: Vec<f64> = (0..n).map(|i| model.cells[i].leak_siemens).collect();
        let mut g = Array2::zeros((n, n));
        for i in 0..n {
            for j in i + 1..n {
                let pair = pair_index(model.cell_count(), i, j);
                let wanted = siemens * held_scale[i] * held_scale[j] * t[[i, j]];
                let (value, code) = banks.couplings[pair].nearest(wanted.abs());
                let crossed = wanted > 0.0;
                program.coupling_codes[pair] = CouplingCode(if crossed { -code } else { code });
                loads[i] += value;
                loads[j] += value;
                g[[i, j]] = if crossed { value } else { -value };
                g[[j, i]] = g[[i, j]];
            }
        }
        for i in 0..n {
            let wanted = siemens * held_scale[i] * held_scale[i] * t[[i, i]] - loads[i];
            let (value, code) = banks.selves[i].nearest(wanted);
            program.self_codes[i] = CouplingCode(code);
            g[[i, i]] = loads[i] + value;
        }
        let held = Array2::from_shape_fn((n, n), |(i, j)| {
            g[[i, j]] / (siemens * held_scale[i] * held_scale[j])
        });
        Ok(Self { n, program, scale: held_scale, siemens, farad, held })
    }

    /// Rows of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// T as the banks hold it, by the model's values: n × n.
    pub fn held(&self) -> &Array2<f64> {
        &self.held
    }

    /// How fast T's time runs on the board: `g₀ / c₀`, per second.
    pub fn rate(&self) -> f64 {
        self.siemens / self.farad
    }

    /// Bias codes of `s g₀ D b` and s, in volts per unit of x: the largest s at which no cell's bias and
    /// the peak of its noise, `peaks` DAC codes per unit of s, together take more than `top` of full scale.
    /// With neither there is no bias, and s = 1.
    pub(super) fn bias(
        &self,
        model: &RcModel,
        info: &BoardInfo,
        b: &[f64],
        peaks: &[f64],
        top: f64,
    ) -> (Vec<i16>, f64) {
        let unit = |i: usize| self.siemens * self.scale[i] * b[i] / model.cells[i].drive_ampere;
        let largest = (0..self.n).map(|i| unit(i).abs() + peaks[i]).fold(0.0, f64::max);
        let full = f64::from(full_scale_code(info.raw.dac_bits));
        // Without noise the largest current gets a whole code: the only one, of a b with one entry, is exact.
        let code = (full * top).round().clamp(1.0, full);
        let s = if largest > 0.0 { code / largest } else { 1.0 };
        let codes = (0..self.n).map(|i| (s * unit(i)).round() as i16);
        (codes.chain(std::iter::repeat(0)).take(info.cells).collect(), s)
    }
}

fn check(t: &ArrayRef2<f64>, cells: usize, signed: bool) -> Result<(), Error> {
    let n = t.nrows();
    let mut reasons = Vec::new();
    if n == 0 || t.ncols() != n {
        reasons.push(format!("the matrix is {n} × {}; it must be square", t.ncols()));
    } else if n > cells {
        reasons.push(format!("the matrix has {n} rows, the board {cells} cells"));
    } else if let Some(((i, j), value)) = t.indexed_iter().find(|(_, value)| !value.is_finite()) {
        reasons.push(format!("entry ({i}, {j}) is {value}; every entry must be a finite number"));
    } else {
        let size = t.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        for i in 0..n {
            for j in i + 1..n {
                if (t[[i, j]] - t[[j, i]]).abs() > ASYMMETRY * size {
                    reasons.push(format!(
                        "entries ({i}, {j}) and ({j}, {i}) differ; the matrix must be symmetric"
                    ));
                } else if t[[i, j]] > 0.0 && !signed {
                    reasons.push(format!(
                        "entry ({i}, {j}) is positive, and the board's couplings have no sign; \
                         tridiagonalise the matrix first"
                    ));
                }
            }
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Unsupported { reasons }) }
}

/// d, its largest 1.
fn scaling(t: &ArrayRef2<f64>) -> Result<Vec<f64>, Error> {
    let n = t.nrows();
    let m =
        Array2::from_shape_fn((n, n), |(i, j)| if i == j { t[[i, i]] } else { -t[[i, j]].abs() });
    let refused = || Error::Unsupported {
        reasons: vec![
            "no scaling makes the matrix diagonally dominant: it is not positive definite, or its \
             couplings are too strong for a passive board; tridiagonalise it first, or raise the \
             damping"
                .into(),
        ],
    };
    let sums: Array1<f64> = m.sum_axis(ndarray::Axis(1));
    let diagonal = m.diag().iter().copied().fold(0.0, f64::max);
    if m.diag().iter().any(|value| *value <= 0.0) {
        return Err(refused());
    }
    let mut best: Option<(f64, Vec<f64>)> = None;
    // Row sums as they are, but for those that are not positive; at last all alike.
    for least in [1e-3, 1e-2, 1e-1, 1.0] {
        let wanted = sums.mapv(|sum| sum.max(least * diagonal));
        let d = solve(&m, &wanted.insert_axis(ndarray::Axis(1)));
        let (low, high) = d.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        let range = high / low;
        if low > 0.0 && range.is_finite() && best.as_ref().is_none_or(|(least, _)| range < *least) {
            best = Some((range, d.iter().map(|value| value / high).collect()));
        }
    }
    best.map(|(_, d)| d).ok_or_else(refused)
}
