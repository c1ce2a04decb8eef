//! `spu plan`: how a board would be set, without running it.

use clap::Args;
use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::plan::InversionPlan;
use spu_driver::scaling::Scaling;

use super::{BudgetArgs, DeviceArg, MatrixArg, rows, rung};
use crate::answer::Answer;
use crate::exit::Failure;
use crate::text::{count, digits, duration, facts, percent, si, table};

/// Show how a board would be set for a matrix, without running it
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    matrix: MatrixArg,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    budget: BudgetArgs,
}

#[derive(Debug, Serialize)]
pub(crate) struct PlanAnswer {
    uri: String,
    rung: &'static str,
    matrix: MatrixView,
    plan: PlanView,
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
        let plan = InversionPlan::new(&a, board, &self.budget.budget())?;
        Ok(PlanAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            matrix: MatrixView::new(&self.matrix, &a),
            plan: PlanView::new(&plan, board),
        })
    }
}

impl Answer for PlanAnswer {
    fn text(&self) -> String {
        let mut all = vec![("device", format!("{}, {}", self.uri, self.rung))];
        all.extend(self.plan.facts());
        all.push((
            "expected",
            format!("statistical error of the inverse {}", percent(self.plan.predicted_error)),
        ));
        let codes: Vec<Vec<String>> = (0..self.matrix.n)
            .map(|i| {
                let code = |j: usize| {
                    if i == j {
                        format!("[{}]", self.plan.self_codes[i])
                    } else {
                        self.plan.coupling_codes[i][j].to_string()
                    }
                };
                std::iter::once(format!("cell {i}")).chain((0..self.matrix.n).map(code)).collect()
            })
            .collect();
        let header = vec![""; self.matrix.n + 1];
        format!(
            "{}\n{}\nCodes ([self terms] on the diagonal, couplings beside it):\n{}",
            self.matrix.line(),
            facts(&all),
            table(&header, &codes)
        )
    }
}
