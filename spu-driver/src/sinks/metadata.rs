//! The metadata of a `SigMF` recording.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use spu_protocol::code::{CouplingCode, DacCode, GainCode};

use super::{End, Setup};
use crate::device::{Outcome, Program, Report};

/// The version of the specification that the files keep to.
const VERSION: &str = "1.2.0";
/// The version of this project's namespace.
const EXTENSION: &str = "1.0.0";
/// A file of metadata ends at a multiple of this, and has at least [`SPARE`] blanks: where the disk
/// is full, the last state is written in place.
const PAGE: usize = 4096;
const SPARE: usize = 1024;

/// A stretch of frames without a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Capture {
    #[serde(rename = "core:sample_start")]
    pub(super) sample_start: u64,
    #[serde(rename = "core:global_index")]
    pub(super) global_index: u64,
    #[serde(rename = "spu:tick")]
    pub(super) tick: u64,
    #[serde(rename = "spu:lost_before")]
    pub(super) lost_before: u64,
}

/// What a file of metadata says, and where it is.
pub(super) struct Metadata {
    path: PathBuf,
    global: Global,
    pub(super) captures: Vec<Capture>,
    /// Frames in the dataset, as far as the metadata may say.
    pub(super) frames: u64,
    length: usize,
}

#[derive(Serialize)]
struct Document<'a> {
    global: &'a Global,
    captures: &'a [Capture],
    annotations: [(); 0],
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    version: &'static str,
    optional: bool,
}

#[derive(Serialize)]
struct Global {
    #[serde(rename = "core:datatype")]
    datatype: &'static str,
    #[serde(rename = "core:num_channels")]
    num_channels: usize,
    /// The format has none below 1 Hz.
    #[serde(rename = "core:sample_rate", skip_serializing_if = "Option::is_none")]
    sample_rate: Option<f64>,
    #[serde(rename = "core:version")]
    version: &'static str,
    #[serde(rename = "core:offset")]
    offset: u64,
    #[serde(rename = "core:sha512", skip_serializing_if = "Option::is_none")]
    sha512: Option<String>,
    #[serde(rename = "core:description")]
    description: String,
    #[serde(rename = "core:hw")]
    hardware: String,
    #[serde(rename = "core:recorder")]
    recorder: String,
    #[serde(rename = "core:extensions")]
    extensions: [Extension; 1],
    #[serde(rename = "spu:device")]
    device: String,
    #[serde(rename = "spu:serial")]
    serial: String,
    #[serde(rename = "spu:profile")]
    profile: String,
    #[serde(rename = "spu:firmware")]
    firmware: String,
    #[serde(rename = "spu:gateware_id")]
    gateware_id: String,
    #[serde(rename = "spu:calibration_id")]
    calibration_id: Option<String>,
    #[serde(rename = "spu:adc_bits")]
    adc_bits: u8,
    #[serde(rename = "spu:adc_lsb_volt")]
    adc_lsb_volt: f32,
    #[serde(rename = "spu:sample_clock_hz")]
    sample_clock_hz: u32,
    #[serde(rename = "spu:settle")]
    settle: u64,
    #[serde(rename = "spu:decimation")]
    decimation: u32,
    #[serde(rename = "spu:planned")]
    planned: u32,
    #[serde(rename = "spu:realtime")]
    realtime: bool,
    #[serde(rename = "spu:program")]
    program: Option<Codes>,
    #[serde(rename = "spu:state")]
    state: State,
    #[serde(rename = "spu:failure", skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(rename = "spu:frames")]
    frames: u64,
    #[serde(rename = "spu:lost")]
    lost: u64,
    #[serde(flatten)]
    board: Option<Board>,
}

/// What the board's report says.
#[derive(Serialize)]
struct Board {
    #[serde(rename = "spu:kept")]
    kept: u64,
    #[serde(rename = "spu:missing_at_end")]
    missing_at_end: u64,
    #[serde(rename = "spu:ticks")]
    ticks: u64,
    #[serde(rename = "spu:saturated")]
    saturated: Vec<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Recording,
    Complete,
    Cancelled,
    Failed,
}

/// The codes of a program.
#[derive(Serialize)]
struct Codes {
    #[serde(rename = "self")]
    own: Vec<i16>,
    couplings: Vec<i16>,
    gains: Vec<u16>,
    biases: Vec<i16>,
    seeds: Option<Vec<[u32; 4]>>,
    discharge: bool,
}

impl From<&Program> for Codes {
    fn from(program: &Program) -> Self {
        let couplings = |codes: &[CouplingCode]| codes.iter().map(|code| code.0).collect();
        Self {
            own: couplings(&program.self_codes),
            couplings: couplings(&program.coupling_codes),
            gains: program.gain_codes.iter().map(|GainCode(code)| *code).collect(),
            biases: program.bias_codes.iter().map(|DacCode(code)| *code).collect(),
            seeds: program.seeds.clone(),
            discharge: program.discharge,
        }
    }
}

