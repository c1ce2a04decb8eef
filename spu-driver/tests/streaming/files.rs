//! Recordings, read back by readers that know nothing of this driver.

use std::fs;
use std::io;
use std::path::Path;

use ndarray::{Array2, s};
use ndarray_npy::{ReadNpyExt as _, read_npy};
use serde_json::Value;
use spu_driver::sinks::{End, FrameFile, Npy, Setup, SigMf};
use spu_driver::{AcquirePlan, Error, FrameBlock, Report, Sink, open};
use spu_protocol::code::{AdcCode, Ticks};

use crate::{Keep, plan, program, soon};

const LOSSY: &str = "sim:profile=ideal,quantum=200000";

/// Runs `plan` on a programmed device into a recording and into memory.
fn record<R: FrameFile>(
    uri: &str,
    plan: &AcquirePlan,
    create: impl FnOnce(&Setup<'_>) -> io::Result<R>,
) -> (R, Report, Keep) {
    struct Both<'a, R>(&'a mut R, Keep);
    impl<R: Sink> Sink for Both<'_, R> {
        fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
            self.1.frames(block)?;
            self.0.frames(block)
        }
    }
    let mut device = open(uri).unwrap();
    let program = program(device.info());
    device.load(&program, soon()).unwrap();
    let board = device.info().clone();
    let setup = Setup { uri, board: &board, plan, program: Some(&program) };
    let mut recording = create(&setup).unwrap();
    let mut both = Both(&mut recording, Keep::default());
    let result = device.acquire(plan, &mut both, soon());
    let kept = both.1;
    recording.finish(&End::of(&result, None)).unwrap();
    (recording, result.unwrap(), kept)
}

fn meta(path: &Path) -> Value {
    let [_, meta] = SigMf::paths(path);
    serde_json::from_slice(&fs::read(meta).unwrap()).unwrap()
}

fn codes(array: &Array2<i16>) -> Vec<AdcCode> {
    array.iter().map(|code| AdcCode(*code)).collect()
}

fn data(path: &Path) -> Vec<AdcCode> {
    let [data, _] = SigMf::paths(path);
    let bytes = fs::read(data).unwrap();
    assert_eq!(bytes.len() % 16, 0, "whole frames");
    bytes.chunks(2).map(|pair| AdcCode(i16::from_le_bytes([pair[0], pair[1]]))).collect()
}

#[test]
fn numpy_files_hold_what_was_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    // More than is held before it is written, and not a multiple of a block.
    let (npy, report, kept) =
        record("sim:profile=ideal", &plan(9, 2, 150_001), |_| Npy::create(&path, 8, false));
    let array: Array2<i16> = read_npy(&path).unwrap();
    assert_eq!(array.dim(), (150_001, 8));
    assert_eq!(codes(&array), kept.codes());
    let summary = npy.summary();
    assert_eq!((summary.frames, summary.gaps, summary.lost), (report.kept, 0, 0));
    assert_eq!(summary.files.len(), 1, "no gaps, no file of gaps");
    assert_eq!(summary.files[0].bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn numpy_files_place_what_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    let plan = AcquirePlan { realtime: true, ..plan(100, 2, 240_000) };
    let (npy, report, kept) = record(LOSSY, &plan, |_| Npy::create(&path, 8, false));
    assert!(report.lost > 0);
    let array: Array2<i16> = read_npy(&path).unwrap();
    assert_eq!(codes(&array), kept.codes());
    let gaps: Array2<i64> = read_npy(directory.path().join("a.gaps.npy")).unwrap();
    let mut row = 0;
    let mut expected = Vec::new();
    for block in &kept.0 {
        if block.lost_before > 0 {
            expected.extend([row, block.lost_before, 100 + 2 * block.first_frame]);
        }
        row += (block.codes.len() / 8) as u64;
    }
    let found: Vec<u64> = gaps.iter().map(|number| *number as u64).collect();
    assert_eq!(found, expected);
    let summary = npy.summary();
    assert_eq!(summary.gaps as usize, gaps.nrows());
    assert_eq!(summary.lost, gaps.slice(s![.., 1]).sum() as u64);
    assert_eq!(
        summary.frames + summary.lost,
        kept.0.last().map_or(0, |block| { block.first_frame + (block.codes.len() / 8) as u64 })
    );
}

