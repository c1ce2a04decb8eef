//! What verbs show of an inverse that was put together from blocks.

use std::collections::BTreeMap;

use serde::Serialize;
use spu_driver::blocks::{BlockFlops, BlockInversion, LeafReport, LeftOut, Recheck};

use super::calibration_view::CalibrationView;
use super::invert_view::intervals;
use super::ledger::{self, LedgerView, PhasesView};
use super::route::flops;
use crate::exit::Exit;
use crate::text::{count, counted, duration, percent};

/// What the first Ctrl-C says.
pub(crate) const ON_INTERRUPT: &str =
    "stopping the boards; a part of the reads gives no result; press again to quit";

/// How an inverse came about in blocks.
#[derive(Debug, Serialize)]
pub(crate) struct BlocksView {
    pub(crate) copies: usize,
    /// Copies that the run went on without.
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) leaves: Vec<LeafReport>,
    /// The first block, read again at the end.
    pub(crate) rechecks: Vec<Recheck>,
    /// Error of the whole that is expected: the three that follow, as a root of squares.
    pub(crate) stated_error: f64,
    /// Error of the whole that the samples leave, by the scatter of the leaves' batches.
    pub(crate) measured_statistical_error: f64,
    /// Error of the whole that quantising the banks leaves, by the values of the boards that were used.
    pub(crate) quantisation_error: f64,
    /// Error of the whole that the calibrations leave; none where a copy has none.
    pub(crate) calibration_error: Option<f64>,
    pub(crate) kept: u64,
    pub(crate) saturated: Vec<u64>,
    /// Of the busiest copy.
    pub(crate) board_ticks: u64,
    pub(crate) board_s: f64,
    /// All copies together.
    pub(crate) phases_s: PhasesView,
    /// Copy by copy: all its reads, checks too.
    pub(crate) times: Vec<LedgerView>,
    #[serde(skip)]
    period_s: f64,
    /// Wall time in which boards were at work.
    pub(crate) board_wall_s: f64,
    /// Planning the leaves: digital.
    pub(crate) planning_wall_s: f64,
    pub(crate) digital_wall_s: f64,
    pub(crate) digital_flops: BlockFlops,
    /// A digital inverse by Cholesky factorisation.
    pub(crate) cholesky_flops: u64,
}

impl BlocksView {
    pub(crate) fn new(result: &BlockInversion) -> Self {
        let period_s = result.board.sample_period_s();
        Self {
            copies: result.copies,
            left_out: result.left_out.clone(),
            leaves: result.leaves.clone(),
            rechecks: result.rechecks.clone(),
            stated_error: result.stated_error(),
            calibration_error: result.calibration_error,
            measured_statistical_error: result.statistical_error,
            quantisation_error: result.quantisation_error,
            kept: result.kept,
            saturated: result.saturated.clone(),
            board_ticks: result.ticks.0,
            board_s: result.ticks.0 as f64 * period_s,
            times: result.times.iter().map(|time| LedgerView::new(time, period_s)).collect(),
            period_s,
            phases_s: result.phases.into(),
            board_wall_s: result.board_wall.as_secs_f64(),
            planning_wall_s: result.planning_wall.as_secs_f64(),
            digital_wall_s: result.digital_wall.as_secs_f64(),
            digital_flops: result.flops,
            cholesky_flops: (result.inverse.nrows() as u64).pow(3),
        }
    }

    /// Both tables of where time went; `wall_s` is that of the whole.
    pub(crate) fn time_text(&self, wall_s: f64) -> String {
        let copies: Vec<_> = self.times.iter().copied().enumerate().collect();
        ledger::text(&copies, wall_s, self.period_s)
    }

    /// How a command ends by them: a copy that is left out wants attention.
    pub(crate) fn exit(&self) -> Exit {
        if self.left_out.is_empty() { Exit::Success } else { Exit::Disagreement }
    }

    /// What was found of the first block when it was read again.
    fn rechecked(&self) -> Option<String> {
        let worst = self
            .rechecks
            .iter()
            .max_by(|x, y| (x.distance / x.limit).total_cmp(&(y.distance / y.limit)))?;
        Some(format!(
            "the first block, read again at the end, is the same to within noise on {} (at most {:.2} \
             apart, {:.2} allowed)",
            counted(self.rechecks.len(), "copy", "copies"),
            worst.distance,
            worst.limit
        ))
    }

    /// Names and values, as text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let routes = routes(self.leaves.iter().map(|leaf| leaf.route.name()));
        let largest = self.leaves.iter().map(|leaf| leaf.rows).max().unwrap_or(0);
        let phases = &self.phases_s;
        let parts = &self.digital_flops;
        let calibration = match self.calibration_error {
            Some(error) => format!("calibration {}", percent(error)),
            None => {
                "calibration none: deviations of the boards from their profile are not in it".into()
            }
        };
        let mut all = vec![
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
                    "{} estimated: quantisation {}, samples {}, {calibration}",
                    percent(self.stated_error),
                    percent(self.quantisation_error),
                    percent(self.measured_statistical_error)
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
                    "{}: planning {}, between blocks {}, transformations {}, read-out {}, checks {}, error bars {} \
                     (an inverse by Cholesky factorisation: {}); planning took {}, the rest between blocks {}",
                    flops(parts.total()),
                    flops(parts.planning),
                    flops(parts.elimination),
                    flops(parts.transforms),
                    flops(parts.read_out),
                    flops(parts.checks),
                    flops(parts.error_bars),
                    flops(self.cholesky_flops),
                    duration(self.planning_wall_s),
                    duration(self.digital_wall_s)
                ),
            ),
        ];
        all.extend(self.rechecked().map(|text| ("checked", text)));
        all.extend(self.left_out.iter().map(|left_out| ("left out", left_out.to_string())));
        all
    }
}

/// What the intervals of a result of blocks hold.
pub(crate) fn block_intervals(calibration: &CalibrationView, whole: bool) -> String {
    match (whole, calibration.holds()) {
        (true, _) => intervals(true, ""),
        (false, true) => intervals(false, "what the calibrations leave open is not in them"),
        (false, false) => intervals(false, calibration.caveat()),
    }
}

/// `30 tridiagonal, 2 scaled`.
pub(crate) fn routes(names: impl Iterator<Item = &'static str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.iter().map(|(name, number)| format!("{number} {name}")).collect::<Vec<_>>().join(", ")
}
