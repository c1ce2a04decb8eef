//! K-FAC: the curvature as Kronecker factors, layer by layer, whose inverses a board gives.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    ops::Range,
    time::Instant,
};

use ndarray::Array2;
use spu_driver::matrix::SpdMatrix;

use super::{
    BackendError, Capabilities, Evolution, Inverter, Memory, NaturalGradient, Phases, Report,
    larger,
};
use crate::{
    curvature::{Curvature, KroneckerFactor},
    linalg::{Mat, MatMut, finite, matmul},
};

/// How factors are averaged, divided and inverted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KfacSettings {
    /// Steps from one inversion of all factors to the next. The damping of a step between is that of the
    /// inversion before.
    pub refresh: NonZeroU64,
    /// Largest weight of the past in the running averages of the factors, from 0 to below 1: at step k,
    /// from 1, it is min(1 − 1/k, `average`) (Martens & Grosse, section 5).
    pub average: f64,
    /// Rows of the largest matrix that is inverted. Of a factor with more rows only square blocks
    /// along its diagonal are kept, as few and as equal as can be: correlations between activations of
    /// different blocks are neglected.
    pub block: NonZeroUsize,
}

impl Default for KfacSettings {
    /// Inverses of 20 steps, averages of about 20, blocks of 64 rows.
    fn default() -> Self {
        let block = NonZeroUsize::new(64).expect("not 0");
        Self { refresh: NonZeroU64::new(20).expect("not 0"), average: 0.95, block }
    }
}

/// The natural gradient of the block-diagonal curvature whose blocks are Kronecker products: each layer's
/// A ⊗ Γ ([`KroneckerFactor`]) in place of G, so that (A ⊗ Γ)⁻¹ takes the layer's gradient V to Γ⁻¹ V A⁻¹
/// (Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", arXiv
/// 1503.05671). Only t = ∞; the state that comes in has no part in the one that leaves.
///
/// Damping is factored Tikhonov (section 6.3 there): A + π√λ I and Γ + (√λ/π) I with
/// π² = (tr A / rows of A) / (tr Γ / rows of Γ). It stands for G + λI, and is more than that by
/// √λ (A ⊗ I/π + πI ⊗ Γ).
///
/// The host computes gradient, factors and averages, and multiplies by the inverses. An [`Inverter`] gives
/// these: a board ([`RlcBoard`](super::RlcBoard) by covariances, [`RcBoard`](super::RcBoard) by means), by
/// tiles where a block has more rows than the board has cells, or
/// [`DigitalInverter`](super::DigitalInverter).
///
/// ```
/// use tngd::backend::{DigitalInverter, Evolution, Kfac, KfacSettings, NaturalGradient};
/// use tngd::loss::{Loss, Targets};
/// use tngd::model::Model;
/// use tngd::nn::{Batch, Dense, Network, NetworkModel};
///
/// let network = Network::new(vec![Box::new(Dense { inputs: 2, outputs: 2 })])?;
/// let model = NetworkModel::new(network, Loss::SoftmaxCrossEntropy);
/// let batch = Batch { inputs: vec![1.0, 0.5, -0.3, 0.8], targets: Targets::Labels(vec![0, 1]) };
/// let theta = model.network.init(1);
/// let mut gradient = vec![0.0; model.params()];
/// let (_, curvature) = model.linearise(&theta, &batch, &mut gradient)?;
/// let mut kfac = Kfac::new(Box::new(DigitalInverter), KfacSettings::default())?;
/// let at = Evolution { damping: 0.1, time: f64::INFINITY, noise: 0.0, seed: 1 };
/// let mut natural = vec![0.0; model.params()];
/// kfac.evolve(&*curvature, &gradient, &at, &mut natural)?;
/// // Downhill.
/// assert!(natural.iter().zip(&gradient).map(|(x, g)| x * g).sum::<f32>() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Kfac {
    inverter: Box<dyn Inverter>,
    settings: KfacSettings,
    /// Averages of all blocks, then their inverses.
    memory: Memory,
}

impl Kfac {
    /// Starts without a past.
    ///
    /// # Errors
    /// A weight of the past that is not from 0 to below 1.
    pub fn new(inverter: Box<dyn Inverter>, settings: KfacSettings) -> Result<Self, BackendError> {
        let value = settings.average;
        if !(0.0..1.0).contains(&value) {
            return Err(BackendError::Setting {
                what: "the weight of the past in averages of the factors",
                value,
                allowed: "0 or more, below 1",
            });
        }
        Ok(Self { inverter, settings, memory: Memory::default() })
    }

