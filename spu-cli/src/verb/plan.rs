//! `spu plan`: by which route and how a board would be set, without running it.

use std::num::NonZeroUsize;

use clap::Args;
use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::blocks::{BlockPlan, plan_blocks};
use spu_driver::invert::InvertOptions;
use spu_driver::plan::InversionPlan;
use spu_driver::route::{Impossible, RoutePlan, plan_routes};
use spu_driver::scaling::Scaling;

use super::blocks_view::routes;
use super::route::{RouteArg, error_parts, flops, route_text};
use super::{BudgetArgs, DeviceArg, MatrixArg, rows, rung};
use crate::answer::Answer;
use crate::exit::Failure;
use crate::text::{count, counted, digits, duration, facts, percent, si, table, wrapped};

/// Show by which route a matrix would come onto a board, what error and time to expect, and how the
/// board would be set, without running it
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    matrix: MatrixArg,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    route: RouteArg,
    /// Copies that would share the samples of a matrix larger than the board
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    copies: NonZeroUsize,
}

#[derive(Debug, Serialize)]
pub(crate) struct PlanAnswer {
    uri: String,
    rung: &'static str,
    matrix: MatrixView,
    #[serde(flatten)]
    what: Planned,
}

/// What is planned.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Planned {
    /// A matrix that fits the board.
    Whole {
        /// The route that is taken.
        route: &'static str,
        /// Every route that the board can take, the best first.
        routes: Vec<RouteView>,
        /// Those that it cannot, with the reasons.
        impossible: Vec<Impossible>,
        /// How the board is set on the route that is taken.
        plan: Box<PlanView>,
    },
    /// A larger one.
    Blocks {
        /// Copies that share the samples.
        copies: usize,
        /// Its leaves, error and time.
        blocks: BlockPlan,
        /// Expected error of the whole.
        predicted_error: f64,
        /// A digital inverse by Cholesky factorisation.
        cholesky_flops: u64,
    },
}

/// A route, and what it costs.
#[derive(Debug, Clone, Serialize)]
struct RouteView {
    route: &'static str,
    quantisation_error: f64,
    statistical_error: f64,
    predicted_error: f64,
    /// Factor of one step of refinement.
    contraction: f64,
    board_ticks: u64,
    board_time_s: f64,
    transform_flops: u64,
    /// Planning this route.
    planning_flops: u64,
}

impl RouteView {
    fn new(plan: &RoutePlan) -> Self {
        Self {
            route: plan.route.name(),
            quantisation_error: plan.quantisation_error,
            statistical_error: plan.statistical_error,
            predicted_error: plan.predicted_error(),
            contraction: plan.contraction,
            board_ticks: plan.ticks,
            board_time_s: plan.seconds,
            transform_flops: plan.flops,
            planning_flops: plan.planning_flops,
        }
    }
}

/// The matrix, as planned with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MatrixView {
    pub(crate) file: String,
    pub(crate) n: usize,
    pub(crate) condition: f64,
    pub(crate) damping: f64,
    /// Ascending.
    pub(crate) eigenvalues: Vec<f64>,
    pub(crate) entries: Vec<Vec<f64>>,
}

impl MatrixView {
    pub(crate) fn new(argument: &MatrixArg, a: &spu_driver::matrix::SpdMatrix) -> Self {
        Self {
            file: argument.matrix.display().to_string(),
            n: a.n(),
            condition: a.condition(),
            damping: a.damping(),
            eigenvalues: a.eigenvalues().to_vec(),
            entries: rows(a.entries()),
        }
    }

    /// `a.mtx, 8 × 8, condition 12.4`.
    pub(crate) fn line(&self) -> String {
        let damping = match self.damping {
            0.0 => String::new(),
            damping => format!(", damping {damping}"),
        };
        format!(
            "{}, {n} × {n}, condition {}{damping}",
            self.file,
            digits(self.condition),
            n = self.n
        )
    }
}

