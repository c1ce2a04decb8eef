//! Layers and networks with what curvature needs: forward mode, reverse mode, and per-sample
//! Jacobians in factored form.
//!
//! Batches are row-major slices, one example after the other. Parameters are one flat slice θ.

mod activation;
mod conv;
mod embedding;
mod linear;
mod model;
mod network;

pub use activation::{Relu, Tanh};
pub use conv::Conv2d;
pub use embedding::Embedding;
pub use linear::{Dense, Factors};
pub use model::{Batch, NetworkModel};
pub use network::{Network, Tape};

use std::ops::Range;

use crate::model::ModelError;

/// A layer: a function y = f(θ, x) of one example, applied to every example of a batch.
///
/// Slices hold b examples each, b = `x.len() / inputs()`. Those called δ may hold several columns
/// per example, c = `dy.len() / (b · outputs())`: columns 0 to c − 1 of example 0, then of example 1.
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// Values per example that come in.
    fn inputs(&self) -> usize;

    /// Values per example that go out.
    fn outputs(&self) -> usize;

    /// Parameters, the length of θ.
    fn params(&self) -> usize {
        0
    }

    /// Whether it can only be the first layer, since its inputs have no derivative.
    fn is_first(&self) -> bool {
        false
    }

    /// Writes starting parameters to `theta`, from standard normal deviates.
    fn init(&self, _normals: &mut dyn Iterator<Item = f64>, _theta: &mut [f32]) {}

    /// Checks inputs that come from outside.
    ///
    /// # Errors
    /// Values that this layer cannot take.
    fn check(&self, x: &[f32]) -> Result<(), ModelError> {
        if crate::linalg::finite(x) {
            Ok(())
        } else {
            Err(ModelError::NotFinite("an input of the network"))
        }
    }

    /// Writes f(θ, x) to `y`; `saved` is for what the other methods need of
    /// it: as many values for every example.
    fn forward(&self, theta: &[f32], x: &[f32], y: &mut [f32], saved: &mut Vec<f32>);

    /// Reverse mode to the inputs: writes (∂y/∂x)ᵀ δ to `dx`, for every column of δ = `dy`.
    fn pullback(&self, at: &At, dy: &[f32], dx: &mut [f32]);

    /// Forward mode: writes (∂y/∂x) dx + (∂y/∂θ) dθ to `dy`. Without `dx` the inputs do not move.
    fn pushforward(&self, at: &At, dx: Option<&[f32]>, dtheta: &[f32], dy: &mut [f32]);

    /// Reverse mode to the parameters: writes Σ (∂y/∂θ)ᵀ δ over the batch to `dtheta`; one column
    /// per example.
    fn gradient(&self, _at: &At, _dy: &[f32], _dtheta: &mut [f32]) {}

    /// Appends to `rows` what [`add_gram`](Self::add_gram) needs of every column of δ = `dy`: δ
    /// itself, or a shorter form of that column's (∂y/∂θ)ᵀ δ.
    fn gram_rows(&self, _at: &At, dy: &[f32], rows: &mut Vec<f32>) {
        rows.extend_from_slice(dy);
    }

    /// Adds this layer's part of J Jᵀ to the lower triangle of `gram`, where row (example, column)
    /// of J is (∂y/∂θ)ᵀ δ of that example and column, given by [`gram_rows`](Self::gram_rows).
    /// `gram` is b·c × b·c, row-major; what is above its diagonal is of no account.
    fn add_gram(&self, _at: &At, _rows: &[f32], _gram: &mut [f32]) {}

    /// Activations a and columns δ whose outer products make the Jacobians, if this layer is
    /// linear in its parameters in that way.
    fn factors<'a>(&self, _at: &At<'a>, _dy: &'a [f32]) -> Option<Factors<'a>> {
        None
    }
}

/// Where a layer is linearised.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The layer's parameters.
    pub theta: &'a [f32],
    /// Inputs.
    pub x: &'a [f32],
    /// Outputs.
    pub y: &'a [f32],
    /// What [`Layer::forward`] saved.
    pub saved: &'a [f32],
}

impl At<'_> {
    /// Some of `all` examples.
    fn of(self, examples: Range<usize>, all: usize) -> Self {
        let part = |values: &'_ [f32]| -> Range<usize> {
            let each = values.len() / all;
            examples.start * each..examples.end * each
        };
        let (x, y, saved) = (part(self.x), part(self.y), part(self.saved));
        Self { theta: self.theta, x: &self.x[x], y: &self.y[y], saved: &self.saved[saved] }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
pub(crate) mod tests;