impl Metadata {
    /// Of a recording without frames.
    pub(super) fn new(path: PathBuf, setup: &Setup<'_>) -> Self {
        let Setup { uri, board, plan, program } = *setup;
        let rate = f64::from(board.raw.sample_clock_hz) / f64::from(plan.decimation.get());
        let serial = format!("{:016x}", board.serial);
        let settle = plan.settle.0;
        let global = Global {
            datatype: "ri16_le",
            num_channels: board.cells,
            sample_rate: (rate >= 1.0).then_some(rate),
            version: VERSION,
            offset: 0,
            sha512: None,
            description: format!(
                "Cell voltages of a stochastic processing unit, {} cells, as ADC codes",
                board.cells
            ),
            hardware: format!("spu board {serial}, profile {}", board.profile),
            recorder: format!("spu {}", env!("CARGO_PKG_VERSION")),
            extensions: [Extension { name: "spu", version: EXTENSION, optional: true }],
            device: uri.into(),
            serial,
            profile: board.profile.clone(),
            firmware: board.firmware.clone(),
            gateware_id: format!("{:08x}", board.gateware_id),
            calibration_id: board.calibration_id.map(|id| format!("{id:016x}")),
            adc_bits: board.raw.adc_bits,
            adc_lsb_volt: board.raw.adc_lsb_volt,
            sample_clock_hz: board.raw.sample_clock_hz,
            settle,
            decimation: plan.decimation.get(),
            planned: plan.count.get(),
            realtime: plan.realtime,
            program: program.map(Codes::from),
            state: State::Recording,
            failure: None,
            frames: 0,
            lost: 0,
            board: None,
        };
        let first = Capture { sample_start: 0, global_index: 0, tick: settle, lost_before: 0 };
        Self { path, global, captures: vec![first], frames: 0, length: 0 }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file, in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Adds a capture after a gap. One before all frames takes the place of the first.
    pub(super) fn gap(&mut self, capture: Capture) {
        self.captures.pop_if(|last| last.sample_start == capture.sample_start);
        self.captures.push(capture);
    }

    /// Number of gaps before any of the first `frames` frames, and frames lost in them.
    pub(super) fn gaps(&self, frames: u64) -> (u64, u64) {
        let lost = self
            .captures
            .iter()
            .filter(|capture| capture.sample_start < frames && capture.lost_before > 0)
            .map(|capture| capture.lost_before);
        lost.fold((0, 0), |(gaps, sum), lost| (gaps + 1, sum + lost))
    }

    /// Takes over how the recording ended.
    pub(super) fn end(
        &mut self,
        end: &End<'_>,
        writing: Option<&io::Error>,
        sha512: Option<String>,
    ) {
        let frames = self.frames;
        // Nothing that is stored comes after the others.
        self.captures.retain(|capture| capture.sample_start < frames.max(1));
        let (_, lost) = self.gaps(frames);
        let failure = writing.map(ToString::to_string);
        let failure = failure.or_else(|| end.failure.map(ToString::to_string));
        self.global.state = match end.report.map(|report| report.outcome) {
            _ if failure.is_some() => State::Failed,
            None => State::Failed,
            Some(Outcome::Complete) => State::Complete,
            Some(Outcome::Cancelled) => State::Cancelled,
        };
        self.global.failure = failure;
        self.global.sha512 = sha512;
        self.global.board = end.report.map(|report: &Report| Board {
            kept: report.kept,
            missing_at_end: report.kept.saturating_sub(frames + lost),
            ticks: report.ticks.0,
            saturated: report.saturated.clone(),
        });
    }

    /// Writes the file: a new one, in place of the old one in one step. Where there is no room for
    /// it, the old one is written over.
    pub(super) fn save(&mut self) -> io::Result<()> {
        self.global.frames = self.frames;
        self.global.lost = self.gaps(self.frames).1;
        let document = Document { global: &self.global, captures: &self.captures, annotations: [] };
        let text = serde_json::to_vec_pretty(&document)?;
        let length = (text.len() + SPARE).next_multiple_of(PAGE);
        match replace(&self.path, &padded(&text, length)) {
            Ok(()) => {
                self.length = length;
                Ok(())
            }
            Err(error) if text.len() < self.length => {
                tracing::warn!(%error, "no new file for the metadata; the old one is written over");
                write_over(&self.path, &padded(&text, self.length))
            }
            Err(error) => Err(error),
        }
    }
}

/// The text, blanks, and an end of line, of this length in all.
fn padded(text: &[u8], length: usize) -> Vec<u8> {
    let mut padded = text.to_vec();
    padded.resize(length.saturating_sub(1), b' ');
    padded.push(b'\n');
    padded
}

/// Puts a file with these bytes there, in one step.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let written = File::create(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What it could not write is of no use.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Writes other bytes over those of a file of the same length: needs no room on the disk.
fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_for_another_file_the_old_one_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sigmf-meta");
        replace(&path, &padded(b"{}", PAGE)).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), PAGE);
        // No file can be created where a directory is.
        fs::create_dir(path.with_added_extension("new")).unwrap();
        replace(&path, b"x").unwrap_err();
        write_over(&path, &padded(b"{\"a\": 1}", PAGE)).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), PAGE);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["a"], 1);
    }
}
