//! Cost of a step against the number of parameters.

use std::time::Instant;

use anyhow::Result;
use spu_cli::plot::panels::{Axes, Panel};
use spu_cli::text::count;
use tngd::backend::{Cholesky, NaturalGradient};
use tngd::curvature::Damping;
use tngd::loss::{Loss, Targets};
use tngd::nn::{Batch, Dense, Network, NetworkModel, Relu};
use tngd::optim::{Descent, Optimizer, Rule, Schedule, Settings, Tngd};

use super::Scope;
use super::page::{CLASSES, Page, marked, table};
use super::run::Source;

/// Examples of a batch.
const BATCH: usize = 32;
/// Values of an example, and classes.
const SHAPE: (usize, usize) = (784, 10);
/// Most parameters that the dense matrix is formed for.
const DENSE: usize = 3_500;

/// A point: parameters N, and the least time of a step in milliseconds.
type Points = Vec<(f64, f64)>;

/// Least times by method.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    /// Names with their points.
    pub methods: Vec<(&'static str, Points)>,
}

impl Costs {
    /// Slope of the logarithms from `from` parameters on, by least squares; `None` for less than two points.
    pub fn exponent(&self, method: &str, from: f64) -> Option<f64> {
        let points = &self.methods.iter().find(|(name, _)| *name == method)?.1;
        slope(&points.iter().copied().filter(|point| point.0 >= from).collect::<Vec<_>>())
    }
}

fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 2 {
        return None;
    }
    let logs = points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let n = points.len() as f64;
    let (sx, sy) = logs.clone().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mx, my) = (sx / n, sy / n);
    let (top, bottom) = logs.fold((0.0, 0.0), |(top, bottom), (x, y)| {
        (top + (x - mx) * (y - my), bottom + (x - mx).powi(2))
    });
    Some(top / bottom)
}

/// Name of TNGD in [`Costs`].
pub const TNGD: &str = "TNGD, board";
/// Name of the dense natural gradient.
pub const NGD: &str = "NGD, dense";

fn model(hidden: usize) -> Result<NetworkModel> {
    let network = Network::new(vec![
        Box::new(Dense { inputs: SHAPE.0, outputs: hidden }),
        Box::new(Relu { size: hidden }),
        Box::new(Dense { inputs: hidden, outputs: SHAPE.1 }),
    ])?;
    Ok(NetworkModel::new(network, Loss::SoftmaxCrossEntropy))
}

/// Name, backend, time in τ.
type Timed = (&'static str, Box<dyn NaturalGradient>, f64);

fn backends() -> Result<Vec<Timed>> {
    let limit = f64::INFINITY;
    Ok(vec![
        (TNGD, Source::board().open(1)?, 1.0),
        ("NGD-CG, 50 iterations", Source::Cg(50).open(1)?, limit),
        ("NGD-Woodbury", Source::Woodbury.open(1)?, limit),
        (NGD, Box::new(Cholesky::default()), limit),
    ])
}

/// Times every method over networks of these hidden widths; `rounds` steps each, the dense one only one.
///
/// # Errors
/// A board that does not run.
pub fn costs(hidden: &[usize], rounds: usize, only: Option<&[&str]>) -> Result<Costs> {
    let mut costs = Costs::default();
    let mut put = |name: &'static str, n: usize, ms: f64| {
        let point = (n as f64, ms);
        match costs.methods.iter_mut().find(|(other, _)| *other == name) {
            Some((_, points)) => points.push(point),
            None => costs.methods.push((name, vec![point])),
        }
    };
    let wanted = |name: &str| only.is_none_or(|only| only.contains(&name));
    let inputs = (0..BATCH * SHAPE.0).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0).collect();
    let labels = (0..BATCH as u32).map(|i| i % SHAPE.1 as u32).collect();
    let batch = Batch { inputs, targets: Targets::Labels(labels) };
    for &hidden in hidden {
        let model = model(hidden)?;
        let n = model.network.params();
        let time = |optimizer: &mut dyn Optimizer<NetworkModel>, rounds: usize| -> Result<f64> {
            let mut theta = model.network.init(1);
            let mut least = f64::INFINITY;
            for _ in 0..rounds {
                let begun = Instant::now();
                optimizer.step(&model, &mut theta, &batch)?;
                least = least.min(begun.elapsed().as_secs_f64() * 1e3);
            }
            Ok(least)
        };
        let schedule = Schedule::constant(1e-3);
        if wanted("Adam") {
            let mut adam = Descent::new(n, Rule::ADAM, schedule)?;
            put("Adam", n, time(&mut adam, 3 * rounds)?);
        }
        for (name, backend, t) in backends()? {
            if !wanted(name) || (name == NGD && n > DENSE) {
                continue;
            }
            let damping = Damping::Constant(0.1);
            let settings = Settings { damping, time: t, ..Settings::default() };
            let descent = Descent::new(n, Rule::Sgd { momentum: 0.0 }, schedule)?;
            let mut optimizer = Tngd::new(backend, settings, descent)?;
            put(name, n, time(&mut optimizer, if name == NGD { 1 } else { rounds })?);
        }
        eprintln!("{n} parameters: done");
    }
    Ok(costs)
}

