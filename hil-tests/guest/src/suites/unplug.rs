//! The plug is pulled at random moments while calls and streams run.

use std::collections::BTreeSet;
use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::{Deadline, Device, Error, open};
use spu_protocol::code::AdcCode;
use spu_protocol::header::MAX_REPLY;
use spu_protocol::regs;

use super::plug::{self, Plug, ports};
use super::program::{program, record, soon, streamed};
use crate::report::Report;

/// Longest that a call may take, and what it may be late on a busy computer.
const ALLOWED: Duration = Duration::from_secs(20);
const LATE: Duration = Duration::from_secs(10);
/// Frames of a stream.
const FRAMES: u32 = 20_000;
/// The plug is pulled within this time of the first call.
const SPAN_MS: u64 = 120;

/// Pulls the plug `times` times.
pub(crate) fn run(
    report: &mut Report,
    link: &str,
    uri: &str,
    plug: &mut Plug,
    times: u32,
) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let name = format!("{link}::unplug::{times}_times");
    report.run(&name, || {
        let mut device = open(uri)?;
        let (reference, _) = record(device.as_mut(), &streamed(FRAMES), soon())?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(0x5EED);
        let mut board = Board { device, reference: reference.codes, scratch: None };
        for round in 0..times {
            one(&mut board, plug, &mut random, &mut tally)
                .with_context(|| format!("round {round}; {tally:?}"))?;
        }
        Ok(())
    })?;
    report.note(&format!("{link}: {tally:?}"))?;
    // Where the test failed the plug may be out, and the next suite is not to blame.
    let _ = plug.tell("plug");
    plug::usb_uri()?;
    Ok(())
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    completed: u32,
    disconnected: u32,
    /// Longest time from the pull to the error.
    slowest_ms: u128,
    /// Serial ports that the board has had.
    ports: BTreeSet<std::path::PathBuf>,
}

struct Board {
    device: Box<dyn Device>,
    /// Codes of an undisturbed stream.
    reference: Vec<AdcCode>,
    /// What the scratch register may hold: the last value that was written for certain, and one
    /// that may have been.
    scratch: Option<(u32, Option<u32>)>,
}

fn one(
    board: &mut Board,
    plug: &mut Plug,
    random: &mut Xoshiro256PlusPlus,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let pull = Duration::from_millis(random.next_u64() % SPAN_MS);
    let serial = board.device.info().serial;
    let before = ports();
    tally.ports.extend(before.clone());
    // Somebody else who has the serial port open keeps its number in use: the next one is another.
    let held = if random.next_u32().is_multiple_of(2) {
        before.iter().map(File::open).collect::<Result<Vec<_>, _>>()?
    } else {
        Vec::new()
    };
    let pulled = thread::scope(|scope| {
        let pulling = scope.spawn(|| {
            thread::sleep(pull);
            let moment = Instant::now();
            plug.tell("unplug").map(|()| moment)
        });
        let result = until_disconnected(board, random, tally);
        // The plug is out before it is put in again, whatever the calls did.
        let moment = pulling.join().map_err(|_| anyhow::anyhow!("the puller panicked"))??;
        result?;
        anyhow::Ok(moment)
    })?;
    tally.disconnected += 1;
    tally.slowest_ms = tally.slowest_ms.max(pulled.elapsed().as_millis());
    // While it is out, calls fail by their deadline.
    let short = Deadline::after(Duration::from_millis(30));
    match board.device.ping(b"anybody", short) {
        Err(Error::Disconnected { .. } | Error::Timeout { .. }) => {}
        other => bail!("a ping without a device: {other:?}"),
    }
    let later = Duration::from_millis(random.next_u64() % 50);
    thread::scope(|scope| {
        let plugging = scope.spawn(|| {
            thread::sleep(later);
            plug.tell("plug")
        });
        let back = board.device.ping(b"back", soon());
        plugging.join().map_err(|_| anyhow::anyhow!("the plugger panicked"))??;
        back.context("the board did not come back")
    })?;
    ensure!(board.device.info().serial == serial, "another board came back");
    plug::serial_uri()?;
    ensure!(held.is_empty() || ports() != before, "{before:?} came back under the same name");
    check_scratch(board, soon()).context("after reconnecting")
}

/// Makes calls until one says that the device is gone.
fn until_disconnected(
    board: &mut Board,
    random: &mut Xoshiro256PlusPlus,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let begun = Instant::now();
        let result = call(board, random);
        let took = begun.elapsed();
        ensure!(took < ALLOWED + LATE, "a call of at most {ALLOWED:?} took {took:?}");
        match result {
            Ok(()) => tally.completed += 1,
            Err(error) => match error.downcast_ref::<Error>() {
                Some(Error::Disconnected { .. }) => return Ok(()),
                _ => return Err(error),
            },
        }
        ensure!(start.elapsed() < ALLOWED, "still connected after the plug was pulled");
    }
}

/// Makes one call and checks what it gives.
fn call(board: &mut Board, random: &mut Xoshiro256PlusPlus) -> anyhow::Result<()> {
    let deadline = Deadline::after(ALLOWED);
    match random.next_u32() % 4 {
        0 => {
            let mut payload = vec![0; random.next_u32() as usize % (MAX_REPLY + 1)];
            random.fill_bytes(&mut payload);
            board.device.ping(&payload, deadline)?;
        }
        1 => {
            let value = random.next_u32();
            let before = board.scratch.map(|(certain, _)| certain);
            board.scratch = before.map(|certain| (certain, Some(value)));
            board.device.write_regs(regs::scratch(0), &[value], deadline)?;
            board.scratch = Some((value, None));
        }
        2 => check_scratch(board, deadline)?,
        _ => {
            let plan = streamed(FRAMES);
            let program = program(board.device.info());
            board.device.load(&program, deadline)?;
            let mut kept = super::program::Kept::new(board.device.info().cells);
            let result = board.device.acquire(&plan, &mut kept, deadline);
            // What was delivered before the end is right too.
            let reference = board.reference.get(..kept.codes.len());
            ensure!(reference == Some(&kept.codes[..]), "wrong codes after {result:?}");
            let report = result?;
            ensure!(kept.count() == u64::from(FRAMES) && report.lost == 0, "{report:?}");
        }
    }
    Ok(())
}

fn check_scratch(board: &mut Board, deadline: Deadline) -> anyhow::Result<()> {
    let mut word = [0];
    board.device.read_regs(regs::scratch(0), &mut word, deadline)?;
    if let Some((certain, maybe)) = board.scratch {
        ensure!(
            word[0] == certain || Some(word[0]) == maybe,
            "the register holds {:#x}, written were {certain:#x} and perhaps {maybe:x?}",
            word[0]
        );
    }
    board.scratch = Some((word[0], None));
    Ok(())
}
