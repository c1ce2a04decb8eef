//! What an answer says of the calibrations behind it, and of the sentinels that were run.

use serde::Serialize;
use spu_driver::calibrate::{FALSE_ALARM, SHAPE, Verdict};
use spu_driver::calibration::{Calibration, Source};
use spu_driver::prepare::{BoardStatus, Preparation, Sentinel, Standing};

use super::calibrate_view::time;
use super::quoted;
use crate::text::{digits, duration};

/// The calibrations behind a result.
#[derive(Debug, Serialize)]
pub(crate) struct CalibrationView {
    /// The least that may be said of any copy.
    standing: Standing,
    boards: Vec<BoardView>,
    /// What the sentinels took before the run, all copies together.
    sentinel_wall_s: f64,
    sentinel_board_s: f64,
}

/// The calibration of one copy.
#[derive(Debug, Serialize)]
struct BoardView {
    copy: usize,
    uri: String,
    serial: String,
    standing: Standing,
    /// `user`, `board`, `store` or `none`.
    source: &'static str,
    /// The source with its file, in words.
    from: String,
    /// Content hash.
    id: Option<String>,
    created: Option<String>,
    age_s: Option<u64>,
    expires: Option<String>,
    temperature_c: Option<f64>,
    /// Why the sources before it were not taken.
    passed_over: Vec<String>,
    /// Those of them that are there and not usable.
    unusable: Vec<String>,
    /// One was looked for.
    #[serde(skip)]
    wanted: bool,
    sentinel: SentinelView,
}

/// What the sentinel did.
#[derive(Debug, Serialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
enum SentinelView {
    /// There is no calibration.
    NoCalibration,
    /// As asked.
    LeftOut,
    /// It ran.
    Done(Box<Sentinelled>),
}

#[derive(Debug, Serialize)]
struct Sentinelled {
    #[serde(flatten)]
    verdict: Verdict,
    /// What has changed, in words.
    findings: Vec<String>,
    /// Changes of drive and offset that were tested.
    tested: usize,
    /// Largest `residual` of a board that is as it was.
    residual_limit: f64,
    /// Probability of an alarm on a board that did not drift.
    false_alarm_rate: f64,
    board_s: f64,
    wall_s: f64,
    /// What calibrates the board again.
    remedy: String,
}

impl CalibrationView {
    pub(crate) fn new(prepared: &Preparation, now: u64) -> Self {
        let boards: Vec<BoardView> = prepared
            .boards
            .iter()
            .enumerate()
            .map(|(copy, status)| BoardView::new(copy, status, now))
            .collect();
        // A sum of nothing is -0.
        let sum = |of: fn(&Sentinelled) -> f64| {
            boards.iter().filter_map(BoardView::ran).map(of).fold(0.0, |sum, x| sum + x)
        };
        Self {
            standing: prepared.standing(),
            sentinel_wall_s: sum(|ran| ran.wall_s),
            sentinel_board_s: sum(|ran| ran.board_s),
            boards,
        }
    }

    /// Says on standard error what calls for action.
    pub(crate) fn warn(&self) {
        for board in &self.boards {
            for why in &board.unusable {
                eprintln!("warning: {why}");
            }
            if let Some(ran) = board.drifted() {
                eprintln!(
                    "warning: {} has drifted since its calibration: {}; run `{}`",
                    board.uri,
                    ran.findings.join("; "),
                    ran.remedy
                );
            }
        }
    }

    /// True if what the calibrations say of their uncertainty holds for every copy, as far as is known.
    pub(crate) fn holds(&self) -> bool {
        self.standing == Standing::Calibrated
    }

    /// Wall time of the sentinels, in seconds.
    pub(crate) fn wall_s(&self) -> f64 {
        self.sentinel_wall_s
    }

    /// Names and values, as text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        self.facts_of(true)
    }

    /// The same without ages and wall times, for files that are the same whenever they are made.
    pub(crate) fn timeless_facts(&self) -> Vec<(&'static str, String)> {
        self.facts_of(false)
    }

    fn facts_of(&self, timed: bool) -> Vec<(&'static str, String)> {
        let texts: Vec<(String, Option<String>)> = self
            .boards
            .iter()
            .map(|board| (board.text(timed), board.sentinel_text(timed)))
            .collect();
        let alike = texts.iter().all(|text| *text == texts[0]);
        let shown = if alike { 1 } else { texts.len() };
        let mut facts = Vec::new();
        for (copy, (text, sentinel)) in texts.into_iter().take(shown).enumerate() {
            let copy = if alike { String::new() } else { format!("copy {copy}: ") };
            facts.push(("calibration", format!("{copy}{text}")));
            facts.extend(sentinel.map(|text| ("sentinel", copy + &text)));
        }
        facts
    }

    /// A line of a time ledger; empty if no sentinel ran.
    pub(crate) fn time_line(&self) -> String {
        if self.sentinel_wall_s == 0.0 {
            return String::new();
        }
        format!(
            "  sentinels before the run: {} on the board, {} here\n",
            duration(self.sentinel_board_s),
            duration(self.sentinel_wall_s)
        )
    }

    /// What keeps intervals from being those of a calibrated board, to end a sentence about them.
    pub(crate) fn caveat(&self) -> &'static str {
        match self.standing {
            Standing::Calibrated => "",
            Standing::Uncalibrated => {
                "uncalibrated: how the board deviates from its profile is in no interval"
            }
            Standing::Drifted => {
                "DRIFTED since its calibration, whose values were used all the same: what has changed \
                 is in no interval"
            }
        }
    }
}

