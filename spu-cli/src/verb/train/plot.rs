//! `--plot`: loss and accuracy against steps and time, as a page of its own.

use spu_cli::plot::panels::{Axes, Curve, Panel, figure};

use super::view::TrainAnswer;
use crate::report::page;

/// Losses of batches that one point of a curve averages, at most so many points.
const POINTS: usize = 400;

/// A step on the curve of losses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trained {
    /// Step, from 0.
    pub(super) step: u64,
    /// Seconds of training since the run began.
    pub(super) seconds: f64,
    /// Mean loss of its batch.
    pub(super) loss: f64,
}

/// Draws the page.
pub(super) fn render(answer: &TrainAnswer, losses: &[Trained]) -> String {
    let some = losses.chunks(losses.len().div_ceil(POINTS).max(1));
    let mean = |of: fn(&Trained) -> f64| -> Vec<f64> {
        some.clone().map(|all| all.iter().map(of).sum::<f64>() / all.len() as f64).collect()
    };
    let join = |x: Vec<f64>, y: Vec<f64>| x.into_iter().zip(y).collect::<Vec<(f64, f64)>>();
    let loss = mean(|at| at.loss);
    let seen = |x: fn(&super::view::Evaluation) -> f64, y: fn(&super::view::Evaluation) -> f64| {
        let points = answer.evaluations.iter().map(|at| (x(at), y(at))).collect();
        Curve { class: "curve k1", points, interval: Vec::new(), marker: Some(1) }
    };
    let trained = |points| Curve::line("curve k0", points);
    let drawings = [
        (
            "steps",
            "loss",
            vec![
                trained(join(mean(|at| at.step as f64), loss.clone())),
                seen(|at| at.step as f64, |at| at.loss),
            ],
        ),
        ("steps", "accuracy", vec![seen(|at| at.step as f64, |at| at.accuracy)]),
        (
            "seconds of training",
            "loss",
            vec![trained(join(mean(|at| at.seconds), loss)), seen(|at| at.seconds, |at| at.loss)],
        ),
        ("seconds of training", "accuracy", vec![seen(|at| at.seconds, |at| at.accuracy)]),
    ];
    let mut body = format!("<h1>Training of {} parameters</h1>\n", answer.parameters);
    for (x, y, curves) in drawings {
        let key = [("curve k0", "batches"), ("curve k1", answer.judged_on)];
        let axes = Axes {
            x,
            y,
            log: (false, false),
            across: 1,
            height: 260.0,
            decades: 0.0,
            key: if y == "loss" { &key } else { &key[1..] },
        };
        let panel = Panel { title: String::new(), curves };
        body += &figure(&[panel], axes, &format!("{y} against {x}")).unwrap_or_default();
    }
    page("spu train", &body)
}
