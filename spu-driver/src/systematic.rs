//! Errors of an inverse that more samples do not remove, and intervals that hold them too.

use ndarray::Array2;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::board_model::{BoardModel, MeasuredBoard};
use crate::device::{Moments, pair_index};
use crate::invert::{Inversion, OperationError};
use crate::linalg::{mean, product, solve};
use crate::matrix::SpdMatrix;
use crate::plan::InversionPlan;
use crate::readout::ReadOut;
use crate::route::Basis;
use crate::stats::{CONFIDENCE, Replicates};
use crate::timing::TimeLaw;

/// Systematic errors of an inverse.
#[derive(Debug, Clone, PartialEq)]
pub struct Systematic {
    /// What the banks' quantisation adds to each entry, by the values of the board that were used. It is in
    /// the result and not taken out: with E what the programmed matrix differs by from the one asked for,
    /// it is `X - (1 - X E)^-1 X`, X the inverse as measured.
    pub quantisation: Array2<f64>,
    /// Standard deviation that the calibration's own uncertainty leaves in each entry. `None` without
    /// calibration, or with one that is known not to hold any more: then deviations of the board from the
    /// values that were used are in no interval.
    pub calibration: Option<Array2<f64>>,
    /// By how much each entry would be another one if the board's values were those of each of the
    /// calibration's draws ([`MeasuredBoard::draws`]), one matrix a draw: their mean square is the square
    /// of [`calibration`](Self::calibration). The same draws are behind every result of a board.
    pub shifts: Vec<Array2<f64>>,
}

impl Systematic {
    /// None that is known.
    pub(crate) fn none(n: usize) -> Self {
        Self::new(Array2::zeros((n, n)), Vec::new())
    }

    /// A known error, and by how much each draw shifts the result.
    pub(crate) fn new(quantisation: Array2<f64>, shifts: Vec<Array2<f64>>) -> Self {
        Self { calibration: deviation(&shifts), quantisation, shifts }
    }

    /// That of the mean of several programmings of one board: the same draws are behind all of them.
    pub(crate) fn mean_of(all: &[&Self]) -> Self {
        let draws = all.iter().map(|one| one.shifts.len()).min().unwrap_or(0);
        let shifts = (0..draws).map(|draw| mean(all.iter().map(|one| &one.shifts[draw])));
        Self::new(mean(all.iter().map(|one| &one.quantisation)), shifts.collect())
    }

    /// Those of `result`, which came from these moments, extrapolated if so, in the coordinates that `basis`
    /// leads back to.
    pub(crate) fn of(
        a: &SpdMatrix,
        result: &Inversion,
        model: &BoardModel,
        measured: Option<&MeasuredBoard>,
        (moments, time): (&Moments, Option<&TimeLaw>),
        basis: &Basis,
    ) -> Result<Self, OperationError> {
        let quantisation = quantisation(a, &result.plan, model, &result.inverse);
        let clean = &result.inverse - &quantisation;
        let mut shifts = Vec::new();
        for draw in measured.iter().flat_map(|board| &board.draws) {
            let readout = ReadOut::new(&result.plan, &result.board, draw, result.gain)
                .extrapolated(time.cloned());
            let inverse = readout.estimate(moments)?.inverse;
            // The same matrix, had the board these values: its inverse, and what was programmed.
            let here = &inverse - &self::quantisation(a, &result.plan, draw, &inverse);
            shifts.push(basis.restore(&(here - &clean)));
        }
        Ok(Self::new(basis.restore(&quantisation), shifts))
    }

    /// As [`Inversion::intervals`], for what these batches gave.
    pub(crate) fn intervals(&self, replicates: &Replicates) -> Array2<f64> {
        let widths = Widths::new(replicates.len().saturating_sub(1));
        let statistical = replicates.variance();
        Array2::from_shape_fn(statistical.dim(), |at| {
            let calibration = self.calibration.as_ref().map_or(0.0, |sd| sd[at]);
            widths.of(self.quantisation[at], statistical[at].sqrt().hypot(calibration))
        })
    }
}

/// Root mean square entry by entry; `None` of none.
pub(crate) fn deviation(matrices: &[Array2<f64>]) -> Option<Array2<f64>> {
    let first = matrices.first()?;
    let mut square = Array2::zeros(first.dim());
    for matrix in matrices {
        square += &(matrix * matrix);
    }
    Some(square.mapv(|sum| (sum / matrices.len() as f64).sqrt()))
}

/// Half width of the 95 % interval around a value with a known error and a standard deviation, by
/// Student's t.
pub(crate) fn interval(known: f64, deviation: f64, dof: f64) -> f64 {
    StudentsT::new(0.0, 1.0, dof.max(1.0))
        .map_or(f64::INFINITY, |law| half_width(known.abs() / deviation, &law) * deviation)
}