impl BoardView {
    fn new(copy: usize, status: &BoardStatus, now: u64) -> Self {
        let found = &status.found;
        let calibration = found.calibration.as_ref();
        let record = calibration.map(Calibration::record);
        Self {
            copy,
            uri: status.uri.clone(),
            serial: format!("{:016x}", status.serial),
            standing: status.standing(),
            source: match found.source {
                Source::User(_) => "user",
                Source::Board(_) => "board",
                Source::Store(_) => "store",
                Source::None | Source::NotWanted => "none",
            },
            from: found.source.to_string(),
            id: calibration.map(|calibration| format!("{:016x}", calibration.id())),
            created: record.map(|record| time(record.created)),
            age_s: record.map(|record| now.saturating_sub(record.created)),
            expires: calibration.map(|calibration| time(calibration.expires())),
            temperature_c: record.and_then(|record| record.temperature_c),
            passed_over: found.passed_over.clone(),
            unusable: found.unusable.clone(),
            wanted: found.source != Source::NotWanted,
            sentinel: match (&status.sentinel, record) {
                (Sentinel::Ran { verdict, wall }, Some(record)) => {
                    SentinelView::Done(Box::new(Sentinelled {
                        findings: verdict.findings(),
                        tested: verdict.drive_change.len() + verdict.offset_change.len(),
                        residual_limit: SHAPE,
                        false_alarm_rate: FALSE_ALARM,
                        board_s: verdict.ticks as f64 * record.nominal.period_s,
                        wall_s: wall.as_secs_f64(),
                        remedy: format!("spu calibrate --device {}", quoted(&status.uri)),
                        verdict: verdict.clone(),
                    }))
                }
                (Sentinel::LeftOut, _) => SentinelView::LeftOut,
                _ => SentinelView::NoCalibration,
            },
        }
    }

    fn ran(&self) -> Option<&Sentinelled> {
        match &self.sentinel {
            SentinelView::Done(ran) => Some(ran),
            _ => None,
        }
    }

    fn drifted(&self) -> Option<&Sentinelled> {
        self.ran().filter(|ran| ran.verdict.drifted)
    }

    fn text(&self, timed: bool) -> String {
        let (Some(id), Some(created), Some(age), Some(expires)) =
            (&self.id, &self.created, self.age_s, &self.expires)
        else {
            let why = match self.unusable.as_slice() {
                [] if self.wanted => {
                    "neither the board's memory nor the host's store has one".to_owned()
                }
                [] => "none was wanted".to_owned(),
                unusable => unusable.join("; "),
            };
            return format!("none, nominal values are used: {why}");
        };
        let temperature =
            self.temperature_c.map_or(String::new(), |celsius| format!(", at {celsius} °C"));
        let ago = if timed { format!(", {} ago", age_text(age)) } else { String::new() };
        let mut text = format!(
            "{id} ({}), measured {created}{ago}{temperature}, expires {expires}",
            self.from
        );
        for why in &self.unusable {
            text += &format!("; not taken: {why}");
        }
        text
    }

    fn sentinel_text(&self, timed: bool) -> Option<String> {
        let ran = match &self.sentinel {
            SentinelView::NoCalibration => return None,
            SentinelView::LeftOut => {
                return Some(
                    "left out (--no-sentinel): whether the board has drifted is not known".into(),
                );
            }
            SentinelView::Done(ran) => ran,
        };
        let verdict = &ran.verdict;
        let found = if verdict.drifted {
            format!("DRIFTED: {}; run `{}`", ran.findings.join("; "), ran.remedy)
        } else {
            "no drift".into()
        };
        let here = if timed { format!(", {} here", duration(ran.wall_s)) } else { String::new() };
        Some(format!(
            "{found}. Largest of {} changes of drives and offsets {} σ, limit {}; residual variance \
             {}, limit {}; false-alarm rate {FALSE_ALARM:.0e}; {} on the board{here}",
            ran.tested,
            digits(verdict.worst),
            digits(verdict.limit),
            digits(verdict.residual),
            digits(ran.residual_limit),
            duration(ran.board_s)
        ))
    }
}

/// An age in its largest unit.
fn age_text(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
