//! The logarithm of a determinant, from covariances of a board at rest.
//!
//! A board at rest shows `X`, an estimate of A⁻¹ with A symmetric positive definite, `n × n`, in whatever
//! unit u its entries have; `log det A` is the natural logarithm of `det A / uⁿ`.
//!
//! **Covariance.** `log det A = −log det X`. X is a sample covariance, and the logarithm bends: with N
//! independent samples `N X` is a Wishart matrix and (Anderson, *An Introduction to Multivariate
//! Statistical Analysis*, 7.5)
//!
//! ```text
//! E log det X = log det A⁻¹ + Σ_{i<n} ψ((N − i)/2) − n ln(N/2) ≈ log det A⁻¹ − n(n+1)/(2N)
//! Var log det X = Σ_{i<n} ψ′((N − i)/2) ≈ 2n/N
//! ```
//!
//! A board's samples are correlated, and each pair of modes in its own way: to second order the bias is
//! `−(1/2N) Σ_kl T_kl (1 + δ_kl)`, `T_kl = Σ_m ρ_k(m) ρ_l(m)` over all lags, so there is one effective
//! N for the logarithm, which is not that of the inverse. The digamma formula at this N needs the
//! spectrum of the board to be as planned; the jackknife over batches removes the same term whatever
//! the spectrum (Quenouille 1956; Efron and Stein 1981), and gives the error bar. The result has the
//! jackknife's; the formula's is beside it ([`LogDet::bias_planned`]). What the start from rest leaves in
//! every mode adds up in the logarithm, so covariances are extrapolated in time
//! ([`InvertOptions::extrapolate`]) whatever the options say.
//!
//! **Reference.** Unequal gains of drives and converters add their logarithms to `log det X`, and beyond
//! first order they mix with the matrix. So the identity, whose cells stand alone, is read first on
//! the same board: `X_ii` is the square of cell i's gain. The drives of the second read, of A, are
//! set to make up for these gains, and its read-out goes by them. To first order this subtracts
//! `Σ ln X_ii`, whose noise is in the error bar; the price is half of the samples. It takes all of a cell's
//! gain for its drive's: that of its converter too. A board whose parts were measured needs no reference: its
//! read finds again what is known, and adds its noise.
//!
//! **Integration** (thermodynamic integration: Kirkwood 1935; on such boards Aifer et al., arXiv
//! 2308.05660). On the path `A(t) = (1 − t) A + t b I`, every point of which a board that holds A holds
//! too,
//!
//! ```text
//! log det A = n ln b − ∫₀¹ tr(A(t)⁻¹ (b I − A)) dt
//! ```
//!
//! by Gauss–Legendre quadrature over boards programmed with A(t). It is linear in the covariances:
//! nothing to unbend, at the price of a quadrature error ([`LogDet::quadrature`], digital) and of
//! gain errors in first order. The work of a drive at finite speed (Crooks, Bennett) cannot be had from
//! this interface: banks switch between acquisitions, and each starts from rest.

mod quadrature;

use ndarray::{Array2, ArrayRef2};
use serde::Serialize;
use statrs::function::gamma::digamma;

use self::quadrature::gauss_legendre;
use super::trim::Trim;
use super::{Part, fork};
use crate::device::{Device, Outcome};
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress, invert};
use crate::linalg::symmetric_eigen;
use crate::matrix::SpdMatrix;
use crate::plan::DEFAULT_SAMPLES;
use crate::stats::{CONFIDENCE, Replicates, student_quantile};
use crate::systematic::interval;

/// Most points of the quadrature.
pub const MAX_NODES: u32 = 64;

/// How the log-determinant is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDetMethod {
    /// Of the measured inverse.
    Covariance,
    /// The same, with drives set by the identity as read on the same board.
    Reference,
    /// By thermodynamic integration to a multiple of the identity.
    Integration {
        /// Points of the quadrature, 1 to [`MAX_NODES`].
        nodes: u32,
    },
}