#[test]
fn sigmf_says_what_the_frames_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sigmf");
    let plan = plan(500, 3, 150_001);
    let (sigmf, report, kept) =
        record("sim:profile=ideal,seed=3", &plan, |setup| SigMf::create(&path, setup, false));
    assert_eq!(data(&path), kept.codes());
    let meta = meta(&path);
    let global = &meta["global"];
    for (key, value) in [
        ("core:datatype", Value::from("ri16_le")),
        ("core:num_channels", 8.into()),
        ("core:sample_rate", 4e6.into()),
        ("core:version", "1.2.0".into()),
        ("core:offset", 0.into()),
        ("spu:device", "sim:profile=ideal,seed=3".into()),
        ("spu:profile", "ideal".into()),
        ("spu:settle", 500.into()),
        ("spu:decimation", 3.into()),
        ("spu:state", "complete".into()),
        ("spu:frames", 150_001.into()),
        ("spu:lost", 0.into()),
        ("spu:kept", 150_001.into()),
        ("spu:missing_at_end", 0.into()),
        ("spu:ticks", report.ticks.0.into()),
    ] {
        assert_eq!(global[key], value, "{key}");
    }
    assert_eq!(global["spu:program"]["gains"][7], 2048);
    assert_eq!(global["core:sha512"].as_str(), sigmf.summary().sha512.as_deref());
    let captures = meta["captures"].as_array().unwrap();
    assert_eq!(captures.len(), 1);
    assert_eq!(captures[0]["core:sample_start"], 0);
    assert_eq!(captures[0]["core:global_index"], 0);
    assert_eq!(captures[0]["spu:tick"], 500);
    let files: Vec<u64> = sigmf.summary().files.iter().map(|file| file.bytes).collect();
    let sizes = SigMf::paths(&path).map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(files, sizes);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
}

/// Puts frames where the metadata say, and checks that they are the blocks that came.
fn check_placed(path: &Path, kept: &Keep) {
    let meta = meta(path);
    let data = data(path);
    let captures = meta["captures"].as_array().unwrap();
    let number = |capture: &Value, key: &str| capture[key].as_u64().unwrap();
    let mut placed = Vec::new();
    for (index, capture) in captures.iter().enumerate() {
        let start = number(capture, "core:sample_start");
        let end = captures
            .get(index + 1)
            .map_or(data.len() as u64 / 8, |next| number(next, "core:sample_start"));
        let first = number(capture, "core:global_index");
        for row in start..end {
            placed.push((first + row - start, data[row as usize * 8..][..8].to_vec()));
        }
    }
    let expected: Vec<_> = kept
        .0
        .iter()
        .flat_map(|block| (block.first_frame..).zip(block.codes.chunks(8).map(<[_]>::to_vec)))
        .collect();
    assert_eq!(placed, expected);
}

#[test]
fn sigmf_places_what_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let plan = AcquirePlan { realtime: true, ..plan(100, 2, 240_000) };
    let (sigmf, report, kept) = record(LOSSY, &plan, |setup| SigMf::create(&path, setup, false));
    check_placed(&path, &kept);
    let meta = meta(&path);
    let global = &meta["global"];
    let summary = sigmf.summary();
    assert!(summary.lost > 0 && summary.gaps > 0);
    assert_eq!(global["spu:lost"], summary.lost);
    assert_eq!(global["spu:frames"], summary.frames);
    let missing = global["spu:missing_at_end"].as_u64().unwrap();
    assert_eq!(summary.frames + summary.lost + missing, report.kept);
    assert_eq!(summary.lost + missing, report.lost);
    for capture in meta["captures"].as_array().unwrap() {
        let tick = 100 + 2 * capture["core:global_index"].as_u64().unwrap();
        assert_eq!(capture["spu:tick"], tick);
    }
}

