//! Layers that are linear in their parameters: y = W (a, 1) at one or more positions of an example.
//!
//! A dense layer has one position, whose a is its input; a convolution has one for every place of
//! its kernel, whose a is the patch under it. W is row-major with the bias as its last column.

use super::{At, Layer};
use crate::linalg::{Mat, MatMut, matmul};

/// Rows of a Gram matrix that are done at once, up to the diagonal: most of the upper triangle is
/// left out.
const BLOCK: usize = 96;
/// Most values of per-sample Jacobians at once.
const JACOBIANS: usize = 1 << 24;

/// Per-sample Jacobians as outer products: that of (example, column) is Σ δ (a, 1)ᵀ over positions.
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    /// Positions of an example.
    pub positions: usize,
    /// Length of (a, 1).
    pub width: usize,
    /// Length of δ.
    pub outputs: usize,
    /// (a, 1): examples × positions × width.
    pub a: &'a [f32],
    /// δ: examples × columns × positions × outputs.
    pub delta: &'a [f32],
}

impl Factors<'_> {
    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.a.len() / (self.positions * self.width)
    }

    /// Columns per example.
    pub fn columns(&self) -> usize {
        self.delta.len() / (self.examples() * self.positions * self.outputs)
    }

    /// Whether a column's Jacobian, outputs × width, is no longer than its δ, positions × outputs.
    fn short(&self) -> bool {
        1 < self.positions && self.width <= self.positions
    }

    /// Writes the Jacobians of `some` outputs from `first` on, one row per column.
    fn jacobians(&self, first: usize, some: usize, jacobians: &mut [f32]) {
        let (columns, positions, width) = (self.columns(), self.positions, self.width);
        for (row, jacobian) in jacobians.chunks_exact_mut(some * width).enumerate() {
            let delta = &self.delta[row * positions * self.outputs + first..];
            let delta = Mat::strided(delta, positions, some, self.outputs);
            let a = Mat::new(&self.a[row / columns * positions * width..], positions, width);
            matmul(MatMut::new(jacobian, some, width), false, 1.0, delta.t(), a);
        }
    }

    /// What [`add_gram`](Self::add_gram) takes as δ: Jacobians where they are short.
    fn gram_rows(&self, rows: &mut Vec<f32>) {
        if self.short() {
            let from = rows.len();
            let columns = self.examples() * self.columns();
            rows.resize(from + columns * self.outputs * self.width, 0.0);
            self.jacobians(0, self.outputs, &mut rows[from..]);
        } else {
            rows.extend_from_slice(self.delta);
        }
    }

    /// Adds J Jᵀ to the lower triangle of `gram`, of `rows` rows; δ is as
    /// [`gram_rows`](Self::gram_rows) gives it.
    fn add_gram(&self, rows: usize, gram: &mut [f32]) {
        if self.positions == 1 {
            self.add_gram_of_products(rows, gram);
        } else if self.short() {
            add_square(self.delta, rows, gram);
        } else {
            // The Jacobians of a few outputs at a time.
            let most = (JACOBIANS / (rows * self.width)).clamp(1, self.outputs);
            let mut jacobians = vec![0.0; rows * most * self.width];
            for first in (0..self.outputs).step_by(most) {
                let some = most.min(self.outputs - first);
                let jacobians = &mut jacobians[..rows * some * self.width];
                self.jacobians(first, some, jacobians);
                add_square(jacobians, rows, gram);
            }
        }
    }

    /// (a aᵀ) ∘ (δ δᵀ), for one position.
    fn add_gram_of_products(&self, rows: usize, gram: &mut [f32]) {
        let (examples, columns) = (self.examples(), rows / self.examples());
        let a = Mat::new(self.a, examples, self.width);
        let mut aa = vec![0.0; examples * examples];
        matmul(MatMut::new(&mut aa, examples, examples), false, 1.0, a, a.t());
        let mut block = vec![0.0; BLOCK * rows];
        for from in (0..rows).step_by(BLOCK) {
            let to = (from + BLOCK).min(rows);
            let some = Mat::new(&self.delta[from * self.outputs..], to - from, self.outputs);
            let until = Mat::new(self.delta, to, self.outputs);
            matmul(MatMut::new(&mut block, to - from, to), false, 1.0, some, until.t());
            for (row, products) in (from..to).zip(block.chunks_exact(to)) {
                let gram = &mut gram[row * rows..][..=row];
                let aa = &aa[row / columns * examples..][..examples];
                for ((gram, products), a) in
                    gram.chunks_mut(columns).zip(products.chunks(columns)).zip(aa)
                {
                    gram.iter_mut().zip(products).for_each(|(gram, product)| *gram += a * product);
                }
            }
        }
    }
}

/// Adds X Xᵀ to the lower triangle of `gram`.
fn add_square(x: &[f32], rows: usize, gram: &mut [f32]) {
    let width = x.len() / rows;
    for from in (0..rows).step_by(BLOCK) {
        let to = (from + BLOCK).min(rows);
        let some = Mat::new(&x[from * width..], to - from, width);
        let gram = MatMut::strided(&mut gram[from * rows..], to - from, to, rows);
        matmul(gram, true, 1.0, some, Mat::new(x, to, width).t());
    }
}

