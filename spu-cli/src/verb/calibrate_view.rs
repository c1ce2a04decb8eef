//! What `spu calibrate` returns.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use spu_driver::calibrate::Finding;
use spu_driver::calibration::{Calibration, Depth, Estimate, Record};

use super::{Written, written_lines};
use crate::answer::Answer;
use crate::exit::Exit;
use crate::text::{count, digits, facts, p_value, percent, table};

/// A calibration, or why there is none.
#[derive(Debug, Serialize)]
pub(crate) struct CalibrateAnswer {
    pub(crate) uri: Option<String>,
    pub(crate) rung: Option<&'static str>,
    pub(crate) calibrated: bool,
    /// Where the values are from.
    pub(crate) source: Option<String>,
    /// Why sources before it were not taken.
    pub(crate) passed_over: Vec<String>,
    pub(crate) findings: Vec<FindingView>,
    #[serde(flatten)]
    pub(crate) values: Option<Values>,
    /// The board's memory names it.
    pub(crate) in_board: bool,
    pub(crate) files: Vec<Written>,
}

/// A fault of a board.
#[derive(Debug, Serialize)]
pub(crate) struct FindingView {
    #[serde(flatten)]
    finding: Finding,
    message: String,
}

/// The values of a calibration.
#[derive(Debug, Serialize)]
pub(crate) struct Values {
    pub(crate) id: String,
    pub(crate) serial: String,
    pub(crate) created: String,
    pub(crate) expires: String,
    pub(crate) expired: bool,
    /// Resonance and quality factor of each cell alone, all self-term elements connected.
    pub(crate) resonances: Vec<Resonance>,
    /// Smallest distance to the limit of a plausible value: 1 is nominal, 0 at the limit.
    pub(crate) smallest_margin: f64,
    /// Values that were not measured to better than a quarter of nominal.
    pub(crate) unresolved: usize,
    /// All but the covariance.
    pub(crate) record: Record,
}

/// Resonance of a cell.
#[derive(Debug, Serialize)]
pub(crate) struct Resonance {
    pub(crate) hertz: f64,
    pub(crate) hertz_sigma: f64,
    pub(crate) q: f64,
    pub(crate) q_sigma: f64,
}

impl CalibrateAnswer {
    /// An answer with values; `now` in seconds since 1970.
    pub(crate) fn new(calibration: &Calibration, source: String, now: u64) -> Self {
        Self {
            uri: None,
            rung: None,
            calibrated: true,
            source: Some(source),
            passed_over: Vec::new(),
            findings: Vec::new(),
            values: Some(Values::new(calibration, now)),
            in_board: false,
            files: Vec::new(),
        }
    }

    /// A board that was refused.
    pub(crate) fn refused(uri: &str, rung: &'static str, findings: &[Finding]) -> Self {
        let view = |finding: &Finding| FindingView {
            message: finding.to_string(),
            finding: finding.clone(),
        };
        Self {
            uri: Some(uri.into()),
            rung: Some(rung),
            calibrated: false,
            source: None,
            passed_over: Vec::new(),
            findings: findings.iter().map(view).collect(),
            values: None,
            in_board: false,
            files: Vec::new(),
        }
    }

    pub(crate) fn of_device(&mut self, uri: &str, rung: &'static str) {
        self.uri = Some(uri.into());
        self.rung = Some(rung);
    }
}

impl Values {
    fn new(calibration: &Calibration, now: u64) -> Self {
        let mut record = calibration.record().clone();
        record.covariance.clear();
        let estimates: Vec<Estimate> = all(&record);
        let resonance = |cell| {
            let [(hertz, hertz_sigma), (q, q_sigma)] = calibration.resonance(cell);
            Resonance { hertz, hertz_sigma, q, q_sigma }
        };
        Self {
            id: format!("{:016x}", calibration.id()),
            serial: format!("{:016x}", record.board.serial),
            created: time(record.created),
            expires: time(calibration.expires()),
            expired: now > calibration.expires(),
            resonances: (0..record.cells.len()).map(resonance).collect(),
            smallest_margin: estimates.iter().map(|e| e.margin).fold(f64::INFINITY, f64::min),
            unresolved: estimates.iter().filter(|estimate| !estimate.resolved).count(),
            record,
        }
    }
}