/// Maxwell capacitance matrix of a plan's codes on the cells in use, had the board these values; in farads.
pub(crate) fn capacitance_of(plan: &InversionPlan, model: &BoardModel) -> Array2<f64> {
    let n = plan.n;
    let codes = &plan.program;
    let cells = codes.self_codes.len();
    let selves: Vec<i16> = codes.self_codes[..n].iter().map(|code| code.0).collect();
    let couplings: Vec<i16> = (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| pair_index(cells, i, j)))
        .map(|pair| codes.coupling_codes[pair].0)
        .collect();
    model.first(n).capacitance(&selves, &couplings)
}

/// `X - (1 - X E)^-1 X`, `E = C / s` in the coordinates of A, less A.
fn quantisation(
    a: &SpdMatrix,
    plan: &InversionPlan,
    model: &BoardModel,
    inverse: &Array2<f64>,
) -> Array2<f64> {
    let n = plan.n;
    let c = capacitance_of(plan, model);
    let error = Array2::from_shape_fn((n, n), |(i, j)| {
        c[[i, j]] / (plan.farads * plan.d[i] * plan.d[j]) - a.entries()[[i, j]]
    });
    let rest = Array2::eye(n) - product(inverse, &error);
    inverse - &solve(&rest, inverse)
}

impl Inversion {
    /// Half widths of 95 % intervals around each entry that hold the statistical error, what the
    /// calibration leaves open, and the known error of quantisation: the width h with
    /// `P(|b + s t| <= h) = 95 %`, b the known part, s the standard deviation of the rest, t Student's.
    pub fn intervals(&self) -> Array2<f64> {
        self.systematic.intervals(&self.replicates)
    }
}

/// Half widths of intervals around values with a known error and an unknown one.
pub(crate) struct Widths {
    /// In units of the standard deviation, by the known part in steps of [`STEP`](Self::STEP).
    table: Vec<f64>,
}

impl Widths {
    const STEP: f64 = 1.0 / 16.0;
    const STEPS: usize = 192;

    /// Where the deviation is estimated with so many degrees of freedom.
    pub(crate) fn new(freedom: usize) -> Self {
        let table = StudentsT::new(0.0, 1.0, freedom.max(1) as f64).map(|law| {
            (0..=Self::STEPS).map(|step| half_width(step as f64 * Self::STEP, &law)).collect()
        });
        Self { table: table.unwrap_or_default() }
    }

    /// The h with `P(|known + deviation · t| <= h) = 95 %`, to a part in a thousand of the deviation and
    /// never less: h is convex in the known part, and its slope goes to 1.
    pub(crate) fn of(&self, known: f64, deviation: f64) -> f64 {
        let Some(last) = self.table.last() else { return f64::INFINITY };
        let known = known.abs();
        if deviation <= 0.0 {
            return known;
        }
        let at = known / deviation / Self::STEP;
        let below = at.floor();
        let unit = match self.table.get(below as usize..=below as usize + 1) {
            Some(&[low, high]) => low + (high - low) * (at - below),
            _ => last + (at - Self::STEPS as f64) * Self::STEP,
        };
        unit * deviation
    }
}

/// The h with `P(|b + t| <= h) = 95 %`.
fn half_width(b: f64, law: &StudentsT) -> f64 {
    let central = law.inverse_cdf(0.5 + 0.5 * CONFIDENCE);
    let (mut low, mut high) = (b.max(central) * 0.5, b + central);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let inside = law.cdf(middle - b) - law.cdf(-middle - b);
        if inside < CONFIDENCE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_part_widens_the_interval_by_what_it_must() {
        let law = StudentsT::new(0.0, 1.0, 1e6).unwrap();
        assert!((half_width(0.0, &law) - 1.96).abs() < 1e-3);
        // Far off, one side alone counts.
        assert!((half_width(10.0, &law) - 11.645).abs() < 1e-3);
        let inside = |b: f64, h: f64| law.cdf(h - b) - law.cdf(-h - b);
        for b in [0.3, 1.0, 2.5] {
            assert!((inside(b, half_width(b, &law)) - CONFIDENCE).abs() < 1e-9);
        }
        let widths = Widths::new(20);
        let law = StudentsT::new(0.0, 1.0, 20.0).unwrap();
        for b in [0.0, 0.01, 0.5, 1.7, 4.3, 11.99, 12.0, 40.0] {
            let more = widths.of(-3.0 * b, 3.0) / 3.0 - half_width(b, &law);
            assert!((-1e-9..1e-3).contains(&more), "{b}: {more}");
        }
        assert!((widths.of(-2.0, 0.0) - 2.0).abs() < 1e-15);
    }
}
