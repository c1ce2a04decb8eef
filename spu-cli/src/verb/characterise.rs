//! `spu characterise`: what the cells of a board do, against the law of the sampled board.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use spu_driver::characterise::{
    Characterisation, CharacteriseOptions, DEFAULT_SAMPLES, Extreme, characterise, lively,
};
use spu_driver::device::Outcome;
use spu_driver::plan::Budget;

use super::calibrated::RunArgs;
use super::calibration_view::CalibrationView;
use super::plan::MatrixView;
use super::{MatrixArg, Written, command, written_lines};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::matrix_file;
use crate::progress::Meter;
use crate::report;
use crate::text::{count, digits, duration, facts, p_value, percent, si, table, wrapped};

/// Measure spectra, correlations, statistics and error floor of a board, against its law
#[derive(Debug, Args)]
pub(crate) struct Characterise {
    /// Symmetric positive definite matrix to set on the board, as for the other verbs [default: one of
    /// all cells, whose modes lie apart]
    matrix: Option<PathBuf>,
    /// Add this times the identity to the matrix first
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0, requires = "matrix")]
    damping: f64,
    /// Raw samples of each cell, tick by tick; the inverse takes four times as many ticks
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SAMPLES)]
    samples: u64,
    /// Write a report with plots: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Serialize)]
pub(crate) struct CharacteriseAnswer {
    pub(crate) rung: &'static str,
    pub(crate) matrix: MatrixView,
    #[serde(flatten)]
    pub(crate) found: Characterisation,
    /// Whose values the law is made of, and whether they hold.
    pub(crate) calibration: CalibrationView,
    /// What the law that measurements are compared with is made of.
    pub(crate) law: String,
    pub(crate) command: String,
    pub(crate) version: &'static str,
    pub(crate) files: Vec<Written>,
}

impl Characterise {
    pub(crate) fn run(
        &self,
        interrupt: &Interrupt,
        json: bool,
    ) -> Result<CharacteriseAnswer, Failure> {
        if let Some(path) = &self.report {
            matrix_file::check_writable(path)?;
        }
        let matrix = self.matrix.clone();
        let argument = matrix.map(|matrix| MatrixArg { matrix, damping: self.damping });
        let given = argument.as_ref().map(MatrixArg::read).transpose()?;
        let mut ready = self.run.open(1, Budget::default(), interrupt)?;
        let (rung, calibration) = (ready.rung(), ready.calibration);
        let device = &mut ready.devices[0];
        let a = given.unwrap_or_else(|| lively(device.info().cells));
        let options = CharacteriseOptions {
            samples: self.samples,
            seed: self.run.seed,
            timeout: self.run.timeout.timeout,
            measured: ready.options.measured,
        };
        let meter = Meter::new(1, json);
        let result = characterise(device.as_mut(), &a, &options, &meter);
        meter.finish();
        let found = result?;
        let unnamed = MatrixArg { matrix: "default matrix".into(), damping: 0.0 };
        let mut answer = CharacteriseAnswer {
            rung,
            matrix: MatrixView::new(argument.as_ref().unwrap_or(&unnamed), &a),
            law: found.calibration.map_or_else(
                || "digital, nominal values".into(),
                |id| format!("digital, values of calibration {id:016x}"),
            ),
            found,
            calibration,
            command: command(),
            version: env!("CARGO_PKG_VERSION"),
            files: Vec::new(),
        };
        if let Some(path) = &self.report {
            let page = report::render_board(&answer);
            let result = matrix_file::write_atomically(path, page.as_bytes());
            answer.files.push(Written::new(path, "report", result));
        }
        Ok(answer)
    }
}

/// The largest of several statistics, in words.
pub(crate) fn extreme(test: &Extreme) -> String {
    if test.tests == 0 {
        return "not looked at: a cell has no signal".into();
    }
    let cells: Vec<String> = test.cells.iter().map(ToString::to_string).collect();
    format!(
        "{} standard errors at ({}), largest of {}; {}",
        digits(test.z),
        cells.join(", "),
        test.tests,
        p_value(test.p_value)
    )
}

impl CharacteriseAnswer {
    /// What was found, in a line each, most about the whole.
    pub(crate) fn statistics(&self) -> Vec<(&'static str, String)> {
        let found = &self.found;
        let allan = &found.allan;
        let slope = allan.slope.map_or("record too short for it".into(), |slope| {
            format!("slope {} ± {}", digits(slope.value), digits(slope.error))
        });
        let floor = match (&found.floor, &found.floor_missing) {
            (Some(floor), _) => format!(
                "{} ({} to {}), statistical {} after {} of board time",
                percent(floor.floor),
                percent(floor.floor_interval.0),
                percent(floor.floor_interval.1),
                percent(floor.statistical),
                duration(floor.batch_s * floor.batches as f64)
            ),
            (None, why) => format!("none: {}", why.as_deref().unwrap_or("not measured")),
        };
        vec![
            (
                "Allan deviation",
                format!(
                    "{slope}; one independent sample in {} ticks, {} by the law; drift {} standard \
                     errors",
                    digits(allan.ticks_per_sample),
                    digits(allan.expected_ticks_per_sample),
                    digits(allan.drift_z)
                ),
            ),
            (
                "fourth moments",
                format!(
                    "{}; mean z² {}",
                    extreme(&found.fourth.worst),
                    digits(found.fourth.mean_square_z)
                ),
            ),
            ("symmetry in time", extreme(&found.current.worst_antisymmetric)),
            (
                "cov(i, v)",
                format!("against the law: {}", extreme(&found.current.worst_correlation)),
            ),
            (
                "shifted channels",
                format!(
                    "{}; cross power {} of that of noise",
                    extreme(&found.null.worst_correlation),
                    digits(found.null.cross_power)
                ),
            ),
            ("floor of the error", floor),
        ]
    }
}

