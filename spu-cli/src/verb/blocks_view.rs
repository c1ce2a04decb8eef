//! What verbs show of an inverse that was put together from blocks.

use std::collections::BTreeMap;

use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::blocks::{BlockFlops, BlockInversion, LeafReport};
use spu_driver::stats::CONFIDENCE;

use super::calibration_view::CalibrationView;
use super::ledger::PhasesView;
use super::route::{error_parts, flops};
use crate::text::{count, counted, duration};

/// How an inverse came about in blocks.
#[derive(Debug, Serialize)]
pub(crate) struct BlocksView {
    pub(crate) copies: usize,
    pub(crate) leaves: Vec<LeafReport>,
    /// Error of the whole that the samples leave, by the scatter of the leaves' batches.
    pub(crate) measured_statistical_error: f64,
    /// Error of the whole that quantising the banks leaves, by nominal values.
    pub(crate) quantisation_error: f64,
    pub(crate) kept: u64,
    pub(crate) saturated: Vec<u64>,
    /// Of the busiest copy.
    pub(crate) board_ticks: u64,
    pub(crate) board_s: f64,
    /// All copies together.
    pub(crate) phases_s: PhasesView,
    /// Wall time in which boards were at work.
    pub(crate) board_wall_s: f64,
    /// Planning the leaves: digital, and not in the operations.
    pub(crate) planning_wall_s: f64,
    pub(crate) digital_wall_s: f64,
    pub(crate) digital_flops: BlockFlops,
    /// A digital inverse by Cholesky factorisation.
    pub(crate) cholesky_flops: u64,
}

impl BlocksView {
    pub(crate) fn new(result: &BlockInversion, board: &BoardInfo) -> Self {
        Self {
            copies: result.copies,
            leaves: result.leaves.clone(),
            measured_statistical_error: result.statistical_error,
            quantisation_error: result.quantisation_error,
            kept: result.kept,
            saturated: result.saturated.clone(),
            board_ticks: result.ticks.0,
            board_s: result.ticks.0 as f64 * board.sample_period_s(),
            phases_s: result.phases.into(),
            board_wall_s: result.board_wall.as_secs_f64(),
            planning_wall_s: result.planning_wall.as_secs_f64(),
            digital_wall_s: result.digital_wall.as_secs_f64(),
            digital_flops: result.flops,
            cholesky_flops: (result.inverse.nrows() as u64).pow(3),
        }
    }

    /// Names and values, as text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let routes = routes(self.leaves.iter().map(|leaf| leaf.route.name()));
        let largest = self.leaves.iter().map(|leaf| leaf.rows).max().unwrap_or(0);
        let phases = &self.phases_s;
        let parts = &self.digital_flops;
        vec![
            (
                "blocks",
                format!(
                    "{} of at most {largest} rows on {}, {routes}",
                    counted(self.leaves.len(), "leaf", "leaves"),
                    counted(self.copies, "copy", "copies")
                ),
            ),
            (
                "error",
                format!(
                    "{} estimated, from codes and the scatter of batches",
                    error_parts(self.quantisation_error, self.measured_statistical_error)
                ),
            ),
            (
                "boards",
                format!(
                    "{} samples, {} ticks = {} on the busiest copy; {} at work here: program {}, \
                     acquire {}, transfer {}, encode {}, decode {}",
                    count(self.kept),
                    count(self.board_ticks),
                    duration(self.board_s),
                    duration(self.board_wall_s),
                    duration(phases.program),
                    duration(phases.acquire),
                    duration(phases.transfer),
                    duration(phases.encode),
                    duration(phases.decode)
                ),
            ),
            (
                "digital",
                format!(
                    "{} in {}: between blocks {}, transformations {}, error bars {} (an inverse by \
                     Cholesky factorisation: {}); planning {} more",
                    flops(parts.total()),
                    duration(self.digital_wall_s),
                    flops(parts.elimination),
                    flops(parts.transforms),
                    flops(parts.error_bars),
                    flops(self.cholesky_flops),
                    duration(self.planning_wall_s)
                ),
            ),
        ]
    }
}

/// What the intervals of a result of blocks hold.
pub(crate) fn block_intervals(calibration: &CalibrationView) -> String {
    let level = CONFIDENCE * 100.0;
    let rest = if calibration.holds() {
        "calibrated: what the calibrations leave open is not in them"
    } else {
        calibration.caveat()
    };
    format!(
        "{level:.0} % intervals hold the noise of every leaf; quantisation, estimated above, is not in \
         them; {rest}"
    )
}

/// `30 tridiagonal, 2 scaled`.
pub(crate) fn routes(names: impl Iterator<Item = &'static str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.iter().map(|(name, number)| format!("{number} {name}")).collect::<Vec<_>>().join(", ")
}