/// The map W, shared by dense and convolution layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    /// Length of (a, 1).
    pub(super) width: usize,
    pub(super) outputs: usize,
}

impl Linear {
    pub(super) fn params(self) -> usize {
        self.width * self.outputs
    }

    /// LeCun et al., "Efficient BackProp", 1998, section 4.6: weights of variance 1/inputs, no bias.
    pub(super) fn init(self, normals: &mut dyn Iterator<Item = f64>, theta: &mut [f32]) {
        let scale = (1.0 / (self.width - 1).max(1) as f64).sqrt();
        for row in theta.chunks_exact_mut(self.width) {
            let (bias, weights) = row.split_last_mut().expect("a width above 0");
            *bias = 0.0;
            weights.iter_mut().zip(&mut *normals).for_each(|(w, z)| *w = (scale * z) as f32);
        }
    }

    fn weights(self, theta: &[f32]) -> Mat<'_> {
        Mat::new(theta, self.outputs, self.width)
    }

    /// y = W a, or y += W a.
    pub(super) fn forward(self, theta: &[f32], a: &[f32], add: bool, y: &mut [f32]) {
        let rows = a.len() / self.width;
        let y = MatMut::new(y, rows, self.outputs);
        matmul(y, add, 1.0, Mat::new(a, rows, self.width), self.weights(theta).t());
    }

    /// da = Wᵀ dy without the last entry, that of the bias.
    pub(super) fn pullback(self, theta: &[f32], dy: &[f32], da: &mut [f32]) {
        let (rows, inputs) = (dy.len() / self.outputs, self.width - 1);
        let weights = Mat::strided(theta, self.outputs, inputs, self.width);
        let dy = Mat::new(dy, rows, self.outputs);
        matmul(MatMut::new(da, rows, inputs), false, 1.0, dy, weights);
    }

    /// y += W da, where da lacks the last entry.
    pub(super) fn add_pushforward(self, theta: &[f32], da: &[f32], y: &mut [f32]) {
        let inputs = self.width - 1;
        let rows = da.len() / inputs;
        let weights = Mat::strided(theta, self.outputs, inputs, self.width);
        let y = MatMut::new(y, rows, self.outputs);
        matmul(y, true, 1.0, Mat::new(da, rows, inputs), weights.t());
    }

    /// dW = Σ dy aᵀ over examples and positions.
    pub(super) fn gradient(self, a: &[f32], dy: &[f32], dtheta: &mut [f32]) {
        let rows = a.len() / self.width;
        let (a, dy) = (Mat::new(a, rows, self.width), Mat::new(dy, rows, self.outputs));
        matmul(MatMut::new(dtheta, self.outputs, self.width), false, 1.0, dy.t(), a);
    }

    pub(super) fn factors<'a>(
        self,
        positions: usize,
        a: &'a [f32],
        delta: &'a [f32],
    ) -> Factors<'a> {
        Factors { positions, width: self.width, outputs: self.outputs, a, delta }
    }

    pub(super) fn gram_rows(self, positions: usize, a: &[f32], delta: &[f32], rows: &mut Vec<f32>) {
        self.factors(positions, a, delta).gram_rows(rows);
    }

    pub(super) fn add_gram(self, positions: usize, a: &[f32], rows: &[f32], gram: &mut [f32]) {
        self.factors(positions, a, rows).add_gram(gram.len().isqrt(), gram);
    }
}

/// A dense layer: y = W (x, 1). Parameters: W, outputs × (inputs + 1), the bias as last column.
#[derive(Debug, Clone, Copy)]
pub struct Dense {
    /// Values per example that come in.
    pub inputs: usize,
    /// Values per example that go out.
    pub outputs: usize,
}

impl Dense {
    fn linear(&self) -> Linear {
        Linear { width: self.inputs + 1, outputs: self.outputs }
    }
}

impl Layer for Dense {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn params(&self) -> usize {
        self.linear().params()
    }

    fn init(&self, normals: &mut dyn Iterator<Item = f64>, theta: &mut [f32]) {
        self.linear().init(normals, theta);
    }

    fn forward(&self, theta: &[f32], x: &[f32], y: &mut [f32], saved: &mut Vec<f32>) {
        saved.clear();
        for x in x.chunks_exact(self.inputs) {
            saved.extend_from_slice(x);
            saved.push(1.0);
        }
        self.linear().forward(theta, saved, false, y);
    }

    fn pullback(&self, at: &At, dy: &[f32], dx: &mut [f32]) {
        self.linear().pullback(at.theta, dy, dx);
    }

    fn pushforward(&self, at: &At, dx: Option<&[f32]>, dtheta: &[f32], dy: &mut [f32]) {
        self.linear().forward(dtheta, at.saved, false, dy);
        if let Some(dx) = dx {
            self.linear().add_pushforward(at.theta, dx, dy);
        }
    }

    fn gradient(&self, at: &At, dy: &[f32], dtheta: &mut [f32]) {
        self.linear().gradient(at.saved, dy, dtheta);
    }

    fn add_gram(&self, at: &At, rows: &[f32], gram: &mut [f32]) {
        self.linear().add_gram(1, at.saved, rows, gram);
    }

    fn factors<'a>(&self, at: &At<'a>, dy: &'a [f32]) -> Option<Factors<'a>> {
        Some(self.linear().factors(1, at.saved, dy))
    }
}