fn all(record: &Record) -> Vec<Estimate> {
    let cells = record.cells.iter().flat_map(|cell| {
        [
            cell.r_ohm,
            cell.l_henry,
            cell.stray_farad,
            cell.drive_ampere,
            cell.adc_gain,
            cell.adc_offset,
            cell.noise,
        ]
    });
    cells.chain(record.selves.iter().chain(&record.couplings).flatten().copied()).collect()
}

/// Seconds since 1970 as a date.
pub(crate) fn time(seconds: u64) -> String {
    // The largest that the format can write.
    let seconds = seconds.min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// A value with one standard deviation in units of the last place: `1199.94(2)`.
pub(crate) fn uncertain(value: f64, sigma: f64) -> String {
    if !(value.is_finite() && sigma.is_finite() && sigma > 0.0) {
        return digits(value);
    }
    let decimals = (1 - sigma.log10().floor() as i32).clamp(0, 9);
    let unit = 10_f64.powi(decimals);
    format!("{value:.*}({:.0})", decimals as usize, (sigma * unit).ceil())
}

impl Answer for CalibrateAnswer {
    fn text(&self) -> String {
        let mut text = String::new();
        if let (Some(uri), Some(rung)) = (&self.uri, self.rung) {
            text += &format!("{uri}, {rung}\n");
        }
        if let Some(values) = &self.values {
            text += &self.shown(values);
        } else {
            text += "not calibrated, nothing kept:\n";
            for finding in &self.findings {
                text += &format!("  FAIL  {}\n", finding.message);
            }
        }
        text + &written_lines(&self.files)
    }

    fn exit(&self) -> Exit {
        if !self.calibrated {
            Exit::Diagnosis
        } else if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            Exit::Success
        }
    }
}

impl CalibrateAnswer {
    fn shown(&self, values: &Values) -> String {
        let record = &values.record;
        let fit = &record.fit;
        let expired = if values.expired { ", EXPIRED" } else { "" };
        let mut lines = vec![
            ("calibration", values.id.clone()),
            ("source", self.source.clone().unwrap_or_default()),
            (
                "board",
                format!(
                    "{}, profile {}, firmware {}, gateware {:08x}",
                    values.serial,
                    record.board.profile,
                    record.board.firmware,
                    record.board.gateware_id
                ),
            ),
            ("measured", format!("{}, holds until {}{expired}", values.created, values.expires)),
        ];
        if let Some(temperature) = record.temperature_c {
            lines.push(("temperature", format!("{temperature} °C")));
        }
        lines.push((
            "measurement",
            format!(
                "{}, {} bank settings, {} ticks",
                if record.depth == Depth::Full { "full" } else { "quick" },
                fit.settings.len(),
                count(record.ticks)
            ),
        ));
        lines.push((
            "residual",
            format!(
                "{} codes rms (rounding alone: 0.289); settings agree with χ²/ν = {:.2}, {}",
                digits(fit.sample_variance.sqrt()),
                fit.chi_squared / fit.degrees_of_freedom as f64,
                p_value(fit.p_value)
            ),
        ));
        lines.push(("smallest margin", percent(values.smallest_margin)));
        if values.unresolved > 0 {
            lines.push(("not resolved", format!("{} values", values.unresolved)));
        }
        if self.in_board {
            lines.push(("board memory", "names this calibration until power goes off".into()));
        }
        for why in &self.passed_over {
            lines.push(("passed over", why.clone()));
        }
        format!(
            "{}\n{}\n{}\none standard deviation in units of the last place; mean ADC gain and sum of \
             all elements are nominal by definition\n",
            facts(&lines),
            cells(values),
            elements(record)
        )
    }
}

