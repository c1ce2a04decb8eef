//! A simulated board behind a tap, and a link that misbehaves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Cursor, Write};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use spu_driver::link::{InProcess, Replay, Tap};
use spu_driver::recording::{Reader, Recorder};
use spu_driver::sim::sim_board;
use spu_driver::uri::SimOptions;
use spu_driver::{
    AcquirePlan, BoardInfo, Client, Deadline, Device, FrameBlock, Link, Phases, Program,
    ResetLevel, Sink,
};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, Ticks};
use spu_protocol::regs;

pub(crate) const URI: &str = "sim:profile=rev-a,seed=5,copy=0";

pub(crate) fn soon() -> Deadline {
    Deadline::after_secs(60)
}

/// A file in memory, kept when its writer is gone.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn board() -> InProcess {
    InProcess::new(sim_board(&SimOptions { seed: 5, ..SimOptions::default() }).unwrap())
}

/// Records a run over `link`.
pub(crate) fn record<T>(
    link: impl Link + 'static,
    run: impl FnOnce(Box<dyn Link>) -> T,
) -> (T, Vec<u8>) {
    let memory = Memory::default();
    let recorder = Recorder::new(Box::new(memory.clone()), URI).unwrap();
    let result = run(Box::new(Tap::new(link, recorder)));
    (result, memory.bytes())
}

/// Runs the same from a recording.
pub(crate) fn replay<T>(recording: &[u8], run: impl FnOnce(Box<dyn Link>) -> T) -> T {
    let reader = Reader::new(Cursor::new(recording.to_vec())).unwrap();
    run(Box::new(Replay::new(reader, "memory".into())))
}

pub(crate) fn plan(count: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(500),
        decimation: NonZeroU32::new(3).unwrap(),
        count: NonZeroU32::new(count).unwrap(),
        moments: true,
        stream: true,
        realtime: false,
    }
}

pub(crate) fn program(info: &BoardInfo, seed: u32) -> Program {
    Program {
        self_codes: vec![CouplingCode(15); info.cells],
        coupling_codes: vec![CouplingCode(1); info.couplings],
        gain_codes: vec![GainCode(2048); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: Vec::new(),
        seeds: Some((1..=info.cells as u32).map(|cell| [cell, 2, 3, seed]).collect()),
        discharge: true,
    }
}

/// Keeps the place of every block and a digest of all codes.
#[derive(Debug, Default)]
struct Keep(Vec<(u64, u64)>, DefaultHasher);

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        self.0.push((block.first_frame, block.lost_before));
        block.codes.iter().for_each(|code| code.0.hash(&mut self.1));
        Ok(())
    }
}

/// Every call once, and a stream long enough for several credits. The results as text, without wall
/// times; errors are results.
pub(crate) fn everything(link: Box<dyn Link>, seed: u32) -> Vec<String> {
    let mut device = match Client::open(link, URI, soon()) {
        Ok(device) => device,
        Err(error) => return vec![error.to_string()],
    };
    let mut results = vec![format!("{:?}", device.info())];
    results.push(format!("{:?}", device.ping(b"there and back", soon())));
    let mut words = [0; 3];
    results.push(format!("{:?}", device.read_regs(regs::scratch(0), &mut words, soon())));
    results.push(format!("{:?}", device.write_regs(regs::scratch(0), &[seed, 2], soon())));
    let read = device.read_regs(regs::scratch(0), &mut words, soon());
    results.push(format!("{read:?} {words:?}"));
    let program = program(device.info(), seed);
    results.push(format!("{:?}", device.load(&program, soon())));
    let mut sink = Keep::default();
    let report = device.acquire(&plan(20_000), &mut sink, soon()).map(|mut report| {
        report.phases = Phases::default();
        report
    });
    results.push(format!("{report:?} {:x} {:?}", sink.1.finish(), sink.0));
    results.push(format!("{:?}", device.self_test(2, soon())));
    results.push(format!("{:?}", device.reset(ResetLevel::Fpga, soon())));
    results.push(format!("{:?}", device.ping(&[], soon())));
    results
}
