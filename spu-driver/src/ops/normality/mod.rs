//! Tests whether samples are Gaussian, and of the law that they should have.
//!
//! Three tests, each with a p-value:
//! - **Skewness** and **kurtosis** of Mardia (Biometrika 57, 1970, 519; finite-sample forms of 1974). With
//!   samples whitened by their own mean and covariance, `b₁ = Σ_rst ⟨y_r y_s y_t⟩²` and `b₂ = ⟨|y|⁴⟩`; under
//!   normality `N b₁/6` follows χ² with n(n+1)(n+2)/6 degrees of freedom and b₂ a normal law about
//!   `n(n+2)(N−1)/(N+1)` with variance `8n(n+2)/N` (Isserlis' theorem gives all fourth moments). They are
//!   the same in any coordinates and units: they see the shape alone, not a wrong covariance.
//! - **Marginals**: Kolmogorov–Smirnov of each coordinate against `N(μ_i, Σ_ii)` of a given law, by Stephens'
//!   approximation (J. Roy. Stat. Soc. B 32, 1970, 115). These see a wrong mean, scale or shape.
//!
//! Samples that follow each other may be correlated. A statistic whose lowest Hermite order is k then
//! fluctuates as that of `N / Σ_m ρ(m)ᵏ` samples (Gasser, Biometrika 62, 1975, 563): k is 3 and 4 for
//! skewness and kurtosis and 1 for marginals. ρ is estimated in the whitened coordinates and the
//! largest sum of |ρ|ᵏ is used, which errs to the cautious side. The p-values are asymptotic.

use ndarray::{Array1, Array2, ArrayRef2, Axis};
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use crate::linalg::{from_eigen, product, symmetric_eigen};

/// Longest lag, in samples, at which correlations are looked for.
const MAX_LAG: usize = 1000;
/// Correlations below this many standard errors are taken for chance.
const CHANCE: f64 = 4.0;

/// Why samples were not tested.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormalityError {
    /// Asymptotic laws do not hold yet.
    #[error("{samples} samples of {n} values are too few to test; draw at least {needed}")]
    TooFew {
        /// Samples at hand.
        samples: usize,
        /// Values in each.
        n: usize,
        /// Samples that suffice.
        needed: usize,
    },
    /// The law has another number of values.
    #[error("samples have {n} values, the law {law}")]
    WrongLength {
        /// Values in each sample.
        n: usize,
        /// Values in the law.
        law: usize,
    },
    /// A coordinate is constant, or a combination of others, or not finite.
    #[error("the covariance of the samples is singular: a coordinate is constant or a copy")]
    Singular,
}

/// Samples' normality. All p-values are of the null hypothesis that the samples have the law.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Normality {
    /// Number of samples.
    pub count: usize,
    /// Effective numbers of them for skewness, kurtosis and marginals.
    pub effective: Effective,
    /// Mardia's b₁.
    pub skewness: f64,
    /// Its expectation under normality.
    pub skewness_expected: f64,
    /// Its p-value.
    pub skewness_p: f64,
    /// Mardia's b₂.
    pub kurtosis: f64,
    /// Its expectation under normality.
    pub kurtosis_expected: f64,
    /// Its p-value, two-sided.
    pub kurtosis_p: f64,
    /// Each coordinate against its marginal law.
    pub marginals: Vec<Marginal>,
}

/// Effective numbers of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effective {
    /// For marginals.
    pub marginals: f64,
    /// For the skewness.
    pub skewness: f64,
    /// For the kurtosis.
    pub kurtosis: f64,
}

/// A coordinate against its marginal law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Marginal {
    /// Largest distance of the distribution functions (Kolmogorov–Smirnov).
    pub distance: f64,
    /// Its p-value.
    pub p: f64,
}

impl Normality {
    /// p-value of the shape: skewness and kurtosis together (Bonferroni).
    pub fn shape_p(&self) -> f64 {
        (2.0 * self.skewness_p.min(self.kurtosis_p)).min(1.0)
    }

    /// p-value of all marginals together (Bonferroni).
    pub fn marginals_p(&self) -> f64 {
        let least = self.marginals.iter().map(|one| one.p).fold(1.0, f64::min);
        (least * self.marginals.len() as f64).min(1.0)
    }
}

