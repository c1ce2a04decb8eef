//! Raw streams: every frame is delivered, or counted as lost.

use std::time::Duration;

use anyhow::ensure;
use spu_driver::{AcquirePlan, FrameBlock, Sink, open};

use super::program::{Kept, program, record, soon, streamed};
use crate::report::Report;

/// Frames of a stream.
const FRAMES: u32 = 50_000;
/// Frames of a stream to a slow host; the board holds fewer.
const MANY: u32 = 400_000;

pub(crate) fn run(report: &mut Report, link: &str, uri: &str) -> anyhow::Result<()> {
    report.run(&format!("{link}::stream::lockstep_loses_nothing"), || lockstep(uri))?;
    report.run(&format!("{link}::stream::lost_and_delivered_are_all"), || realtime(uri))
}

/// Two streams of the same seeds, with nothing lost and the same codes.
fn lockstep(uri: &str) -> anyhow::Result<()> {
    let mut device = open(uri)?;
    let (first, report) = record(device.as_mut(), &streamed(FRAMES), soon())?;
    ensure!(report.lost == 0 && first.lost == 0 && first.gapless, "frames were lost: {report:?}");
    ensure!(first.count() == u64::from(FRAMES), "{} frames of {FRAMES}", first.count());
    let (second, _) = record(device.as_mut(), &streamed(FRAMES), soon())?;
    ensure!(first.codes == second.codes, "the same seeds gave other codes");
    let changing = first.codes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    ensure!(changing > first.codes.len() / 2, "the codes hardly change");
    Ok(())
}

/// A host that is too slow for the board.
struct Slow(Kept);

impl Sink for Slow {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        std::thread::sleep(Duration::from_millis(2));
        self.0.frames(block)
    }
}

fn realtime(uri: &str) -> anyhow::Result<()> {
    let mut device = open(uri)?;
    let plan = AcquirePlan { realtime: true, ..streamed(MANY) };
    let program = program(device.info());
    device.load(&program, soon())?;
    let mut slow = Slow(Kept::new(device.info().cells));
    let report = device.acquire(&plan, &mut slow, soon())?;
    let (kept, delivered) = (slow.0, report.kept - report.lost);
    ensure!(report.kept == u64::from(MANY), "{} ticks of {MANY} were kept", report.kept);
    ensure!(kept.gapless, "blocks do not follow each other");
    ensure!(kept.count() == delivered, "{} frames came, {delivered} should", kept.count());
    // Those lost after the last block are in the report alone.
    ensure!(kept.lost <= report.lost, "the blocks count {}, {report:?}", kept.lost);
    ensure!(report.lost > 0, "the board waited for a slow host in real-time mode");
    let (after, _) = record(device.as_mut(), &streamed(1000), soon())?;
    ensure!(after.count() == 1000, "the next stream is not whole");
    Ok(())
}
