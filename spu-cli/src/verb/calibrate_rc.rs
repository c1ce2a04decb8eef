//! `spu calibrate` of a board of RC cells.
//!
//! Nothing is stored: a measurement takes a fraction of a second of the board's time, and each verb that
//! relaxes such a board takes a fresh one first.

use std::time::Instant;

use serde::Serialize;
use spu_driver::device::{Deadline, Device};
use spu_driver::rc::{CalibratedRc, RcCalibrateOptions, RcModel, calibrate};

use super::calibrate_view::{deviation, element_header};
use super::{Written, written_lines};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::text::{count, digits, duration, facts, percent, table};

/// The measured values of an RC board.
#[derive(Debug, Serialize)]
pub(crate) struct RcCalibrateAnswer {
    uri: String,
    rung: &'static str,
    profile: String,
    calibrated: bool,
    #[serde(flatten)]
    measured: CalibratedRc,
    /// By the profile.
    nominal: RcModel,
    wall_s: f64,
    pub(crate) files: Vec<Written>,
}

/// Measures the board.
pub(crate) fn measure(
    device: &mut dyn Device,
    rung: &'static str,
    options: &RcCalibrateOptions,
) -> Result<RcCalibrateAnswer, Failure> {
    let started = Instant::now();
    let nominal = RcModel::nominal(device, Deadline::after(options.timeout))?;
    let measured = calibrate(device, options)?;
    Ok(RcCalibrateAnswer {
        uri: device.uri().to_owned(),
        rung,
        profile: device.info().profile.clone(),
        calibrated: true,
        measured,
        nominal,
        wall_s: started.elapsed().as_secs_f64(),
        files: Vec::new(),
    })
}

impl Answer for RcCalibrateAnswer {
    fn text(&self) -> String {
        let CalibratedRc { serial, model, residual, ticks } = &self.measured;
        let all = [
            ("board", format!("{serial:016x}, profile {}", self.profile)),
            (
                "measurement",
                format!(
                    "{} ticks = {} on the board, {} here; each run of `spu solve` and `spu train` takes \
                     its own first",
                    count(*ticks),
                    duration(*ticks as f64 * model.period_s),
                    duration(self.wall_s)
                ),
            ),
            (
                "residual",
                format!(
                    "the readings of each coupling element agree to {} rms",
                    percent(*residual)
                ),
            ),
        ];
        format!(
            "{}, {}\n{}\n{}\n{}\nmean drive and mean ADC gain are nominal by definition\n{}",
            self.uri,
            self.rung,
            facts(&all),
            self.cells(),
            self.elements(),
            written_lines(&self.files)
        )
    }

    fn exit(&self) -> Exit {
        let failed = self.files.iter().any(|file| file.error.is_some());
        if failed { Exit::Output } else { Exit::Success }
    }
}

impl RcCalibrateAnswer {
    fn cells(&self) -> String {
        let header =
            ["cell", "leak / µS", "stray / pF", "drive / nA", "ADC codes/V", "offset / codes"];
        let cells = self.measured.model.cells.iter().enumerate();
        let rows: Vec<Vec<String>> = cells
            .map(|(index, cell)| {
                let values = [
                    cell.leak_siemens * 1e6,
                    cell.stray_farad * 1e12,
                    cell.drive_ampere * 1e9,
                    cell.adc_gain,
                    cell.adc_offset,
                ];
                std::iter::once(index.to_string()).chain(values.map(digits)).collect()
            })
            .collect();
        table(&header, &rows)
    }

    /// Elements by bit: what they are off by.
    fn elements(&self) -> String {
        let (model, nominal) = (&self.measured.model, &self.nominal);
        let banks = [
            ("self term", "µS", 1e6, &model.selves, &nominal.selves),
            ("coupling", "µS", 1e6, &model.couplings, &nominal.couplings),
            ("storage", "pF", 1e12, &model.storage, &nominal.storage),
        ];
        let mut rows = Vec::new();
        for (name, unit, scale, banks, nominal) in banks {
            // A board of one cell has no couplings.
            for (bit, nominal) in nominal.first().into_iter().flatten().enumerate() {
                let (rms, most) = deviation(banks.iter().map(|bank| bank[bit]), *nominal);
                rows.push(vec![
                    name.to_owned(),
                    bit.to_string(),
                    format!("{} {unit}", digits(nominal * scale)),
                    percent(rms),
                    percent(most),
                ]);
            }
        }
        table(&element_header("nominal")[..5], &rows)
    }
}
