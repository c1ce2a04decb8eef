//! A table of vectors, looked up by token.

use std::collections::BTreeMap;

use super::{At, Layer};
use crate::{
    linalg::{Mat, MatMut, axpy, matmul},
    model::ModelError,
};

/// Looks up a vector for every token of an example; outputs are the vectors one after the other.
/// Inputs are token numbers, written as f32 (exact up to 2²⁴). Parameters: the table, vocabulary ×
/// size, row-major. It can only be the first layer.
#[derive(Debug, Clone, Copy)]
pub struct Embedding {
    /// Tokens of an example.
    pub tokens: usize,
    /// Rows of the table.
    pub vocabulary: usize,
    /// Length of a vector.
    pub size: usize,
}

impl Embedding {
    fn rows<'a>(&self, table: &'a [f32], x: &[f32]) -> impl Iterator<Item = &'a [f32]> {
        x.iter().map(move |&token| &table[token as usize * self.size..][..self.size])
    }
}

impl Layer for Embedding {
    fn inputs(&self) -> usize {
        self.tokens
    }

    fn outputs(&self) -> usize {
        self.tokens * self.size
    }

    fn params(&self) -> usize {
        self.vocabulary * self.size
    }

    fn is_first(&self) -> bool {
        true
    }

    fn init(&self, normals: &mut dyn Iterator<Item = f64>, theta: &mut [f32]) {
        theta.iter_mut().zip(normals).for_each(|(w, z)| *w = z as f32);
    }

    fn check(&self, x: &[f32]) -> Result<(), ModelError> {
        let token = |x: f32| x >= 0.0 && x.fract() == 0.0 && (x as usize) < self.vocabulary;
        match x.iter().find(|&&x| !token(x)) {
            Some(&value) => Err(ModelError::Token { value, vocabulary: self.vocabulary }),
            None => Ok(()),
        }
    }

    fn forward(&self, theta: &[f32], x: &[f32], y: &mut [f32], _saved: &mut Vec<f32>) {
        for (y, row) in y.chunks_exact_mut(self.size).zip(self.rows(theta, x)) {
            y.copy_from_slice(row);
        }
    }

    fn pullback(&self, _at: &At, _dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
    }

    fn pushforward(&self, at: &At, _dx: Option<&[f32]>, dtheta: &[f32], dy: &mut [f32]) {
        for (dy, row) in dy.chunks_exact_mut(self.size).zip(self.rows(dtheta, at.x)) {
            dy.copy_from_slice(row);
        }
    }

    fn gradient(&self, at: &At, dy: &[f32], dtheta: &mut [f32]) {
        dtheta.fill(0.0);
        for (dy, &token) in dy.chunks_exact(self.size).zip(at.x) {
            axpy(1.0, dy, &mut dtheta[token as usize * self.size..][..self.size]);
        }
    }

    /// Rows of the table are apart: for each token, δ summed over its places in an example, and
    /// products between the examples that have it.
    fn add_gram(&self, at: &At, delta: &[f32], gram: &mut [f32]) {
        let examples = at.x.len() / self.tokens;
        let columns = delta.len() / (examples * self.outputs());
        let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, &token) in at.x.iter().enumerate() {
            places.entry(token as usize).or_default().push(place);
        }
        let (mut rows, mut sums) = (Vec::new(), Vec::new());
        for places in places.values() {
            rows.clear();
            sums.clear();
            // Places are sorted, so those of an example are together.
            for of_example in places.chunk_by(|a, b| a / self.tokens == b / self.tokens) {
                let example = of_example[0] / self.tokens;
                for row in example * columns..(example + 1) * columns {
                    rows.push(row);
                    let at = sums.len();
                    sums.resize(at + self.size, 0.0);
                    for place in of_example {
                        let from = (row * self.tokens + place % self.tokens) * self.size;
                        axpy(1.0, &delta[from..][..self.size], &mut sums[at..]);
                    }
                }
            }
            let sums = Mat::new(&sums, rows.len(), self.size);
            let mut products = vec![0.0; rows.len() * rows.len()];
            matmul(MatMut::new(&mut products, rows.len(), rows.len()), false, 1.0, sums, sums.t());
            for (&i, products) in rows.iter().zip(products.chunks_exact(rows.len())) {
                for (&j, product) in rows.iter().zip(products) {
                    gram[i * examples * columns + j] += product;
                }
            }
        }
    }
}
