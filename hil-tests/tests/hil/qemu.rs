//! Rung 3: the firmware's image on a microcontroller that QEMU emulates. What the other suites do not
//! see: that it gives the bits of the simulator in process, and what it makes of its own mishaps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use spu_driver::link::Qemu;
use spu_driver::mcu::{self, StartCause};
use spu_driver::{Client, Deadline, Device, DeviceUri, Error, NullSink};
use spu_protocol::regs;
use spu_qemu::{Board, Emulator, Mishap, Options};
use spu_sim::{Profile, SimConfig};

use crate::bench::{self, Bench, Case, Outcome};
use crate::support::{both, lively, record, soon};
use crate::{Suite, conformance, flashing, inversion};

/// What runs beside the suites of all boards.
pub(crate) const CASES: &[Case] = &[
    Case { name: "codes_are_those_in_process", needs: &[], run: same_codes },
    Case { name: "the_stack_has_room", needs: &[], run: stack },
    Case { name: "a_panic_is_reported_once", needs: &[], run: panicked },
    Case { name: "a_hang_ends_by_the_watchdog", needs: &[], run: hung },
    Case { name: "a_processor_fault_is_reported", needs: &[], run: faulted },
    Case { name: "a_brown_out_is_reported_once", needs: &[], run: browned_out },
    Case { name: "a_power_cycle_is_an_error_and_no_wrong_data", needs: &[], run: power_cycled },
    Case { name: "a_killed_board_is_a_disconnection", needs: &[], run: killed },
];

const OPTIONS: &str = "profile=rev-a,seed=7";

/// Boards by the names of their rungs.
pub(crate) const BOARDS: [(&str, Board); 2] =
    [("qemu", Board::Mps2An386), ("lm3s6965evb", Board::Lm3s6965evb)];

/// What runs on this board: all on the main one; on the other what shows that its image does the same.
/// The statistics are the FPGA's and the cells', which are those in process.
pub(crate) fn suites(board: Board) -> Vec<Suite> {
    let inversion = if board == Board::default() { inversion::CASES } else { inversion::SHORT };
    vec![
        ("conformance", conformance::CASES),
        ("inversion", inversion),
        ("qemu", CASES),
        ("flashing", flashing::CASES),
    ]
}

/// Opens the board of the suites, or says what is missing.
pub(crate) fn open(name: &str, board: Board) -> Result<Arc<Bench>, String> {
    let uri: DeviceUri = format!("qemu:{},{OPTIONS}", board.name())
        .parse()
        .map_err(|error: Error| error.to_string())?;
    match bench::open_one(name, uri) {
        Ok(bench) => Ok(bench),
        Err(error @ (Error::Unsupported { .. } | Error::NotFound { .. })) => Err(error.to_string()),
        Err(error) => panic!("the emulated board does not open: {error}"),
    }
}

/// The microcontroller of a bench, if it is an emulated one.
pub(crate) fn board(bench: &Bench) -> Option<Board> {
    let DeviceUri::Qemu(options) = bench.uri() else { return None };
    options.board.parse().ok()
}

/// Options of another board of the same kind.
fn options(bench: &Bench) -> anyhow::Result<Options> {
    let profile = Profile::named("rev-a")?;
    let sim = SimConfig { profile, seed: 7, copy: 0, without: [].into() };
    Ok(Options { board: board(bench).context("an emulated board")?, ..Options::new(sim) })
}

/// Another board of the same kind.
fn another(bench: &Bench, mishap: Option<Mishap>) -> anyhow::Result<Client<Qemu>> {
    let emulator = Emulator::start(Options { mishap, ..options(bench)? })?;
    let link = Qemu::attach(emulator, "qemu".into(), soon())?;
    Ok(Client::open(link, "qemu", soon())?)
}

/// The same seed gives the same bits, whatever runs the firmware.
fn same_codes(bench: &Bench) -> Outcome {
    let program = lively(bench.info(), 21);
    let DeviceUri::Qemu(options) = bench.uri() else { bail!("not an emulated board") };
    let mut here = DeviceUri::Sim(options.sim.clone()).open()?;
    let mut lease = bench.device()?;
    assert_eq!(here.info().serial, lease.board().info().serial);
    for (decimation, count) in [(1, 3_000), (7, 1_000)] {
        let plan = both(300, decimation, count);
        let (expected, here) = record(here.as_mut(), &program, &plan)?;
        let (codes, there) = record(lease.board(), &program, &plan)?;
        assert!(codes.codes == expected.codes, "other codes than in process");
        assert_eq!(there.moments, here.moments);
        assert_eq!((there.kept, there.lost), (u64::from(count), 0));
    }
    Ok(())
}

/// Octets of the stack that nothing has ever used.
const STACK_LEFT: u32 = 256;

/// The deepest work leaves room, seen by the paint that is left.
fn stack(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    assert!(device.self_test(2, soon())?.passed());
    record(device, &lively(bench.info(), 24), &both(10, 1, 3_000))?;
    let timing = mcu::timing(device, soon())?.context("a microcontroller")?;
    eprintln!("stack: {} of {} octets", timing.stack_used, timing.stack_size);
    ensure!(timing.stack_used + STACK_LEFT <= timing.stack_size, "{timing:?}");
    assert_eq!(timing.receive_overruns, 0, "{timing:?}");
    Ok(())
}

