//! How far the array's drift is from a symmetric one.

use super::relax::{RelaxOptions, norm};
use super::{Factored, Loaded};
use crate::device::Device;
use crate::error::Error;
use crate::spd::dot;

/// Time of the two runs in units of 1/‖F‖'s bound: long enough to move, too short to settle.
const SHORT: f64 = 0.5;

impl Factored {
    /// Asymmetry of the drift F that J, H and Jᵀ make, by two short runs: elements of J and Jᵀ have
    /// tolerances of their own, so F is not symmetric, and what it relaxes to is not the natural gradient
    /// of any curvature.
    ///
    /// The array starts at u, the direction of `probe` (take the gradient: it lies where the curvature
    /// acts), and moves by `f(F) u`; then at v, what is new in that, with the same f. The answer is
    /// `2 |vᵀ f(F) u − uᵀ f(F) v| / (|vᵀ f(F) u| + |uᵀ f(F) v|)`: 0 of a symmetric drift, but for the
    /// converter's rounding.
    ///
    /// # Errors
    /// As [`relax`](Self::relax); [`Error::Unsupported`] for a probe of zeros.
    pub fn asymmetry(
        &self,
        device: &mut dyn Device,
        loaded: &Loaded,
        probe: &[f64],
        options: &RelaxOptions,
    ) -> Result<f64, Error> {
        let time = SHORT / (loaded.curvature_bound() + options.damping);
        let options = RelaxOptions { time, noise: 0.0, ..*options };
        let still = vec![0.0; probe.len()];
        let mut moved = |start: &[f64]| -> Result<Vec<f64>, Error> {
            let read = self.relax(device, loaded, &still, start, &options)?;
            Ok(start.iter().zip(&read.x).map(|(start, x)| start - x).collect())
        };
        let Some(u) = direction(probe.to_vec()) else {
            return Err(super::unsupported("a probe of zeros shows nothing of the drift".into()));
        };
        let forth = moved(&u)?;
        let along = dot(&u, &forth);
        let Some(v) = direction(forth.iter().zip(&u).map(|(x, u)| x - along * u).collect()) else {
            return Ok(0.0);
        };
        let back = moved(&v)?;
        let (one, other) = (dot(&v, &forth), dot(&u, &back));
        Ok(2.0 * (one - other).abs() / (one.abs() + other.abs()))
    }
}

fn direction(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let size = norm(&values);
    for x in &mut values {
        *x /= size;
    }
    (size > 0.0).then_some(values)
}