/// A log-determinant read from a board.
#[derive(Debug, Clone)]
pub struct LogDet {
    /// The estimate of `log det A`, natural logarithm.
    pub value: f64,
    /// Its standard error: statistical only.
    pub standard_error: f64,
    /// Half width of its 95 % interval, by Student's t: statistical only.
    pub half_width: f64,
    /// Standard deviation that the calibration's own uncertainty leaves in it. `None` without calibration:
    /// then deviations of the board from the values that were used are in no interval.
    pub calibration_error: Option<f64>,
    /// Half width of the 95 % interval that holds the statistical error, what the calibration leaves open, and
    /// the known errors of quantisation and quadrature.
    pub interval: f64,
    /// How it was read.
    pub method: LogDetMethod,
    /// Bias by the finite sample that was taken off, by the jackknife; 0 for the integration.
    pub bias: f64,
    /// The same by the digamma formula at the planned spectrum; 0 for the integration.
    pub bias_planned: f64,
    /// Squares of the cells' gains relative to the board's model, from the identity, where it was read.
    pub gains: Option<Vec<f64>>,
    /// What quantising the banks adds to the value, by the values of the board that were used: known, and
    /// not taken off.
    pub quantisation: f64,
    /// Quadrature less the integral, for exact inverses (digital); 0 without integration.
    pub quadrature: f64,
    /// `log det A` from the host's spectrum of A (digital), to compare with.
    pub digital: f64,
    /// Complete or cancelled.
    pub outcome: Outcome,
    /// The inverses behind it; that of the identity last.
    pub reads: Vec<Inversion>,
}

/// Reads `log det A` from a board. The budget of `options` is that of all reads together.
///
/// # Errors
/// [`OperationError`]; [`Error::Unsupported`] for a number of nodes outside 1 to [`MAX_NODES`];
/// [`Error::Cancelled`] where several reads are needed and one was cancelled.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::ops::logdet::{LogDetMethod, logdet};
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let options = InvertOptions::default();
/// let result = logdet(device.as_mut(), &a, LogDetMethod::Reference, &options, &Quiet)?;
/// assert!((result.value - 3.0_f64.ln()).abs() < 6.0 * result.standard_error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn logdet(
    device: &mut dyn Device,
    a: &SpdMatrix,
    method: LogDetMethod,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<LogDet, OperationError> {
    let options = &InvertOptions { extrapolate: true, ..options.clone() };
    match method {
        LogDetMethod::Covariance => by_covariance(a, invert(device, a, options, progress)?),
        LogDetMethod::Reference => by_reference(device, a, options, progress),
        LogDetMethod::Integration { nodes } => by_integration(device, a, nodes, options, progress),
    }
}

fn by_covariance(a: &SpdMatrix, read: Inversion) -> Result<LogDet, OperationError> {
    let found = Found::of(&read)?;
    let dof = read.replicates.len() as f64 - 1.0;
    let errors = Errors::of(&[found.variance], &[dof], &found.draws, found.quantisation);
    Ok(LogDet {
        value: found.value,
        standard_error: errors.standard_error,
        half_width: errors.half_width,
        calibration_error: errors.calibration,
        interval: errors.interval,
        method: LogDetMethod::Covariance,
        bias: found.bias,
        bias_planned: found.bias_planned,
        gains: None,
        quantisation: found.quantisation,
        quadrature: 0.0,
        digital: digital(a),
        outcome: read.outcome,
        reads: vec![read],
    })
}