/// How the last run ended is told once: the session's end makes the driver ask anew.
fn not_told_again(device: &mut dyn Device) -> Outcome {
    device.reset(spu_driver::ResetLevel::Session, soon())?;
    device.ping(b"and again", soon())?;
    assert_eq!(device.info().last_run, None, "told twice");
    Ok(())
}

/// Pings until the mishap has ended the session, then tells what the board says of it.
fn after_mishap(
    bench: &Bench,
    mishap: Mishap,
) -> anyhow::Result<(StartCause, Option<mcu::LastRun>)> {
    let mut device = another(bench, Some(mishap))?;
    let until = Instant::now() + Duration::from_mins(5);
    // On a busy computer it may have happened before the first session.
    let mut ended = device.info().last_run.is_some();
    let timing = loop {
        let asked = device
            .ping(b"well?", Deadline::after_secs(5))
            .and_then(|()| mcu::timing(&mut device, Deadline::after_secs(5)));
        match asked {
            // In another session than that in which it happened.
            Ok(timing) if ended => break timing.context("a microcontroller")?,
            // What is asked while it restarts is lost, and later the session is no longer known.
            Ok(_) | Err(Error::Timeout { .. }) => {}
            Err(Error::Device { .. } | Error::Disconnected { .. }) => ended = true,
            Err(error) => return Err(error.into()),
        }
        ensure!(Instant::now() < until, "nothing happened");
    };
    let told = device.info().last_run.clone();
    assert_eq!(timing.starts, 1);
    not_told_again(&mut device)?;
    // It works as before.
    let program = lively(device.info(), 25);
    let (codes, report) = record(&mut device, &program, &both(0, 1, 1_000))?;
    assert_eq!((codes.frame_count(), report.lost), (1_000, 0));
    Ok((timing.cause, told))
}

fn panicked(bench: &Bench) -> Outcome {
    let (cause, told) = after_mishap(bench, Mishap::Panic)?;
    let told = told.context("nothing was told")?;
    assert_eq!((cause, told.cause), (StartCause::Panic, StartCause::Panic));
    assert!(
        told.text.contains("lib.rs:") && told.text.ends_with("asked for by the strap"),
        "{told}"
    );
    Ok(())
}

fn hung(bench: &Bench) -> Outcome {
    let (cause, told) = after_mishap(bench, Mishap::Hang)?;
    assert_eq!(cause, StartCause::Watchdog);
    assert!(told.is_some(), "nothing was told");
    Ok(())
}

fn faulted(bench: &Bench) -> Outcome {
    let (cause, told) = after_mishap(bench, Mishap::Fault)?;
    let told = told.context("nothing was told")?;
    assert_eq!(cause, StartCause::Fault);
    assert!(told.text.starts_with("pc "), "{told}");
    Ok(())
}

/// The cause that the supply's monitor tells, from the microcontroller's start to the host.
fn browned_out(bench: &Bench) -> Outcome {
    let mut device = another(bench, Some(Mishap::BrownOut))?;
    let told = device.info().last_run.clone().context("nothing was told")?;
    assert_eq!(told.cause, StartCause::BrownOut);
    assert_eq!(told.to_string(), "the supply dipped: below the threshold of its monitor");
    let timing = mcu::timing(&mut device, soon())?.context("a microcontroller")?;
    assert_eq!((timing.cause, timing.starts), (StartCause::BrownOut, 0));
    not_told_again(&mut device)?;
    Ok(())
}

/// Whatever call meets it fails or is whole; afterwards the board is as good as new.
fn power_cycled(bench: &Bench) -> Outcome {
    let mut device = another(bench, None)?;
    let program = lively(bench.info(), 22);
    let plan = both(0, 1, 4_000);
    let (expected, _) = record(&mut device, &program, &plan)?;
    for _ in 0..2 {
        device.write_regs(regs::scratch(0), &[9], soon())?;
        device.link_mut().emulator().power_cycle()?;
        if let Ok((codes, _)) = record(&mut device, &program, &plan) {
            assert!(codes.codes == expected.codes, "wrong data");
        }
        // What is asked while it starts is lost, and then the session is no longer known.
        let until = Instant::now() + Duration::from_mins(1);
        while device.ping(b"back?", Deadline::after_secs(5)).is_err() {
            ensure!(Instant::now() < until, "it does not come back");
        }
        let mut word = [1];
        device.read_regs(regs::scratch(0), &mut word, soon())?;
        assert_eq!(word, [0], "the FPGA has started afresh");
        let (codes, _) = record(&mut device, &program, &plan)?;
        assert!(codes.codes == expected.codes, "other codes after the restart");
    }
    Ok(())
}

/// A call ends at once when the emulator is killed, and says so.
fn killed(bench: &Bench) -> Outcome {
    let mut emulator = Emulator::start(options(bench)?)?;
    let mut device = spu_driver::open(&format!("serial:{}", emulator.port().display()))?;
    device.load(&lively(bench.info(), 23), soon())?;
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        emulator.kill();
        emulator
    });
    let result = device.acquire(&both(0, 50, u32::MAX), &mut NullSink, soon());
    killer.join().expect("the killer does not panic");
    assert!(matches!(result, Err(Error::Disconnected { .. })), "{result:?}");
    Ok(())
}
