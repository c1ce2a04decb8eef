//! `spu recording`: what is in a recording, and its export for Wireshark.

mod show;
mod summary;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use spu_driver::recording::{Frames, Reader, RecordingError, pcapng};

use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use show::Shown;

/// Show or export a recording made with `--record`
#[derive(Debug, Args)]
pub(crate) struct Recording {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every frame, decoded, and a summary
    Show {
        /// The recording
        file: PathBuf,
        /// Show the summary only
        #[arg(long)]
        summary: bool,
    },
    /// Write the frames to a file that Wireshark opens
    Export {
        /// The recording
        file: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        pcapng: PathBuf,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum RecordingAnswer {
    Shown(Box<Shown>),
    Exported(Exported),
}

#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    file: PathBuf,
    packets: u64,
    /// Why not all of the recording could be read.
    damage: Option<String>,
}

impl Recording {
    pub(crate) fn run(&self) -> Result<RecordingAnswer, Failure> {
        match &self.action {
            Action::Show { file, summary } => {
                let shown = Shown::read(file, !summary).map_err(|error| of(file, &error))?;
                Ok(RecordingAnswer::Shown(Box::new(shown)))
            }
            Action::Export { file, pcapng } => export(file, pcapng).map(RecordingAnswer::Exported),
        }
    }
}

fn export(file: &Path, to: &Path) -> Result<Exported, Failure> {
    let mut frames = Frames::new(Reader::open(file).map_err(|error| of(file, &error))?);
    let failed = |error| {
        Failure::new(Exit::Output, format!("{}: {error}; choose another place", to.display()))
    };
    let mut out = BufWriter::new(File::create(to).map_err(failed)?);
    let result = pcapng::export(&mut frames, &mut out);
    let (packets, damage) = result.and_then(|done| out.flush().map(|()| done)).map_err(failed)?;
    Ok(Exported { file: to.into(), packets, damage: damage.map(|error| error.to_string()) })
}

/// The error, naming its file.
fn of(file: &Path, error: &RecordingError) -> Failure {
    let text = match error {
        RecordingError::Open { .. } => error.to_string(),
        _ => format!("{}: {error}", file.display()),
    };
    Failure::new(Exit::Input, text)
}

impl Answer for RecordingAnswer {
    fn text(&self) -> String {
        match self {
            Self::Shown(shown) => shown.text(),
            Self::Exported(Exported { file, packets, damage }) => {
                let mut text = format!("{packets} packets written to {}\n", file.display());
                if let Some(damage) = damage {
                    text += &format!("error: {damage}\n");
                }
                text
            }
        }
    }

    /// What could be read is shown, and damage is an error all the same.
    fn exit(&self) -> Exit {
        let damage = match self {
            Self::Shown(shown) => &shown.damage,
            Self::Exported(exported) => &exported.damage,
        };
        if damage.is_some() { Exit::Input } else { Exit::Success }
    }
}
