//! From moments of ADC codes to the inverse: the only way a read-out becomes a number.

use ndarray::Array2;
use spu_protocol::code::GainCode;

use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Moments};
use crate::linalg::{frobenius, from_eigen, relative_error, solve, symmetric_eigen};
use crate::model::CellModel;
use crate::plan::InversionPlan;
use crate::timing::TimeLaw;

/// Turns moments into an estimate of the inverse.
#[derive(Debug, Clone)]
pub(crate) struct ReadOut {
    n: usize,
    cells: usize,
    d: Vec<f64>,
    farads: f64,
    /// The cells in use.
    model: BoardModel,
    /// Their mean.
    cell: CellModel,
    /// Root-mean-square noise current of each, in amperes.
    sigma: Vec<f64>,
    /// What covariances are extrapolated by in measurement time.
    time: Option<TimeLaw>,
}

/// An estimate from one set of moments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// The inverse of the matrix.
    pub(crate) inverse: Array2<f64>,
    /// How much of it the correction for the law of the drive changed, relative Frobenius.
    pub(crate) correction: f64,
}

/// Why moments give no inverse.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Unreadable {
    /// Cells whose converter shows no signal, or signals that are copies of each other.
    NoSignal { cells: Vec<usize> },
    /// No capacitances give such a covariance on cells of these values.
    Inconsistent,
}

/// Relative change below which the iteration of the read-out has converged.
const CONVERGED: f64 = 1e-11;
/// Most of its steps: each leaves some per cent of the error.
const MAX_STEPS: usize = 100;

impl ReadOut {
    /// For the program of `plan` at this gain, on a board whose parts have the values of `model`.
    pub(crate) fn new(
        plan: &InversionPlan,
        info: &BoardInfo,
        model: &BoardModel,
        gain: GainCode,
    ) -> Self {
        let model = model.first(plan.n);
        let gains = plan.program_with(gain).gain_codes;
        let rms = f64::from(info.raw.noise_rms_code);
        let drives = model.cells.iter().zip(&gains);
        Self {
            n: plan.n,
            cells: info.cells,
            d: plan.d.clone(),
            farads: plan.farads,
            cell: CellModel::mean(&model),
            sigma: drives.map(|(cell, gain)| gain.factor() * rms * cell.drive_ampere).collect(),
            model,
            time: None,
        }
    }

    /// The same, with covariances extrapolated in measurement time.
    #[must_use]
    pub(crate) fn extrapolated(mut self, time: Option<TimeLaw>) -> Self {
        self.time = time;
        self
    }

    /// Root-mean-square noise current of each cell in use, in amperes.
    pub(crate) fn sigma(&self) -> &[f64] {
        &self.sigma
    }

    /// Covariance of the voltages, in V². The mean is subtracted, and with it every constant
    /// offset; the converter's rounding noise (1/12 LSB², uniform) is taken off the diagonal.
    pub(crate) fn covariance(&self, moments: &Moments) -> Array2<f64> {
        let covariance = self.sample_covariance(moments);
        match &self.time {
            Some(law) => law.extrapolate(&covariance, moments.count),
            None => covariance,
        }
    }

