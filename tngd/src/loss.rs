//! Losses over a network's outputs z, row-major of shape b × d (b examples, d outputs).

use crate::{linalg::scale, model::ModelError};

/// A loss; its value is the mean over the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// −ln p of the label, p = softmax(z). Targets are [`Targets::Labels`].
    SoftmaxCrossEntropy,
    /// ½ ‖z − y‖². Targets are [`Targets::Values`].
    Squared,
}

/// What the outputs should be.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class for each example.
    Labels(Vec<u32>),
    /// Values, row-major, b × d.
    Values(Vec<f32>),
}

/// Value and gradient of a loss at the outputs of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Mean over the batch.
    pub loss: f64,
    /// Gradient of each example's own loss (not divided by b), b × d.
    pub gradient: Vec<f32>,
}

impl Loss {
    /// Checks targets against b examples of d outputs.
    ///
    /// # Errors
    /// Empty batches, wrong kinds and numbers of targets, labels that are no class, values that are
    /// not finite.
    pub fn check(self, targets: &Targets, b: usize, d: usize) -> Result<(), ModelError> {
        if b == 0 {
            return Err(ModelError::EmptyBatch);
        }
        let length = |what, len, needed| {
            if len == needed { Ok(()) } else { Err(ModelError::Length { what, len, needed }) }
        };
        match (self, targets) {
            (Self::SoftmaxCrossEntropy, Targets::Labels(labels)) => {
                length("labels", labels.len(), b)?;
                match labels.iter().position(|&label| label as usize >= d) {
                    Some(example) => {
                        Err(ModelError::Label { example, label: labels[example], classes: d })
                    }
                    None => Ok(()),
                }
            }
            (Self::Squared, Targets::Values(values)) => {
                length("target values", values.len(), b * d)?;
                if values.iter().all(|y| y.is_finite()) {
                    Ok(())
                } else {
                    Err(ModelError::NotFinite("a target value"))
                }
            }
            (Self::SoftmaxCrossEntropy, Targets::Values(_)) => Err(ModelError::Targets {
                loss: "softmax cross-entropy",
                needed: "labels",
                given: "values",
            }),
            (Self::Squared, Targets::Labels(_)) => {
                Err(ModelError::Targets { loss: "squared", needed: "values", given: "labels" })
            }
        }
    }

    /// Loss and gradient at outputs `z` of d values per example.
    ///
    /// # Errors
    /// As [`check`](Self::check), and outputs that are not finite.
    pub fn evaluate(self, z: &[f32], targets: &Targets, d: usize) -> Result<Evaluated, ModelError> {
        let b = z.len() / d;
        self.check(targets, b, d)?;
        if !z.iter().all(|z| z.is_finite()) {
            return Err(ModelError::NotFinite("an output of the network"));
        }
        let mut total = 0.0;
        let gradient = match targets {
            Targets::Labels(labels) => {
                let mut gradient = vec![0.0; b * d];
                for ((z, g), &label) in
                    z.chunks_exact(d).zip(gradient.chunks_exact_mut(d)).zip(labels)
                {
                    total += softmax(z, g) - f64::from(z[label as usize]);
                    g[label as usize] -= 1.0;
                }
                gradient
            }
            Targets::Values(values) => {
                let gradient: Vec<f32> = z.iter().zip(values).map(|(z, y)| z - y).collect();
                total = 0.5 * gradient.iter().map(|&r| f64::from(r) * f64::from(r)).sum::<f64>();
                gradient
            }
        };
        Ok(Evaluated { loss: total / b as f64, gradient })
    }

    /// Columns c of the factor S of each example's Hessian H = S Sᵀ over d outputs: the rank of H.
    pub fn rank(self, d: usize) -> usize {
        match self {
            Self::SoftmaxCrossEntropy => d - 1,
            Self::Squared => d,
        }
    }

    /// The factor S of each example's Hessian over its outputs, H = S Sᵀ, as Sᵀ: b × c × d.
    ///
    /// Softmax: H = diag(p) − p pᵀ = S₀ S₀ᵀ with S₀ = diag(√p) − p √pᵀ, and S₀ √p = 0. So S = S₀ Q
    /// for any orthonormal Q (d × (d − 1)) with Qᵀ √p = 0: the columns of a Householder reflector.
    pub fn hessian_factor(self, z: &[f32], d: usize) -> Vec<f32> {
        let (b, c) = (z.len() / d, self.rank(d));
        let mut factor = vec![0.0; b * c * d];
        match self {
            Self::Squared => {
                for s in factor.chunks_exact_mut(d * d) {
                    s.iter_mut().step_by(d + 1).for_each(|s| *s = 1.0);
                }
            }
            Self::SoftmaxCrossEntropy if c > 0 => {
                let mut p = vec![0.0; d];
                for (z, s) in z.chunks_exact(d).zip(factor.chunks_exact_mut(c * d)) {
                    softmax(z, &mut p);
                    softmax_factor(&p, s);
                }
            }
            Self::SoftmaxCrossEntropy => {}
        }
        factor
    }
}

