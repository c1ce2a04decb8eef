//! From moments of ADC codes to the inverse: the only way a read-out becomes a number.

use ndarray::Array2;

use crate::device::{BoardInfo, Moments};
use crate::linalg::{from_eigen, symmetric_eigen};
use crate::model::CellModel;
use crate::plan::InversionPlan;

/// Turns moments into an estimate of the inverse.
#[derive(Debug, Clone)]
pub(crate) struct ReadOut {
    n: usize,
    cells: usize,
    d: Vec<f64>,
    farads: f64,
    cell: CellModel,
    adc_lsb_volt: f64,
    /// Nominal root-mean-square noise current, in amperes.
    sigma: f64,
}

/// An estimate from one set of moments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// The inverse of the matrix.
    pub(crate) inverse: Array2<f64>,
    /// How much of it the correction for the staircase drive changed, relative Frobenius.
    pub(crate) staircase: f64,
}

/// Cells whose converter shows no signal, or signals that are copies of each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NoSignal {
    pub(crate) cells: Vec<usize>,
}

impl ReadOut {
    pub(crate) fn new(plan: &InversionPlan, info: &BoardInfo, sigma: f64) -> Self {
        Self {
            n: plan.n,
            cells: info.cells,
            d: plan.d.clone(),
            farads: plan.farads,
            cell: CellModel::of(&info.raw),
            adc_lsb_volt: f64::from(info.raw.adc_lsb_volt),
            sigma,
        }
    }

    /// Covariance of the voltages, in V². The mean is subtracted, and with it every constant
    /// offset; the converter's rounding noise (1/12 LSB², uniform) is taken off the diagonal.
    pub(crate) fn covariance(&self, moments: &Moments) -> Array2<f64> {
        let count = i128::from(moments.count);
        let unbias = moments.count as f64 / (moments.count as f64 - 1.0).max(1.0);
        let square = (moments.count as f64) * (moments.count as f64);
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            let (i, j) = (i.min(j), i.max(j));
            let product = moments.products[i * (2 * self.cells - i + 1) / 2 + j - i];
            // Exact in integers: the mean may be far larger than the fluctuation.
            let centred = count * product - moments.sums[i] * moments.sums[j];
            let rounding = if i == j { 1.0 / 12.0 } else { 0.0 };
            (centred as f64 / square).mul_add(unbias, -rounding) * self.adc_lsb_volt.powi(2)
        })
    }

    /// The inverse: `A⁻¹ = s D C⁻¹ D`, C⁻¹ from the covariance by the sampled law of the modes
    /// (equal R and L), which removes the bias of the staircase drive.
    pub(crate) fn estimate(&self, moments: &Moments) -> Result<Estimate, NoSignal> {
        let covariance = self.covariance(moments);
        let (variances, vectors) = symmetric_eigen(&covariance);
        let floor = variances[self.n - 1] * f64::EPSILON * self.n as f64;
        if variances.iter().any(|v| v.is_nan() || *v <= floor) {
            return Err(self.no_signal(&covariance, &vectors));
        }
        let sampled = variances.mapv(|v| 1.0 / self.cell.capacitance_of(v, self.sigma));
        let white = variances.mapv(|v| v / self.cell.white_variance(1.0, self.sigma));
        let inverse = self.unscale(&from_eigen(&sampled, &vectors));
        let uncorrected = self.unscale(&from_eigen(&white, &vectors));
        let staircase = crate::linalg::relative_error(&uncorrected, &inverse);
        Ok(Estimate { inverse, staircase })
    }

    fn unscale(&self, inverse_capacitance: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn((self.n, self.n), |(i, j)| {
            self.farads * self.d[i] * inverse_capacitance[[i, j]] * self.d[j]
        })
    }

    /// The cells to blame: silent ones, else those that dominate the empty direction.
    fn no_signal(&self, covariance: &Array2<f64>, vectors: &Array2<f64>) -> NoSignal {
        let silent: Vec<usize> = (0..self.n)
            .filter(|&i| covariance[[i, i]] <= 0.5 * self.adc_lsb_volt.powi(2))
            .collect();
        if !silent.is_empty() {
            return NoSignal { cells: silent };
        }
        NoSignal { cells: (0..self.n).filter(|&i| vectors[[i, 0]].abs() > 0.3).collect() }
    }

    /// Factor that turns voltages into samples of N(0, A⁻¹) by the white-noise law, per cell.
    pub(crate) fn sample_factors(&self) -> Vec<f64> {
        let unit = self.cell.white_variance(1.0, self.sigma);
        self.d.iter().map(|d| d * (self.farads / unit).sqrt() * self.adc_lsb_volt).collect()
    }

    /// Largest root mean square among the cells in use, in ADC codes.
    pub(crate) fn largest_rms(&self, moments: &Moments) -> f64 {
        let covariance = self.covariance(moments);
        (0..self.n).map(|i| covariance[[i, i]]).fold(0.0, f64::max).sqrt() / self.adc_lsb_volt
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
