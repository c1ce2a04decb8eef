//! Kronecker factors of a layer's curvature.

use std::ops::Range;

use crate::{
    linalg::{Mat, MatMut, matmul},
    nn::Factors,
};

/// A layer's block of the curvature as A ⊗ Γ: A = E[a aᵀ] of the layer's activations (1 for the bias
/// last), Γ = E[Σ δ δᵀ] of the columns δ of S taken back to its outputs (Martens & Grosse,
/// "Optimizing neural networks with Kronecker-factored approximate curvature", 2015).
///
/// For a convolution A sums over positions and Γ averages over them (Grosse & Martens, "A
/// Kronecker-factored approximate Fisher matrix for convolution layers", 2016). The
/// layer's parameters are outputs × width, row-major, so A ⊗ Γ takes V to Γ V A.
#[derive(Debug, Clone, PartialEq)]
pub struct KroneckerFactor {
    /// The layer's number, from 0.
    pub layer: usize,
    /// Where its parameters lie in θ.
    pub params: Range<usize>,
    /// Rows of A: inputs (of a patch) and the bias.
    pub width: usize,
    /// Rows of Γ: outputs (channels).
    pub outputs: usize,
    /// A, width × width.
    pub a: Vec<f32>,
    /// Γ, outputs × outputs.
    pub gamma: Vec<f32>,
}

pub(super) fn of(layer: usize, params: Range<usize>, factors: &Factors) -> KroneckerFactor {
    let &Factors { positions, width, outputs, a, delta } = factors;
    let examples = factors.examples() as f32;
    KroneckerFactor {
        layer,
        params,
        width,
        outputs,
        a: second_moment(a, width, 1.0 / examples),
        gamma: second_moment(delta, outputs, 1.0 / (examples * positions as f32)),
    }
}

/// scale · Σ v vᵀ over rows v.
fn second_moment(rows: &[f32], n: usize, scale: f32) -> Vec<f32> {
    let rows = Mat::new(rows, rows.len() / n, n);
    let mut out = vec![0.0; n * n];
    matmul(MatMut::new(&mut out, n, n), false, scale, rows.t(), rows);
    out
}
