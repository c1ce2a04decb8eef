//! libusb's transfers end and are freed, whatever is under way when a link is dropped.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use spu_driver::{Deadline, DeviceUri, Error, Link};

use super::plug::{self, Plug};
use super::program::soon;
use crate::report::Report;

/// Links that are opened and dropped. Each has a quarter of a megabyte of transfers in flight.
const LINKS: usize = 120;
/// Most that the process may grow meanwhile, in KiB: less than one link in ten leaked.
const GROWTH: u64 = 3 * 1024;

pub(crate) fn run(report: &mut Report, plug: &mut Plug) -> anyhow::Result<()> {
    // First, as long as nothing is on its way from an earlier test.
    report.run("transfers::writes_of_every_length_arrive_at_once", || echoed(plug))?;
    for (name, mode) in [("idle", "board"), ("streaming", "source")] {
        plug.tell(mode)?;
        report.run(&format!("transfers::dropped_links_leave_nothing_{name}"), leave_nothing)?;
    }
    plug.tell("board")?;
    report.run("transfers::unplugged_links_leave_nothing", || unplugged(plug))
}

fn link() -> anyhow::Result<Box<dyn Link>> {
    Ok(plug::usb_uri()?.parse::<DeviceUri>()?.link(soon())?)
}

/// Memory in use, in KiB, and open files.
fn held() -> anyhow::Result<(u64, usize)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib = line.trim().trim_end_matches(" kB").parse()?;
    Ok((kib, std::fs::read_dir("/proc/self/fd")?.count()))
}

fn leave_nothing() -> anyhow::Result<()> {
    let mut buffer = vec![0; 10_000];
    let mut warm = (0, 0);
    for index in 0..LINKS {
        let mut link = link()?;
        // Leaves a transfer half read and others full, where the device sends.
        link.read(&mut buffer, Deadline::after(Duration::from_millis(index as u64 % 4)))?;
        drop(link);
        if index == LINKS / 10 {
            warm = held()?;
        }
    }
    let (memory, files) = held()?;
    ensure!(files == warm.1, "{files} files are open, {} were", warm.1);
    ensure!(memory < warm.0 + GROWTH, "grew from {} to {memory} KiB", warm.0);
    Ok(())
}

fn echoed(plug: &mut Plug) -> anyhow::Result<()> {
    let mut link = link()?;
    let mut buffer = vec![0; 100_000];
    ensure!(link.read(&mut buffer, Deadline::after(Duration::ZERO))? == 0, "bytes from nowhere");
    plug.tell("echo")?;
    // A multiple of the packet size, and one less: both arrive at once.
    for length in [512, 511, 1, 16 * 1024, 40_000] {
        let sent: Vec<u8> = (0..length).map(|index: u32| (index % 251) as u8).collect();
        link.write(&sent, soon())?;
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let count = link.read(&mut buffer, soon())?;
            ensure!(count > 0, "{} of {length} bytes came back", received.len());
            received.extend_from_slice(&buffer[..count]);
        }
        ensure!(received == sent, "{length} bytes came back changed");
    }
    plug.tell("board")
}

fn unplugged(plug: &mut Plug) -> anyhow::Result<()> {
    let mut warm = (0, 0);
    for index in 0..6 {
        plug.tell("source")?;
        let mut link = link()?;
        let mut buffer = vec![0; 1000];
        link.read(&mut buffer, soon())?;
        plug.tell("unplug")?;
        let mut rest = vec![0; 64 * 1024];
        let error = loop {
            match link.read(&mut rest, soon()) {
                Ok(count) => ensure!(count > 0, "silence instead of an error"),
                Err(error) => break error,
            }
        };
        ensure!(matches!(error, Error::Disconnected { .. }), "not disconnected: {error}");
        let error = link.write(&[0; 10], soon()).err().context("written to nowhere")?;
        ensure!(matches!(error, Error::Disconnected { .. }), "not disconnected: {error}");
        plug.tell("board")?;
        plug.tell("plug")?;
        link.reconnect(soon())?;
        drop(link);
        if index == 1 {
            warm = held()?;
        }
    }
    let (memory, files) = held()?;
    ensure!(files == warm.1, "{files} files are open, {} were", warm.1);
    ensure!(memory < warm.0 + GROWTH, "grew from {} to {memory} KiB", warm.0);
    Ok(())
}