/// Blocks of one frame, with these frames lost before each.
fn made_up(lost: &[u64]) -> Keep {
    let mut next = 0;
    let block = |(index, lost): (usize, &u64)| {
        next += lost + 1;
        let codes = (0..8).map(|cell| AdcCode((index * 8 + cell) as i16)).collect();
        crate::Block { first_frame: next - 1, lost_before: *lost, codes }
    };
    Keep(lost.iter().enumerate().map(block).collect())
}

#[test]
fn gaps_before_the_first_frame_and_before_each_one() {
    let device = open("sim:profile=ideal").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(7, 5, 1000);
    for (name, lost) in
        [("first", &[3, 0, 0][..]), ("none", &[0, 0]), ("each", &[1, 2, 3, 4]), ("last", &[0, 9])]
    {
        let kept = made_up(lost);
        let path = directory.path().join(name);
        let setup = Setup { uri: "sim", board: device.info(), plan: &plan, program: None };
        let mut sigmf = SigMf::create(&path, &setup, false).unwrap();
        let mut npy = Npy::create(&path.with_extension("npy"), 8, false).unwrap();
        for block in &kept.0 {
            let tick = Ticks(7 + 5 * block.first_frame);
            let crate::Block { first_frame, lost_before, ref codes } = *block;
            let block = FrameBlock { first_frame, tick, lost_before, codes };
            sigmf.frames(&block).unwrap();
            npy.frames(&block).unwrap();
        }
        // Cut short: there is no report.
        let result = Err(Error::Disconnected { during: "a test" });
        sigmf.finish(&End::of(&result, None)).unwrap();
        npy.finish(&End::of(&result, None)).unwrap();
        check_placed(&path, &kept);
        let global = &meta(&path)["global"];
        assert_eq!(global["spu:state"], "failed");
        assert!(global["spu:failure"].as_str().unwrap().contains("a test"));
        assert_eq!(global["spu:kept"], Value::Null, "nobody knows");
        let total: u64 = lost.iter().sum();
        let gaps = lost.iter().filter(|lost| **lost > 0).count() as u64;
        for summary in [sigmf.summary(), npy.summary()] {
            assert_eq!((summary.frames, summary.lost), (lost.len() as u64, total), "{name}");
            assert_eq!(summary.gaps, gaps, "{name}");
        }
        let array: Array2<i16> = read_npy(path.with_extension("npy")).unwrap();
        assert_eq!(codes(&array), kept.codes());
    }
}

/// Both recordings, looked at after each block.
struct Watched<'a> {
    paths: [&'a Path; 2],
    npy: Npy,
    sigmf: SigMf,
    kept: Keep,
    seen: Vec<u64>,
}

impl Sink for Watched<'_> {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        self.kept.frames(block)?;
        self.npy.frames(block)?;
        self.sigmf.frames(block)?;
        let all = self.kept.codes();
        // What a kill leaves beyond the counted rows is not read.
        let bytes = fs::read(self.paths[0])?;
        let rows = Sink::stored(&self.npy).unwrap_or(0).min((bytes.len() as u64 - 128) / 16);
        let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
        let counted: u64 =
            header.split(['(', ',']).find_map(|part| part.trim().parse().ok()).unwrap();
        assert!(counted <= rows, "{counted} rows counted, {rows} there");
        let array = Array2::<i16>::read_npy(&bytes[..128 + counted as usize * 16]).unwrap();
        assert_eq!(codes(&array), all[..counted as usize * 8]);
        // And the other: the metadata never count or place more than there is.
        let stored = data(self.paths[1]);
        assert_eq!(stored, all[..stored.len()]);
        let meta = meta(self.paths[1]);
        let frames = meta["global"]["spu:frames"].as_u64().unwrap();
        assert!(frames <= stored.len() as u64 / 8);
        assert_eq!(meta["global"]["spu:state"], "recording");
        let mut row = 0;
        let mut gaps = Vec::new();
        for block in &self.kept.0 {
            if block.lost_before > 0 && row < stored.len() as u64 / 8 {
                gaps.push((row, block.first_frame));
            }
            row += (block.codes.len() / 8) as u64;
        }
        let captures = meta["captures"].as_array().unwrap();
        for (row, first) in &gaps {
            let place = |capture: &Value| {
                capture["core:sample_start"] == *row && capture["core:global_index"] == *first
            };
            assert!(captures.iter().any(place), "the gap before row {row} is not stated");
        }
        self.seen.push(counted);
        Ok(())
    }
}

