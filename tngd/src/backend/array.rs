//! A factored board: as many nodes as the model has parameters.

use std::time::{Duration, Instant};

use spu_driver::Device;
use spu_driver::factored::{Factored, PaperTime, RelaxOptions};

use super::{BackendError, Capabilities, Drift, Evolution, NaturalGradient, Phases, Report};
use crate::curvature::Curvature;

/// The factored array of arXiv 2405.13817, appendix C, behind a device: J is the factor B of
/// G = Bᵀ B, H the identity (the loss's Hessian and 1/b are in B).
///
/// The host computes B row by row and writes it to the board's two arrays; the board relaxes all
/// parameters at once; the host reads one converter code for each. At the first step two short runs more
/// tell how far the board's drift is from symmetric ([`Report::drift`]).
pub struct Array {
    device: Box<dyn Device>,
    factored: Factored,
    verify: bool,
    timeout: Duration,
    /// [`Drift::asymmetry`], once it is measured.
    asymmetry: Option<f64>,
}

impl Array {
    /// The array of this device.
    ///
    /// # Errors
    /// As [`Factored::new`]: a device without such an array.
    pub fn new(mut device: Box<dyn Device>) -> Result<Self, spu_driver::Error> {
        let timeout = Duration::from_mins(10);
        let factored = Factored::new(device.as_mut(), timeout)?;
        Ok(Self { device, factored, verify: true, timeout, asymmetry: None })
    }

    /// Whether J and Jᵀ are read back and compared, which they are unless told otherwise.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    fn failed(&self, source: spu_driver::Error) -> BackendError {
        BackendError::Device { label: self.label(), source: source.into() }
    }
}

impl NaturalGradient for Array {
    fn label(&self) -> String {
        format!("array of {} board {}", self.device.info().profile, self.device.uri())
    }

    fn is_device(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { finite_time: true, equilibrium: true, noise: true }
    }

