//! Flashing the emulated board: its firmware is updated by itself, under its own boot loader, and the
//! power fails at random moments meanwhile.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::process::{Pid, Signal, kill_process};
use spu_boot::mps2::LOAD_ADDRESS;
use spu_boot::pack::{Meta, SigningKey, pack};
use spu_driver::flash::{FlashOptions, Image, Quiet, flash, slots};
use spu_driver::link::Qemu;
use spu_driver::{Client, Deadline, Device};
use spu_protocol::image::{BoardId, ImageHeader, ImageKind};
use spu_qemu::{Emulator, Options, image};
use spu_sim::{Profile, SimConfig};
use tempfile::TempDir;

/// A board whose flash memory outlives its emulator.
#[derive(Debug)]
pub struct Board {
    folder: TempDir,
}

impl Board {
    /// A board as it leaves the factory.
    ///
    /// # Errors
    /// Where there is no folder for its memory.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn memory(&self) -> PathBuf {
        self.folder.path().join("flash.bin")
    }

    /// Powers it up.
    ///
    /// # Errors
    /// Those of the emulator; it does not start, or does not answer.
    pub fn power_up(&self) -> anyhow::Result<Client<Qemu>> {
        let profile = Profile::named("rev-a")?;
        let sim = SimConfig { profile, seed: 7, copy: 0, without: [].into() };
        let emulator =
            Emulator::start(Options { flash: Some(self.memory()), ..Options::new(sim) })?;
        Ok(Client::open(Qemu::attach(emulator, "qemu".into(), soon())?, "qemu", soon())?)
    }
}

/// Ample for an update over the emulated serial port.
pub fn soon() -> Deadline {
    Deadline::after_secs(120)
}

/// The payload of the image that `cargo xtask firmware` built.
///
/// # Errors
/// Where there is none.
pub fn payload() -> anyhow::Result<Vec<u8>> {
    let file = std::fs::read(image::find("mps2-an386.img")?)?;
    Ok(ImageHeader::parse(&file)?.1.to_vec())
}

/// An image of this version for this board, signed by the development key.
pub fn packed(payload: &[u8], board: BoardId, version: [u16; 3]) -> Vec<u8> {
    let meta = Meta {
        kind: ImageKind::Firmware,
        target: board as u32,
        build_id: 0,
        version,
        load_address: LOAD_ADDRESS,
    };
    pack(payload, &meta, &SigningKey::development())
}

/// The version of `device`'s firmware as numbers.
///
/// # Errors
/// Where it is none.
pub fn version(device: &dyn Device) -> anyhow::Result<[u16; 3]> {
    Ok(device.info().raw.firmware)
}

/// What came of updates that a power failure met.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Kills {
    /// Times that the emulator was killed.
    pub killed: u32,
    /// Moments, in milliseconds from the update's start.
    pub moments_ms: Vec<u64>,
    /// Starts afterwards with the version before, or that went back to it.
    pub old: u32,
    /// Starts afterwards with the new version, confirmed.
    pub new: u32,
    /// Starts afterwards that gave no board, or a wrong one.
    pub bricked: u32,
}

/// Updates a board again and again, each time to the next version, and kills the emulator at a random
/// moment of each.
///
/// # Errors
/// Where there is no emulator or no image.
pub fn kills(times: u32, seed: u64) -> anyhow::Result<Kills> {
    let payload = payload()?;
    let board = Board::new()?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut kills = Kills::default();
    let mut running = version(&board.power_up()?)?;
    // How long a whole one takes: moments are drawn up to there and a little beyond.
    let mut whole = Duration::from_secs(20);
    for round in 0..times {
        let mut device = board.power_up().context("before an update")?;
        let next = [1, 0, u16::try_from(round)?];
        let file = packed(&payload, BoardId::Mps2An386, next);
        let update = Image::check(&file)?;
        let moment = whole.mul_f64(1.1 * (f64::from(rng.next_u32()) / f64::from(u32::MAX)));
        let id = device.link_mut().emulator().process_id()?;
        let killer = thread::spawn(move || {
            thread::sleep(moment);
            // It may have ended, and then nothing is to be killed.
            if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = kill_process(id, Signal::KILL);
            }
        });
        let start = std::time::Instant::now();
        let done = flash(&mut device, &update, &FlashOptions::default(), soon(), &Quiet);
        if done.is_ok() {
            whole = start.elapsed();
        }
        killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))?;
        drop(device);
        kills.killed += 1;
        kills.moments_ms.push(moment.as_millis() as u64);
        match after(&board, running, next) {
            Ok(true) => {
                kills.new += 1;
                running = next;
            }
            Ok(false) => kills.old += 1,
            Err(error) => {
                eprintln!("killed after {} ms: {error:#}", moment.as_millis());
                kills.bricked += 1;
            }
        }
    }
    ensure!(kills.old + kills.new + kills.bricked == times, "not every kill was counted");
    Ok(kills)
}

/// Whether the board now keeps the version `next`; otherwise it has `running`, at once or, if `next` is
/// on trial, after another start.
fn after(board: &Board, running: [u16; 3], next: [u16; 3]) -> anyhow::Result<bool> {
    let mut device = board.power_up()?;
    let found = version(&device)?;
    if found == running {
        return Ok(false);
    }
    ensure!(found == next, "version {found:?} runs");
    let pairs = slots(&mut device, soon())?;
    let slot = pairs.iter().flat_map(|pair| &pair.slots).find(|slot| slot.running);
    if slot.context("no slot runs")?.state == "confirmed" {
        return Ok(true);
    }
    drop(device);
    let found = version(&board.power_up()?)?;
    ensure!(found == running, "version {found:?} runs, which was not confirmed");
    Ok(false)
}