fn by_reference(
    device: &mut dyn Device,
    a: &SpdMatrix,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<LogDet, OperationError> {
    let trim = Trim::read(device, a.n(), &share(options, 2), &Part { progress, number: 0, of: 2 })?;
    let mut read = part(device, a, 1, 2, &trim.apply(options), progress)?;
    read.calibration = trim.read.calibration;
    let found = Found::of(&read)?;
    let bias_planned = found.bias_planned + a.n() as f64 * wishart_bias(1, effective(&trim.read));
    let (bias, variance, squares) = (trim.bias, trim.variance, trim.squares);
    let reads = vec![read, trim.read];
    let dofs: Vec<f64> = reads.iter().map(|read| read.replicates.len() as f64 - 1.0).collect();
    let errors = Errors::of(&[found.variance, variance], &dofs, &found.draws, found.quantisation);
    Ok(LogDet {
        value: found.value - bias,
        standard_error: errors.standard_error,
        half_width: errors.half_width,
        calibration_error: errors.calibration,
        interval: errors.interval,
        method: LogDetMethod::Reference,
        bias: found.bias + bias,
        bias_planned,
        gains: Some(squares),
        quantisation: found.quantisation,
        quadrature: 0.0,
        digital: digital(a),
        outcome: Outcome::Complete,
        reads,
    })
}

fn by_integration(
    device: &mut dyn Device,
    a: &SpdMatrix,
    nodes: u32,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<LogDet, OperationError> {
    if !(1..=MAX_NODES).contains(&nodes) {
        let reasons = vec![format!("{nodes} points of a quadrature; give 1 to {MAX_NODES}")];
        return Err(Error::Unsupported { reasons }.into());
    }
    let n = a.n();
    // The geometric mean of the diagonal: in the middle of the spectrum, from entries alone.
    let b = (a.entries().diag().iter().map(|x| libm::log(*x)).sum::<f64>() / n as f64).exp();
    let identity: Array2<f64> = Array2::eye(n);
    let slope = &identity * b - a.entries();
    let rule = gauss_legendre(nodes);
    let start = n as f64 * libm::log(b);
    let digital = digital(a);
    let spectrum =
        |t: f64| -> f64 { a.eigenvalues().iter().map(|x| (b - x) / ((1.0 - t) * x + t * b)).sum() };
    let quadrature =
        start - rule.iter().map(|(t, weight)| weight * spectrum(*t)).sum::<f64>() - digital;
    let trace = |x: &Array2<f64>| (x * &slope).sum();
    let (mut value, mut quantisation, mut draws) = (start, 0.0, Vec::new());
    let (mut reads, mut variances, mut dofs) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (t, weight)) in rule.iter().enumerate() {
        let at = a.entries() * (1.0 - t) + &identity * (t * b);
        let at = SpdMatrix::new(&at, 0.0)?;
        let read = part(device, &at, index as u64, u64::from(nodes), options, progress)?;
        value -= weight * trace(&read.inverse);
        quantisation -= weight * trace(&read.systematic.quantisation);
        draws.resize(read.systematic.shifts.len(), 0.0);
        for (sum, draw) in draws.iter_mut().zip(&read.systematic.shifts) {
            *sum -= weight * trace(draw);
        }
        let batches = read.replicates.values().iter().map(trace);
        let (_, variance) = mean_and_variance(&batches.collect::<Vec<f64>>());
        variances.push(weight * weight * variance);
        dofs.push(read.replicates.len() as f64 - 1.0);
        reads.push(read);
    }
    let errors = Errors::of(&variances, &dofs, &draws, quantisation + quadrature);
    Ok(LogDet {
        value,
        standard_error: errors.standard_error,
        half_width: errors.half_width,
        calibration_error: errors.calibration,
        interval: errors.interval,
        method: LogDetMethod::Integration { nodes },
        bias: 0.0,
        bias_planned: 0.0,
        gains: None,
        quantisation,
        quadrature,
        digital,
        outcome: Outcome::Complete,
        reads,
    })
}

/// One of several reads, with its share of the budget.
fn part(
    device: &mut dyn Device,
    matrix: &SpdMatrix,
    read: u64,
    reads: u64,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Inversion, OperationError> {
    let options = fork(&share(options, reads), read);
    let inversion = invert(device, matrix, &options, &Part { progress, number: read, of: reads })?;
    if inversion.outcome == Outcome::Cancelled {
        return Err(Error::Cancelled.into());
    }
    Ok(inversion)
}

/// The options of one of so many reads: its share of the budget.
fn share(options: &InvertOptions, reads: u64) -> InvertOptions {
    let mut options = options.clone();
    let budget = &mut options.budget;
    if budget.samples.is_none() && budget.effective.is_none() {
        budget.samples = Some(DEFAULT_SAMPLES);
    }
    budget.samples = budget.samples.map(|all| all.div_ceil(reads));
    budget.effective = budget.effective.map(|all| all.div_ceil(reads));
    options
}

/// A log-determinant from one inverse.
struct Found {
    value: f64,
    variance: f64,
    bias: f64,
    bias_planned: f64,
    quantisation: f64,
    /// What each draw of the calibration would change.
    draws: Vec<f64>,
}

impl Found {
    fn of(read: &Inversion) -> Result<Self, OperationError> {
        let minus = |x: &Array2<f64>| log_det(x).map(|value| -value);
        let raw = minus(&read.inverse).ok_or(OperationError::Inconsistent)?;
        let (value, variance) = jackknife(&read.inverse, &read.replicates, minus)
            .ok_or(OperationError::Inconsistent)?;
        let wanted = &read.inverse - &read.systematic.quantisation;
        let draws = read.systematic.shifts.iter().map(|change| {
            minus(&(&read.inverse + change)).map_or(f64::INFINITY, |value| value - raw)
        });
        Ok(Self {
            draws: draws.collect(),
            value,
            variance,
            bias: raw - value,
            bias_planned: -wishart_bias(read.plan.n, effective(read)),
            // Of a matrix that the banks cannot hold nearly, nothing is known.
            quantisation: log_det(&wanted).map_or(f64::NAN, |clean| clean + raw),
        })
    }
}

/// A function of an inverse without its bias of order 1/N, and its variance.
pub(super) fn jackknife(
    whole: &Array2<f64>,
    replicates: &Replicates,
    f: impl Fn(&Array2<f64>) -> Option<f64>,
) -> Option<(f64, f64)> {
    let k = replicates.len() as f64;
    let raw = f(whole)?;
    let pseudo: Option<Vec<f64>> = replicates
        .values()
        .iter()
        .map(|value| {
            let left_out = (whole * k - value) / (k - 1.0);
            Some(raw * k - f(&left_out)? * (k - 1.0))
        })
        .collect();
    Some(mean_and_variance(&pseudo?))
}

/// Mean, and variance of the mean.
fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let k = values.len() as f64;
    let mean = values.iter().sum::<f64>() / k;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, square / (k * (k - 1.0)))
}