/// How a board is set.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PlanView {
    pub(crate) scaling: Scaling,
    pub(crate) d: Vec<f64>,
    pub(crate) farads_per_unit: f64,
    /// Self-term code of each cell in use.
    pub(crate) self_codes: Vec<i16>,
    /// Coupling codes, `n × n`, symmetric, zero on the diagonal.
    pub(crate) coupling_codes: Vec<Vec<i16>>,
    /// Relative error of the programmed matrix by quantisation (Frobenius).
    pub(crate) quantisation: f64,
    pub(crate) modes: Vec<ModeView>,
    /// Highest mode over the sample clock.
    pub(crate) mode_ratio: f64,
    pub(crate) settle_ticks: u64,
    pub(crate) decimation: u32,
    pub(crate) samples: u64,
    pub(crate) effective: f64,
    pub(crate) predicted_error: f64,
    /// Time on the board, in seconds.
    pub(crate) board_time_s: f64,
}

/// A mode of the programmed board.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ModeView {
    pub(crate) farad: f64,
    pub(crate) frequency_hz: f64,
    pub(crate) q: f64,
}

impl PlanView {
    pub(crate) fn new(plan: &InversionPlan, board: &BoardInfo) -> Self {
        let coupling = |i: usize, j: usize| {
            if i == j { 0 } else { plan.program.coupling_codes[board.pair(i, j)].0 }
        };
        let ticks = plan.settle_for_mean() + plan.samples * u64::from(plan.decimation);
        Self {
            scaling: plan.scaling,
            d: plan.d.clone(),
            farads_per_unit: plan.farads,
            self_codes: plan.program.self_codes[..plan.n].iter().map(|code| code.0).collect(),
            coupling_codes: (0..plan.n)
                .map(|i| (0..plan.n).map(|j| coupling(i, j)).collect())
                .collect(),
            quantisation: plan.quantisation,
            modes: plan
                .modes
                .iter()
                .map(|mode| ModeView {
                    farad: mode.c,
                    frequency_hz: mode.frequency_hz(),
                    q: mode.q(),
                })
                .collect(),
            mode_ratio: plan.mode_ratio(board),
            settle_ticks: plan.settle_for_mean(),
            decimation: plan.decimation,
            samples: plan.samples,
            effective: plan.effective,
            predicted_error: plan.predicted_error,
            board_time_s: ticks as f64 * board.sample_period_s(),
        }
    }

    /// How the scaling is called.
    pub(crate) fn scaling_name(&self) -> &'static str {
        match self.scaling {
            Scaling::None => "none needed",
            Scaling::UnitDiagonal => "D A D with unit diagonal",
            Scaling::Perron => "D A D, D from the Perron vector",
            Scaling::Resolvent => "D A D, D from a resolvent, for the least rounding",
        }
    }

    /// Names and values, as text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![(
            "programmed",
            format!(
                "scaling {}; banks quantise the matrix to {}",
                self.scaling_name(),
                percent(self.quantisation)
            ),
        )];
        if let (Some(fast), Some(slow)) = (self.modes.first(), self.modes.last()) {
            facts.push((
                "modes",
                format!(
                    "{} to {}, Q {} to {}; the fastest is at 1/{:.0} of the sample clock",
                    si(slow.frequency_hz, "Hz"),
                    si(fast.frequency_hz, "Hz"),
                    digits(fast.q),
                    digits(slow.q),
                    1.0 / self.mode_ratio
                ),
            ));
        }
        facts.push((
            "sampling",
            format!(
                "settle {} ticks, then keep one in {}; {} samples ≈ {} independent; {} on the board",
                count(self.settle_ticks),
                self.decimation,
                count(self.samples),
                count(self.effective.round() as u64),
                duration(self.board_time_s)
            ),
        ));
        facts
    }
}

impl Plan {
    pub(crate) fn run(&self) -> Result<PlanAnswer, Failure> {
        let a = self.matrix.read()?;
        let device = self.device.open()?;
        let board = device.info();
        let options = InvertOptions { budget: self.budget.budget(), ..InvertOptions::default() };
        let choice = self.route.choice(self.route.needs_refinement());
        let what = if a.n() > board.cells {
            let blocks = plan_blocks(&a, board, &options, choice, self.copies)?;
            Planned::Blocks {
                copies: self.copies.get(),
                predicted_error: blocks.predicted_error(),
                cholesky_flops: (a.n() as u64).pow(3),
                blocks,
            }
        } else {
            let routes = plan_routes(&a, board, &options)?;
            let chosen = routes.choose(choice)?;
            Planned::Whole {
                route: chosen.route.name(),
                routes: routes.usable.iter().map(RouteView::new).collect(),
                plan: Box::new(PlanView::new(&chosen.plans[0], board)),
                impossible: routes.impossible,
            }
        };
        Ok(PlanAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            matrix: MatrixView::new(&self.matrix, &a),
            what,
        })
    }
}

