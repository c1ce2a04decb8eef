//! The mean of several programmings of one matrix on one board.

use ndarray::Array2;
use spu_protocol::code::Ticks;

use crate::device::Outcome;
use crate::invert::{Inversion, Partial};
use crate::linalg::{frobenius, mean};
use crate::stats::Replicates;
use crate::systematic::Systematic;

/// The mean of results of one board, at least one, each as good as the others.
pub(crate) fn merge(mut members: Vec<Inversion>) -> Inversion {
    if members.len() == 1 {
        return members.swap_remove(0);
    }
    let count = members.len() as f64;
    let inverse = mean(members.iter().map(|member| &member.inverse));
    let systematic =
        Systematic::mean_of(&members.iter().map(|member| &member.systematic).collect::<Vec<_>>());
    let replicates =
        Replicates::mean_of(&members.iter().map(|member| &member.replicates).collect::<Vec<_>>());
    let squared = replicates.squared_error();
    let (norm, trace) = (frobenius(&inverse), inverse.diag().sum());
    let predicted: f64 = members.iter().map(|member| member.predicted_error.powi(2)).sum();
    let mut kept = 0;
    let mut effective = 0.0;
    let mut sum = Array2::zeros(inverse.dim());
    let mut convergence = Vec::new();
    for (index, member) in members.iter().enumerate() {
        kept += member.kept;
        effective += member.effective_planned;
        sum += &member.inverse;
        let inverse = &sum / (index + 1) as f64;
        convergence.push(Partial { kept, effective, inverse });
    }
    let programmings = members.len();
    let extrapolated: Option<f64> = members.iter().map(|member| member.extrapolated).sum();
    let rest = members.split_off(1);
    let mut all = members.swap_remove(0);
    for member in &rest {
        for (sum, part) in [
            (&mut all.ticks, member.ticks),
            (&mut all.gain_ticks, member.gain_ticks),
            (&mut all.settle_ticks, member.settle_ticks),
        ] {
            *sum = Ticks(sum.0 + part.0);
        }
        all.phases.add(&member.phases);
        if member.outcome == Outcome::Cancelled {
            all.outcome = member.outcome;
        }
        for (sum, count) in all.saturated.iter_mut().zip(&member.saturated) {
            *sum += count;
        }
    }
    Inversion {
        half_widths: replicates.half_widths(),
        replicates,
        systematic,
        programmings,
        extrapolated: extrapolated.map(|sum| sum / count),
        kept,
        effective_planned: effective,
        effective_measured: (trace * trace + norm * norm) / squared,
        predicted_error: predicted.sqrt() / count,
        statistical_error: squared.sqrt() / norm,
        inverse,
        convergence,
        ..all
    }
}
