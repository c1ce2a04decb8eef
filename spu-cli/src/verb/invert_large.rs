//! `spu invert` of a matrix that is larger than the board.

use serde::Serialize;
use spu_driver::BoardInfo;
use spu_driver::blocks::BlockInversion;
use spu_driver::linalg::relative_error;
use spu_driver::matrix::SpdMatrix;

use super::blocks_view::{BlocksView, block_intervals};
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::route::RefineView;
use super::{MatrixArg, Written, rows, written_lines};
use crate::answer::Answer;
use crate::exit::Exit;
use crate::text::{facts, percent, table, uncertain_matrix, wrapped};

/// Rows and columns that the text shows.
const SHOWN: usize = 6;

/// Result of an inversion in blocks.
#[derive(Debug, Serialize)]
pub(crate) struct LargeAnswer {
    matrix: MatrixView,
    rung: &'static str,
    uris: Vec<String>,
    board: BoardInfo,
    calibration: CalibrationView,
    blocks: BlocksView,
    inverse: Vec<Vec<f64>>,
    /// Half widths of the intervals: of calibrated boards with systematic errors, else statistical.
    half_widths: Vec<Vec<f64>>,
    statistical_half_widths: Vec<Vec<f64>>,
    /// What the banks' quantisation adds to each entry; it is in the result.
    quantisation: Vec<Vec<f64>>,
    /// Standard deviations by the calibrations' own uncertainty.
    calibration_sigma: Option<Vec<Vec<f64>>>,
    /// Relative Frobenius error against the digital reference.
    error_against_reference: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refinement: Option<RefineView>,
    /// What the intervals are.
    intervals: String,
    seed: u64,
    pub(crate) wall_s: f64,
    version: &'static str,
    pub(crate) files: Vec<Written>,
}

/// How the run was set up.
pub(crate) struct LargeRun {
    pub(crate) uris: Vec<String>,
    pub(crate) rung: &'static str,
    pub(crate) seed: u64,
    pub(crate) calibration: CalibrationView,
}

impl LargeAnswer {
    pub(crate) fn new(
        argument: &MatrixArg,
        a: &SpdMatrix,
        result: &BlockInversion,
        reference: &ndarray::Array2<f64>,
        run: LargeRun,
    ) -> Self {
        Self {
            matrix: MatrixView::new(argument, a),
            rung: run.rung,
            board: result.board.clone(),
            blocks: BlocksView::new(result),
            inverse: rows(&result.inverse),
            half_widths: match result.calibration_sd {
                Some(_) => rows(&result.intervals()),
                None => rows(&result.half_widths),
            },
            statistical_half_widths: rows(&result.half_widths),
            quantisation: rows(&result.quantisation),
            calibration_sigma: result.calibration_sd.as_ref().map(|sigma| rows(sigma)),
            error_against_reference: relative_error(&result.inverse, reference),
            refinement: None,
            intervals: block_intervals(&run.calibration, result.calibration_sd.is_some()),
            calibration: run.calibration,
            seed: run.seed,
            wall_s: 0.0,
            version: env!("CARGO_PKG_VERSION"),
            files: Vec::new(),
            uris: run.uris,
        }
    }
}

impl Answer for LargeAnswer {
    fn text(&self) -> String {
        let mut head = vec![("device", format!("{}, {}", self.uris.join(", "), self.rung))];
        head.extend(self.calibration.facts());
        head.extend(self.blocks.facts());
        let corner = |matrix: &[Vec<f64>]| -> Vec<Vec<f64>> {
            matrix.iter().take(SHOWN).map(|row| row[..SHOWN.min(row.len())].to_vec()).collect()
        };
        let (power, cells) = uncertain_matrix(&corner(&self.inverse), &corner(&self.half_widths));
        let scale = if power == 0 { String::new() } else { format!(" × 10^{power}") };
        let refined = self.refinement.as_ref().map_or(String::new(), RefineView::text);
        format!(
            "Inverse of {}\n{}\nA⁻¹{scale}, first rows and columns{} (0.412(13) is 0.412 ± 0.013, \
             95 %)\n{}{refined}\n{} off the digital reference{}\n{}\n{}{}{}",
            self.matrix.line(),
            facts(&head),
            if self.refinement.is_some() { " before refinement" } else { "" },
            table(&vec![""; SHOWN.min(self.matrix.n)], &cells),
            percent(self.error_against_reference),
            if self.refinement.is_some() { " before refinement" } else { "" },
            wrapped(&self.intervals, ""),
            self.blocks.time_text(self.wall_s),
            self.calibration.time_line(),
            written_lines(&self.files)
        )
    }

    fn exit(&self) -> Exit {
        if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            self.blocks.exit()
        }
    }
}
