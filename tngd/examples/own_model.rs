//! Natural gradient on a model of one's own: the Rosenbrock function as least squares,
//! `cargo run --release -p tngd --example own_model`.

use tngd::{
    backend::{DigitalRelaxer, Krylov},
    curvature::{Curvature, Damping},
    model::{Model, ModelError},
    optim::{Descent, Optimizer, Rule, Schedule, Settings, Tngd},
};

/// ½ ‖r‖², r = (1 − x, 10 (y − x²)).
struct Rosenbrock;

/// Jᵀ J, J = ∂r/∂(x, y): products are all that is needed.
struct GaussNewton {
    x: f32,
}

impl Curvature for GaussNewton {
    fn len(&self) -> usize {
        2
    }

    fn product(&self, v: &[f32], out: &mut [f32]) {
        let jv = [-v[0], 10.0 * v[1] - 20.0 * self.x * v[0]];
        out[0] = -jv[0] - 20.0 * self.x * jv[1];
        out[1] = 10.0 * jv[1];
    }
}

impl Model for Rosenbrock {
    type Batch = ();

    fn params(&self) -> usize {
        2
    }

    fn gradient(&self, theta: &[f32], _batch: &(), out: &mut [f32]) -> Result<f64, ModelError> {
        let [x, y] = [theta[0], theta[1]];
        let r = [1.0 - x, 10.0 * (y - x * x)];
        out[0] = -r[0] - 20.0 * x * r[1];
        out[1] = 10.0 * r[1];
        Ok(0.5 * f64::from(r[0] * r[0] + r[1] * r[1]))
    }

    fn curvature<'a>(
        &'a self,
        theta: &'a [f32],
        _batch: &'a (),
    ) -> Result<Box<dyn Curvature + 'a>, ModelError> {
        Ok(Box::new(GaussNewton { x: theta[0] }))
    }
}

fn main() -> anyhow::Result<()> {
    // Two cells are the whole space here; a board takes the place of the digital relaxer.
    let backend = Box::new(Krylov::new(Box::new(DigitalRelaxer::new(8)), 2)?);
    let damping = Damping::LevenbergMarquardt { lambda: 1.0, factor: 3.0, least: 1e-4, most: 1e4 };
    let settings = Settings { damping, time: f64::INFINITY, ..Settings::default() };
    let descent = Descent::new(2, Rule::Sgd { momentum: 0.0 }, Schedule::constant(1.0))?;
    let mut tngd = Tngd::new(backend, settings, descent)?;
    let mut theta = vec![-1.2, 1.0];
    for step in 0..20 {
        let report = tngd.step(&Rosenbrock, &mut theta, &())?;
        if step % 4 == 0 {
            println!("step {step:2}: loss {:9.3e} at {theta:.4?}", report.loss);
        }
    }
    println!("{} by {}", Rosenbrock.loss(&theta, &())?, tngd.backend().label());
    anyhow::ensure!((theta[0] - 1.0).abs() < 1e-3, "did not reach the minimum (1, 1)");
    Ok(())
}
