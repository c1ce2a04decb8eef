//! The firmware's log, decoded.

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use defmt_decoder::{DecodeError, Table};

/// Reads a log until it ends and hands it to `tracing`, target `firmware`.
///
/// # Errors
/// Where the image cannot be read or holds no table of log lines.
pub(crate) fn follow(image: &Path, mut from: impl Read) -> io::Result<()> {
    let elf = fs::read(image)?;
    let table = Table::parse(&elf).map_err(io::Error::other)?;
    let Some(table) = table else { return Err(io::Error::other("the image has no log")) };
    let mut decoder = table.new_stream_decoder();
    let mut buffer = [0; 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        decoder.received(&buffer[..count]);
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map(defmt_parser::Level::as_str);
                    say(level, &frame.display_message().to_string());
                }
                Err(DecodeError::UnexpectedEof) => break,
                // The encoding finds the next line by itself.
                Err(DecodeError::Malformed) => tracing::debug!(target: "firmware", "log damaged"),
            }
        }
    }
}

fn say(level: Option<&'static str>, message: &str) {
    match level {
        Some("error") => tracing::error!(target: "firmware", "{message}"),
        Some("warn") => tracing::warn!(target: "firmware", "{message}"),
        Some("info") => tracing::info!(target: "firmware", "{message}"),
        Some("debug") => tracing::debug!(target: "firmware", "{message}"),
        _ => tracing::trace!(target: "firmware", "{message}"),
    }
}