    /// Factors of every layer, if these are all parameters.
    fn factors(&self, curvature: &dyn Curvature) -> Result<Vec<Layer>, BackendError> {
        let mut factors = curvature.kronecker();
        factors.sort_by_key(|factor| factor.params.start);
        let covered = factors.iter().map(|factor| factor.params.len()).sum();
        let mut next = 0;
        let gapless = factors.iter().all(|factor| {
            let fits = factor.params.start == next;
            next = factor.params.end;
            fits && factor.params.len() == factor.width * factor.outputs
        });
        let params = curvature.len();
        if !gapless || covered != params {
            return Err(BackendError::NoKronecker { label: self.label(), params, covered });
        }
        let block = self.settings.block.get();
        Ok(factors.into_iter().map(|factor| Layer::new(factor, block)).collect())
    }
}

/// A layer's factors, and the blocks along their diagonals that are kept.
struct Layer {
    factor: KroneckerFactor,
    a: Vec<Range<usize>>,
    gamma: Vec<Range<usize>>,
}

impl Layer {
    fn new(factor: KroneckerFactor, block: usize) -> Self {
        let (a, gamma) = (blocks(factor.width, block), blocks(factor.outputs, block));
        Self { factor, a, gamma }
    }

    /// Every block: its matrix, the rows of that, and which they are.
    fn blocks(&self) -> impl Iterator<Item = (&[f32], usize, &Range<usize>)> {
        let KroneckerFactor { width, outputs, a, gamma, .. } = &self.factor;
        let of_a = self.a.iter().map(move |rows| (&a[..], *width, rows));
        of_a.chain(self.gamma.iter().map(move |rows| (&gamma[..], *outputs, rows)))
    }

    /// What is added to the diagonals of A and of Γ.
    fn damping(&self, lambda: f64, averages: &[f32]) -> (f64, f64) {
        let mut parts = Parts(averages);
        let mut mean = |blocks: &[Range<usize>], rows: usize| {
            let trace: f64 =
                blocks.iter().map(|rows| trace(parts.next(rows.len()), rows.len())).sum();
            trace / rows as f64
        };
        let a = mean(&self.a, self.factor.width);
        let gamma = mean(&self.gamma, self.factor.outputs);
        let pi = (a / gamma).sqrt();
        // Of a layer that is dead one of both is 0.
        let pi = if pi.is_finite() && pi > 0.0 { pi } else { 1.0 };
        (pi * lambda.sqrt(), lambda.sqrt() / pi)
    }

    /// Numbers of all its blocks.
    fn len(&self) -> usize {
        self.a.iter().chain(&self.gamma).map(|rows| rows.len() * rows.len()).sum()
    }

    /// Γ⁻¹ V A⁻¹, block by block.
    fn apply(&self, inverses: &[f32], v: &[f32], out: &mut [f32]) {
        let KroneckerFactor { width, outputs, .. } = self.factor;
        let mut parts = Parts(inverses);
        let mut half = vec![0.0; v.len()];
        for rows in &self.a {
            let n = rows.len();
            let inverse = Mat::new(parts.next(n), n, n);
            let from = Mat::strided(&v[rows.start..], outputs, n, width);
            let to = MatMut::strided(&mut half[rows.start..], outputs, n, width);
            matmul(to, false, 1.0, from, inverse);
        }
        for rows in &self.gamma {
            let n = rows.len();
            let inverse = Mat::new(parts.next(n), n, n);
            let at = rows.start * width..rows.end * width;
            let from = Mat::new(&half[at.clone()], n, width);
            matmul(MatMut::new(&mut out[at], n, width), false, 1.0, inverse, from);
        }
    }
}

/// The fewest blocks of at most `most` rows, as equal as can be.
fn blocks(n: usize, most: usize) -> Vec<Range<usize>> {
    let count = n.div_ceil(most);
    (0..count).map(|i| i * n / count..(i + 1) * n / count).collect()
}

fn trace(block: &[f32], rows: usize) -> f64 {
    block.iter().step_by(rows + 1).map(|&x| f64::from(x)).sum()
}

/// Square blocks that lie one after another.
struct Parts<'a>(&'a [f32]);

impl<'a> Parts<'a> {
    fn next(&mut self, rows: usize) -> &'a [f32] {
        let (part, rest) = self.0.split_at(rows * rows);
        self.0 = rest;
        part
    }
}

impl Kfac {
    /// The averages with these factors in them.
    fn averaged(&self, layers: &[Layer]) -> Vec<f32> {
        let steps = self.memory.steps;
        let past = (1.0 - 1.0 / (steps + 1) as f64).min(self.settings.average) as f32;
        let mut before = self.memory.values.iter();
        let mut averages = Vec::new();
        for (matrix, n, rows) in layers.iter().flat_map(Layer::blocks) {
            for i in rows.clone() {
                for now in &matrix[i * n..][rows.clone()] {
                    let old = if steps == 0 { 0.0 } else { *before.next().unwrap_or(&0.0) };
                    averages.push(past * old + (1.0 - past) * now);
                }
            }
        }
        averages
    }

