//! A sequence of layers.

use std::ops::Range;

use super::{At, Conv2d, Dense, Factors, Layer, Relu};
use crate::{model::ModelError, random::normals};

/// Values of δ that go back through the layers at once for a Gram matrix: they stay in the cache.
const GROUP: usize = 1 << 16;

/// Layers one after the other. Parameters θ are those of the layers, in order, in one slice.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Box<dyn Layer>>,
    /// Where each layer's parameters begin, and the end.
    offsets: Vec<usize>,
    /// The first layer that has parameters: derivatives are not needed below it.
    lowest: usize,
}

/// A forward pass: what every layer gave, where derivatives are taken.
#[derive(Debug, Clone)]
pub struct Tape {
    inputs: Vec<f32>,
    outputs: Vec<Vec<f32>>,
    saved: Vec<Vec<f32>>,
    examples: usize,
}

impl Tape {
    /// Outputs of the last layer.
    pub fn outputs(&self) -> &[f32] {
        self.outputs.last().map_or(&self.inputs, |outputs| outputs)
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    fn at<'a>(&'a self, layer: usize, theta: &'a [f32]) -> At<'a> {
        let x = match layer {
            0 => &self.inputs,
            _ => &self.outputs[layer - 1],
        };
        At { theta, x, y: &self.outputs[layer], saved: &self.saved[layer] }
    }
}

impl Network {
    /// Joins layers.
    ///
    /// # Errors
    /// No layers or parameters, sizes of 0, or a layer that takes another number of values than the
    /// one before it gives, an embedding that is not the first layer.
    pub fn new(layers: Vec<Box<dyn Layer>>) -> Result<Self, ModelError> {
        if layers.iter().any(|layer| layer.inputs() == 0 || layer.outputs() == 0) {
            return Err(ModelError::Shape("a layer has a size of 0: all must be at least 1"));
        }
        for (i, pair) in layers.windows(2).enumerate() {
            let (given, inputs) = (pair[0].outputs(), pair[1].inputs());
            if given != inputs {
                return Err(ModelError::Layers { layer: i + 1, inputs, given });
            }
        }
        if layers.iter().skip(1).any(|layer| layer.is_first()) {
            return Err(ModelError::Shape(
                "a layer that takes tokens comes after another: put the embedding first",
            ));
        }
        let lowest = layers.iter().position(|layer| layer.params() > 0).ok_or(
            ModelError::Shape("the network has no parameters: add a layer that can be trained"),
        )?;
        let mut offsets = vec![0];
        offsets.extend(layers.iter().scan(0, |at, layer| {
            *at += layer.params();
            Some(*at)
        }));
        Ok(Self { layers, offsets, lowest })
    }

    /// For 28 × 28 images in ten classes: convolution 5 × 5 of stride 2 to 8 channels, [`Relu`], dense
    /// to 32, [`Relu`], dense to 10. 37,434 parameters.
    #[allow(clippy::missing_panics_doc, reason = "the sizes fit")]
    pub fn mnist_convnet() -> Self {
        let conv = Conv2d::new([28, 28, 1], 5, 2, 8).expect("fits");
        let size = conv.outputs();
        Self::new(vec![
            Box::new(conv),
            Box::new(Relu { size }),
            Box::new(Dense { inputs: size, outputs: 32 }),
            Box::new(Relu { size: 32 }),
            Box::new(Dense { inputs: 32, outputs: 10 }),
        ])
        .expect("fits")
    }

    /// Number of parameters N.
    pub fn params(&self) -> usize {
        self.offsets[self.layers.len()]
    }

    /// Values per example that come in.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// Values per example that go out.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs()
    }