impl Answer for PlanAnswer {
    fn text(&self) -> String {
        let device = ("device", format!("{}, {}", self.uri, self.rung));
        let rest = match &self.what {
            Planned::Whole { route, routes, impossible, plan } => {
                whole_text(device, self.matrix.n, (*route, routes, impossible), plan)
            }
            Planned::Blocks { copies, blocks, cholesky_flops, .. } => {
                blocks_text(device, *copies, blocks, *cholesky_flops)
            }
        };
        format!("{}\n{rest}", self.matrix.line())
    }
}

fn whole_text(
    device: (&'static str, String),
    n: usize,
    (route, routes, impossible): (&'static str, &[RouteView], &[Impossible]),
    plan: &PlanView,
) -> String {
    let taken = routes.iter().find(|view| view.route == route);
    let mut all = vec![device];
    if let Some(view) = taken {
        let name = spu_driver::route::Route::ALL.into_iter().find(|r| r.name() == route);
        all.push(("route", name.map_or(route, route_text).to_owned()));
        all.push((
            "expected",
            format!(
                "error of the inverse {}, in {} on the board",
                error_parts(view.quantisation_error, view.statistical_error),
                duration(view.board_time_s)
            ),
        ));
    }
    all.extend(plan.facts());
    let codes: Vec<Vec<String>> = (0..n)
        .map(|i| {
            let code = |j: usize| {
                if i == j {
                    format!("[{}]", plan.self_codes[i])
                } else {
                    plan.coupling_codes[i][j].to_string()
                }
            };
            std::iter::once(format!("cell {i}")).chain((0..n).map(code)).collect()
        })
        .collect();
    format!(
        "{}{}\nCodes ([self terms] on the diagonal, couplings beside it):\n{}",
        facts(&all),
        routes_text(route, routes, impossible),
        table(&vec![""; n + 1], &codes)
    )
}

/// All routes, and why the others are not taken.
fn routes_text(taken: &str, routes: &[RouteView], impossible: &[Impossible]) -> String {
    let header = [
        "route",
        "error",
        "quantisation",
        "samples",
        "refinement step",
        "board",
        "transform",
        "planning",
    ];
    let rows: Vec<Vec<String>> = routes
        .iter()
        .map(|view| {
            let mark = if view.route == taken { " (taken)" } else { "" };
            vec![
                format!("{}{mark}", view.route),
                percent(view.predicted_error),
                percent(view.quantisation_error),
                percent(view.statistical_error),
                format!("× {}", digits(view.contraction)),
                duration(view.board_time_s),
                flops(view.transform_flops),
                flops(view.planning_flops),
            ]
        })
        .collect();
    let refused: String = impossible
        .iter()
        .map(|route| {
            wrapped(&format!("{}: {}", route.route.name(), route.reasons.join("; ")), "  ") + "\n"
        })
        .collect();
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!("\nImpossible on this board:\n{refused}")
    };
    format!(
        "\nRoutes, expected (splitting is an inverse only once refined; a refinement step shrinks the \
         error by the factor shown):\n{}{refused}",
        table(&header, &rows)
    )
}

fn blocks_text(
    device: (&'static str, String),
    copies: usize,
    blocks: &BlockPlan,
    cholesky_flops: u64,
) -> String {
    facts(&[
        device,
        (
            "blocks",
            format!(
                "larger than the board: block elimination with {} on {} ({})",
                counted(blocks.leaves.len(), "leaf", "leaves"),
                counted(copies, "copy", "copies"),
                routes(blocks.leaves.iter().map(|leaf| leaf.route.name()))
            ),
        ),
        (
            "expected",
            format!(
                "error of the inverse {}",
                error_parts(blocks.quantisation_error, blocks.statistical_error)
            ),
        ),
        (
            "board",
            format!("{} ticks, {} on each copy", count(blocks.ticks), duration(blocks.seconds)),
        ),
        (
            "digital",
            format!(
                "planning {} on each copy, between blocks {}, error bars up to {} (an inverse by Cholesky \
                 factorisation: {})",
                flops(blocks.planning_flops),
                flops(blocks.elimination_flops),
                flops(blocks.error_bar_flops),
                flops(cholesky_flops)
            ),
        ),
    ])
}