/// Tests `samples`, one a row, against N(`mean`, `covariance`), all in the same unit.
///
/// # Errors
/// [`NormalityError`].
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::ops::normality::normality;
/// use spu_driver::sample::sample_gaussian;
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let drawn = sample_gaussian(device.as_mut(), &a, 2000, &InvertOptions::default(), &Quiet)?;
/// let tests = normality(&drawn.values, &[0.0; 2], &a.digital_inverse())?;
/// assert!(tests.shape_p() > 1e-6 && tests.marginals_p() > 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn normality(
    samples: &ArrayRef2<f64>,
    mean: &[f64],
    covariance: &ArrayRef2<f64>,
) -> Result<Normality, NormalityError> {
    let (count, n) = samples.dim();
    if mean.len() != n || covariance.dim() != (n, n) {
        let law = if mean.len() == n { covariance.nrows() } else { mean.len() };
        return Err(NormalityError::WrongLength { n, law });
    }
    let needed = (10 * n).max(50);
    if count < needed {
        return Err(NormalityError::TooFew { samples: count, n, needed });
    }
    let white = whitened(samples)?;
    let effective = effective(&white);
    let p = n as f64;
    let (skewness, kurtosis) = mardia(&white);
    let (ns, nk) = (effective.skewness, effective.kurtosis);
    let factor = (p + 1.0) * (ns + 1.0) * (ns + 3.0) / (ns * ((ns + 1.0) * (p + 1.0) - 6.0));
    let freedom = p * (p + 1.0) * (p + 2.0) / 6.0;
    let kurtosis_expected = p * (p + 2.0) * (nk - 1.0) / (nk + 1.0);
    let z = (kurtosis - kurtosis_expected) / (8.0 * p * (p + 2.0) / nk).sqrt();
    let standard = Normal::standard();
    Ok(Normality {
        count,
        effective,
        skewness,
        skewness_expected: 6.0 * freedom / (factor * ns),
        skewness_p: ChiSquared::new(freedom)
            .map_or(f64::NAN, |law| law.sf(factor * ns * skewness / 6.0)),
        kurtosis,
        kurtosis_expected,
        kurtosis_p: 2.0 * standard.sf(z.abs()),
        marginals: (0..n)
            .map(|i| {
                let deviation = covariance[[i, i]].sqrt();
                let column = samples.column(i);
                let values = column.iter().map(|x| standard.cdf((x - mean[i]) / deviation));
                let distance = kolmogorov_smirnov(values.collect());
                Marginal { distance, p: kolmogorov_p(distance, effective.marginals) }
            })
            .collect(),
    })
}

/// Samples less their mean, with the identity for their covariance (divisor N).
fn whitened(samples: &ArrayRef2<f64>) -> Result<Array2<f64>, NormalityError> {
    let count = samples.nrows() as f64;
    let mean: Array1<f64> = samples.sum_axis(Axis(0)) / count;
    let centred = samples.to_owned() - &mean;
    let covariance = product(&centred.t(), &centred) / count;
    let (values, vectors) = symmetric_eigen(&covariance);
    let largest = values[values.len() - 1];
    if !largest.is_finite() || values.iter().any(|v| v.is_nan() || *v <= 1e-14 * largest) {
        return Err(NormalityError::Singular);
    }
    let root = from_eigen(&values.mapv(|v| 1.0 / v.sqrt()), &vectors);
    // In the principal axes, where components forget at their own rates.
    Ok(product(&product(&centred, &root), &vectors))
}

/// Mardia's b₁ and b₂ of whitened samples.
fn mardia(white: &Array2<f64>) -> (f64, f64) {
    let (count, n) = white.dim();
    let mut third = vec![0.0; n * n * n];
    let mut fourth = 0.0;
    for y in white.rows() {
        let square: f64 = y.iter().map(|x| x * x).sum();
        fourth += square * square;
        for r in 0..n {
            for s in r..n {
                let two = y[r] * y[s];
                for t in s..n {
                    third[(r * n + s) * n + t] += two * y[t];
                }
            }
        }
    }
    let mut skewness = 0.0;
    for r in 0..n {
        for s in r..n {
            for t in s..n {
                // How often the unordered triple comes up among the ordered ones.
                let orders = match (r == s, s == t) {
                    (true, true) => 1.0,
                    (false, false) => 6.0,
                    _ => 3.0,
                };
                skewness += orders * (third[(r * n + s) * n + t] / count as f64).powi(2);
            }
        }
    }
    (skewness, fourth / count as f64)
}

/// Effective numbers by the autocorrelations of the whitened components.
fn effective(white: &Array2<f64>) -> Effective {
    let (count, n) = white.dim();
    let chance = CHANCE / (count as f64).sqrt();
    let mut most = [1.0_f64; 3];
    for k in 0..n {
        let column: Vec<f64> = white.column(k).to_vec();
        let mut sums = [1.0_f64; 3];
        let mut quiet = 0;
        for lag in 1..MAX_LAG.min(count / 4) {
            let products = column[lag..].iter().zip(&column).map(|(a, b)| a * b);
            let rho = (products.sum::<f64>() / (count - lag) as f64).abs();
            if rho > chance {
                quiet = 0;
                for (sum, power) in sums.iter_mut().zip([1, 3, 4]) {
                    *sum += 2.0 * rho.powi(power);
                }
            } else {
                quiet += 1;
            }
            // Damped oscillations pass through zero, but not for so long.
            if quiet > 50 {
                break;
            }
        }
        for (most, sum) in most.iter_mut().zip(sums) {
            *most = most.max(sum);
        }
    }
    let count = count as f64;
    Effective { marginals: count / most[0], skewness: count / most[1], kurtosis: count / most[2] }
}

/// Largest distance of an empirical distribution function to the uniform one.
fn kolmogorov_smirnov(mut uniform: Vec<f64>) -> f64 {
    uniform.sort_by(f64::total_cmp);
    let count = uniform.len() as f64;
    uniform.iter().enumerate().fold(0.0, |most, (index, u)| {
        let (below, above) = (index as f64 / count, (index as f64 + 1.0) / count);
        most.max(u - below).max(above - u)
    })
}

/// Probability of so large a distance.
fn kolmogorov_p(distance: f64, samples: f64) -> f64 {
    let root = samples.sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    // Below, the series converges slowly and the probability is 1 to five digits.
    if lambda < 0.3 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        libm::exp(-2.0 * k * k * lambda * lambda)
    };
    2.0 * (1..=50).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum::<f64>()
}

#[cfg(test)]
mod tests;