/// At every moment the files are as if the process were killed then.
#[test]
fn the_files_are_readable_after_every_block() {
    let directory = tempfile::tempdir().unwrap();
    let [npy, sigmf] = ["a.npy", "a.sigmf"].map(|name| directory.path().join(name));
    let mut device = open(LOSSY).unwrap();
    device.load(&program(device.info()), soon()).unwrap();
    let plan = AcquirePlan { realtime: true, ..plan(0, 1, 300_000) };
    let board = device.info().clone();
    let setup = Setup { uri: LOSSY, board: &board, plan: &plan, program: None };

    let mut watched = Watched {
        paths: [&npy, &sigmf],
        npy: Npy::create(&npy, 8, false).unwrap(),
        sigmf: SigMf::create(&sigmf, &setup, false).unwrap(),
        kept: Keep::default(),
        seen: Vec::new(),
    };
    device.acquire(&plan, &mut watched, soon()).unwrap();
    assert!(watched.seen.iter().any(|counted| *counted > 0), "a count was written on the way");
    assert!(watched.seen.is_sorted());
}

#[test]
fn files_that_are_there_are_not_replaced_unasked() {
    let device = open("sim:profile=ideal").unwrap();
    let plan = plan(0, 1, 10);
    let setup = Setup { uri: "sim", board: device.info(), plan: &plan, program: None };
    for name in ["a.npy", "a.gaps.npy", "a.sigmf-data", "a.sigmf-meta"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, "precious").unwrap();
        let base = directory.path().join("a");
        let create = |replace| {
            if name.ends_with("npy") {
                Npy::create(&base.with_extension("npy"), 8, replace).map(drop)
            } else {
                SigMf::create(&base, &setup, replace).map(drop)
            }
        };
        assert_eq!(create(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{name}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        create(true).unwrap();
        assert!(!path.exists() || fs::read(&path).unwrap() != b"precious", "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_acquisition() {
    let mut device = open("sim:profile=ideal").unwrap();
    device.load(&program(device.info()), soon()).unwrap();
    // Nothing at all can be written there, not even a header.
    let error = Npy::create(Path::new("/dev/full"), 8, true).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::StorageFull));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sigmf");
    let [data, _] = SigMf::paths(&path);
    std::os::unix::fs::symlink("/dev/full", &data).unwrap();
    let plan = plan(0, 1, 100_000);
    let board = device.info().clone();
    let setup = Setup { uri: "sim", board: &board, plan: &plan, program: None };
    let mut sigmf = SigMf::create(&path, &setup, true).unwrap();
    let result = device.acquire(&plan, &mut sigmf, soon());
    assert!(
        matches!(&result, Err(Error::Sink(error, 0)) if error.kind() == io::ErrorKind::StorageFull),
        "{result:?}"
    );
    sigmf.finish(&End::of(&result, None)).unwrap();
    let meta = meta(&path);
    assert_eq!(meta["global"]["spu:state"], "failed");
    assert_eq!(meta["global"]["spu:frames"], 0);
    let failure = meta["global"]["spu:failure"].as_str().unwrap();
    assert!(failure.contains("0 frames were kept"), "{failure}");
    device.ping(b"x", soon()).unwrap();
}
