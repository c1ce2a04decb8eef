//! A first look at a board: which converters and drives work, and which belongs to which.
//!
//! Every cell is stepped in turn, once with all couplings open and once with all closed.

use spu_protocol::code::full_scale_code;

use super::findings::Finding;
use super::global::Nominal;
use super::local::pair;
use super::measure::{Bench, Programming};
use super::response::{Schedule, responses};
use crate::board_model::bank_top;
use crate::device::pair_index;
use crate::error::Error;
use crate::linalg::symmetric_eigen;
use crate::model::CellModel;

/// Part of the converters' range that a nominal cell swings over.
const TARGET: f64 = 0.1;
/// Part of its swing that a cell which is not driven may show.
const STILL: f64 = 0.02;

/// Swing of every cell for a step of each.
struct Look {
    /// `swings[input][output]`, in codes.
    swings: Vec<Vec<i32>>,
    /// Heights of the steps.
    bias: Vec<i16>,
    /// Swings for a unit step of a nominal board.
    nominal: Vec<Vec<f64>>,
    /// First code of each cell.
    first: Vec<i16>,
}

impl Look {
    /// Whether a step of `input` moves `output`.
    fn moves(&self, input: usize, output: usize) -> bool {
        let own = self.nominal[input][input] * f64::from(self.bias[input]);
        f64::from(self.swings[input][output]) > (STILL * own).max(2.0)
    }
}

/// What the first look tells: the drive of each cell relative to nominal.
pub(super) fn screen(
    bench: &mut Bench<'_>,
    nominal: &Nominal,
) -> Result<Result<Vec<f64>, Vec<Finding>>, Error> {
    let info = &bench.info;
    let (n, pairs) = (info.cells, info.couplings);
    let selves = vec![bank_top(info.raw.self_bits); n];
    let open = Programming { selves: selves.clone(), couplings: vec![0; pairs] };
    let closed = Programming { selves, couplings: vec![bank_top(info.raw.coupling_bits); pairs] };
    let apart = look(bench, nominal, &open)?;
    let together = look(bench, nominal, &closed)?;
    let findings = judge(&apart, &together, bench, nominal, &open);
    if !findings.is_empty() {
        return Ok(Err(findings));
    }
    let drive =
        |j: usize| f64::from(apart.swings[j][j]) / (apart.nominal[j][j] * f64::from(apart.bias[j]));
    Ok(Ok((0..n).map(drive).collect()))
}

fn look(
    bench: &mut Bench<'_>,
    nominal: &Nominal,
    programming: &Programming,
) -> Result<Look, Error> {
    let n = bench.info.cells;
    let full = f64::from(full_scale_code(bench.info.raw.adc_bits));
    let most = full_scale_code(bench.info.raw.dac_bits);
    let ticks = two_periods(bench, nominal, programming);
    let unit = nominal_swings(nominal, programming, ticks);
    let mut look = Look { swings: Vec::new(), bias: Vec::new(), nominal: unit, first: vec![0; n] };
    for input in 0..n {
        let wanted = TARGET * full / look.nominal[input][input];
        let mut bias = wanted.clamp(1.0, f64::from(most)) as i16;
        let trace = loop {
            let trace = bench.step_of(programming, input, bias, ticks)?;
            // A converter that is always at its end says nothing about the step.
            let over = (0..n).any(|cell| trace.saturated[cell] > 0 && trace.swing(cell, n) > 0);
            if !over || bias < 8 {
                break trace;
            }
            bias /= 8;
        };
        look.swings.push((0..n).map(|cell| trace.swing(cell, n)).collect());
        look.bias.push(bias);
        look.first = trace.codes[..n].to_vec();
    }
    Ok(look)
}