    /// Starting parameters; one seed gives the same bits always.
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut theta = vec![0.0; self.params()];
        let mut normals = normals(seed, usize::MAX);
        for (i, layer) in self.layers.iter().enumerate() {
            layer.init(&mut normals, &mut theta[self.range(i)]);
        }
        theta
    }

    /// Where the parameters of a layer lie in θ.
    pub fn range(&self, layer: usize) -> Range<usize> {
        self.offsets[layer]..self.offsets[layer + 1]
    }

    fn part<'a>(&self, layer: usize, theta: &'a [f32]) -> &'a [f32] {
        &theta[self.range(layer)]
    }

    /// Runs a batch through the network; [`Tape::outputs`] are the outputs.
    ///
    /// # Errors
    /// Empty or ragged batches, inputs that the first layer cannot take, θ of the wrong length.
    pub fn forward(&self, theta: &[f32], x: &[f32]) -> Result<Tape, ModelError> {
        let (inputs, params) = (self.inputs(), self.params());
        if theta.len() != params {
            let len = theta.len();
            return Err(ModelError::Length { what: "parameters", len, needed: params });
        }
        if x.is_empty() {
            return Err(ModelError::EmptyBatch);
        }
        if !x.len().is_multiple_of(inputs) {
            return Err(ModelError::Ragged { len: x.len(), inputs });
        }
        self.layers[0].check(x)?;
        let examples = x.len() / inputs;
        let mut tape =
            Tape { inputs: x.to_vec(), outputs: Vec::new(), saved: Vec::new(), examples };
        for (i, layer) in self.layers.iter().enumerate() {
            let mut y = vec![0.0; examples * layer.outputs()];
            let mut saved = Vec::new();
            layer.forward(self.part(i, theta), tape.outputs(), &mut y, &mut saved);
            tape.outputs.push(y);
            tape.saved.push(saved);
        }
        Ok(tape)
    }

    /// Takes columns δ at the outputs of some examples back through the layers; `visit` sees each layer with
    /// parameters, where it is linearised, and δ at its outputs.
    fn walk_back(
        &self,
        theta: &[f32],
        tape: &Tape,
        examples: Range<usize>,
        dz: &[f32],
        mut visit: impl FnMut(usize, &dyn Layer, &At, &[f32]),
    ) {
        let rows = dz.len() / self.outputs();
        let mut dy = dz.to_vec();
        for (i, layer) in self.layers.iter().enumerate().skip(self.lowest).rev() {
            let at = tape.at(i, self.part(i, theta)).of(examples.clone(), tape.examples);
            if layer.params() > 0 {
                visit(i, &**layer, &at, &dy);
            }
            if i > self.lowest {
                let mut dx = vec![0.0; rows * layer.inputs()];
                layer.pullback(&at, &dy, &mut dx);
                dy = dx;
            }
        }
    }

    /// Reverse mode: writes Jᵀ `dz`, summed over the batch, to `out`; `dz` is examples × outputs.
    pub fn vjp(&self, theta: &[f32], tape: &Tape, dz: &[f32], out: &mut [f32]) {
        self.walk_back(theta, tape, 0..tape.examples, dz, |i, layer, at, dy| {
            layer.gradient(at, dy, &mut out[self.range(i)]);
        });
    }

    /// Forward mode: J v at every example, examples × outputs.
    pub fn jvp(&self, theta: &[f32], tape: &Tape, v: &[f32]) -> Vec<f32> {
        let mut dx: Option<Vec<f32>> = None;
        for (i, layer) in self.layers.iter().enumerate().skip(self.lowest) {
            let mut dy = vec![0.0; tape.examples * layer.outputs()];
            let at = tape.at(i, self.part(i, theta));
            layer.pushforward(&at, dx.as_deref(), self.part(i, v), &mut dy);
            dx = Some(dy);
        }
        dx.unwrap_or_default()
    }

    /// J Jᵀ where row (example, column) of J is the gradient of `columns`·z of that example;
    /// `columns` is examples × c × outputs. The result is examples·c squared, row-major.
    pub fn gram(&self, theta: &[f32], tape: &Tape, columns: &[f32]) -> Vec<f32> {
        let rows = columns.len() / self.outputs();
        let per_example = columns.len() / tape.examples;
        let widest = self.layers.iter().map(|layer| layer.outputs()).max().unwrap_or(1);
        let group = (GROUP * tape.examples / (rows * widest)).max(1);
        let mut gram_rows = vec![Vec::new(); self.layers.len()];
        for from in (0..tape.examples).step_by(group) {
            let examples = from..(from + group).min(tape.examples);
            let columns = &columns[from * per_example..examples.end * per_example];
            self.walk_back(theta, tape, examples, columns, |i, layer, at, dy| {
                layer.gram_rows(at, dy, &mut gram_rows[i]);
            });
        }
        let mut gram = vec![0.0; rows * rows];
        for (i, (layer, rows)) in self.layers.iter().zip(gram_rows).enumerate() {
            if layer.params() > 0 {
                layer.add_gram(&tape.at(i, self.part(i, theta)), &rows, &mut gram);
            }
        }
        mirror(&mut gram, rows);
        gram
    }

    /// Per-sample Jacobians in factored form, of every layer that has them; `visit` gets the
    /// layer's number, from 0. `columns` as for [`gram`](Self::gram).
    pub fn factors(
        &self,
        theta: &[f32],
        tape: &Tape,
        columns: &[f32],
        mut visit: impl FnMut(usize, Factors),
    ) {
        self.walk_back(theta, tape, 0..tape.examples, columns, |i, layer, at, dy| {
            if let Some(factors) = layer.factors(at, dy) {
                visit(i, factors);
            }
        });
    }
}

/// Copies the lower triangle to the upper one, tile by tile: whole columns miss the cache.
fn mirror(matrix: &mut [f32], n: usize) {
    const TILE: usize = 32;
    for top in (0..n).step_by(TILE) {
        for left in (0..=top).step_by(TILE) {
            for i in top..(top + TILE).min(n) {
                for j in left..(left + TILE).min(i) {
                    matrix[j * n + i] = matrix[i * n + j];
                }
            }
        }
    }
}
