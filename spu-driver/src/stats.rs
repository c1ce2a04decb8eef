//! Error bars without a model of the board: batch means and the jackknife.
//!
//! A run is cut into consecutive batches, each many correlation times long, so that batch results
//! are nearly independent whatever the board's real parameters are.

use ndarray::Array2;
use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

use crate::linalg::mean;

/// Confidence level of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// Pseudo-values of the jackknife for a symmetric matrix, one a batch (Efron and Stein 1981).
#[derive(Debug, Clone, PartialEq)]
pub struct Replicates {
    values: Vec<Array2<f64>>,
}

impl Replicates {
    /// From the estimate over all batches and the estimates that leave one batch out each.
    pub(crate) fn jackknife(whole: &Array2<f64>, left_out: &[Array2<f64>]) -> Self {
        let k = left_out.len() as f64;
        Self { values: left_out.iter().map(|part| whole * k - part * (k - 1.0)).collect() }
    }

    /// The same batches in other coordinates: `f` must be linear.
    pub(crate) fn map(&self, f: impl Fn(&Array2<f64>) -> Array2<f64>) -> Self {
        Self { values: self.values.iter().map(f).collect() }
    }

    /// One matrix a batch, whose entrywise squares add up to [`variance`](Self::variance).
    pub(crate) fn deviations(&self) -> Vec<Array2<f64>> {
        let k = self.values.len() as f64;
        let dim = self.values.first().map_or((0, 0), Array2::dim);
        let (mean, scale) = (self.mean(dim), 1.0 / (k * (k - 1.0)).sqrt());
        self.values.iter().map(|value| (value - &mean) * scale).collect()
    }

    /// The pseudo-values, one a batch.
    pub fn values(&self) -> &[Array2<f64>] {
        &self.values
    }

    /// Those of the mean of independent estimates: the k-th batch of each together. Batches that not
    /// all of them have are left out.
    pub(crate) fn mean_of(all: &[&Self]) -> Self {
        let batches = all.iter().map(|one| one.len()).min().unwrap_or(0);
        let values = (0..batches).map(|batch| mean(all.iter().map(|one| &one.values[batch])));
        Self { values: values.collect() }
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without batches.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Variance of the mean of the batches, entry by entry.
    pub fn variance(&self) -> Array2<f64> {
        let k = self.values.len() as f64;
        let dim = self.values.first().map_or((0, 0), Array2::dim);
        let mean = self.mean(dim);
        let mut sum = Array2::zeros(dim);
        for value in &self.values {
            let deviation = value - &mean;
            sum += &(&deviation * &deviation);
        }
        sum / (k * (k - 1.0))
    }

    fn mean(&self, dim: (usize, usize)) -> Array2<f64> {
        let mut sum = Array2::zeros(dim);
        for value in &self.values {
            sum += value;
        }
        sum / self.values.len() as f64
    }

    /// Half width of the interval around each entry at [`CONFIDENCE`], by Student's t.
    pub fn half_widths(&self) -> Array2<f64> {
        let t = student_quantile(self.values.len().saturating_sub(1), CONFIDENCE);
        self.variance().mapv(|v| t * v.sqrt())
    }

    /// Expected squared Frobenius norm of the statistical error.
    pub fn squared_error(&self) -> f64 {
        self.variance().sum()
    }

    /// Unbiased estimate of `tr V²`, V the covariance of the mean of the batches over all entries.
    fn trace_of_square(&self) -> f64 {
        let dof = self.values.len() as f64 - 1.0;
        let mean = self.mean(self.values[0].dim());
        let deviations: Vec<Array2<f64>> = self.values.iter().map(|v| v - &mean).collect();
        // tr S² of the sample covariance S, by inner products of batches instead of entries.
        let mut square = 0.0;
        for a in &deviations {
            for b in &deviations {
                square += (a * b).sum().powi(2);
            }
        }
        square /= dof * dof;
        let trace: f64 = deviations.iter().map(|a| (a * a).sum()).sum::<f64>() / dof;
        let unbiased = (square - trace * trace / dof) * dof * dof / ((dof - 1.0) * (dof + 2.0));
        // Never below what a covariance of full rank has.
        let entries = (mean.nrows() * (mean.nrows() + 1) / 2) as f64;
        unbiased.max(trace * trace / entries) / (self.values.len() as f64).powi(2)
    }
}

/// Two-sided quantile of Student's t.
pub(crate) fn student_quantile(dof: usize, confidence: f64) -> f64 {
    StudentsT::new(0.0, 1.0, dof as f64)
        .map_or(f64::INFINITY, |law| law.inverse_cdf(0.5 + 0.5 * confidence))
}

/// Probability that two estimates of the same matrix lie as far apart as these.
///
/// The squared Frobenius distance over its expectation is compared with an F law whose degrees
/// of freedom match its mean and variance (Satterthwaite 1946; Box 1954).
pub fn equality_p_value(a: (&Array2<f64>, &Replicates), b: (&Array2<f64>, &Replicates)) -> f64 {
    let difference = a.0 - b.0;
    let distance = (&difference * &difference).sum();
    let (va, vb) = (a.1.squared_error(), b.1.squared_error());
    let expected = va + vb;
    // tr (Va + Vb)² ≤ (√tr Va² + √tr Vb²)²: the bound keeps the false-alarm rate.
    let square = (a.1.trace_of_square().sqrt() + b.1.trace_of_square().sqrt()).powi(2);
    let numerator = expected * expected / square;
    let batches = (a.1.len() + b.1.len() - 2) as f64;
    let denominator = numerator * batches;
    FisherSnedecor::new(numerator, denominator).map_or(f64::NAN, |law| law.sf(distance / expected))
}

#[cfg(test)]
mod tests {
    use rand_core::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
        // Sum of twelve uniform numbers: normal enough for these tests.
        (0..12).map(|_| f64::from(rng.next_u32()) / 4_294_967_296.0).sum::<f64>() - 6.0
    }

