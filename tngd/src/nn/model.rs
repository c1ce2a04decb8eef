//! A network with a loss as a [`Model`].

use super::{Network, Tape};
use crate::{
    curvature::{Curvature, Kind, OutputCurvature},
    loss::{Loss, Targets},
    model::{Model, ModelError},
};

/// Examples that go through the network at once where no derivatives are taken: a whole test set's
/// activations would take gigabytes.
const AT_ONCE: usize = 256;

/// Examples and what should come out of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Row-major, one example after the other.
    pub inputs: Vec<f32>,
    /// Labels or values.
    pub targets: Targets,
}

/// A network, its loss and the kind of its curvature.
#[derive(Debug)]
pub struct NetworkModel {
    /// Network.
    pub network: Network,
    /// Loss at its outputs.
    pub loss: Loss,
    /// Curvature.
    pub kind: Kind,
}

impl NetworkModel {
    /// With the generalized Gauss–Newton matrix as curvature.
    pub fn new(network: Network, loss: Loss) -> Self {
        Self { network, loss, kind: Kind::GaussNewton }
    }

    /// The curvature, as its own type.
    ///
    /// # Errors
    /// As [`Network::forward`] and [`Loss::evaluate`].
    pub fn output_curvature<'a>(
        &'a self,
        theta: &'a [f32],
        batch: &Batch,
    ) -> Result<OutputCurvature<'a>, ModelError> {
        let (tape, _, residual) = self.pass(theta, batch)?;
        Ok(self.curvature_at(theta, tape, &residual))
    }

    /// Outputs for any number of examples.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn outputs(&self, theta: &[f32], inputs: &[f32]) -> Result<Vec<f32>, ModelError> {
        let each = self.network.inputs();
        if inputs.is_empty() || !inputs.len().is_multiple_of(each) {
            // Says what is wrong.
            return Ok(self.network.forward(theta, inputs)?.outputs().to_vec());
        }
        let mut outputs = Vec::with_capacity(inputs.len() / each * self.network.outputs());
        for some in inputs.chunks(AT_ONCE * each) {
            outputs.extend_from_slice(self.network.forward(theta, some)?.outputs());
        }
        Ok(outputs)
    }

    fn pass(&self, theta: &[f32], batch: &Batch) -> Result<(Tape, f64, Vec<f32>), ModelError> {
        let tape = self.network.forward(theta, &batch.inputs)?;
        let at = self.loss.evaluate(tape.outputs(), &batch.targets, self.network.outputs())?;
        Ok((tape, at.loss, at.gradient))
    }

    fn curvature_at<'a>(
        &'a self,
        theta: &'a [f32],
        tape: Tape,
        residual: &[f32],
    ) -> OutputCurvature<'a> {
        let factor = match self.kind {
            Kind::GaussNewton => self.loss.hessian_factor(tape.outputs(), self.network.outputs()),
            Kind::EmpiricalFisher => residual.to_vec(),
        };
        OutputCurvature::new(&self.network, theta, tape, factor)
    }

    fn gradient_at(&self, theta: &[f32], tape: &Tape, residual: &[f32], out: &mut [f32]) {
        let scale = 1.0 / tape.examples() as f32;
        let dz: Vec<f32> = residual.iter().map(|r| r * scale).collect();
        self.network.vjp(theta, tape, &dz, out);
    }
}

impl Model for NetworkModel {
    type Batch = Batch;

    fn params(&self) -> usize {
        self.network.params()
    }

    fn gradient(&self, theta: &[f32], batch: &Batch, out: &mut [f32]) -> Result<f64, ModelError> {
        let (tape, loss, residual) = self.pass(theta, batch)?;
        self.gradient_at(theta, &tape, &residual, out);
        Ok(loss)
    }

    fn curvature<'a>(
        &'a self,
        theta: &'a [f32],
        batch: &'a Batch,
    ) -> Result<Box<dyn Curvature + 'a>, ModelError> {
        Ok(Box::new(self.output_curvature(theta, batch)?))
    }

    fn loss(&self, theta: &[f32], batch: &Batch) -> Result<f64, ModelError> {
        let outputs = self.outputs(theta, &batch.inputs)?;
        Ok(self.loss.evaluate(&outputs, &batch.targets, self.network.outputs())?.loss)
    }

    fn linearise<'a>(
        &'a self,
        theta: &'a [f32],
        batch: &'a Batch,
        gradient: &mut [f32],
    ) -> Result<(f64, Box<dyn Curvature + 'a>), ModelError> {
        let (tape, loss, residual) = self.pass(theta, batch)?;
        self.gradient_at(theta, &tape, &residual, gradient);
        Ok((loss, Box::new(self.curvature_at(theta, tape, &residual))))
    }
}
