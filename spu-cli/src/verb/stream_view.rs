//! What `spu stream` returns.

use std::time::Duration;

use serde::Serialize;
use spu_driver::device::Outcome;
use spu_driver::sinks::Stored;
use spu_driver::{AcquirePlan, BoardInfo, Device, Report};

use super::rung;
use super::stream::Format;
use crate::answer::Answer;
use crate::exit::Exit;
use crate::text::{count, duration, facts, percent, si};

/// A stream that came to its end.
pub(crate) struct Streamed<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) format: Format,
    pub(crate) plan: &'a AcquirePlan,
    pub(crate) programmed: Option<String>,
    pub(crate) report: &'a Report,
    pub(crate) stored: Stored,
    pub(crate) wall: Duration,
}

#[derive(Debug, Serialize)]
pub(crate) struct StreamAnswer {
    uri: String,
    rung: &'static str,
    board: BoardInfo,
    format: Format,
    /// The matrix that was programmed; `None`: what the board held.
    programmed: Option<String>,
    plan: AcquirePlan,
    outcome: Outcome,
    /// Frames that the board kept, lost ones included.
    kept: u64,
    /// Frames in the file.
    frames: u64,
    /// Frames that the board kept and the file does not have.
    lost: u64,
    /// Those of them that are missing between frames of the file, or before the first one.
    lost_in_gaps: u64,
    gaps: u64,
    /// Kept samples of each cell at the end of the converter's range.
    saturated: Vec<u64>,
    /// Sampled time, settling included, in seconds.
    sampled_s: f64,
    wall_s: f64,
    frames_per_s: f64,
    bytes_per_s: f64,
    files: Vec<FileView>,
    sha512: Option<String>,
}

#[derive(Debug, Serialize)]
struct FileView {
    path: String,
    bytes: u64,
}

impl StreamAnswer {
    pub(crate) fn new(streamed: Streamed<'_>) -> Self {
        let Streamed { device, format, plan, programmed, report, stored, wall } = streamed;
        let board = device.info().clone();
        let file = |file: spu_driver::sinks::StoredFile| FileView {
            path: file.path.display().to_string(),
            bytes: file.bytes,
        };
        let wall_s = wall.as_secs_f64();
        let frames_per_s = stored.frames as f64 / wall_s.max(1e-9);
        Self {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            format,
            programmed,
            plan: *plan,
            outcome: report.outcome,
            kept: report.kept,
            frames: stored.frames,
            lost: report.kept.saturating_sub(stored.frames),
            lost_in_gaps: stored.lost,
            gaps: stored.gaps,
            saturated: report.saturated.clone(),
            sampled_s: report.ticks.0 as f64 * board.sample_period_s(),
            wall_s,
            frames_per_s,
            bytes_per_s: frames_per_s * (board.cells * 2) as f64,
            files: stored.files.into_iter().map(file).collect(),
            sha512: stored.sha512,
            board,
        }
    }

    /// Frames that are missing although the board was to wait.
    fn loses_in_lockstep(&self) -> bool {
        self.lost_in_gaps > 0 && !self.plan.realtime
    }

    fn lost_text(&self) -> String {
        if self.lost == 0 {
            return "none".into();
        }
        let share = percent(self.lost as f64 / self.kept.max(1) as f64);
        let end = self.lost - self.lost_in_gaps.min(self.lost);
        let mut parts = Vec::new();
        if self.lost_in_gaps > 0 {
            parts.push(format!("{} in {} gaps", count(self.lost_in_gaps), count(self.gaps)));
        }
        if end > 0 {
            parts.push(format!("{} after the last one in the file", count(end)));
        }
        format!("{} ({share}): {}", count(self.lost), parts.join(", "))
    }

    fn saturated_text(&self) -> String {
        let cells: Vec<String> = self
            .saturated
            .iter()
            .enumerate()
            .filter(|(_, samples)| **samples > 0)
            .map(|(cell, samples)| format!("cell {cell}: {}", count(*samples)))
            .collect();
        if cells.is_empty() { "none".into() } else { cells.join(", ") }
    }
}

impl Answer for StreamAnswer {
    fn text(&self) -> String {
        let AcquirePlan { settle, decimation, count: planned, realtime, .. } = &self.plan;
        let program = self.programmed.as_deref().unwrap_or("what the board held");
        let mut all = vec![
            ("device", format!("{}, {}", self.uri, self.rung)),
            ("program", program.to_owned()),
            (
                "sampling",
                format!(
                    "one tick in {decimation} from tick {}; {} of the board's time; {}",
                    count(settle.0),
                    duration(self.sampled_s),
                    if *realtime { "real time" } else { "lockstep" }
                ),
            ),
            (
                "frames",
                format!(
                    "{} of {}, {} cells each",
                    count(self.frames),
                    count(planned.get().into()),
                    self.board.cells
                ),
            ),
            ("lost", self.lost_text()),
            ("saturated", self.saturated_text()),
            (
                "rate",
                format!(
                    "{}, {}, {} in all",
                    si(self.frames_per_s, "frames/s"),
                    si(self.bytes_per_s, "B/s"),
                    duration(self.wall_s)
                ),
            ),
        ];
        for file in &self.files {
            all.push(("file", format!("{}, {} bytes", file.path, count(file.bytes))));
        }
        if let Some(sha512) = &self.sha512 {
            all.push(("SHA-512", sha512.clone()));
        }
        let mut text = format!("Frames of board {:016x}\n{}", self.board.serial, facts(&all));
        if self.outcome == Outcome::Cancelled {
            text += "\ncancelled: the file holds the frames from before\n";
        }
        if self.loses_in_lockstep() {
            text += "\nerror: the link lost frames although the board waited; see `spu doctor`\n";
        }
        text
    }

    fn exit(&self) -> Exit {
        if self.loses_in_lockstep() {
            Exit::Fault
        } else if self.outcome == Outcome::Cancelled {
            Exit::Cancelled
        } else {
            Exit::Success
        }
    }
}
