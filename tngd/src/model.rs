//! What a model gives to the optimizers.

use crate::curvature::Curvature;

/// A loss over parameters θ and batches, with gradient and curvature.
///
/// [`gradient`](Self::gradient) and [`curvature`](Self::curvature) must be written; the other
/// methods follow from them and are overridden where a model can be faster. The curvature needs
/// products only. [`crate::nn::NetworkModel`] is the implementation for networks of this crate.
pub trait Model {
    /// A batch of examples.
    type Batch: ?Sized;

    /// Number of parameters N: the length of every θ and gradient.
    fn params(&self) -> usize;

    /// Mean loss over the batch; writes its gradient with respect to θ to `out`.
    ///
    /// # Errors
    /// What the model finds wrong with θ or the batch.
    fn gradient(
        &self,
        theta: &[f32],
        batch: &Self::Batch,
        out: &mut [f32],
    ) -> Result<f64, ModelError>;

    /// Curvature of the mean loss over the batch, at θ.
    ///
    /// # Errors
    /// What the model finds wrong with θ or the batch.
    fn curvature<'a>(
        &'a self,
        theta: &'a [f32],
        batch: &'a Self::Batch,
    ) -> Result<Box<dyn Curvature + 'a>, ModelError>;

    /// Mean loss over the batch.
    ///
    /// # Errors
    /// What the model finds wrong with θ or the batch.
    fn loss(&self, theta: &[f32], batch: &Self::Batch) -> Result<f64, ModelError> {
        self.gradient(theta, batch, &mut vec![0.0; self.params()])
    }

    /// Loss, gradient and curvature of one batch: one pass where a model shares it.
    ///
    /// # Errors
    /// What the model finds wrong with θ or the batch.
    fn linearise<'a>(
        &'a self,
        theta: &'a [f32],
        batch: &'a Self::Batch,
        gradient: &mut [f32],
    ) -> Result<(f64, Box<dyn Curvature + 'a>), ModelError> {
        let loss = self.gradient(theta, batch, gradient)?;
        Ok((loss, self.curvature(theta, batch)?))
    }
}

/// What is wrong with parameters, a batch or a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No examples.
    #[error("the batch is empty: a mean over no examples is undefined; give at least one")]
    EmptyBatch,
    /// A slice has the wrong length.
    #[error("{what}: {len} values, expected {needed}: check the shapes that go in")]
    Length {
        /// Which.
        what: &'static str,
        /// Length.
        len: usize,
        /// Length needed.
        needed: usize,
    },
    /// Inputs are no whole number of examples.
    #[error(
        "{len} input values are no whole number of examples of {inputs}: give rows of {inputs} values each"
    )]
    Ragged {
        /// Input values.
        len: usize,
        /// Values per example.
        inputs: usize,
    },
    /// A label is not a class.
    #[error("label {label} of example {example} is out of range: the network has {classes} outputs, labels run from 0 to {}", classes - 1)]
    Label {
        /// Example.
        example: usize,
        /// Its label.
        label: u32,
        /// Outputs.
        classes: usize,
    },
    /// Labels for a loss over values, or the reverse.
    #[error("the loss {loss} takes {needed} as targets, the batch has {given}")]
    Targets {
        /// Loss.
        loss: &'static str,
        /// What it takes.
        needed: &'static str,
        /// What the batch has.
        given: &'static str,
    },
    /// A token is not in the vocabulary.
    #[error("input {value} is no token: an embedding takes whole numbers from 0 to {}", vocabulary - 1)]
    Token {
        /// The value.
        value: f32,
        /// Rows of the table.
        vocabulary: usize,
    },
    /// NaN or infinity.
    #[error(
        "{0} is not finite: check the data; if training, the run has diverged: lower the learning rate or clip gradients"
    )]
    NotFinite(&'static str),
    /// Layers do not fit.
    #[error("layer {layer} takes {inputs} values, but {given} come in: adjust its size")]
    Layers {
        /// Position of the layer, from 0.
        layer: usize,
        /// Its inputs.
        inputs: usize,
        /// What the layer before it gives.
        given: usize,
    },
    /// A size of a layer makes no sense.
    #[error("{0}")]
    Shape(&'static str),
}
