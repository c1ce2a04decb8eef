//! Updates of the emulated board by its own firmware, under its own boot loader.

use anyhow::{Context as _, ensure};
use hil_tests::flashing::{Board, kills, packed, payload, soon, version};
use spu_boot::pack::PackError;
use spu_driver::Device;
use spu_driver::flash::{FlashError, FlashOptions, Image, Quiet, flash, slots};
use spu_protocol::image::BoardId;

use crate::bench::{Bench, Case, Need, Outcome};
use crate::support::{both, lively, record};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    Case { name: "a_new_version_runs_and_stays", needs: &[Need::Slots], run: updated },
    Case { name: "an_unconfirmed_version_goes_back", needs: &[Need::Slots], run: unconfirmed },
    Case { name: "an_image_that_hangs_goes_back", needs: &[Need::Slots], run: hanging },
    Case { name: "wrong_images_are_refused", needs: &[Need::Slots], run: refused },
    Case { name: "power_fails_at_any_moment", needs: &[Need::Slots], run: killed },
];

const MPS2: BoardId = BoardId::Mps2An386;

/// It works as a board does.
fn works(device: &mut dyn Device) -> Outcome {
    let program = lively(device.info(), 31);
    let (codes, report) = record(device, &program, &both(0, 1, 1_000))?;
    assert_eq!((codes.frame_count(), report.lost), (1_000, 0));
    Ok(())
}

fn updated(_bench: &Bench) -> Outcome {
    let board = Board::new()?;
    let mut device = board.power_up()?;
    let file = packed(&payload()?, MPS2, [2, 0, 1]);
    let flashed =
        flash(&mut device, &Image::check(&file)?, &FlashOptions::default(), soon(), &Quiet)?;
    assert!(flashed.confirmed, "{flashed:?}");
    assert_eq!(version(&device)?, [2, 0, 1]);
    works(&mut device)?;
    // An older one is refused, and taken where that is asked for.
    let older = packed(&payload()?, MPS2, [1, 9, 9]);
    let older = Image::check(&older)?;
    let error = flash(&mut device, &older, &FlashOptions::default(), soon(), &Quiet).err();
    assert!(matches!(error, Some(FlashError::Older { .. })), "{error:?}");
    let allowed = FlashOptions { allow_downgrade: true, ..FlashOptions::default() };
    flash(&mut device, &older, &allowed, soon(), &Quiet)?;
    drop(device);
    let mut device = board.power_up()?;
    assert_eq!(version(&device)?, [1, 9, 9]);
    works(&mut device)
}

fn unconfirmed(_bench: &Bench) -> Outcome {
    let board = Board::new()?;
    let mut device = board.power_up()?;
    let before = version(&device)?;
    let file = packed(&payload()?, MPS2, [2, 0, 2]);
    let trial = FlashOptions { confirm: false, ..FlashOptions::default() };
    let flashed = flash(&mut device, &Image::check(&file)?, &trial, soon(), &Quiet)?;
    assert!(!flashed.confirmed);
    assert_eq!(version(&device)?, [2, 0, 2]);
    drop(device);
    let mut device = board.power_up()?;
    assert_eq!(version(&device)?, before);
    works(&mut device)
}

/// A program that is signed and does nothing: the watchdog ends it.
fn hanging(_bench: &Bench) -> Outcome {
    let board = Board::new()?;
    let mut device = board.power_up()?;
    let before = version(&device)?;
    // Stack pointer, entry at 0x10100, and there `b .`.
    let mut payload = vec![0; 0x104];
    payload[..4].copy_from_slice(&0x2000_1300_u32.to_le_bytes());
    payload[4..8].copy_from_slice(&0x0001_0101_u32.to_le_bytes());
    payload[0x100..0x102].copy_from_slice(&0xE7FE_u16.to_le_bytes());
    let file = packed(&payload, MPS2, [9, 0, 0]);
    let error = flash(&mut device, &Image::check(&file)?, &FlashOptions::default(), soon(), &Quiet)
        .err()
        .context("an image that hangs was kept")?;
    assert!(matches!(error, FlashError::RolledBack { .. } | FlashError::Lost { .. }), "{error}");
    drop(device);
    let mut device = board.power_up()?;
    assert_eq!(version(&device)?, before);
    works(&mut device)
}

fn refused(_bench: &Bench) -> Outcome {
    let board = Board::new()?;
    let mut device = board.power_up()?;
    let before = version(&device)?;
    let whole = packed(&payload()?, MPS2, [3, 0, 0]);
    let flashing = |device: &mut dyn Device, file: &[u8]| {
        let image = Image::check(file)?;
        flash(device, &image, &FlashOptions::default(), soon(), &Quiet)
    };
    let truncated = flashing(&mut device, &whole[..whole.len() - 1]).err();
    assert!(
        matches!(truncated, Some(FlashError::Image(PackError::Length { .. }))),
        "{truncated:?}"
    );
    let mut damaged = whole.clone();
    *damaged.last_mut().context("an image")? ^= 1;
    let damaged = flashing(&mut device, &damaged).err();
    assert!(matches!(damaged, Some(FlashError::Image(PackError::Untrusted(_)))), "{damaged:?}");
    let mut forged = whole.clone();
    forged[250] ^= 1;
    let forged = flashing(&mut device, &forged).err();
    assert!(matches!(forged, Some(FlashError::Image(PackError::Untrusted(_)))), "{forged:?}");
    let other = packed(&payload()?, BoardId::Lm3s6965Evb, [3, 0, 0]);
    let other = flashing(&mut device, &other).err();
    assert!(matches!(other, Some(FlashError::WrongTarget { .. })), "{other:?}");
    // Nothing has changed, and a good one is taken.
    let pairs = slots(&mut device, soon())?;
    assert!(
        pairs.iter().flat_map(|pair| &pair.slots).filter(|slot| slot.version.is_some()).count()
            == 1
    );
    assert_eq!(version(&device)?, before);
    works(&mut device)
}

/// The short version of `flash-kills`.
fn killed(_bench: &Bench) -> Outcome {
    let kills = kills(4, 11)?;
    eprintln!("{kills:?}");
    ensure!(kills.killed == 4 && kills.bricked == 0, "{kills:?}");
    Ok(())
}
