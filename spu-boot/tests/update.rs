//! What starts where flash holds something else than an update left there.

use spu_boot::model::ModelFlash;
use spu_boot::pack::{Meta, SigningKey, factory, pack};
use spu_boot::{Boot, Flash as _, KEYS, Layout, NoImage, Slot, Slots, boot, ed25519};
use spu_protocol::image::{Accepts, HEADER_LEN, ImageKind};
use spu_protocol::payload::update::SlotState;

const SIZE: u32 = 2048;
const ADDRESS: u32 = 0x8000;

fn image(target: u32, load_address: u32, key: &SigningKey) -> Vec<u8> {
    let meta =
        Meta { kind: ImageKind::Firmware, target, build_id: 1, version: [1, 0, 0], load_address };
    let payload: Vec<u8> = (0..777).map(|index| index as u8).collect();
    pack(&payload, &meta, key)
}

fn start(flash: &mut ModelFlash, memory: Option<&mut [u8]>) -> Result<Boot, NoImage> {
    boot(&mut slots(flash), memory)
}

fn slots(flash: &mut ModelFlash) -> Slots<'_> {
    Slots {
        flash,
        layout: Layout { a: 0, b: SIZE, size: SIZE },
        accepts: Accepts { kind: ImageKind::Firmware, target: 2, load_address: ADDRESS },
        keys: KEYS,
        verify: ed25519,
    }
}

fn holding(image: &[u8]) -> ModelFlash {
    let mut flash = ModelFlash::new(512, 2 * SIZE / 512, 32);
    flash.fill(0, &factory(image, SIZE).unwrap());
    flash
}

fn good() -> Vec<u8> {
    image(2, ADDRESS, &SigningKey::development())
}

#[test]
fn a_factory_image_starts_in_memory_or_in_place() {
    let mut memory = [0; 800];
    let booted = start(&mut holding(&good()), Some(&mut memory)).unwrap();
    assert_eq!((booted.slot, booted.trial, booted.payload), (Slot::A, false, 256));
    assert_eq!(memory[..777], good()[HEADER_LEN..]);
    assert_eq!(memory[777..], [0; 23]);
    assert_eq!(start(&mut holding(&good()), None), Ok(booted));
    // More than the memory holds.
    assert_eq!(start(&mut holding(&good()), Some(&mut [0; 776])), Err(NoImage));
}

#[test]
fn nothing_starts_that_is_damaged_foreign_or_not_signed() {
    let key = SigningKey::development();
    let stranger = SigningKey::from_hex(1, &"5a".repeat(32)).unwrap();
    for bad in [image(3, ADDRESS, &key), image(2, 0, &key), image(2, ADDRESS, &stranger)] {
        assert_eq!(start(&mut holding(&bad), None), Err(NoImage));
    }
    assert_eq!(start(&mut ModelFlash::new(512, 8, 32), None), Err(NoImage));
    // One bit, anywhere in header or payload.
    for at in (0..HEADER_LEN + 777).step_by(13) {
        let mut flash = holding(&good());
        let octet = flash.octets()[at] ^ 0x10;
        flash.fill(at, &[octet]);
        assert_eq!(start(&mut flash, None), Err(NoImage), "octet {at}");
        assert_eq!(slots(&mut flash).state(Slot::A), SlotState::RolledBack);
    }
}

/// The newer image goes bad in flash: the older one starts, and counts as the one that runs.
#[test]
fn a_damaged_newer_image_gives_way_to_the_older() {
    let mut flash = holding(&good());
    let mut slot = factory(&good(), SIZE).unwrap();
    // The number of its update, and the complement.
    for mark in 0..3 {
        let at = SIZE as usize - 128 + 32 * mark + 8;
        slot[at..at + 8].copy_from_slice(&[2, 0, 0, 0, 0xFD, 0xFF, 0xFF, 0xFF]);
    }
    flash.fill(SIZE as usize, &slot);
    assert_eq!(start(&mut flash, None).unwrap().slot, Slot::B);
    assert_eq!(slots(&mut flash).running(), Slot::B);
    flash.fill(SIZE as usize + 300, &[0; 4]);
    assert_eq!(start(&mut flash, None).unwrap().slot, Slot::A);
    assert_eq!(slots(&mut flash).running(), Slot::A);
    assert_eq!(flash.misuse(), 0);
}

/// Rather an image that was rolled back than none.
#[test]
fn the_last_image_starts_even_if_it_was_rolled_back() {
    let mut flash = holding(&good());
    let rolled_back = SIZE - 32;
    flash.write(rolled_back, &[0; 32]).unwrap();
    assert_eq!(slots(&mut flash).state(Slot::A), SlotState::RolledBack);
    let booted = start(&mut flash, None).unwrap();
    assert_eq!((booted.slot, booted.trial), (Slot::A, true));
}