/// Errors of a sum of independent terms.
struct Errors {
    standard_error: f64,
    half_width: f64,
    calibration: Option<f64>,
    interval: f64,
}

impl Errors {
    /// By the terms' variances, with Welch and Satterthwaite's degrees of freedom; by what each draw of the
    /// calibration would change; and by a known error.
    fn of(variances: &[f64], dofs: &[f64], draws: &[f64], known: f64) -> Self {
        let variance: f64 = variances.iter().sum();
        let terms = variances.iter().zip(dofs).map(|(variance, dof)| variance * variance / dof);
        let dof = (variance * variance / terms.sum::<f64>()).floor().max(1.0);
        let error = variance.sqrt();
        let square = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
        let calibration = (!draws.is_empty()).then_some(square.sqrt());
        Self {
            standard_error: error,
            half_width: student_quantile(dof as usize, CONFIDENCE) * error,
            calibration,
            interval: interval(known, error.hypot(calibration.unwrap_or(0.0)), dof),
        }
    }
}

/// `log det` of a symmetric positive definite matrix; `None` of any other.
pub(crate) fn log_det(x: &ArrayRef2<f64>) -> Option<f64> {
    let (values, _) = symmetric_eigen(x);
    values.iter().all(|value| *value > 0.0).then(|| values.iter().map(|v| libm::log(*v)).sum())
}

fn digital(a: &SpdMatrix) -> f64 {
    a.eigenvalues().iter().map(|value| libm::log(*value)).sum()
}

/// `E log det(W / N) − log det Σ` for a Wishart matrix W of N samples.
pub fn wishart_bias(n: usize, samples: f64) -> f64 {
    let sum: f64 = (0..n).map(|i| digamma(0.5 * (samples - i as f64))).sum();
    sum - n as f64 * libm::log(0.5 * samples)
}

/// Independent samples that would bias the log-determinant as much as these do, by the plan's spectrum.
fn effective(read: &Inversion) -> f64 {
    let modes = &read.plan.modes;
    let rho: Vec<Vec<f64>> =
        modes.iter().map(|mode| mode.correlations(read.plan.decimation)).collect();
    let mut sum = 0.0;
    for (k, a) in rho.iter().enumerate() {
        for (l, b) in rho.iter().enumerate() {
            let lags: f64 = a.iter().zip(b).skip(1).map(|(a, b)| a * b).sum();
            sum += 2.0_f64.mul_add(lags, 1.0) * if k == l { 2.0 } else { 1.0 };
        }
    }
    let n = modes.len() as f64;
    read.kept as f64 * n * (n + 1.0) / sum
}

#[cfg(all(test, feature = "sim"))]
mod tests;