/// Two periods of the slowest nominal mode, in ticks.
fn two_periods(bench: &Bench<'_>, nominal: &Nominal, programming: &Programming) -> usize {
    let c = nominal.model.capacitance(&programming.selves, &programming.couplings);
    let largest = symmetric_eigen(&c).0.iter().fold(0.0, |m: f64, c| m.max(*c));
    let mode = CellModel::of(&bench.info.raw).mode(largest);
    let ticks = 2.0 / (mode.frequency_hz() * nominal.model.period_s);
    (ticks.ceil() as usize).clamp(16, (bench.info.raw.capture_frames as usize).max(16))
}

/// Highest minus lowest nominal response, for each input and output.
fn nominal_swings(nominal: &Nominal, programming: &Programming, ticks: usize) -> Vec<Vec<f64>> {
    let local = nominal.local(&nominal.model, programming);
    let n = local.n;
    let unit = responses(&local, &Schedule::new(ticks, |_| 1)).unwrap_or_default();
    let swing = |i: usize, j: usize| {
        let values = unit.iter().skip(pair(n, i, j)).step_by(local.pairs());
        let (low, high) =
            values.fold((0.0_f64, 0.0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
        high - low
    };
    (0..n).map(|j| (0..n).map(|i| local.drive[j] * swing(i, j)).collect()).collect()
}

fn judge(
    apart: &Look,
    together: &Look,
    bench: &Bench<'_>,
    nominal: &Nominal,
    open: &Programming,
) -> Vec<Finding> {
    let n = bench.info.cells;
    let full = full_scale_code(bench.info.raw.adc_bits);
    let mut findings = Vec::new();
    let sees = |cell: usize| (0..n).any(|j| apart.moves(j, cell) || together.moves(j, cell));
    let acts = |cell: usize| (0..n).any(|i| apart.moves(cell, i) || together.moves(cell, i));
    for cell in 0..n {
        match (sees(cell), acts(cell)) {
            (false, _) => {
                let code = apart.first[cell];
                findings.push(if code.abs() == full {
                    Finding::AdcAtRail { cell, high: code > 0 }
                } else {
                    Finding::AdcStuck { cell, code }
                });
                if !acts(cell) {
                    findings.push(Finding::NoDrive { cell });
                }
            }
            (true, false) => findings.push(Finding::NoDrive { cell }),
            (true, true) => {}
        }
    }
    let bad: Vec<bool> = (0..n).map(|cell| !sees(cell) || !acts(cell)).collect();
    for i in 0..n {
        for j in i + 1..n {
            if bad[i] || bad[j] {
                continue;
            }
            let own = apart.moves(i, i) || apart.moves(j, j);
            let across = apart.moves(i, j) && apart.moves(j, i);
            if across && !own {
                findings.push(Finding::AdcsSwapped { first: i, second: j });
            } else if across {
                let bit = stuck_bit(apart, nominal, open, (i, j));
                findings.push(Finding::StuckCoupling { i, j, bit, on: true });
            }
        }
    }
    for cell in (0..n).filter(|cell| !bad[*cell] && !apart.moves(*cell, *cell)) {
        let named = findings.iter().any(|finding| {
            matches!(finding, Finding::AdcsSwapped { first, second }
                if *first == cell || *second == cell)
        });
        if !named {
            let shows = (0..n).find(|i| apart.moves(cell, *i));
            findings.push(Finding::ShownElsewhere { cell, shows });
        }
    }
    findings
}

/// The element of an open coupling that explains best what goes across.
fn stuck_bit(apart: &Look, nominal: &Nominal, open: &Programming, (i, j): (usize, usize)) -> usize {
    let n = nominal.layout.n;
    let seen = f64::from(apart.swings[i][j]) / f64::from(apart.swings[i][i].max(1));
    let ticks = 256;
    let distance = |bit: usize| {
        let mut programming = open.clone();
        programming.couplings[pair_index(n, i, j)] = 1 << bit;
        let swings = nominal_swings(nominal, &programming, ticks);
        libm::log(swings[i][j] / swings[i][i] / seen).abs()
    };
    (0..nominal.layout.coupling_bits)
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
        .unwrap_or(0)
}