    fn advance(
        &mut self,
        curvature: &dyn Curvature,
        gradient: &[f32],
        evolution: &Evolution,
        state: &mut [f32],
    ) -> Result<Report, BackendError> {
        let factor =
            curvature.low_rank().ok_or_else(|| BackendError::NoFactor { label: self.label() })?;
        let rows = factor.rank();
        let mut unit = vec![0.0_f32; rows];
        let mut factors = Duration::ZERO;
        let mut row = |r: usize, out: &mut [f32]| {
            let begun = Instant::now();
            unit[r] = 1.0;
            factor.bt_product(&unit, out);
            unit[r] = 0.0;
            factors += begun.elapsed();
        };
        let device = self.device.as_mut();
        let loaded = self.factored.load(
            device,
            (rows, state.len()),
            &mut row,
            None,
            (self.verify, self.timeout),
        );
        let loaded = loaded.map_err(|error| self.failed(error))?;
        let &Evolution { damping, time, noise, seed } = evolution;
        let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let options = RelaxOptions { damping, time, noise, seed, timeout: self.timeout };
        let (gradient, start) = (wide(gradient), wide(state));
        let begun = Instant::now();
        if self.asymmetry.is_none() && gradient.iter().any(|g| *g != 0.0) {
            let device = self.device.as_mut();
            let found = self.factored.asymmetry(device, &loaded, &gradient, &options);
            self.asymmetry = Some(found.map_err(|error| self.failed(error))?);
        }
        let measured = begun.elapsed();
        let device = self.device.as_mut();
        let read = self.factored.relax(device, &loaded, &gradient, &start, &options);
        let read = read.map_err(|error| self.failed(error))?;
        for (x, read) in state.iter_mut().zip(&read.x) {
            *x = *read as f32;
        }
        Ok(Report {
            label: self.label(),
            products: rows,
            iterations: read.runs as usize,
            statistical_error: None,
            drift: Some(Drift {
                asymmetry: self.asymmetry,
                bound: loaded.drift_bound(),
                may_be_unstable: !loaded.is_stable(damping),
            }),
            phases: Phases {
                factors,
                program: loaded.took.saturating_sub(factors) + read.phases.program,
                evolve: read.phases.acquire,
                read: read.phases.transfer + measured,
                paper: PaperTime::new(rows, state.len(), read.array_time),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{ExactLaw, conformance};
    use crate::loss::{Loss, Targets};
    use crate::model::Model as _;
    use crate::nn::{Batch, Dense, Network, NetworkModel, Tanh};
    use crate::random::normals;

    fn array(uri: &str) -> Array {
        Array::new(spu_driver::open(uri).unwrap()).unwrap()
    }

    /// Allowed errors of the mean: 16-bit converters and codes leave some 1e-4 of ‖x₀‖ + ‖F⁻¹g‖,
    /// elements of 1 % a few percent.
    #[test]
    fn the_array_conforms_to_the_law() {
        for (uri, mean, variance) in [
            ("sim:profile=rc-factored,without=bank_tolerance", 5e-4, 0.02),
            ("sim:profile=rc-factored,seed=2", 0.05, 0.2),
        ] {
            let settings =
                conformance::Settings { mean, variance, samples: 400, ..Default::default() };
            for check in conformance::run(&mut array(uri), &settings).unwrap() {
                assert!(check.passed(), "{uri}: {check:?}");
            }
        }
    }

    /// Distance from the exact law after `time` on a network of 57 parameters, relative to the law's
    /// own, and what the step took.
    fn against_the_law(uri: &str, time: f64) -> (f64, Report) {
        let network = Network::new(vec![
            Box::new(Dense { inputs: 5, outputs: 6 }),
            Box::new(Tanh { size: 6 }),
            Box::new(Dense { inputs: 6, outputs: 3 }),
        ])
        .unwrap();
        let theta = network.init(1);
        let model = NetworkModel::new(network, Loss::SoftmaxCrossEntropy);
        let inputs = normals(7, 20).map(|z| z as f32).collect();
        let batch = Batch { inputs, targets: Targets::Labels(vec![0, 2, 1, 2]) };
        let mut gradient = vec![0.0; theta.len()];
        let (_, curvature) = model.linearise(&theta, &batch, &mut gradient).unwrap();
        let evolution = Evolution { damping: 0.1, time, noise: 0.0, seed: 1 };
        let (mut law, mut read) = (gradient.clone(), gradient.clone());
        ExactLaw::default().evolve(&*curvature, &gradient, &evolution, &mut law).unwrap();
        let report = array(uri).evolve(&*curvature, &gradient, &evolution, &mut read).unwrap();
        let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
        let error = norm(&mut read.iter().zip(&law).map(|(a, b)| a - b));
        (f64::from(error / norm(&mut law.iter().copied())), report)
    }

    #[test]
    fn it_comes_to_the_exact_law_as_bits_grow_and_tolerances_vanish() {
        let exact = |bits| format!("sim:profile=rc-factored-{bits},without=bank_tolerance");
        let errors = [4, 8, 16].map(|bits| against_the_law(&exact(bits), 2.0).0);
        assert!(errors[0] > 3.0 * errors[1] && errors[1] > 3.0 * errors[2], "{errors:?}");
        assert!(errors[2] < 5e-4, "{errors:?}");
        let (tolerant, report) = against_the_law("sim:profile=rc-factored", 2.0);
        assert!(tolerant > errors[2] && tolerant < 0.05, "{tolerant}");
        // Appendix C: 4 examples of rank 2, 57 columns.
        assert_eq!(report.phases.paper.upload, PaperTime::new(8, 57, 0.0).upload);
        assert!(report.phases.paper.analog > Duration::from_nanos(100));
        let drift = report.drift.unwrap();
        assert!((1e-4..0.05).contains(&drift.asymmetry.unwrap()), "{drift:?}");
        assert!(drift.may_be_unstable == (drift.bound >= 0.1), "{drift:?}");
        let (equilibrium, _) = against_the_law(&exact(16), f64::INFINITY);
        assert!(equilibrium < 5e-4, "{equilibrium}");
    }

    #[test]
    fn a_board_of_another_kind_is_refused_with_the_remedy() {
        let error = Array::new(spu_driver::open("sim:profile=rc-8").unwrap()).err().unwrap();
        assert!(error.to_string().contains("rc-factored"), "{error}");
    }
}
