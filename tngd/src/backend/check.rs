//! Checks that every backend makes before anything changes.

use super::{BackendError, Evolution, NaturalGradient};
use crate::{curvature::Curvature, linalg::finite};

/// Refuses what no backend, or not this one, can do.
pub(crate) fn request(
    backend: &(impl NaturalGradient + ?Sized),
    curvature: &dyn Curvature,
    gradient: &[f32],
    evolution: &Evolution,
    state: &[f32],
) -> Result<(), BackendError> {
    let &Evolution { damping, time, noise, .. } = evolution;
    if !(damping > 0.0 && damping.is_finite()) {
        return Err(BackendError::Damping(damping));
    }
    if time.is_nan() || time < 0.0 {
        return Err(BackendError::Time(time));
    }
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(BackendError::Noise(noise));
    }
    let needed = curvature.len();
    for (what, values) in [("gradient", gradient), ("state", state)] {
        if values.len() != needed {
            return Err(BackendError::Length { what, len: values.len(), needed });
        }
    }
    for (what, values) in [("the gradient", gradient), ("the state", state)] {
        if !finite(values) {
            return Err(BackendError::NotFinite(what));
        }
    }
    let capabilities = backend.capabilities();
    if time == f64::INFINITY && !capabilities.equilibrium {
        return Err(BackendError::NoEquilibrium { label: backend.label() });
    }
    if time < f64::INFINITY && !capabilities.finite_time {
        return Err(BackendError::EquilibriumOnly { label: backend.label(), time });
    }
    if noise > 0.0 && !capabilities.noise {
        return Err(BackendError::Noiseless { label: backend.label(), noise });
    }
    Ok(())
}

/// g − (G + λI) x, refused if the curvature's product is not finite.
pub(crate) fn residual(
    curvature: &dyn Curvature,
    gradient: &[f32],
    damping: f64,
    state: &[f32],
) -> Result<Vec<f32>, BackendError> {
    let mut residual = vec![0.0; gradient.len()];
    curvature.product(state, &mut residual);
    let damping = damping as f32;
    for ((r, g), x) in residual.iter_mut().zip(gradient).zip(state) {
        *r = g - (*r + damping * x);
    }
    result(&residual)?;
    Ok(residual)
}

/// Refuses what is computed from a curvature that is not finite.
pub(crate) fn result(values: &[f32]) -> Result<(), BackendError> {
    if finite(values) {
        Ok(())
    } else {
        Err(BackendError::NotFinite("a product with the curvature"))
    }
}
