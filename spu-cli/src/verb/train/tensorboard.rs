//! Event files of TensorBoard: TFRecords (length, its check, data, its check) of the protocol buffer
//! `Event` (tensorflow/core/util/event.proto), scalars only. Written here since the crates that do it are
//! no longer kept; a golden file made by the Python package `tensorboard` is the test.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc_fast::{CrcAlgorithm::Crc32Iscsi, checksum};

use crate::exit::{Exit, Failure};

/// What every file starts with.
const VERSION: &str = "brain.Event:2";

/// An event file in a folder of its own, or none.
pub(super) struct Events(Option<(BufWriter<File>, PathBuf)>);

impl Events {
    /// A new file `events.out.tfevents.SECONDS.spu` in `folder`.
    pub(super) fn open(folder: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(folder) = folder else { return Ok(Self(None)) };
        let path = folder.join(format!("events.out.tfevents.{:010}.spu", now() as u64));
        let open = || -> io::Result<BufWriter<File>> {
            fs::create_dir_all(folder)?;
            let mut file = BufWriter::new(File::create(&path)?);
            record(&mut file, &start(now()))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self(Some((file, path)))),
            Err(error) => Err(unwritten(&path, &error)),
        }
    }

    /// Values of one step, by their tags.
    pub(super) fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.0 else { return Ok(()) };
        record(file, &scalars(now(), step, values)).map_err(|error| unwritten(path, &error))
    }

    /// Makes what was written visible to those who watch.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.0 else { return Ok(()) };
        file.flush().map_err(|error| unwritten(path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Output,
        format!("{}: {error}; give --tensorboard a folder that can be written", path.display()),
    )
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// CRC-32C, rotated and shifted so that the check of data that holds checks is a good one.
fn masked(data: &[u8]) -> [u8; 4] {
    let crc = checksum(Crc32Iscsi, data) as u32;
    crc.rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

fn record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&[&length[..], &masked(&length), data, &masked(data)].concat())
}

/// Wire types of protocol buffers.
const VARINT: u8 = 0;
const DOUBLE: u8 = 1;
const BYTES: u8 = 2;
const FLOAT: u8 = 5;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of octets: text or a message.
fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | BYTES);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// An event with its time, field 1.
fn event(time: f64) -> Vec<u8> {
    [&[1 << 3 | DOUBLE][..], &time.to_le_bytes()].concat()
}

fn start(time: f64) -> Vec<u8> {
    let mut event = event(time);
    field(3, VERSION.as_bytes(), &mut event);
    event
}

fn scalars(time: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut event = event(time);
    // Fields that are 0 are left out.
    if step > 0 {
        event.push(2 << 3 | VARINT);
        varint(step, &mut event);
    }
    let mut summary = Vec::new();
    for (tag, number) in values {
        let mut value = Vec::new();
        field(1, tag.as_bytes(), &mut value);
        value.push(2 << 3 | FLOAT);
        value.extend((*number as f32).to_le_bytes());
        field(1, &value, &mut summary);
    }
    field(5, &summary, &mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_those_of_the_python_package() {
        let mut file = Vec::new();
        record(&mut file, &start(1000.5)).unwrap();
        record(&mut file, &scalars(1001.25, 0, &[("train/loss", 2.5)])).unwrap();
        let second = [("train/loss", -0.1), ("evaluation/accuracy", 0.0)];
        record(&mut file, &scalars(1002.0, 300, &second)).unwrap();
        // tests/golden/events.py made it.
        let golden = include_bytes!("../../../tests/golden/events.out.tfevents");
        assert_eq!(file, golden);
    }
}
