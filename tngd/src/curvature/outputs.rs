//! Curvature of a network from that of its loss over the outputs.

use super::{Curvature, KroneckerFactor, LowRank, kronecker};
use crate::{
    linalg::scale,
    nn::{Network, Tape},
};

/// Which curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Generalized Gauss–Newton: G = (1/b) Σ Jᵀ H J, H the loss's Hessian over an example's outputs.
    GaussNewton,
    /// Empirical Fisher: G = (1/b) Σ g gᵀ, g an example's gradient.
    EmpiricalFisher,
}

/// G = (1/b) Σ Jᵀ S Sᵀ J over the examples of a batch, J an example's Jacobian of outputs over
/// parameters. B = Sᵀ J/√b is applied by forward mode, Bᵀ by reverse mode; no Jacobian is formed.
#[derive(Debug)]
pub struct OutputCurvature<'a> {
    network: &'a Network,
    theta: &'a [f32],
    tape: Tape,
    /// Sᵀ: examples × columns × outputs.
    factor: Vec<f32>,
    columns: usize,
}

impl<'a> OutputCurvature<'a> {
    /// From Sᵀ of every example: examples × c × outputs.
    ///
    /// # Panics
    /// `factor` is no whole number of columns per example.
    pub fn new(network: &'a Network, theta: &'a [f32], tape: Tape, factor: Vec<f32>) -> Self {
        let per_column = tape.examples() * network.outputs();
        assert!(factor.len().is_multiple_of(per_column), "a factor for every example");
        let columns = factor.len() / per_column;
        Self { network, theta, tape, factor, columns }
    }

    /// Sᵀ dz/√b, row by row.
    fn columns_of(&self, dz: &[f32], out: &mut [f32]) {
        let outputs = self.network.outputs();
        let root = (self.tape.examples() as f32).sqrt();
        for (row, (out, s)) in out.iter_mut().zip(self.factor.chunks_exact(outputs)).enumerate() {
            let dz = &dz[row / self.columns * outputs..][..outputs];
            *out = s.iter().zip(dz).map(|(s, z)| s * z).sum::<f32>() / root;
        }
    }

    /// S w/√b.
    fn outputs_of(&self, w: &[f32]) -> Vec<f32> {
        let outputs = self.network.outputs();
        let root = (self.tape.examples() as f32).sqrt();
        let mut dz = vec![0.0; self.tape.examples() * outputs];
        for (row, (w, s)) in w.iter().zip(self.factor.chunks_exact(outputs)).enumerate() {
            let dz = &mut dz[row / self.columns * outputs..][..outputs];
            dz.iter_mut().zip(s).for_each(|(z, s)| *z += w * s / root);
        }
        dz
    }
}

impl Curvature for OutputCurvature<'_> {
    fn len(&self) -> usize {
        self.network.params()
    }

    fn product(&self, v: &[f32], out: &mut [f32]) {
        let mut w = vec![0.0; self.rank()];
        self.b_product(v, &mut w);
        self.bt_product(&w, out);
    }

    fn low_rank(&self) -> Option<&dyn LowRank> {
        Some(self)
    }

    fn kronecker(&self) -> Vec<KroneckerFactor> {
        let mut all = Vec::new();
        self.network.factors(self.theta, &self.tape, &self.factor, |layer, factors| {
            all.push(kronecker::of(layer, self.network.range(layer), &factors));
        });
        all.reverse();
        all
    }
}

impl LowRank for OutputCurvature<'_> {
    fn rank(&self) -> usize {
        self.tape.examples() * self.columns
    }

    fn b_product(&self, v: &[f32], out: &mut [f32]) {
        self.columns_of(&self.network.jvp(self.theta, &self.tape, v), out);
    }

    fn bt_product(&self, w: &[f32], out: &mut [f32]) {
        self.network.vjp(self.theta, &self.tape, &self.outputs_of(w), out);
    }

    fn gram(&self) -> Vec<f32> {
        let mut gram = self.network.gram(self.theta, &self.tape, &self.factor);
        scale(1.0 / self.tape.examples() as f32, &mut gram);
        gram
    }
}