    fn sample_covariance(&self, moments: &Moments) -> Array2<f64> {
        let count = i128::from(moments.count);
        let unbias = moments.count as f64 / (moments.count as f64 - 1.0).max(1.0);
        let square = (moments.count as f64) * (moments.count as f64);
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            let (i, j) = (i.min(j), i.max(j));
            let product = moments.products[i * (2 * self.cells - i + 1) / 2 + j - i];
            // Exact in integers: the mean may be far larger than the fluctuation.
            let centred = count * product - moments.sums[i] * moments.sums[j];
            let rounding = if i == j { 1.0 / 12.0 } else { 0.0 };
            let gains = self.model.cells[i].adc_gain * self.model.cells[j].adc_gain;
            (centred as f64 / square).mul_add(unbias, -rounding) / gains
        })
    }

    /// Root mean square of the noise currents as `σ² R` has it: exact for equal cells.
    fn mean_sigma(&self) -> f64 {
        let cells = self.model.cells.iter().zip(&self.sigma);
        let heat: f64 = cells.map(|(cell, sigma)| sigma * sigma * cell.r_ohm).sum();
        (heat / self.n as f64 / self.cell.r_ohm).sqrt()
    }

    /// The inverse: `A⁻¹ = s D C⁻¹ D`, C⁻¹ from the covariance by the sampled law of the cells, which
    /// removes the bias of the staircase drive and of cells that differ.
    pub(crate) fn estimate(&self, moments: &Moments) -> Result<Estimate, Unreadable> {
        let covariance = self.covariance(moments);
        let (variances, vectors) = symmetric_eigen(&covariance);
        let floor = variances[self.n - 1] * f64::EPSILON * self.n as f64;
        if variances.iter().any(|v| v.is_nan() || *v <= floor) {
            return Err(self.no_signal(&covariance, &vectors));
        }
        let sigma = self.mean_sigma();
        let sampled = variances.mapv(|v| 1.0 / self.cell.capacitance_of(v, sigma));
        let mut inverse = from_eigen(&sampled, &vectors);
        if !self.model.is_uniform() {
            inverse = self.solve_law(&covariance, inverse)?;
        }
        let white = covariance / self.cell.white_variance(1.0, sigma);
        let correction = relative_error(&self.unscale(&white), &self.unscale(&inverse));
        Ok(Estimate { inverse: self.unscale(&inverse), correction })
    }

    /// The estimates that leave out one part of the moments each, for the jackknife.
    pub(crate) fn without_each(
        &self,
        whole: &Moments,
        estimate: &Estimate,
        parts: &[Moments],
    ) -> Result<Vec<Array2<f64>>, Unreadable> {
        let rest = parts.iter().map(|part| whole.without(part));
        let time = self.time.clone().map(|law| law.within(whole.count));
        let within = self.clone().extrapolated(time);
        if self.model.is_uniform() {
            return rest.map(|moments| Ok(within.estimate(&moments)?.inverse)).collect();
        }
        // Nearly the white-noise law: its slope is that of the law to some parts in a thousand.
        let unit = self.cell.white_variance(1.0, self.mean_sigma());
        let centre = self.covariance(whole);
        Ok(rest
            .map(|moments| {
                let change = (within.covariance(&moments) - &centre) / unit;
                &estimate.inverse + &self.unscale(&change)
            })
            .collect())
    }

    /// The inverse capacitance P whose board has this stationary covariance, starting from a guess.
    ///
    /// The covariance is nearly `½ σ² R h · P`, so what is missing of it, divided by that factor,
    /// brings P nearer; only measured moments and the cells' R, L and drive enter.
    fn solve_law(
        &self,
        covariance: &Array2<f64>,
        start: Array2<f64>,
    ) -> Result<Array2<f64>, Unreadable> {
        let n = self.n;
        let unit = self.cell.white_variance(1.0, self.mean_sigma());
        let eye = Array2::eye(n);
        let mut inverse = start;
        let positive = |matrix: &Array2<f64>| symmetric_eigen(matrix).0[0] > 0.0;
        if !positive(&inverse) {
            return Err(Unreadable::Inconsistent);
        }
        for _ in 0..MAX_STEPS {
            let law = self.model.law(&solve(&inverse, &eye));
            let all = law.covariance(&self.sigma);
            let missing = (covariance - &all.slice(ndarray::s![..n, ..n])) / unit;
            // A whole step may leave the positive definite matrices where what is looked for is one.
            let parts = [1.0, 0.5, 0.25, 0.125, 0.0625];
            let next = parts.into_iter().map(|part| &inverse + &(&missing * part)).find(positive);
            inverse = next.ok_or(Unreadable::Inconsistent)?;
            let left = frobenius(&missing) / frobenius(&inverse);
            if left < CONVERGED {
                return Ok(inverse);
            }
            if !left.is_finite() {
                break;
            }
        }
        Err(Unreadable::Inconsistent)
    }

    fn unscale(&self, inverse_capacitance: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            self.farads * self.d[i] * inverse_capacitance[[i, j]] * self.d[j]
        })
    }

    /// The cells to blame: silent ones, else those that dominate the empty direction.
    fn no_signal(&self, covariance: &Array2<f64>, vectors: &Array2<f64>) -> Unreadable {
        let silent: Vec<usize> = (0..self.n)
            .filter(|&i| covariance[[i, i]] * self.model.cells[i].adc_gain.powi(2) <= 0.5)
            .collect();
        if !silent.is_empty() {
            return Unreadable::NoSignal { cells: silent };
        }
        let cells = (0..self.n).filter(|&i| vectors[[i, 0]].abs() > 0.3).collect();
        Unreadable::NoSignal { cells }
    }

    /// Factor that turns ADC codes into samples of N(0, A⁻¹) by the white-noise law, per cell.
    pub(crate) fn sample_factors(&self) -> Vec<f64> {
        let unit = self.cell.white_variance(1.0, self.mean_sigma());
        let cells = self.model.cells.iter().zip(&self.d);
        cells.map(|(cell, d)| d * (self.farads / unit).sqrt() / cell.adc_gain).collect()
    }

    /// Largest root mean square among the cells in use, in ADC codes.
    pub(crate) fn largest_rms(&self, moments: &Moments) -> f64 {
        let covariance = self.covariance(moments);
        let square = |i: usize| covariance[[i, i]] * self.model.cells[i].adc_gain.powi(2);
        (0..self.n).map(square).fold(0.0, f64::max).sqrt()
    }
}

impl Moments {
    /// No samples of a board with `cells` cells.
    pub fn empty(cells: usize) -> Self {
        Self { count: 0, sums: vec![0; cells], products: vec![0; cells * (cells + 1) / 2] }
    }

    /// Moments of both sets of samples together.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += b;
        }
        for (a, b) in self.products.iter_mut().zip(&other.products) {
            *a += b;
        }
    }

    /// These moments without those of `part`, which they contain.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        Self {
            count: self.count - part.count,
            sums: self.sums.iter().zip(&part.sums).map(|(a, b)| a - b).collect(),
            products: self.products.iter().zip(&part.products).map(|(a, b)| a - b).collect(),
        }
    }
}