    /// Inverses of all blocks.
    fn inverted(
        &mut self,
        layers: &[Layer],
        averages: &[f32],
        evolution: &Evolution,
        phases: &mut Phases,
    ) -> Result<(Vec<f32>, Option<f64>), BackendError> {
        let mut parts = Parts(averages);
        let mut inverses: Vec<f32> = Vec::with_capacity(averages.len());
        let mut largest: Option<f64> = None;
        let mut seed = evolution.seed;
        for layer in layers {
            let begun = Instant::now();
            let (to_a, to_gamma) = layer.damping(evolution.damping, parts.0);
            phases.factors += begun.elapsed();
            let damping = std::iter::repeat_n(to_a, layer.a.len())
                .chain(std::iter::repeat_n(to_gamma, layer.gamma.len()));
            for (rows, damping) in layer.a.iter().chain(&layer.gamma).zip(damping) {
                let begun = Instant::now();
                let n = rows.len();
                let part = parts.next(n);
                let entry = |i: usize, j: usize| f64::from(part[i * n + j]);
                let block =
                    Array2::from_shape_fn((n, n), |(i, j)| 0.5 * (entry(i, j) + entry(j, i)));
                let block = SpdMatrix::new(&block, damping).map_err(|_| {
                    BackendError::NotPositiveDefinite { damping: evolution.damping }
                })?;
                phases.factors += begun.elapsed();
                // Noise of its own for every block.
                seed = seed.wrapping_add(0xD1B5_4A32_D192_ED03);
                let given = self.inverter.invert(&block, seed)?;
                phases.add(&given.spent.phases());
                largest = larger(largest, given.spent.statistical_error);
                inverses.extend(given.inverse.iter().map(|&x| x as f32));
            }
        }
        if finite(&inverses) {
            Ok((inverses, largest))
        } else {
            Err(BackendError::NotFinite("an inverse of a Kronecker factor"))
        }
    }
}

impl NaturalGradient for Kfac {
    fn label(&self) -> String {
        let label = self.inverter.label();
        if self.is_device() { format!("kfac on {label}") } else { "kfac (digital solver)".into() }
    }

    fn is_device(&self) -> bool {
        self.inverter.is_device()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: false, equilibrium: true, noise: false }
    }

    fn memory(&self) -> Memory {
        self.memory.clone()
    }

    fn recall(&mut self, memory: Memory) {
        self.memory = memory;
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let begun = Instant::now();
        let layers = self.factors(curvature)?;
        if !layers.iter().all(|layer| finite(&layer.factor.a) && finite(&layer.factor.gamma)) {
            return Err(BackendError::NotFinite("a Kronecker factor of the curvature"));
        }
        let size: usize = layers.iter().map(Layer::len).sum();
        let len = self.memory.values.len();
        if self.memory.steps > 0 && len != 2 * size {
            return Err(BackendError::Memory { label: self.label(), len, needed: 2 * size });
        }
        let mut values = self.averaged(&layers);
        let mut phases = Phases { factors: begun.elapsed(), ..Phases::default() };

        let refresh = self.memory.steps.is_multiple_of(self.settings.refresh.get());
        let (inverses, statistical_error) = if refresh {
            self.inverted(&layers, &values, evolution, &mut phases)?
        } else {
            (self.memory.values[size..].to_vec(), self.memory.statistical_error)
        };

        let begun = Instant::now();
        let mut natural = vec![0.0; gradient.len()];
        let mut rest = &inverses[..];
        for layer in &layers {
            let (own, others) = rest.split_at(layer.len());
            let at = layer.factor.params.clone();
            layer.apply(own, &gradient[at.clone()], &mut natural[at]);
            rest = others;
        }
        if !finite(&natural) {
            return Err(BackendError::NotFinite("a product with an inverse of a Kronecker factor"));
        }
        state.copy_from_slice(&natural);
        values.extend(inverses);
        self.memory = Memory { steps: self.memory.steps + 1, statistical_error, values };
        phases.factors += begun.elapsed();
        let iterations =
            if refresh { layers.iter().map(|l| l.a.len() + l.gamma.len()).sum() } else { 0 };
        Ok(Report {
            label: self.label(),
            products: 0,
            iterations,
            phases,
            statistical_error,
            drift: None,
        })
    }
}

#[cfg(test)]
mod tests;