    fn batches(rng: &mut Xoshiro256PlusPlus, k: usize, shift: f64) -> (Array2<f64>, Replicates) {
        let values: Vec<Array2<f64>> = (0..k)
            .map(|_| {
                let mut m = Array2::zeros((3, 3));
                for i in 0..3 {
                    for j in i..3 {
                        m[[i, j]] = shift + normal(rng) * (1.0 + i as f64);
                        m[[j, i]] = m[[i, j]];
                    }
                }
                m
            })
            .collect();
        let replicates = Replicates { values };
        (replicates.mean((3, 3)), replicates)
    }

    #[test]
    fn jackknife_of_a_mean_gives_back_the_values() {
        let values: Vec<Array2<f64>> =
            [1.0, 2.0, 6.0].iter().map(|x| Array2::from_elem((1, 1), *x)).collect();
        let whole = Array2::from_elem((1, 1), 3.0);
        let left_out: Vec<Array2<f64>> =
            [4.0, 3.5, 1.5].iter().map(|x| Array2::from_elem((1, 1), *x)).collect();
        let replicates = Replicates::jackknife(&whole, &left_out);
        assert_eq!(replicates.values, values);
        // Sample variance 7, three values.
        assert!((replicates.variance()[[0, 0]] - 7.0 / 3.0).abs() < 1e-12);
    }

    /// 1,000 pairs of equal matrices. At p < 0.01 the count of alarms is binomial with mean 10 if
    /// the test is exact; 40 or more then has probability < 1e-11. Fixed seed.
    #[test]
    fn equality_test_keeps_its_false_alarm_rate_and_has_power() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut alarms = 0;
        for _ in 0..1000 {
            let (a, b) = (batches(&mut rng, 32, 0.0), batches(&mut rng, 32, 0.0));
            if equality_p_value((&a.0, &a.1), (&b.0, &b.1)) < 0.01 {
                alarms += 1;
            }
        }
        assert!(alarms < 40, "{alarms} alarms");
        assert!(alarms > 1, "{alarms} alarms: the test is blind");
        let (a, b) = (batches(&mut rng, 32, 0.0), batches(&mut rng, 32, 3.0));
        assert!(equality_p_value((&a.0, &a.1), (&b.0, &b.1)) < 1e-6);
    }
}