/// Writes softmax(z) to `p`; the result is ln Σ e^z.
fn softmax(z: &[f32], p: &mut [f32]) -> f64 {
    let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (p, z) in p.iter_mut().zip(z) {
        *p = (z - largest).exp();
        sum += f64::from(*p);
    }
    scale((1.0 / sum) as f32, p);
    f64::from(largest) + sum.ln()
}

/// Sᵀ of one example, (d − 1) × d. With u = √p the reflector I − 2 v vᵀ/‖v‖², v = u + e, takes
/// e to −u, so its other columns are orthogonal to u.
fn softmax_factor(p: &[f32], s: &mut [f32]) {
    let d = p.len();
    let u: Vec<f32> = p.iter().map(|p| p.sqrt()).collect();
    // ‖u + e‖² = 2 (1 + uₗ), and v_j = u_j for j < d − 1.
    let weight = 1.0 / (1.0 + u[d - 1]);
    for (j, row) in s.chunks_exact_mut(d).enumerate() {
        for (i, s) in row.iter_mut().enumerate() {
            let v = u[i] + if i == d - 1 { 1.0 } else { 0.0 };
            let q = if i == j { 1.0 } else { 0.0 } - v * u[j] * weight;
            // S₀ q = √p∘q − p (√p·q), whose second term is 0.
            *s = u[i] * q;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(b: usize, d: usize) -> Vec<f32> {
        (0..b * d).map(|i| ((i * 37 % 23) as f32 - 11.0) * 0.3).collect()
    }

    #[test]
    fn gradients_are_finite_differences() {
        let (b, d) = (3, 4);
        let z = outputs(b, d);
        for (loss, targets) in [
            (Loss::SoftmaxCrossEntropy, Targets::Labels(vec![0, 3, 2])),
            (Loss::Squared, Targets::Values(outputs(b, d).iter().map(|z| 0.5 * z + 1.0).collect())),
        ] {
            let at = loss.evaluate(&z, &targets, d).unwrap();
            for i in 0..b * d {
                let moved = |by: f32| {
                    let mut z = z.clone();
                    z[i] += by;
                    loss.evaluate(&z, &targets, d).unwrap().loss
                };
                let slope = (moved(0.01) - moved(-0.01)) / 0.02 * b as f64;
                assert!((slope - f64::from(at.gradient[i])).abs() < 1e-3, "{loss:?} {i}");
            }
        }
    }

    #[test]
    fn factors_give_the_hessian() {
        let (b, d) = (3, 5);
        let z = outputs(b, d);
        let loss = Loss::SoftmaxCrossEntropy;
        let s = loss.hessian_factor(&z, d);
        for example in 0..b {
            let mut p = vec![0.0; d];
            softmax(&z[example * d..][..d], &mut p);
            let s = &s[example * (d - 1) * d..][..(d - 1) * d];
            for i in 0..d {
                for j in 0..d {
                    let product: f32 = s.chunks_exact(d).map(|s| s[i] * s[j]).sum();
                    let h = if i == j { p[i] } else { 0.0 } - p[i] * p[j];
                    assert!((product - h).abs() < 1e-6, "{example} {i} {j}: {product} {h}");
                }
            }
        }
    }

    #[test]
    fn large_outputs_do_not_overflow() {
        let at =
            Loss::SoftmaxCrossEntropy.evaluate(&[1e4, -1e4], &Targets::Labels(vec![1]), 2).unwrap();
        assert!((at.loss - 2e4).abs() < 1.0);
    }

    #[test]
    fn bad_targets_are_refused() {
        let cross = Loss::SoftmaxCrossEntropy;
        let labels = Targets::Labels(vec![0, 2]);
        let said = |result: Result<Evaluated, ModelError>| result.unwrap_err();
        assert_eq!(said(cross.evaluate(&[], &labels, 2)), ModelError::EmptyBatch);
        assert_eq!(
            said(cross.evaluate(&[0.0; 4], &labels, 2)),
            ModelError::Label { example: 1, label: 2, classes: 2 }
        );
        assert!(matches!(said(cross.evaluate(&[0.0; 2], &labels, 2)), ModelError::Length { .. }));
        let values = Targets::Values(vec![0.0, f32::NAN]);
        assert!(matches!(said(cross.evaluate(&[0.0; 2], &values, 2)), ModelError::Targets { .. }));
        assert!(matches!(
            said(Loss::Squared.evaluate(&[0.0; 2], &labels, 2)),
            ModelError::Targets { .. }
        ));
        assert_eq!(
            said(Loss::Squared.evaluate(&[0.0; 2], &values, 2)),
            ModelError::NotFinite("a target value")
        );
        assert_eq!(
            said(cross.evaluate(&[f32::NAN, 0.0], &Targets::Labels(vec![0]), 2)),
            ModelError::NotFinite("an output of the network")
        );
    }
}