fn cells(values: &Values) -> String {
    let header = [
        "cell",
        "R / Ω",
        "L / µH",
        "stray / pF",
        "drive / nA",
        "ADC codes/V",
        "offset / codes",
        "noise",
        "f0 / kHz",
        "Q",
    ];
    let scaled =
        |estimate: Estimate, unit: f64| uncertain(estimate.value / unit, estimate.sigma / unit);
    let rows: Vec<Vec<String>> = values
        .record
        .cells
        .iter()
        .zip(&values.resonances)
        .enumerate()
        .map(|(index, (cell, resonance))| {
            vec![
                index.to_string(),
                scaled(cell.r_ohm, 1.0),
                scaled(cell.l_henry, 1e-6),
                scaled(cell.stray_farad, 1e-12),
                scaled(cell.drive_ampere, 1e-9),
                scaled(cell.adc_gain, 1.0),
                scaled(cell.adc_offset, 1.0),
                scaled(cell.noise, 1.0),
                uncertain(resonance.hertz / 1e3, resonance.hertz_sigma / 1e3),
                uncertain(resonance.q, resonance.q_sigma),
            ]
        })
        .collect();
    table(&header, &rows)
}

/// Columns of a table of elements.
pub(crate) fn element_header(nominal: &str) -> [&str; 6] {
    ["bank", "bit", nominal, "off, rms", "off, most", "σ, most"]
}

/// What values are off a nominal one, relative to it: root mean square, and the largest with its sign.
pub(crate) fn deviation(values: impl ExactSizeIterator<Item = f64>, nominal: f64) -> (f64, f64) {
    let number = values.len() as f64;
    let (mut square, mut most) = (0.0, 0.0_f64);
    for value in values {
        let off = value / nominal - 1.0;
        square += off * off;
        most = if off.abs() > most.abs() { off } else { most };
    }
    ((square / number).sqrt(), most)
}

/// Elements by bit: what they are off by.
fn elements(record: &Record) -> String {
    let mut rows = Vec::new();
    let banks = [
        ("self term", &record.selves, record.nominal.self_lsb_farad),
        ("coupling", &record.couplings, record.nominal.coupling_lsb_farad),
    ];
    for (name, banks, lsb) in banks {
        let bits = banks.first().map_or(0, Vec::len);
        for bit in 0..bits {
            let nominal = lsb * f64::from(1_u32 << bit);
            let (rms, most) = deviation(banks.iter().map(|bank| bank[bit].value), nominal);
            let sigma = banks.iter().map(|bank| bank[bit].sigma / nominal).fold(0.0, f64::max);
            rows.push(vec![
                name.to_owned(),
                bit.to_string(),
                digits(nominal * 1e12),
                percent(rms),
                percent(most),
                percent(sigma),
            ]);
        }
    }
    table(&element_header("nominal / pF"), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncertainties_stand_in_units_of_the_last_place() {
        assert_eq!(uncertain(1199.943, 0.017), "1199.943(17)");
        assert_eq!(uncertain(-30.2, 0.5), "-30.20(50)");
        assert_eq!(uncertain(1234.0, 20.0), "1234(20)");
        assert_eq!(uncertain(2.0, 0.0), "2.00");
    }

    #[test]
    fn a_refused_board_is_a_diagnosis_that_names_the_part() {
        let finding = Finding::NoDrive { cell: 3 };
        let answer = CalibrateAnswer::refused("sim", "sim", &[finding]);
        assert_eq!(answer.exit(), Exit::Diagnosis);
        assert!(answer.text().contains("FAIL  cell 3 is dead"), "{}", answer.text());
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["findings"][0]["kind"], "no-drive");
        assert_eq!(json["findings"][0]["cell"], 3);
    }
}