/// Runs it.
///
/// # Errors
/// A board that does not run.
pub fn scaling(scope: &Scope) -> Result<Page> {
    let hidden: &[usize] = scope.pick(&[1, 2, 4], &[1, 2, 4, 13, 40, 126, 400, 1258]);
    let costs = costs(hidden, scope.pick(2, 5), None)?;
    let from = scope.pick(0.0, 1e4);
    let mut header = vec!["method".to_owned()];
    let all = &costs.methods[0].1;
    header.extend(all.iter().map(|(n, _)| format!("N = {}", count(*n as u64))));
    header.push("exponent".into());
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows = costs.methods.iter().map(|(name, points)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(all.iter().map(|(n, _)| {
            let at = points.iter().find(|point| point.0.to_bits() == n.to_bits());
            at.map_or("–".into(), |(_, ms)| format!("{ms:.2} ms"))
        }));
        let exponent = costs.exponent(name, if *name == NGD { 0.0 } else { from });
        row.push(exponent.map_or("–".into(), |exponent| format!("{exponent:.2}")));
        row
    });
    let body = format!(
        "Least wall time of a step, one thread: 784 inputs, one hidden layer whose width makes N, 10 outputs, batches \
         of {BATCH}, seed 1. TNGD is its digital part (gradient, residual, eight Lanczos steps) with programming, \
         running and reading the simulated board `rc-8` (rung `sim`), whose cost does not depend on N; the others \
         are digital. Exponents are fitted by least squares to the logarithms from N = {} on, where fixed costs no \
         longer count, and for {NGD} over all that is given: its matrix is formed up to N = {}.\n\n{}",
        count(from as u64),
        count(DENSE as u64),
        table(&header, rows)
    );
    let mut page = Page { title: "Cost of a step".into(), body, plots: Vec::new() };
    let key: Vec<(&str, &str)> =
        CLASSES.into_iter().zip(costs.methods.iter().map(|method| method.0)).collect();
    let curves = costs
        .methods
        .iter()
        .enumerate()
        .map(|(i, (_, points))| marked(i, points.clone()))
        .collect();
    let axes = Axes {
        x: "parameters N",
        y: "a step, ms",
        log: (true, true),
        across: 1,
        height: 320.0,
        decades: 6.0,
        key: &key,
    };
    page.plot("time", &[Panel { title: String::new(), curves }], axes);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_has_its_exponent() {
        let points: Vec<_> = [1e3, 1e4, 1e5].map(|n: f64| (n, 2.0 * n.powf(1.5))).into();
        let costs = Costs { methods: vec![("x", points)] };
        assert!((costs.exponent("x", 0.0).unwrap() - 1.5).abs() < 1e-12);
        assert!(costs.exponent("x", 5e4).is_none() && costs.exponent("y", 0.0).is_none());
    }
}