impl Answer for CharacteriseAnswer {
    fn text(&self) -> String {
        let found = &self.found;
        let spectra = &found.spectra;
        let mut about = vec![
            ("rung", self.rung.to_owned()),
            ("profile", found.board.profile.clone()),
            ("matrix", self.matrix.line()),
            ("law", self.law.clone()),
            (
                "record",
                format!(
                    "{} samples of each cell, {}; moments of board and host {}",
                    count(found.samples),
                    duration(found.samples as f64 * found.period_s),
                    match found.moments_agree {
                        Some(true) => "agree bit for bit",
                        Some(false) => "DIFFER",
                        None => "not compared",
                    }
                ),
            ),
            (
                "spectra",
                format!(
                    "{} averages of {} samples, resolution {}",
                    count(spectra.averages as u64),
                    count(spectra.segment as u64),
                    si(spectra.resolution_hz, "Hz")
                ),
            ),
        ];
        about.splice(4..4, self.calibration.facts());
        let mut text = format!("Characterisation of {}\n{}\n", found.uri, facts(&about));
        let header =
            ["cell", "χ²/bins", "drive/law", "rms", "offset", "floor", "saturated", "missing"];
        let rows: Vec<Vec<String>> = spectra
            .cells
            .iter()
            .zip(&found.converters)
            .map(|(cell, converter)| {
                vec![
                    cell.cell.to_string(),
                    format!(
                        "{}{}",
                        digits(cell.chi_squared),
                        if cell.deviates { " !" } else { "" }
                    ),
                    cell.drive.map_or("–".into(), |drive| {
                        format!("{:.3} ± {:.3}", drive.value, drive.error)
                    }),
                    format!("{} LSB", digits(converter.rms_codes)),
                    format!("{} LSB", digits(converter.offset_codes)),
                    format!("{} LSB", digits(converter.floor_codes)),
                    count(converter.saturated),
                    count(converter.missing_codes as u64),
                ]
            })
            .collect();
        text += &table(&header, &rows);
        text += &format!("\n{}", facts(&self.statistics()));
        text += &format!(
            "\n{}",
            table(
                &[
                    "stage", "settle", "sampled", "N_eff", "N_eff/s", "encode", "program",
                    "settling", "acquire", "transfer", "decode"
                ],
                &self.stage_rows()
            )
        );
        text += &self.calibration.time_line();
        text += "\n";
        if found.findings.is_empty() {
            text += "Nothing deviates from the law.\n";
        }
        for finding in &found.findings {
            text += &wrapped(&finding_line(finding), "  ");
            text += "\n";
        }
        if found.outcome == Outcome::Cancelled {
            text += "\nCancelled: the results are from the samples until then.\n";
        }
        text + &written_lines(&self.files)
    }

    fn exit(&self) -> Exit {
        if self.found.outcome == Outcome::Cancelled {
            Exit::Cancelled
        } else if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            Exit::Success
        }
    }
}

/// A finding as a sentence.
pub(crate) fn finding_line(finding: &spu_driver::characterise::Finding) -> String {
    let cells: Vec<String> = finding.cells.iter().map(ToString::to_string).collect();
    let place = match cells.len() {
        0 => String::new(),
        1 => format!(", cell {}", cells[0]),
        _ => format!(", cells {}", cells.join(", ")),
    };
    format!("{}{place}: {}", finding.check, finding.detail)
}

impl CharacteriseAnswer {
    fn stage_rows(&self) -> Vec<Vec<String>> {
        let seconds = |s: f64| duration(s);
        let row = |stage: &spu_driver::characterise::Stage| {
            let wall = &stage.wall;
            let mut row = stage_cells(stage);
            row.extend(
                [
                    wall.encode_s,
                    wall.program_s,
                    wall.settle_s,
                    wall.acquire_s,
                    wall.transfer_s,
                    wall.decode_s,
                ]
                .map(seconds),
            );
            row
        };
        self.found.stages.iter().map(row).collect()
    }
}

/// Name, ticks and effective samples of a stage.
pub(crate) fn stage_cells(stage: &spu_driver::characterise::Stage) -> Vec<String> {
    let optional = |value: Option<f64>| value.map_or("–".into(), digits);
    vec![
        stage.name.into(),
        count(stage.settle_ticks),
        count(stage.sampled_ticks),
        optional(stage.effective),
        optional(stage.effective_per_s),
    ]
}
