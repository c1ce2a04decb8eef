//! Predicts an inversion in blocks without running it.

use std::num::NonZeroUsize;

use ndarray::{Array2, s};
use serde::Serialize;

use super::{LeafScatter, propagate, schur};
use crate::device::BoardInfo;
use crate::error::Error;
use crate::invert::InvertOptions;
use crate::linalg::flops::counted;
use crate::linalg::large::multiply_flops;
use crate::linalg::{frobenius, product};
use crate::matrix::SpdMatrix;
use crate::route::{Route, RouteChoice, choose_route, exact_inverse};

/// A leaf as it is planned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeafPlan {
    /// Its first row, from 0.
    pub first: usize,
    /// Its rows.
    pub rows: usize,
    /// The route that it takes.
    pub route: Route,
    /// Condition number.
    pub condition: f64,
    /// Relative Frobenius error of its inverse, expected.
    pub predicted_error: f64,
    /// Ticks on each copy.
    pub ticks: u64,
}

/// What an inversion in blocks will take and give.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockPlan {
    /// The leaves.
    pub leaves: Vec<LeafPlan>,
    /// Relative Frobenius error that quantising the banks leaves in the whole, by nominal values.
    pub quantisation_error: f64,
    /// Relative Frobenius error that the samples leave in the whole, expected.
    pub statistical_error: f64,
    /// Ticks on each copy, those of the first block's second read included.
    pub ticks: u64,
    /// The same in seconds, at the board's sample clock.
    pub seconds: f64,
    /// Floating-point operations between leaves: digital.
    pub elimination_flops: u64,
    /// Operations of planning the leaves on one copy; another calibrated copy takes as many.
    pub planning_flops: u64,
    /// Operations of the error bars, at most.
    pub error_bar_flops: u64,
}

impl BlockPlan {
    /// Relative Frobenius error of the inverse, expected: quantisation and samples.
    pub fn predicted_error(&self) -> f64 {
        self.quantisation_error.hypot(self.statistical_error)
    }
}

/// Plans `a` in blocks on `copies` boards like this one. The leaves depend on each other, so this
/// eliminates with exact leaves: digital work of the same order as a digital inverse.
///
/// With Gaussian samples the error Δ of a leaf S read with N independent samples is
/// `S^½ W S^½`, W the deviation of a whitened sample covariance, and with the leaf's columns P of
/// the inverse, `H = S Pᵀ P`: `E‖P Δ Pᵀ‖² = ((tr H)² + tr H²) / N`, which for a single leaf is the
/// law of an inverse that is read at once.
///
/// # Errors
/// [`Error::Unsupported`] for the first leaf that the board cannot take by any route, with the
/// reasons.
pub fn plan_blocks(
    a: &SpdMatrix,
    info: &BoardInfo,
    options: &InvertOptions,
    choice: RouteChoice,
    copies: NonZeroUsize,
) -> Result<BlockPlan, Error> {
    let budget = super::boards::share(&options.budget, copies.get());
    let options = InvertOptions { budget, ..options.clone() };
    let mut leaves = Vec::new();
    let mut scatter = Vec::new();
    let mut samples = Vec::new();
    let (mut elimination_flops, mut planning_flops) = (0, 0);
    let leaf = &mut |first: usize, block: &Array2<f64>| -> Result<Array2<f64>, Error> {
        let unusable = |why: String| Error::Unsupported {
            reasons: vec![format!("rows {first} to {}: {why}", first + block.nrows() - 1)],
        };
        let (leaf, spectrum_flops) = counted(|| SpdMatrix::new(block, 0.0));
        let leaf = leaf.map_err(|error| unusable(error.to_string()))?;
        let chosen = choose_route(&leaf, info, &options, choice)
            .map_err(|error| unusable(error.to_string()))?;
        planning_flops += spectrum_flops + chosen.planning_flops;
        let inverse = exact_inverse(&leaf);
        leaves.push(LeafPlan {
            first,
            rows: leaf.n(),
            route: chosen.route,
            condition: leaf.condition(),
            predicted_error: chosen.predicted_error(),
            ticks: chosen.ticks,
        });
        let nominal = chosen.programmed_inverse();
        scatter.push(LeafScatter::new(first, block, &inverse, &[], 0, &nominal, &[]));
        samples.push((block.clone(), chosen.effective() * copies.get() as f64));
        Ok(inverse)
    };
    let inverse = schur::invert::<Error>(a.entries(), info.cells, 0, &mut elimination_flops, leaf)?;
    let size = frobenius(&inverse);
    let (shift, more) = counted(|| propagate::quantisation(&inverse, &scatter));
    let mut squared = 0.0;
    for (plan, (block, effective)) in leaves.iter().zip(&samples) {
        let columns = inverse.slice(s![.., plan.first..plan.first + plan.rows]);
        let h = product(block, &product(&columns.t(), &columns));
        let trace = h.diag().sum();
        squared += (trace * trace + product(&h, &h).diag().sum()) / effective;
    }
    let ticks = leaves.iter().map(|leaf| leaf.ticks).sum::<u64>() + recheck_ticks(&leaves);
    let (n, cells) = (a.n(), info.cells);
    let batches = (crate::invert::MAX_BATCHES as usize * copies.get() * leaves.len()) as u64;
    Ok(BlockPlan {
        quantisation_error: frobenius(&shift) / size,
        statistical_error: squared.sqrt() / size,
        ticks,
        seconds: ticks as f64 * info.sample_period_s(),
        elimination_flops,
        planning_flops,
        error_bar_flops: more
            + batches * (multiply_flops(n, cells, cells) + (cells * n * (n + 1)) as u64),
        leaves,
    })
}

/// Ticks of reading the first of several blocks again, nearly.
fn recheck_ticks(leaves: &[LeafPlan]) -> u64 {
    if leaves.len() < 2 {
        0
    } else {
        (leaves[0].ticks as f64 / super::recheck::RECHECK_PART) as u64
    }
}
